//! Rings that keep the newest items.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::raw::{Position, SLOTS_OFFSET, Word};
use crossproc_queue::{PutError, Queue, TryGetError, TryPutError};
use crossproc_segment::wait::wait_any;
use crossproc_segment::{Segment, Shape};

fn keeps_the_newest<T: Message + Clone + PartialEq + std::fmt::Debug>(items: &[T]) {
    let queue = Queue::<T>::bounded(3).unwrap();
    let mut out = Vec::new();
    for item in items {
        let was_full = queue.is_full();
        let displaced = queue.put_over(item.clone()).unwrap();
        assert_eq!(displaced.len(), usize::from(was_full));
        out.extend(displaced);
    }
    assert_eq!(out, items[..items.len() - 3]);
    let left: Vec<T> = (0..3).map(|_| queue.try_get().unwrap()).collect();
    assert_eq!(left, items[items.len() - 3..]);
    assert!(queue.is_empty());

    let ring = Queue::<T>::options().overwrite(true).bounded(3).unwrap();
    for (number, item) in items.iter().enumerate() {
        match number % 3 {
            0 => ring.put(item.clone()).unwrap(),
            1 => ring.try_put(item.clone()).unwrap(),
            _ => ring.put_timeout(item.clone(), Duration::MAX).unwrap(),
        }
    }
    assert_eq!(ring.overwritten(), items.len() as u64 - 3);
    let left: Vec<T> = (0..3).map(|_| ring.try_get().unwrap()).collect();
    assert_eq!(left, items[items.len() - 3..]);
    assert!(matches!(ring.try_get(), Err(TryGetError::Empty)));
}

#[test]
fn the_oldest_items_make_room_for_the_newest() {
    keeps_the_newest(&(0..10_u64).collect::<Vec<_>>());
    keeps_the_newest(&(0..10_u64).map(|number| [number; 20]).collect::<Vec<_>>());
    keeps_the_newest(&(0..10).map(|number| format!("{number}")).collect::<Vec<_>>());
    keeps_the_newest(&(0..10).map(|number| format!("{number}").repeat(500)).collect::<Vec<_>>());
}

#[test]
fn the_memory_of_displaced_messages_comes_back() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let options = Queue::<Vec<u8>>::options().overwrite(true);
    let ring = options.create(&segment, "ring", 2).unwrap();
    for number in 0..200_u8 {
        ring.put(vec![number; 100_000]).unwrap();
    }
    assert_eq!(ring.get().unwrap(), [198; 100_000]);
    let plain = Queue::<Vec<u8>>::create(&segment, "plain", 2).unwrap();
    for number in 0..200_u8 {
        plain.put_over(vec![number; 100_000]).unwrap();
    }
    assert_eq!(plain.get().unwrap(), [198; 100_000]);
}

#[test]
fn a_closed_ring_refuses_and_keeps_what_it_has() {
    let ring = Queue::<u64>::options().overwrite(true).bounded(2).unwrap();
    ring.put(1).unwrap();
    ring.put(2).unwrap();
    ring.close();
    assert!(matches!(ring.put(3), Err(PutError::Closed(3))));
    assert!(matches!(ring.put_over(4).unwrap_err().error, TryPutError::Closed(4)));
    assert_eq!((ring.get().unwrap(), ring.get().unwrap()), (1, 2));
    assert_eq!(ring.overwritten(), 0);
}

#[test]
fn what_cannot_be_put_displaces_nothing() {
    let options = Queue::<String>::options().overwrite(true).max_message_bytes(50);
    let ring = options.bounded(1).unwrap();
    ring.put("first".to_owned()).unwrap();
    assert!(matches!(ring.put("x".repeat(100)), Err(PutError::TooLarge { .. })));
    assert!(matches!(ring.try_put("x".repeat(100)), Err(TryPutError::TooLarge { .. })));
    let error = ring.put_over("x".repeat(100)).unwrap_err();
    assert!(matches!(error.error, TryPutError::TooLarge { .. }));
    assert!(error.displaced.is_empty());
    assert_eq!(ring.get().unwrap(), "first");
}

