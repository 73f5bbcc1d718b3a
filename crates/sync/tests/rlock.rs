//! The lock that its owner may lock again: forms, levels, panics, processes that die.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::rlock::raw::Levels;
use crossproc_sync::{Deadline, LockError, NotHeld, RLock, RLockGuard, TryLockError};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 10_000;

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let lock = RLock::open(&world.segment, "again").unwrap();
    match role.as_str() {
        // Has three levels until it is killed.
        "own" => {
            let _guards = (lock.lock().unwrap(), lock.lock().unwrap(), lock.lock().unwrap());
            world.ready();
            world.sleep_on();
        }
        // Leaves one level of two, ends.
        "leak" => {
            mem::forget(lock.lock().unwrap());
            drop(lock.lock().unwrap());
            world.ready();
        }
        "count" => {
            world.ready();
            count(&world, &lock);
        }
        other => panic!("no such role: {other}"),
    }
}

/// A world and the lock `"again"` in it.
fn new_world() -> (World, RLock) {
    let world = World::new();
    let lock = RLock::create(&world.segment, "again").expect("room for a lock");
    (world, lock)
}

/// Adds to a number in two steps, at depth two, which only a lock makes one.
fn count(world: &World, lock: &RLock) {
    for _ in 0..ROUNDS {
        let _outer = lock.lock().expect("nobody dies");
        let count = world.flags().count.load(Relaxed);
        drop(lock.lock().expect("it is ours"));
        world.flags().count.store(count + 1, Relaxed);
    }
}

/// Locks with an end to the wait.
fn lock_within(lock: &RLock) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
    lock.lock_timeout(LONG)
}

/// Locks and tells if that was refused for now, in a thread of its own.
fn refused_elsewhere(lock: &RLock) -> bool {
    let refused = || matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    thread::scope(|scope| scope.spawn(refused).join().expect("it only asks"))
}

fn panics(f: impl FnOnce()) {
    assert!(panic::catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// A panic that does not print.
fn quiet_panic() {
    panic::resume_unwind(Box::new("a panic of this test"));
}

/// The count of levels in shared memory.
fn levels_of(segment: &Segment, name: &str) -> &'static AtomicU32 {
    let object = segment.find(name, &Shape::untyped("rlock", 1)).expect("a lock");
    // SAFETY: the count is 16 bytes into the body.
    let word = unsafe { object.body().cast::<AtomicU32>().add(4) };
    // The test's segment stays mapped.
    mem::forget(object);
    // SAFETY: aligned, mapped for good, and only accessed atomically.
    unsafe { word.as_ref() }
}

#[test]
fn its_owner_locks_again_in_every_form_and_nobody_else_does() {
    let lock = RLock::new().unwrap();
    let soon = Deadline::after(LONG);
    let guards = [
        lock.lock().unwrap(),
        lock.try_lock().unwrap(),
        lock.lock_timeout(Duration::ZERO).unwrap(),
        lock.lock_deadline(soon).unwrap(),
    ];
    assert_eq!(lock.depth(), 4);
    assert!(lock.is_held_by_me() && lock.clone().is_held_by_me());
    for (guard, left) in guards.into_iter().zip([3, 2, 1, 0]) {
        assert!(refused_elsewhere(&lock));
        assert_eq!(guard.unlock(), Ok(()));
        assert_eq!(lock.depth(), left);
    }
    assert!(!lock.is_held_by_me());
    assert!(!refused_elsewhere(&lock));
}

#[test]
fn another_thread_has_no_level_and_waits_until_its_time_is_up() {
    let lock = RLock::new().unwrap();
    let _guard = lock.lock().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert_eq!(lock.depth(), 0);
            assert!(!lock.is_held_by_me());
            matches!(lock.lock_timeout(Duration::from_millis(1)), Err(TryLockError::Timeout))
        });
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_panic_at_any_level_is_told_to_the_next_owner_once() {
    let lock = RLock::new().unwrap();
    let outer = lock.lock().unwrap();
    panics(|| {
        let _inner = lock.lock().unwrap();
        quiet_panic();
    });
    // The owner has seen its own panic.
    assert!(lock.lock().is_ok());
    assert_eq!(lock.depth(), 1);
    drop(outer);
    assert!(matches!(lock.lock(), Err(LockError::Poisoned(_))));
    assert!(lock.lock().is_ok());
}

