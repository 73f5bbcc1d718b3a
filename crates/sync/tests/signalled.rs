//! Events and condition variables between processes, some of which die.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

mod party;

use std::thread;

use core::sync::atomic::Ordering::Relaxed;

use crossproc_sync::{Condvar, Deadline, Event, LockError, LockGuard, Waited};

use party::{Child, LONG, STOP, World};

const CONT: i32 = 18;

const TURNS: u32 = 3_000;

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let (changed, event) = shared(&world);
    match role.as_str() {
        // Changes what the others wait for, and does not come to tell them.
        "change" => {
            let guard = world.door.lock().expect("nobody died");
            world.flags().count.store(1, Relaxed);
            drop(guard);
            world.ready();
            world.sleep_on();
        }
        // The same, and keeps the lock; whoever it woke cannot go on.
        "change and hold" => {
            let _guard = world.door.lock().expect("nobody died");
            world.flags().count.store(1, Relaxed);
            changed.notify_all();
            world.ready();
            world.sleep_on();
        }
        "wait" => {
            let guard = world.door.lock().expect("nobody died");
            world.ready();
            let _ = changed.wait_while(guard, || world.flags().count.load(Relaxed) == 0);
        }
        "play" => {
            world.ready();
            play(&world, &changed, 1);
        }
        "wait for the event" => {
            world.ready();
            assert!(event.wait_timeout(LONG));
        }
        "set the event" => {
            event.set();
            event.clear();
            world.ready();
        }
        other => panic!("no such role: {other}"),
    }
}

fn shared(world: &World) -> (Condvar, Event) {
    let changed = Condvar::open_or_create(&world.segment, "changed").expect("room");
    (changed, Event::open_or_create(&world.segment, "event").expect("room"))
}

fn until_waited_for(primitive: &dyn core::fmt::Debug) {
    let end = Deadline::after(LONG);
    let is_waited_for = || {
        let shown = format!("{primitive:?}");
        shown.contains("with waiters") || shown.contains("has_waiters: true")
    };
    while !is_waited_for() {
        assert!(!end.has_passed(), "nobody waits");
        thread::yield_now();
    }
}

/// Stops a waiter while it does not hold the lock, for which it comes back to look now and then.
fn stop_without_lock(world: &World, child: &Child) {
    let status = format!("/proc/{}/status", child.0.pid);
    let is_stopped = || {
        let status = std::fs::read_to_string(&status).expect("the child is there");
        status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
    };
    loop {
        drop(world.door.lock().expect("nobody died"));
        child.signal(STOP);
        while !is_stopped() {
            thread::yield_now();
        }
        if world.door.try_lock().is_ok() {
            return;
        }
        child.signal(CONT);
    }
}

fn play(world: &World, changed: &Condvar, mine: u32) {
    let count = &world.flags().count;
    for _ in 0..TURNS {
        let guard = world.door.lock().expect("nobody died");
        let theirs = || count.load(Relaxed) % 2 != mine;
        let (guard, waited) = changed.wait_timeout_while(guard, LONG, theirs).expect("nobody died");
        assert_eq!(waited, Waited::Woken);
        count.store(count.load(Relaxed) + 1, Relaxed);
        drop(guard);
        changed.notify_one();
    }
}

/// Waits for the change; says if it was told of a death, and which way the wait ended.
fn await_change(world: &World, changed: &Condvar) -> (bool, Waited) {
    let unchanged = || world.flags().count.load(Relaxed) == 0;
    let (guard, told) = match world.door.lock() {
        Ok(guard) => (guard, false),
        Err(error) => (error.into_guard().expect("the news of a death"), true),
    };
    match changed.wait_timeout_while(guard, LONG, unchanged) {
        Ok((_, waited)) => (told, waited),
        Err(LockError::OwnerDied((_, waited))) => (true, waited),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn processes_take_turns() {
    let world = World::new();
    let (changed, _) = shared(&world);
    let child = world.child("play");
    play(&world, &changed, 0);
    assert!(child.ends_well());
    assert_eq!(world.flags().count.load(Relaxed), 2 * TURNS);
}

#[test]
fn a_notifier_that_dies_between_the_change_and_the_notification_keeps_nobody_waiting() {
    let world = World::new();
    let (changed, _) = shared(&world);
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| scope.spawn(|| await_change(&world, &changed)));
        until_waited_for(&changed);
        world.child("change").kill();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), (false, Waited::Woken));
        }
    });
}

