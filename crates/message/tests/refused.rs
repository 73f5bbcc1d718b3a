//! What cannot cross is refused by a sentence that says why.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeMap;

use crossproc_message::{DecodeError, EncodeError, Fault, Message, decode, encode};
use serde::{Deserialize, Serialize};

fn bytes_of<T: Message>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

#[test]
fn types_that_need_a_description_are_named_as_such() {
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(u32),
    }
    #[derive(Serialize, Deserialize, Debug)]
    #[serde(tag = "kind")]
    enum Tagged {
        Number { number: u32 },
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, u32>,
    }

    let untagged = decode::<Untagged>(&bytes_of(&Untagged::Number(1)), vec![]).unwrap_err();
    assert!(matches!(untagged, DecodeError::SelfDescribing), "{untagged}");
    assert!(untagged.to_string().contains("untagged"), "{untagged}");
    let tagged = Tagged::Number { number: 1 };
    let tagged = decode::<Tagged>(&bytes_of(&tagged), vec![]).unwrap_err();
    assert!(matches!(tagged, DecodeError::SelfDescribing), "{tagged}");
    let flat = Flat { rest: BTreeMap::from([("a".into(), 1)]) };
    let flat = decode::<Flat>(&bytes_of(&flat), vec![]).unwrap_err();
    assert!(matches!(flat, DecodeError::SelfDescribing), "{flat}");
}

#[test]
fn a_skipped_field_is_refused_by_name() {
    #[derive(Serialize, Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    }

    let mut bytes = vec![9];
    let error = encode(&Sparse { comment: None }, &mut bytes).unwrap_err();
    assert!(matches!(error, EncodeError::SkippedField { field: "comment" }));
    assert!(error.to_string().starts_with("field `comment` was left out"), "{error}");
    assert_eq!(bytes, [9], "nothing is appended");
}

#[test]
fn a_chain_is_refused_by_the_sender_and_by_the_receiver() {
    #[derive(Serialize, Deserialize, Debug, Default)]
    struct Node {
        next: Option<Box<Self>>,
    }

    let chain =
        |nodes| (0..nodes).fold(Node::default(), |node, _| Node { next: Some(Box::new(node)) });
    // A node is two levels, the struct and the option; the last has no option inside.
    let deepest = bytes_of(&chain(127));
    decode::<Node>(&deepest, vec![]).unwrap();
    let error = encode(&chain(128), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EncodeError::TooDeep), "{error}");

    let hostile = vec![1; 1 << 20];
    let error = decode::<Node>(&hostile, vec![]).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { fault: Fault::TooDeep, .. }), "{error}");
}

#[test]
fn a_type_that_contains_itself_ends_in_an_error() {
    #[derive(Serialize, Deserialize, Debug)]
    struct Endless(Box<Self>);

    assert!(decode::<Endless>(&[], vec![]).is_err());
}

#[test]
fn bytes_that_are_no_value_say_where_and_what() {
    fn fault<T: Message + std::fmt::Debug>(bytes: &[u8]) -> (usize, Fault) {
        match decode::<T>(bytes, vec![]).unwrap_err() {
            DecodeError::Malformed { at, fault } => (at, fault),
            other => panic!("{other}"),
        }
    }
    assert_eq!(fault::<u32>(&[1]), (0, Fault::Short { expected: 4, found: 1 }));
    assert_eq!(fault::<u8>(&[1, 2]), (1, Fault::Trailing { bytes: 1 }));
    assert_eq!(fault::<bool>(&[2]), (1, Fault::Bool(2)));
    assert_eq!(fault::<Option<u8>>(&[7]), (1, Fault::Bool(7)));
    assert_eq!(fault::<char>(&[0, 0xd8, 0, 0]), (4, Fault::Char(0xd800)));
    assert_eq!(fault::<String>(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff]), (9, Fault::Utf8));
    let huge = [0xff; 8];
    assert_eq!(fault::<Vec<u64>>(&huge), (8, Fault::Length { claimed: u64::MAX, left: 0 }));
    assert_eq!(fault::<Vec<()>>(&huge), (8, Fault::Length { claimed: u64::MAX, left: 0 }));
    let two = [2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
    assert_eq!(fault::<Vec<u64>>(&two), (8, Fault::Short { expected: 16, found: 3 }));
}

#[test]
fn a_variant_that_is_not_there_is_refused_by_the_type() {
    let error = decode::<Result<u8, u8>>(&[9, 0, 0, 0, 1], vec![]).unwrap_err();
    assert!(matches!(error, DecodeError::Refused(_)), "{error}");
    assert!(error.to_string().contains("expected `Ok` or `Err`"), "{error}");
}
