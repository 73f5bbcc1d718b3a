//! Waiting between real processes: wakes, deadlines, and the deaths of those who matter.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

#[path = "wait/party.rs"]
mod party;

use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use crossproc_segment::MemberId;
use crossproc_segment::wait::{Blocker, Look, Rest, Sleeper, Spin, block_on};
use crossproc_sys::clock::Deadline;

use party::{Child, Place, World};

/// Of a loop that only ends by what it waits for.
fn soon() -> Option<Deadline> {
    Some(Deadline::after(Duration::from_secs(60)))
}

/// Sleeps on `word`, which says who owns it, until its owner is dead. False: a minute passed.
fn outlive(world: &World, word: &AtomicU32) -> bool {
    let owner = MemberId::new(word.load(SeqCst)).expect("somebody owns the word");
    let mut sleeper = Sleeper::new(&world.segment, soon());
    let mut asks = false;
    loop {
        sleeper.arm(word, Blocker::Owner);
        if asks && !world.segment.alive(owner) {
            return true;
        }
        match sleeper.sleep(word, owner.get()) {
            Rest::Look => asks = false,
            Rest::Ask => asks = true,
            Rest::TimedOut => return false,
        }
    }
}

/// Waits until this thread is the watch. False: a minute passed.
fn become_watch(world: &World) -> bool {
    let mut sleeper = Sleeper::new(&world.segment, soon());
    while !sleeper.is_watch() {
        sleeper.arm(&world.place.nothing, Blocker::Anyone);
        if sleeper.sleep(&world.place.nothing, 0) == Rest::TimedOut {
            return false;
        }
    }
    true
}

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = party::role() else { return };
    let Place { owned, goes, flag, .. } = &*world.place;
    match role.as_str() {
        // Notifies once told to.
        "notify" => {
            world.place.wait_for(flag, 1);
            owned.store(1, SeqCst);
            goes.notify_one();
        }
        // Owns the word until it is killed.
        "own" => {
            owned.store(world.segment.me().get(), SeqCst);
            world.place.raise(flag);
            let _ = sleep_aside(&world);
        }
        // Is the watch and shows it, until it may go.
        "watch" => {
            let mut sleeper = Sleeper::new(&world.segment, soon());
            loop {
                sleeper.arm(goes.word(), Blocker::Anyone);
                let seen = goes.word().load(SeqCst);
                if world.place.done.load(SeqCst) != 0 {
                    return;
                }
                let shown = u32::from(sleeper.is_watch());
                if flag.swap(shown, SeqCst) != shown {
                    world.place.wake(flag);
                }
                assert_ne!(sleeper.sleep(goes.word(), seen), Rest::TimedOut);
            }
        }
        other => panic!("no such role: {other}"),
    }
}

/// Sleeps without ever taking part in the look-out.
fn sleep_aside(world: &World) -> crossproc_sys::futex::Wait {
    crossproc_sys::futex::wait(&world.place.nothing, 0, soon())
}

#[test]
fn a_notify_wakes_a_waiter_in_another_process() {
    let world = World::new();
    let _child = Child::start(&world, "notify");
    let place = &world.place;
    place.raise(&place.flag);
    let got = block_on(&world.segment, &place.goes, &Spin::new(), soon(), |_| {
        (place.owned.load(SeqCst) == 1).then_some("went")
    });
    assert_eq!(got, Some("went"));
    assert!(!place.goes.has_waiters());
}

#[test]
fn a_waiter_outlives_the_owner_it_waits_for() {
    let world = World::new();
    let child = Child::start(&world, "own");
    world.place.wait_for(&world.place.flag, 1);
    std::thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..20).map(|_| scope.spawn(|| outlive(&world, &world.place.owned))).collect();
        drop(child);
        for waiter in waiters {
            assert!(waiter.join().expect("no panic"), "the death was not noticed");
        }
    });
}

