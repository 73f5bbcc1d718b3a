//! The once as it lies in shared memory: one word that says how far it has come, and who is at it.
//!
//! Whoever claims the run signs it in the same store, so that whoever waits for its end can ask
//! whether the runner lives.
//!
//! # Layout
//!
//! | offset | size | field    | written by        | values                                         |
//! |-------:|-----:|----------|-------------------|------------------------------------------------|
//! |      0 |    4 | `word`   | everybody, by CAS | see *States*                                   |
//! |      4 |    4 | `unused` | nobody            | 0                                              |
//! |      8 |    8 | `holder` | the runner        | 0, or `id << 32` with the thread's token       |
//!
//! All zeroes is a valid once that nobody has run.
//!
//! # States
//!
//! - `NEW` (0): nobody has run it, or whoever did could not do it and said so. With `WAITERS`,
//!   somebody may be asleep until it is done.
//! - `id`, `id` with `WAITERS`: that member runs it. Only the runner may end it, or anybody once
//!   the runner is dead.
//! - `DONE`: for good.
//! - `POISONED`: the last runner panicked. `DIED`: the last runner died. Only a claim that accepts
//!   such news leads out of them.
//!
//! No other word is ever stored. Whoever reads another one reports it as corrupt.
//!
//! # Operations
//!
//! Claim ([`Once::claim`]):
//! 1. CAS `NEW`, or if the claimer accepts it `POISONED` or `DIED`, to `id`, keeping `WAITERS`: the
//!    commit.
//! 2. Store `holder`.
//!
//! End ([`Once::end`]):
//! 1. Store 0 to `holder`.
//! 2. CAS `id`, else `id` with `WAITERS`, to `DONE`, or to `POISONED` after a panic, or back to
//!    what the run began from if it could not be done: the commit.
//! 3. If there were waiters, wake all.
//!
//! Wait: CAS `WAITERS` into `NEW` or `id` ([`Once::announce`]), sleep on that exact word. A claim
//! of a word that is slept on wakes nobody: the sleepers wait for its end.
//!
//! Take over ([`Once::take_over`]), once the runner is known to be dead, by one who accepts the
//! news: CAS its exact word to the own id with `WAITERS`: the commit.
//!
//! Bury ([`Once::bury`]), the same by one who does not: CAS its exact word to `DIED`: the commit.
//! Then wake all.
//!
//! # Orderings
//!
//! - **done**: the CAS of an end to `DONE` (Release) to the load of whoever sees it (Acquire): what
//!   the runner did is visible to everybody who knows that it is done.
//! - **hand-over**: the CAS of any other end, or of a burial (Release), to the CAS of the next
//!   claim (Acquire): the next runner sees what the last one left.
//! - **succession**: the CAS of a claim (Release) to the CAS of a take-over or burial (Acquire), so
//!   that what the dead runner had seen is seen by its successor. What it wrote itself becomes
//!   visible through the kernel, as with [`Lock`](crate::raw::Lock).
//! - Marking `WAITERS` is a read-modify-write, so release sequences go on through it.
//! - `holder` is Relaxed, for the reason given at [`Lock`](crate::raw::Lock).
//!
//! # Deaths
//!
//! | killed                             | left behind                    | seen by                    |
//! |------------------------------------|--------------------------------|----------------------------|
//! | before the claim                   | nothing                        | -                          |
//! | while it runs, in an end before its CAS | `word` = dead id          | next caller's slice, or a sleeper's look: taken over or buried, told |
//! | after an end or burial, before the wake | the new state, sleepers   | their next look            |
//! | asleep, or woken before it acts    | `WAITERS`                      | nobody: all are woken      |
//! | after a take-over                  | `word` = the taker's dead id   | as the first runner's      |
//!
//! # Limits
//!
//! What a dead runner has half done is for the next one to repair, who is told. A thread token
//! comes back after 2^32 threads of one process.

use core::fmt;

use crossproc_segment::{ID_MASK, MemberId};

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::raw::Holder;

