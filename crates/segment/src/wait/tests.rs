//! The look-out's steps one by one, with dead members made up: an id that nobody ever locked is
//! dead to the kernel.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use crossproc_sys::clock::Deadline;
use crossproc_sys::{file, lock, memfd};

use super::ground::Ground;
use super::lookout::{self, Tick, Watch};
use super::raw::{self, Blocker, Post, Target};
use super::sleeper::{Rest, Sleeper};
use crate::member::raw::ENTRIES;
use crate::{MemberId, Segment};

/// A word of the segment to sleep on: the description of a member entry that nobody has.
const WORD: usize = ENTRIES - 1;

fn segment() -> Segment {
    let segment = Segment::anonymous(1 << 16).expect("a segment");
    segment.wait_table().note_member(WORD - 1);
    segment
}

fn dead() -> MemberId {
    MemberId::new(0x0dea_d000).expect("not 0")
}

fn ground(segment: &Segment) -> Ground<'_> {
    Ground::new(segment, segment.me())
}

/// A recorded sleeper on [`WORD`]; returns its record.
fn sleeper(ground: &Ground<'_>, blocker: Blocker) -> usize {
    let index = ground.waits.claim(ground.me, 1, 0).expect("a record is free");
    let word = &ground.members.entries[WORD].pid;
    let _ = ground.waits.record(index).arm(ground.target(word, blocker));
    index
}

fn kicks(ground: &Ground<'_>, index: usize) -> u32 {
    ground.waits.record(index).kicks().load(Relaxed)
}

#[test]
fn a_burial_kicks_those_whom_it_concerns_and_strikes_the_dead_out() {
    let segment = segment();
    let ground = ground(&segment);
    ground.members.entries[7].id.store(dead().get(), SeqCst);
    let (of_owner, of_anyone) =
        (sleeper(&ground, Blocker::Owner), sleeper(&ground, Blocker::Anyone));
    let of_the_dead = ground.waits.claim(dead(), 1, 0).expect("a record is free");

    // The word belongs to a living member.
    ground.members.entries[WORD].pid.store(ground.me.get() | 1 << 31, SeqCst);
    lookout::bury(&ground, &[dead()], None);
    assert_eq!((kicks(&ground, of_owner), kicks(&ground, of_anyone)), (0, 1));
    assert_eq!(ground.member_at(7), None);
    assert_eq!(ground.waits.claim(ground.me, 1, of_the_dead), Some(of_the_dead), "it was vacated");

    // The word belongs to the dead by now; flags in the high bits do not matter.
    ground.members.entries[WORD].pid.store(dead().get() | 1 << 31, SeqCst);
    lookout::bury(&ground, &[dead()], Some(of_anyone));
    assert_eq!((kicks(&ground, of_owner), kicks(&ground, of_anyone)), (1, 1));
    assert_eq!(ground.waits.deaths(), 2);

    // It belongs to nobody, and its sleeper was not woken: the wake died with somebody.
    ground.members.entries[WORD].pid.store(1 << 30, SeqCst);
    lookout::bury(&ground, &[dead()], Some(of_anyone));
    assert_eq!(kicks(&ground, of_owner), 2);
}

#[test]
fn a_watch_that_lost_the_segments_descriptor_leaves_its_post() {
    let segment = segment();
    let mut lost = ground(&segment);
    lost.fd = other_file().as_fd();
    let mine = sleeper(&lost, Blocker::Anyone);
    assert!(Watch::elect(&lost, mine, 0).is_none(), "it cannot ask");

    let mut watch = Watch::elect(&ground(&segment), mine, 0).expect("the post is vacant");
    assert_eq!(watch.tick(&ground(&segment)), Tick::Quiet);
    assert_eq!(watch.tick(&lost), Tick::Deposed);
    watch.leave(&lost);
    assert_eq!(lost.waits.post(), Post::VACANT);
}

/// What the number of the descriptor means once it was closed and used again.
fn other_file() -> &'static OwnedFd {
    static OTHER: OnceLock<OwnedFd> = OnceLock::new();
    OTHER.get_or_init(|| memfd::create("other", memfd::Pages::Normal).expect("a file"))
}

