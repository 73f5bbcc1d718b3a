//! One process: the forms of waiting and notifying, panics, levels, names, tickets.
#![cfg(not(crossproc_loom))]

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{Condvar, CondvarGuard, Deadline, Lock, LockError, RLock, Waited};

/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

fn both() -> (Lock, Condvar) {
    (Lock::new().expect("room"), Condvar::new().expect("room"))
}

fn until_waited_for(condvar: &Condvar) {
    while !format!("{condvar:?}").contains("has_waiters: true") {
        thread::yield_now();
    }
}

/// A panic that does not print.
fn quiet_panic() -> bool {
    panic::resume_unwind(Box::new("a panic of this test"))
}

#[test]
fn two_threads_take_turns() {
    const TURNS: u32 = 5_000;
    let (lock, condvar) = both();
    let turn = AtomicU32::new(0);
    let play = |mine: u32| {
        for _ in 0..TURNS {
            let guard = lock.lock().unwrap();
            let guard = condvar.wait_while(guard, || turn.load(Relaxed) % 2 != mine).unwrap();
            turn.store(turn.load(Relaxed) + 1, Relaxed);
            drop(guard);
            condvar.notify_one();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| play(0));
        play(1);
    });
    assert_eq!(turn.load(Relaxed), 2 * TURNS);
}

#[test]
fn every_item_wakes_somebody_who_takes_it() {
    const ITEMS: u32 = 3_000;
    let (lock, condvar) = both();
    let (items, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ITEMS {
                    let guard = lock.lock().unwrap();
                    let _guard = condvar.wait_while(guard, || items.load(Relaxed) == 0).unwrap();
                    items.store(items.load(Relaxed) - 1, Relaxed);
                    taken.fetch_add(1, Relaxed);
                }
            });
        }
        for item in 0..3 * ITEMS {
            let guard = lock.lock().unwrap();
            items.store(items.load(Relaxed) + 1, Relaxed);
            // Within the lock and after it.
            if item % 2 == 0 {
                condvar.notify_one();
                drop(guard);
            } else {
                drop(guard);
                condvar.notify_one();
            }
        }
    });
    assert_eq!((items.load(Relaxed), taken.load(Relaxed)), (0, 3 * ITEMS));
}

#[test]
fn as_many_come_back_as_are_notified() {
    let (lock, condvar) = both();
    let (waiting, back) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let guard = lock.lock().unwrap();
                waiting.fetch_add(1, SeqCst);
                drop(condvar.wait(guard).unwrap());
                back.fetch_add(1, SeqCst);
            });
        }
        let all_wait = || waiting.load(SeqCst) == 5 && lock.try_lock().is_ok();
        while !all_wait() {
            thread::yield_now();
        }
        let until = |count| {
            while back.load(SeqCst) < count {
                thread::yield_now();
            }
        };
        condvar.notify_one();
        until(1);
        condvar.notify_n(2);
        until(3);
        condvar.notify_n(usize::MAX);
        until(5);
    });
    // Nobody is left counted.
    assert_eq!(format!("{condvar:?}"), "Condvar { name: None, has_waiters: false }");
    condvar.notify_n(0);
}

#[test]
fn time_runs_out_with_the_lock_held_again() {
    let (lock, condvar) = both();
    let short = Duration::from_millis(20);
    let guard = lock.lock().unwrap();
    let (guard, waited) = condvar.wait_timeout(guard, short).unwrap();
    assert_eq!(waited, Waited::TimedOut);
    assert!(matches!(lock.lock(), Err(LockError::Deadlock)));
    let past = Deadline::from_nanos(1);
    let (guard, waited) = condvar.wait_deadline(guard, past).unwrap();
    assert_eq!(waited, Waited::TimedOut);
    let mut looks = 0;
    let never = || {
        looks += 1;
        true
    };
    let (guard, waited) = condvar.wait_timeout_while(guard, short, never).unwrap();
    assert_eq!((waited, looks), (Waited::TimedOut, 2));
    // It came true when time was up: that is what counts.
    let mut looks = 0;
    let late = || {
        looks += 1;
        looks < 2
    };
    let (guard, waited) = condvar.wait_deadline_while(guard, past, late).unwrap();
    assert_eq!((waited, looks), (Waited::Woken, 2));
    drop(guard);
    assert!(lock.lock().is_ok());
    assert!(format!("{condvar:?}").contains("has_waiters: false"));
}

#[test]
fn a_wake_ends_a_wait_with_a_limit_before_its_time() {
    let (lock, condvar) = both();
    let go = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = lock.lock().unwrap();
            let wait = condvar.wait_timeout_while(guard, Duration::MAX, || go.load(Relaxed) == 0);
            wait.unwrap().1
        });
        until_waited_for(&condvar);
        let guard = lock.lock().unwrap();
        go.store(1, Relaxed);
        drop(guard);
        condvar.notify_all();
        assert_eq!(waiter.join().unwrap(), Waited::Woken);
    });
}

#[test]
fn a_panic_of_the_condition_is_told_to_the_next_who_locks() {
    let (lock, condvar) = both();
    let ways: [&dyn Fn(); 2] =
        [&|| drop(condvar.wait_while(lock.lock().unwrap(), quiet_panic)), &|| {
            drop(condvar.wait_timeout_while(lock.lock().unwrap(), LONG, quiet_panic));
        }];
    for way in ways {
        assert!(panic::catch_unwind(AssertUnwindSafe(way)).is_err());
        assert!(matches!(lock.lock(), Err(LockError::Poisoned(_))));
        assert!(lock.lock().is_ok());
    }
    // After a wait, too.
    let mut looks = 0;
    let second = AssertUnwindSafe(|| {
        let condition = || {
            looks += 1;
            looks < 2 || quiet_panic()
        };
        let guard = lock.lock().unwrap();
        drop(condvar.wait_timeout_while(guard, Duration::from_millis(1), condition));
    });
    assert!(panic::catch_unwind(second).is_err());
    assert!(matches!(lock.lock(), Err(LockError::Poisoned(_))));
}

