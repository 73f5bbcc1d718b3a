//! Every interleaving of two or three threads on leases that run out.
//!
//! The clock is a word of the model, and moves on where a test says so.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                   | red                                                |
//! |--------------------------------------------|----------------------------------------------------|
//! | ack and give back by a store               | an_item_whose_.., a_late_holder_.., and two more   |
//! | extend by a store                          | a_lease_that_was_extended_..                       |
//! | an item is taken by a store                | all but one                                        |
//! | whether the moment has come is not asked   | a_lease_that_was_extended_.., a_late_repairer_..   |
//! | the limit, release                         | what_a_living_holder_had_..                        |
//! | the count is not kept                      | what_a_living_holder_had_..                        |
//! | a later lease with the same moment         | a_late_holder_.., an_item_whose_..                 |
//!
//! Not shown: that the item is read before the limit is set. Loom lets nobody run between two loads of the
//! payload.
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "each model uses a part of it")]
#[path = "loom/leases.rs"]
mod leases;

use crossproc_queue::raw::{Kept, Tick};

use leases::{Shared, id, model, spawn};

/// The first item, leased up to a moment.
fn lease_up_to(shared: &Shared, owner: u32, until: u32) -> Option<Kept> {
    let kept = shared.lease(id(owner)).ok()?;
    Some(shared.ring().limit_kept(kept, Tick::from_bits(until)))
}

fn ack(shared: &Shared, kept: Kept, value: u64) -> bool {
    let acked = shared.ring().ack(kept);
    if acked {
        shared.note_done(value);
    }
    acked
}

/// Looks after what ran out, and is done with the next item, if there is one.
fn work(shared: &Shared, owner: u32) {
    shared.repair();
    if let Some(kept) = lease_up_to(shared, owner, 2) {
        let value = shared.read(kept);
        assert!(ack(shared, kept, value), "it does not run out before 2");
    }
}

#[test]
fn an_item_whose_lease_ran_out_is_acknowledged_once() {
    model(2, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        let kept = lease_up_to(&shared, 1, 1).unwrap();
        shared.pass_time(1);
        let slow = spawn(&shared, move |s| ack(s, kept, 10));
        let other = spawn(&shared, |s| work(s, 2));
        work(&shared, 3);
        slow.join().unwrap();
        other.join().unwrap();
        shared.finish(&[10]);
    });
}

#[test]
fn a_lease_that_was_extended_is_not_taken_and_one_that_was_taken_not_extended() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        let kept = lease_up_to(&shared, 1, 1).unwrap();
        shared.pass_time(1);
        let slow = spawn(&shared, move |s| {
            let extended = s.ring().extend_kept(kept, Tick::from_bits(5), s.now());
            match extended {
                Some(longer) => assert!(ack(s, longer, 10), "extended, and taken"),
                None => assert!(!ack(s, kept, 10), "taken, and acknowledged"),
            }
        });
        work(&shared, 2);
        slow.join().unwrap();
        shared.finish(&[10]);
    });
}

/// The same process, by another thread, has the same entry again, for the same item and for the next.
#[test]
fn a_late_holder_ends_no_later_lease_of_its_own_process() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        let kept = lease_up_to(&shared, 1, 1).unwrap();
        shared.put(id(9), 20).unwrap();
        shared.pass_time(1);
        let slow = spawn(&shared, move |s| ack(s, kept, 10));
        work(&shared, 1);
        work(&shared, 1);
        slow.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

/// Two repairers, one of which is late and finds the entry in use again.
#[test]
fn a_late_repairer_takes_no_lease_that_has_not_run_out() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        let kept = lease_up_to(&shared, 1, 1).unwrap();
        shared.pass_time(1);
        let late = spawn(&shared, |s| {
            s.repair();
        });
        shared.repair();
        if let Some(again) = lease_up_to(&shared, 1, 2) {
            assert_eq!((again.deliveries(), shared.read(again)), (2, 10));
            assert!(ack(&shared, again, 10));
        }
        late.join().unwrap();
        assert!(!shared.ring().ack(kept));
        shared.finish(&[10]);
    });
}

/// A holder that gives its item back as it runs out, and one that dies with a lease that would last.
#[test]
fn an_item_that_runs_out_as_it_is_given_back_or_as_its_holder_dies_is_there_once() {
    for dies in [false, true] {
        model(3, move || {
            let shared = Shared::new(1, 1);
            shared.put(id(9), 10).unwrap();
            let kept = lease_up_to(&shared, 1, if dies { 5 } else { 1 }).unwrap();
            shared.pass_time(1);
            let holder = spawn(&shared, move |s| {
                if dies {
                    s.die(id(1));
                } else {
                    s.ring().give_back(kept);
                }
            });
            work(&shared, 2);
            holder.join().unwrap();
            for value in shared.harvest(id(4)) {
                shared.note_done(value);
            }
            assert_eq!(shared.done(), [10]);
            assert!(!shared.ring().ack(kept));
            shared.assert_as_new();
        });
    }
}

/// An item is read before its lease can run out: what comes later may be another's payload.
#[test]
fn an_item_is_read_before_its_entry_is_used_again() {
    model(3, || {
        let shared = Shared::new(2, 1);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        shared.pass_time(1);
        let other = spawn(&shared, |s| {
            work(s, 2);
            work(s, 2);
        });
        if let Ok(kept) = shared.lease(id(1)) {
            let value = shared.read(kept);
            let kept = shared.ring().limit_kept(kept, Tick::from_bits(1));
            ack(&shared, kept, value);
        }
        other.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

#[test]
fn what_a_living_holder_had_was_handed_out_once_before() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        shared.pass_time(1);
        let holder = spawn(&shared, |s| lease_up_to(s, 1, 1));
        shared.repair();
        if let Some(again) = shared.ring().take_back(id(2)) {
            assert_eq!((again.deliveries(), shared.read(again)), (2, 10));
            assert!(ack(&shared, again, 10));
        }
        holder.join().unwrap();
        shared.finish(&[10]);
    });
}
