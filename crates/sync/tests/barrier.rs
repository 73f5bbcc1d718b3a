//! The barrier: who passes, who leads, what breaks it, and what becomes of it then.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::{Error, MemberId, Segment, Shape, transit};
use crossproc_sync::barrier::raw;
use crossproc_sync::{Barrier, BarrierError, BarrierWait, BreakCause, Deadline};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 1000;
const NAME: &str = "barrier";

type Waited = Result<BarrierWait, BarrierError>;

fn by_end() -> Deadline {
    Deadline::after(LONG)
}

/// Waits with an end to it.
fn wait(barrier: &Barrier) -> Waited {
    barrier.wait_deadline(by_end())
}

fn until_waiting(barrier: &Barrier, count: usize) {
    let end = by_end();
    while barrier.n_waiting() != count {
        assert!(!end.has_passed(), "{count} do not wait: {barrier:?}");
        thread::yield_now();
    }
}

fn broken(cause: BreakCause, by: MemberId) -> Waited {
    Err(BarrierError::Broken { cause, by: Some(by) })
}

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let barrier = Barrier::open(&world.segment, NAME).unwrap();
    match role.as_str() {
        "rounds" => {
            world.ready();
            rounds(&world, &barrier);
        }
        // Takes part, and is elsewhere.
        "enrol" => {
            barrier.enrol().unwrap();
            world.ready();
            world.sleep_on();
        }
        // The same, after another handle came and went.
        "enrol, open again" => {
            barrier.enrol().unwrap();
            drop(Barrier::open(&world.segment, NAME).unwrap());
            world.ready();
            world.sleep_on();
        }
        // Passes once, and is elsewhere then.
        "once" => {
            world.ready();
            wait(&barrier).unwrap();
            world.ready();
            world.sleep_on();
        }
        // Passes once, and lets go.
        "once and leave" => {
            world.ready();
            wait(&barrier).unwrap();
            drop(barrier);
            world.ready();
            world.sleep_on();
        }
        // Waits.
        "wait" => {
            world.ready();
            let _ = wait(&barrier);
            world.sleep_on();
        }
        // Comes last, and stays in the action.
        "act" => {
            let _ = barrier.wait_with(|| {
                world.ready();
                world.sleep_on();
            });
        }
        other => panic!("no such role: {other}"),
    }
}

/// In step with the other parties, adds to a number in two steps: only one of them leads.
fn rounds(world: &World, barrier: &Barrier) {
    let count = &world.flags().count;
    for round in 0..ROUNDS {
        let waited = wait(barrier).expect("nobody dies");
        assert!(waited.index() < barrier.parties());
        if waited.is_leader() {
            count.store(count.load(Relaxed) + 1, Relaxed);
        }
        // The second pass shows all what the leader did in the first.
        wait(barrier).expect("nobody dies");
        assert_eq!(count.load(Relaxed), round + 1);
    }
}

fn world_of(parties: usize) -> (World, Barrier) {
    let world = World::new();
    let barrier = Barrier::create(&world.segment, NAME, parties).expect("room for a barrier");
    (world, barrier)
}

#[test]
fn processes_go_on_in_step_and_one_of_them_leads() {
    let (world, barrier) = world_of(3);
    let children = [world.child("rounds"), world.child("rounds")];
    rounds(&world, &barrier);
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(world.flags().count.load(Relaxed), ROUNDS);
    assert_eq!((barrier.n_waiting(), barrier.is_broken()), (0, false));
}

#[test]
fn each_of_those_who_pass_together_has_a_number_of_its_own() {
    let barrier = Barrier::new(4).unwrap();
    for _ in 0..20 {
        let waits: Vec<_> = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(|| wait(&barrier).unwrap()));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let indexes: BTreeSet<_> = waits.iter().map(|wait| wait.index()).collect();
        assert_eq!(indexes.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(waits.iter().filter(|wait| wait.is_leader()).count(), 1);
    }
}

