//! What is written is what is read.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt::Debug,
    net::IpAddr,
    num::NonZeroU64,
    time::Duration,
};

use crossproc_message::{Message, Plain, Pod, decode, encode, encode_into, fixed_size};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Pose {
    at: u64,
    position: [f64; 3],
    rotation: [f64; 3],
}

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C, packed)]
struct Packed(u8, u32);

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
struct Id(u32);

#[derive(Pod, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Nothing;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Order {
    Start,
    Text(String),
    Move { x: f64, to: Pose },
    Pair(u8, Option<Id>),
    Group(Vec<Self>),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Everything<T> {
    numbers: (u8, i16, u32, i64, u128, usize),
    truth: bool,
    letter: char,
    unit: (),
    nothing: [(); 2],
    list: VecDeque<T>,
    map: BTreeMap<String, Box<T>>,
    #[serde(skip)]
    local: u32,
}

fn round_trip<T: Message + Debug + PartialEq>(value: T) {
    let mut bytes = vec![0xee; 3];
    encode(&value, &mut bytes).unwrap();
    let message = &bytes[3..];
    assert_eq!(decode::<T>(message, vec![]).unwrap(), value);

    let mut slot = vec![0xee; message.len() + 1];
    let encoded = encode_into(&value, &mut slot).unwrap();
    assert_eq!(&slot[..encoded.len], message, "both ways of writing write the same");
    assert!(fixed_size::<T>().is_none_or(|size| size == message.len()));
    for room in 0..message.len() {
        assert!(encode_into(&value, &mut slot[..room]).is_err(), "{room} bytes are too few");
    }
}

#[test]
fn numbers_and_their_kin() {
    round_trip(7u8);
    round_trip(-7i64);
    round_trip(u128::MAX);
    round_trip(i128::MIN);
    round_trip(usize::MAX);
    round_trip(1.5f32);
    round_trip(f64::NEG_INFINITY);
    round_trip(true);
    round_trip('ß');
    round_trip(());
    round_trip(NonZeroU64::MIN);
    round_trip(Duration::from_millis(1500));
    round_trip([0.5f64; 8]);
    round_trip((1u8, 2u16, [3u32; 3]));
}

#[test]
fn plain_data_alone_and_inside() {
    let pose = Pose { at: 1, position: [0.5; 3], rotation: [2.0; 3] };
    round_trip(pose);
    round_trip(Packed(1, 2));
    round_trip(Id(9));
    round_trip(Nothing);
    round_trip(Plain([7u8; 300]));
    round_trip(vec![pose; 3]);
    round_trip((1u8, pose, Some(Id(4))));
    round_trip(Order::Move { x: 1.0, to: pose });
    round_trip(vec![Nothing; 3]);
}

#[test]
fn text_sequences_and_maps() {
    round_trip(String::from("grüße"));
    round_trip(vec![1u8, 2, 3]);
    round_trip(vec![1.0f64, -0.0]);
    round_trip(vec![usize::MAX; 2]);
    round_trip(Vec::<u64>::new());
    round_trip(vec![String::new(), String::from("a")]);
    round_trip(vec![vec![vec![1u16]], vec![]]);
    round_trip(vec![(); 5]);
    round_trip(VecDeque::from([1u8, 2]));
    round_trip(HashSet::from([3u32, 4]));
    round_trip(HashMap::from([(1u8, String::from("x")), (2, String::new())]));
    round_trip(BTreeMap::from([((), ())]));
    round_trip(Some(Box::new(IpAddr::from([127, 0, 0, 1]))));
    round_trip(Box::<[i32]>::from([1, 2]));
    round_trip(Result::<u8, String>::Err("no".into()));
}

#[test]
fn structs_and_enums() {
    round_trip(Order::Start);
    round_trip(Order::Text("a".into()));
    round_trip(Order::Pair(1, None));
    round_trip(Order::Group(vec![Order::Start, Order::Group(vec![])]));
    round_trip(Everything {
        numbers: (1, -2, 3, -4, 5, 6),
        truth: true,
        letter: 'q',
        unit: (),
        nothing: [(), ()],
        list: VecDeque::from([Order::Start]),
        map: BTreeMap::from([("k".into(), Box::new(Order::Pair(2, Some(Id(3)))))]),
        local: 0,
    });
}

#[test]
fn a_sequence_of_unknown_length_gets_its_length_at_the_end() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Odd(Vec<u32>);

    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut inner = serializer.serialize_seq(None)?;
            for number in self.0.iter().filter(|number| *number % 2 == 1) {
                inner.serialize_element(number)?;
            }
            inner.end()
        }
    }

    let mut bytes = Vec::new();
    encode(&(1u8, Odd(vec![1, 2, 3])), &mut bytes).unwrap();
    assert_eq!(bytes.len(), 1 + 8 + 2 * 4);
    assert_eq!(decode::<(u8, Odd)>(&bytes, vec![]).unwrap(), (1, Odd(vec![1, 3])));
    let mut slot = [0; 17];
    encode_into(&(1u8, Odd(vec![1, 2, 3])), &mut slot).unwrap();
    assert_eq!(slot, *bytes);
}

#[test]
fn a_visitor_of_the_users_is_asked_even_for_a_vec_of_numbers() {
    fn sorted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Sorted;
        impl<'de> serde::de::Visitor<'de> for Sorted {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut numbers: A,
            ) -> Result<Vec<u8>, A::Error> {
                let mut sorted = Vec::new();
                while let Some(number) = numbers.next_element()? {
                    sorted.push(number);
                }
                sorted.sort_unstable();
                Ok(sorted)
            }
        }
        deserializer.deserialize_seq(Sorted)
    }

    #[derive(Serialize, Deserialize)]
    struct Numbers(#[serde(deserialize_with = "sorted")] Vec<u8>);

    let mut bytes = Vec::new();
    encode(&Numbers(vec![3, 1, 2]), &mut bytes).unwrap();
    assert_eq!(decode::<Numbers>(&bytes, vec![]).unwrap().0, [1, 2, 3]);
}

#[test]
fn plain_data_survives_other_formats() {
    let pose = Pose { at: 1, position: [0.5; 3], rotation: [2.0; 3] };
    let json = serde_json::to_string(&pose).unwrap();
    assert_eq!(serde_json::from_str::<Pose>(&json).unwrap(), pose);
    assert!(serde_json::from_str::<Pose>("[1, 2]").is_err());
}
