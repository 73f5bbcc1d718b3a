//! The counted handle of those who put, at any level.

use std::fmt;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::handle::PriorityQueue;
use crate::counted::Counted;
use crate::error::{PutError, PutManyError, Result, TryPutError};
use crate::raw::Side;

/// A handle of the producers of a queue with levels that is counted: made by
/// [`PriorityQueue::producer`].
///
/// When the last one is dropped, or the last process that has one ends, the queue closes for ever at
/// all levels: what was put is taken, then consumers see [`GetError::Closed`](crate::GetError::Closed).
/// What counts, and when a death is noticed, is told at [`Producer`](crate::Producer).
///
/// The methods are those of [`PriorityQueue`]; [`queue`](Self::queue) has the rest.
///
/// # Examples
///
/// ```
/// use crossproc_queue::{GetError, PriorityQueue};
///
/// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
/// let producer = queue.producer()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || producer.put(1, 7));
///     assert_eq!(queue.get()?, (1, 7));
///     assert!(matches!(queue.get(), Err(GetError::Closed)));
///     Ok::<(), GetError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PriorityProducer<T> {
    queue: PriorityQueue<T>,
    counted: Counted<T>,
}

impl<T> PriorityProducer<T> {
    pub(super) fn new(queue: PriorityQueue<T>) -> Result<Self> {
        let counted = Counted::new(queue.level(0).clone(), Side::Producers)?;
        Ok(Self { queue, counted })
    }

    /// The queue. A handle of it counts for nothing.
    #[must_use]
    pub fn queue(&self) -> &PriorityQueue<T> {
        &self.queue
    }

    /// As [`PriorityQueue::close`]: for all producers.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Tells whether the queue is closed; asks after the dead as
    /// [`Producer::is_closed`](crate::Producer::is_closed) does.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.counted.queue().look_after_ends();
        self.queue.is_closed()
    }
}

impl<T: Message> PriorityProducer<T> {
    /// As [`PriorityQueue::put`]: blocks while the level is full.
    ///
    /// If the last consumer is killed meanwhile, it notices within 0.1 s; one that never has to wait
    /// notices when the level is full.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put`]; [`PutError::Closed`] also when the last counted consumer is gone.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[inline]
    pub fn put(&self, level: usize, item: T) -> Result<(), PutError<T>> {
        self.queue.put(level, item)
    }

    /// As [`PriorityQueue::try_put`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::try_put`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    #[inline]
    pub fn try_put(&self, level: usize, item: T) -> Result<(), TryPutError<T>> {
        self.queue.try_put(level, item)
    }

    /// As [`PriorityQueue::put_timeout`]: blocks while the level is full, but no longer than
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put_timeout`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    #[inline]
    pub fn put_timeout(
        &self,
        level: usize,
        item: T,
        timeout: Duration,
    ) -> Result<(), TryPutError<T>> {
        self.queue.put_timeout(level, item, timeout)
    }

    /// As [`PriorityQueue::put_deadline`]: blocks while the level is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put_deadline`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    #[inline]
    pub fn put_deadline(
        &self,
        level: usize,
        item: T,
        deadline: Deadline,
    ) -> Result<(), TryPutError<T>> {
        self.queue.put_deadline(level, item, deadline)
    }

    /// As [`PriorityQueue::put_many`]: blocks while the level is full.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put_many`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub fn put_many(&self, level: usize, items: &[T]) -> Result<(), PutManyError> {
        self.queue.put_many(level, items)
    }

    /// As [`PriorityQueue::try_put_many`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::try_put_many`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub fn try_put_many(&self, level: usize, items: &[T]) -> Result<usize, PutManyError> {
        self.queue.try_put_many(level, items)
    }

    /// As [`PriorityQueue::put_many_timeout`]: blocks while the level is full, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put_many_timeout`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub fn put_many_timeout(
        &self,
        level: usize,
        items: &[T],
        timeout: Duration,
    ) -> Result<usize, PutManyError> {
        self.queue.put_many_timeout(level, items, timeout)
    }

    /// As [`PriorityQueue::put_many_deadline`]: blocks while the level is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::put_many_deadline`] and [`put`](Self::put).
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub fn put_many_deadline(
        &self,
        level: usize,
        items: &[T],
        deadline: Deadline,
    ) -> Result<usize, PutManyError> {
        self.queue.put_many_deadline(level, items, deadline)
    }
}

/// One more producer.
impl<T> Clone for PriorityProducer<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), counted: self.counted.clone() }
    }
}

impl<T> fmt::Debug for PriorityProducer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PriorityProducer").field(&self.queue).finish()
    }
}

/// On the way to another process only.
impl<T: Message> Serialize for PriorityProducer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.counted.serialize(serializer)
    }
}

/// On the way from another process only. What arrives is counted.
impl<'de, T: Message> Deserialize<'de> for PriorityProducer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let first = |queue: &PriorityQueue<T>| queue.level(0).clone();
        let (queue, counted) = Counted::deserialize_with(Side::Producers, deserializer, first)?;
        Ok(Self { queue, counted })
    }
}