#[test]
fn a_notifier_that_dies_with_the_lock_is_told_to_one_of_the_woken() {
    let world = World::new();
    let (changed, _) = shared(&world);
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| scope.spawn(|| await_change(&world, &changed)));
        until_waited_for(&changed);
        world.child("change and hold").kill();
        let told = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(told.iter().filter(|(told, _)| *told).count(), 1);
        assert!(told.iter().all(|(_, waited)| *waited == Waited::Woken));
    });
}

#[test]
fn killed_waiters_cost_no_wake_of_the_living() {
    let world = World::new();
    let (changed, _) = shared(&world);
    let dead = [world.child("wait"), world.child("wait")];
    until_waited_for(&changed);
    for child in dead {
        child.kill();
    }
    thread::scope(|scope| {
        let waiter = scope.spawn(|| await_change(&world, &changed));
        let end = Deadline::after(LONG);
        // Until it sleeps: what it was woken for so far was the deaths.
        while !waiter.is_finished() {
            assert!(!end.has_passed(), "the waiter was not woken");
            let guard: LockGuard<'_> = match world.door.lock_deadline(end) {
                Ok(guard) => guard,
                Err(error) => error.into_guard().expect("in time"),
            };
            world.flags().count.store(1, Relaxed);
            drop(guard);
            changed.notify_one();
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap().1, Waited::Woken);
    });
}

#[test]
fn a_stopped_waiter_keeps_neither_the_notifier_nor_the_others() {
    let world = World::new();
    let (changed, _) = shared(&world);
    let stopped = world.child("wait");
    until_waited_for(&changed);
    stop_without_lock(&world, &stopped);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| await_change(&world, &changed));
        let end = Deadline::after(LONG);
        while !waiter.is_finished() {
            assert!(!end.has_passed(), "the waiter was not woken");
            if let Ok(_guard) = world.door.try_lock() {
                world.flags().count.store(1, Relaxed);
            }
            changed.notify_all();
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), (false, Waited::Woken));
    });
}

#[test]
fn a_forked_child_waits_for_the_lock_only_and_has_it_then() {
    let world = World::new();
    let (changed, _) = shared(&world);
    let guard = world.door.lock().unwrap();
    // SAFETY: the child waits and exits; whatever it allocates, glibc lets it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let locked = changed.wait(guard);
        let held = locked.is_ok() && matches!(world.door.lock(), Err(LockError::Deadlock));
        crossproc_sys::process::exit_now(i32::from(!held));
    }
    drop(guard);
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    // It ended with the lock in hand.
    assert!(matches!(
        world.door.lock_timeout(LONG),
        Err(crossproc_sync::TryLockError::OwnerDied(_))
    ));
}

#[test]
fn an_event_lets_through_who_waits_in_another_process() {
    let world = World::new();
    let (_, event) = shared(&world);
    let waiters = [world.child("wait for the event"), world.child("wait for the event")];
    until_waited_for(&event);
    event.set();
    assert!(waiters.into_iter().all(party::Child::ends_well));
}

#[test]
fn a_pulse_of_a_process_that_is_no_more_was_seen_by_those_who_waited() {
    let world = World::new();
    let (_, event) = shared(&world);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| event.wait_timeout(LONG));
        until_waited_for(&event);
        assert!(world.child("set the event").ends_well());
        assert!(waiter.join().unwrap());
    });
    assert!(!event.is_set());
}

#[test]
fn killed_waiters_keep_nobody_from_an_event() {
    let world = World::new();
    let (_, event) = shared(&world);
    let dead = [world.child("wait for the event"), world.child("wait for the event")];
    until_waited_for(&event);
    for child in dead {
        child.kill();
    }
    thread::scope(|scope| {
        let waiter = scope.spawn(|| event.wait_timeout(LONG));
        event.set();
        assert!(waiter.join().unwrap());
    });
}
