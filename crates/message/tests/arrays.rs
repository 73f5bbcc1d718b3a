//! Arrays of numbers are copied at once; to who reads and writes them that makes no difference.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fmt::Debug;

use crossproc_message::{
    DecodeError, EncodeError, Fault, Message, decode, encode, encode_into, fixed_size,
};
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn bytes_of(value: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

fn is_what_its_elements_are<T, const N: usize>(array: [T; N])
where
    T: Message + Copy + Debug + PartialEq,
    [T; N]: Message + Debug + PartialEq,
{
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Wrapped<A>(A);
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Kind<A> {
        One(A),
        Two(u8, A),
        Named { a: A, after: u16 },
    }

    fn check<V: Message + Debug + PartialEq>(value: V, parts: &[&[u8]]) {
        let bytes = bytes_of(&value);
        assert_eq!(bytes, parts.concat(), "{value:?}");
        let mut slot = [0xee; 1024];
        assert_eq!(encode_into(&value, &mut slot).unwrap().len, bytes.len());
        assert_eq!(slot[..bytes.len()], bytes);
        assert!(fixed_size::<V>().is_none_or(|size| size == bytes.len()));
        assert_eq!(decode::<V>(&bytes, vec![]).unwrap(), value);
        for short in 0..bytes.len() {
            assert!(decode::<V>(&bytes[..short], vec![]).is_err(), "{short} bytes are too few");
            assert!(encode_into(&value, &mut slot[..short]).is_err(), "{short} bytes are too few");
        }
    }

    let mut one_by_one = Vec::new();
    array.iter().for_each(|element| one_by_one.extend(bytes_of(element)));
    let all = one_by_one.as_slice();
    let one = &1u64.to_le_bytes()[..];
    let two = &2u64.to_le_bytes()[..];
    check(array, &[all]);
    check((3u8, array, 4u8), &[&[3], all, &[4]]);
    check(Wrapped(array), &[all]);
    check([array, array], &[all, all]);
    check(vec![array, array], &[two, all, all]);
    check(Some(array), &[&[1], all]);
    check(Box::new(array), &[all]);
    check(std::collections::BTreeMap::from([(5u8, array)]), &[one, &[5], all]);
    check(Kind::One(array), &[&0u32.to_le_bytes(), all]);
    check(Kind::Two(9, array), &[&1u32.to_le_bytes(), &[9], all]);
    check(Kind::Named { a: array, after: 0x0201 }, &[&2u32.to_le_bytes(), all, &[1, 2]]);
}

#[test]
fn arrays_of_numbers_are_their_elements_one_after_the_other() {
    is_what_its_elements_are([7u8]);
    is_what_its_elements_are::<u8, 32>(core::array::from_fn(|at| u8::try_from(at).unwrap()));
    is_what_its_elements_are([-1i8, 2, -3]);
    is_what_its_elements_are([1u16, 0xfffe]);
    is_what_its_elements_are([i16::MIN; 31]);
    is_what_its_elements_are([1u32, 2, 3]);
    is_what_its_elements_are([-1i32, 2]);
    is_what_its_elements_are([1u64, u64::MAX, 3, 4, 5, 6, 7, 8]);
    is_what_its_elements_are([i64::MIN, i64::MAX]);
    is_what_its_elements_are([1usize, usize::MAX]);
    is_what_its_elements_are([-1isize]);
    is_what_its_elements_are([u128::MAX, 2]);
    is_what_its_elements_are([i128::MIN]);
    is_what_its_elements_are([1.5f32, -0.0, f32::INFINITY]);
    is_what_its_elements_are([1.5f64, f64::MIN]);
    is_what_its_elements_are([true, false, true]);
    is_what_its_elements_are(['a', 'z']);
    is_what_its_elements_are([[1u8, 2], [3, 4], [5, 6]]);
    is_what_its_elements_are([(); 3].map(|()| (1u8, 2u16)));
}

#[test]
fn whoever_checks_an_array_is_asked() {
    fn ascending<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 4], D::Error> {
        struct Ascending;
        impl<'de> Visitor<'de> for Ascending {
            type Value = [u8; 4];

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers that ascend")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; 4], A::Error> {
                let mut all = [0; 4];
                for places in all.chunks_exact_mut(2) {
                    places.copy_from_slice(&seq.next_element_seed(Even)?.unwrap());
                }
                all.is_sorted().then_some(all).ok_or_else(|| A::Error::custom("not sorted"))
            }
        }
        deserializer.deserialize_tuple(2, Ascending)
    }
    /// A seed of its own, also for an array.
    struct Even;
    impl<'de> DeserializeSeed<'de> for Even {
        type Value = [u8; 2];

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<[u8; 2], D::Error> {
            let numbers = <[u8; 2]>::deserialize(deserializer)?;
            let are_even = numbers.iter().all(|number| number % 2 == 0);
            are_even.then_some(numbers).ok_or_else(|| D::Error::custom("odd"))
        }
    }
    fn backwards<S: Serializer>(array: &[u8; 4], serializer: S) -> Result<S::Ok, S::Error> {
        let [a, b, c, d] = *array;
        [d, c, b, a].serialize(serializer)
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Checked {
        #[serde(deserialize_with = "ascending", serialize_with = "backwards")]
        numbers: [u8; 4],
        plain: [u8; 4],
    }

    let read = |bytes: &[u8]| decode::<Checked>(bytes, vec![]);
    let good = Checked { numbers: [2, 4, 6, 8], plain: [4, 3, 2, 1] };
    assert_eq!(read(&[2, 4, 6, 8, 4, 3, 2, 1]).unwrap(), good);
    assert!(read(&[4, 2, 6, 8, 0, 0, 0, 0]).unwrap_err().to_string().contains("not sorted"));
    assert!(read(&[2, 3, 6, 8, 0, 0, 0, 0]).unwrap_err().to_string().contains("odd"));
    assert_eq!(bytes_of(&good), [8, 6, 4, 2, 4, 3, 2, 1]);
}

