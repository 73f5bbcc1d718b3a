//! Taking leases by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;

use crate::consumer::Consumer;
use crate::error::{GetError, TryGetError};
use crate::lease::Lease;
use crate::queue::Queue;

/// The future of [`Queue::lease_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct GetLease<'q, T> {
    queue: &'q Queue<T>,
    wait: TaskWait,
}

impl<T: Message> Queue<T> {
    /// Hands out the first item, which is the queue's until [`Lease::ack`]. Waits while the queue is
    /// empty, and while as many items are on lease as can be at once, without blocking the thread; as
    /// [`lease`](Self::lease) otherwise.
    ///
    /// Dropped before it is ready, the future has taken nothing. A lease that is dropped in a task that
    /// is aborted goes back, and its item is delivered again.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put_async(7).await?;
    /// let lease = queue.lease_async().await?;
    /// assert_eq!(*lease, 7);
    /// lease.ack()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_async(&self) -> GetLease<'_, T> {
        GetLease { queue: self, wait: TaskWait::new() }
    }
}

impl<T: Message> Consumer<T> {
    /// As [`Queue::lease_async`].
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_async(&self) -> GetLease<'_, T> {
        self.queue().lease_async()
    }
}

impl<'q, T: Message> Future for GetLease<'q, T> {
    type Output = Result<Lease<'q, T>, GetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        match queue.stay_to_get(&mut self.wait, cx, queue.try_lease(), false) {
            Some(leased) => Poll::Ready(leased.map_err(TryGetError::without_empty)),
            None => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for GetLease<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GetLease").field(&self.queue).finish()
    }
}
