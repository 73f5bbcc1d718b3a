//! Who this process is in a segment, for operations of few nanoseconds.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Acquire;

use crate::{MemberId, Segment};

/// Who this process is in a segment: one load away, where by way of the segment's handle there are five,
/// each of which waits for the one before.
///
/// # Invariants
///
/// `word` is the one of [`Segment::me_word`] of a segment that stays mapped while this lives.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Me {
    word: NonNull<AtomicU32>,
}

// SAFETY: an atomic is reached, which lives as long as this, by the type invariant.
unsafe impl Send for Me {}
// SAFETY: as above.
unsafe impl Sync for Me {}

impl Me {
    /// Who this process is in `segment`.
    ///
    /// # Safety
    ///
    /// The segment stays mapped while this or a copy of it is used.
    #[must_use]
    pub unsafe fn of(segment: &Segment) -> Self {
        // INVARIANT: by the contract.
        Self { word: NonNull::from(segment.me_word()) }
    }

    /// The id as it is stored: 0 in a forked child that has not joined yet.
    #[must_use]
    #[inline(always)]
    pub fn bits(self) -> u32 {
        // SAFETY: by the type invariant.
        let word = unsafe { self.word.as_ref() };
        // ORDERING: acquire side of *joined* in `Segment::me`.
        word.load(Acquire)
    }

    /// The id; `None` in a forked child that has not joined yet.
    #[must_use]
    #[inline(always)]
    pub fn id(self) -> Option<MemberId> {
        MemberId::new(self.bits())
    }

    /// The id; joins `segment`, which is that of [`Me::of`], if need be.
    #[must_use]
    #[inline]
    pub fn joined(self, segment: &Segment) -> MemberId {
        self.id().unwrap_or_else(|| segment.me())
    }

    /// Whether this process is the member `id`: false in its forked child.
    #[must_use]
    #[inline]
    pub fn is_member(self, id: MemberId) -> bool {
        self.id() == Some(id)
    }
}
