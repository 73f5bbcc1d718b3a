//! The levels of the calling thread: entered, left, and given up for a while.

use crossproc_sys::clock::Deadline;

use super::handle::RLock;
use super::raw::{Enter, Leave, Levels};
use crate::acquire;
use crate::error::{LockFailure, NotHeld};
use crate::raw::{Holder, News};

impl RLock {
    /// Goes one level deeper, or makes a first level with `claim`.
    #[inline]
    pub(super) fn enter_or(
        &self,
        me: Holder,
        claim: impl FnOnce() -> Result<News, LockFailure>,
    ) -> Result<News, LockFailure> {
        match self.raw().enter(me) {
            Enter::Done => Ok(News::Released),
            Enter::TooDeep => Err(LockFailure::Deadlock),
            Enter::Corrupt => Err(LockFailure::Corrupt),
            Enter::NotMine => claim().inspect(|_| self.raw().begin(Levels::ONE)),
        }
    }

    #[inline]
    pub(super) fn acquire(
        &self,
        me: Holder,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<News, LockFailure> {
        acquire::acquire_by(self.raw().lock(), self.segment(), self.shared.spin(), me, deadline)
    }

    /// Leaves a level of `me`, who locked it: nothing happens in a forked child.
    #[inline]
    pub(super) fn leave(&self, me: Holder, panicked: bool) -> Result<(), NotHeld> {
        if !me.is_of(self.shared.me()) {
            return Err(NotHeld);
        }
        match self.raw().leave(me, panicked) {
            Leave::Inner => Ok(()),
            Leave::Last { panicked } => acquire::release(self.raw().lock(), me, panicked),
            Leave::NotHeld => Err(NotHeld),
        }
    }

    /// Releases the lock with all levels of the calling thread, for the time that it waits for
    /// something else. Its guards mean nothing until [`RLock::take_all_back`].
    ///
    /// # Errors
    ///
    /// [`NotHeld`] if the calling thread does not hold the lock.
    pub(crate) fn release_all(&self) -> Result<Levels, NotHeld> {
        let me = self.me();
        let levels = self.raw().leave_all(me).ok_or(NotHeld)?;
        // Not poisoned: the levels come back, with the panic that they remember.
        acquire::release(self.raw().lock(), me, false)?;
        Ok(levels)
    }

    /// Acquires the lock with the levels that [`RLock::release_all`] gave up, and tells what the
    /// last owner left.
    ///
    /// # Errors
    ///
    /// `Timeout` or `Corrupt`: the thread does not hold the lock then, and its guards do nothing.
    pub(crate) fn take_all_back(
        &self,
        levels: Levels,
        deadline: Option<Deadline>,
    ) -> Result<News, LockFailure> {
        let news = self.acquire(self.me(), || deadline)?;
        self.raw().begin(levels);
        Ok(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_levels_are_given_up_and_taken_back() {
        let lock = RLock::new().unwrap();
        assert_eq!(lock.release_all(), Err(NotHeld));
        let guards = [lock.lock().unwrap(), lock.lock().unwrap(), lock.lock().unwrap()];
        let levels = lock.release_all().unwrap();
        assert_eq!((levels.count(), lock.depth()), (3, 0));
        let other = lock.clone();
        assert!(std::thread::spawn(move || other.try_lock().is_ok()).join().unwrap());
        assert_eq!(lock.take_all_back(levels, None), Ok(News::Released));
        assert_eq!(lock.depth(), 3);
        drop(guards);
        assert_eq!(lock.depth(), 0);
    }
}
