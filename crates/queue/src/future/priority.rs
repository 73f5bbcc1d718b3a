//! Priority queues by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::{TaskWait, Waitable as _};

use super::ready::key;
use crate::error::{GetError, PutError, Refusal, TryGetError};
use crate::priority::{PriorityConsumer, PriorityProducer, PriorityQueue};
use crate::put::Patience;

/// What a poll for an item gives.
pub(super) type PollFirst<T> = Poll<Result<(usize, T), GetError>>;

/// The future of [`PriorityQueue::get_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct GetFirst<'q, T> {
    queue: &'q PriorityQueue<T>,
    wait: TaskWait,
}

/// The future of [`PriorityQueue::put_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct PutAt<'q, T> {
    queue: &'q PriorityQueue<T>,
    level: usize,
    /// Until it is put or given back.
    item: Option<T>,
    wait: TaskWait,
}

/// The item is never pinned.
impl<T> Unpin for PutAt<'_, T> {}

impl<T: Message> PriorityQueue<T> {
    /// Takes the first item of the highest level that has one, and tells the level. Waits while the
    /// queue is empty, without blocking the thread; as [`get`](Self::get) otherwise.
    ///
    /// Dropped before it is ready, the future has taken nothing; see [`future`](crate::future).
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(3, 4)?;
    /// queue.put_async(0, 7).await?;
    /// queue.put_async(2, 8).await?;
    /// assert_eq!(queue.get_async().await?, (2, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_async(&self) -> GetFirst<'_, T> {
        GetFirst { queue: self, wait: TaskWait::new() }
    }

    /// Puts an item at the end of a level. Waits while that level is full, without blocking the
    /// thread; see [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put): the item comes back.
    ///
    /// # Panics
    ///
    /// If there is no such level, or the future is polled after it was ready.
    pub fn put_async(&self, level: usize, item: T) -> PutAt<'_, T> {
        let _is_there = self.level(level);
        PutAt { queue: self, level, item: Some(item), wait: TaskWait::new() }
    }
}

impl<T: Message> PriorityQueue<T> {
    pub(super) fn poll_get(&self, wait: &mut TaskWait, cx: &Context<'_>) -> PollFirst<T> {
        let got = self.try_get();
        if matches!(got, Err(TryGetError::Empty)) {
            wait.stay(cx, key(self.source(), false), || self.clone());
            return Poll::Pending;
        }
        wait.leave();
        Poll::Ready(got.map_err(TryGetError::without_empty))
    }
}

impl<T: Message> PriorityConsumer<T> {
    /// As [`PriorityQueue::get_async`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_async(&self) -> GetFirst<'_, T> {
        self.queue().get_async()
    }
}

impl<T: Message> PriorityProducer<T> {
    /// As [`PriorityQueue::put_async`].
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put): the item comes back.
    ///
    /// # Panics
    ///
    /// As [`PriorityQueue::put_async`].
    pub fn put_async(&self, level: usize, item: T) -> PutAt<'_, T> {
        self.queue().put_async(level, item)
    }
}

impl<T: Message> Future for GetFirst<'_, T> {
    type Output = Result<(usize, T), GetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        queue.poll_get(&mut self.wait, cx)
    }
}

impl<T: Message> Future for PutAt<'_, T> {
    type Output = Result<(), PutError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, level, item: slot, wait } = self.get_mut();
        let item = slot.take().expect("a future is not polled after it was ready");
        match queue.put_within(*level, &item, Patience::None) {
            Err(Refusal::Full) => {
                queue.level(*level).stay_to_put(wait, cx);
                *slot = Some(item);
                Poll::Pending
            }
            answer => {
                wait.leave();
                Poll::Ready(answer.map_err(|refusal| refusal.of_put(item)))
            }
        }
    }
}

impl<T> fmt::Debug for GetFirst<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GetFirst").field(&self.queue).finish()
    }
}

impl<T> fmt::Debug for PutAt<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutAt").field(&self.queue).field(&self.level).finish()
    }
}
