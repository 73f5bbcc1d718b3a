//! The counted handle of those who take, from all levels.

use std::fmt;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::handle::PriorityQueue;
use super::iter::PriorityIter;
use super::look::PriorityDrain;
use crate::counted::Counted;
use crate::error::{GetError, Result, TryGetError};
use crate::raw::Side;

/// A handle of the consumers of a queue with levels that is counted: made by
/// [`PriorityQueue::consumer`].
///
/// When the last one is dropped, or the last process that has one ends, the queue closes for ever at
/// all levels, and producers get their items back in [`PutError::Closed`](crate::PutError::Closed).
/// See [`Consumer`](crate::Consumer); what counts is told at [`Producer`](crate::Producer).
///
/// # Examples
///
/// ```
/// use crossproc_queue::PriorityQueue;
///
/// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
/// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.put(0, 1)?;
/// producer.put(1, 2)?;
/// drop(producer);
/// let items: Result<Vec<_>, _> = consumer.iter().collect();
/// assert_eq!(items?, [(1, 2), (0, 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PriorityConsumer<T> {
    queue: PriorityQueue<T>,
    counted: Counted<T>,
}

impl<T> PriorityConsumer<T> {
    pub(super) fn new(queue: PriorityQueue<T>) -> Result<Self> {
        let counted = Counted::new(queue.level(0).clone(), Side::Consumers)?;
        Ok(Self { queue, counted })
    }

    /// The queue. A handle of it counts for nothing.
    #[must_use]
    pub fn queue(&self) -> &PriorityQueue<T> {
        &self.queue
    }

    /// As [`PriorityQueue::close`].
    pub fn close(&self) {
        self.queue.close();
    }

    /// Tells whether the queue is closed, as
    /// [`PriorityProducer::is_closed`](super::PriorityProducer::is_closed). Items may still be in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.counted.queue().look_after_ends();
        self.queue.is_closed()
    }
}

impl<T: Message> PriorityConsumer<T> {
    /// As [`PriorityQueue::get`]: blocks while the queue is empty.
    ///
    /// If the last producer is killed meanwhile, it notices within 0.1 s.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get`]; [`GetError::Closed`] also when the last counted producer is gone
    /// and all that was put is taken.
    #[inline]
    pub fn get(&self) -> Result<(usize, T), GetError> {
        self.queue.get()
    }

    /// As [`PriorityQueue::try_get`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::try_get`] and [`get`](Self::get).
    #[inline]
    pub fn try_get(&self) -> Result<(usize, T), TryGetError> {
        self.queue.try_get()
    }

    /// As [`PriorityQueue::get_timeout`]: blocks while the queue is empty, but no longer than
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get_timeout`] and [`get`](Self::get).
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<(usize, T), TryGetError> {
        self.queue.get_timeout(timeout)
    }

    /// As [`PriorityQueue::get_deadline`]: blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get_deadline`] and [`get`](Self::get).
    #[inline]
    pub fn get_deadline(&self, deadline: Deadline) -> Result<(usize, T), TryGetError> {
        self.queue.get_deadline(deadline)
    }

    /// As [`PriorityQueue::get_many`]: blocks while the queue is empty.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get_many`] and [`get`](Self::get).
    pub fn get_many(&self, out: &mut Vec<(usize, T)>, most: usize) -> Result<usize, GetError> {
        self.queue.get_many(out, most)
    }

    /// As [`PriorityQueue::try_get_many`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::try_get_many`] and [`get`](Self::get).
    pub fn try_get_many(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
    ) -> Result<usize, TryGetError> {
        self.queue.try_get_many(out, most)
    }

    /// As [`PriorityQueue::get_many_timeout`]: blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get_many_timeout`] and [`get`](Self::get).
    pub fn get_many_timeout(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, TryGetError> {
        self.queue.get_many_timeout(out, most, timeout)
    }

    /// As [`PriorityQueue::get_many_deadline`]: blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::get_many_deadline`] and [`get`](Self::get).
    pub fn get_many_deadline(
        &self,
        out: &mut Vec<(usize, T)>,
        most: usize,
        deadline: Deadline,
    ) -> Result<usize, TryGetError> {
        self.queue.get_many_deadline(out, most, deadline)
    }

    /// As [`PriorityQueue::peek`]: a copy of the first item, which stays. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::peek`] and [`get`](Self::get).
    pub fn peek(&self) -> Result<(usize, T), TryGetError> {
        self.queue.peek()
    }

    /// As [`PriorityQueue::drain`]: takes the items that are ready. Never blocks.
    #[must_use]
    pub fn drain(&self) -> PriorityDrain<'_, T> {
        self.queue.drain()
    }

    /// As [`PriorityQueue::iter`]: takes items until the queue is closed and drained.
    #[must_use]
    pub fn iter(&self) -> PriorityIter<'_, T> {
        self.queue.iter()
    }

    /// As [`PriorityQueue::close_now`].
    pub fn close_now(&self) -> Vec<Result<(usize, T), GetError>> {
        self.queue.close_now()
    }
}

/// One more consumer.
impl<T> Clone for PriorityConsumer<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), counted: self.counted.clone() }
    }
}

/// Ready when [`get`](PriorityConsumer::get) would not block, as for the queue.
impl<T> Waitable for PriorityConsumer<T> {
    fn is_ready(&self, look: Look) -> bool {
        self.queue.is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        self.queue.source()
    }
}

impl<T> fmt::Debug for PriorityConsumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PriorityConsumer").field(&self.queue).finish()
    }
}

/// On the way to another process only.
impl<T: Message> Serialize for PriorityConsumer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.counted.serialize(serializer)
    }
}

/// On the way from another process only. What arrives is counted.
impl<'de, T: Message> Deserialize<'de> for PriorityConsumer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let first = |queue: &PriorityQueue<T>| queue.level(0).clone();
        let (queue, counted) = Counted::deserialize_with(Side::Consumers, deserializer, first)?;
        Ok(Self { queue, counted })
    }
}

impl<'c, T: Message> IntoIterator for &'c PriorityConsumer<T> {
    type Item = Result<(usize, T), GetError>;
    type IntoIter = PriorityIter<'c, T>;

    fn into_iter(self) -> PriorityIter<'c, T> {
        self.iter()
    }
}