const NEW: u32 = 0;
const WAITERS: u32 = 1 << 31;
const DONE: u32 = 1 << 30;
const POISONED: u32 = 1 << 29;
const DIED: u32 = 1 << 28;

/// The words of a once. They hold no pointer and are valid when zeroed.
#[repr(C)]
pub struct Once {
    word: AtomicU32,
    unused: AtomicU32,
    holder: AtomicU64,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<Once>() == 16 && align_of::<Once>() == 8);
    assert!(core::mem::offset_of!(Once, word) == 0);
    assert!(core::mem::offset_of!(Once, holder) == 8);
};

/// A snapshot of the word of a once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    /// The member that runs it, or `None` if nobody does.
    #[must_use]
    pub const fn runner(self) -> Option<MemberId> {
        MemberId::new(self.0)
    }

    /// Whether somebody may be asleep on this word.
    #[must_use]
    pub const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// Whether it is done.
    #[must_use]
    pub const fn is_done(self) -> bool {
        self.0 == DONE
    }

    /// Whether it says the same as `other`, but for who may be asleep.
    #[must_use]
    pub const fn says_as(self, other: Self) -> bool {
        self.0 | WAITERS == other.0 | WAITERS
    }

    /// What the next runner has to know, if nobody runs it and it is not done.
    const fn news(self) -> Option<News> {
        match self.0 {
            NEW | WAITERS => Some(News::Fresh),
            POISONED => Some(News::Panicked),
            DIED => Some(News::Died),
            _ => None,
        }
    }

    /// Whether the protocol ever stores such a word.
    const fn is_valid(self) -> bool {
        let flags = self.0 & !ID_MASK;
        if self.0 & ID_MASK == 0 {
            self.is_done() || self.news().is_some()
        } else {
            flags == 0 || flags == WAITERS
        }
    }

    /// The word as it is stored, for the one who sleeps on it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.news(), self.runner()) {
            _ if !self.is_valid() => return write!(f, "corrupt {:#010x}", self.0),
            (Some(News::Panicked), _) => f.write_str("poisoned")?,
            (Some(News::Died), _) => f.write_str("the runner died")?,
            (Some(News::Fresh), _) => f.write_str("new")?,
            (None, Some(id)) => write!(f, "run by {id:?}")?,
            (None, None) => f.write_str("done")?,
        }
        f.write_str(if self.has_waiters() { ", with waiters" } else { "" })
    }
}

/// What a runner is told about the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum News {
    /// There was none, or it said that it did nothing.
    Fresh,
    /// It panicked.
    Panicked,
    /// It died.
    Died,
}

/// What a claimer is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Nothing: it wants to see it done by others.
    Nothing,
    /// A run after which nothing is left over.
    Fresh,
    /// Any run.
    Any,
}

/// What became of an attempt to claim the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// It is the caller's to do.
    Run(News),
    /// It is done.
    Done,
    /// The last runner ended badly, and the caller does not accept that.
    Refused(News),
    /// Others have to act first; this is the word to sleep on.
    Wait(Word),
    /// The calling thread runs it already.
    Mine,
    /// The word is none that the protocol stores.
    Corrupt,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is done.
    Done,
    /// The runner panicked.
    Panicked,
    /// It could not be done, and the next runner is told what this one was told.
    Undone(News),
}

