//! Every interleaving of the semaphore's words, with holders that stop for good.
//!
//! Weakened by hand, once each, and seen to fail: *log* (commit made Relaxed, or Acquire only; the
//! load in settle made Relaxed), *finish* (the CAS of an entry made Relaxed, or Acquire only; its load
//! in settle made Relaxed), no second reading of the log, no finishing of another's operation, an
//! acquisition in two stores, a release that frees its entry before the commit, repair that does not
//! settle before it ends a claim, repair that leaves claims alone. Not seen: a commit that only
//! releases, since the load of the same word has acquired already.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_segment::wait::port;
use crossproc_sync::semaphore::raw::{Hold, Log, MOST, Refused, Semaphore, Unadded, Unreleased};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;

/// A semaphore, what one permit of it guards, and the kernel: who is dead.
struct Shared {
    semaphore: Semaphore<2>,
    data: UnsafeCell<u32>,
    dead: [AtomicBool; 4],
}

// SAFETY: `data` is only reached by the holder of the only permit; that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new(permits: u32) -> Arc<Self> {
        Arc::new(Self {
            semaphore: Semaphore::new(permits),
            data: UnsafeCell::new(0),
            dead: core::array::from_fn(|_| AtomicBool::new(false)),
        })
    }

    /// Acquires as the handle does, without spinning and without slices.
    fn acquire(&self, me: MemberId) -> Hold {
        self.sleep_until(|| self.semaphore.acquire(me, 0))
    }

    fn take(&self) {
        self.sleep_until(|| self.semaphore.take());
    }

    fn sleep_until<R>(&self, attempt: impl Fn() -> Result<R, Refused>) -> R {
        let freed = self.semaphore.freed();
        loop {
            let epoch = freed.prepare();
            self.repair();
            match attempt() {
                Ok(got) => {
                    freed.cancel(epoch);
                    if freed.has_waiters() && self.semaphore.available() > 0 {
                        freed.notify_one();
                    }
                    return got;
                }
                Err(Refused::Empty) => {}
                Err(refused) => panic!("{refused:?}"),
            }
            if let Some(word) = freed.still(epoch) {
                port::wait(freed.word(), word);
            }
        }
    }

    fn release(&self, hold: Hold) {
        assert_eq!(self.semaphore.release(hold, MOST), Ok(true));
        self.semaphore.freed().notify_one();
    }

    fn add(&self) {
        assert_eq!(self.semaphore.add(1), Ok(()));
        self.semaphore.freed().notify_one();
    }

    fn repair(&self) -> u32 {
        let back = self.semaphore.repair(MOST, |id| self.alive(id));
        for _ in 0..back {
            self.semaphore.freed().notify_one();
        }
        back
    }

    /// What the kernel does when `id` is gone, and the kick that its death is to all who sleep.
    fn die(&self, id: MemberId) {
        self.dead[id.get() as usize].store(true, Release);
        self.semaphore.freed().notify_all();
    }

    fn alive(&self, id: MemberId) -> bool {
        !self.dead[id.get() as usize].load(Acquire)
    }

    /// Fails the model if another thread is inside.
    fn work(&self) -> u32 {
        self.data.with_mut(|p| {
            // SAFETY: the caller holds the only permit.
            let value = unsafe { &mut *p };
            *value += 1;
            *value
        })
    }

    /// Exactly `permits` are there, and each can be had.
    fn has(&self, permits: u32) {
        self.repair();
        assert_eq!(self.semaphore.available(), permits);
        for _ in 0..permits {
            assert_eq!(self.semaphore.take(), Ok(()));
        }
        assert_eq!(self.semaphore.take(), Err(Refused::Empty));
        assert_eq!(self.semaphore.owners().count(), 0);
        let claims = (0..2).filter_map(|_| self.semaphore.claim(id(3), 0)).count();
        assert_eq!(claims, 2, "no entry stays with the dead");
    }
}

fn id(id: u32) -> MemberId {
    MemberId::new(id).unwrap()
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(f);
}

fn spawn<R: 'static>(
    shared: &Arc<Shared>,
    f: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || f(&shared))
}

#[test]
fn two_holders_exclude_each_other_and_hand_over_what_they_did() {
    // Both are threads of one member.
    model(3, || {
        let shared = Shared::new(1);
        let pass = |s: &Shared| {
            let hold = s.acquire(id(1));
            s.work();
            s.release(hold);
        };
        let other = spawn(&shared, pass);
        pass(&shared);
        other.join().unwrap();
        assert_eq!(shared.work(), 3);
        shared.has(1);
    });
}

#[test]
fn sleepers_are_woken_without_any_slice() {
    model(2, || {
        let shared = Shared::new(0);
        let takers = [1, 2].map(|_| spawn(&shared, Shared::take));
        shared.add();
        shared.add();
        for taker in takers {
            taker.join().unwrap();
        }
        shared.has(0);
    });
}

#[test]
fn two_that_are_added_at_once_reach_two_sleepers() {
    model(2, || {
        let shared = Shared::new(0);
        let takers = [1, 2].map(|_| spawn(&shared, Shared::take));
        shared.semaphore.add(2).unwrap();
        // Killed before its second wake.
        shared.semaphore.freed().notify_one();
        for taker in takers {
            taker.join().unwrap();
        }
        shared.has(0);
    });
}

