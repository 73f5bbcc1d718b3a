//! The guard: the permit is out while it lives.

use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use crossproc_segment::{MemberId, Segment};

use super::error::ReleaseError;
use super::raw::{self, Hold};

/// A permit of a [`Semaphore`](crate::Semaphore) or a
/// [`BoundedSemaphore`](crate::BoundedSemaphore), which comes back when this is dropped.
///
/// - If the process is killed, the permit comes back by itself.
/// - Leaked (`mem::forget`), it stays out until the process ends, and then comes back.
/// - Ended by [`forget`](Self::forget), it never comes back.
/// - In a forked child it does nothing when dropped: the permit is still the parent's.
///
/// It may be sent to another thread and dropped there.
#[must_use = "if it is dropped at once, the permit comes back at once"]
pub struct Permit<'a> {
    home: Home<'a>,
    hold: Hold,
}

/// Where a permit comes from, and goes back to.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) raw: &'a raw::Semaphore,
    pub(super) segment: &'a Segment,
    /// The handle's entry to claim next.
    pub(super) hint: &'a AtomicU32,
    /// The most that the semaphore counts.
    pub(super) ceiling: u32,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(home: Home<'a>, hold: Hold) -> Self {
        Self { home, hold }
    }

    /// Gives the permit back, as dropping it does, and tells if it was not out any more.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::NotHeld`] in a forked child, whose parent holds the permit, and if it was
    /// taken back or written over meanwhile, which a correct program on a correct kernel does not
    /// see. [`ReleaseError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::Semaphore::new(1)?;
    /// let permit = semaphore.acquire()?;
    /// permit.release()?;
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(self) -> Result<(), ReleaseError> {
        ManuallyDrop::new(self).give_back()
    }

    /// Ends the guard without giving the permit back: for good, whatever becomes of this process.
    ///
    /// It is then as if the permit had been taken without a guard. Whoever is handed it on gives it
    /// back by `release(1)`. A process that is killed in this call has done it or has not.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::Semaphore::new(2)?;
    /// semaphore.acquire()?.forget();
    /// assert_eq!(semaphore.available(), 1);
    /// semaphore.release(1)?;
    /// assert_eq!(semaphore.available(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(self) {
        let permit = ManuallyDrop::new(self);
        if permit.is_ours() {
            // Fails only where there is nothing to forget any more.
            let _ = permit.home.raw.forget(permit.hold);
        }
    }

    #[inline]
    fn give_back(&self) -> Result<(), ReleaseError> {
        let Home { raw, hint, ceiling, .. } = self.home;
        if !self.is_ours() {
            return Err(ReleaseError::NotHeld);
        }
        if !raw.release(self.hold, ceiling)? {
            return Err(ReleaseError::Corrupt);
        }
        raw.freed().notify_one();
        hint.store(self.hold.index(), Relaxed);
        Ok(())
    }

    /// Whether this process acquired it: false in a forked child.
    #[inline]
    fn is_ours(&self) -> bool {
        // ORDERING: acquire side of *joined* in `Segment::me`.
        let me = MemberId::new(self.home.segment.me_word().load(Acquire));
        me.is_some_and(|me| self.hold.is_of(me))
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever wants to know calls `release`.
        let _ = self.give_back();
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.hold).finish()
    }
}
