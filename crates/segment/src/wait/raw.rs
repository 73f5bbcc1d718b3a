//! The wait table as it lies in shared memory: who looks out for deaths, and who sleeps on what.
//!
//! # Layout
//!
//! | offset | size | field          | who writes        | values                              |
//! |-------:|-----:|----------------|-------------------|-------------------------------------|
//! |      0 |    8 | `watch`        | CAS, see *States* | 0, or `record + 1`: 32 and id: 32   |
//! |      8 |    4 | `tick`         | the watch         | goes up with each of its slices     |
//! |     12 |    4 | `cursor`       | the watch         | member entry to ask about next      |
//! |     16 |    4 | `deaths`       | who buries        | goes up with each burial            |
//! |     20 |    4 | `members_used` | joiners, max      | member entries beyond are vacant    |
//! |     24 |    4 | `records_used` | sleepers, max     | records beyond are vacant           |
//! |    128 |    4 | `looks`        | sleepers          | slices that have ended              |
//! |    136 |    8 | `seen`         | sleepers          | `tick`: 32, and since when, ms: 32  |
//! |    256 | 16 each | `records`   | see below         | [`RECORDS`] of them                 |
//! | 131328 |  4 each | `threads`   | its record's owner | which of its threads sleeps        |
//!
//! A record belongs to a sleeping *thread*:
//!
//! | offset | size | field    | who writes      | values                                          |
//! |-------:|-----:|----------|-----------------|-------------------------------------------------|
//! |      0 |    4 | `owner`  | CAS             | 0, or the id of the member                      |
//! |      4 |    4 | `kicks`  | anybody; futex  | goes up with each kick                          |
//! |      8 |    8 | `target` | the owner       | 0, or the offset of a word; bit 0: at any death |
//!
//! All zeroes is a table in which nobody sleeps and nobody is the watch.
//!
//! # States
//!
//! - `watch == 0`: nobody looks out; the next old sleeper that looks takes the post by CAS.
//! - `watch == (record, id)`: that thread ticks. Others take its post, by CAS from the exact word,
//!   when `id` is dead or `tick` has not moved for too long (it is stopped).
//! - record vacant (`owner == 0`): any thread may claim it by CAS.
//! - record claimed: its owner writes `target`; the watch reads it; anybody kicks.
//! - record of a dead owner: whoever buries the owner takes it over by CAS and clears it.
//!
//! # Operations
//!
//! *arm*: 1. `target` = the word. 2. Read `kicks`. 3. Fence. 4. Only then look at the word, and ask
//! after its owner; sleep while the word is as it was seen **and** `kicks` is as read in 2.
//!
//! *bury*, for ids that the kernel has declared dead: 1. `deaths + 1`. 2. Fence. 3. For each
//! record: `target` names a word whose present owner is dead, or any death: `kicks + 1`, wake.
//! 4. Vacate the records of the dead. 5. Last: take the ids out of the member table.
//!
//! # Orderings
//!
//! - *armed / buried*: two cases. Either the reading in bury 3 comes after arm 3 in the order of
//!   fences, and finds the target; or bury 2 comes before arm 3, and as the id was dead by then,
//!   the sleeper's question in arm 4 finds it dead. A kick that falls between arm 2 and the sleep
//!   changes `kicks`, so that the sleep does not begin. (`kicks` read after the look: a lost kick.)
//! - *claimed*: CAS on `owner` (AcqRel): what an earlier owner wrote comes before.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | holder of a word slept on | the word names a dead id | the watch, at its next tick: kick |
//! | watch, also in a burial | `watch` dead, the ids still in the member table | next look |
//! | leaving watch, before or after its 0 | `watch` dead or 0 | next look: elected |
//! | sleeper | its record | whoever buries it |
//! | kicked sleeper, before it acts | the word as it was | others on that word, kicked too |
//! | who buries, within step 4 | a record that is its own | whoever buries it |
//!
//! A new watch asks about every member, so it finishes the burials of the last one.
//!
//! # Limits
//!
//! [`RECORDS`] threads of all processes can sleep for long at a time; a further one sleeps in
//! slices of at most 50 ms and is not kicked. Counters wrap: `kicks` after 2^32 kicks within one
//! sleep, `tick` after years.

use super::port;
use crate::MemberId;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64, fence};

/// How many threads can sleep with a record at a time.
pub const RECORDS: usize = 8192;

/// In `target`: to be kicked at every death.
const ANYONE: u64 = 1;

/// Which deaths concern a sleeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// Only that of the member whose id is in the low 28 bits of the word slept on, whoever that
    /// is by then.
    Owner,
    /// That of any member: an eventcount does not say who is to notify.
    Anyone,
}

