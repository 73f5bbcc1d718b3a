//! Putting items at a level.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_message::words::small;
use crossproc_sys::clock::Deadline;

use super::handle::PriorityQueue;
use crate::error::{PutError, Refusal, TryPutError};
use crate::put::Patience;
use crate::raw::Form;

impl<T: Message> PriorityQueue<T> {
    /// Puts an item behind all others of its level. Blocks while the level is full.
    ///
    /// While it waits it notices within 0.1 s if a process died that held a place.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<String>::bounded(2, 4)?;
    /// queue.put(0, "later".to_string())?;
    /// queue.put(1, "first".to_string())?;
    /// assert_eq!(queue.get()?, (1, "first".to_string()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutError`], which gives the item back: the queue was closed, or the item cannot be sent.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[inline]
    pub fn put(&self, level: usize, item: T) -> Result<(), PutError<T>> {
        match self.put_within(level, &item, Patience::Endless) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_put(item)),
        }
    }

    /// Puts an item at a level if it has room. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityQueue, TryPutError};
    ///
    /// let queue = PriorityQueue::<u8>::bounded(2, 1)?;
    /// queue.try_put(0, 1)?;
    /// assert!(matches!(queue.try_put(0, 2), Err(TryPutError::Full(2))));
    /// queue.try_put(1, 3)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryPutError`], which gives the item back: [`TryPutError::Full`] of its level, or as
    /// [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[inline]
    pub fn try_put(&self, level: usize, item: T) -> Result<(), TryPutError<T>> {
        self.put_in_time(level, item, Patience::None)
    }

    /// Puts an item at a level. Blocks while it is full, but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc_queue::PriorityQueue::<u8>::bounded(2, 1)?;
    /// queue.put_timeout(1, 1, Duration::from_millis(1))?;
    /// let refused = queue.put_timeout(1, 2, Duration::from_millis(1)).unwrap_err();
    /// assert!(refused.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put), [`TryPutError::Full`] after the timeout.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[inline]
    pub fn put_timeout(
        &self,
        level: usize,
        item: T,
        timeout: Duration,
    ) -> Result<(), TryPutError<T>> {
        self.put_in_time(level, item, Patience::For(timeout))
    }

    /// Puts an item at a level. Blocks while it is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put), [`TryPutError::Full`] after the deadline.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[inline]
    pub fn put_deadline(
        &self,
        level: usize,
        item: T,
        deadline: Deadline,
    ) -> Result<(), TryPutError<T>> {
        self.put_in_time(level, item, Patience::Until(deadline))
    }

    #[inline]
    fn put_in_time(&self, level: usize, item: T, patience: Patience) -> Result<(), TryPutError<T>> {
        match self.put_within(level, &item, patience) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_try_put(item)),
        }
    }

    #[inline]
    pub(crate) fn put_within(
        &self,
        level: usize,
        item: &T,
        patience: Patience,
    ) -> Result<(), Refusal> {
        let queue = self.level(level);
        self.levels.admit()?;
        match queue.put_within(item, patience) {
            Err(Refusal::OutOfMemory { .. }) if self.sweep_beside(level) => {
                queue.put_within(item, patience)
            }
            answer => answer,
        }
    }

    /// Frees what consumers left, who were killed between commit and free, at the other levels: a put
    /// has done so at its own. Whether there are any.
    #[cold]
    pub(super) fn sweep_beside(&self, level: usize) -> bool {
        debug_assert!(small::<T>().is_none() && self.queues[0].plan.form == Form::Messages);
        let others = self.queues.iter().enumerate().filter(|&(other, _)| other != level);
        others.fold(false, |_, (_, queue)| {
            queue.sweep();
            true
        })
    }
}
