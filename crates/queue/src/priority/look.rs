//! The first item looked at, taken with all that are ready, or dropped.

use std::iter::FusedIterator;

use crossproc_message::Message;
use crossproc_segment::wait::now_and_then;

use super::handle::PriorityQueue;
use crate::error::TryGetError;
use crate::look::drain_step;
use crate::raw::NoItem;

/// The items that are ready; from [`PriorityQueue::drain`].
#[derive(Debug)]
pub struct PriorityDrain<'q, T> {
    queue: &'q PriorityQueue<T>,
    done: bool,
}

impl<T: Message> PriorityQueue<T> {
    /// A copy of the item that [`get`](Self::get) would bring, with its level. The item stays there.
    /// Never blocks.
    ///
    /// Another consumer may take it at once, or an item of a higher level come; see
    /// [`Queue::peek`](crate::Queue::peek).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<String>::bounded(2, 4)?;
    /// queue.put(0, "later".to_owned())?;
    /// queue.put(1, "first".to_owned())?;
    /// assert_eq!(queue.peek()?, (1, "first".to_owned()));
    /// assert_eq!(queue.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get); a malformed item stays in the queue.
    pub fn peek(&self) -> Result<(usize, T), TryGetError> {
        let look = || {
            self.levels.take(|level| {
                let item = self.queues[level].peek_once()?;
                Ok(item.map(|item| (level, item)))
            })
        };
        match look() {
            Err(NoItem::Empty | NoItem::Pending) if now_and_then() => {
                self.repair();
                look()?
            }
            answer => answer?,
        }
    }

    /// Takes the items that are ready, until none is: an iterator of what
    /// [`try_get`](Self::try_get) brings, and so the highest level first at each step. Never blocks.
    ///
    /// It ends where the queue is empty or closed. Items that are put meanwhile are taken as well.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(2, 4)?;
    /// queue.put_many(0, &[1, 2])?;
    /// queue.put(1, 3)?;
    /// let items: Vec<_> = queue.drain().collect::<Result<_, _>>()?;
    /// assert_eq!(items, [(1, 3), (0, 1), (0, 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drain(&self) -> PriorityDrain<'_, T> {
        PriorityDrain { queue: self, done: false }
    }

    /// Drops the first item of the highest level where it holds a handle that cannot be attached here;
    /// tells whether one was dropped. Never blocks: see
    /// [`Queue::discard_unreachable`](crate::Queue::discard_unreachable).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<String>::bounded(2, 4)?;
    /// queue.put(1, "not to be dropped".to_owned())?;
    /// assert!(!queue.discard_unreachable()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Closed`] or [`TryGetError::Corrupt`].
    pub fn discard_unreachable(&self) -> Result<bool, TryGetError> {
        let mut closed = true;
        for queue in self.queues.iter().rev() {
            match queue.discard_unreachable() {
                Ok(true) => return Ok(true),
                Ok(false) => closed = false,
                Err(TryGetError::Closed) => {}
                Err(error) => return Err(error),
            }
        }
        if closed { Err(TryGetError::Closed) } else { Ok(false) }
    }
}

impl<T: Message> Iterator for PriorityDrain<'_, T> {
    type Item = Result<(usize, T), TryGetError>;

    fn next(&mut self) -> Option<Self::Item> {
        drain_step(&mut self.done, || self.queue.try_get())
    }
}

impl<T: Message> FusedIterator for PriorityDrain<'_, T> {}
