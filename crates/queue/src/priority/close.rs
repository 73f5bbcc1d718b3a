//! The end of a queue with levels: by a call, or for want of those who are counted.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_sys::clock::Deadline;

use super::consumer::PriorityConsumer;
use super::handle::PriorityQueue;
use super::producer::PriorityProducer;
use crate::close::{Cause, take_rest};
use crate::error::{GetError, Result, TryGetError};

impl<T> PriorityQueue<T> {
    /// Refuses new items at all levels for ever, in all processes; items that are in can still be
    /// taken. Wakes all who wait. Closing again does nothing.
    ///
    /// Never blocks. A process killed in it has closed all levels or none.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityQueue, TryGetError, TryPutError};
    ///
    /// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
    /// queue.put(0, 1)?;
    /// queue.close();
    /// assert!(matches!(queue.try_put(1, 2), Err(TryPutError::Closed(2))));
    /// assert_eq!(queue.try_get()?, (0, 1));
    /// assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.levels.close();
    }

    /// Tells whether the queue was closed, at that moment. Items may still be in it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.levels.is_closed()
    }

    /// Why the queue is closed, or `None` while it is open: a snapshot. If two causes met, one of
    /// them.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Cause, PriorityQueue};
    ///
    /// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
    /// assert_eq!(queue.why_closed(), None);
    /// drop(queue.consumer()?);
    /// assert_eq!(queue.why_closed(), Some(Cause::NoConsumers));
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    #[must_use]
    pub fn why_closed(&self) -> Option<Cause> {
        self.queues[0].why_closed()
    }

    /// Makes a counted handle of those who put, at any level. Never blocks.
    ///
    /// Once a producer was counted, the queue closes for ever, at all levels, when the last one is
    /// dropped **or its process ends**; see [`Queue::producer`](crate::Queue::producer).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Cause, PriorityQueue};
    ///
    /// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
    /// let producer = queue.producer()?;
    /// producer.put(0, 7)?;
    /// drop(producer);
    /// assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>()?, [(0, 7)]);
    /// assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoPlace`](crate::Error::NoPlace): as many processes have producers as the queue was
    /// made for.
    pub fn producer(&self) -> Result<PriorityProducer<T>> {
        PriorityProducer::new(self.clone())
    }

    /// Makes a counted handle of those who take. Never blocks.
    ///
    /// Once a consumer was counted, the queue closes for ever, at all levels, when the last one is
    /// dropped or its process ends: producers get their items back. See
    /// [`Queue::consumer`](crate::Queue::consumer).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityQueue, PutError};
    ///
    /// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
    /// drop(queue.consumer()?);
    /// assert!(matches!(queue.put(1, 8), Err(PutError::Closed(8))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`producer`](Self::producer).
    pub fn consumer(&self) -> Result<PriorityConsumer<T>> {
        PriorityConsumer::new(self.clone())
    }

    /// Counted producers, at that moment; see
    /// [`Queue::producers_counted`](crate::Queue::producers_counted).
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 4)?;
    /// let _both = (queue.producer()?, queue.producer()?);
    /// assert_eq!((queue.producers_counted(), queue.consumers_counted()), (2, 0));
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    #[must_use]
    pub fn producers_counted(&self) -> usize {
        self.queues[0].producers_counted()
    }

    /// Counted consumers, as [`producers_counted`](Self::producers_counted).
    #[must_use]
    pub fn consumers_counted(&self) -> usize {
        self.queues[0].consumers_counted()
    }

    /// Takes back the counts of handles that this process has sent and that have not arrived; see
    /// [`Queue::recall`](crate::Queue::recall). Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityProducer, PriorityQueue, Queue};
    ///
    /// let queue = PriorityQueue::<u32>::bounded(2, 4)?;
    /// let mail = Queue::<PriorityProducer<u32>>::bounded(4)?;
    /// mail.put(queue.producer()?)?;
    /// queue.recall();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recall(&self) {
        self.queues[0].recall();
    }
}

impl<T: Message> PriorityQueue<T> {
    /// Closes the queue and takes out all that is in it: what [`iter`](Self::iter) would bring after
    /// [`close`](Self::close). An item that cannot be read is an error in its place.
    ///
    /// Blocks as [`get`](Self::get) does, which at a closed queue is as long as a process that lives is
    /// in the middle of putting or taking an item. If the process is killed in it, what it had taken
    /// is gone with it, and the rest can be taken by the consumers, or by another `close_now`.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 4)?;
    /// queue.put(0, 1)?;
    /// queue.put(1, 2)?;
    /// let dropped: Result<Vec<_>, _> = queue.close_now().into_iter().collect();
    /// assert_eq!(dropped?, [(1, 2), (0, 1)]);
    /// assert!(queue.is_closed() && queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Vec<Result<(usize, T), GetError>> {
        self.close();
        self.iter().take(self.places()).collect()
    }

    /// As [`close_now`](Self::close_now), blocking until `deadline` at most. If it passes, the last of
    /// the results is [`TryGetError::Empty`], and the queue may still hold items.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::clock::Deadline;
    ///
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 4)?;
    /// queue.put(1, 5)?;
    /// let dropped = queue.close_now_deadline(Deadline::from_nanos(1));
    /// assert!(matches!(dropped[..], [Ok((1, 5))]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now_deadline(&self, deadline: Deadline) -> Vec<Result<(usize, T), TryGetError>> {
        self.close();
        take_rest(self.places(), || self.get_deadline(deadline))
    }

    /// As [`close_now_deadline`](Self::close_now_deadline), with a time from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc_queue::PriorityQueue::<u32>::bounded(2, 4)?;
    /// assert!(queue.close_now_timeout(Duration::ZERO).is_empty());
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    pub fn close_now_timeout(&self, timeout: Duration) -> Vec<Result<(usize, T), TryGetError>> {
        self.close_now_deadline(Deadline::after(timeout))
    }
}