#[test]
fn nobody_passes_before_the_last_has_come() {
    let barrier = Barrier::new(3).unwrap();
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                wait(&barrier).unwrap();
                passed.fetch_add(1, Relaxed);
            });
        }
        until_waiting(&barrier, 2);
        assert_eq!(passed.load(Relaxed), 0);
        wait(&barrier).unwrap();
    });
    assert_eq!(passed.load(Relaxed), 2);
}

#[test]
fn the_action_is_run_once_in_each_generation_before_anybody_is_let_go() {
    const PASSES: u32 = 200;
    let barrier = Barrier::new(3).unwrap();
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for pass in 1..=PASSES {
                    let act = || count.store(count.load(Relaxed) + 1, Relaxed);
                    barrier.wait_with_deadline(by_end(), act).unwrap();
                    assert_eq!(count.load(Relaxed), pass);
                    wait(&barrier).unwrap();
                }
            });
        }
    });
    assert_eq!(count.load(Relaxed), PASSES);
}

#[test]
fn more_threads_than_parties_pass_in_groups() {
    const WAITS: u32 = 1200;
    let barrier = Barrier::new(2).unwrap();
    let begun = AtomicU32::new(0);
    let passed: usize = thread::scope(|scope| {
        let passes = || {
            let mine = (0..WAITS).take_while(|_| begun.fetch_add(1, Relaxed) < WAITS);
            mine.filter(|_| wait(&barrier).is_ok()).count()
        };
        let threads = [(); 5].map(|()| scope.spawn(passes));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, WAITS as usize);
}

#[test]
fn a_participant_that_never_comes_again_does_not_keep_others_from_its_place() {
    let barrier = Barrier::new(2).unwrap();
    let idle = barrier.clone();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&idle).is_ok());
        assert!(wait(&barrier).is_ok());
        assert!(other.join().unwrap());
    });
    let (world, barrier) = world_of(2);
    let first = world.child("once");
    wait(&barrier).unwrap();
    let second = world.child("once");
    wait(&barrier).unwrap();
    drop((first, second));
}

#[test]
fn the_end_of_ones_time_breaks_it_for_all() {
    let (world, barrier) = world_of(3);
    let me = world.segment.me();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        let late = barrier.wait_timeout(Duration::from_millis(5));
        assert_eq!(late, Err(BarrierError::Timeout));
        assert_eq!(other.join().unwrap(), broken(BreakCause::TimedOut, me));
    });
    assert!(barrier.is_broken());
    assert_eq!(wait(&barrier), broken(BreakCause::TimedOut, me));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
}

#[test]
fn the_last_one_passes_whatever_its_deadline() {
    let barrier = Barrier::new(2).unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        assert!(barrier.wait_deadline(Deadline::from_nanos(1)).is_ok());
        assert!(other.join().unwrap().is_ok());
    });
}

#[test]
fn an_abort_is_told_to_all_until_the_reset() {
    let (world, barrier) = world_of(3);
    let me = world.segment.me();
    thread::scope(|scope| {
        let others = [(); 2].map(|()| scope.spawn(|| wait(&barrier)));
        until_waiting(&barrier, 2);
        barrier.abort().unwrap();
        for other in others {
            assert_eq!(other.join().unwrap(), broken(BreakCause::Aborted, me));
        }
    });
    assert_eq!(wait(&barrier), broken(BreakCause::Aborted, me));
    barrier.abort().unwrap();
    barrier.reset().unwrap();
    in_step(&barrier, 3);
}

/// All pass.
fn in_step(barrier: &Barrier, parties: usize) {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..parties).map(|_| scope.spawn(|| wait(barrier))).collect();
        assert!(threads.into_iter().all(|thread| thread.join().expect("no panic").is_ok()));
    });
}

