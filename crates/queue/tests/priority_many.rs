//! Queues with levels: runs of items, looks at the first, and all that are ready.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{GetError, PriorityQueue, PutManyError, TryGetError, TryPutError};
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;

const AT_ONCE: Duration = Duration::from_millis(1);

fn runs_come_by_level<T: Message + Clone + PartialEq + std::fmt::Debug>(item: impl Fn(u64) -> T) {
    let queue = PriorityQueue::<T>::bounded(3, 5).unwrap();
    let run = |numbers: std::ops::Range<u64>| numbers.map(&item).collect::<Vec<T>>();
    // More than a lap of each ring.
    for round in 0..7 {
        let first = round * 100;
        queue.put_many(0, &run(first..first + 3)).unwrap();
        queue.put_many(2, &run(first + 10..first + 14)).unwrap();
        queue.put_many(1, &run(first + 20..first + 21)).unwrap();
        let mut got = Vec::new();
        assert_eq!(queue.get_many(&mut got, 2).unwrap(), 2);
        // What is put at a higher level in between comes before the rest of the lower ones.
        assert_eq!(queue.get_many(&mut got, 4).unwrap(), 4);
        queue.put_many(2, &run(first + 30..first + 32)).unwrap();
        assert_eq!(queue.try_get_many(&mut got, 100).unwrap(), 4);
        let due =
            [(2, 10), (2, 11), (2, 12), (2, 13), (1, 20), (0, 0), (2, 30), (2, 31), (0, 1), (0, 2)];
        assert_eq!(got, due.map(|(level, number)| (level, item(first + number))));
        assert!(matches!(queue.try_get_many(&mut got, 1), Err(TryGetError::Empty)));
    }
}

#[test]
fn runs_of_every_form_come_by_level_and_in_order() {
    runs_come_by_level(|number| number);
    runs_come_by_level(|number| [number; 8]);
    runs_come_by_level(|number| [number; 30]);
    runs_come_by_level(|number| number.to_string());
    runs_come_by_level(|number| number.to_string().repeat(100));
}

#[test]
fn items_without_bytes_come_in_runs_too() {
    let queue = PriorityQueue::<()>::bounded(2, 100).unwrap();
    queue.put_many(1, &[(); 100]).unwrap();
    queue.put_many(0, &[(); 7]).unwrap();
    let mut got = Vec::new();
    assert_eq!(queue.get_many(&mut got, 1000).unwrap(), 107);
    assert_eq!(got.iter().filter(|(level, ())| *level == 1).count(), 100);
}

#[test]
fn a_try_takes_what_there_is_and_puts_what_its_level_has_room_for() {
    let queue = PriorityQueue::<u32>::bounded(2, 2).unwrap();
    assert_eq!(queue.try_put_many(0, &[]).unwrap(), 0);
    assert_eq!(queue.try_put_many(0, &[1, 2, 3]).unwrap(), 2);
    assert_eq!(queue.try_put_many(0, &[3]).unwrap(), 0);
    assert_eq!(queue.try_put_many(1, &[4]).unwrap(), 1);
    assert_eq!(queue.put_many_timeout(1, &[5, 6], AT_ONCE).unwrap(), 1);
    assert_eq!(queue.put_many_deadline(1, &[6], Deadline::from_nanos(1)).unwrap(), 0);
    let mut got = Vec::new();
    assert_eq!(queue.try_get_many(&mut got, 0).unwrap(), 0);
    assert_eq!(queue.get_many_timeout(&mut got, 3, AT_ONCE).unwrap(), 3);
    assert_eq!(queue.get_many_deadline(&mut got, 9, Deadline::from_nanos(1)).unwrap(), 1);
    assert_eq!(got, [(1, 4), (1, 5), (0, 1), (0, 2)]);
    assert!(matches!(queue.get_many_timeout(&mut got, 9, AT_ONCE), Err(TryGetError::Empty)));
}

#[test]
#[should_panic(expected = "level 2 of a queue that has 2")]
fn a_level_that_is_not_there_is_a_mistake() {
    let queue = PriorityQueue::<u8>::bounded(2, 1).unwrap();
    let _ = queue.try_put_many(2, &[1]);
}

