//! The lock as it lies in shared memory: one word that is free or names its owner.
//!
//! A word that holds the owner's [`MemberId`] is claimed and signed by one compare-exchange, so
//! whoever is stopped by it can ask whether the owner lives, and take the lock over from a dead
//! one by a compare-exchange from that exact word.
//!
//! # Layout
//!
//! | offset | size | field    | written by        | values                                      |
//! |-------:|-----:|----------|-------------------|---------------------------------------------|
//! |      0 |    4 | `word`   | everybody, by CAS | `0`, `POISONED`, `id`, `id` with `WAITERS`  |
//! |      4 |    4 | `unused` | nobody            | 0                                           |
//! |      8 |    8 | `holder` | the owner         | 0, or `id << 32` with the thread's token    |
//!
//! All zeroes is a valid, free lock.
//!
//! # States
//!
//! - `0`: free. Nobody touches what the lock guards.
//! - `POISONED`: free, and the last owner panicked while it held the lock. The next one is told.
//! - `id`: held by that member. Only its owner may end it, or anybody once the owner is dead.
//! - `id` with `WAITERS`: held, and somebody may be asleep on exactly this word.
//!
//! No other word is ever stored. Whoever reads another one reports it as corrupt.
//!
//! # Operations
//!
//! Claim ([`Lock::try_claim`], [`Lock::claim`]):
//! 1. CAS `0` or `POISONED` to `id`: the commit. Whoever has slept claims with `WAITERS`, since
//!    others may be asleep and only one was woken.
//! 2. Store `holder`.
//!
//! Wait: CAS `id` to `id` with `WAITERS` ([`Lock::announce`]), sleep on that exact word.
//!
//! Take over ([`Lock::take_over`]), once the owner is known to be dead: CAS its exact word to the
//! own id with `WAITERS`: the commit. The next owner is told that its predecessor died.
//!
//! Release ([`Lock::release`]):
//! 1. Store 0 to `holder`.
//! 2. CAS `id` to `0` (or `POISONED`), else `id` with `WAITERS` to the same: the commit.
//! 3. If there were waiters, wake one.
//!
//! # Orderings
//!
//! - **hand-over**: the CAS of a release (Release) to the CAS of the next claim (Acquire). What the
//!   owner did is visible to the next one. Setting `WAITERS` in between is a read-modify-write, so
//!   the release sequence goes on through it; it cannot stand between a release and a claim anyway.
//! - **succession**: the CAS of a claim (Release) to the CAS of a take-over (Acquire). The taker
//!   has seen everything the dead owner had seen. What the dead owner wrote itself becomes visible
//!   through the kernel: it ended before it let go of its byte lock, and `alive` asked afterwards.
//! - `holder` is Relaxed. A thread compares it with its own id and token only, and nobody else
//!   ever stores those; a thread always sees its own last store to a word or a later one. So a
//!   match means that this thread stored it last, thus that this thread holds the lock.
//!
//! # Deaths
//!
//! | killed                               | left behind            | seen by                        |
//! |--------------------------------------|------------------------|--------------------------------|
//! | before the claim                     | nothing                | -                              |
//! | after the claim, while it holds, in a release before its CAS | `word` = dead id | next locker, or a sleeper's look: takes over, is told |
//! | after the release, before the wake   | free word, sleepers    | their next look                |
//! | asleep, or woken before it acts      | `WAITERS`, perhaps a lost wake | the others' next look  |
//! | after a take-over                    | `word` = the taker's dead id | next locker: takes over, is told |
//!
//! A stale `holder` of a dead owner matches nobody: ids do not come back.
//!
//! # Limits
//!
//! The lock is not fair: a running thread may claim it before the woken one. A thread token comes
//! back after 2^32 threads of one process.

use core::fmt;

use crossproc_segment::{ID_MASK, MemberId};
#[cfg(not(crossproc_loom))]
use crossproc_segment::{Me, Segment, wait};

use crate::atomic::Ordering::{AcqRel, Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64};

