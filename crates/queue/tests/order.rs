//! Order, capacity, waiting and closing, within one process.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossproc_queue::{Error, GetError, PutError, Queue, TryGetError, TryPutError};
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;

const SOON: Duration = Duration::from_millis(5);

#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    let queue = Queue::<u64>::bounded(100).unwrap();
    for round in 0..7 {
        for item in 0..100 {
            queue.put(round * 100 + item).unwrap();
        }
        for item in 0..100 {
            assert_eq!(queue.get().unwrap(), round * 100 + item);
        }
    }
}

/// Fills a queue, one item more than it holds, and drains it.
fn fill_and_drain(queue: &Queue<u32>) {
    for item in 0..queue.capacity() {
        assert_eq!((queue.len(), queue.is_full()), (item, false));
        queue.try_put(7).unwrap();
    }
    assert!(queue.is_full());
    assert!(matches!(queue.try_put(8), Err(TryPutError::Full(8))));
    for left in (0..queue.capacity()).rev() {
        assert_eq!((queue.try_get().unwrap(), queue.len()), (7, left));
    }
    assert!(queue.is_empty());
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
}

#[test]
fn a_queue_holds_exactly_as_many_items_as_it_has_places() {
    for capacity in [1, 2, 3, 7, 1000] {
        let queue = Queue::<u32>::bounded(capacity).unwrap();
        assert_eq!(queue.capacity(), capacity);
        for lap in 0..3 {
            // Off the first slot, so that the ring is filled across its end.
            queue.put(lap).unwrap();
            assert_eq!(queue.get().unwrap(), lap);
            fill_and_drain(&queue);
        }
    }
}

#[test]
fn a_capacity_that_cannot_be_is_an_error_of_its_own() {
    assert!(matches!(Queue::<u8>::bounded(0), Err(Error::ZeroCapacity)));
    let many = (1 << 24) + 1;
    let error = Queue::<u8>::bounded(many).unwrap_err();
    assert!(matches!(error, Error::CapacityTooLarge { capacity } if capacity == many));
    assert!(error.to_string().contains("between 1 and 16777216"), "{error}");
    let error = Queue::<String>::options().inline_bytes(usize::MAX / 2).bounded(9).unwrap_err();
    assert!(matches!(error, Error::SizeOverflow { capacity: 9, .. }), "{error}");
    let segment = Segment::anonymous(1 << 20).unwrap();
    let error = Queue::<u64>::create(&segment, "large", 1 << 24).unwrap_err();
    assert!(matches!(error, Error::Segment(crossproc_segment::Error::NoRoom { .. })), "{error}");
    assert!(Queue::<u64>::create(&segment, "large", 10).is_ok(), "nothing half-made is left");
}

#[test]
fn a_queue_of_another_type_or_kind_is_not_opened() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    Queue::<u64>::create(&segment, "numbers", 10).unwrap();
    let error = Queue::<i64>::open(&segment, "numbers").unwrap_err();
    assert_eq!(error.to_string(), "\"numbers\" is a queue of u64, not of i64");
    let error = Queue::<u64>::open(&segment, "letters").unwrap_err();
    assert!(matches!(error, Error::Segment(crossproc_segment::Error::NotFound { .. })), "{error}");
}

#[test]
fn waiting_ends_at_the_deadline() {
    let queue = Queue::<u32>::bounded(1).unwrap();
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(SOON), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_deadline(Deadline::after(SOON)), Err(TryGetError::Empty)));
    queue.put_timeout(1, SOON).unwrap();
    assert!(matches!(queue.put_timeout(2, SOON), Err(TryPutError::Full(2))));
    assert!(matches!(queue.put_deadline(3, Deadline::after(SOON)), Err(TryPutError::Full(3))));
    assert!(start.elapsed() >= 4 * SOON);
    assert_eq!(queue.get_timeout(SOON).unwrap(), 1);
    assert!(matches!(queue.get_timeout(Duration::ZERO), Err(TryGetError::Empty)));
}

#[test]
fn a_closed_queue_gives_what_it_holds_and_then_ends() {
    let queue = Queue::<u32>::bounded(4).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.close();
    queue.close();
    assert!(queue.is_closed());
    assert!(matches!(queue.put(3), Err(PutError::Closed(3))));
    assert!(matches!(queue.try_put(3), Err(TryPutError::Closed(3))));
    assert!(matches!(queue.put_timeout(3, SOON), Err(TryPutError::Closed(3))));
    assert_eq!(queue.len(), 2);
    let rest: Vec<_> = queue.iter().map(Result::unwrap).collect();
    assert_eq!(rest, [1, 2]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.get_timeout(SOON), Err(TryGetError::Closed)));
    assert_eq!(queue.iter().count(), 0);
}

#[test]
fn closing_wakes_all_who_wait() {
    let empty = Queue::<u32>::bounded(1).unwrap();
    let full = Queue::<u32>::bounded(1).unwrap();
    full.put(1).unwrap();
    let (started, starts) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..3 {
            let started = started.clone();
            let (empty, full) = (&empty, &full);
            scope.spawn(move || {
                started.send(()).unwrap();
                assert!(matches!(empty.get(), Err(GetError::Closed)));
                assert!(matches!(full.put(2), Err(PutError::Closed(2))));
            });
        }
        for _ in 0..3 {
            starts.recv().unwrap();
        }
        empty.close();
        full.close();
    });
    assert_eq!(full.get().unwrap(), 1);
}

#[test]
fn handles_of_one_queue_are_one_queue() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let made = Queue::<String>::create(&segment, "q", 2).unwrap();
    let opened = Queue::<String>::open(&segment, "q").unwrap();
    let cloned = opened.clone();
    drop(opened);
    made.put("x".to_string()).unwrap();
    assert_eq!(cloned.len(), 1);
    let shown = "Queue { len: 1, capacity: 2, closed: false, producers: 0, consumers: 0, .. }";
    assert_eq!(format!("{cloned:?}"), shown);
    assert_eq!(cloned.get().unwrap(), "x");
    assert_eq!(made.segment(), &segment);
}

#[test]
fn a_queue_without_a_name_lives_where_it_was_made_as_long_as_its_handles() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    // As many as fit, all dropped again.
    let free = || {
        let others = (0..).map_while(|_| Queue::<u64>::bounded_in(&segment, 1000).ok());
        others.collect::<Vec<_>>().len()
    };
    let before = free();
    let queue = Queue::<u64>::options().joinable().bounded_in(&segment, 1000).unwrap();
    queue.put(1).unwrap();
    assert!(queue.segment() == &segment && free() < before);
    assert!(Queue::<u64>::open(&segment, "").is_err());
    drop(queue);
    assert_eq!(free(), before);
    let error = Queue::<u64>::bounded_in(&segment, 1 << 24).unwrap_err();
    assert!(matches!(error, Error::Segment(crossproc_segment::Error::NoRoom { .. })), "{error}");
}

#[test]
fn errors_are_sentences_and_give_the_item_back() {
    let queue = Queue::<Vec<u8>>::options().max_message_bytes(100).bounded(1).unwrap();
    let error = queue.put(vec![7; 200]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the item's message of 208 bytes is longer than the 100 bytes that the queue was made for; \
         raise `max_message_bytes`"
    );
    assert_eq!(error.into_item(), [7; 200]);
    queue.put(vec![]).unwrap();
    let boxed: Box<dyn std::error::Error> = queue.try_put(vec![]).unwrap_err().into();
    assert_eq!(boxed.to_string(), "the queue is full");
    assert_eq!(TryGetError::Empty.to_string(), "the queue is empty");
}
