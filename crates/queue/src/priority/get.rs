//! Getting the item of the highest level.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::wait::{Look, block_on, now_and_then};
use crossproc_sys::clock::Deadline;

use super::handle::PriorityQueue;
use super::iter::PriorityIter;
use crate::error::{GetError, TryGetError};
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::NoItem;

/// An item with its level, or why what was taken is none.
type Taken<T> = Result<(usize, T), TryGetError>;

impl<T: Message> PriorityQueue<T> {
    /// Takes the first item of the highest level that has one, and tells the level. Blocks while the
    /// queue is empty.
    ///
    /// While it waits it notices within 0.1 s if a process died in the middle of putting or taking
    /// an item. What another process is just putting is not there yet, and neither is what is behind
    /// it at the same level, nor anything of a level of which another is taking a run: then an item of a
    /// lower level is taken.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(3, 4)?;
    /// queue.put(0, 7)?;
    /// queue.put(2, 8)?;
    /// assert_eq!((queue.get()?, queue.get()?), ((2, 8), (0, 7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] once the queue is closed and drained; see [`GetError`] for the rest.
    #[inline]
    pub fn get(&self) -> Result<(usize, T), GetError> {
        self.get_within(Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Takes the first item of the highest level that has one, if there is any. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityQueue, TryGetError};
    ///
    /// let queue = PriorityQueue::<u8>::bounded(2, 1)?;
    /// assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    /// queue.put(1, 1)?;
    /// assert_eq!(queue.try_get()?, (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`], or as [`get`](Self::get).
    #[inline]
    pub fn try_get(&self) -> Result<(usize, T), TryGetError> {
        self.get_within(Patience::None)
    }

    /// As [`get`](Self::get), blocking no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::{PriorityQueue, TryGetError};
    ///
    /// let queue = PriorityQueue::<u8>::bounded(2, 1)?;
    /// let nothing = queue.get_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(TryGetError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the timeout.
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<(usize, T), TryGetError> {
        self.get_within(Patience::For(timeout))
    }

    /// As [`get`](Self::get), blocking until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the deadline.
    #[inline]
    pub fn get_deadline(&self, deadline: Deadline) -> Result<(usize, T), TryGetError> {
        self.get_within(Patience::Until(deadline))
    }

    /// Takes items, each with its level, until the queue is closed and drained. Blocks while it is
    /// empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(2, 4)?;
    /// queue.put(0, 1)?;
    /// queue.put(1, 2)?;
    /// queue.close();
    /// for item in &queue {
    ///     let (level, item) = item?;
    ///     assert_eq!(item, level as u64 + 1);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> PriorityIter<'_, T> {
        PriorityIter::new(self)
    }

    #[inline]
    pub(super) fn get_within(&self, patience: Patience) -> Taken<T> {
        let me = self.queues[0].me();
        self.receive(patience, |level, queue| Ok(queue.take_once(me)?.map(|item| (level, item))))?
    }

    /// Makes attempts by `once`, which is told the level, from the highest one that has an item, until
    /// one succeeds or the patience ends.
    #[inline]
    pub(super) fn receive<R>(
        &self,
        patience: Patience,
        mut once: impl FnMut(usize, &Queue<T>) -> Result<R, NoItem>,
    ) -> Result<R, TryGetError> {
        match self.take(&mut once) {
            Ok(taken) => Ok(taken),
            Err(none @ (NoItem::Empty | NoItem::Pending)) => {
                self.receive_slow(patience, none, once)
            }
            Err(none) => Err(none.into()),
        }
    }

    /// One attempt.
    #[inline]
    fn take<R>(
        &self,
        once: &mut impl FnMut(usize, &Queue<T>) -> Result<R, NoItem>,
    ) -> Result<R, NoItem> {
        self.levels.take(|level| {
            let queue = &self.queues[level];
            match once(level, queue) {
                // A consumer that lower levels keep busy never comes to sleep and look after the dead.
                Err(NoItem::Pending) if now_and_then() && queue.repair_head() => once(level, queue),
                answer => answer,
            }
        })
    }

    #[cold]
    fn receive_slow<R>(
        &self,
        patience: Patience,
        none: NoItem,
        mut once: impl FnMut(usize, &Queue<T>) -> Result<R, NoItem>,
    ) -> Result<R, TryGetError> {
        if matches!(patience, Patience::None) {
            let again = now_and_then() && self.repair();
            return if again { Ok(self.take(&mut once)?) } else { Err(none.into()) };
        }
        let items = self.levels.items();
        let look = |look| {
            // Claims of many dead in a row are ended in one look.
            for _ in 0..=self.places() {
                let again = look == Look::Repair && self.repair();
                match self.take(&mut once) {
                    Err(NoItem::Empty | NoItem::Pending) if again => {}
                    Err(NoItem::Empty | NoItem::Pending) => return None,
                    answer => return Some(answer),
                }
            }
            None
        };
        let deadline = patience.deadline();
        let answer = block_on(self.segment(), items, &self.consumers, deadline, look);
        if items.has_waiters() {
            self.levels.wake_next_consumer();
        }
        Ok(answer.unwrap_or(Err(NoItem::Empty))?)
    }
}
