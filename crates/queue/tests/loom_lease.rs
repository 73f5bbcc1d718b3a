//! Every interleaving of two or three threads on the real entries of leases, with deaths after each
//! step of a lease.
//!
//! A thread that "dies" returns at a chosen point and says so; the oracle of the survivors believes
//! it from then on, as the kernel would.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                                          | red                                       |
//! |---------------------------------------------------|-------------------------------------------|
//! | CLAIM(dead) is freed without a look at the slot   | two_repairers_of_a_claim_...              |
//! | LIVE(dead) is not looked at again after the ticket| a_late_repairer_frees_no_slot_...         |
//! | `returns`, release                                | what_is_given_back_...                    |
//! | `back = 0` by a store instead of a CAS             | an_item_given_back_as_another_is_taken_.. |
//! | *empty*, release of ack                           | all_is_done_when_the_last_is_...          |
//! | release of what is paid                           | what_is_owed_is_not_done                  |
//! | `tail` is not looked at again by is_done          | all_is_done_when_the_last_is_...          |
//! | what came back is owed in a lower entry, and acked | an_item_that_came_back_and_is_got_... |
//! | a CLAIM is nothing that may come back             | a_closed_queue_is_not_at_its_end_...      |
//! | the claim of an entry, by a store                 | of_two_leases_at_once_into_one_entry_...  |
//! | the commit of a lease, by a store                 | of_a_lease_and_a_get_one_has_the_item     |
//!
//! Not shown: the release of BACK, as that of `returns`, which follows it, covers it where a model
//! with few items looks.
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "each model uses a part of it")]
#[path = "loom/leases.rs"]
mod leases;

use crossproc_queue::raw::{Near, NoItem, Refused};

use leases::{Cell, Shared, id, model, spawn};

/// How far a lessee comes before it dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Claimed,
    Committed,
    Passed,
    Live,
    Kept,
    Returned,
    Acked,
}

const STEPS: [Step; 7] = [
    Step::Claimed,
    Step::Committed,
    Step::Passed,
    Step::Live,
    Step::Kept,
    Step::Returned,
    Step::Acked,
];

/// Leases as `1` and dies after a step.
fn lease_until(shared: &Shared, step: Step) {
    let ring = shared.ring();
    let me = id(1);
    let Some(blank) = ring.claim_entry(me, 0) else { return };
    if step == Step::Claimed {
        core::mem::forget(blank);
        return shared.die(me);
    }
    let mut payload = [0; 2];
    let Ok(taken) = ring.commit_lease(blank, &mut payload) else { return };
    if matches!(step, Step::Committed | Step::Passed | Step::Live) {
        if step != Step::Committed {
            taken.pass();
        }
        if step == Step::Live {
            taken.enliven();
        }
        core::mem::forget(taken);
        return shared.die(me);
    }
    let kept = taken.keep();
    match step {
        Step::Returned => assert!(ring.give_back(kept)),
        Step::Acked => {
            assert!(ring.ack(kept));
            shared.note_done(payload[0]);
        }
        _ => {}
    }
    shared.die(me);
}

fn a_lessee_dies(capacity: u32, put_beside: bool) {
    let steps = if put_beside { &STEPS[1..4] } else { &STEPS[..] };
    for &step in steps {
        model(if put_beside { 1 } else { 2 }, move || {
            let shared = Shared::new(capacity, 2);
            shared.put(id(9), 10).unwrap();
            let victim = spawn(&shared, move |s| lease_until(s, step));
            let producer = put_beside.then(|| spawn(&shared, |s| s.put_or_repair(id(2), 20)));
            let mut got = Vec::new();
            shared.repair();
            got.extend(shared.lease_and_ack(id(3)));
            victim.join().unwrap();
            if let Some(producer) = producer {
                producer.join().unwrap();
            }
            got.extend(shared.harvest(id(4)));
            got.sort_unstable();
            let mut due = vec![10];
            due.extend(shared.was_put().then_some(20));
            due.retain(|value| !shared.done().contains(value));
            assert_eq!(got, due, "{step:?}");
            shared.assert_as_new();
        });
    }
}

#[test]
fn a_lessee_that_dies_at_any_step_loses_and_doubles_nothing() {
    a_lessee_dies(2, false);
}

#[test]
fn a_producer_comes_past_a_lessee_that_died_with_the_place() {
    a_lessee_dies(1, true);
}

