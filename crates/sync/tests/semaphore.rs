//! Semaphores: one process, and holders and waiters in other processes, some of which die.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::mem;
use std::thread;
use std::time::Duration;

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{
    BoundedSemaphore, Deadline, Permit, ReleaseError, Semaphore, SemaphoreError, TryAcquireError,
};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 10_000;

/// A world that has semaphores, too.
struct Slots {
    world: World,
    slots: Semaphore,
    bounded: BoundedSemaphore,
}

impl Slots {
    fn new(permits: u32) -> Self {
        Self::of(World::new(), permits)
    }

    fn of(world: World, permits: u32) -> Self {
        let slots = Semaphore::open_or_create(&world.segment, "slots", permits).expect("room");
        let bounded =
            BoundedSemaphore::open_or_create(&world.segment, "few", permits).expect("room");
        Self { world, slots, bounded }
    }

    /// Acquires with an end to the wait.
    fn acquire(&self) -> Permit<'_> {
        self.slots.acquire_timeout(LONG).expect("a permit within a minute")
    }

    /// Permits that can be had at once, those of the dead among them.
    fn all(&self) -> usize {
        drop(self.slots.acquire_timeout(Duration::from_millis(100)));
        self.slots.available() as usize
    }

    /// Waits until somebody is asleep at the semaphore.
    fn until_waited_for(&self) {
        until("somebody waits", || format!("{:?}", self.slots).contains("waiters: true"));
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Deadline::after(LONG);
    while !is_so() {
        assert!(!end.has_passed(), "not so: {what}");
        thread::yield_now();
    }
}

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let us = Slots::of(world, 0);
    match role.as_str() {
        // Holds a permit until it is killed.
        "hold" => {
            let _permit = us.acquire();
            us.world.ready();
            us.world.sleep_on();
        }
        // Holds all that there are.
        "hold all" => {
            let mut permits = Vec::new();
            while let Ok(permit) = us.slots.try_acquire() {
                permits.push(permit);
            }
            us.world.ready();
            us.world.sleep_on();
        }
        // Says that it is there, and waits.
        "wait" => {
            us.world.ready();
            let _permit = us.acquire();
            us.world.sleep_on();
        }
        "forget" => {
            us.acquire().forget();
            us.world.ready();
            us.world.sleep_on();
        }
        "take" => {
            us.slots.take_timeout(LONG).unwrap();
            us.world.ready();
            us.world.sleep_on();
        }
        "hold bounded" => {
            let _permit = us.bounded.acquire_timeout(LONG).unwrap();
            us.world.ready();
            us.world.sleep_on();
        }
        // Acquires, never gives back, ends.
        "leak" => {
            mem::forget(us.acquire());
            us.world.ready();
        }
        // Leaks a permit, and drops all handles.
        "leak and let go" => {
            let Slots { world, slots, bounded } = us;
            mem::forget(slots.acquire_timeout(LONG).unwrap());
            world.ready();
            drop((slots, bounded, world));
            thread::sleep(LONG);
        }
        "count" => {
            us.world.ready();
            count(&us);
        }
        other => panic!("no such role: {other}"),
    }
}

/// Adds to a number in two steps, which only a semaphore of one permit makes one.
fn count(us: &Slots) {
    for _ in 0..ROUNDS {
        let _permit = us.acquire();
        let count = us.world.flags().count.load(Relaxed);
        us.world.flags().count.store(count + 1, Relaxed);
    }
}

#[test]
fn processes_exclude_each_other() {
    let us = Slots::new(1);
    let children = [us.world.child("count"), us.world.child("count")];
    count(&us);
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(us.world.flags().count.load(Relaxed), 3 * ROUNDS);
}

#[test]
fn no_more_threads_are_inside_than_there_are_permits() {
    let semaphore = Semaphore::new(2).unwrap();
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let _permit = semaphore.acquire().unwrap();
                    most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                    inside.fetch_sub(1, Relaxed);
                }
            });
        }
    });
    assert!(most.load(Relaxed) <= 2);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn every_form_of_acquiring_takes_one_and_gives_it_back() {
    let semaphore = Semaphore::new(1).unwrap();
    let deadline = Deadline::after(LONG);
    for permit in [
        semaphore.acquire().unwrap().release(),
        semaphore.try_acquire().unwrap().release(),
        semaphore.acquire_timeout(LONG).unwrap().release(),
        semaphore.acquire_deadline(deadline).unwrap().release(),
    ] {
        assert_eq!(permit, Ok(()));
    }
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn every_form_says_in_its_way_that_there_is_none() {
    let semaphore = Semaphore::new(1).unwrap();
    let _permit = semaphore.acquire().unwrap();
    let (short, past) = (Duration::from_millis(1), Deadline::from_nanos(1));
    assert!(semaphore.is_locked());
    assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::WouldBlock)));
    assert!(matches!(semaphore.acquire_timeout(short), Err(TryAcquireError::Timeout)));
    assert!(matches!(semaphore.acquire_deadline(past), Err(TryAcquireError::Timeout)));
    assert_eq!(semaphore.try_take(), Err(TryAcquireError::WouldBlock));
    assert_eq!(semaphore.take_timeout(short), Err(TryAcquireError::Timeout));
    assert_eq!(semaphore.take_deadline(past), Err(TryAcquireError::Timeout));
}

