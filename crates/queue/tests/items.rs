//! Items of every form: words, bytes, messages in the slot and in blocks, with handles and without.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossproc_message::{DecodeError, Message};
use crossproc_queue::{GetError, PutError, Queue, TryGetError, TryPutError};
use crossproc_segment::Segment;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn goes_through<T: Message + Clone + PartialEq + std::fmt::Debug>(items: &[T]) {
    let queue = Queue::<T>::bounded(3).unwrap();
    for items in items.chunks(3) {
        for item in items {
            queue.put(item.clone()).unwrap();
        }
        for item in items {
            assert_eq!(&queue.get().unwrap(), item);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Command {
    Start,
    Text(String),
    Move { x: f64, y: f64 },
    Many(Vec<Option<u8>>),
}

#[test]
fn items_of_one_size_go_through_unchanged() {
    goes_through(&[(), (), ()]);
    goes_through(&[u8::MAX, 0, 1]);
    goes_through(&[true, false]);
    goes_through(&[u128::MAX, 1 << 64]);
    goes_through(&[(1_u8, 2_u64, 3_u16), (4, 5, 6)]);
    goes_through(&[[7_u64; 8], [u64::MAX; 8]]);
    goes_through(&[[7_u64; 9], [8; 9], [9; 9], [10; 9]]);
    goes_through(&[[[1.5_f64; 16]; 16], [[2.5; 16]; 16]]);
}

#[test]
fn items_of_any_size_go_through_unchanged() {
    let commands = [
        Command::Start,
        Command::Text("hello".to_string()),
        Command::Move { x: 1.5, y: -1.0 },
        Command::Many(vec![Some(7); 300]),
    ];
    goes_through(&commands);
    goes_through(&[None, Some(7_u64)]);
    goes_through(&[vec![String::new(); 100], vec![], vec!["x".repeat(1000)]]);
}

#[test]
fn strings_of_every_length_up_to_megabytes_arrive_whole() {
    let queue = Queue::<String>::bounded(4).unwrap();
    let lengths = (0..300).chain([1000, 4096, 65_535, 65_536, 1 << 20, (4 << 20) + 3]);
    for length in lengths {
        let text: String = ('a'..='z').cycle().take(length).collect();
        queue.put(text.clone()).unwrap();
        queue.put(text.clone()).unwrap();
        assert_eq!(queue.get().unwrap(), text);
        assert_eq!(queue.get().unwrap(), text);
    }
}

#[test]
fn blocks_of_taken_messages_are_free_again() {
    let segment = Segment::anonymous(4 << 20).unwrap();
    let queue = Queue::<Vec<u8>>::create(&segment, "q", 8).unwrap();
    // A hundred times what the segment holds.
    for round in 0..400_u32 {
        let length = 1 << 20 | (round as usize % 7);
        queue.put(vec![round.to_le_bytes()[0]; length]).unwrap();
        assert_eq!(queue.get().unwrap(), vec![round.to_le_bytes()[0]; length]);
    }
}

#[test]
fn a_message_for_which_there_is_no_room_comes_back_and_the_queue_goes_on() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<Vec<u8>>::create(&segment, "q", 8).unwrap();
    match queue.put(vec![1; 2 << 20]) {
        Err(PutError::OutOfMemory { item, bytes }) => assert_eq!(bytes, item.len() as u64 + 8),
        other => panic!("{other:?}"),
    }
    let mut put = 0;
    while queue.try_put(vec![2; 100_000]).is_ok() {
        put += 1;
    }
    let error = queue.try_put(vec![3; 100_000]).unwrap_err();
    assert!(matches!(error, TryPutError::OutOfMemory { .. } | TryPutError::Full(_)), "{error}");
    for _ in 0..put {
        assert_eq!(queue.get().unwrap(), vec![2; 100_000]);
    }
    queue.put(vec![4; 100_000]).unwrap();
    assert_eq!(queue.len(), 1);
}

#[test]
fn longer_inline_messages_need_no_block() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<Vec<u8>>::options().inline_bytes(1 << 16).create(&segment, "q", 3).unwrap();
    let found = Queue::<Vec<u8>>::open(&segment, "q").unwrap();
    while segment.blocks().alloc(1 << 12).is_some() {}
    while segment.blocks().alloc(64).is_some() {}
    queue.put(vec![1; (1 << 16) - 8]).unwrap();
    assert_eq!(found.get().unwrap(), vec![1; (1 << 16) - 8]);
    assert!(matches!(found.put(vec![1; 1 << 17]), Err(PutError::OutOfMemory { .. })));
}

/// Cannot be written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Stubborn(String);

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it would rather not"))
    }
}

