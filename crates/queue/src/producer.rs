//! The counted handle of those who put.

use std::fmt;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::counted::Counted;
use crate::error::{PutError, PutManyError, PutOverError, Result, TryPutError};
use crate::queue::Queue;
use crate::raw::Side;
use crate::waitable::Space;

/// A handle of a queue's producers that is counted: made by [`Queue::producer`].
///
/// When the last one is dropped, or the last process that has one ends (returns, is killed, execs
/// another program), the queue closes for ever: what was put is taken, then consumers see
/// [`GetError::Closed`](crate::GetError::Closed). A consumer that waits notices a death within about
/// 0.1 s after the kernel has let the process go. A queue of which no producer was ever counted
/// closes only by [`close`](Queue::close), or for want of consumers.
///
/// - A **clone** counts, and so does the handle that another process gets when one is sent to it. On
///   its way a handle counts too: as the sender's, until it has arrived or the sender's process
///   has ended. So it can be given away: `spawn((producer,), work)` leaves no gap. If the call that was
///   to send it fails, or the child it was an argument for ends before it has it, it counts no more. One
///   that is lost in another way (in a queue, with a consumer that was killed as it took it) counts
///   until the sender's process ends or calls [`Queue::recall`]. A lease counts as an
///   arrival, also one that goes back.
/// - A **forked** child has copies of its parent's handles, which are still the parent's: they can
///   be used, but count for nothing, and to drop them does nothing. A clone that the child makes
///   of one counts as the child's.
/// - Made from a queue whose producers are gone already, it counts for nothing, and each put says
///   `Closed`.
/// - Leaked ([`std::mem::forget`]), it counts until its process ends.
///
/// The methods are those of [`Queue`]; [`queue`](Self::queue) has the rest.
///
/// # Examples
///
/// ```
/// use crossproc_queue::{GetError, Queue};
///
/// let queue = Queue::<u32>::bounded(4)?;
/// let producer = queue.producer()?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || producer.put(1));
///     assert_eq!(queue.get()?, 1);
///     assert!(matches!(queue.get(), Err(GetError::Closed)));
///     Ok::<(), GetError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<T> {
    counted: Counted<T>,
}

impl<T> Producer<T> {
    pub(crate) fn new(queue: Queue<T>) -> Result<Self> {
        Ok(Self { counted: Counted::new(queue, Side::Producers)? })
    }

    /// The queue. A handle of it counts for nothing.
    #[must_use]
    pub fn queue(&self) -> &Queue<T> {
        self.counted.queue()
    }

    /// As [`Queue::close`]: for all producers.
    pub fn close(&self) {
        self.queue().close();
    }

    /// Tells whether the queue is closed: by a call, or because all counted handles of a side are
    /// gone. Asks the system after the processes that have them, until one is found alive: a call or
    /// two.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    /// assert!(!producer.is_closed());
    /// drop(consumer);
    /// assert!(producer.is_closed());
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
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

    /// As [`Queue::space`]. What it gives counts for nothing.
    #[must_use]
    pub fn space(&self) -> Space<T> {
        self.queue().space()
    }

    /// The segment in which the queue lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.queue().segment()
    }
}

impl<T: Message> Producer<T> {
    /// As [`Queue::put`]: blocks while the queue is full.
    ///
    /// If the last consumer is killed meanwhile, it notices within 0.1 s; one that never has to wait
    /// notices when the queue is full.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<String>::bounded(4)?;
    /// queue.producer()?.put("item".to_owned())?;
    /// assert_eq!(queue.get()?, "item");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Queue::put`]; [`PutError::Closed`] also when the last counted consumer is gone.
    #[inline]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.queue().put(item)
    }

    /// As [`Queue::try_put`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_put`] and [`put`](Self::put).
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        self.queue().try_put(item)
    }

    /// As [`Queue::put_timeout`]: blocks while the queue is full, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_timeout`] and [`put`](Self::put).
    #[inline]
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        self.queue().put_timeout(item, timeout)
    }

    /// As [`Queue::put_deadline`]: blocks while the queue is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_deadline`] and [`put`](Self::put).
    #[inline]
    pub fn put_deadline(&self, item: T, deadline: Deadline) -> Result<(), TryPutError<T>> {
        self.queue().put_deadline(item, deadline)
    }

    /// As [`Queue::put_many`]: blocks while the queue is full.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_many`] and [`put`](Self::put).
    pub fn put_many(&self, items: &[T]) -> Result<(), PutManyError> {
        self.queue().put_many(items)
    }

    /// As [`Queue::try_put_many`]: never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_put_many`] and [`put`](Self::put).
    pub fn try_put_many(&self, items: &[T]) -> Result<usize, PutManyError> {
        self.queue().try_put_many(items)
    }

    /// As [`Queue::put_many_timeout`]: blocks while the queue is full, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_many_timeout`] and [`put`](Self::put).
    pub fn put_many_timeout(&self, items: &[T], timeout: Duration) -> Result<usize, PutManyError> {
        self.queue().put_many_timeout(items, timeout)
    }

    /// As [`Queue::put_many_deadline`]: blocks while the queue is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_many_deadline`] and [`put`](Self::put).
    pub fn put_many_deadline(
        &self,
        items: &[T],
        deadline: Deadline,
    ) -> Result<usize, PutManyError> {
        self.queue().put_many_deadline(items, deadline)
    }

    /// As [`Queue::put_over`]: never blocks, but takes the oldest item out of a full queue.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_over`] and [`put`](Self::put).
    pub fn put_over(&self, item: T) -> Result<Vec<T>, PutOverError<T>> {
        self.queue().put_over(item)
    }
}

/// One more producer.
impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        Self { counted: self.counted.clone() }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(self.queue()).finish()
    }
}

/// On the way to another process only.
impl<T: Message> Serialize for Producer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.counted.serialize(serializer)
    }
}

/// On the way from another process only. What arrives is counted.
impl<'de, T: Message> Deserialize<'de> for Producer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { counted: Counted::deserialize(Side::Producers, deserializer)? })
    }
}