#[test]
fn a_permit_goes_to_another_thread_and_comes_back_from_there() {
    let semaphore = Semaphore::new(1).unwrap();
    let permit = semaphore.acquire().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(permit));
    });
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn permits_that_are_added_wake_as_many_waiters() {
    let us = Slots::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| us.slots.take_timeout(LONG))).collect();
        us.until_waited_for();
        us.slots.release(3).unwrap();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap().is_ok()));
    });
    assert!(us.slots.is_locked());
}

#[test]
fn a_guard_that_is_dropped_wakes_a_sleeper() {
    let us = Slots::new(1);
    let permit = us.acquire();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| us.slots.acquire_timeout(LONG).is_ok());
        us.until_waited_for();
        drop(permit);
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn more_than_the_most_permits_are_refused_as_a_whole() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS).unwrap();
    let (limit, count) = (Semaphore::MAX_PERMITS, Semaphore::MAX_PERMITS);
    let told = Err(ReleaseError::AboveLimit { limit, count, added: 1 });
    assert_eq!(semaphore.release(1), told);
    let permit = semaphore.acquire().unwrap();
    semaphore.release(1).unwrap();
    assert_eq!(permit.release(), Ok(()), "what a guard holds has room");
    assert!(semaphore.release(u32::MAX).is_err());
    assert_eq!(semaphore.available(), Semaphore::MAX_PERMITS + 1);
}

#[test]
#[should_panic(expected = "at most")]
fn too_many_permits_at_the_beginning_are_a_mistake() {
    let _ = Semaphore::new(Semaphore::MAX_PERMITS + 1);
}

#[test]
fn one_guard_too_many_is_told_and_plain_permits_are_not_limited() {
    let semaphore = Semaphore::new(2_000).unwrap();
    let mut permits: Vec<_> =
        (0..Semaphore::MAX_GUARDS).map(|_| semaphore.acquire().unwrap()).collect();
    assert_eq!(semaphore.acquire().unwrap_err(), SemaphoreError::TooManyGuards);
    let told = semaphore.acquire_timeout(LONG).unwrap_err();
    assert_eq!(told, SemaphoreError::TooManyGuards.into());
    assert_eq!(semaphore.try_take(), Ok(()));
    assert_eq!(semaphore.available(), 999);
    permits.pop();
    permits.push(semaphore.try_acquire().unwrap());
    permits.clear();
    assert_eq!(semaphore.available(), 1_999);
}

#[test]
fn a_bounded_semaphore_refuses_one_release_too_many() {
    let slots = BoundedSemaphore::new(2).unwrap();
    let told = slots.release(1).unwrap_err();
    assert_eq!(told, ReleaseError::AboveLimit { limit: 2, count: 2, added: 1 });
    assert!(told.to_string().contains("limit of 2"), "{told}");
    slots.take().unwrap();
    assert!(slots.release(2).is_err());
    assert_eq!(slots.available(), 1, "all or none");
    slots.release(1).unwrap();
    assert!(slots.release(1).is_err());
}

#[test]
fn a_bounded_semaphore_counts_what_guards_hold() {
    let slots = BoundedSemaphore::new(2).unwrap();
    let permit = slots.acquire().unwrap();
    let told = slots.release(1);
    assert_eq!(told, Err(ReleaseError::AboveLimit { limit: 2, count: 2, added: 1 }));
    slots.take().unwrap();
    assert!(slots.release(2).is_err());
    assert_eq!(slots.release(1), Ok(()));
    permit.forget();
    assert_eq!(slots.release(1), Ok(()), "it was handed on");
    assert_eq!(slots.available(), 2);
}

#[test]
fn a_killed_holders_permits_come_back_and_forgotten_and_taken_ones_do_not() {
    let us = Slots::new(3);
    let [hold, forget, take] = ["hold", "forget", "take"].map(|role| us.world.child(role));
    assert_eq!(us.slots.available(), 0);
    hold.kill();
    drop(us.acquire());
    forget.kill();
    take.kill();
    assert_eq!(us.all(), 1);
    us.slots.release(2).unwrap();
    assert_eq!(us.all(), 3);
}

