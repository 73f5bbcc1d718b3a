//! Once: who runs, who waits, what is told after an end in the middle.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{Deadline, Once, OnceError, OnceTryError};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 200;

fn panics(f: impl FnOnce()) {
    assert!(panic::catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// A panic that does not print.
fn quiet_panic() {
    panic::resume_unwind(Box::new("a panic of this test"));
}

fn by_end() -> Deadline {
    Deadline::after(LONG)
}

fn until_waited_for(once: &Once) {
    let end = by_end();
    while !format!("{once:?}").contains("with waiters") {
        assert!(!end.has_passed(), "nobody waits");
        thread::yield_now();
    }
}

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    match role.as_str() {
        // Runs it until it is killed.
        "run" => {
            let _ = once.call_once_force_deadline(by_end(), |_| {
                world.ready();
                world.sleep_on();
            });
        }
        // Waits until it is killed.
        "wait" => {
            world.ready();
            let _ = once.wait_deadline(by_end());
        }
        // Runs one of many, each of which counts once.
        "race" => {
            world.ready();
            race(&world);
        }
        other => panic!("no such role: {other}"),
    }
}

fn race(world: &World) {
    for round in 0..ROUNDS {
        let once = Once::open_or_create(&world.segment, &format!("{round}")).expect("room for it");
        let add = || {
            // In two steps: two runners at once would lose one.
            let count = world.flags().count.load(Relaxed);
            world.flags().count.store(count + 1, Relaxed);
        };
        once.call_once_deadline(by_end(), add).expect("nobody dies");
        assert!(world.flags().count.load(Relaxed) > round);
    }
}

#[test]
fn of_several_processes_one_runs_it_and_all_see_what_it_did() {
    let world = World::new();
    let children = [world.child("race"), world.child("race")];
    race(&world);
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(world.flags().count.load(Relaxed), ROUNDS);
}

#[test]
fn of_several_threads_one_runs_it_and_the_others_wait() {
    let once = Once::new().unwrap();
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            let (once, count) = (once.clone(), &count);
            scope.spawn(move || {
                let run = || {
                    until_waited_for(&once);
                    count.store(count.load(Relaxed) + 1, Relaxed);
                };
                once.call_once_deadline(by_end(), run).unwrap();
                assert_eq!(count.load(Relaxed), 1);
            });
        }
    });
}

#[test]
fn whoever_only_waits_waits_for_a_runner_that_has_yet_to_come() {
    let once = Once::new().unwrap();
    thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| once.wait_deadline(by_end())));
        until_waited_for(&once);
        once.call_once(|| {}).unwrap();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == Ok(())));
    });
    assert_eq!(once.wait_timeout(Duration::ZERO), Ok(()));
}

#[test]
fn a_call_from_within_is_a_deadlock_in_every_form_and_only_on_the_same_thread() {
    let once = Once::new().unwrap();
    let same = once.clone();
    once.call_once(|| {
        assert_eq!(same.call_once(|| {}), Err(OnceError::Deadlock));
        assert_eq!(same.call_once_force(|_| {}), Err(OnceError::Deadlock));
        let tried = same.call_once_try(|_| Ok::<(), ()>(()));
        assert_eq!(tried, Err(OnceTryError::Once(OnceError::Deadlock)));
        assert_eq!(same.wait(), Err(OnceError::Deadlock));
        thread::scope(|scope| {
            let other = scope.spawn(|| same.call_once_timeout(Duration::ZERO, || {}));
            assert_eq!(other.join().unwrap(), Err(OnceError::Timeout));
        });
    })
    .unwrap();
    assert!(same.is_completed());
}

#[test]
fn after_a_panic_only_force_runs_and_is_told() {
    let once = Once::new().unwrap();
    panics(|| {
        let _ = once.call_once(quiet_panic);
    });
    for _ in 0..2 {
        assert_eq!(once.call_once(|| unreachable!()), Err(OnceError::Poisoned));
        assert_eq!(once.wait(), Err(OnceError::Poisoned));
    }
    let told = once.call_once_force(|state| assert!(state.is_poisoned() && !state.runner_died()));
    assert_eq!(told, Ok(()));
    assert_eq!(once.call_once(|| unreachable!()), Ok(()));
}

