//! The guard: one level of the lock is held while it lives.

use core::fmt;
use core::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::thread;

use super::handle::RLock;
use crate::error::NotHeld;
use crate::raw::Holder;

/// One level of the lock is held while this lives. With the last level the lock is released.
///
/// Guards of one thread may be dropped in any order.
///
/// - Dropped by a panic that began after it was made, it poisons the lock: once all levels are
///   gone, the next owner is told. This thread may lock on as before.
/// - Leaked (`mem::forget`), its level stays until the process ends, and so does the lock; the next
///   owner is then told that its last owner died. This thread may still lock again.
/// - In a forked child it does nothing when dropped: the lock is still the parent's.
#[must_use = "if it is dropped at once, the level is left at once"]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    me: Holder,
    /// Whether the thread was panicking already when the guard was made.
    panicking: bool,
    /// The levels are those of one thread.
    not_send: PhantomData<*mut ()>,
}

impl<'a> RLockGuard<'a> {
    #[inline]
    pub(super) fn new(lock: &'a RLock, me: Holder) -> Self {
        Self { lock, me, panicking: thread::panicking(), not_send: PhantomData }
    }

    /// The lock that this is a level of.
    pub(crate) fn lock(&self) -> &'a RLock {
        self.lock
    }

    /// Leaves the level, as dropping the guard does, and tells if it was not held any more.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] if the lock was taken over or written over meanwhile, which a correct program
    /// on a correct kernel does not see; also in a forked child, whose parent holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RLock;
    ///
    /// let lock = RLock::new().unwrap();
    /// let (outer, inner) = (lock.lock().unwrap(), lock.lock().unwrap());
    /// inner.unlock()?;
    /// assert_eq!(lock.depth(), 1);
    /// outer.unlock()?;
    /// assert_eq!(lock.depth(), 0);
    /// # Ok::<(), crossproc_sync::NotHeld>(())
    /// ```
    pub fn unlock(self) -> Result<(), NotHeld> {
        ManuallyDrop::new(self).release()
    }

    #[inline]
    fn release(&self) -> Result<(), NotHeld> {
        self.lock.leave(self.me, thread::panicking() && !self.panicking)
    }
}

impl Drop for RLockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever wants to know calls `unlock`.
        let _ = self.release();
    }
}

impl fmt::Debug for RLockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RLockGuard").field(&self.me.id()).finish()
    }
}