/// What a record says its owner sleeps on; 0 is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target(u64);

impl Target {
    /// A word, by its offset in the segment.
    #[must_use]
    pub fn new(offset: u64, blocker: Blocker) -> Self {
        debug_assert!(offset % 4 == 0, "futex words are aligned");
        match blocker {
            Blocker::Owner => Self(offset),
            Blocker::Anyone => Self(offset | ANYONE),
        }
    }

    /// Sleeps on nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// To be kicked at any death.
    #[must_use]
    pub fn is_anyone(self) -> bool {
        self.0 & ANYONE != 0
    }

    /// Where the word is. Read from shared memory: to be checked against the mapping.
    #[must_use]
    pub fn offset(self) -> u64 {
        self.0 & !ANYONE
    }
}

/// The record of one sleeping thread.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Record {
    owner: AtomicU32,
    kicks: AtomicU32,
    target: AtomicU64,
}

impl Record {
    /// Says what the owner sleeps on, and returns the count of kicks to sleep against. The caller
    /// then looks at the word and asks after its blocker.
    #[must_use]
    pub fn arm(&self, target: Target) -> u32 {
        if self.target.load(Relaxed) != target.0 {
            self.target.store(target.0, Relaxed);
        }
        let kicks = self.kicks.load(Relaxed);
        // ORDERING: the sleeper's fence of *armed / buried*; also keeps `kicks` before the look.
        fence(SeqCst);
        kicks
    }

    /// What the owner sleeps on.
    #[must_use]
    pub fn target(&self) -> Target {
        // ORDERING: acquire: what is kicked for is the word's present owner.
        Target(self.target.load(Acquire))
    }

    /// Has the owner look and ask; returns whether it was asleep.
    pub fn kick(&self) -> bool {
        // ORDERING: release: the kicked one sees what the kicker knows.
        self.kicks.fetch_add(1, Release);
        port::wake(&self.kicks, u32::MAX) > 0
    }

    /// The futex word of kicks.
    #[must_use]
    pub fn kicks(&self) -> &AtomicU32 {
        &self.kicks
    }

    fn claim(&self, from: u32, me: MemberId) -> bool {
        // ORDERING: *claimed*.
        self.owner.compare_exchange(from, me.get(), AcqRel, Relaxed).is_ok()
    }

    /// Says that the owner sleeps no more, and vacates the record.
    fn release(&self, me: MemberId) {
        self.target.store(0, Relaxed);
        // ORDERING: *claimed*. A failure means that somebody buried us.
        let _ = self.owner.compare_exchange(me.get(), 0, AcqRel, Relaxed);
    }
}

/// The watch's post, and which thread has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Post(u64);

impl Post {
    pub(crate) const VACANT: Self = Self(0);

    pub(crate) fn new(record: usize, me: MemberId) -> Self {
        Self((record as u64 + 1) << 32 | u64::from(me.get()))
    }

    pub(crate) fn holder(self) -> Option<MemberId> {
        #[expect(clippy::cast_possible_truncation, reason = "the id is the low half")]
        MemberId::new(self.0 as u32)
    }
}

/// Words that the watch writes.
#[derive(Debug)]
#[repr(C, align(128))]
struct Duty {
    watch: AtomicU64,
    tick: AtomicU32,
    cursor: AtomicU32,
    deaths: AtomicU32,
    members_used: AtomicU32,
    records_used: AtomicU32,
}

/// Words that every sleeper writes when a slice ends.
#[derive(Debug)]
#[repr(C, align(128))]
struct Looks {
    looks: AtomicU32,
    seen: AtomicU64,
}

/// The wait table of a segment.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    duty: Duty,
    pace: Looks,
    records: [Record; RECORDS],
    threads: [AtomicU32; RECORDS],
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Record>() == 16 && offset_of!(Record, target) == 8);
    assert!(offset_of!(Duty, records_used) == 24 && offset_of!(Looks, seen) == 8);
    assert!(offset_of!(Table, pace) == 128 && offset_of!(Table, records) == 256);
    assert!(offset_of!(Table, threads) == 256 + 16 * RECORDS);
    assert!(size_of::<Table>() == 256 + 20 * RECORDS && align_of::<Table>() == 128);
};

impl Table {
    /// Widens the part of the member table that scans go through. A joiner calls this before its
    /// id is written anywhere else.
    pub fn note_member(&self, index: usize) {
        widen(&self.duty.members_used, index);
    }

