//! The number by which a process is known in a segment.

use core::fmt;
use core::num::NonZeroU32;

/// The bits of a word that hold a member id. The four above them are free for flags.
pub const ID_MASK: u32 = (1 << 28) - 1;

/// The byte of the segment's file on which member `id` holds its lock is `LOCK_BASE | id`, far
/// past the end of any file.
pub const LOCK_BASE: u64 = 1 << 40;

/// One process in one segment: 28 bits, never 0, not given again before 268 million joins.
///
/// Every claim in shared memory carries the id of its owner, so that whoever is stopped by the
/// claim can ask [`Segment::alive`](crate::Segment::alive).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct MemberId(NonZeroU32);

impl MemberId {
    /// Takes the id out of a word read from shared memory: the low 28 bits, or `None` if they
    /// are zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::MemberId;
    /// assert_eq!(MemberId::new(1 << 31 | 7).map(MemberId::get), Some(7));
    /// assert_eq!(MemberId::new(1 << 31), None);
    /// ```
    #[must_use]
    #[inline]
    pub const fn new(word: u32) -> Option<Self> {
        match NonZeroU32::new(word & ID_MASK) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The id as a number, in `1..=ID_MASK`.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The byte whose lock tells that this member lives.
    #[must_use]
    pub fn lock_offset(self) -> u64 {
        LOCK_BASE | u64::from(self.get())
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}", self.get())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}