#[test]
fn a_reset_sends_those_who_wait_away_and_the_next_pass() {
    let barrier = Barrier::new(3).unwrap();
    thread::scope(|scope| {
        let others = [(); 2].map(|()| scope.spawn(|| wait(&barrier)));
        until_waiting(&barrier, 2);
        barrier.reset().unwrap();
        for other in others {
            let reset = BarrierError::Broken { cause: BreakCause::Reset, by: None };
            assert_eq!(other.join().unwrap(), Err(reset));
        }
    });
    assert!(!barrier.is_broken());
    in_step(&barrier, 3);
    barrier.reset().unwrap();
    in_step(&barrier, 3);
}

#[test]
fn a_reset_during_the_action_lets_all_pass() {
    let barrier = Barrier::new(2).unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        assert!(barrier.wait_with(|| barrier.reset().unwrap()).is_ok());
        assert!(other.join().unwrap().is_ok());
    });
}

#[test]
fn an_abort_during_the_action_lets_nobody_pass() {
    let (world, barrier) = world_of(2);
    let me = world.segment.me();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        let acted = barrier.wait_with(|| barrier.abort().unwrap());
        assert_eq!(acted, broken(BreakCause::Aborted, me));
        assert_eq!(other.join().unwrap(), broken(BreakCause::Aborted, me));
    });
}

#[test]
fn a_panic_in_the_action_breaks_it() {
    let (world, barrier) = world_of(2);
    let me = world.segment.me();
    thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        let act = AssertUnwindSafe(|| {
            let _ = barrier.wait_with(|| panic::resume_unwind(Box::new("a panic of this test")));
        });
        assert!(panic::catch_unwind(act).is_err());
        assert_eq!(other.join().unwrap(), broken(BreakCause::Panicked, me));
    });
    barrier.reset().unwrap();
    in_step(&barrier, 2);
}

#[test]
fn a_wait_within_the_action_is_a_deadlock() {
    let barrier = Barrier::new(1).unwrap();
    barrier.wait_with(|| assert_eq!(barrier.wait(), Err(BarrierError::Deadlock))).unwrap();
    assert!(barrier.wait().is_ok());
}

#[test]
fn a_process_takes_part_while_it_has_any_handle_left() {
    let (world, barrier) = world_of(2);
    let party = world.child("enrol, open again");
    let other = other_member(&world);
    party.kill();
    assert_eq!(wait(&barrier), broken(BreakCause::Died, other));
}

#[test]
fn an_enrolled_process_that_is_killed_breaks_it_by_name() {
    let (world, barrier) = world_of(2);
    let child = world.child("enrol");
    let id = Barrier::open(&world.segment, NAME).map(|_| other_member(&world)).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        child.kill();
        assert_eq!(waiter.join().unwrap(), broken(BreakCause::Died, id));
    });
    assert_eq!(wait(&barrier), broken(BreakCause::Died, id));
    barrier.reset().unwrap();
    in_step(&barrier, 2);
}

/// The member of the segment that is not this process.
fn other_member(world: &World) -> MemberId {
    let me = world.segment.me();
    let members = world.segment.members().into_iter().map(|member| member.id);
    members.into_iter().find(|id| *id != me).expect("a child")
}

#[test]
fn one_that_has_passed_before_and_is_killed_breaks_it_by_name() {
    let (world, barrier) = world_of(2);
    let child = world.child("once");
    let id = other_member(&world);
    wait(&barrier).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        child.kill();
        assert_eq!(waiter.join().unwrap(), broken(BreakCause::Died, id));
    });
}

#[test]
fn one_that_waits_and_is_killed_breaks_it_by_name() {
    let (world, barrier) = world_of(3);
    let child = world.child("wait");
    until_waiting(&barrier, 1);
    let id = other_member(&world);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 2);
        child.kill();
        assert_eq!(waiter.join().unwrap(), broken(BreakCause::Died, id));
    });
    barrier.reset().unwrap();
    in_step(&barrier, 3);
}

#[test]
fn one_that_is_killed_in_the_action_breaks_it_by_name() {
    let (world, barrier) = world_of(2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        let child = world.child("act");
        let id = other_member(&world);
        child.kill();
        assert_eq!(waiter.join().unwrap(), broken(BreakCause::Died, id));
    });
}

