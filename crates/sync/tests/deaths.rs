//! Owners and waiters in other processes, some of which die.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

mod party;

use std::mem;
use std::thread;
use std::time::Duration;

use core::sync::atomic::Ordering::Relaxed;

use crossproc_sync::{Deadline, LockGuard, Recover as _, TryLockError};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 20_000;

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    match role.as_str() {
        // Owns the lock until it is killed.
        "own" => {
            let _guard = world.door.lock().unwrap();
            world.ready();
            world.sleep_on();
        }
        // Locks after its parent, and lives on.
        "wait" => {
            world.ready();
            let _guard = world.door.lock_timeout(LONG).or_recover(|_| {}).unwrap();
            world.sleep_on();
        }
        // Locks, never unlocks, ends.
        "leak" => {
            mem::forget(world.door.lock().unwrap());
            world.ready();
        }
        "count" => {
            world.ready();
            count(&world);
        }
        other => panic!("no such role: {other}"),
    }
}

/// Adds to a number in two steps, which only a lock makes one.
fn count(world: &World) {
    for _ in 0..ROUNDS {
        let _guard = world.door.lock().expect("nobody dies");
        let count = world.flags().count.load(Relaxed);
        world.flags().count.store(count + 1, Relaxed);
    }
}

/// Waits until somebody is asleep on the lock.
fn until_waited_for(world: &World) {
    let end = Deadline::after(LONG);
    while !format!("{:?}", world.door).contains("with waiters") {
        assert!(!end.has_passed(), "nobody waits");
        thread::yield_now();
    }
}

/// Locks with an end to the wait.
fn lock(world: &World) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
    world.door.lock_timeout(LONG)
}

#[test]
fn processes_exclude_each_other() {
    let world = World::new();
    let children = [world.child("count"), world.child("count")];
    count(&world);
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(world.flags().count.load(Relaxed), 3 * ROUNDS);
}

#[test]
fn the_death_of_an_owner_is_told_to_the_next_and_to_nobody_else() {
    let world = World::new();
    world.child("own").kill();
    assert!(matches!(lock(&world), Err(TryLockError::OwnerDied(_))));
    assert!(lock(&world).is_ok());
    assert!(world.door.lock().is_ok());
}

#[test]
fn try_lock_sees_a_death_at_once() {
    let world = World::new();
    let owner = world.child("own");
    assert!(matches!(world.door.try_lock(), Err(TryLockError::WouldBlock)));
    owner.kill();
    assert!(matches!(world.door.try_lock(), Err(TryLockError::OwnerDied(_))));
    assert!(world.door.try_lock().is_ok());
}

#[test]
fn one_of_the_waiters_is_told_and_all_go_on() {
    let world = World::new();
    let owner = world.child("own");
    let told: usize = thread::scope(|scope| {
        let waiters: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| matches!(lock(&world), Err(TryLockError::OwnerDied(_)))))
            .collect();
        until_waited_for(&world);
        owner.kill();
        waiters.into_iter().map(|waiter| usize::from(waiter.join().unwrap())).sum()
    });
    assert_eq!(told, 1);
    assert!(lock(&world).is_ok());
}

#[test]
fn a_waiter_that_is_killed_keeps_nobody_waiting() {
    let world = World::new();
    let guard = world.door.lock().unwrap();
    let waiter = world.child("wait");
    until_waited_for(&world);
    waiter.kill();
    thread::scope(|scope| {
        let other = scope.spawn(|| lock(&world).is_ok());
        drop(guard);
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_waiter_that_got_the_lock_and_was_killed_is_succeeded() {
    let world = World::new();
    let guard = world.door.lock().unwrap();
    let waiter = world.child("wait");
    until_waited_for(&world);
    drop(guard);
    let end = Deadline::after(LONG);
    while !matches!(world.door.try_lock(), Err(TryLockError::WouldBlock)) {
        assert!(!end.has_passed(), "the waiter was not woken");
        thread::yield_now();
    }
    waiter.kill();
    assert!(matches!(lock(&world), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn a_stopped_owner_keeps_the_lock() {
    let world = World::new();
    let owner = world.child("own");
    owner.signal(STOP);
    let late = world.door.lock_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryLockError::Timeout)), "{late:?}");
    owner.kill();
    assert!(matches!(lock(&world), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn a_leaked_guard_holds_until_its_process_ends() {
    let world = World::new();
    assert!(world.child("leak").ends_well());
    assert!(matches!(lock(&world), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn a_forked_child_neither_has_nor_releases_the_lock_of_its_parent() {
    let world = World::new();
    let guard = world.door.lock().unwrap();
    // SAFETY: the child asks and exits; whatever it allocates, glibc lets it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_held = || matches!(world.door.try_lock(), Err(TryLockError::WouldBlock));
        let before = is_held();
        let refused = guard.unlock().is_err();
        crossproc_sys::process::exit_now(i32::from(!(before && refused && is_held())));
    }
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(guard.unlock(), Ok(()));
    assert!(world.door.try_lock().is_ok());
}
