//! The row of places behind the words of a lock, as one process has it.

use core::fmt;
use core::ptr::NonNull;

use super::raw::{self, Place};
use crate::shared::Shared;

/// Where the row begins and how long it is: found once, and then at hand in each read.
///
/// # Invariants
///
/// `places` is the row of an object that stays mapped while this lives.
#[derive(Clone, Copy)]
pub(super) struct Row {
    places: NonNull<[Place]>,
}

// SAFETY: places are reached by shared reference and are atomics only.
unsafe impl Send for Row {}
// SAFETY: as above.
unsafe impl Sync for Row {}

impl Row {
    /// The row of `shared`.
    ///
    /// # Safety
    ///
    /// `shared` or a clone of it lives as long as this.
    pub(super) unsafe fn of(shared: &Shared<raw::RwLock>) -> Self {
        // INVARIANT: by the contract.
        Self { places: NonNull::from(shared.rest()) }
    }

    #[inline]
    pub(super) fn places(&self) -> &[Place] {
        // SAFETY: by the type invariant; any bytes are places.
        unsafe { self.places.as_ref() }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Row").field(&self.places().len()).finish()
    }
}
