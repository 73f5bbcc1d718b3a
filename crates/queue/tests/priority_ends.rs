//! Queues with levels: who counts, and what the last one does, at all levels.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "processes/party.rs"]
#[expect(dead_code, reason = "the other tests need the rest")]
mod party;

use std::thread;
use std::time::Duration;

use crossproc_message::{decode, encode};
use crossproc_queue::{
    Cause, Error, GetError, PriorityConsumer, PriorityProducer, PriorityQueue, Producer, PutError,
    TryGetError, TryPutError,
};
use crossproc_segment::Segment;
use crossproc_segment::wait::wait_any;
use crossproc_sys::clock::Deadline;

use party::{Child, World};

const LEVELS: usize = 3;

fn queue(capacity: usize) -> PriorityQueue<u64> {
    PriorityQueue::bounded(LEVELS, capacity).unwrap()
}

/// Waits until `threads` of this process sleep.
fn until_waiting(segment: &Segment, threads: usize) {
    while crossproc_segment::wait::waiters(segment).len() < threads {
        thread::yield_now();
    }
}

/// A message and back, in this process.
fn sent<T: crossproc_message::Message>(item: &T) -> T {
    let mut bytes = Vec::new();
    let sent = encode(item, &mut bytes).unwrap();
    decode(&bytes, sent.segments).unwrap()
}

#[test]
fn what_was_put_at_any_level_is_got_after_the_last_producer_is_dropped() {
    let queue = queue(4);
    let producer = queue.producer().unwrap();
    (0..LEVELS).for_each(|level| producer.put(level, 7).unwrap());
    let clone = producer.clone();
    drop(producer);
    assert!(!queue.is_closed());
    clone.put_many(0, &[8, 9]).unwrap();
    drop(clone);
    assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
    let all: Vec<_> = queue.iter().map(Result::unwrap).collect();
    assert_eq!(all, [(2, 7), (1, 7), (0, 7), (0, 8), (0, 9)]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn items_come_back_at_every_level_after_the_last_consumer_is_dropped() {
    let queue = queue(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.put(0, 1).unwrap();
    assert!(!consumer.is_closed());
    drop(consumer.clone());
    assert!(!producer.is_closed());
    drop(consumer);
    for level in 0..LEVELS {
        assert!(matches!(producer.put(level, 2), Err(PutError::Closed(2))));
        assert!(matches!(producer.try_put(level, 2), Err(TryPutError::Closed(2))));
    }
    assert!(producer.is_closed());
    assert_eq!(queue.why_closed(), Some(Cause::NoConsumers));
    assert_eq!(queue.close_now().into_iter().map(Result::unwrap).collect::<Vec<_>>(), [(0, 1)]);
}

#[test]
fn consumers_that_wait_are_told_of_the_last_producer_at_once() {
    let queue = queue(1);
    let (first, last) = (queue.producer().unwrap(), queue.producer().unwrap());
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.get())).collect();
        until_waiting(queue.segment(), 3);
        drop(first);
        assert!(!queue.is_closed());
        drop(last);
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(GetError::Closed)));
        }
    });
}

#[test]
fn producers_that_wait_at_any_level_are_told_of_the_last_consumer_at_once() {
    let queue = queue(1);
    let consumer = queue.consumer().unwrap();
    (0..LEVELS).for_each(|level| queue.put(level, 1).unwrap());
    thread::scope(|scope| {
        let queue = &queue;
        let waiting: Vec<_> =
            (0..LEVELS).map(|level| scope.spawn(move || queue.put(level, 2))).collect();
        until_waiting(queue.segment(), LEVELS);
        drop(consumer);
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(PutError::Closed(2))));
        }
    });
}

#[test]
fn counted_handles_know_every_form_of_runs_and_looks() {
    let queue = queue(2);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let deadline = || Deadline::after(Duration::from_millis(1));
    assert_eq!(producer.try_put_many(1, &[1]).unwrap(), 1);
    assert_eq!(producer.put_many_timeout(0, &[2, 3], Duration::ZERO).unwrap(), 2);
    assert_eq!(producer.put_many_deadline(1, &[4, 5], deadline()).unwrap(), 1);
    assert_eq!(consumer.peek().unwrap(), queue.peek().unwrap());
    let mut got = Vec::new();
    assert_eq!(consumer.try_get_many(&mut got, 1).unwrap(), 1);
    assert_eq!(consumer.get_many_timeout(&mut got, 1, Duration::ZERO).unwrap(), 1);
    assert_eq!(consumer.get_many_deadline(&mut got, 1, deadline()).unwrap(), 1);
    got.extend(consumer.drain().map(Result::unwrap));
    got.sort_unstable();
    assert_eq!(got, [(0, 2), (0, 3), (1, 1), (1, 4)]);
}