#[test]
fn one_that_has_left_may_die_and_another_comes_in_its_place() {
    let (world, barrier) = world_of(2);
    let child = world.child("once and leave");
    wait(&barrier).unwrap();
    // It says that it is ready a second time when it has left.
    let end = by_end();
    while world.flags().ready.swap(0, Relaxed) == 0 {
        assert!(!end.has_passed(), "the child did not leave");
        thread::yield_now();
    }
    child.kill();
    // Whose time is over looks for the dead before it says so.
    assert_eq!(barrier.wait_timeout(Duration::ZERO), Err(BarrierError::Timeout));
    barrier.reset().unwrap();
    in_step(&barrier, 2);
}

#[test]
fn one_that_is_stopped_is_waited_for() {
    let (world, barrier) = world_of(2);
    let child = world.child("enrol");
    child.signal(STOP);
    let late = barrier.wait_timeout(Duration::from_millis(50));
    assert_eq!(late, Err(BarrierError::Timeout));
}

#[test]
fn a_forked_child_cannot_leave_for_its_parent() {
    let barrier = Barrier::new(1).unwrap();
    let mut child = 0;
    let waited = barrier.wait_with(|| {
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
        let refused = waited == Err(BarrierError::NotParticipant);
        let full = barrier.enrol() == Err(BarrierError::NoPlace) && barrier.n_waiting() == 1;
        drop(barrier);
        crossproc_sys::process::exit_now(i32::from(!(refused && full)));
    }
    assert!(waited.is_ok());
    assert_eq!(barrier.enrol(), Err(BarrierError::NoPlace));
}

#[test]
fn places_are_given_up_with_the_last_handle() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let keeper = Barrier::create(&segment, NAME, 1).unwrap();
    let copy = keeper.clone();
    keeper.enrol().unwrap();
    drop(copy);
    assert_eq!(keeper.enrol(), Err(BarrierError::NoPlace));
    drop(keeper);
    let again = Barrier::open(&segment, NAME).unwrap();
    assert_eq!(again.enrol(), Ok(()));
    again.leave();
    assert_eq!(again.enrol(), Ok(()));
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    segment.construct(Some("other"), &Shape::untyped("other", 1), 256, |_| {}).unwrap();
    Barrier::create(&segment, NAME, 2).unwrap();
    assert!(matches!(Barrier::create(&segment, NAME, 2), Err(Error::Exists { .. })));
    assert!(matches!(Barrier::open(&segment, "none"), Err(Error::NotFound { .. })));
    assert!(matches!(Barrier::open(&segment, "other"), Err(Error::Kind { .. })));
    assert_eq!(Barrier::open_or_create(&segment, NAME, 7).unwrap().parties(), 2);
    assert!(matches!(Barrier::new_in(&segment, usize::MAX), Err(Error::NoRoom { .. })));
}

#[test]
#[should_panic(expected = "at least one party")]
fn a_barrier_without_parties_is_a_mistake() {
    let _ = Barrier::new(0);
}

/// The 64-bit word at `offset` of the barrier called [`NAME`].
fn word<R>(
    segment: &Segment,
    offset: usize,
    f: impl FnOnce(&core::sync::atomic::AtomicU64) -> R,
) -> R {
    let object = segment.find(NAME, &Shape::untyped("barrier", 1)).expect("it is there");
    assert!(offset + 8 <= object.body_bytes());
    // SAFETY: within the body.
    let word = unsafe { object.body().add(offset) };
    // SAFETY: aligned, only accessed atomically, and mapped while `object` lives.
    f(unsafe { word.cast().as_ref() })
}

