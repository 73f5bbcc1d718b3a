//! Items by the dozen: one claim of the ends of a level, and one wake, for a run of them.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_message::words::small;
use crossproc_sys::clock::Deadline;

use super::handle::PriorityQueue;
use crate::batch::{Run, gather};
use crate::error::{GetError, PutManyError, Refusal, TryGetError, TryPutError};
use crate::put::Patience;
use crate::raw::NoItem;

impl<T: Message> PriorityQueue<T> {
    /// Puts all the items at a level, in order. Blocks while it is full.
    ///
    /// Other producers' items may come between. A process killed in it has put a prefix of the items;
    /// see [`Queue::put_many`](crate::Queue::put_many).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 100)?;
    /// queue.put_many(0, &[1, 2])?;
    /// queue.put_many(1, &[3, 4])?;
    /// let mut got = Vec::new();
    /// assert_eq!(queue.get_many(&mut got, 64)?, 4);
    /// assert_eq!(got, [(1, 3), (1, 4), (0, 1), (0, 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutManyError`], which says how many items were put before the queue was closed, or an item
    /// was refused.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    pub fn put_many(&self, level: usize, items: &[T]) -> Result<(), PutManyError> {
        self.put_many_within(level, items, Patience::Endless).map(|_| ())
    }

    /// Puts as many of the items as a level has room for, in order, and tells how many. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 2)?;
    /// assert_eq!(queue.try_put_many(1, &[1, 2, 3])?, 2);
    /// assert_eq!(queue.try_put_many(0, &[3])?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    ///
    /// # Panics
    ///
    /// As [`put_many`](Self::put_many).
    pub fn try_put_many(&self, level: usize, items: &[T]) -> Result<usize, PutManyError> {
        self.put_many_within(level, items, Patience::None)
    }

    /// Puts the items at a level, in order, and tells how many were put. Blocks while it is full, but
    /// in all no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    ///
    /// # Panics
    ///
    /// As [`put_many`](Self::put_many).
    pub fn put_many_timeout(
        &self,
        level: usize,
        items: &[T],
        timeout: Duration,
    ) -> Result<usize, PutManyError> {
        self.put_many_deadline(level, items, Deadline::after(timeout))
    }

    /// Puts the items at a level, in order, and tells how many were put. Blocks while it is full,
    /// until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    ///
    /// # Panics
    ///
    /// As [`put_many`](Self::put_many).
    pub fn put_many_deadline(
        &self,
        level: usize,
        items: &[T],
        deadline: Deadline,
    ) -> Result<usize, PutManyError> {
        self.put_many_within(level, items, Patience::Until(deadline))
    }

    /// Takes up to `most` items, always from the highest level that has one, and appends them to
    /// `out`, each with its level; tells how many. Blocks while the queue is empty, and then takes what
    /// is ready.
    ///
    /// A process killed in it has taken of each level a prefix of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(3, 100)?;
    /// queue.put(0, 1)?;
    /// queue.put_many(2, &[2, 3])?;
    /// let mut got = Vec::new();
    /// assert_eq!(queue.get_many(&mut got, 2)?, 2);
    /// assert_eq!(queue.get_many(&mut got, 2)?, 1);
    /// assert_eq!(got, [(2, 2), (2, 3), (0, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). Items taken before one that is malformed are in `out` then; an
    /// unreachable one, or the end of the queue, is told by the next call.
    pub fn get_many(&self, out: &mut Vec<(usize, T)>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(out, most, Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Takes the items that are ready, up to `most` of them; as [`get_many`](Self::get_many)
    /// otherwise. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::TryGetError;
    ///
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 100)?;
    /// let nothing = queue.try_get_many(&mut Vec::new(), 10);
    /// assert!(matches!(nothing, Err(TryGetError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`], or as [`get_many`](Self::get_many).
    pub fn try_get_many(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
    ) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::None)
    }

    /// As [`get_many`](Self::get_many), but blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_get_many`](Self::try_get_many), [`TryGetError::Empty`] after the timeout.
    pub fn get_many_timeout(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::For(timeout))
    }

    /// As [`get_many`](Self::get_many), but blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get_many`](Self::try_get_many), [`TryGetError::Empty`] after the deadline.
    pub fn get_many_deadline(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        deadline: Deadline,
    ) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::Until(deadline))
    }

    fn put_many_within(
        &self,
        level: usize,
        items: &[T],
        patience: Patience,
    ) -> Result<usize, PutManyError> {
        let queue = self.level(level);
        let (mut put, mut swept) = (0, false);
        loop {
            if let Err(refused) = self.levels.admit() {
                let error = Refusal::from(refused).of_try_put(());
                return Err(PutManyError { put, error });
            }
            let error = match queue.put_many_within(&items[put..], patience) {
                Ok(more) => return Ok(put + more),
                Err(PutManyError { put: more, error }) => {
                    put += more;
                    swept &= more == 0;
                    error
                }
            };
            let full = matches!(error, TryPutError::OutOfMemory { .. });
            if !full || swept || !self.sweep_beside(level) {
                return Err(PutManyError { put, error });
            }
            swept = true;
        }
    }

    fn get_many_within(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        patience: Patience,
    ) -> Result<usize, TryGetError> {
        gather(out, most, patience, |out, most, patience| match small::<T>() {
            Some(_) => self.get_run(out, most, patience).map(|()| true),
            None => self.get_within(patience).map(|item| out.push(item)).map(|()| true),
        })
    }

    /// Takes a run of items of one level, at least one.
    fn get_run(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        patience: Patience,
    ) -> Result<(), TryGetError> {
        let mut run = Run::<T>::of_items(most);
        // Nothing of ours may fail between the commit and the last item's being handed out.
        out.reserve(run.most);
        let (level, taken) =
            self.receive(patience, |level, queue| match run.take(&queue.ring, queue.me())? {
                // Here are no leases: the bit that says so was written by a broken peer.
                0 => Err(NoItem::Corrupt),
                taken => Ok((level, taken)),
            })?;
        run.hand_out(taken, |item| out.push((level, item)))
    }
}
