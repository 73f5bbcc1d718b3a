//! The event as it lies in shared memory: one word with the flag, and how often it was taken down.
//!
//! # Layout
//!
//! | offset | size | field  | written by       | values                                            |
//! |-------:|-----:|--------|------------------|---------------------------------------------------|
//! |      0 |    4 | `word` | everybody        | `SET`: bit 31, `WAITERS`: bit 30, `times`: low 30 |
//!
//! All zeroes is an event that is clear and was never set.
//!
//! # States
//!
//! - `times`: clear, and nobody is asleep.
//! - `times` with `WAITERS`: clear, and somebody may be asleep on exactly this word.
//! - `times` with `SET`: set. Nobody falls asleep.
//!
//! `times` goes up when a set event is cleared. Whoever waits has noted it, and so comes back
//! although the flag was taken down again before it woke: a set and a clear right after it (a
//! *pulse*) let everybody through who waited at the time.
//!
//! Every word has a meaning, `SET` with `WAITERS` too, which the protocol never stores: so a word
//! that was written over is a set or a clear event, and sleepers look at it when their slice ends.
//!
//! # Operations
//!
//! *set*, at any time, in a signal handler too:
//! 1. CAS the word to `SET` without `WAITERS`: the commit. Also if it is set already, since the one
//!    who clears it next must see what the second setter did.
//! 2. If there was `WAITERS`, wake all.
//!
//! *clear*, in a signal handler too: CAS the word to `times + 1` without `SET`: the commit. A clear
//! event stays as it is, but by a CAS.
//!
//! *wait*:
//! 1. Note the word. It is set: done.
//! 2. Announce: CAS `WAITERS` onto it. It is set, or `times` has moved: done.
//! 3. Sleep on that exact word; again from 2.
//!
//! A set between 2 and 3 changes the word, so that the sleep does not begin. No clear brings back
//! the word that a sleeper has noted, since it moves `times`.
//!
//! # Orderings
//!
//! - **news**: a set (Release) to whoever finds the event set, or `times` moved, or clears it later
//!   (Acquire). What came before the set is visible there. Everything that changes the word is a
//!   read-modify-write, so a set's release sequence ends with no later set, clear or announcement.
//! - **receipt**: a clear (Release) to whoever then finds the event clear (Acquire). What the one
//!   who cleared had done with the news is visible there.
//!
//! No two words are compared, so there is no fence: an announcement and a set are ordered by the
//! word itself.
//!
//! # Deaths
//!
//! | killed                               | left behind                 | seen by                   |
//! |--------------------------------------|-----------------------------|---------------------------|
//! | set, before its CAS                  | nothing                     | -                         |
//! | set, after its CAS, before its wake  | set, sleepers on an old word | their next slice, or the kick that follows a death |
//! | clear, before or after its step      | set, or clear               | -                         |
//! | waiter, anywhere                     | perhaps `WAITERS`           | the next set wakes nobody |
//!
//! Nobody holds anything, so there is nothing to take over.
//!
//! # Limits
//!
//! `times` comes back after 2^30 clears of a set event. A waiter that does not run for exactly that
//! many, and finds the event clear again, sleeps on until the next one. At 10 ns for a set and a
//! clear, that is 10 s of nothing else.

use core::fmt;

#[cfg(not(crossproc_loom))]
use crossproc_segment::wait;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const SET: u32 = 1 << 31;
const WAITERS: u32 = 1 << 30;
const TIMES: u32 = WAITERS - 1;

/// The word of an event. It holds no pointer and is valid when zeroed.
#[repr(C)]
pub struct Event {
    word: AtomicU32,
}

#[cfg(not(crossproc_loom))]
const _: () = assert!(size_of::<Event>() == 4 && align_of::<Event>() == 4);

/// A snapshot of the word of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(u32);

impl Word {
    /// Whether the event is set.
    #[must_use]
    #[inline]
    pub const fn is_set(self) -> bool {
        self.0 & SET != 0
    }

    /// Whether somebody may be asleep on this word.
    #[must_use]
    #[inline]
    pub const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// How often the event was set and then cleared, modulo 2^30.
    #[must_use]
    pub const fn times(self) -> u32 {
        self.0 & TIMES
    }

    /// Whether the event is set, or was at any time since `before` was read.
    #[must_use]
    pub const fn has_come_since(self, before: Self) -> bool {
        self.is_set() || self.times() != before.times()
    }

    /// The word as it is stored, for the one who sleeps on it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// What this becomes when the event is set.
    #[inline]
    const fn set(self) -> Self {
        Self((self.0 | SET) & !WAITERS)
    }

    /// What this becomes when the event is cleared.
    #[inline]
    const fn cleared(self) -> Self {
        if !self.is_set() {
            return self;
        }
        Self(self.0 & WAITERS | self.times().wrapping_add(1) & TIMES)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "clear" };
        let waiters = if self.has_waiters() { ", with waiters" } else { "" };
        write!(f, "{state}{waiters}, cleared {} times", self.times())
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// Makes an event that is clear.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// The word that is slept on.
    #[must_use]
    #[inline]
    pub const fn futex(&self) -> &AtomicU32 {
        &self.word
    }

    /// The word as it is now.
    #[must_use]
    #[inline]
    pub fn word(&self) -> Word {
        // ORDERING: acquire side of *news* and *receipt*.
        Word(self.word.load(Acquire))
    }

    /// Sets the event. Returns whether all sleepers are to be woken.
    #[inline]
    #[must_use]
    pub fn set(&self) -> bool {
        // Relaxed: only a guess.
        let mut seen = Word(self.word.load(Relaxed));
        loop {
            // ORDERING: release side of *news*.
            match self.word.compare_exchange(seen.0, seen.set().0, Release, Relaxed) /* commit: it is set */ {
                Ok(_) => return seen.has_waiters(),
                Err(found) => seen = Word(found),
            }
        }
    }

    /// Clears the event.
    #[inline]
    pub fn clear(&self) {
        // Relaxed: only a guess.
        let mut seen = Word(self.word.load(Relaxed));
        loop {
            // ORDERING: release side of *receipt*, acquire side of *news*.
            match self.word.compare_exchange(seen.0, seen.cleared().0, AcqRel, Relaxed) /* commit: it is clear */ {
                Ok(_) => return,
                Err(found) => seen = Word(found),
            }
        }
    }

    /// Says that somebody is going to sleep. Returns the word to sleep on, or `None` if the event
    /// is set, or was since `before`.
    #[must_use]
    pub fn announce(&self, before: Word) -> Option<Word> {
        let mut seen = self.word();
        loop {
            if seen.has_come_since(before) {
                return None;
            }
            let announced = Word(seen.0 | WAITERS);
            if seen == announced {
                return Some(announced);
            }
            // ORDERING: acquire side of *news*, if it fails since the event came. The announcement
            // itself publishes nothing, and the sleeper trusts the kernel's comparison.
            match self.word.compare_exchange(seen.0, announced.0, Relaxed, Acquire) {
                Ok(_) => return Some(announced),
                Err(found) => seen = Word(found),
            }
        }
    }
}

/// Marks the word of a clear event as slept on; the value to sleep on. `None` if the event is set.
#[cfg(not(crossproc_loom))]
#[must_use]
pub fn mark(word: &AtomicU32) -> Option<u32> {
    wait::mark(word, |seen| (!Word(seen).is_set()).then_some(seen | WAITERS))
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Event").field(&self.word()).finish()
    }
}