#[test]
fn a_sleeper_gets_the_permit_of_a_killed_holder() {
    let us = Slots::new(1);
    let holder = us.world.child("hold");
    thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| us.slots.acquire_timeout(LONG).is_ok())).collect();
        us.until_waited_for();
        holder.kill();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
    });
    assert_eq!(us.slots.available(), 1);
}

#[test]
fn sleepers_get_all_the_permits_of_a_killed_holder() {
    let us = Slots::new(3);
    let holder = us.world.child("hold all");
    thread::scope(|scope| {
        // They keep what they get, so each needs one of its own.
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| us.slots.take_timeout(LONG))).collect();
        us.until_waited_for();
        holder.kill();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap().is_ok()));
    });
    assert!(us.slots.is_locked());
}

#[test]
fn who_only_tries_gets_the_permit_of_a_killed_holder() {
    let us = Slots::new(1);
    let holder = us.world.child("hold");
    assert!(matches!(us.slots.try_acquire(), Err(TryAcquireError::WouldBlock)));
    holder.kill();
    until("try_acquire comes to it", || us.slots.try_acquire().is_ok());
    let holder = us.world.child("hold");
    holder.kill();
    until("try_take comes to it", || us.slots.try_take().is_ok());
}

#[test]
fn entries_of_killed_holders_serve_again() {
    let us = Slots::new(2_000);
    us.world.child("hold all").kill();
    // 1,000 permits are left and 1,000 entries in dead hands.
    let permits: Vec<_> = (0..Semaphore::MAX_GUARDS).map(|_| us.slots.acquire().unwrap()).collect();
    assert_eq!(us.slots.available(), 1_000);
    drop(permits);
    assert_eq!(us.slots.available(), 2_000);
}

#[test]
fn a_bounded_semaphore_gets_a_dead_ones_permit_back_and_not_more() {
    let us = Slots::new(1);
    us.world.child("hold bounded").kill();
    drop(us.bounded.acquire_timeout(LONG).unwrap());
    assert_eq!(us.bounded.available(), 1);
    us.world.child("hold bounded").kill();
    assert!(us.bounded.release(1).is_err(), "the dead one's permit will come back");
    drop(us.bounded.acquire_timeout(LONG).unwrap());
    assert_eq!(us.bounded.available(), 1);
}

#[test]
fn a_waiter_that_is_killed_keeps_nobody_waiting() {
    let us = Slots::new(1);
    let permit = us.acquire();
    let waiter = us.world.child("wait");
    us.until_waited_for();
    waiter.kill();
    thread::scope(|scope| {
        let other = scope.spawn(|| us.slots.acquire_timeout(LONG).is_ok());
        drop(permit);
        assert!(other.join().unwrap());
    });
}

#[test]
fn a_stopped_holder_keeps_its_permit() {
    let us = Slots::new(1);
    let holder = us.world.child("hold");
    holder.signal(STOP);
    let late = us.slots.acquire_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryAcquireError::Timeout)), "{late:?}");
    holder.kill();
    drop(us.acquire());
}

#[test]
fn a_leaked_guard_holds_until_its_process_ends() {
    let us = Slots::new(1);
    let leaker = us.world.child("leak and let go");
    let late = us.slots.acquire_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryAcquireError::Timeout)), "{late:?}");
    leaker.kill();
    drop(us.acquire());
    assert!(us.world.child("leak").ends_well());
    drop(us.acquire());
}

#[test]
fn a_forked_child_neither_has_nor_gives_back_the_permit_of_its_parent() {
    let us = Slots::new(1);
    let permit = us.acquire();
    // SAFETY: the child asks and exits; whatever it allocates, glibc lets it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = permit.release() == Err(ReleaseError::NotHeld);
        let is_out = us.slots.try_acquire().is_err();
        crossproc_sys::process::exit_now(i32::from(!(refused && is_out)));
    }
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(permit.release(), Ok(()));
    assert_eq!(us.slots.available(), 1);
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 17).unwrap();
    Semaphore::create(&segment, "slots", 5).unwrap();
    BoundedSemaphore::create(&segment, "few", 2).unwrap();
    assert!(matches!(Semaphore::create(&segment, "slots", 1), Err(Error::Exists { .. })));
    assert!(matches!(Semaphore::open(&segment, "many"), Err(Error::NotFound { .. })));
    assert!(matches!(Semaphore::open(&segment, "few"), Err(Error::Kind { .. })));
    assert!(matches!(BoundedSemaphore::open(&segment, "slots"), Err(Error::Kind { .. })));
    assert_eq!(Semaphore::open(&segment, "slots").unwrap().available(), 5);
    assert_eq!(BoundedSemaphore::open(&segment, "few").unwrap().limit(), 2);
}