#[test]
fn a_record_that_points_outside_the_segment_harms_nobody() {
    let segment = segment();
    let ground = ground(&segment);
    let index = ground.waits.claim(ground.me, 1, 0).expect("a record is free");
    let end = segment.size() as u64;
    for offset in [end, end + 4096, !3] {
        let target = Target::new(offset, Blocker::Owner);
        let _ = ground.waits.record(index).arm(target);
        assert_eq!(ground.word_at(target), None);
        lookout::bury(&ground, &[dead()], None);
    }
    assert_eq!(kicks(&ground, index), 0);
}

#[test]
fn the_watch_finds_the_dead_and_learns_that_it_is_concerned() {
    let segment = segment();
    let ground = ground(&segment);
    let index = sleeper(&ground, Blocker::Owner);
    let mut watch = Watch::elect(&ground, index, 0).expect("the post is vacant");
    assert_eq!(watch.tick(&ground), Tick::Quiet);

    ground.members.entries[WORD].pid.store(dead().get(), SeqCst);
    ground.members.entries[7].id.store(dead().get(), SeqCst);
    assert_eq!(watch.tick(&ground), Tick::Ask);
    assert_eq!(ground.member_at(7), None);
    assert_eq!(kicks(&ground, index), 0, "it need not kick itself");
    watch.leave(&ground);
    assert_eq!(ground.waits.post(), Post::VACANT);
}

#[test]
fn only_the_post_of_a_dead_or_stopped_watch_is_taken() {
    let segment = segment();
    let ground = ground(&segment);
    let (mine, next) = (sleeper(&ground, Blocker::Anyone), sleeper(&ground, Blocker::Anyone));

    let other = MemberId::new(0x0a11_fe00).expect("not 0");
    let description = file::reopen(segment.as_fd()).expect("/proc");
    assert!(lock::try_lock_byte(description.as_fd(), other.lock_offset()).expect("a lock"));
    assert!(ground.waits.change_post(Post::VACANT, Post::new(5, other)));
    ground.waits.tick();
    assert!(Watch::elect(&ground, mine, 1_000_000_000).is_none(), "it lives and has just ticked");
    let mut later = Watch::elect(&ground, mine, 2_000_000_000).expect("it does not tick");
    assert!(Watch::elect(&ground, next, 2_000_000_001).is_none(), "the new one has just come");

    assert!(ground.waits.change_post(ground.waits.post(), Post::new(5, other)));
    assert_eq!(later.tick(&ground), Tick::Deposed);
    later.leave(&ground);
    assert_eq!(ground.waits.post(), Post::new(5, other), "a deposed one leaves the post alone");

    drop(description);
    let heir = Watch::elect(&ground, mine, 2_000_000_002).expect("the other is dead");
    heir.leave(&ground);
    assert_eq!(kicks(&ground, next), 1, "a watch that leaves calls another");
}

#[test]
fn every_record_can_be_claimed_and_none_twice() {
    let segment = segment();
    let ground = ground(&segment);
    let mut claimed: Vec<_> =
        core::iter::from_fn(|| ground.waits.claim(ground.me, 1, 100)).collect();
    claimed.sort_unstable();
    assert!(claimed.iter().copied().eq(0..raw::RECORDS));
    ground.waits.release(17, ground.me);
    assert_eq!(ground.waits.claim(ground.me, 1, 9000), Some(17));
}

#[test]
fn a_word_that_never_holds_still_does_not_outlast_the_deadline() {
    let segment = segment();
    let word = &ground(&segment).members.entries[WORD].pid;
    let deadline = Deadline::after(Duration::from_millis(1));
    let mut sleeper = Sleeper::new(&segment, Some(deadline));
    // The kernel finds another value each time, and never looks at the clock.
    let mut sleep = || sleeper.sleep(word, 1);
    while !deadline.has_passed() {
        assert_ne!(sleep(), Rest::Ask);
    }
    assert_eq!(sleep(), Rest::TimedOut);
}