#[test]
fn a_panic_is_told_to_those_who_wait() {
    let once = Once::new().unwrap();
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            panics(|| {
                let _ = once.call_once(|| {
                    until_waited_for(&once);
                    quiet_panic();
                });
            });
        });
        assert_eq!(once.wait_deadline(by_end()), Err(OnceError::Poisoned));
        inside.join().unwrap();
    });
}

#[test]
fn a_failure_leaves_it_as_it_was_and_the_next_one_runs() {
    let once = Once::new().unwrap();
    assert_eq!(once.call_once_try(|_| Err("no")), Err(OnceTryError::Failed("no")));
    assert!(format!("{once:?}").contains("new"), "{once:?}");
    panics(|| {
        let _ = once.call_once(quiet_panic);
    });
    let failed = once.call_once_try(|state| {
        assert!(state.is_poisoned());
        Err("no")
    });
    assert_eq!(failed, Err(OnceTryError::Failed("no")));
    // What it was told of is still told.
    assert_eq!(once.call_once(|| unreachable!()), Err(OnceError::Poisoned));
    let done = once.call_once_try(|state| {
        assert!(state.is_poisoned());
        Ok::<(), ()>(())
    });
    assert_eq!(done, Ok(()));
    assert_eq!(once.call_once_try(|_| -> Result<(), ()> { unreachable!() }), Ok(()));
}

#[test]
fn a_waiter_runs_it_after_a_failure() {
    let once = Once::new().unwrap();
    thread::scope(|scope| {
        let failing = scope.spawn(|| {
            once.call_once_try(|_| {
                until_waited_for(&once);
                Err(())
            })
        });
        while format!("{once:?}").contains("new") {
            thread::yield_now();
        }
        let mut ran = false;
        once.call_once_deadline(by_end(), || ran = true).unwrap();
        assert!(ran);
        assert_eq!(failing.join().unwrap(), Err(OnceTryError::Failed(())));
    });
}

#[test]
fn a_deadline_in_the_past_still_runs_what_nobody_runs() {
    let once = Once::new().unwrap();
    let past = Deadline::from_nanos(1);
    assert_eq!(once.wait_deadline(past), Err(OnceError::Timeout));
    assert_eq!(once.call_once_deadline(past, || {}), Ok(()));
    assert_eq!(once.wait_deadline(past), Ok(()));
}

#[test]
fn a_killed_runner_is_told_of_until_somebody_runs_it_again() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    world.child("run").kill();
    assert_eq!(once.wait_deadline(by_end()), Err(OnceError::RunnerDied));
    assert_eq!(once.call_once_deadline(by_end(), || {}), Err(OnceError::RunnerDied));
    let mut told = false;
    once.call_once_force_deadline(by_end(), |state| told = state.runner_died()).unwrap();
    assert!(told);
    assert_eq!(once.call_once(|| unreachable!()), Ok(()));
}

#[test]
fn a_runner_killed_while_others_wait_is_told_to_all_of_them() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    let runner = world.child("run");
    thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| once.wait_deadline(by_end())));
        let callers = [(); 2].map(|()| {
            scope.spawn(|| once.call_once_deadline(by_end(), || unreachable!("it is half done")))
        });
        until_waited_for(&once);
        runner.kill();
        for waiter in waiters.into_iter().chain(callers) {
            assert_eq!(waiter.join().unwrap(), Err(OnceError::RunnerDied));
        }
    });
}

#[test]
fn one_of_the_waiters_takes_over_from_a_killed_runner() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    let runner = world.child("run");
    let told = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let run = |state: &crossproc_sync::OnceState| {
                    assert!(state.runner_died());
                    told.fetch_add(1, Relaxed);
                };
                once.call_once_force_deadline(by_end(), run).unwrap();
            });
        }
        until_waited_for(&once);
        runner.kill();
    });
    assert_eq!(told.load(Relaxed), 1);
}

#[test]
fn one_that_takes_over_and_is_killed_is_taken_over_again() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    world.child("run").kill();
    world.child("run").kill();
    once.call_once_force_deadline(by_end(), |state| assert!(state.runner_died())).unwrap();
    assert!(once.is_completed());
}