/// Two survivors repair, and one of them goes on to lease the next item into the same entry.
fn two_repairers(step: Step) {
    model(2, move || {
        let shared = Shared::new(2, 1);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        lease_until(&shared, step);
        let other = spawn(&shared, |s| {
            s.repair();
            if let Some(value) = s.lease_and_ack(id(2)) {
                s.note_done(value);
            }
        });
        shared.repair();
        if let Some(value) = shared.lease_and_ack(id(3)) {
            shared.note_done(value);
        }
        other.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

#[test]
fn two_repairers_of_a_claim_lose_and_double_nothing() {
    two_repairers(Step::Committed);
}

#[test]
fn two_repairers_of_a_claim_that_head_has_passed_lose_and_double_nothing() {
    two_repairers(Step::Passed);
}

#[test]
fn two_repairers_of_a_live_entry_whose_slot_is_not_free_lose_and_double_nothing() {
    two_repairers(Step::Live);
}

#[test]
fn two_repairers_of_a_dead_holder_lose_and_double_nothing() {
    two_repairers(Step::Kept);
}

/// A repairer that stands still while its entry is repaired, leased again by a lessee that dies
/// before it made it LIVE: then the slot must not be freed.
#[test]
fn a_late_repairer_frees_no_slot_of_a_later_lease() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        lease_until(&shared, Step::Live);
        let late = spawn(&shared, |s| {
            s.repair();
        });
        shared.repair();
        let first = shared.lease_and_ack(id(2));
        let put = shared.put(id(9), 20).is_ok();
        if put {
            let ring = shared.ring();
            if let Some(blank) = ring.claim_entry(id(5), 0) {
                if let Ok(taken) = ring.commit_lease(blank, &mut [0; 2]) {
                    core::mem::forget(taken);
                    shared.die(id(5));
                }
            }
        }
        late.join().unwrap();
        let mut got: Vec<_> = first.into_iter().chain(shared.harvest(id(4))).collect();
        got.sort_unstable();
        assert_eq!(got, if put { vec![10, 20] } else { vec![10] });
        shared.assert_as_new();
    });
}

#[test]
fn what_is_given_back_is_handed_out_once_and_seen_by_the_next() {
    model(3, || {
        let shared = Shared::new(1, 2);
        shared.put(id(9), 10).unwrap();
        let kept = shared.lease(id(1)).unwrap();
        let nacker = spawn(&shared, move |s| assert!(s.ring().give_back(kept)));
        let taker = spawn(&shared, |s| {
            if let Some(value) = s.lease_and_ack(id(2)) {
                s.note_done(value);
            }
        });
        if let Some(value) = shared.lease_and_ack(id(3)) {
            shared.note_done(value);
        }
        nacker.join().unwrap();
        taker.join().unwrap();
        if shared.done().is_empty() {
            assert!(shared.ring().has_back(), "nobody would look");
            assert_eq!(shared.lease_and_ack(id(4)), Some(10));
        } else {
            assert_eq!(shared.done(), [10]);
        }
        shared.assert_as_new();
    });
}

/// Of two that are given back, one after the other, none is forgotten as the other is taken.
#[test]
fn an_item_given_back_as_another_is_taken_is_not_forgotten() {
    model(2, || {
        let shared = Shared::new(2, 2);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        let (one, two) = (shared.lease(id(1)).unwrap(), shared.lease(id(1)).unwrap());
        assert!(shared.ring().give_back(two));
        let nacker = spawn(&shared, move |s| assert!(s.ring().give_back(one)));
        let mut got = Vec::new();
        for _ in 0..2 {
            got.extend(shared.lease_and_ack(id(3)));
        }
        nacker.join().unwrap();
        while shared.ring().has_back() {
            got.extend(shared.lease_and_ack(id(4)));
        }
        got.sort_unstable();
        assert_eq!(got, [10, 20]);
        shared.assert_as_new();
    });
}

#[test]
fn of_a_lease_and_a_get_one_has_the_item() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        let getter = spawn(&shared, |s| {
            if let Ok(value) = s.take() {
                s.note_done(value);
            }
            let _ = s.put(id(2), 20);
        });
        if let Some(value) = shared.lease_and_ack(id(3)) {
            shared.note_done(value);
        }
        getter.join().unwrap();
        for value in shared.harvest(id(4)) {
            shared.note_done(value);
        }
        let done = shared.done();
        assert!(done == [10] || done == [10, 20], "{done:?}");
        shared.assert_as_new();
    });
}

/// The quick way of two threads of one process, which have the same entry in mind.
#[test]
fn of_two_leases_at_once_into_one_entry_each_has_its_own_item_or_none() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        // Nobody leases at once in a queue in which nothing was ever leased.
        assert_eq!(shared.lease_and_ack(id(1)), Some(10));
        shared.put(id(9), 10).unwrap();
        let at_once = |s: &Shared| {
            if let Some(value) = s.lease_near(&Near::new(), id(1), 0) {
                s.note_done(value);
                if value == 10 {
                    s.put(id(1), 20).unwrap();
                }
            }
        };
        let other = spawn(&shared, at_once);
        at_once(&shared);
        other.join().unwrap();
        shared.finish(&[10, 20]);
    });
}

