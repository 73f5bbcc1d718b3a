//! The counted handle of those who take.

use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;
use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::counted::Counted;
use crate::error::{GetError, Result, TryGetError};
use crate::iter::{Iter, step};
use crate::look::Drain;
use crate::queue::Queue;
use crate::raw::Side;

/// A handle of a queue's consumers that is counted: made by [`Queue::consumer`].
///
/// When the last one is dropped, or the last process that has one ends, the queue closes for ever,
/// and producers get their items back in [`PutError::Closed`](crate::PutError::Closed). A producer
/// that waits notices a death within about 0.1 s after the kernel has let the process go; one that
/// does not wait notices when the queue is full. What was in the queue stays there, for whoever has
/// a plain handle of it.
///
/// What counts is told at [`Producer`](crate::Producer), and is the same here: clones, handles that
/// were sent, handles on their way; not the copies of a forked child.
///
/// # Examples
///
/// ```
/// use crossproc_queue::Queue;
///
/// let queue = Queue::<u32>::bounded(4)?;
/// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
/// producer.put(1)?;
/// producer.put(2)?;
/// drop(producer);
/// let items: Result<Vec<u32>, _> = consumer.iter().collect();
/// assert_eq!(items?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T> {
    counted: Counted<T>,
}

impl<T> Consumer<T> {
    pub(crate) fn new(queue: Queue<T>) -> Result<Self> {
        Ok(Self { counted: Counted::new(queue, Side::Consumers)? })
    }

    /// The queue. A handle of it counts for nothing.
    #[must_use]
    pub fn queue(&self) -> &Queue<T> {
        self.counted.queue()
    }

    /// As [`Queue::close`].
    pub fn close(&self) {
        self.queue().close();
    }

    /// Tells whether the queue is closed, as [`Producer::is_closed`](crate::Producer::is_closed).
    /// Items may still be in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue().look_after_ends();
        self.queue().is_closed()
    }

    /// As [`Queue::len`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// As [`Queue::is_empty`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// As [`Queue::is_full`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue().is_full()
    }

    /// As [`Queue::capacity`].
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue().capacity()
    }

    /// The segment in which the queue lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.queue().segment()
    }
}

impl<T: Message> Consumer<T> {
    /// As [`Queue::get`]: blocks while the queue is empty.
    ///
    /// If the last producer is killed meanwhile, it notices within 0.1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{GetError, Queue};
    ///
    /// let queue = Queue::<u32>::bounded(4)?;
    /// let consumer = queue.consumer()?;
    /// drop(queue.producer()?);
    /// assert!(matches!(consumer.get(), Err(GetError::Closed)));
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Queue::get`]; [`GetError::Closed`] also when the last counted producer is gone and all
    /// that was put is taken.
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.queue().get()
    }

    /// As [`Queue::try_get`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_get`] and [`get`](Self::get).
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.queue().try_get()
    }

    /// As [`Queue::get_timeout`]: blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_timeout`] and [`get`](Self::get).
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.queue().get_timeout(timeout)
    }

    /// As [`Queue::get_deadline`]: blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_deadline`] and [`get`](Self::get).
    #[inline]
    pub fn get_deadline(&self, deadline: Deadline) -> Result<T, TryGetError> {
        self.queue().get_deadline(deadline)
    }

    /// As [`Queue::get_many`]: blocks while the queue is empty.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_many`] and [`get`](Self::get).
    pub fn get_many(&self, out: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.queue().get_many(out, most)
    }

    /// As [`Queue::try_get_many`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_get_many`] and [`get`](Self::get).
    pub fn try_get_many(&self, out: &mut Vec<T>, most: usize) -> Result<usize, TryGetError> {
        self.queue().try_get_many(out, most)
    }

    /// As [`Queue::get_many_timeout`]: blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_many_timeout`] and [`get`](Self::get).
    pub fn get_many_timeout(
        &self,
        out: &mut Vec<T>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, TryGetError> {
        self.queue().get_many_timeout(out, most, timeout)
    }

    /// As [`Queue::get_many_deadline`]: blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_many_deadline`] and [`get`](Self::get).
    pub fn get_many_deadline(
        &self,
        out: &mut Vec<T>,
        most: usize,
        deadline: Deadline,
    ) -> Result<usize, TryGetError> {
        self.queue().get_many_deadline(out, most, deadline)
    }

    /// As [`Queue::peek`]: a copy of the first item, which stays. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::peek`] and [`get`](Self::get).
    pub fn peek(&self) -> Result<T, TryGetError> {
        self.queue().peek()
    }

    /// As [`Queue::drain`]: takes the items that are ready. Never blocks.
    #[must_use]
    pub fn drain(&self) -> Drain<'_, T> {
        self.queue().drain()
    }

    /// As [`Queue::iter`]: takes items until the queue is closed and drained.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        self.queue().iter()
    }

    /// As [`Queue::close_now`].
    pub fn close_now(&self) -> Vec<Result<T, GetError>> {
        self.queue().close_now()
    }
}

/// One more consumer.
impl<T> Clone for Consumer<T> {
    fn clone(&self) -> Self {
        Self { counted: self.counted.clone() }
    }
}

/// Ready when [`get`](Consumer::get) would not block, as for the queue.
impl<T> Waitable for Consumer<T> {
    fn is_ready(&self, look: Look) -> bool {
        self.queue().is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        self.queue().source()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Consumer").field(self.queue()).finish()
    }
}

/// On the way to another process only.
impl<T: Message> Serialize for Consumer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.counted.serialize(serializer)
    }
}

/// On the way from another process only. What arrives is counted.
impl<'de, T: Message> Deserialize<'de> for Consumer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { counted: Counted::deserialize(Side::Consumers, deserializer)? })
    }
}

/// Items of a consumer until its queue is closed and drained; counted as long as it lives.
#[derive(Debug)]
pub struct IntoIter<T> {
    consumer: Consumer<T>,
    done: bool,
}

impl<T: Message> Iterator for IntoIter<T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.consumer.get())
    }
}

impl<T: Message> FusedIterator for IntoIter<T> {}

impl<T: Message> IntoIterator for Consumer<T> {
    type Item = Result<T, GetError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { consumer: self, done: false }
    }
}

impl<'c, T: Message> IntoIterator for &'c Consumer<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'c, T>;

    fn into_iter(self) -> Iter<'c, T> {
        self.iter()
    }
}
