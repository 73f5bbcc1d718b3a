//! The guards that a condition variable can give up for the time of a wait.

use std::mem;

use crate::error::{LockError, LockFailure};
use crate::guard::LockGuard;
use crate::lock::Lock;
use crate::raw::News;
use crate::rlock::raw::Levels;
use crate::{RLock, RLockGuard};

/// A guard with which a thread can wait at a [`Condvar`](crate::Condvar): that of a
/// [`Lock`] or of an [`RLock`].
///
/// Nothing else implements it, and there is nothing to call.
pub trait CondvarGuard: sealed::Release {}

impl CondvarGuard for LockGuard<'_> {}
impl CondvarGuard for RLockGuard<'_> {}

#[expect(unnameable_types, reason = "nobody else is to implement it")]
pub(super) mod sealed {
    use super::LockError;

    /// Gives the lock up, and takes it back.
    pub trait Release: Sized {
        /// What leads back to the lock.
        type Way;

        /// Releases the lock. `false`: it was not the caller's, who is the forked child of the
        /// one who locked.
        fn release(self) -> (Self::Way, bool);

        /// Locks again, however long that takes.
        fn lock_again(way: Self::Way) -> Result<Self, LockError<Self>>;
    }
}

impl<'a> sealed::Release for LockGuard<'a> {
    type Way = &'a Lock;

    fn release(self) -> (Self::Way, bool) {
        let lock = self.lock();
        (lock, self.unlock().is_ok())
    }

    fn lock_again(lock: Self::Way) -> Result<Self, LockError<Self>> {
        lock.lock()
    }
}

/// All levels of the thread are given up: also those of its other guards.
impl<'a> sealed::Release for RLockGuard<'a> {
    type Way = (Self, Option<Levels>);

    fn release(self) -> (Self::Way, bool) {
        let levels = self.lock().release_all().ok();
        let held = levels.is_some();
        ((self, levels), held)
    }

    fn lock_again((guard, levels): Self::Way) -> Result<Self, LockError<Self>> {
        let lock: &'a RLock = guard.lock();
        let Some(levels) = levels else {
            // It stands for nothing, and must not leave the level that comes.
            mem::forget(guard);
            return lock.lock();
        };
        match lock.take_all_back(levels, None) {
            Ok(News::Released) => Ok(guard),
            Ok(News::Died) => Err(LockError::OwnerDied(guard)),
            Ok(News::Panicked) => Err(LockError::Poisoned(guard)),
            Err(LockFailure::Deadlock) => Err(LockError::Deadlock),
            // Without a deadline there is no other.
            Err(_) => Err(LockError::Corrupt),
        }
    }
}
