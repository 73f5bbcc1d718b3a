//! Joining a segment and leaving it.
//!
//! # Operations
//!
//! *join* (within [`fork::without_fork`], so that no child inherits a half-done one):
//! 1. Open the segment's file again, for a description of its own.
//! 2. Draw an id: `fetch_add` on the header's counter, 0 skipped.
//! 3. Lock the id's byte with the new description; if it is locked already (the counter wrapped),
//!    draw again. From here the kernel says that the id lives.
//! 4. Map a page with the description and close the descriptor. The mapping holds the description,
//!    and so the lock, until it is gone: at exit, exec or unmapping. It is not copied by fork.
//! 5. Enter the table: CAS 0 -> id.
//! 6. Keep the id in a page that a fork wipes.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | before 3 | an id that nobody has | - |
//! | after 3 | the kernel drops the lock; nothing carries the id yet | - |
//! | after 5 | a table entry with a dead id | the watch, or a joiner that finds the table full |

use std::io;
use std::mem;
use std::os::fd::AsFd;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crossproc_sys::map::{Presence, WipedOnFork};
use crossproc_sys::{file, fork, lock, process};
use parking_lot::Mutex;

use super::{MemberId, raw};
use crate::error::{Error, Result, system};
use crate::segment::Segment;
use crate::wait;

/// Tries to draw an id before a segment whose every byte is locked is given up.
const MOST_DRAWS: u32 = 10_000;

/// This process's membership of one segment.
pub(crate) struct Membership {
    /// Word 0: the id, or 0 in a process that has not joined, as after a fork.
    /// Word 1: the index of the table entry.
    /// Word 2: the row in the table of holders, plus 1; 0 if there is none.
    words: WipedOnFork,
    presence: Mutex<Option<Presence>>,
}

impl Membership {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { words: WipedOnFork::new()?, presence: Mutex::new(None) })
    }

    /// The id, if this process has joined.
    #[inline]
    pub(crate) fn cached(&self) -> Option<MemberId> {
        // ORDERING: acquire side of *joined*, for other threads than the one that joined.
        MemberId::new(self.words.words()[0].load(Acquire))
    }

    /// The word that holds the id; 0 in a process that has not joined, as after a fork.
    #[inline]
    pub(crate) fn me_word(&self) -> &AtomicU32 {
        &self.words.words()[0]
    }

    /// The word that says whether this process is entered as a holder; 0 after a fork.
    pub(crate) fn holder_mark(&self) -> &AtomicU32 {
        &self.words.words()[2]
    }

    /// Joins unless this process has already.
    pub(crate) fn join(&self, segment: &Segment) -> Result<MemberId> {
        if let Some(id) = self.cached() {
            return Ok(id);
        }
        fork::without_fork(|| {
            let mut held = self.presence.lock();
            if let Some(id) = self.cached() {
                return Ok(id);
            }
            // A presence from before a fork is the parent's: its mapping does not exist here.
            mem::forget(held.take());
            let (id, presence) = claim_id(segment)?;
            let index = enter_table(segment, id)?;
            *held = Some(presence);
            self.words.words()[1].store(index, Relaxed);
            // ORDERING: release side of *joined*.
            self.words.words()[0].store(id.get(), Release);
            Ok(id)
        })
    }

    /// Leaves: the table entry first, then the lock.
    pub(crate) fn leave(&self, table: &raw::Table) {
        let Some(id) = self.cached() else {
            // Never joined, or a forked child: the mapping is the parent's.
            mem::forget(self.presence.lock().take());
            return;
        };
        let index = self.words.words()[1].load(Relaxed) as usize;
        if let Some(entry) = table.entries.get(index) {
            // ORDERING: AcqRel as every end of a claim; a failure means somebody buried us.
            let _ = entry.id.compare_exchange(id.get(), 0, AcqRel, Relaxed);
        }
        *self.presence.lock() = None;
    }
}

fn claim_id(segment: &Segment) -> Result<(MemberId, Presence)> {
    let failed = || system("open a segment again through /proc/self/fd, which joining needs");
    let file = file::reopen(segment.as_fd()).map_err(failed())?;
    if !segment.is_of(file.as_fd()) {
        let source = io::Error::other("its descriptor was closed, and is another file's by now");
        return Err(Error::Io { what: "join a segment".to_owned(), source });
    }
    for _ in 0..MOST_DRAWS {
        let drawn = segment.header().next_id.fetch_add(1, Relaxed).wrapping_add(1);
        let Some(id) = MemberId::new(drawn) else { continue };
        if lock::try_lock_byte(file.as_fd(), id.lock_offset())
            .map_err(system("lock the byte that tells that this process lives"))?
        {
            return Ok((id, Presence::hold(file).map_err(failed())?));
        }
    }
    let why = "every member id drawn is in use";
    Err(Error::Corrupt { what: "the member table".to_owned(), why })
}

/// Takes a vacant entry, or one of the dead, and returns its index.
fn enter_table(segment: &Segment, id: MemberId) -> Result<u32> {
    let table = segment.member_table();
    let start = id.get() as usize % 64;
    for reclaim in [false, true] {
        // Near the front, so that scans stay short, but not all at the first entry.
        let order = (start..raw::ENTRIES).chain(0..start);
        for index in order {
            let entry = &table.entries[index];
            // ORDERING: acquire: feeds `alive`.
            let found = entry.id.load(Acquire);
            if let Some(other) = MemberId::new(found) {
                if !reclaim || segment.alive(other) {
                    continue;
                }
                // Those who wait for the dead are told before its entry goes.
                wait::bury(segment, id, other);
            }
            // ORDERING: AcqRel: a claim.
            if entry.id.compare_exchange(0, id.get(), AcqRel, Relaxed).is_ok() {
                entry.describe(process::pid(), start_time(), &process_name());
                segment.wait_table().note_member(index);
                return Ok(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
    }
    Err(Error::TooManyMembers { limit: raw::ENTRIES })
}

fn start_time() -> u64 {
    process::own_start_time().unwrap_or(0)
}

/// What the kernel calls this process.
fn process_name() -> String {
    std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim_end().to_owned()
}
