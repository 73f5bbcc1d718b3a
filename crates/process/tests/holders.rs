//! A handle in an anonymous segment reaches others though the process that sent it has ended.

use crossproc_message::Message;
use crossproc_segment::{Object, Segment, Shape};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crossproc_process::test_init!();

const SHAPE: Shape = Shape::untyped("test", 1);

struct Handle(Object);

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(&SHAPE, deserializer).map(Handle)
    }
}

fn assert_message<T: Message>() {}

/// Makes a segment and returns the bytes of a ticket in it, which the segment does not travel with.
fn ticket_of_a_new_segment(handle: Handle) -> Vec<u8> {
    encode(&handle)
}

fn encode(handle: &Handle) -> Vec<u8> {
    let mut bytes = Vec::new();
    crossproc_message::encode(handle, &mut bytes).expect("a handle encodes");
    bytes
}

fn reaches(ticket: Vec<u8>) -> bool {
    crossproc_message::decode::<Handle>(&ticket, Vec::new()).is_ok()
}

#[test]
fn another_holder_is_asked_when_the_sender_has_ended() {
    assert_message::<Handle>();
    let segment = Segment::anonymous(1 << 16).expect("a segment");
    let object = segment.construct(None, &SHAPE, 8, |_| {}).expect("an object");
    // The child attaches, sends a ticket of its own, and ends: only this process has the segment.
    let child = crossproc_process::spawn((Handle(object),), ticket_of_a_new_segment);
    let ticket = child.expect("a child").join().expect("its ticket");
    let other = crossproc_process::spawn((ticket.clone(),), reaches).expect("a child");
    assert!(other.join().expect("its answer"));
    // With the last holder gone the segment is.
    drop(segment);
    let other = crossproc_process::spawn((ticket,), reaches).expect("a child");
    assert!(!other.join().expect("its answer"));
}
