//! Every interleaving, and every reordering that the memory model allows, of two or three threads
//! on the real ring.
//!
//! A thread that "dies" returns at a chosen point and says so; the oracle of the survivors believes
//! it from then on, as the kernel would.
//!
//! Weakened by hand, once each, with the fences of the eventcount taken out (membarrier stands for
//! them in earnest), and a test that then fails:
//!
//! | weakened                                | red                                              |
//! |-----------------------------------------|--------------------------------------------------|
//! | *publish*, release, of small items      | a_consumer_that_loses_the_race_...               |
//! | *publish*, release, of a claim          | a_holder_and_the_next_producer_...               |
//! | *publish*, acquire                      | a_consumer_that_loses_the_race_...               |
//! | *reuse*, release, of a hold             | a_holder_and_the_next_producer_...               |
//! | *tail*, release; acquire                | a_producer_killed_before_its_commit_...          |
//! | *head*, release; acquire                | a_consumer_that_loses_the_race_...               |
//! | *tail*, release, of close               | what_came_before_close_...                       |
//! | *hint*, release; acquire                | close_loses_no_accepted_item_...                 |
//! | *takeover*, release                     | the_last_stores_of_the_dead_...                  |
//! | closed bit not looked at after a claim  | close_loses_no_accepted_item_...                 |
//! | Closed without a second look at `head`  | close_loses_no_accepted_item_...                 |
//! | dead WRITING to FREE instead of SKIP    | a_producer_killed_before_its_commit_...          |
//! | `head` on at the start of a hold        | a_hold_that_is_given_up_...                      |
//! | commit of a claim without comparing     | a_producer_wrongly_taken_for_dead_...            |
//!
//! Not shown, but argued in `raw.rs`: *reuse* of small items, as loom runs the loads of a thread in
//! program order; its acquire side and that of a hold, as the look before the swap acquires too.
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "loom/deaths.rs"]
mod deaths;
#[path = "loom/runs.rs"]
mod runs;
#[path = "loom/shared.rs"]
mod shared;
#[path = "loom/short.rs"]
mod short;
#[path = "loom/watch.rs"]
mod watch;

use crossproc_queue::raw::{NoItem, Refused};
use loom::sync::Arc;

use shared::{Cell, Shared, id, model, model_within, spawn};

fn two_producers_one_consumer(capacity: u32) {
    model_within(2, move || {
        let shared = Shared::new(capacity);
        let first = spawn(&shared, |s| {
            if s.put_once(id(1), 10) {
                s.put_once(id(1), 11);
            }
        });
        let second = spawn(&shared, |s| s.put_once(id(2), 20));
        let mut taken = Vec::new();
        taken.extend(shared.try_take().ok());
        taken.extend(shared.try_take().ok());
        first.join().unwrap();
        second.join().unwrap();
        taken.extend(shared.drain());
        assert_eq!(taken.len(), shared.accepted(), "each item once: {taken:?}");
        let of_first: Vec<_> = taken.iter().filter(|&&value| value < 20).copied().collect();
        assert_eq!(of_first, [10, 11][..of_first.len()], "order of one producer");
        assert!(taken.iter().filter(|&&value| value == 20).count() <= 1);
        shared.assert_exact_capacity();
    });
}

#[test]
fn items_of_two_producers_arrive_once_and_in_order_with_one_place() {
    two_producers_one_consumer(1);
}

#[test]
fn items_of_two_producers_arrive_once_and_in_order_with_two_places() {
    two_producers_one_consumer(2);
}

/// Two consumers race for each item while the place is filled again under the slower one.
#[test]
fn a_consumer_that_loses_the_race_returns_nothing_torn() {
    model(|| {
        let shared = Shared::new(1);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        let rival = spawn(&shared, |s| {
            if s.try_take().is_ok() {
                let _ = s.try_put(id(2), 20);
            }
        });
        let mine = shared.try_take();
        rival.join().unwrap();
        let left = shared.drain();
        assert!(matches!(
            (mine, left.as_slice()),
            (Ok(10), []) | (Ok(20), []) | (Err(NoItem::Empty | NoItem::Pending), [20])
        ));
        shared.assert_exact_capacity();
    });
}

