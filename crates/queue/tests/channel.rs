//! What users of crossbeam-channel know of its bounded channels, between threads.
//!
//! Behaviours of its tests that other files do not show: waiting forms before, at and after the end,
//! lengths under load, channels that are used once, and channels in channels. A capacity of 0, a
//! rendezvous, is what a queue that outlives its processes cannot be: it is an error.
#![cfg(not(crossproc_loom))]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crossproc_queue::{Queue, TryGetError, TryPutError};

/// Long enough to be measured.
const SOON: Duration = Duration::from_millis(20);
/// So short that it passes.
const MOMENT: Duration = Duration::from_millis(1);
/// Longer than anything takes.
const SURELY: Duration = Duration::from_secs(60);

#[test]
fn a_get_with_a_limit_comes_back_empty_then_with_the_item_then_closed() {
    let queue = Queue::<u32>::bounded(10).unwrap();
    let producer = queue.producer().unwrap();
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(SOON), Err(TryGetError::Empty)));
    assert!(start.elapsed() >= SOON);
    thread::scope(|scope| {
        let getting = scope.spawn(|| {
            let got = queue.get_timeout(SURELY);
            (got, queue.get_timeout(SURELY))
        });
        producer.put(7).unwrap();
        drop(producer);
        let (got, after) = getting.join().unwrap();
        assert_eq!(got.unwrap(), 7);
        assert!(matches!(after, Err(TryGetError::Closed)));
    });
}

#[test]
fn a_put_with_a_limit_comes_back_full_then_done_then_closed() {
    let queue = Queue::<u32>::bounded(2).unwrap();
    let consumer = queue.consumer().unwrap();
    queue.put_timeout(1, SURELY).unwrap();
    queue.put_timeout(2, SURELY).unwrap();
    let start = Instant::now();
    assert!(matches!(queue.put_timeout(3, SOON), Err(TryPutError::Full(3))));
    assert!(start.elapsed() >= SOON);
    thread::scope(|scope| {
        let putting = scope.spawn(|| (queue.put_timeout(4, SURELY), queue.put_timeout(5, SURELY)));
        assert_eq!(consumer.get().unwrap(), 1);
        drop(consumer);
        let (put, after) = putting.join().unwrap();
        // Whether it found the place before the end of all consumers, or not.
        assert!(matches!(put, Ok(()) | Err(TryPutError::Closed(4))), "{put:?}");
        assert!(matches!(after, Err(TryPutError::Closed(5))), "{after:?}");
    });
}

#[test]
fn what_is_in_after_the_end_is_got_by_every_form() {
    let queue = Queue::<u32>::bounded(8).unwrap();
    let producer = queue.producer().unwrap();
    (1..=6).for_each(|item| producer.put(item).unwrap());
    drop(producer);
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_get().unwrap(), 2);
    assert_eq!(queue.get_timeout(Duration::ZERO).unwrap(), 3);
    assert_eq!(queue.iter().next().unwrap().unwrap(), 4);
    assert_eq!(queue.drain().map(Result::unwrap).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((queue.iter().count(), queue.drain().count()), (0, 0));
}

/// As many as fit are in at most, whoever looks; and nobody sees less than nothing.
#[test]
fn the_length_is_within_the_capacity_at_any_moment() {
    const ITEMS: u32 = 25_000;
    const CAPACITY: usize = 100;
    let queue = Queue::<u32>::bounded(CAPACITY).unwrap();
    for item in 0..CAPACITY / 10 {
        queue.put(0).unwrap();
        assert_eq!(queue.len(), item + 1);
    }
    while queue.try_get().is_ok() {}
    assert_eq!(queue.len(), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for item in 0..ITEMS {
                assert_eq!(queue.get().unwrap(), item);
                assert!(queue.len() <= CAPACITY);
            }
        });
        for item in 0..ITEMS {
            queue.put(item).unwrap();
            assert!(queue.len() <= CAPACITY);
        }
    });
    assert!(queue.is_empty());
}

#[test]
fn queues_that_are_used_once_pass_on_their_one_item() {
    for round in 0..1000u32 {
        let queue = Queue::<u32>::bounded(1).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(queue.get().unwrap(), round));
            scope.spawn(|| queue.put(round).unwrap());
        });
        assert!(queue.is_empty());
    }
}

