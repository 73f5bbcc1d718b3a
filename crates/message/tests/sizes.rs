//! Which types have one size on the wire, and what each value takes.

#![expect(clippy::large_stack_frames, reason = "serde's impls for a large type, never run")]

use std::num::NonZeroU8;

use crossproc_message::{EncodeError, Plain, Pod, encode, encode_into, fixed_size};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeTuple};

#[derive(Pod, Clone, Copy)]
#[repr(C)]
struct Frame {
    at: u64,
    pixels: [[u8; 1920 * 3]; 1080],
}

#[derive(Serialize, Deserialize)]
struct Reading {
    sensor: u16,
    valid: bool,
    values: (f32, [f64; 4]),
    id: Plain<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct Wrapper(Frame);

#[derive(Serialize, Deserialize)]
enum Either {
    This(u64),
    That(u64),
}

#[test]
fn what_does_not_vary_has_a_size() {
    assert_eq!(fixed_size::<()>(), Some(0));
    assert_eq!(fixed_size::<u64>(), Some(8));
    assert_eq!(fixed_size::<usize>(), Some(8));
    assert_eq!(fixed_size::<char>(), Some(4));
    assert_eq!(fixed_size::<NonZeroU8>(), Some(1));
    assert_eq!(fixed_size::<[f64; 8]>(), Some(64));
    assert_eq!(fixed_size::<(u8, u64)>(), Some(9), "no padding on the wire");
    assert_eq!(fixed_size::<Reading>(), Some(2 + 1 + 4 + 32 + 16));
    assert_eq!(fixed_size::<Frame>(), Some(8 + 1920 * 1080 * 3));
    assert_eq!(fixed_size::<Wrapper>(), fixed_size::<Frame>());
    assert_eq!(fixed_size::<Plain<[u8; 4096]>>(), Some(4096));
}

#[test]
fn what_varies_or_owns_has_none() {
    assert_eq!(fixed_size::<Option<u64>>(), None);
    assert_eq!(fixed_size::<Either>(), None);
    assert_eq!(fixed_size::<String>(), None);
    assert_eq!(fixed_size::<(u64, Vec<u8>)>(), None);
    assert_eq!(fixed_size::<Box<u64>>(), None);
    assert_eq!(fixed_size::<(u8, Frame)>(), None, "too large to try on a stack");
}

#[test]
fn each_kind_takes_the_bytes_of_the_table() {
    fn size<T: crossproc_message::Message>(value: T) -> usize {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).unwrap();
        bytes.len()
    }
    assert_eq!(size("abc".to_string()), 8 + 3);
    assert_eq!(size(vec![1u16, 2]), 8 + 4);
    assert_eq!(size(Some(1u32)), 1 + 4);
    assert_eq!(size(None::<u32>), 1);
    assert_eq!(size(Either::This(1)), 4 + 8);
    assert_eq!(size(vec![(); 3]), 8 + 3, "an empty element takes a byte");
    assert_eq!(size(Plain([1u32; 3])), 12);
}

#[test]
fn a_serialize_that_breaks_the_promise_is_an_error() {
    #[derive(Deserialize)]
    struct Uneven(#[expect(dead_code, reason = "only read by serde")] [u8; 2], u8);

    impl Serialize for Uneven {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut bytes = serializer.serialize_tuple(0)?;
            (0..self.1).try_for_each(|byte| bytes.serialize_element(&byte))?;
            bytes.end()
        }
    }

    for written in [2, 4] {
        let value = Uneven([0; 2], written);
        let mut slot = [0; 8];
        let error = encode_into(&value, &mut slot).unwrap_err();
        assert!(matches!(error, EncodeError::Uneven { expected: 3 }), "{error}");
        let mut bytes = vec![1];
        assert!(encode(&value, &mut bytes).is_err());
        assert_eq!(bytes, [1], "nothing is appended");
    }
    let error = encode_into(&Uneven([0; 2], 3), &mut [0; 2]).unwrap_err();
    assert!(matches!(error, EncodeError::Full { room: 2 }), "{error}");
}
