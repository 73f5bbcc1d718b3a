//! Threads that stop for good at a chosen point, and survivors that repair.

use crossproc_queue::raw::{NoItem, Position, Refused, Word};
use crossproc_segment::MemberId;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use super::shared::{Cell, Shared, id, model, model_within, spawn};

#[test]
fn a_closer_that_dies_after_its_commit_has_closed() {
    model(|| {
        let shared = Shared::new(1);
        let closer = spawn(&shared, |s| {
            // The commit of `close` and nothing else.
            let dead = s.ring();
            dead.close_commit_only();
        });
        let first = shared.try_put(id(1), 10);
        closer.join().unwrap();
        assert_eq!(shared.try_put(id(1), 11), Err(Refused::Closed));
        shared.ring().repair_head(|_| true);
        if first.is_ok() {
            assert_eq!(shared.try_take(), Ok(10));
        }
        assert_eq!(shared.try_take(), Err(NoItem::Closed));
    });
}

/// The claim by hand: a producer that is killed before `tail` moves.
fn claim_and_die_before_tail(shared: &Shared, me: MemberId) {
    for lap in 0..2_u64 {
        for index in 0..shared.capacity {
            let at = Position::from_bits(lap << 24 | u64::from(index));
            let slot = &shared.slots[index as usize * 3];
            let (free, word) = (Word::free(at.lap()).bits(), Word::writing(at.lap(), me).bits());
            if slot.compare_exchange(free, word, AcqRel, Relaxed).is_ok() {
                return shared.die(me);
            }
        }
    }
}

/// With one place a survivor consumes and produces beside the victim; with more, two do.
fn a_producer_dies(capacity: u32, die: impl Fn(&Shared, MemberId) + Copy + Send + Sync + 'static) {
    model_within(if capacity == 1 { 3 } else { 2 }, move || {
        let shared = Shared::new(capacity);
        let victim = spawn(&shared, move |s| die(s, id(1)));
        let produce = |s: &Shared| s.put_or_repair(id(2), 20);
        let rival = (capacity > 1).then(|| spawn(&shared, produce));
        let mut taken = Vec::new();
        taken.extend(shared.take_once());
        if rival.is_none() {
            produce(&shared);
            taken.extend(shared.take_once());
        }
        victim.join().unwrap();
        if let Some(rival) = rival {
            rival.join().unwrap();
        }
        // The dead claim may still be there; a producer goes on all the same.
        assert!(shared.put_or_repair(id(2), 21) || shared.accepted() == 1);
        taken.extend(shared.drain());
        assert_eq!(taken.len(), shared.accepted());
        assert!(taken.is_sorted() && taken.iter().all(|value| (20..22).contains(value)));
        shared.assert_exact_capacity();
    });
}

#[test]
fn a_producer_killed_before_tail_moves_stops_nobody_with_one_place() {
    a_producer_dies(1, claim_and_die_before_tail);
}

#[test]
fn a_producer_killed_before_tail_moves_stops_nobody_with_two_places() {
    a_producer_dies(2, claim_and_die_before_tail);
}

fn claim_and_die_before_commit(shared: &Shared, me: MemberId) {
    let ring = shared.ring();
    if let Ok(claim) = ring.claim(me) {
        claim.write(&[99]);
        core::mem::forget(claim);
        shared.die(me);
    }
}

#[test]
fn a_producer_killed_before_its_commit_is_skipped_with_one_place() {
    a_producer_dies(1, claim_and_die_before_commit);
}

#[test]
fn a_producer_killed_before_its_commit_is_skipped_with_two_places() {
    a_producer_dies(2, claim_and_die_before_commit);
}

#[test]
fn the_last_stores_of_the_dead_are_over_before_the_place_is_used_again() {
    model(|| {
        let shared = Shared::new(1);
        let cell = Cell::new();
        let victim = {
            let cell = Arc::clone(&cell);
            spawn(&shared, move |s| {
                let ring = s.ring();
                let claim = ring.claim(id(1)).unwrap();
                cell.set(1);
                core::mem::forget(claim);
                s.die(id(1));
            })
        };
        let repairer = spawn(&shared, |s| {
            s.ring().repair_head(|who| s.alive(who));
        });
        if shared.ring().has_room() == Err(Refused::Full) {
            cell.put(&shared, id(2), 2);
        }
        victim.join().unwrap();
        repairer.join().unwrap();
    });
}

