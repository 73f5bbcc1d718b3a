//! Handles inside messages: which segments they need, and what becomes of them elsewhere.

use crossproc_message::{DecodeError, EncodeError, decode, encode, encode_into, fixed_size};
use crossproc_segment::Segment;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug)]
struct Job {
    id: u32,
    inputs: Vec<Segment>,
    output: Option<Segment>,
}

#[test]
fn a_message_names_each_segment_of_its_handles_once() {
    let (first, second) =
        (Segment::anonymous(1 << 20).unwrap(), Segment::anonymous(1 << 20).unwrap());
    let inputs = vec![first.clone(), second.clone(), first.clone()];
    let job = Job { id: 7, inputs, output: Some(second.clone()) };

    let mut bytes = Vec::new();
    let sent = encode(&job, &mut bytes).unwrap();
    let identities = |segments: &[Segment]| -> Vec<_> {
        segments.iter().map(|segment| segment.identity()).collect()
    };
    assert_eq!(identities(&sent.segments), identities(&[first.clone(), second.clone()]));
    let mut slot = vec![0; bytes.len()];
    let encoded = encode_into(&job, &mut slot).unwrap();
    assert_eq!((encoded.len, encoded.sent.segments.len()), (bytes.len(), 2));

    let read: Job = decode(&bytes, sent.segments).unwrap();
    assert_eq!(read.id, 7);
    assert_eq!(identities(&read.inputs), identities(&job.inputs));
    assert_eq!(read.output.unwrap().identity(), second.identity());
}

#[test]
fn a_message_without_handles_names_none() {
    let mut bytes = Vec::new();
    let job = Job { id: 1, inputs: vec![], output: None };
    assert!(encode(&job, &mut bytes).unwrap().segments.is_empty());
    assert!(decode::<Job>(&bytes, vec![]).unwrap().inputs.is_empty());
}

#[test]
fn a_handle_has_no_fixed_size() {
    assert_eq!(fixed_size::<Segment>(), None);
    assert_eq!(fixed_size::<(u64, Segment)>(), None);
}

#[test]
fn a_handle_that_cannot_be_attached_says_why() {
    let mut bytes = Vec::new();
    let segment = Segment::anonymous(1 << 20).unwrap();
    drop(encode(&segment, &mut bytes).unwrap());
    // The identity: what lies at the sender's descriptor is another segment then.
    bytes[0] ^= 0xff;
    let error = decode::<Segment>(&bytes, vec![]).unwrap_err();
    assert!(matches!(error, DecodeError::Unreachable(_)), "{error}");
    let error = decode::<Segment>(&bytes[..3], vec![]).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
}

#[test]
fn a_handle_in_another_format_is_refused_both_ways() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let text = serde_json::to_string(&segment).unwrap_err().to_string();
    assert!(text.contains("only be serialised on its way to another process"), "{text}");
    let text = serde_json::from_str::<Segment>("0").unwrap_err().to_string();
    assert!(text.contains("only be serialised on its way to another process"), "{text}");
}

#[test]
fn a_message_inside_a_serialize_has_its_own_scope() {
    /// Writes a message of its own while it is written.
    #[derive(Deserialize)]
    struct Nested(Segment);

    impl Serialize for Nested {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let other = Segment::anonymous(1 << 20).map_err(serde::ser::Error::custom)?;
            let sent = encode(&other, &mut Vec::new()).map_err(serde::ser::Error::custom)?;
            assert_eq!(sent.segments.len(), 1);
            self.0.serialize(serializer)
        }
    }

    let segment = Segment::anonymous(1 << 20).unwrap();
    let nested = (segment.clone(), Nested(segment.clone()));
    let sent: Result<_, EncodeError> = encode(&nested, &mut Vec::new());
    let sent = sent.unwrap();
    assert_eq!(sent.segments.len(), 1);
    assert_eq!(sent.segments[0].identity(), segment.identity());
}