/// A loop asks, and another answers with as many items, until it is enough.
#[test]
fn loops_that_take_what_is_ready_get_all_of_it() {
    let (requests, answers) =
        (Queue::<()>::bounded(1).unwrap(), Queue::<u32>::bounded(100).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0;
            while count < 5000 {
                requests.put(()).unwrap();
                count += answers.drain().map(Result::unwrap).sum::<u32>();
            }
            requests.close();
            // Whoever answers may wait for room.
            answers.close();
        });
        for request in &requests {
            request.unwrap();
            if answers.put(1).is_err() {
                break;
            }
        }
    });
}

/// In each round the producer is refused before the consumer begins, and the consumer finds nothing before
/// the producer goes on.
#[test]
fn waits_that_time_out_on_both_sides_lose_nothing() {
    const ROUNDS: u32 = 20;
    const PLACES: u32 = 2;
    let queue = Queue::<u32>::bounded(PLACES as usize).unwrap();
    let (refused, was_refused) = mpsc::channel();
    let (drained, was_drained) = mpsc::channel();
    thread::scope(|scope| {
        let queue = &queue;
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let first = round * (PLACES + 1);
                (first..first + PLACES).for_each(|item| queue.put_timeout(item, SURELY).unwrap());
                let mut times = 0;
                while let Err(error) = queue.put_timeout(first + PLACES, MOMENT) {
                    assert!(error.is_full(), "{error}");
                    times += 1;
                    if times == 1 {
                        refused.send(()).unwrap();
                    }
                }
                assert!(times > 0);
                was_drained.recv().unwrap();
            }
        });
        for round in 0..ROUNDS {
            was_refused.recv().unwrap();
            for item in round * (PLACES + 1)..(round + 1) * (PLACES + 1) {
                assert_eq!(queue.get_timeout(SURELY).unwrap(), item);
            }
            assert!(matches!(queue.get_timeout(MOMENT), Err(TryGetError::Empty)));
            drained.send(()).unwrap();
        }
    });
}

/// Who has put an item can get one: with as many places as threads none has to wait.
#[test]
fn who_has_put_one_gets_one() {
    const THREADS: usize = 4;
    let queue = Queue::<u32>::bounded(THREADS).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..5000 {
                    queue.put(0).unwrap();
                    queue.get_timeout(SURELY).unwrap();
                }
            });
        }
    });
    assert!(queue.is_empty());
}

#[test]
fn a_get_within_a_put_is_no_deadlock() {
    let (one, two) = (Queue::<u32>::bounded(1).unwrap(), Queue::<u32>::bounded(2).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| two.put(one.get().unwrap()));
        scope.spawn(|| one.put(6));
        scope.spawn(|| two.put(7));
    });
    let mut got = [two.get().unwrap(), two.get().unwrap()];
    got.sort_unstable();
    assert_eq!(got, [6, 7]);
}

/// Each queue comes through the one before, and is the way for the next.
#[test]
fn queues_go_through_queues() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Link(Queue<Option<Link>>);
    const LINKS: usize = 200;
    let first = Queue::bounded(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut here = first.clone();
            for _ in 0..LINKS {
                let next = Queue::bounded(1).unwrap();
                here.put(Some(Link(next.clone()))).unwrap();
                here = next;
            }
            here.put(None).unwrap();
        });
        let mut here = first.clone();
        let mut links = 0;
        while let Some(Link(next)) = here.get().unwrap() {
            here = next;
            links += 1;
        }
        assert_eq!(links, LINKS);
    });
}

#[test]
fn who_blocks_is_released_by_the_end_of_the_other_side_from_within_a_loop() {
    let queue = Queue::<u32>::bounded(3).unwrap();
    let (started, has_started) = mpsc::channel();
    thread::scope(|scope| {
        let consumer = queue.consumer().unwrap();
        scope.spawn(move || {
            // It takes ten of many, and leaves.
            assert_eq!(consumer.into_iter().take(10).map(Result::unwrap).sum::<u32>(), 45);
            started.send(()).unwrap();
        });
        let refused = (0..).map(|item| queue.put(item)).find_map(Result::err).unwrap();
        has_started.recv().unwrap();
        assert!((10..=13).contains(&refused.into_item()));
    });
}