#[test]
fn two_repairers_of_one_death_lose_and_double_nothing() {
    model_within(2, || {
        let shared = Shared::new(2);
        claim_and_die_before_commit(&shared, id(1));
        assert_eq!(shared.try_put(id(2), 20), Ok(()));
        let other = spawn(&shared, |s| {
            s.ring().repair_tail(|who| s.alive(who));
            s.ring().repair_head(|who| s.alive(who));
            if let Ok(value) = s.try_take() {
                assert_eq!(value, 20);
                s.die(id(77));
            }
        });
        shared.ring().repair_head(|who| shared.alive(who));
        let mine = shared.try_take();
        other.join().unwrap();
        let theirs = !shared.alive(id(77));
        let left = shared.drain();
        match mine {
            Ok(value) => assert_eq!((value, theirs, left.len()), (20, false, 0)),
            Err(none) => {
                assert!(matches!(none, NoItem::Empty | NoItem::Pending));
                assert_eq!(left.len(), usize::from(!theirs));
            }
        }
        shared.assert_exact_capacity();
    });
}

/// The commit of get by hand: a consumer that is killed before `head` moves.
#[test]
fn a_consumer_killed_before_head_moves_stops_nobody() {
    model(|| {
        let shared = Shared::new(1);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        let victim = spawn(&shared, |s| {
            let lap = Position::from_bits(0).lap();
            let (full, free) = (Word::full(lap).bits(), Word::free(lap.next()).bits());
            if s.slots[0].compare_exchange(full, free, Release, Relaxed).is_ok() {
                s.die(id(77));
            }
        });
        let producer = spawn(&shared, |s| s.put_once(id(2), 20));
        let mut taken = Vec::new();
        taken.extend(shared.try_take().ok());
        victim.join().unwrap();
        producer.join().unwrap();
        taken.extend(shared.drain());
        if !shared.alive(id(77)) {
            taken.insert(0, 10);
        }
        assert_eq!(taken, [10, 20][..=shared.accepted()]);
        shared.assert_exact_capacity();
    });
}

#[test]
fn a_holder_killed_before_its_commit_leaves_the_item_first() {
    model(|| {
        let shared = Shared::new(2);
        assert_eq!(shared.try_put(id(1), 10), Ok(()));
        let victim = spawn(&shared, |s| {
            let ring = s.ring();
            if let Ok(hold) = ring.hold(id(2)) {
                core::mem::forget(hold);
                s.die(id(2));
            }
        });
        let producer = spawn(&shared, |s| s.put_once(id(1), 11));
        let mut taken = Vec::new();
        taken.extend(shared.take_once());
        victim.join().unwrap();
        producer.join().unwrap();
        taken.extend(shared.drain());
        assert_eq!((taken, shared.accepted()), (vec![10, 11], 1));
        shared.assert_exact_capacity();
    });
}

/// A process that is taken for dead while it lives fails its commit, and says so.
#[test]
fn a_producer_wrongly_taken_for_dead_overwrites_nothing() {
    model(|| {
        let shared = Shared::new(1);
        let accused = spawn(&shared, |s| {
            let ring = s.ring();
            if let Ok(claim) = ring.claim(id(1)) {
                claim.write(&[10, 70]);
                if claim.commit().is_ok() {
                    s.die(id(77));
                }
            }
        });
        shared.ring().repair_head(|_| false);
        let mine = shared.try_take();
        accused.join().unwrap();
        let accepted = !shared.alive(id(77));
        let left = shared.drain();
        match mine {
            Ok(value) => assert_eq!((value, accepted), (10, true)),
            Err(_) => assert_eq!(left, if accepted { vec![10] } else { vec![] }),
        }
        shared.assert_exact_capacity();
    });
}