/// A helper that stops between its readings comes upon an entry that is in use again.
#[test]
fn a_helper_that_was_stopped_does_not_touch_what_came_later() {
    model(3, || {
        let shared = Shared::new(1);
        let helper = spawn(&shared, |s| s.semaphore.settled().map(Log::count));
        for _ in 0..2 {
            let hold = shared.semaphore.acquire(id(1), 0).unwrap();
            assert_eq!(shared.semaphore.release(hold, MOST), Ok(true));
        }
        assert!(helper.join().unwrap().is_ok());
        shared.has(1);
    });
}

#[test]
fn permits_with_and_without_an_owner_are_counted_in_one() {
    model(3, || {
        let shared = Shared::new(1);
        let other = spawn(&shared, |s| {
            let taken = s.semaphore.take().is_ok();
            s.add();
            taken
        });
        let hold = shared.acquire(id(1));
        shared.semaphore.forget(hold).unwrap();
        let taken = other.join().unwrap();
        // One was forgotten, one added; the first take may have come too late.
        shared.has(u32::from(!taken));
    });
}

/// The holder stops for good after `steps` of: nothing, claim, commit, finish, work, commit of the
/// release, finish.
fn holder_stops(steps: usize) {
    model(2, move || {
        let shared = Shared::new(1);
        let victim = spawn(&shared, move |s| {
            let me = id(1);
            let semaphore = &s.semaphore;
            match steps {
                0 => {}
                1 => drop(semaphore.claim(me, 0)),
                2 => {
                    let claim = semaphore.claim(me, 0).unwrap();
                    let _ = semaphore.settled().map(|seen| semaphore.commit_hold(claim, seen));
                }
                _ => {
                    if let Ok(hold) = semaphore.acquire(me, 0) {
                        if steps > 3 {
                            s.work();
                        }
                        match steps {
                            3 | 4 => {}
                            5 => drop(semaphore.commit_let_go(hold, MOST)),
                            _ => drop(semaphore.release(hold, MOST)),
                        }
                    }
                }
            }
            s.die(me);
        });
        let heir = spawn(&shared, |s| {
            let hold = s.acquire(id(2));
            s.work();
            s.release(hold);
        });
        victim.join().unwrap();
        heir.join().unwrap();
        shared.has(1);
    });
}

#[test]
fn a_holder_that_stops_before_its_claim_leaves_nothing() {
    holder_stops(0);
}

#[test]
fn a_claim_of_a_dead_one_holds_nothing() {
    holder_stops(1);
}

#[test]
fn a_permit_that_the_dead_one_did_not_come_to_sign_comes_back() {
    holder_stops(2);
}

#[test]
fn a_dead_holders_permit_comes_back() {
    holder_stops(3);
}

#[test]
fn a_dead_holders_permit_comes_back_with_what_it_wrote() {
    holder_stops(4);
}

#[test]
fn a_permit_is_back_once_the_release_is_committed() {
    holder_stops(5);
}

#[test]
fn a_permit_is_not_given_back_twice() {
    holder_stops(6);
}

#[test]
fn two_who_repair_bring_a_permit_back_once() {
    model(3, || {
        let shared = Shared::new(2);
        let semaphore = &shared.semaphore;
        // One was signed, the other not.
        semaphore.acquire(id(1), 0).unwrap();
        let claim = semaphore.claim(id(1), 1).unwrap();
        semaphore.commit_hold(claim, semaphore.settled().unwrap()).unwrap();
        shared.die(id(1));
        let other = spawn(&shared, Shared::repair);
        let mine = shared.repair();
        assert_eq!(mine + other.join().unwrap(), 2);
        shared.has(2);
    });
}

#[test]
fn one_who_repairs_beside_those_who_come_and_go_disturbs_nobody() {
    model(2, || {
        let shared = Shared::new(2);
        shared.semaphore.acquire(id(1), 0).unwrap();
        shared.die(id(1));
        let other = spawn(&shared, Shared::repair);
        let hold = shared.semaphore.acquire(id(2), 0).unwrap();
        assert_eq!(shared.semaphore.release(hold, MOST), Ok(true));
        assert_eq!(other.join().unwrap(), 1);
        shared.has(2);
    });
}

#[test]
fn a_release_too_many_is_refused_whoever_comes_and_goes() {
    model(3, || {
        let shared = Shared::new(1);
        let other = spawn(&shared, |s| {
            let hold = s.semaphore.acquire(id(1), 0).unwrap();
            assert_eq!(s.semaphore.release(hold, 1), Ok(true));
        });
        assert_eq!(shared.semaphore.add_within(1, 1), Err(Unadded::Above(1)));
        other.join().unwrap();
        shared.has(1);
    });
}

#[test]
fn a_release_of_a_permit_that_was_taken_back_touches_nothing() {
    model(3, || {
        let shared = Shared::new(1);
        let hold = shared.semaphore.acquire(id(1), 0).unwrap();
        // Wrongly believed dead: a kernel that lost a byte lock.
        let heir = spawn(&shared, |s| s.semaphore.repair(MOST, |_| false));
        let released = shared.semaphore.release(hold, MOST);
        match heir.join().unwrap() {
            1 => assert_eq!(released, Err(Unreleased::NotHeld)),
            _ => assert_eq!(released, Ok(true)),
        }
        shared.has(1);
    });
}