#[test]
fn a_full_count_is_an_error_and_changes_nothing() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let lock = RLock::create(&segment, "deep").unwrap();
    let levels = levels_of(&segment, "deep");
    let _guard = lock.lock().unwrap();
    levels.store(Levels::MOST, Relaxed);
    assert!(matches!(lock.lock(), Err(LockError::Deadlock)));
    assert!(matches!(lock.try_lock(), Err(TryLockError::Deadlock)));
    assert_eq!(levels.load(Relaxed), Levels::MOST);
    levels.store(Levels::MOST - 1, Relaxed);
    assert!(lock.lock().is_ok());
}

#[test]
fn a_count_that_was_written_over_is_reported() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let lock = RLock::create(&segment, "door").unwrap();
    let guard = lock.lock().unwrap();
    levels_of(&segment, "door").store(0, Relaxed);
    assert!(matches!(lock.lock(), Err(LockError::Corrupt)));
    assert!(matches!(lock.try_lock(), Err(TryLockError::Corrupt)));
    assert_eq!(guard.unlock(), Err(NotHeld));
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    crossproc_sync::Lock::create(&segment, "other").unwrap();
    RLock::create(&segment, "door").unwrap();
    assert!(matches!(RLock::create(&segment, "door"), Err(Error::Exists { .. })));
    assert!(matches!(RLock::open(&segment, "window"), Err(Error::NotFound { .. })));
    assert!(matches!(RLock::open(&segment, "other"), Err(Error::Kind { .. })));
    assert!(RLock::open_or_create(&segment, "window").is_ok());
}

#[test]
fn a_ticket_leads_to_the_same_lock() {
    let lock = RLock::new().unwrap();
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&lock).unwrap());
    let same: RLock = transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    let _guard = lock.lock().unwrap();
    assert!(same.is_held_by_me());
    assert!(serde_json::to_string(&lock).is_err());
}

#[test]
fn debug_tells_owner_depth_and_waiters() {
    let lock = RLock::create(&Segment::anonymous(1 << 16).unwrap(), "door").unwrap();
    assert!(format!("{lock:?}").contains("free"), "{lock:?}");
    let _guards = (lock.lock().unwrap(), lock.lock().unwrap());
    let held = format!("{lock:?}");
    let by = format!("held by {:?}", lock.segment().me());
    assert!(held.contains(&by) && held.contains("levels: 2"), "{held}");
}

#[test]
fn processes_exclude_each_other() {
    let (world, lock) = new_world();
    let children = [world.child("count"), world.child("count")];
    count(&world, &lock);
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(world.flags().count.load(Relaxed), 3 * ROUNDS);
}

#[test]
fn the_death_of_an_owner_at_depth_is_told_once_and_the_count_begins_anew() {
    let (world, lock) = new_world();
    world.child("own").kill();
    match lock_within(&lock) {
        Err(TryLockError::OwnerDied(_guard)) => {
            assert_eq!(lock.depth(), 1);
            assert!(lock.lock().is_ok());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(lock.depth(), 0);
    assert!(lock.lock().is_ok());
}

#[test]
fn a_waiter_is_told_of_the_death_it_slept_through() {
    let (world, lock) = new_world();
    let owner = world.child("own");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| matches!(lock_within(&lock), Err(TryLockError::OwnerDied(_))));
        let end = Deadline::after(LONG);
        while !format!("{lock:?}").contains("with waiters") {
            assert!(!end.has_passed(), "nobody waits");
            thread::yield_now();
        }
        owner.kill();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn a_stopped_owner_keeps_the_lock() {
    let (world, lock) = new_world();
    let owner = world.child("own");
    owner.signal(STOP);
    let late = lock.lock_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryLockError::Timeout)), "{late:?}");
}

#[test]
fn a_leaked_level_holds_until_its_process_ends() {
    let (world, lock) = new_world();
    assert!(world.child("leak").ends_well());
    assert!(matches!(lock_within(&lock), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn a_forked_child_has_no_level_of_its_parent_and_leaves_none() {
    let (_world, lock) = new_world();
    let (outer, inner) = (lock.lock().unwrap(), lock.lock().unwrap());
    // SAFETY: the child asks and exits; whatever it allocates, glibc lets it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_not_mine =
            || lock.depth() == 0 && matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
        let before = is_not_mine();
        let refused = inner.unlock().is_err() && outer.unlock().is_err();
        crossproc_sys::process::exit_now(i32::from(!(before && refused && is_not_mine())));
    }
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(lock.depth(), 2);
    assert_eq!((inner.unlock(), outer.unlock()), (Ok(()), Ok(())));
    assert!(!refused_elsewhere(&lock));
}
