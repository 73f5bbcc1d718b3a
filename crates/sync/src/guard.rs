//! The guard: the lock is held while it lives.

use core::fmt;
use core::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::thread;

use crate::acquire;
use crate::error::NotHeld;
use crate::lock::Lock;
use crate::raw::Holder;

/// The lock is held while this lives. Dropping it releases the lock.
///
/// - Dropped by a panic that began after it was made, it poisons the lock: the next owner is told.
/// - Leaked (`mem::forget`), the lock stays held until the process ends; the next owner is then
///   told that its last owner died. This thread gets `Deadlock` if it locks again.
/// - In a forked child it does nothing when dropped: the lock is still the parent's.
#[must_use = "if it is dropped at once, the lock is released at once"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    me: Holder,
    /// Whether the thread was panicking already when the guard was made.
    panicking: bool,
    /// The thread that locked is the thread that unlocks: the recursion check goes by thread.
    not_send: PhantomData<*mut ()>,
}

impl<'a> LockGuard<'a> {
    #[inline]
    pub(crate) fn new(lock: &'a Lock, me: Holder) -> Self {
        Self { lock, me, panicking: thread::panicking(), not_send: PhantomData }
    }

    /// The lock that is held.
    pub(crate) fn lock(&self) -> &'a Lock {
        self.lock
    }

    /// Releases the lock, as dropping the guard does, and tells if it was not held any more.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] if the lock was taken over or written over meanwhile, which a correct program
    /// on a correct kernel does not see; also in a forked child, whose parent holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::Lock;
    ///
    /// let lock = Lock::new().unwrap();
    /// let guard = lock.lock().unwrap();
    /// guard.unlock()?;
    /// assert!(lock.try_lock().is_ok());
    /// # Ok::<(), crossproc_sync::NotHeld>(())
    /// ```
    pub fn unlock(self) -> Result<(), NotHeld> {
        ManuallyDrop::new(self).release()
    }

    #[inline]
    fn release(&self) -> Result<(), NotHeld> {
        if !self.me.is_of(self.lock.me()) {
            return Err(NotHeld);
        }
        let poison = thread::panicking() && !self.panicking;
        acquire::release(self.lock.raw(), self.me, poison)
    }
}

impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever wants to know calls `unlock`.
        let _ = self.release();
    }
}

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LockGuard").field(&self.me.id()).finish()
    }
}
