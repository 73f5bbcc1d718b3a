//! Every interleaving, and every reordering that the memory model allows, of two or three threads at
//! the real rings of a queue with two levels: what crosses the rings, that is wakes and the close.
//!
//! Sleeping is the model's futex (`wait::port`), without slices and timeouts: a wake that is lost
//! shows as a deadlock. A thread that "dies" returns at a chosen point.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                      | red                                           |
//! |-----------------------------------------------|-----------------------------------------------|
//! | consumers sleep on the word of each ring      | nobody_sleeps_over_an_item_at_the_high_level  |
//! | nobody passes the wake on                     | a_wake_that_was_swallowed_...                 |
//! | the end of a hold asks without a barrier      | a_hold_at_a_level_keeps_nobody_asleep         |
//! | an unfinished item ends the look              | a_claim_of_the_dead_at_the_high_level_...     |
//! | Closed where one level says so                | close_loses_no_accepted_item_put_low_first    |
//! | a put does not look at `shut`                 | the same                                      |
//! | the rings are closed before `shut` is set     | the same                                      |
//! | a take does not finish a close                | a_closer_that_dies_after_its_commit_...       |
//! | nor the look of a producer                    | the_look_of_a_producer_finishes_a_close       |
//! | the close wakes nobody                        | a_close_wakes_and_tells_a_sleeper             |
//! | *shut*, release                               | what_came_before_close_...                    |
//!
//! Not shown: *shut*, acquire, as the model looks at no relaxed load of a word twice.
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "loom/levels.rs"]
mod levels;
#[path = "loom/shared.rs"]
#[expect(dead_code, reason = "the other tests need the rest")]
mod shared;

use crossproc_queue::raw::{NoItem, Refused};
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;

use levels::{HIGH, LOW, Queue, spawn};
use shared::{Cell, id, model, model_within};

fn one_put_wakes(level: usize) {
    model(move || {
        let queue = Queue::new(1);
        let consumer = spawn(&queue, Queue::get);
        queue.put(1, level, 7).unwrap();
        assert_eq!(consumer.join().unwrap(), Some((level, 7)));
    });
}

/// The look goes from high to low: the item may come to a level that it has just passed.
#[test]
fn nobody_sleeps_over_an_item_at_the_high_level() {
    one_put_wakes(HIGH);
}

#[test]
fn nobody_sleeps_over_an_item_at_the_low_level() {
    one_put_wakes(LOW);
}

/// Whoever is woken may take the other's item: the other must be woken all the same.
#[test]
fn two_items_at_two_levels_wake_two() {
    model_within(1, || {
        let queue = Queue::new(1);
        let consumers = [(); 2].map(|()| spawn(&queue, Queue::get));
        queue.put(1, LOW, 1).unwrap();
        queue.put(1, HIGH, 2).unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        got.sort_unstable();
        assert_eq!(got, [(LOW, 1), (HIGH, 2)]);
    });
}

/// The wake of the second item at a level goes to one who finds the first unfinished, and sleeps.
#[test]
fn a_wake_that_was_swallowed_at_an_unfinished_item_is_passed_on() {
    model_within(2, || {
        let queue = Queue::new(2);
        let consumers = [(); 2].map(|()| spawn(&queue, Queue::get));
        let ring = queue.ring(LOW);
        let first = ring.claim(id(1)).unwrap();
        first.write(&[1]);
        queue.put(2, LOW, 2).unwrap();
        first.commit().unwrap();
        ring.items().notify_one();
        let mut got = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        got.sort_unstable();
        assert_eq!(got, [(LOW, 1), (LOW, 2)]);
    });
}

/// One holds the item of the high level; who is woken meanwhile finds nothing, and must be woken for
/// what is behind it.
#[test]
fn a_hold_at_a_level_keeps_nobody_asleep() {
    model_within(2, || {
        let queue = Queue::new(2);
        queue.put(1, HIGH, 1).unwrap();
        let consumers =
            [2, 3].map(|me| spawn(&queue, move |queue| queue.get_by(|| queue.try_hold(me))));
        queue.put(1, HIGH, 2).unwrap();
        let mut got = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        got.sort_unstable();
        assert_eq!(got, [(HIGH, 1), (HIGH, 2)]);
    });
}

#[test]
fn a_close_wakes_and_tells_a_sleeper() {
    model(|| {
        let queue = Queue::new(1);
        let consumer = spawn(&queue, Queue::get);
        assert!(queue.levels().close());
        assert_eq!(consumer.join().unwrap(), None);
    });
}

#[test]
fn a_close_wakes_all_sleepers() {
    model_within(2, || {
        let queue = Queue::new(1);
        queue.put(1, LOW, 1).unwrap();
        let consumers = [(); 2].map(|()| spawn(&queue, Queue::get));
        assert!(queue.levels().close());
        let got = consumers.map(|consumer| consumer.join().unwrap());
        assert!(matches!(got, [Some((LOW, 1)), None] | [None, Some((LOW, 1))]));
    });
}

