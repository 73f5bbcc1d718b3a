//! The guards: the lock is read, or written, while they live.

use core::fmt;
use core::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::thread;

use super::handle::RwLock;
use super::raw::Place;
use super::read::Read;
use crate::error::NotHeld;
use crate::raw::{Holder, News};

/// The calling thread reads while this lives. No writer is in; other readers may be.
///
/// - A thread that reads may read again: it never waits for a writer that waits for it. The place
///   is free when all its guards are gone, in whatever order.
/// - A panic of a reader poisons nothing: it changed nothing.
/// - Leaked (`mem::forget`), it keeps writers out until the process ends.
/// - In a forked child it does nothing when dropped: the read is still the parent's.
#[must_use = "if it is dropped at once, the read is over at once"]
pub struct ReadGuard<'a> {
    lock: &'a RwLock,
    me: Holder,
    place: &'a Place,
    /// The thread that came in is the thread that leaves: coming in again goes by thread.
    not_send: PhantomData<*mut ()>,
}

impl<'a> ReadGuard<'a> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock, me: Holder, place: &'a Place) -> Self {
        Self { lock, me, place, not_send: PhantomData }
    }

    /// The guard of a read, and what the last writer left.
    #[inline]
    pub(super) fn of(lock: &'a RwLock, me: Holder, read: Read<'a>) -> (Self, News) {
        (Self::new(lock, me, read.place), read.news)
    }

    /// Ends the read, as dropping the guard does, and tells if it was over already.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] if the reader was taken for dead or written over meanwhile, which a correct
    /// program on a correct kernel does not see; also in a forked child, whose parent reads.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::new().unwrap();
    /// let guard = lock.read().unwrap();
    /// guard.unlock()?;
    /// assert!(lock.try_write().is_ok());
    /// # Ok::<(), crossproc_sync::NotHeld>(())
    /// ```
    pub fn unlock(self) -> Result<(), NotHeld> {
        ManuallyDrop::new(self).release()
    }

    #[inline]
    fn release(&self) -> Result<(), NotHeld> {
        if !self.lock.is_me(self.me) {
            return Err(NotHeld);
        }
        self.lock.leave(self.place, self.me)
    }
}

impl Drop for ReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever wants to know calls `unlock`.
        let _ = self.release();
    }
}

impl fmt::Debug for ReadGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadGuard").field(&self.me.id()).finish()
    }
}

/// The calling thread has the lock for itself while this lives.
///
/// - Dropped by a panic that began after it was made, it poisons the lock: all readers are told
///   until the next writer, which is told last.
/// - Leaked (`mem::forget`), the lock stays held until the process ends; the next ones are then told
///   that the writer died. This thread gets `Deadlock` if it reads or writes again.
/// - In a forked child it does nothing when dropped: the lock is still the parent's.
#[must_use = "if it is dropped at once, the lock is released at once"]
pub struct WriteGuard<'a> {
    lock: &'a RwLock,
    me: Holder,
    /// Whether the thread was panicking already when the guard was made.
    panicking: bool,
    /// The thread that locked is the thread that unlocks: the recursion check goes by thread.
    not_send: PhantomData<*mut ()>,
}

impl<'a> WriteGuard<'a> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock, me: Holder) -> Self {
        Self { lock, me, panicking: thread::panicking(), not_send: PhantomData }
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
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::new().unwrap();
    /// let guard = lock.write().unwrap();
    /// guard.unlock()?;
    /// assert!(lock.try_read().is_ok());
    /// # Ok::<(), crossproc_sync::NotHeld>(())
    /// ```
    pub fn unlock(self) -> Result<(), NotHeld> {
        ManuallyDrop::new(self).release()
    }

    /// Goes on reading, without another writer in between.
    ///
    /// Readers that wait come in as well. Does not block unless all places are taken; then until a
    /// reader that was let in leaves. If the process is killed before this returns, the next ones
    /// are told that the writer died.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] as from [`WriteGuard::unlock`]; or if a place was written over.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::new().unwrap();
    /// let writing = lock.write().unwrap();
    /// // Change what the lock guards, then look at it with others.
    /// let reading = writing.downgrade()?;
    /// let other = lock.clone();
    /// assert!(std::thread::spawn(move || other.try_read().is_ok()).join().unwrap());
    /// # drop(reading);
    /// # Ok::<(), crossproc_sync::NotHeld>(())
    /// ```
    pub fn downgrade(self) -> Result<ReadGuard<'a>, NotHeld> {
        if !self.lock.is_me(self.me) {
            return Err(NotHeld);
        }
        let place = self.lock.place_of_writer(self.me).map_err(|_| NotHeld)?;
        let writing = ManuallyDrop::new(self);
        let reading = ReadGuard::new(writing.lock, writing.me, place);
        writing.release()?;
        Ok(reading)
    }

    #[inline]
    fn release(&self) -> Result<(), NotHeld> {
        if !self.lock.is_me(self.me) {
            return Err(NotHeld);
        }
        let poison = thread::panicking() && !self.panicking;
        self.lock.leave_writer(self.me, if poison { News::Panicked } else { News::Released })
    }
}

impl Drop for WriteGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Whoever wants to know calls `unlock`.
        let _ = self.release();
    }
}

impl fmt::Debug for WriteGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteGuard").field(&self.me.id()).finish()
    }
}
