//! Getting items by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;

use crate::consumer::Consumer;
use crate::error::{GetError, TryGetError};
use crate::queue::Queue;

/// The future of [`Queue::get_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Get<'q, T> {
    queue: &'q Queue<T>,
    wait: TaskWait,
}

impl<T: Message> Queue<T> {
    /// Takes the first item. Waits while the queue is empty, without blocking the thread; as
    /// [`get`](Self::get) otherwise.
    ///
    /// The future notices within 0.1 s if a process died that stood in its way, or that was the last
    /// with a counted [`Producer`](crate::Producer).
    ///
    /// Dropped before it is ready, it has taken nothing; see [`future`](crate::future).
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// let (got, put) = tokio::join!(queue.get_async(), queue.put_async(7));
    /// put?;
    /// assert_eq!(got?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_async(&self) -> Get<'_, T> {
        Get { queue: self, wait: TaskWait::new() }
    }

    pub(super) fn poll_get(
        &self,
        wait: &mut TaskWait,
        cx: &Context<'_>,
    ) -> Poll<Result<T, GetError>> {
        match self.stay_to_get(wait, cx, self.try_get(), true) {
            Some(got) => Poll::Ready(got.map_err(TryGetError::without_empty)),
            None => Poll::Pending,
        }
    }
}

impl<T: Message> Consumer<T> {
    /// As [`Queue::get_async`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_async(&self) -> Get<'_, T> {
        self.queue().get_async()
    }
}

impl<T: Message> Future for Get<'_, T> {
    type Output = Result<T, GetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        queue.poll_get(&mut self.wait, cx)
    }
}

impl<T> fmt::Debug for Get<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Get").field(&self.queue).finish()
    }
}