/// What is left to do after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// Nothing.
    Quiet,
    /// Wake all sleepers.
    Wake,
    /// The word was not the runner's any more. It was left as it is.
    NotMine(Word),
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl Once {
    /// Makes a once that nobody has run.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(NEW), unused: AtomicU32::new(0), holder: AtomicU64::new(0) }
    }

    /// The word that is slept on.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    pub const fn futex(&self) -> &AtomicU32 {
        &self.word
    }

    /// The word as it is now.
    #[must_use]
    #[inline]
    pub fn word(&self) -> Word {
        // ORDERING: acquire side of *done*.
        Word(self.word.load(Acquire))
    }

    /// Whether it is done: the fast path, one load.
    #[must_use]
    #[inline]
    pub fn is_done(&self) -> bool {
        self.word().is_done()
    }

    /// Claims the run if `accept` allows it, or tells what stands in the way.
    pub fn claim(&self, me: Holder, accept: Accept) -> Claim {
        loop {
            let seen = self.word();
            if !seen.is_valid() {
                return Claim::Corrupt;
            }
            let Some(news) = seen.news() else {
                return match seen.runner() {
                    None => Claim::Done,
                    Some(_) if self.is_run_by(me) => Claim::Mine,
                    Some(_) => Claim::Wait(seen),
                };
            };
            match accept {
                Accept::Nothing if news == News::Fresh => return Claim::Wait(seen),
                Accept::Nothing | Accept::Fresh if news != News::Fresh => {
                    return Claim::Refused(news);
                }
                _ if self.replace(seen, me, seen.0 & WAITERS) => return Claim::Run(news),
                _ => {}
            }
        }
    }

    /// Takes the run from `dead`, the word of a runner that is known to be dead. Fails if the word
    /// has changed meanwhile.
    #[must_use]
    pub fn take_over(&self, dead: Word, me: Holder) -> bool {
        debug_assert!(dead.runner().is_some(), "only a run can be taken over");
        self.replace(dead, me, WAITERS)
    }

    fn replace(&self, seen: Word, me: Holder, flags: u32) -> bool {
        let new = me.id().get() | flags;
        // ORDERING: acquire side of *hand-over* or *succession*, release side of *succession*.
        let claimed = self.word.compare_exchange(seen.0, new, AcqRel, Relaxed).is_ok(); // commit: the run is ours
        if claimed {
            self.holder.store(me.packed(), Relaxed);
        }
        claimed
    }

    /// Says that the runner in `dead`, known to be dead, has died, without running anything. Fails
    /// if the word has changed meanwhile; else all sleepers are to be woken.
    #[must_use]
    pub fn bury(&self, dead: Word) -> bool {
        debug_assert!(dead.runner().is_some(), "only a runner can be buried");
        // ORDERING: acquire side of *succession*, release side of *hand-over*.
        self.word.compare_exchange(dead.0, DIED, AcqRel, Relaxed).is_ok() // commit: the run is over
    }

    /// Marks the word `seen`, of a claim that has to wait, as slept on. Returns the word to sleep
    /// on, or `None` if the word has changed meanwhile.
    #[must_use]
    pub fn announce(&self, seen: Word) -> Option<Word> {
        debug_assert!(
            seen.runner().is_some() || seen.news() == Some(News::Fresh),
            "nothing to wait for"
        );
        let announced = Word(seen.0 | WAITERS);
        if seen == announced {
            return Some(announced);
        }
        // Relaxed: the mark publishes nothing, and the sleeper trusts the kernel's comparison.
        self.word.compare_exchange(seen.0, announced.0, Relaxed, Relaxed).ok().map(|_| announced)
    }

    /// Ends the run of `me`.
    pub fn end(&self, me: Holder, end: End) -> Ended {
        self.holder.store(0, Relaxed);
        let new = match end {
            End::Done => DONE,
            End::Panicked | End::Undone(News::Panicked) => POISONED,
            End::Undone(News::Died) => DIED,
            End::Undone(News::Fresh) => NEW,
        };
        let quiet = me.id().get();
        // ORDERING: release side of *done* or *hand-over*.
        match self.word.compare_exchange(quiet, new, Release, Relaxed) /* commit: the run is over */ {
            Ok(_) => return Ended::Quiet,
            Err(seen) if seen != quiet | WAITERS => return Ended::NotMine(Word(seen)),
            Err(_) => {}
        }
        // ORDERING: release side of *done* or *hand-over*.
        match self.word.compare_exchange(quiet | WAITERS, new, Release, Relaxed) /* commit: the run is over */ {
            Ok(_) => Ended::Wake,
            Err(seen) => Ended::NotMine(Word(seen)),
        }
    }

    /// Whether `me`, the calling thread, runs it.
    #[must_use]
    pub fn is_run_by(&self, me: Holder) -> bool {
        self.holder.load(Relaxed) == me.packed()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.word()).finish()
    }
}