#[test]
fn an_item_that_cannot_be_written_comes_back_and_claims_no_place() {
    let queue = Queue::<Stubborn>::bounded(1).unwrap();
    for _ in 0..3 {
        let error = queue.put(Stubborn("x".to_string())).unwrap_err();
        assert_eq!(error.to_string(), "the item cannot be put: it would rather not");
        assert!(matches!(&error, PutError::Encode { item, .. } if item.0 == "x"));
        assert!(std::error::Error::source(&error).is_some());
    }
    assert!(queue.is_empty());
}

thread_local! {
    static READ: Cell<Mood> = const { Cell::new(Mood::Fine) };
}

#[derive(Clone, Copy)]
enum Mood {
    Fine,
    Refuses,
    Panics,
}

/// Is read as the thread's mood says.
#[derive(Debug, PartialEq, Serialize)]
struct Moody<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Moody<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        match READ.get() {
            Mood::Fine => Ok(Self(value)),
            Mood::Refuses => Err(serde::de::Error::custom("not today")),
            Mood::Panics => panic!("not today"),
        }
    }
}

#[test]
fn an_item_that_cannot_be_read_is_reported_and_gone() {
    let queue = Queue::<Moody<String>>::bounded(4).unwrap();
    for text in ["a", "b", "c"] {
        queue.put(Moody(text.to_string())).unwrap();
    }
    READ.set(Mood::Refuses);
    let error = queue.try_get().unwrap_err();
    assert!(matches!(error, TryGetError::Malformed(_)), "{error}");
    READ.set(Mood::Panics);
    catch_unwind(AssertUnwindSafe(|| queue.get())).unwrap_err();
    READ.set(Mood::Fine);
    assert_eq!(queue.get().unwrap(), Moody("c".to_string()));
}

#[test]
fn a_queue_travels_inside_an_item() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let outer = Queue::<(u32, Queue<String>)>::create(&segment, "outer", 4).unwrap();
    let inner = Queue::<String>::create(&segment, "inner", 4).unwrap();
    outer.put((7, inner.clone())).unwrap();
    // One in the process tree's segment, which has no name.
    outer.put((8, Queue::bounded(1).unwrap())).unwrap();
    let (number, arrived) = outer.get().unwrap();
    arrived.put(format!("{number} back")).unwrap();
    assert_eq!(inner.get().unwrap(), "7 back");
    let (number, arrived) = outer.get().unwrap();
    arrived.put(number.to_string()).unwrap();
    assert_eq!(arrived.get().unwrap(), "8");
}

#[test]
fn an_item_with_a_handle_of_something_removed_is_reported_and_gone() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let outer = Queue::<(u32, Queue<String>)>::create(&segment, "outer", 4).unwrap();
    let inner = Queue::<String>::create(&segment, "inner", 4).unwrap();
    outer.put((7, inner.clone())).unwrap();
    let other = Queue::<String>::create(&segment, "other", 4).unwrap();
    outer.put((8, other.clone())).unwrap();
    segment.remove("inner").unwrap();
    drop(inner);
    let error = outer.get().unwrap_err();
    assert!(matches!(error, GetError::Malformed(DecodeError::Unreachable(_))), "{error}");
    assert_eq!(outer.get().unwrap().0, 8);
}

#[test]
fn a_panic_while_an_item_with_handles_is_read_leaves_it_first() {
    let queue = Queue::<Moody<Queue<u8>>>::bounded(4).unwrap();
    queue.put(Moody(Queue::bounded(1).unwrap())).unwrap();
    READ.set(Mood::Panics);
    catch_unwind(AssertUnwindSafe(|| queue.get())).unwrap_err();
    READ.set(Mood::Fine);
    assert_eq!(queue.len(), 1);
    assert!(queue.get().unwrap().0.is_empty());
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
}
