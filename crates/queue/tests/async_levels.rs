//! Queues with levels as streams, and their levels as sinks.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tasks;

use std::thread;

use crossproc_queue::{Cause, GetError, PriorityQueue, PutError};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use tokio::runtime::{Builder, Runtime};

use tasks::{Task, block_on};

fn queue(capacity: usize) -> PriorityQueue<u64> {
    let segment = crossproc_segment::Segment::anonymous(1 << 20).unwrap();
    PriorityQueue::create(&segment, "queue", 3, capacity).unwrap()
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap()
}

#[test]
fn counted_ends_are_streams_and_sinks_that_count() {
    threads().block_on(async {
        let queue = queue(1);
        let consumer = queue.consumer().unwrap();
        let producer = queue.producer().unwrap();
        let sinks: Vec<_> = (0_u64..).zip((0..3).map(|level| producer.sink(level))).collect();
        drop(producer);
        assert_eq!(queue.producers_counted(), 3);
        let feeding: Vec<_> = sinks
            .into_iter()
            .map(|(level, mut sink)| {
                tokio::spawn(async move {
                    for number in 0..500 {
                        sink.send(level * 1000 + number).await.unwrap();
                    }
                    sink.close().await.unwrap();
                    assert!(matches!(sink.send(1).await, Err(PutError::Closed(1))));
                })
            })
            .collect();
        let stream = consumer.stream();
        drop(consumer);
        let all: Vec<(usize, u64)> = stream.try_collect().await.unwrap();
        for level in 0..3_u64 {
            let of_level = all.iter().filter(|of| of.0 as u64 == level).map(|of| of.1);
            assert!(of_level.eq(level * 1000..level * 1000 + 500), "level {level} in order");
        }
        assert_eq!(all.len(), 1500);
        for feeding in feeding {
            feeding.await.unwrap();
        }
        assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
        assert_eq!(queue.consumers_counted(), 0);
    });
}

#[test]
fn a_stream_waits_for_any_level_and_ends_at_a_close() {
    let queue = queue(2);
    let mut stream = queue.stream();
    for level in [1, 0, 2] {
        let mut next = Task::new(stream.next());
        assert!(next.poll().is_pending());
        queue.put(level, 7).unwrap();
        next.until_woken(1);
        let got = next.poll();
        assert!(matches!(got, std::task::Poll::Ready(Some(Ok((of, 7)))) if of == level));
    }
    queue.put(0, 1).unwrap();
    queue.put(2, 2).unwrap();
    queue.close();
    let rest: Vec<_> = block_on(stream.by_ref().map(Result::unwrap).collect());
    assert_eq!(rest, [(2, 2), (0, 1)]);
    assert!(block_on(stream.next()).is_none());
}

#[test]
fn a_sink_waits_for_room_at_its_own_level_alone() {
    let queue = queue(1);
    let (mut low, mut high) = (queue.sink(0), queue.sink(2));
    block_on(low.send(1)).unwrap();
    block_on(high.send(2)).unwrap();
    let mut waiting = Task::new(low.send(3));
    assert!(waiting.poll().is_pending());
    assert_eq!(queue.get().unwrap(), (2, 2));
    assert!(waiting.poll().is_pending());
    assert_eq!(queue.get().unwrap(), (0, 1));
    waiting.until_woken(1);
    assert!(matches!(waiting.poll(), std::task::Poll::Ready(Ok(()))));
    drop(waiting);
    assert_eq!(queue.get().unwrap(), (0, 3));
}

#[test]
fn tasks_and_threads_that_block_mix_at_one_queue() {
    let queue = queue(2);
    let producer = queue.producer().unwrap();
    thread::scope(|scope| {
        let consumer = scope.spawn(|| queue.iter().map(Result::unwrap).count());
        threads().block_on(async {
            let stream = queue.stream();
            let taking = tokio::spawn(stream.map(Result::unwrap).count());
            for number in 0..600_u64 {
                producer.put_async(usize::try_from(number % 3).unwrap(), number).await.unwrap();
            }
            drop(producer);
            assert_eq!(taking.await.unwrap() + consumer.join().unwrap(), 600);
        });
    });
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
#[should_panic(expected = "level 3 of a queue that has 3")]
fn a_sink_of_a_level_that_is_not_there_is_a_mistake() {
    let _ = queue(1).sink(3);
}