#[test]
fn of_two_holders_one_gets_the_item_and_the_other_the_next() {
    model(|| {
        let shared = Shared::new(2);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        assert_eq!(shared.try_put(id(1), 11), Ok(()));
        let rival = spawn(&shared, |s| {
            let _ = s.try_hold(id(2));
            let _ = s.try_put(id(2), 20);
        });
        let mine = shared.try_hold(id(3));
        rival.join().unwrap();
        assert!(matches!(mine, Ok(10 | 11) | Err(NoItem::Pending)));
        let left = shared.drain();
        assert!(left.is_sorted() && left.last().is_none_or(|&last| last == 20 || last == 11));
        shared.assert_exact_capacity();
    });
}

#[test]
fn a_holder_and_the_next_producer_never_touch_the_payload_together() {
    model(|| {
        let shared = Shared::new(1);
        let cell = Cell::new();
        cell.put(&shared, id(1), 10);
        let holder = {
            let cell = Arc::clone(&cell);
            spawn(&shared, move |shared| {
                cell.hold(shared, id(2));
                cell.hold(shared, id(2));
            })
        };
        cell.hold(&shared, id(1));
        cell.put(&shared, id(1), 20);
        holder.join().unwrap();
    });
}

#[test]
fn a_hold_that_is_given_up_leaves_the_item_first() {
    model(|| {
        let shared = Shared::new(2);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        assert_eq!(shared.try_put(id(1), 11), Ok(()));
        let other = spawn(&shared, |s| drop(s.ring().hold(id(2))));
        let mine = shared.try_hold(id(3));
        other.join().unwrap();
        match mine {
            Ok(value) => assert_eq!((value, shared.drain()), (10, vec![11])),
            Err(none) => {
                assert_eq!(none, NoItem::Pending);
                assert_eq!(shared.drain(), [10, 11]);
            }
        }
    });
}

/// Whoever was told that its item is in is right, whoever was refused has it back, and Closed is
/// said only when nothing is left.
fn close_races_with_put(capacity: u32) {
    model_within(2, move || {
        let shared = Shared::new(capacity);
        let producer = spawn(&shared, move |s| match s.try_put(id(1), 10) {
            Ok(()) => s.die(id(77)),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        });
        let closer = spawn(&shared, |s| {
            assert!(s.ring().close());
            assert_eq!(s.try_put(id(2), 20), Err(Refused::Closed));
        });
        let mut taken = Vec::new();
        let mut ended = false;
        for _ in 0..3 {
            match shared.try_take() {
                Ok(value) => {
                    assert!(!ended, "an item after Closed");
                    taken.push(value);
                }
                Err(NoItem::Closed) => ended = true,
                Err(none) => assert!(matches!(none, NoItem::Empty | NoItem::Pending)),
            }
        }
        producer.join().unwrap();
        closer.join().unwrap();
        let accepted = !shared.alive(id(77));
        let left = shared.drain();
        assert!(!ended || left.is_empty(), "Closed was said over an accepted item");
        taken.extend(left);
        assert_eq!(taken, if accepted { vec![10] } else { vec![] });
        assert_eq!(shared.try_take(), Err(NoItem::Closed));
    });
}

#[test]
fn close_loses_no_accepted_item_with_one_place() {
    close_races_with_put(1);
}

#[test]
fn close_loses_no_accepted_item_with_two_places() {
    close_races_with_put(2);
}

#[test]
fn what_came_before_close_is_seen_by_who_sees_closed() {
    model(|| {
        let shared = Shared::new(1);
        let cell = Cell::new();
        let closer = {
            let cell = Arc::clone(&cell);
            spawn(&shared, move |s| {
                cell.set(7);
                s.ring().close()
            })
        };
        // The answer of put comes from the bit, that of get from the hint and then the bit.
        if shared.try_put(id(1), 10) == Err(Refused::Closed) {
            assert_eq!(cell.get(), 7);
        }
        if shared.try_take() == Err(NoItem::Closed) {
            assert_eq!(cell.get(), 7);
        }
        closer.join().unwrap();
    });
}
