//! Leases by way of a counted consumer.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_sys::clock::Deadline;

use super::guard::Lease;
use crate::consumer::Consumer;
use crate::error::{GetError, TryGetError};
use crate::join::TaskDoneError;

impl<T: Message> Consumer<T> {
    /// As [`Queue::lease`](crate::Queue::lease): blocks while the queue is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// let consumer = queue.consumer()?;
    /// queue.put(7)?;
    /// assert_eq!(consumer.lease()?.ack()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Queue::lease`](crate::Queue::lease) and [`get`](Self::get).
    #[inline]
    pub fn lease(&self) -> Result<Lease<'_, T>, GetError> {
        self.queue().lease()
    }

    /// As [`Queue::try_lease`](crate::Queue::try_lease): never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::try_lease`](crate::Queue::try_lease) and [`get`](Self::get).
    #[inline]
    pub fn try_lease(&self) -> Result<Lease<'_, T>, TryGetError> {
        self.queue().try_lease()
    }

    /// As [`Queue::lease_timeout`](crate::Queue::lease_timeout): blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::lease_timeout`](crate::Queue::lease_timeout) and [`get`](Self::get).
    #[inline]
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<'_, T>, TryGetError> {
        self.queue().lease_timeout(timeout)
    }

    /// As [`Queue::lease_deadline`](crate::Queue::lease_deadline): blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Queue::lease_deadline`](crate::Queue::lease_deadline) and [`get`](Self::get).
    #[inline]
    pub fn lease_deadline(&self, deadline: Deadline) -> Result<Lease<'_, T>, TryGetError> {
        self.queue().lease_deadline(deadline)
    }

    /// As [`Queue::task_done`](crate::Queue::task_done).
    ///
    /// # Errors
    ///
    /// As [`Queue::task_done`](crate::Queue::task_done).
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        self.queue().task_done()
    }
}
