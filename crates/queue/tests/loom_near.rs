//! Lessees that know where their next item is, and leave `head` behind; others beside them.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                          | red                                       |
//! |---------------------------------------------------|-------------------------------------------|
//! | `head` is moved past one place more               | a_get_finds_the_first_item_behind_...     |
//! | the next item is taken for one place further on   | what_is_counted_is_what_is_there_...      |
//! | *near*, release or acquire                        | who_follows_head_..., who_joins_...       |
//!
//! Not shown: that `head` goes back, which only makes others look longer; the acquire of the slot, which is
//! that of any other way (`loom.rs`).
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "each model uses a part of it")]
#[path = "loom/leases.rs"]
mod leases;

use crossproc_queue::raw::Near;
use crossproc_segment::MemberId;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;

use leases::{Shared, id, model, spawn};

/// A ring, and a handle that has leased so many items from it by the slow way, and then by the quick one: it
/// knows where the next is, and after a quick one it may leave `head` behind.
fn after(capacity: u32, leases: u32, slow: u32, quick: u32) -> (Arc<Shared>, Arc<Near>) {
    let (shared, near) = (Shared::new(capacity, leases), Near::new());
    for _ in 0..slow {
        shared.put(id(9), 10).unwrap();
        assert_eq!(shared.lease_and_ack(id(1)), Some(10));
    }
    shared.ring().note_head(&near);
    for _ in 0..quick {
        shared.put(id(9), 10).unwrap();
        assert_eq!(shared.lease_near(&near, id(1), 0), Some(10));
    }
    (shared, Arc::new(near))
}

/// The same in a ring of three, with 10 and 20 to come.
fn two_items() -> (Arc<Shared>, Arc<Near>) {
    let after = after(3, 2, 1, 0);
    after.0.put(id(9), 10).unwrap();
    after.0.put(id(9), 20).unwrap();
    after
}

/// Two leases by the quick way; in the order in which they were put.
fn lease_two(shared: &Shared, near: &Near, me: MemberId, first: u32) {
    let mut last = 0;
    for _ in 0..2 {
        if let Some(value) = shared.lease_near(near, me, first) {
            assert!(value > last, "{value} after {last}");
            last = value;
            shared.note_done(value);
        }
    }
}

#[test]
fn a_get_finds_the_first_item_behind_a_head_that_was_left() {
    model(2, || {
        let (shared, near) = two_items();
        let lessee = spawn(&shared, move |s| lease_two(s, &near, id(1), 0));
        let mut last = 0;
        for _ in 0..2 {
            if let Ok(value) = shared.take() {
                assert!(value > last, "{value} after {last}");
                last = value;
                shared.note_done(value);
            }
        }
        lessee.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

#[test]
fn two_lessees_have_each_item_once_and_in_order() {
    model(2, || {
        let (shared, near) = two_items();
        let lessee = spawn(&shared, move |s| lease_two(s, &near, id(1), 0));
        lease_two(&shared, &Near::new(), id(2), 1);
        lessee.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

#[test]
fn two_threads_of_one_handle_have_each_item_once_and_in_order() {
    model(2, || {
        let (shared, near) = two_items();
        let other = Arc::clone(&near);
        let lessee = spawn(&shared, move |s| lease_two(s, &other, id(1), 0));
        lease_two(&shared, &near, id(1), 1);
        lessee.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

#[test]
fn what_is_counted_is_what_is_there_wherever_head_was_left() {
    model(2, || {
        let (shared, near) = two_items();
        let lessee = spawn(&shared, move |s| lease_two(s, &near, id(1), 0));
        let len = shared.ring().len();
        assert!(len <= 2, "{len}");
        lessee.join().unwrap();
        assert_eq!(shared.ring().len(), 0);
        assert_eq!(shared.done(), [10, 20]);
        shared.finish(&[10, 20]);
    });
}

/// The ring goes round: its first place is free for a producer, and `head` is moved there.
#[test]
fn a_producer_goes_on_behind_a_lessee() {
    model(2, || {
        let (shared, near) = after(2, 1, 1, 0);
        shared.put(id(9), 10).unwrap();
        let producer = spawn(&shared, |s| s.put_or_repair(id(2), 20));
        lease_two(&shared, &near, id(1), 0);
        producer.join().unwrap();
        assert!(shared.was_put());
        shared.finish(&[10, 20]);
    });
}

/// Whoever moves `head` past what another thread of the handle took, does it for that one as well.
#[test]
fn who_follows_head_finds_taken_what_two_threads_of_a_handle_took() {
    model(2, || {
        let (shared, near) = after(2, 2, 2, 1);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        let lessees = [0, 1].map(|entry| {
            let near = Arc::clone(&near);
            spawn(&shared, move |s| {
                if let Some(value) = s.lease_near(&near, id(1), entry) {
                    s.note_done(value);
                }
            })
        });
        if let Ok(value) = shared.take() {
            shared.note_done(value);
        }
        for lessee in lessees {
            lessee.join().unwrap();
        }
        shared.finish(&[10, 20]);
    });
}

#[test]
fn who_joins_waits_for_what_two_threads_of_a_handle_took() {
    model(2, || {
        let (shared, near) = after(3, 2, 1, 1);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        let leased = Arc::new(AtomicU32::new(0));
        let lessees = [0, 1].map(|entry| {
            let (near, leased) = (Arc::clone(&near), Arc::clone(&leased));
            spawn(&shared, move |s| {
                let kept = s.ring().lease_words_at_once(&near, id(1), entry, &mut [0; 2]);
                if let Some(kept) = kept {
                    leased.fetch_add(1, Relaxed);
                    assert!(s.ring().ack(kept));
                }
            })
        });
        if shared.ring().is_done() {
            // A load could be of before.
            assert_eq!(leased.fetch_add(0, Relaxed), 2, "joined early");
        }
        for lessee in lessees {
            lessee.join().unwrap();
        }
    });
}