#[test]
fn a_closed_queue_says_how_far_a_run_came() {
    let queue = PriorityQueue::<u32>::bounded(2, 2).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| queue.put_many(0, &[1, 2, 3]).unwrap_err());
        while !queue.is_full(0) {
            thread::yield_now();
        }
        queue.close();
        let error = putter.join().unwrap();
        assert_eq!(error.put, 2);
        assert!(matches!(error.error, TryPutError::Closed(())));
    });
    let refused = queue.try_put_many(1, &[4]).unwrap_err();
    assert!(matches!(refused, PutManyError { put: 0, error: TryPutError::Closed(()) }));
    let mut got = Vec::new();
    assert_eq!(queue.get_many(&mut got, 9).unwrap(), 2);
    assert!(matches!(queue.get_many(&mut got, 9), Err(GetError::Closed)));
}

#[test]
fn a_run_wakes_as_many_consumers_as_it_has_items() {
    for round in 0..200 {
        let queue = PriorityQueue::<u64>::bounded(2, 8).unwrap();
        thread::scope(|scope| {
            let consumers: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.get().unwrap())).collect();
            queue.put_many(round % 2, &[1, 2, 3]).unwrap();
            let mut got: Vec<_> =
                consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
            got.sort_unstable();
            assert_eq!(got, [1, 2, 3].map(|item| (round % 2, item)));
        });
    }
}

#[test]
fn a_run_that_is_taken_wakes_the_producers_of_its_level() {
    let queue = PriorityQueue::<u64>::bounded(2, 2).unwrap();
    queue.put_many(1, &[1, 2]).unwrap();
    thread::scope(|scope| {
        let producers = [3, 4].map(|item| {
            let queue = &queue;
            scope.spawn(move || queue.put(1, item).unwrap())
        });
        let mut got = Vec::new();
        while got.len() < 4 {
            queue.get_many(&mut got, 4).unwrap();
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        got[2..].sort_unstable();
        assert_eq!(got, [(1, 1), (1, 2), (1, 3), (1, 4)]);
    });
}

/// The memory of a message that was taken is the next one's, whichever its level.
#[test]
fn a_run_of_long_messages_ends_where_the_memory_does() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = PriorityQueue::<Vec<u8>>::bounded_in(&segment, 2, 4).unwrap();
    let run = [(); 3].map(|()| vec![7; 400_000]);
    let error = queue.put_many(0, &run).unwrap_err();
    assert_eq!(error.put, 2);
    assert!(matches!(error.error, TryPutError::OutOfMemory { .. }));
    let mut got = Vec::new();
    assert_eq!(queue.get_many(&mut got, 9).unwrap(), 2);
    assert_eq!(queue.try_put_many(1, &run[..2]).unwrap(), 2);
}

fn is_looked_at<T: Message + PartialEq + std::fmt::Debug>(item: impl Fn(u64) -> T) {
    let queue = PriorityQueue::<T>::bounded(3, 2).unwrap();
    assert!(matches!(queue.peek(), Err(TryGetError::Empty)));
    queue.put(0, item(1)).unwrap();
    assert_eq!(queue.peek().unwrap(), (0, item(1)));
    queue.put(2, item(2)).unwrap();
    queue.put(2, item(3)).unwrap();
    for _ in 0..3 {
        assert_eq!(queue.peek().unwrap(), (2, item(2)));
    }
    assert_eq!(queue.len(), 3);
    queue.close();
    let all: Vec<_> = queue.drain().map(Result::unwrap).collect();
    assert_eq!(all, [(2, item(2)), (2, item(3)), (0, item(1))]);
    assert!(matches!(queue.peek(), Err(TryGetError::Closed)));
    assert!(queue.drain().next().is_none());
}

#[test]
fn a_look_shows_what_a_get_would_bring_and_takes_nothing() {
    is_looked_at(|number| number);
    is_looked_at(|number| [number; 30]);
    is_looked_at(|number| number.to_string().repeat(100));
}

#[test]
fn a_drain_takes_what_is_put_meanwhile_and_never_blocks() {
    let queue = PriorityQueue::<u32>::bounded(2, 2).unwrap();
    queue.put(0, 1).unwrap();
    let mut drain = queue.drain();
    assert_eq!(drain.next().unwrap().unwrap(), (0, 1));
    queue.put(1, 2).unwrap();
    assert_eq!(drain.next().unwrap().unwrap(), (1, 2));
    assert!(drain.next().is_none());
    queue.put(1, 3).unwrap();
    assert!(drain.next().is_none(), "it has ended");
}