#[test]
fn a_panic_of_another_is_told_to_the_waiter_that_locks_again() {
    let (lock, condvar) = both();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = lock.lock().unwrap();
            match condvar.wait_timeout(guard, LONG) {
                Err(LockError::Poisoned((_guard, waited))) => waited == Waited::Woken,
                _ => false,
            }
        });
        until_waited_for(&condvar);
        let panics = AssertUnwindSafe(|| {
            let _guard = lock.lock().unwrap();
            condvar.notify_one();
            quiet_panic();
        });
        assert!(panic::catch_unwind(panics).is_err());
        assert!(waiter.join().unwrap());
    });
    assert!(lock.lock().is_ok());
}

#[test]
fn a_wait_with_an_rlock_gives_up_all_its_levels_and_brings_them_back() {
    let (lock, condvar) = (RLock::new().unwrap(), Condvar::new().unwrap());
    let ready = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let outer = lock.lock().unwrap();
            let middle = lock.lock().unwrap();
            let inner = lock.lock().unwrap();
            let inner = condvar.wait_while(inner, || ready.load(Relaxed) == 0).unwrap();
            let depth = lock.depth();
            drop((outer, middle));
            (depth, lock.depth(), inner.unlock().is_ok(), lock.depth())
        });
        until_waited_for(&condvar);
        // Could not be had if a level were left.
        let guard = lock.lock().unwrap();
        ready.store(1, Relaxed);
        drop(guard);
        condvar.notify_all();
        assert_eq!(waiter.join().unwrap(), (3, 1, true, 0));
    });
    assert!(lock.try_lock().is_ok());
}

#[test]
fn an_rlock_remembers_the_panic_of_an_inner_level_through_a_wait() {
    let (lock, condvar) = (RLock::new().unwrap(), Condvar::new().unwrap());
    let outer = lock.lock().unwrap();
    let inner = AssertUnwindSafe(|| {
        let _inner = lock.lock().unwrap();
        quiet_panic();
    });
    assert!(panic::catch_unwind(inner).is_err());
    let (outer, waited) = condvar.wait_timeout(outer, Duration::from_millis(1)).unwrap();
    assert!(waited.is_timed_out());
    drop(outer);
    assert!(matches!(lock.lock(), Err(LockError::Poisoned(_))));
}

#[test]
fn guards_of_different_locks_at_one_condvar_harm_nobody() {
    fn waits<G: CondvarGuard>(condvar: &Condvar, guard: G, done: &AtomicU32) {
        drop(condvar.wait_while(guard, || done.load(SeqCst) == 0));
    }
    let condvar = Condvar::new().unwrap();
    let (one, two) = (Lock::new().unwrap(), RLock::new().unwrap());
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiters = [
            scope.spawn(|| waits(&condvar, one.lock().unwrap(), &done)),
            scope.spawn(|| waits(&condvar, two.lock().unwrap(), &done)),
        ];
        until_waited_for(&condvar);
        done.store(1, SeqCst);
        // One that was missed, as is the price, finds the next.
        while !waiters.iter().all(thread::ScopedJoinHandle::is_finished) {
            condvar.notify_all();
            thread::yield_now();
        }
    });
    assert!(one.try_lock().is_ok() && two.try_lock().is_ok());
}

#[test]
fn a_word_that_was_written_over_hangs_nobody() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let (lock, condvar) =
        (Lock::new_in(&segment).unwrap(), Condvar::create(&segment, "changed").unwrap());
    let object = segment.find("changed", &Shape::untyped("condvar", 1)).unwrap();
    // SAFETY: the word is at the beginning of its body.
    let word = unsafe { object.body().cast::<AtomicU32>().as_ref() };
    for bad in [u32::MAX, 0xffff, 1, 0xffff_0000, 0x7fff_fffe] {
        word.store(bad, SeqCst);
        let guard = lock.lock().unwrap();
        let (guard, waited) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
        assert_eq!(waited, Waited::TimedOut);
        condvar.notify_one();
        condvar.notify_n(7);
        condvar.notify_all();
        assert!(format!("{condvar:?}").contains("has_waiters: false"));
        drop(guard);
    }
    // A sleeper whose word was written over comes back when its slice ends.
    word.store(0, SeqCst);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| condvar.wait(lock.lock().unwrap()).is_ok());
        until_waited_for(&condvar);
        word.store(0xdead_0000, SeqCst);
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 64, |_| {}).unwrap();
    Condvar::create(&segment, "changed").unwrap();
    assert!(matches!(Condvar::create(&segment, "changed"), Err(Error::Exists { .. })));
    assert!(matches!(Condvar::open(&segment, "never"), Err(Error::NotFound { .. })));
    assert!(matches!(Condvar::open(&segment, "other"), Err(Error::Kind { .. })));
    Condvar::open_or_create(&segment, "never").unwrap();
    assert!(Condvar::open(&segment, "never").is_ok());
}

#[test]
fn a_ticket_leads_to_the_same_condvar_and_is_only_made_on_the_way_to_another_process() {
    let (lock, condvar) = both();
    assert!(serde_json::to_string(&condvar).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&condvar).unwrap());
    let same: Condvar =
        transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| condvar.wait(lock.lock().unwrap()).is_ok());
        until_waited_for(&same);
        drop(lock.lock().unwrap());
        same.notify_one();
        assert!(waiter.join().unwrap());
    });
    assert!(serde_json::from_str::<Condvar>(&ticket).is_err());
}