#[test]
fn a_waiter_that_is_killed_keeps_nobody_waiting() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    let waiter = world.child("wait");
    until_waited_for(&once);
    waiter.kill();
    thread::scope(|scope| {
        let other = scope.spawn(|| once.wait_deadline(by_end()));
        once.call_once(|| {}).unwrap();
        assert_eq!(other.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_stopped_runner_is_waited_for() {
    let world = World::new();
    let once = Once::open_or_create(&world.segment, "once").unwrap();
    let runner = world.child("run");
    runner.signal(STOP);
    assert_eq!(once.wait_timeout(Duration::from_millis(30)), Err(OnceError::Timeout));
    let tried = once.call_once_timeout(Duration::from_millis(30), || unreachable!());
    assert_eq!(tried, Err(OnceError::Timeout));
    runner.kill();
    assert_eq!(once.wait_deadline(by_end()), Err(OnceError::RunnerDied));
}

#[test]
fn a_child_forked_by_the_runner_cannot_end_the_run() {
    let once = Once::new().unwrap();
    let mut child = 0;
    let ended = once.call_once(|| {
        // SAFETY: the child asks and exits; whatever it allocates, glibc lets it.
        child = unsafe { libc::fork() };
        if child != 0 {
            let mut status = 0;
            // SAFETY: `status` lives as long as the call.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    });
    if child == 0 {
        let refused = ended == Err(OnceError::NotRunner);
        let runs = once.wait_timeout(Duration::ZERO) == Err(OnceError::Timeout);
        crossproc_sys::process::exit_now(i32::from(!(refused && runs)));
    }
    assert_eq!(ended, Ok(()));
    assert!(once.is_completed());
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 64, |_| {}).unwrap();
    Once::create(&segment, "once").unwrap();
    assert!(matches!(Once::create(&segment, "once"), Err(Error::Exists { .. })));
    assert!(matches!(Once::open(&segment, "twice"), Err(Error::NotFound { .. })));
    assert!(matches!(Once::open(&segment, "other"), Err(Error::Kind { .. })));
    assert!(Once::open_or_create(&segment, "twice").is_ok());
    assert!(Once::open(&segment, "twice").is_ok());
}

#[test]
fn a_word_that_was_written_over_is_reported_by_all() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let once = Once::create(&segment, "once").unwrap();
    let object = segment.find("once", &Shape::untyped("once", 1)).unwrap();
    // SAFETY: its word is at the beginning of its body.
    let word = unsafe { object.body().cast::<AtomicU32>().as_ref() };
    // Done and waited for; done by somebody; dead and poisoned; a runner that has died.
    for bad in [3 << 30, 1 << 30 | 5, 3 << 28, 1 << 28 | 5] {
        word.store(bad, Relaxed);
        assert_eq!(once.call_once(|| {}), Err(OnceError::Corrupt), "{bad:#x}");
        assert_eq!(once.call_once_force(|_| {}), Err(OnceError::Corrupt), "{bad:#x}");
        assert_eq!(once.wait(), Err(OnceError::Corrupt), "{bad:#x}");
        assert!(!once.is_completed());
        assert!(format!("{once:?}").contains("corrupt"), "{once:?}");
        assert_eq!(word.load(Relaxed), bad);
    }
    word.store(0, Relaxed);
    assert_eq!(once.call_once(|| word.store(5, Relaxed)), Err(OnceError::NotRunner));
    assert_eq!(word.load(Relaxed), 5);
}

#[test]
fn a_ticket_leads_to_the_same_once_and_is_only_made_on_the_way_to_another_process() {
    let once = Once::new().unwrap();
    assert!(serde_json::to_string(&once).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&once).unwrap());
    let same: Once = transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    once.call_once(|| {}).unwrap();
    assert!(same.is_completed());
    assert!(serde_json::from_str::<Once>(&ticket).is_err());
}

#[test]
fn debug_tells_the_state() {
    let once = Once::create(&Segment::anonymous(1 << 16).unwrap(), "once").unwrap();
    assert_eq!(format!("{once:?}"), r#"Once { name: Some("once"), state: new }"#);
    once.call_once(|| {
        let running = format!("{once:?}");
        assert!(running.contains(&format!("run by {:?}", once.segment().me())), "{running}");
    })
    .unwrap();
    assert!(format!("{once:?}").contains("done"), "{once:?}");
}