    /// Member entries from here on are vacant.
    pub(crate) fn members_used(&self) -> usize {
        // ORDERING: acquire side of `widen`.
        self.duty.members_used.load(Acquire) as usize
    }

    /// Claims a record for the thread of `me` that `thread` stands for, from `hint` on.
    pub(crate) fn claim(&self, me: MemberId, thread: u32, hint: usize) -> Option<usize> {
        let hint = hint % RECORDS;
        let mut order = (hint..RECORDS).chain(0..hint);
        let index = order.find(|&index| {
            let record = &self.records[index];
            record.owner.load(Relaxed) == 0 && record.claim(0, me)
        })?;
        // Relaxed, and before `target` is set: for tools, which look at a graph twice.
        self.threads[index].store(thread, Relaxed);
        widen(&self.duty.records_used, index);
        Some(index)
    }

    /// The member and the thread that have a record, while they do.
    pub(crate) fn sleeper(&self, index: usize) -> Option<(MemberId, u32)> {
        // ORDERING: acquire side of *claimed*.
        let member = MemberId::new(self.records.get(index)?.owner.load(Acquire))?;
        Some((member, self.threads[index].load(Relaxed)))
    }

    /// Vacates a record.
    pub(crate) fn release(&self, index: usize, me: MemberId) {
        self.records[index].release(me);
    }

    pub(crate) fn record(&self, index: usize) -> &Record {
        &self.records[index]
    }

    /// The records that were ever used, with their indexes.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = (usize, &Record)> {
        // ORDERING: acquire side of `widen`; after the fence of bury it sees all armed records.
        let used = self.duty.records_used.load(Acquire) as usize;
        self.records[..used.min(RECORDS)].iter().enumerate()
    }

    /// Begins a burial; the fence between the deaths and the records that are read next.
    pub(crate) fn begin_burial(&self) {
        self.duty.deaths.fetch_add(1, Relaxed);
        // ORDERING: the burier's fence of *armed / buried*.
        fence(SeqCst);
    }

    /// Vacates the records of owners for which `is_dead` holds. They must have been buried.
    pub(crate) fn vacate(&self, me: MemberId, is_dead: impl Fn(u32) -> bool) {
        for (_, record) in self.records() {
            let owner = record.owner.load(Relaxed);
            // Taken over first: a bare store of 0 could hit the record of a later owner.
            if owner != 0 && is_dead(owner) && record.claim(owner, me) {
                record.release(me);
            }
        }
    }

    /// Burials so far.
    #[must_use]
    pub fn deaths(&self) -> u32 {
        self.duty.deaths.load(Relaxed)
    }

    pub(crate) fn post(&self) -> Post {
        // ORDERING: acquire: feeds `alive`.
        Post(self.duty.watch.load(Acquire))
    }

    pub(crate) fn change_post(&self, from: Post, to: Post) -> bool {
        // ORDERING: AcqRel as every claim and end of a claim.
        self.duty.watch.compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok()
    }

    pub(crate) fn tick(&self) {
        self.duty.tick.fetch_add(1, Relaxed);
    }

    /// Where the watch's questions go on; a hint.
    pub(crate) fn cursor(&self) -> usize {
        self.duty.cursor.load(Relaxed) as usize
    }

    pub(crate) fn set_cursor(&self, index: usize) {
        self.duty.cursor.store(u32::try_from(index).unwrap_or(0), Relaxed);
    }

    /// Ended slices of all sleepers.
    pub(crate) fn looks(&self) -> u32 {
        self.pace.looks.load(Relaxed)
    }

    /// Counts an ended slice; returns the new count.
    pub(crate) fn count_look(&self) -> u32 {
        self.pace.looks.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// For how many milliseconds sleepers have seen the watch's tick stand still, at `now_ms`.
    ///
    /// In time, not in looks: a wake of all makes hundreds of sleepers look at once.
    pub(crate) fn stood_still(&self, now_ms: u32) -> u32 {
        let tick = self.duty.tick.load(Relaxed);
        let seen = self.pace.seen.load(Relaxed);
        if seen >> 32 == u64::from(tick) {
            #[expect(clippy::cast_possible_truncation, reason = "the time is the low half")]
            return now_ms.wrapping_sub(seen as u32);
        }
        self.pace.seen.store(u64::from(tick) << 32 | u64::from(now_ms), Relaxed);
        0
    }
}

/// Makes `used` at least `index + 1`.
fn widen(used: &AtomicU32, index: usize) {
    let end = u32::try_from(index + 1).unwrap_or(u32::MAX);
    if used.load(Relaxed) < end {
        // ORDERING: release side of the loads of `used`.
        used.fetch_max(end, AcqRel);
    }
}
