//! One process: the forms of locking, panics, recursion, names, tickets, words written over.
#![cfg(not(crossproc_loom))]

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{Deadline, Lock, LockError, LockFailure, Recover as _, TryLockError};

fn panics(f: impl FnOnce()) {
    assert!(panic::catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// A panic that does not print.
fn quiet_panic() {
    panic::resume_unwind(Box::new("a panic of this test"));
}

#[test]
fn threads_exclude_each_other() {
    let lock = Lock::new().unwrap();
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let _guard = lock.lock().unwrap();
                    // In two steps, which only a lock makes one.
                    count.store(count.load(Relaxed) + 1, Relaxed);
                }
            });
        }
    });
    assert_eq!(count.load(Relaxed), 60_000);
}

#[test]
fn a_panic_is_told_to_the_next_and_to_nobody_else() {
    let lock = Lock::new().unwrap();
    panics(|| {
        let _guard = lock.lock().unwrap();
        quiet_panic();
    });
    assert!(matches!(lock.lock(), Err(LockError::Poisoned(_))));
    assert!(lock.lock().is_ok());
}

#[test]
fn a_guard_made_during_a_panic_does_not_poison() {
    struct LocksInDrop<'a>(&'a Lock);
    impl Drop for LocksInDrop<'_> {
        fn drop(&mut self) {
            drop(self.0.lock().unwrap());
        }
    }
    let lock = Lock::new().unwrap();
    panics(|| {
        let _locks = LocksInDrop(&lock);
        quiet_panic();
    });
    assert!(lock.lock().is_ok());
}

#[test]
fn a_panic_is_told_to_one_who_slept() {
    let lock = Lock::new().unwrap();
    thread::scope(|scope| {
        let guard = lock.lock().unwrap();
        let waiter = scope.spawn(|| matches!(lock.lock(), Err(LockError::Poisoned(_))));
        while !format!("{lock:?}").contains("with waiters") {
            thread::yield_now();
        }
        panics(move || {
            let _guard = guard;
            quiet_panic();
        });
        assert!(waiter.join().unwrap());
    });
    assert!(lock.lock().is_ok());
}

#[test]
fn recursion_is_an_error_in_every_form_and_only_on_the_same_thread() {
    let lock = Lock::new().unwrap();
    let same = lock.clone();
    let guard = lock.lock().unwrap();
    assert!(matches!(same.lock(), Err(LockError::Deadlock)));
    assert!(matches!(same.try_lock(), Err(TryLockError::Deadlock)));
    assert!(matches!(same.lock_timeout(Duration::MAX), Err(TryLockError::Deadlock)));
    thread::scope(|scope| {
        let other = scope.spawn(|| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(other.join().unwrap());
    });
    drop(guard);
    assert!(same.lock().is_ok());
}

#[test]
fn a_deadline_in_the_past_still_takes_a_free_lock() {
    let lock = Lock::new().unwrap();
    let past = Deadline::from_nanos(1);
    let guard = lock.lock_deadline(past).unwrap();
    thread::scope(|scope| {
        let late = scope.spawn(|| matches!(lock.lock_deadline(past), Err(TryLockError::Timeout)));
        assert!(late.join().unwrap());
    });
    drop(guard);
}

#[test]
fn recovery_repairs_after_a_panic_and_passes_the_rest_on() {
    let lock = Lock::new().unwrap();
    panics(|| {
        let _guard = lock.lock().unwrap();
        quiet_panic();
    });
    let mut repaired = false;
    let guard = lock.lock().or_recover(|_| repaired = true).unwrap();
    assert!(repaired);
    let again = lock.lock().or_recover(|_| panic!("there is no guard to repair"));
    assert_eq!(again.unwrap_err(), LockFailure::Deadlock);
    drop(guard);
}

#[test]
fn an_error_that_is_passed_on_releases_the_lock() {
    fn locked(lock: &Lock) -> Result<(), Box<dyn std::error::Error>> {
        let _guard = lock.lock().map_err(LockFailure::from)?;
        Ok(())
    }
    let lock = Lock::new().unwrap();
    panics(|| {
        let _guard = lock.lock().unwrap();
        quiet_panic();
    });
    assert!(locked(&lock).unwrap_err().to_string().contains("panicked"));
    assert!(locked(&lock).is_ok());
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 64, |_| {}).unwrap();
    Lock::create(&segment, "door").unwrap();
    assert!(matches!(Lock::create(&segment, "door"), Err(Error::Exists { .. })));
    assert!(matches!(Lock::open(&segment, "window"), Err(Error::NotFound { .. })));
    assert!(matches!(Lock::open(&segment, "other"), Err(Error::Kind { .. })));
    assert!(Lock::open_or_create(&segment, "window").is_ok());
    assert!(Lock::open(&segment, "window").is_ok());
}

#[test]
fn a_word_that_was_written_over_is_reported_by_all() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let lock = Lock::create(&segment, "door").unwrap();
    let object = segment.find("door", &Shape::untyped("lock", 1)).unwrap();
    // SAFETY: the lock's word is at the beginning of its body.
    let word = unsafe { object.body().cast::<AtomicU32>().as_ref() };
    let guard = lock.lock().unwrap();
    // An owner cannot be poisoned; waiters without an owner; a bit that has no meaning.
    for bad in [1 << 30 | 5, 1 << 31, 1 << 28] {
        word.store(bad, Relaxed);
        assert!(matches!(lock.lock(), Err(LockError::Corrupt)), "{bad:#x}");
        assert!(matches!(lock.try_lock(), Err(TryLockError::Corrupt)), "{bad:#x}");
        let timed = lock.lock_timeout(Duration::MAX);
        assert!(matches!(timed, Err(TryLockError::Corrupt)), "{bad:#x}");
        assert!(format!("{lock:?}").contains("corrupt"), "{lock:?}");
    }
    assert!(guard.unlock().is_err());
    assert_eq!(word.load(Relaxed), 1 << 28);
}

#[test]
fn a_ticket_leads_to_the_same_lock_and_is_only_made_on_the_way_to_another_process() {
    let lock = Lock::new().unwrap();
    assert!(serde_json::to_string(&lock).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&lock).unwrap());
    assert_eq!(sent.segments.len(), 1);
    let same: Lock = transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    let _guard = lock.lock().unwrap();
    assert!(matches!(same.lock(), Err(LockError::Deadlock)));
    assert!(serde_json::from_str::<Lock>(&ticket).is_err());
}

#[test]
fn debug_tells_the_state() {
    let lock = Lock::create(&Segment::anonymous(1 << 16).unwrap(), "door").unwrap();
    assert_eq!(format!("{lock:?}"), r#"Lock { name: Some("door"), state: free }"#);
    let guard = lock.lock().unwrap();
    let held = format!("{lock:?}");
    assert!(held.contains(&format!("held by {:?}", lock.segment().me())), "{held}");
    drop(guard);
}
