//! The lock that its owner may lock again, as it lies in shared memory: a [`Lock`] and a count.
//!
//! # Layout
//!
//! | offset | size | field    | written by | values                                              |
//! |-------:|-----:|----------|------------|-----------------------------------------------------|
//! |      0 |   16 | `lock`   | see there  | who holds it: member and thread                     |
//! |     16 |    4 | `levels` | the owner  | 0, or the levels held, with `PANICKED`              |
//! |     20 |    4 | `unused` | nobody     | 0                                                   |
//!
//! All zeroes is a valid, free lock.
//!
//! # States
//!
//! Those of the lock inside. `levels` means something to the thread that holds it only, and is 0
//! between owners unless the last one died.
//!
//! - `n`: the owner has locked `n` times more often than it has unlocked.
//! - `n` with `PANICKED`: and a panic has come through one of the levels that are gone.
//!
//! # Operations
//!
//! Claim, by one who does not hold it: 1. Claim the lock inside: the commit. 2. Store 1 to `levels`
//! ([`RLock::begin`]).
//!
//! Enter, by the owner ([`RLock::enter`]): store `levels + 1`: the commit.
//!
//! Leave ([`RLock::leave`]): store `levels - 1`: the commit. Or, from the last level: 1. Store 0 to
//! `levels`. 2. Release the lock inside: the commit.
//!
//! # Orderings
//!
//! `levels` is Relaxed: only the thread that holds the lock reads or writes it, and *hand-over* and
//! *succession* of the lock inside order one owner's accesses before the next one's. Whether this
//! thread holds the lock is told by `holder`, see there.
//!
//! # Deaths
//!
//! | killed                            | left behind                           | seen by         |
//! |-----------------------------------|---------------------------------------|-----------------|
//! | after the claim, before `levels`  | lock of a dead owner, `levels` stale  | who takes over: told, stores 1 |
//! | at any level, entering or leaving | lock of a dead owner, `levels` stale  | the same        |
//! | after `levels` = 0                | lock of a dead owner                  | the same        |
//! | after the release                 | as the lock inside                    | as there        |
//!
//! # Limits
//!
//! [`Levels::MOST`] levels; one more is refused.

use core::fmt;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Relaxed;
use crate::raw::{Holder, Lock};

/// The words of a lock that its owner may lock again. Valid when zeroed.
#[repr(C)]
pub struct RLock {
    lock: Lock,
    levels: AtomicU32,
    unused: AtomicU32,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<RLock>() == 24 && align_of::<RLock>() == 8);
    assert!(core::mem::offset_of!(RLock, lock) == 0);
    assert!(core::mem::offset_of!(RLock, levels) == 16);
};

/// How often an owner has locked, and whether it panicked in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels(u32);

impl Levels {
    const PANICKED: u32 = 1 << 31;
    /// The most levels.
    pub const MOST: u32 = Self::PANICKED - 1;
    /// What an owner has that did not hold the lock before.
    pub const ONE: Self = Self(1);

    /// The number of them.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0 & !Self::PANICKED
    }

    /// Whether a panic has come through one of the levels left.
    #[must_use]
    pub const fn is_panicked(self) -> bool {
        self.0 & Self::PANICKED != 0
    }

    const fn with_panic(self, panicked: bool) -> Self {
        Self(self.0 | if panicked { Self::PANICKED } else { 0 })
    }
}

/// What became of an attempt to go one level deeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Enter {
    /// Done: the calling thread holds the lock once more.
    Done,
    /// The calling thread does not hold the lock.
    NotMine,
    /// It holds the lock [`Levels::MOST`] times.
    TooDeep,
    /// It holds the lock, and no level of it: somebody wrote over the count.
    Corrupt,
}

/// What became of an attempt to leave a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Leave {
    /// The calling thread still holds the lock.
    Inner,
    /// It was the last level: the lock inside is to be released, after a panic if so told.
    Last {
        /// Whether a panic came through this level or one of those before.
        panicked: bool,
    },
    /// The calling thread does not hold the lock, or no level of it.
    NotHeld,
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

impl RLock {
    /// Makes a free lock.
    #[must_use]
    pub fn new() -> Self {
        Self { lock: Lock::new(), levels: AtomicU32::new(0), unused: AtomicU32::new(0) }
    }

    /// The lock inside.
    #[must_use]
    #[inline]
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The levels that `me`, the calling thread, holds.
    #[must_use]
    pub fn levels(&self, me: Holder) -> Option<Levels> {
        self.lock.is_held_by(me).then(|| self.stored())
    }

    fn stored(&self) -> Levels {
        Levels(self.levels.load(Relaxed))
    }

    /// Goes one level deeper, if `me`, the calling thread, holds the lock.
    #[inline]
    pub fn enter(&self, me: Holder) -> Enter {
        match self.levels(me) {
            None => Enter::NotMine,
            Some(levels) if levels.count() == 0 => Enter::Corrupt,
            Some(levels) if levels.count() == Levels::MOST => Enter::TooDeep,
            Some(levels) => {
                self.levels.store(levels.0 + 1, Relaxed); // commit: one level more
                Enter::Done
            }
        }
    }

    /// The first thing that a new owner of the lock inside does.
    #[inline]
    pub fn begin(&self, levels: Levels) {
        self.levels.store(levels.0, Relaxed);
    }

    /// Leaves a level, after a panic in it if so told.
    #[inline]
    pub fn leave(&self, me: Holder, panicked: bool) -> Leave {
        let Some(levels) = self.levels(me) else { return Leave::NotHeld };
        let levels = levels.with_panic(panicked);
        match levels.count() {
            0 => Leave::NotHeld,
            1 => {
                self.levels.store(0, Relaxed);
                Leave::Last { panicked: levels.is_panicked() }
            }
            _ => {
                self.levels.store(levels.0 - 1, Relaxed); // commit: one level less
                Leave::Inner
            }
        }
    }

    /// Gives up all levels at once: the lock inside is to be released. `None` if `me` holds none.
    #[must_use]
    pub fn leave_all(&self, me: Holder) -> Option<Levels> {
        let levels = self.levels(me).filter(|levels| levels.count() != 0)?;
        self.levels.store(0, Relaxed);
        Some(levels)
    }
}

impl fmt::Debug for RLock {
    /// The lock inside, and the count as a snapshot: it may be another owner's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("lock", &self.lock.word())
            .field("levels", &self.stored().count())
            .finish()
    }
}
