//! Who this process is, for operations of few nanoseconds.

use std::ptr::NonNull;

use crossproc_segment::{MemberId, Segment};

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Acquire;

/// Who this process is in a segment, one load away and not five, each of which waits for the one before.
///
/// # Invariants
///
/// `word` is the one of [`Segment::me_word`] of a segment that stays mapped while this lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Me {
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
    pub(crate) unsafe fn of(segment: &Segment) -> Self {
        // INVARIANT: by the contract.
        Self { word: NonNull::from(segment.me_word()) }
    }

    /// The id; `None` in a forked child that has not joined yet.
    #[inline]
    pub(crate) fn id(self) -> Option<MemberId> {
        // SAFETY: by the type invariant.
        let word = unsafe { self.word.as_ref() };
        // ORDERING: acquire side of *joined* in `Segment::me`.
        MemberId::new(word.load(Acquire))
    }
}