/// Whoever was told that its item is in is right, whoever was refused is refused at all levels from
/// then on, and Closed is said only when nothing is left.
fn close_races_with_puts(first: usize) {
    model_within(2, move || {
        let queue = Queue::new(1);
        let producer = spawn(&queue, move |queue| {
            let put = [first, 1 - first].map(|level| queue.put(1, level, 10).is_ok());
            assert_ne!(put, [false, true], "closed at one level, open at another");
            put.into_iter().filter(|&put| put).count()
        });
        let closer = spawn(&queue, |queue| {
            assert!(queue.levels().close());
            assert_eq!(queue.put(2, LOW, 20), Err(Refused::Closed));
            assert_eq!(queue.put(2, HIGH, 20), Err(Refused::Closed));
        });
        let mut taken = 0;
        let mut ended = false;
        for _ in 0..2 {
            match queue.try_get() {
                Ok(_) => {
                    assert!(!ended, "an item after Closed");
                    taken += 1;
                }
                Err(none) => ended |= none == NoItem::Closed,
            }
        }
        let accepted = producer.join().unwrap();
        closer.join().unwrap();
        let left = queue.drain();
        assert!(!ended || left.is_empty(), "Closed was said over an accepted item");
        assert_eq!(taken + left.len(), accepted);
        assert_eq!(queue.try_get(), Err(NoItem::Closed));
    });
}

#[test]
fn close_loses_no_accepted_item_put_high_first() {
    close_races_with_puts(HIGH);
}

#[test]
fn close_loses_no_accepted_item_put_low_first() {
    close_races_with_puts(LOW);
}

#[test]
fn a_closer_that_dies_after_its_commit_has_closed_all_levels() {
    for survivor_puts in [true, false] {
        model(move || {
            let queue = Queue::new(1);
            let closer = spawn(&queue, |queue| queue.levels().close_commit_only());
            let accepted = queue.put(1, HIGH, 10).is_ok();
            assert!(closer.join().unwrap());
            if survivor_puts {
                for level in [LOW, HIGH] {
                    assert_eq!(queue.put(1, level, 11), Err(Refused::Closed));
                }
            }
            if accepted {
                assert_eq!(queue.try_get(), Ok((HIGH, 10)));
            }
            assert_eq!(queue.try_get(), Err(NoItem::Closed));
        });
    }
}

/// A producer that sleeps for room at a level is told by its own look.
#[test]
fn the_look_of_a_producer_finishes_a_close() {
    model(|| {
        let queue = Queue::new(1);
        queue.put(1, HIGH, 1).unwrap();
        let closer = spawn(&queue, |queue| queue.levels().close_commit_only());
        let ring = queue.ring(HIGH);
        ring.repair_tail(|_| true);
        closer.join().unwrap();
        ring.repair_tail(|_| true);
        assert_eq!(ring.has_room(), Err(Refused::Closed));
    });
}

#[test]
fn what_came_before_close_is_seen_by_who_sees_closed() {
    model(|| {
        let queue = Queue::new(1);
        let cell = Cell::new();
        let closer = {
            let cell = Arc::clone(&cell);
            spawn(&queue, move |queue| {
                cell.set(7);
                queue.levels().close()
            })
        };
        if queue.put(1, HIGH, 10) == Err(Refused::Closed) {
            assert_eq!(cell.get(), 7);
        }
        if queue.try_get() == Err(NoItem::Closed) {
            assert_eq!(cell.get(), 7);
        }
        closer.join().unwrap();
    });
}

#[test]
fn a_claim_of_the_dead_at_the_high_level_keeps_no_item_of_the_low_one_back() {
    model(|| {
        let queue = Queue::new(2);
        let victim = spawn(&queue, |queue| {
            let ring = queue.ring(HIGH);
            core::mem::forget(ring.claim(id(1)).unwrap());
            queue.die(id(1));
        });
        queue.put(2, LOW, 20).unwrap();
        assert_eq!(queue.try_get(), Ok((LOW, 20)));
        queue.put(2, HIGH, 21).unwrap();
        victim.join().unwrap();
        assert_eq!(queue.drain(), [(HIGH, 21)]);
    });
}

/// The close is one store, and who loses the race for it knows.
#[test]
fn of_two_who_close_one_is_first() {
    model_within(2, || {
        let queue = Queue::new(1);
        let firsts = Arc::new(AtomicU32::new(0));
        let closers = [(); 2].map(|()| {
            let firsts = Arc::clone(&firsts);
            spawn(&queue, move |queue| {
                if queue.levels().close() {
                    firsts.fetch_add(1, Relaxed);
                }
            })
        });
        closers.into_iter().for_each(|closer| closer.join().unwrap());
        assert_eq!(firsts.load(Relaxed), 1);
        assert_eq!(queue.try_get(), Err(NoItem::Closed));
    });
}