const FREE: u32 = 0;
const WAITERS: u32 = 1 << 31;
const POISONED: u32 = 1 << 30;

/// The words of a lock. They hold no pointer and are valid when zeroed.
#[repr(C)]
pub struct Lock {
    word: AtomicU32,
    unused: AtomicU32,
    holder: AtomicU64,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<Lock>() == 16 && align_of::<Lock>() == 8);
    assert!(core::mem::offset_of!(Lock, word) == 0);
    assert!(core::mem::offset_of!(Lock, holder) == 8);
};

/// A snapshot of the word of a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    /// The member that holds the lock, or `None` if it is free.
    #[must_use]
    #[inline]
    pub const fn owner(self) -> Option<MemberId> {
        MemberId::new(self.0)
    }

    /// Whether somebody may be asleep on this word.
    #[must_use]
    pub const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// Whether the lock is free and its last owner panicked.
    #[must_use]
    pub const fn is_poisoned(self) -> bool {
        self.0 == POISONED
    }

    /// Whether the protocol ever stores such a word.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        let id = self.0 & ID_MASK;
        let flags = self.0 & !ID_MASK;
        if id == 0 { flags == 0 || flags == POISONED } else { flags == 0 || flags == WAITERS }
    }

    /// The word as it is stored, for the one who sleeps on it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner() {
            _ if !self.is_valid() => write!(f, "corrupt {:#010x}", self.0),
            None if self.is_poisoned() => f.write_str("free, poisoned"),
            None => f.write_str("free"),
            Some(id) if self.has_waiters() => write!(f, "held by {id:?}, with waiters"),
            Some(id) => write!(f, "held by {id:?}"),
        }
    }
}

/// Who holds, or wants to hold, a lock: a thread of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    id: MemberId,
    thread: u32,
}

impl Holder {
    /// A thread of the member `id`, named by a token that no other thread of it bears.
    #[must_use]
    #[inline]
    pub const fn new(id: MemberId, thread: u32) -> Self {
        Self { id, thread }
    }

    /// The calling thread, of the process that `me` is in `segment`.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    #[inline]
    pub fn of(me: Me, segment: &Segment) -> Self {
        Self::new(me.joined(segment), wait::thread_token())
    }

    /// Whether the process is the one that `me` is: false in its forked child.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    #[inline]
    pub fn is_of(self, me: Me) -> bool {
        me.is_member(self.id)
    }

    /// The member.
    #[must_use]
    #[inline]
    pub const fn id(self) -> MemberId {
        self.id
    }

    /// A number that differs between threads, and by one between processes made in turn.
    #[cfg(not(crossproc_loom))]
    pub(crate) fn spread(self) -> u32 {
        self.id.get().wrapping_add(self.thread)
    }

    #[inline]
    pub(crate) fn packed(self) -> u64 {
        u64::from(self.id.get()) << 32 | u64::from(self.thread)
    }
}

/// What the new owner of a lock is told about the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum News {
    /// It released the lock.
    Released,
    /// It panicked while it held the lock.
    Panicked,
    /// It died while it held the lock.
    Died,
}

/// What became of an attempt to claim a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The lock is the caller's.
    Done(News),
    /// Another thread holds it; this is the word that says so.
    Held(Word),
    /// The calling thread holds it already.
    Mine,
    /// The word is none that the protocol stores.
    Corrupt,
}

