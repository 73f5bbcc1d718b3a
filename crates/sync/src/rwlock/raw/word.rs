//! The two words of the lock: the writer's, and that of a reader's place.

use core::fmt;

use crossproc_segment::{ID_MASK, MemberId};

use crate::raw::News;

/// A snapshot of the writer's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(pub(in crate::rwlock) u32);

impl Word {
    /// Writers may be asleep on the word.
    const WAITERS: u32 = 1 << 31;
    /// Readers ask to be let in when the writer leaves. Only beside an id.
    const ASKED: u32 = 1 << 30;
    /// The last writer panicked. Only without an id.
    const POISONED: u32 = 1 << 30;
    /// The last writer died. Only without an id.
    const DIED: u32 = 1 << 29;
    pub(super) const FREE: Self = Self(0);

    /// The word of a lock that a writer has left so.
    pub(super) const fn free(left: News) -> Self {
        match left {
            News::Released => Self::FREE,
            News::Panicked => Self(Self::POISONED),
            News::Died => Self(Self::DIED),
        }
    }

    /// The word of a lock that `id` has for itself. `waiters`: others may sleep on it.
    pub(super) const fn of_writer(id: MemberId, waiters: bool) -> Self {
        Self(id.get() | if waiters { Self::WAITERS } else { 0 })
    }

    pub(in crate::rwlock) const fn with_waiters(self) -> Self {
        Self(self.0 | Self::WAITERS)
    }

    pub(super) const fn with_asked(self) -> Self {
        Self(self.0 | Self::ASKED)
    }

    pub(super) const fn without_asked(self) -> Self {
        Self(self.0 & !Self::ASKED)
    }

    /// The writer, if there is one.
    #[must_use]
    #[inline]
    pub const fn owner(self) -> Option<MemberId> {
        MemberId::new(self.0)
    }

    /// What the last writer left; if there is one now, it has not left anything yet.
    pub const fn left(self) -> News {
        match self.0 {
            Self::POISONED => News::Panicked,
            Self::DIED => News::Died,
            _ => News::Released,
        }
    }

    /// Whether writers may be asleep on the word.
    #[must_use]
    pub const fn has_waiters(self) -> bool {
        self.0 & Self::WAITERS != 0
    }

    /// Whether readers ask the writer to let them in as it leaves.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        self.owner().is_some() && self.0 & Self::ASKED != 0
    }

    /// Whether the protocol ever stores such a word.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        let flags = self.0 & !ID_MASK;
        match self.owner() {
            None => matches!(flags, 0 | Self::POISONED | Self::DIED),
            Some(_) => flags & !(Self::WAITERS | Self::ASKED) == 0,
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
        match (self.owner(), self.left()) {
            _ if !self.is_valid() => write!(f, "corrupt {:#010x}", self.0),
            (None, News::Released) => f.write_str("no writer"),
            (None, News::Panicked) => f.write_str("no writer, poisoned"),
            (None, News::Died) => f.write_str("no writer, the last one died"),
            (Some(id), _) => {
                write!(f, "writer {id:?}")?;
                f.write_str(if self.has_waiters() { ", with waiters" } else { "" })?;
                f.write_str(if self.is_asked() { ", readers ask" } else { "" })
            }
        }
    }
}

/// A snapshot of the word of a reader's place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlaceWord(pub(in crate::rwlock) u32);

impl PlaceWord {
    /// The reader waits, and stops no writer.
    const ASKS: u32 = 1 << 31;
    /// Somebody sleeps on the word: the reader if it asks, else the writer.
    const SLEPT_ON: u32 = 1 << 30;
    pub(super) const FREE: Self = Self(0);

    /// The word of a place whose reader is in, or looks whether it is.
    pub(super) const fn of_reader(id: MemberId) -> Self {
        Self(id.get())
    }

    pub(super) const fn asking(self) -> Self {
        Self(self.0 & ID_MASK | Self::ASKS)
    }

    pub(super) const fn granted(self) -> Self {
        Self(self.0 & ID_MASK)
    }

    pub(in crate::rwlock) const fn slept_on(self) -> Self {
        Self(self.0 | Self::SLEPT_ON)
    }

    pub(super) const fn awake(self) -> Self {
        Self(self.0 & !Self::SLEPT_ON)
    }

    /// Whose place it is.
    #[must_use]
    pub const fn owner(self) -> Option<MemberId> {
        MemberId::new(self.0)
    }

    /// Whether its reader waits to be let in.
    #[must_use]
    pub const fn asks(self) -> bool {
        self.0 & Self::ASKS != 0
    }

    pub(super) const fn is_slept_on(self) -> bool {
        self.0 & Self::SLEPT_ON != 0
    }

    /// Whether a writer need not wait for it.
    #[must_use]
    #[inline]
    pub const fn lets_pass(self) -> bool {
        self.0 == 0 || self.asks()
    }

    /// Whether the protocol ever stores such a word.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        let flags = self.0 & !ID_MASK;
        flags == 0 || self.owner().is_some() && flags & !(Self::ASKS | Self::SLEPT_ON) == 0
    }

    /// The word as it is stored, for the one who sleeps on it.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for PlaceWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner() {
            _ if !self.is_valid() => write!(f, "corrupt {:#010x}", self.0),
            None => f.write_str("free"),
            Some(id) if self.asks() => write!(f, "{id:?} asks"),
            Some(id) => write!(f, "{id:?} reads"),
        }
    }
}