#[test]
fn a_state_that_was_written_over_is_reported_by_all() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let barrier = Barrier::create(&segment, NAME, 2).unwrap();
    // Gathering with an id; acting, broken without; a phase that there is not.
    for bad in [5, 1 << 28, 2 << 28, 9 << 28 | 5] {
        word(&segment, 0, |word| word.store(bad, Relaxed));
        assert_eq!(barrier.wait(), Err(BarrierError::Corrupt), "{bad:#x}");
        assert_eq!(barrier.abort(), Err(BarrierError::Corrupt), "{bad:#x}");
        assert_eq!(barrier.reset(), Err(BarrierError::Corrupt), "{bad:#x}");
        assert!(!barrier.is_broken());
        assert!(format!("{barrier:?}").contains("corrupt"), "{barrier:?}");
    }
}

#[test]
fn places_that_were_written_over_are_reported() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let barrier = Barrier::create(&segment, NAME, 2).unwrap();
    // Inside without an id; a flag that there is not; left a generation that is not over.
    for bad in [1 << 28, 2 << 28 | 5, 1 << 32 | 5] {
        word(&segment, 64, |word| word.store(bad, Relaxed));
        assert_eq!(barrier.wait(), Err(BarrierError::Corrupt), "{bad:#x}");
    }
    word(&segment, 64, |word| word.store(0, Relaxed));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&barrier));
        until_waiting(&barrier, 1);
        // All are let go, but this place is another's by then.
        word(&segment, 64, |word| word.store(1 << 32 | 1 << 28 | 5, Relaxed));
        word(&segment, 0, |word| word.store(1 << 32, Relaxed));
        assert_eq!(waiter.join().unwrap(), Err(BarrierError::NotParticipant));
    });
}

#[test]
fn a_number_of_parties_that_was_written_over_is_not_believed() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let barrier = Barrier::create(&segment, NAME, 2).unwrap();
    for bad in [0, 3, u64::from(u32::MAX)] {
        word(&segment, 16, |word| word.store(bad, Relaxed));
        assert!(matches!(Barrier::open(&segment, NAME), Err(Error::Corrupt { .. })), "{bad}");
    }
    assert_eq!(barrier.parties(), 2);
}

#[test]
fn a_ticket_leads_to_the_same_barrier_and_is_only_made_on_the_way_to_another_process() {
    let barrier = Barrier::new(1).unwrap();
    assert!(serde_json::to_string(&barrier).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&barrier).unwrap());
    let same: Barrier =
        transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    barrier.abort().unwrap();
    assert!(same.is_broken());
    assert!(serde_json::from_str::<Barrier>(&ticket).is_err());
}

#[test]
fn debug_tells_the_state() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let barrier = Barrier::create(&segment, NAME, 2).unwrap();
    let shown =
        r#"Barrier { name: Some("barrier"), parties: 2, waiting: 0, state: gathering for 0 }"#;
    assert_eq!(format!("{barrier:?}"), shown);
    barrier.abort().unwrap();
    let shown = format!("{barrier:?}");
    assert!(shown.contains(&format!("broken in 0: Aborted, {:?}", segment.me())), "{shown}");
}

/// One that stood still between its look at a place and its CAS must find the place changed for good
/// once the generation is over.
#[test]
fn no_place_becomes_again_what_it_was_before_a_generation_passed() {
    let [one, two] = [1, 2].map(|id| MemberId::new(id).unwrap());
    let (barrier, row) = (raw::Barrier::new(2), [raw::Place::default(), raw::Place::default()]);
    let seen = row.each_ref().map(raw::Place::seat);
    let arrivals = [one, two].map(|id| match barrier.arrive(&row, id, u32::MAX) {
        raw::Arrive::In(arrival) => arrival,
        other => panic!("{other:?}"),
    });
    assert!(barrier.complete(arrivals[1], None));
    assert!(arrivals.iter().all(|arrival| barrier.leave(&row, *arrival)));
    assert!(barrier.reset(&row, two, |id| id != one).unwrap());
    for (place, seen) in row.iter().zip(seen) {
        assert_ne!(place.seat(), seen);
    }
    // The dead one's place is free all the same.
    assert_eq!(raw::Barrier::participants(&row).collect::<Vec<_>>(), [two]);
}