/// The entry is written anew as soon as its item is acknowledged.
#[test]
fn an_item_is_read_before_its_entry_is_used_again() {
    model(3, || {
        let shared = Shared::new(2, 1);
        shared.put(id(9), 10).unwrap();
        shared.put(id(9), 20).unwrap();
        let kept = shared.lease(id(1)).unwrap();
        let other = spawn(&shared, |s| {
            if let Ok(kept) = s.lease(id(2)) {
                assert_eq!(s.read(kept), 20);
                assert!(s.ring().ack(kept));
                s.note_done(20);
            }
        });
        assert_eq!(shared.read(kept), 10);
        assert!(shared.ring().ack(kept));
        other.join().unwrap();
        let left = shared.harvest(id(4));
        assert_eq!(left.len() + shared.done().len(), 1);
        shared.assert_as_new();
    });
}

/// A worker puts an item more before the first is done: never is all done in between.
#[test]
fn all_is_done_when_the_last_is_and_what_was_done_is_seen() {
    model(2, || {
        let shared = Shared::new(2, 1);
        let cell = Cell::new();
        shared.put(id(9), 10).unwrap();
        let worker = {
            let cell = loom::sync::Arc::clone(&cell);
            spawn(&shared, move |s| {
                let kept = s.lease(id(1)).unwrap();
                s.put(id(1), 20).unwrap();
                assert!(s.ring().ack(kept));
                let kept = s.lease(id(1)).unwrap();
                cell.set(7);
                assert!(s.ring().ack(kept));
            })
        };
        if shared.ring().is_done() {
            assert_eq!(cell.get(), 7);
        }
        worker.join().unwrap();
        assert!(shared.ring().is_done());
    });
}

#[test]
fn what_is_owed_is_not_done() {
    model(3, || {
        let shared = Shared::new(1, 1);
        let cell = Cell::new();
        shared.put(id(9), 10).unwrap();
        let worker = {
            let cell = loom::sync::Arc::clone(&cell);
            spawn(&shared, move |s| {
                assert!(s.ring().owe(id(1)));
                assert_eq!(s.take(), Ok(10));
                cell.set(7);
                assert!(s.ring().pay(id(1)));
                assert!(!s.ring().pay(id(1)));
            })
        };
        if shared.ring().is_done() {
            assert_eq!(cell.get(), 7);
        }
        worker.join().unwrap();
        assert!(shared.ring().is_done());
    });
}

/// An item that came back is owed where it lies: a look that has passed a lower entry finds it.
#[test]
fn an_item_that_came_back_and_is_got_is_not_done_in_between() {
    model(2, || {
        let shared = Shared::new(1, 2);
        let cell = Cell::new();
        shared.put(id(9), 10).unwrap();
        let ring = shared.ring();
        let kept = ring.lease_words(ring.claim_entry(id(1), 1).unwrap(), &mut [0; 2]).unwrap();
        let nacker = spawn(&shared, move |s| assert!(s.ring().give_back(kept)));
        let getter = {
            let cell = loom::sync::Arc::clone(&cell);
            spawn(&shared, move |s| {
                if let Some(kept) = s.ring().take_back(id(2)) {
                    assert_eq!(s.read(kept), 10);
                    assert!(s.ring().owe_kept(kept));
                    cell.set(7);
                    assert!(s.ring().pay(id(2)));
                }
            })
        };
        if shared.ring().is_done() {
            assert_eq!(cell.get(), 7);
        }
        nacker.join().unwrap();
        getter.join().unwrap();
        // A look at what lies back is no change.
        assert!(!shared.repair());
        assert_eq!(shared.ring().is_done(), shared.ring().count_back() == 0);
        shared.harvest(id(3));
        shared.assert_as_new();
    });
}

#[test]
fn what_the_dead_owed_keeps_nobody_waiting() {
    for took in [false, true] {
        model(2, move || {
            let shared = Shared::new(1, 1);
            shared.put(id(9), 10).unwrap();
            let victim = spawn(&shared, move |s| {
                assert!(s.ring().owe(id(1)));
                if took {
                    assert_eq!(s.take(), Ok(10));
                }
                s.die(id(1));
            });
            shared.repair();
            assert!(!shared.ring().is_done() || took);
            victim.join().unwrap();
            shared.repair();
            assert_eq!(shared.ring().is_done(), took);
        });
    }
}

/// With a closed queue, whoever hears that it is at its end has heard of the last lease.
#[test]
fn a_closed_queue_is_not_at_its_end_before_the_last_lease_is() {
    model(3, || {
        let shared = Shared::new(1, 1);
        shared.put(id(9), 10).unwrap();
        shared.ring().close();
        let holder = spawn(&shared, |s| {
            if let Ok(kept) = s.lease(id(1)) {
                assert!(s.ring().give_back(kept));
            }
        });
        let got = shared.take();
        let ended = got == Err(NoItem::Closed) && !shared.ring().may_come_back(id(2));
        holder.join().unwrap();
        assert!(!ended, "the end was said over an item");
        assert_eq!(shared.harvest(id(2)).len(), usize::from(got.is_err()));
        assert_eq!(shared.put(id(9), 20), Err(Refused::Closed));
        assert!(!shared.ring().may_come_back(id(2)));
    });
}