#[test]
fn a_ticket_leads_to_the_same_semaphore_and_is_only_made_on_the_way_to_another_process() {
    let bounded = BoundedSemaphore::new(2).unwrap();
    assert!(serde_json::to_string(&bounded).is_err());
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&bounded).unwrap());
    let same: BoundedSemaphore =
        transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    let _permit = bounded.acquire().unwrap();
    assert_eq!((same.available(), same.limit()), (1, 2));

    let plain = Semaphore::new(3).unwrap();
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&plain).unwrap());
    let same: Semaphore =
        transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    plain.take().unwrap();
    assert_eq!(same.available(), 2);
}

#[test]
fn debug_tells_the_state() {
    let semaphore = Semaphore::create(&Segment::anonymous(1 << 16).unwrap(), "slots", 2).unwrap();
    let _permit = semaphore.acquire().unwrap();
    let me = semaphore.segment().me();
    let expected = format!(
        r#"Semaphore {{ name: Some("slots"), available: 1, held by: [{me:?}], waiters: false }}"#
    );
    assert_eq!(format!("{semaphore:?}"), expected);
}

/// The words of a semaphore called "slots", to be written over.
struct Words {
    object: crossproc_segment::Object,
}

impl Words {
    fn of(segment: &Segment, kind: &'static str) -> Self {
        Self { object: segment.find("slots", &Shape::untyped(kind, 1)).expect("it is there") }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset % 8 == 0 && offset < self.object.body_bytes());
        // SAFETY: the offset lies in the body, and is aligned.
        let word = unsafe { self.object.body().add(offset) };
        // SAFETY: mapped while `self` lives, and only accessed atomically.
        unsafe { word.cast::<AtomicU64>().as_ref() }
    }
}

#[test]
fn words_that_were_written_over_are_reported_and_hang_nobody() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let semaphore = Semaphore::create(&segment, "slots", 5).unwrap();
    let words = Words::of(&segment, "semaphore");
    let (log, first) = (words.word(0), words.word(64));
    let full = 5 << 40;
    // No such operation; an entry beyond the last; a permit of nobody; one let go by no state.
    for (bad, entry) in [
        (full | 3 << 38, 0),
        (full | 1 << 38 | 1023 << 28, 0),
        (full | 1 << 38, 0),
        (full | 2 << 38, 2 << 28),
        (full | 1 << 38, 1 << 28),
    ] {
        log.store(bad, Relaxed);
        first.store(entry, Relaxed);
        assert_eq!(semaphore.acquire().unwrap_err(), SemaphoreError::Corrupt, "{bad:#x}");
        assert_eq!(semaphore.take(), Err(SemaphoreError::Corrupt), "{bad:#x}");
        assert_eq!(semaphore.release(1), Err(ReleaseError::Corrupt), "{bad:#x}");
        let timed = semaphore.take_timeout(LONG);
        assert_eq!(timed, Err(SemaphoreError::Corrupt.into()), "{bad:#x}");
        assert!(semaphore.try_acquire().is_err());
        let _ = format!("{semaphore:?}");
    }
    // Entries that nobody can use are passed over.
    log.store(full, Relaxed);
    for at in 0..999 {
        words.word(64 + 8 * at).store(u64::MAX, Relaxed);
    }
    words.word(64 + 8 * 999).store(0, Relaxed);
    let permit = semaphore.acquire().unwrap();
    assert_eq!(semaphore.acquire().unwrap_err(), SemaphoreError::TooManyGuards);
    // A permit whose entry says something else is not given back.
    log.store(full, Relaxed);
    words.word(64 + 8 * 999).store(0, Relaxed);
    assert_eq!(permit.release(), Err(ReleaseError::NotHeld));
    // All counted, and one comes back on top: it is not carried into the next field.
    log.store(0, Relaxed);
    semaphore.release(1).unwrap();
    let permit = semaphore.acquire().unwrap();
    log.fetch_or(0xff_ffff << 40, Relaxed);
    assert!(permit.release().is_err());
    assert_eq!(semaphore.available(), 0xff_ffff);
}

#[test]
fn a_limit_that_was_written_over_is_found_when_the_semaphore_is_opened() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let bounded = BoundedSemaphore::create(&segment, "slots", 5).unwrap();
    let words = Words::of(&segment, "bounded sem");
    words.word(8).store(u64::MAX << 32, Relaxed);
    assert!(matches!(BoundedSemaphore::open(&segment, "slots"), Err(Error::Corrupt { .. })));
    assert_eq!(bounded.limit(), 5);
}