#[test]
fn a_death_has_a_waiter_look_for_what_to_repair() {
    let world = World::new();
    let child = Child::start(&world, "own");
    let place = &world.place;
    place.wait_for(&place.flag, 1);
    let owner = MemberId::new(place.owned.load(SeqCst)).expect("an owner");
    let mut child = Some(child);
    let got = block_on(&world.segment, &place.goes, &Spin::new(), soon(), |look| {
        match look {
            Look::Quick => None,
            Look::Repair if world.segment.alive(owner) => {
                // Alive at the first question; then it dies.
                child = None;
                None
            }
            Look::Repair => Some("repaired"),
        }
    });
    assert_eq!(got, Some("repaired"));
    assert!(child.is_none());
}

#[test]
fn a_killed_watch_is_replaced_and_its_own_death_told() {
    let world = World::new();
    let watch = Child::start(&world, "watch");
    world.place.wait_for(&world.place.flag, 1);
    drop(watch);
    assert!(become_watch(&world), "the watch is dead, and nobody took its post");
}

#[test]
fn a_stopped_watch_is_replaced_and_does_not_insist() {
    let world = World::new();
    let watch = Child::start(&world, "watch");
    let place = &world.place;
    place.wait_for(&place.flag, 1);
    watch.signal(party::STOP);
    let mut mine = Sleeper::new(&world.segment, soon());
    while !mine.is_watch() {
        mine.arm(&place.nothing, Blocker::Anyone);
        assert_ne!(mine.sleep(&place.nothing, 0), Rest::TimedOut, "nobody replaced the watch");
    }
    watch.signal(party::CONTINUE);
    while place.flag.load(SeqCst) != 0 {
        mine.arm(&place.nothing, Blocker::Anyone);
        assert_ne!(mine.sleep(&place.nothing, 0), Rest::TimedOut, "there are two watches");
    }
    assert!(mine.is_watch());
}

#[test]
fn a_watch_whose_wait_is_over_hands_its_post_on() {
    let world = World::new();
    let mut watch = Child::start(&world, "watch");
    let place = &world.place;
    place.wait_for(&place.flag, 1);
    std::thread::scope(|scope| {
        let heir = scope.spawn(|| become_watch(&world));
        place.done.store(1, SeqCst);
        place.goes.word().fetch_add(1 << 16, SeqCst);
        place.wake(place.goes.word());
        assert!(watch.ends_well());
        assert!(heir.join().expect("no panic"), "nobody took the post");
    });
}

#[test]
fn a_deadline_ends_a_wait_with_a_last_thorough_look() {
    let world = World::new();
    let mut looks = Vec::new();
    let passed = Some(Deadline::after(Duration::from_millis(3)));
    let got = block_on(&world.segment, &world.place.goes, &Spin::new(), passed, |look| {
        looks.push(look);
        None::<()>
    });
    assert_eq!(got, None);
    assert!(passed.is_some_and(Deadline::has_passed));
    assert_eq!(looks.last(), Some(&Look::Repair));
    assert!(!world.place.goes.has_waiters(), "it is announced no more");
}

#[test]
fn a_deadline_that_has_passed_still_asks_once() {
    let world = World::new();
    let long_ago = Some(Deadline::from_nanos(1));
    let got = block_on(&world.segment, &world.place.goes, &Spin::new(), long_ago, |look| {
        (look == Look::Repair).then_some(())
    });
    assert_eq!(got, Some(()));
}

#[test]
fn a_waiter_that_leaves_passes_on_the_wake_it_was_given() {
    let world = World::new();
    let goes = &world.place.goes;
    // Another one that waits; and a notify that comes too late for the one that leaves.
    let other = goes.prepare();
    let mut notifies = 0;
    let long_ago = Some(Deadline::from_nanos(1));
    let got = block_on(&world.segment, goes, &Spin::new(), long_ago, |look| {
        if look == Look::Repair {
            goes.notify_one();
            notifies += 1;
        }
        None::<()>
    });
    assert_eq!((got, notifies), (None, 1));
    assert!(goes.still(other).is_none());
    assert!(!goes.has_waiters(), "one wake for each of the two");
}

#[test]
fn a_wait_that_succeeds_at_once_announces_nothing() {
    let world = World::new();
    let before = world.place.goes.word().load(Relaxed);
    let got = block_on(&world.segment, &world.place.goes, &Spin::new(), None, |_| Some(7));
    assert_eq!(got, Some(7));
    assert_eq!(world.place.goes.word().load(Relaxed), before);
}