/// What is left to do after a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// Nothing.
    Quiet,
    /// Wake one sleeper.
    Wake,
    /// The word was not the caller's any more. It was left as it is.
    NotHeld(Word),
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl Lock {
    /// Makes a free lock.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(FREE), unused: AtomicU32::new(0), holder: AtomicU64::new(0) }
    }

    /// The word that is slept on.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    pub const fn futex(&self) -> &AtomicU32 {
        &self.word
    }

    /// The word as it is now.
    #[must_use]
    pub fn word(&self) -> Word {
        Word(self.word.load(Relaxed))
    }

    /// Claims the lock if it is free and was properly released: the fast path.
    #[inline]
    #[must_use]
    pub fn try_claim(&self, me: Holder) -> bool {
        // ORDERING: acquire side of *hand-over*, release side of *succession*.
        let claimed = self.word.compare_exchange(FREE, me.id.get(), AcqRel, Relaxed).is_ok(); // commit: the lock is ours
        if claimed {
            self.holder.store(me.packed(), Relaxed);
        }
        claimed
    }

    /// Claims the lock if it is free, or tells what stands in the way.
    ///
    /// Whoever has slept on the word says `slept`: others may still sleep there.
    pub fn claim(&self, me: Holder, slept: bool) -> Claim {
        loop {
            let seen = self.word();
            if !seen.is_valid() {
                return Claim::Corrupt;
            }
            if seen.owner().is_some() {
                return if self.is_held_by(me) { Claim::Mine } else { Claim::Held(seen) };
            }
            if self.replace(seen, me, slept) {
                let news = if seen.is_poisoned() { News::Panicked } else { News::Released };
                return Claim::Done(news);
            }
        }
    }

    /// Takes the lock from `dead`, the word of an owner that is known to be dead. Fails if the
    /// word has changed meanwhile.
    #[must_use]
    pub fn take_over(&self, dead: Word, me: Holder) -> bool {
        debug_assert!(dead.owner().is_some(), "only a held lock can be taken over");
        self.replace(dead, me, true)
    }

    fn replace(&self, seen: Word, me: Holder, waiters: bool) -> bool {
        let new = me.id.get() | if waiters { WAITERS } else { 0 };
        // ORDERING: acquire side of *hand-over* or *succession*, release side of *succession*.
        let claimed = self.word.compare_exchange(seen.0, new, AcqRel, Relaxed).is_ok(); // commit: the lock is ours
        if claimed {
            self.holder.store(me.packed(), Relaxed);
        }
        claimed
    }

    /// Marks the held word `seen` as slept on. Returns the word to sleep on, or `None` if the
    /// word has changed meanwhile.
    #[must_use]
    pub fn announce(&self, seen: Word) -> Option<Word> {
        debug_assert!(seen.owner().is_some(), "nobody waits for a free lock");
        let announced = Word(seen.0 | WAITERS);
        if seen == announced {
            return Some(announced);
        }
        // Relaxed: the mark publishes nothing, and the sleeper trusts the kernel's comparison.
        self.word.compare_exchange(seen.0, announced.0, Relaxed, Relaxed).ok().map(|_| announced)
    }

    /// Gives the lock back. With `poison` the next owner is told of a panic.
    #[inline]
    pub fn release(&self, me: Holder, poison: bool) -> Released {
        self.holder.store(0, Relaxed);
        let free = if poison { POISONED } else { FREE };
        // ORDERING: release side of *hand-over*.
        match self.word.compare_exchange(me.id.get(), free, Release, Relaxed) /* commit: the lock is free */ {
            Ok(_) => Released::Quiet,
            Err(word) => self.release_announced(Word(word), me, free),
        }
    }

    #[cold]
    fn release_announced(&self, seen: Word, me: Holder, free: u32) -> Released {
        let mine = me.id.get() | WAITERS;
        if seen.0 != mine {
            return Released::NotHeld(seen);
        }
        // ORDERING: release side of *hand-over*.
        match self.word.compare_exchange(mine, free, Release, Relaxed) /* commit: the lock is free */ {
            Ok(_) => Released::Wake,
            Err(word) => Released::NotHeld(Word(word)),
        }
    }

    /// Whether `me`, the calling thread, holds the lock.
    #[must_use]
    pub fn is_held_by(&self, me: Holder) -> bool {
        self.holder.load(Relaxed) == me.packed()
    }
}

/// Marks the word of a held lock as slept on; the value to sleep on. `None` if the lock is free.
#[cfg(not(crossproc_loom))]
#[must_use]
pub fn mark(word: &AtomicU32) -> Option<u32> {
    wait::mark(word, |seen| Word(seen).owner().map(|_| seen | WAITERS))
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lock").field(&self.word()).finish()
    }
}
