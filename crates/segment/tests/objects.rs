//! Objects: by name, by ticket, refused, freed.
#![cfg(not(crossproc_loom))]

use crossproc_segment::transit::{receiving, sending, unreachable_error};
use crossproc_segment::{Error, Object, Segment, Shape};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn shape() -> Shape {
    Shape::of::<u64>("test", 1)
}

fn byte(object: &Object) -> u8 {
    // SAFETY: the body is mapped and nobody else writes to it here.
    unsafe { object.body().read() }
}

#[test]
fn a_named_object_is_found_with_what_its_maker_wrote() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    // SAFETY: the body has 100 bytes.
    let fill = |body: core::ptr::NonNull<u8>| unsafe { body.write(7) };
    let made = segment.construct(Some("a"), &shape(), 100, fill).unwrap();
    let found = segment.find("a", &shape()).unwrap();
    assert_eq!((byte(&made), byte(&found), found.body_bytes()), (7, 7, 100));
    assert_eq!(found.body().addr().get() % 128, 0);
    let again = segment.construct(Some("a"), &shape(), 100, |_| {});
    assert!(matches!(again, Err(Error::Exists { .. })));
    assert!(!segment.find_or_construct("a", &shape(), 100, |_| {}).unwrap().1);
    assert!(segment.find_or_construct("b", &shape(), 100, |_| {}).unwrap().1);
    let mut names: Vec<_> = segment.objects().into_iter().map(|o| o.name).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn an_object_of_another_kind_version_or_type_is_refused() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    segment.construct(Some("x"), &shape(), 8, |_| {}).unwrap();
    let error = segment.find("x", &Shape::of::<u64>("queue", 1)).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" is a test, not a queue");
    let error = segment.find("x", &Shape::of::<u64>("test", 2)).unwrap_err();
    assert!(matches!(error, Error::Layout { expected: 2, found: 1, .. }));
    let error = segment.find("x", &Shape::of::<f64>("test", 1)).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" is a test of u64, not of f64");
    assert!(matches!(segment.find("y", &shape()), Err(Error::NotFound { .. })));
}

#[test]
fn names_that_break_the_rules_are_refused() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    for name in ["", "a\0b", "a/b", &"x".repeat(96)] {
        let error = segment.construct(Some(name), &shape(), 8, |_| {}).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name:?}: {error}");
    }
    assert!(segment.construct(Some(&"x".repeat(95)), &shape(), 8, |_| {}).is_ok());
}

#[test]
fn a_removed_object_stays_for_those_who_have_it_and_its_name_is_free() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    // SAFETY: the body has 8 bytes.
    let old = segment.construct(Some("n"), &shape(), 8, |b| unsafe { b.write(1) }).unwrap();
    segment.remove("n").unwrap();
    assert!(matches!(segment.remove("n"), Err(Error::NotFound { .. })));
    // SAFETY: as above.
    let new = segment.construct(Some("n"), &shape(), 8, |b| unsafe { b.write(2) }).unwrap();
    assert_eq!((byte(&old), byte(&new)), (1, 2));
}

#[test]
fn room_comes_back() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    for _ in 0..100 {
        let object = segment.construct(None, &shape(), 600 << 10, |_| {}).unwrap();
        let refused = segment.construct(None, &shape(), 600 << 10, |_| {});
        assert!(matches!(refused, Err(Error::NoRoom { .. })));
        drop(object);
        drop(segment.construct(Some("n"), &shape(), 600 << 10, |_| {}).unwrap());
        segment.remove("n").unwrap();
    }
}

#[test]
fn a_maker_that_panics_leaves_nothing() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    for _ in 0..5 {
        let panicked = std::panic::catch_unwind(|| {
            segment.construct(Some("p"), &shape(), 600 << 10, |_| panic!("on purpose"))
        });
        assert!(panicked.is_err());
    }
    assert!(segment.objects().is_empty());
    segment.construct(Some("p"), &shape(), 600 << 10, |_| {}).unwrap();
}

/// A handle, as the primitives have it.
#[derive(Debug)]
struct Handle(Object);

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(&shape(), deserializer).map(Handle)
    }
}

#[test]
fn a_ticket_attaches_and_only_in_transit() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    // SAFETY: the body has 8 bytes.
    let object = segment.construct(None, &shape(), 8, |b| unsafe { b.write(3) }).unwrap();
    let handle = Handle(object);
    let error = serde_json::to_string(&handle).unwrap_err();
    assert!(error.to_string().contains("only be serialised on its way"), "{error}");
    let (ticket, sent) = sending(|| serde_json::to_string(&handle).unwrap());
    assert_eq!(sent.segments.as_slice(), std::slice::from_ref(&segment));
    assert!(serde_json::from_str::<Handle>(&ticket).is_err());
    drop(handle); // The object stays: its ticket is out.
    let attached: Handle = receiving(Vec::new(), || serde_json::from_str(&ticket).unwrap());
    assert_eq!(byte(&attached.0), 3);
}

#[test]
fn a_ticket_of_a_removed_object_says_gone_and_a_foreign_one_unreachable() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let handle = Handle(segment.construct(Some("g"), &shape(), 8, |_| {}).unwrap());
    let (ticket, _) = sending(|| serde_json::to_string(&handle).unwrap());
    drop(handle);
    segment.remove("g").unwrap();
    let attach = |ticket: &str| receiving(Vec::new(), || serde_json::from_str::<Handle>(ticket));
    assert!(attach(&ticket).is_err());
    assert!(matches!(unreachable_error(), Some(Error::Gone)));
    assert!(unreachable_error().is_none());
    let mut value: serde_json::Value = serde_json::from_str(&ticket).unwrap();
    value["identity"] = serde_json::json!([1, 2]);
    assert!(attach(&value.to_string()).is_err());
    assert!(matches!(unreachable_error(), Some(Error::Unreachable { .. })));
    value["pid"] = serde_json::json!(4_000_000);
    assert!(attach(&value.to_string()).is_err());
    let error = unreachable_error().unwrap();
    assert!(error.to_string().contains("has ended"), "{error}");
}

#[test]
fn garbage_tickets_are_errors() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let handle = Handle(segment.construct(None, &shape(), 8, |_| {}).unwrap());
    let (ticket, _) = sending(|| serde_json::to_string(&handle).unwrap());
    let mut value: serde_json::Value = serde_json::from_str(&ticket).unwrap();
    let mut state = 88_172_645_463_325_252u64;
    for _ in 0..2000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value["object"] = serde_json::json!(state);
        let text = value.to_string();
        assert!(receiving(Vec::new(), || serde_json::from_str::<Handle>(&text)).is_err());
    }
    let text: Result<Handle, serde::de::value::Error> =
        receiving(Vec::new(), || Handle::deserialize("text".into_deserializer()));
    assert!(text.is_err());
}

#[test]
fn the_tree_has_its_table_of_holders_before_anybody_can_wait_for_it() {
    let tree = Segment::tree().unwrap();
    assert!(tree.objects().iter().any(|object| object.name == "crossproc.holders"));
}