#[test]
fn a_ring_is_one_for_each_of_its_handles() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let made = Queue::<u8>::options().overwrite(true).create(&segment, "ring", 1).unwrap();
    let opened = Queue::<u8>::open(&segment, "ring").unwrap();
    made.put(1).unwrap();
    opened.put(2).unwrap();
    opened.clone().put(3).unwrap();
    assert_eq!((made.get().unwrap(), made.overwritten()), (3, 2));
}

/// Full is said where another thread stands still in the middle of a put, and where others take each
/// place that was made.
fn put_at_last(queue: &Queue<u64>, item: u64, displaced: &mut Vec<u64>) {
    loop {
        match queue.put_over(item) {
            Ok(out) => return displaced.extend(out),
            Err(refused) => {
                assert!(refused.error.is_full(), "{refused}");
                displaced.extend(refused.displaced);
                thread::yield_now();
            }
        }
    }
}

#[test]
fn each_item_is_displaced_or_got_once_and_in_order() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let mut all: Vec<u64> = thread::scope(|scope| {
        let mut parts: Vec<_> = (0..3_u64)
            .map(|from| {
                let queue = &queue;
                scope.spawn(move || {
                    let mut displaced = Vec::new();
                    for number in 0..3000 {
                        put_at_last(queue, from << 32 | number, &mut displaced);
                    }
                    displaced
                })
            })
            .collect();
        let taker = scope.spawn(|| queue.iter().map(Result::unwrap).collect::<Vec<u64>>());
        let mut all: Vec<u64> = parts.drain(..).flat_map(|part| part.join().unwrap()).collect();
        queue.close();
        let taken = taker.join().unwrap();
        for from in 0..3 {
            let of_one: Vec<_> = taken.iter().filter(|&&item| item >> 32 == from).collect();
            assert!(of_one.is_sorted());
        }
        all.extend(taken);
        all
    });
    all.sort_unstable();
    let due = (0..3_u64).flat_map(|from| (0..3000).map(move |number| from << 32 | number));
    assert!(all.into_iter().eq(due));
}

/// The oldest item is in the hands of a consumer that lives: who may wait waits, and nobody is told that the
/// queue is corrupt or that all was put.
#[test]
fn who_overwrites_waits_while_the_oldest_item_is_in_anothers_hands() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let options = Queue::<u64>::options().overwrite(true);
    let queue = options.create(&segment, "q", 2).unwrap();
    queue.put_many(&[1, 2]).unwrap();
    let object = segment.find("q", &Shape::of::<u64>("queue", 3)).unwrap();
    let lap = Position::from_bits(0).lap();
    // SAFETY: the slots lie there, within the object.
    let first = unsafe { object.body().add(SLOTS_OFFSET) };
    // SAFETY: aligned and mapped, and only reached as an atomic.
    let first = unsafe { first.cast::<AtomicU64>().as_ref() };
    first.store(Word::reading(lap, segment.me()).bits(), SeqCst);
    let soon = Duration::from_millis(1);
    assert!(matches!(queue.put_timeout(3, soon), Err(TryPutError::Full(3))));
    assert_eq!(queue.put_many_timeout(&[3, 4], soon).unwrap(), 0);
    thread::scope(|scope| {
        let put = scope.spawn(|| queue.put_many(&[3, 4]).is_ok());
        first.store(Word::full(lap).bits(), SeqCst);
        assert!(put.join().unwrap());
    });
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (3, 4));
    assert_eq!(queue.overwritten(), 2);
}

/// Who waits for room to put does not wait for what a put takes out.
#[test]
fn there_is_room_in_a_full_ring_unless_its_oldest_item_is_in_anothers_hands() {
    let queue = Queue::<u64>::options().overwrite(true).bounded(2).unwrap();
    let has_room = || wait_any(&[&queue.space()], Duration::ZERO).unwrap() == [0];
    queue.put_many(&[1, 2]).unwrap();
    assert!(has_room());
    let held = queue.get_ref().unwrap();
    assert!(!has_room() && queue.try_put(3).is_err());
    drop(held);
    assert!(has_room() && queue.try_put(3).is_ok());
    assert_eq!(queue.overwritten(), 1);
    queue.close();
    assert!(has_room());
}