#[test]
fn a_handle_on_its_way_counts() {
    let queue = queue(2);
    let producer = queue.producer().unwrap();
    let arrived: PriorityProducer<u64> = sent(&producer);
    drop(producer);
    assert!(!queue.is_closed());
    arrived.put(2, 5).unwrap();
    let consumer: PriorityConsumer<u64> = sent(&queue.consumer().unwrap());
    assert_eq!(consumer.get().unwrap(), (2, 5));
    assert_eq!((queue.producers_counted(), queue.consumers_counted()), (1, 1));
    drop(arrived);
    assert!(matches!(consumer.get(), Err(GetError::Closed)));
}

#[test]
fn a_handle_of_one_kind_is_none_of_another() {
    let mut bytes = Vec::new();
    let producer = queue(1).producer().unwrap();
    let sent = encode(&producer, &mut bytes).unwrap();
    assert!(decode::<Producer<u64>>(&bytes, sent.segments).is_err());
}

#[test]
fn a_queue_counts_as_many_processes_as_it_was_made_for() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = PriorityQueue::<u64>::options().ends(0).bounded_in(&segment, 2, 1).unwrap();
    let error = queue.producer().unwrap_err();
    assert!(matches!(error, Error::NoPlace { places: 0, .. }));
    assert!(error.to_string().ends_with("`ends` of its options"), "{error}");
    // One process is one place, however many handles it has.
    let queue = PriorityQueue::<u64>::options().ends(1).bounded_in(&segment, 2, 1).unwrap();
    let _many: Vec<_> = (0..10).map(|_| queue.producer().unwrap()).collect();
    assert_eq!(queue.producers_counted(), 10);
}

#[test]
fn a_consumer_is_waited_for_among_other_things() {
    let queue = queue(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(wait_any(&[&consumer], Duration::from_millis(1)).unwrap(), []);
    producer.put(1, 3).unwrap();
    assert_eq!(wait_any(&[&consumer], None).unwrap(), [0]);
    assert_eq!(consumer.try_get().unwrap(), (1, 3));
    drop(producer);
    assert_eq!(wait_any(&[&consumer], None).unwrap(), [0]);
    assert!(matches!(consumer.try_get(), Err(TryGetError::Closed)));
}

#[test]
fn child() {
    let Some((world, _, role)) = party::role() else { return };
    let queue = PriorityQueue::<u64>::open(&world.segment, "queue").unwrap();
    if role == "consumer" {
        let _counted = queue.consumer().unwrap();
        queue.put(0, 1).unwrap();
        thread::sleep(Duration::MAX);
    }
    let counted = queue.producer().unwrap();
    counted.put(0, 1).unwrap();
    thread::sleep(Duration::MAX);
}

/// A process that has the only counted handle of a side, and has said so.
fn only_one(world: &World, role: &str) -> (PriorityQueue<u64>, Child) {
    let queue = PriorityQueue::<u64>::create(&world.segment, "queue", LEVELS, 1).unwrap();
    let child = Child::start(world, "u64", role);
    assert_eq!(queue.get().unwrap(), (0, 1));
    (queue, child)
}

#[test]
fn a_consumer_that_waits_learns_of_the_death_of_the_last_producer() {
    let world = World::new();
    let (queue, mut child) = only_one(&world, "producer");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.get());
        until_waiting(queue.segment(), 1);
        child.kill();
        assert!(matches!(waiting.join().unwrap(), Err(GetError::Closed)));
    });
    assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
}

#[test]
fn producers_that_wait_at_all_levels_learn_of_the_death_of_the_last_consumer() {
    let world = World::new();
    let (queue, mut child) = only_one(&world, "consumer");
    (0..LEVELS).for_each(|level| queue.put(level, 1).unwrap());
    thread::scope(|scope| {
        let queue = &queue;
        let waiting: Vec<_> =
            (0..LEVELS).map(|level| scope.spawn(move || queue.put(level, 2))).collect();
        until_waiting(queue.segment(), LEVELS);
        child.kill();
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(PutError::Closed(2))));
        }
    });
    assert_eq!(queue.why_closed(), Some(Cause::NoConsumers));
    assert_eq!(queue.drain().count(), LEVELS);
}