#[test]
fn an_array_is_a_level_of_nesting_for_both_sides() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Chain<A> {
        End(A),
        Link(Box<Self>),
    }
    fn chain<A>(links: usize, end: A) -> Chain<A> {
        (0..links).fold(Chain::End(end), |chain, _| Chain::Link(Box::new(chain)))
    }
    // `End` is a level, each link another, and so is the array.
    for links in [254, 255, 256] {
        let fits = links <= 254;
        let mut bytes = Vec::new();
        let written = encode(&chain(links, [1u8, 2]), &mut bytes);
        assert_eq!(written.is_ok(), fits, "{links} links");
        assert!(fits || matches!(written, Err(EncodeError::TooDeep)));
        bytes = [&[1u8, 0, 0, 0].repeat(links)[..], &[0, 0, 0, 0, 1, 2]].concat();
        let read = decode::<Chain<[u8; 2]>>(&bytes, vec![]);
        assert_eq!(read.is_ok(), fits, "{links} links");
        let too_deep = |error: &DecodeError| {
            matches!(error, DecodeError::Malformed { fault: Fault::TooDeep, .. })
        };
        assert!(fits || read.as_ref().is_err_and(too_deep), "{read:?}");
        // Elements that are written one by one are as deep.
        let (slow, fast) = (chain(links, ['a']), chain(links, [97u32]));
        let ends = [encode(&slow, &mut Vec::new()).is_ok(), encode(&fast, &mut Vec::new()).is_ok()];
        assert_eq!(ends, [fits; 2], "{links} links");
    }
}

/// Elsewhere numbers in memory are not what the codec writes, and a fault is found element by element.
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
#[test]
fn an_array_that_is_cut_short_says_where() {
    let error = decode::<(u8, [u32; 4])>(&[0; 11], vec![]).unwrap_err();
    let expected = |error: &DecodeError| {
        let short = matches!(error, DecodeError::Malformed { at: 0, fault: Fault::Short { .. } });
        assert!(short, "{error}");
    };
    expected(&error);
    let error = decode::<Vec<[u32; 4]>>(&[&2u64.to_le_bytes()[..], &[0; 20]].concat(), vec![]);
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message is malformed at byte 24: expected 16 more bytes, found 4"
    );
}
