//! Putting items by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;

use crate::error::{PutError, Refusal};
use crate::producer::Producer;
use crate::put::Patience;
use crate::queue::Queue;

/// The future of [`Queue::put_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Put<'q, T> {
    queue: &'q Queue<T>,
    /// Until it is put or given back.
    item: Option<T>,
    wait: TaskWait,
}

/// The item is never pinned.
impl<T> Unpin for Put<'_, T> {}

impl<T: Message> Queue<T> {
    /// Puts an item at the end. Waits while the queue is full, without blocking the thread; as
    /// [`put`](Self::put) otherwise.
    ///
    /// The future notices within 0.1 s if a process died that held a place, or that was the last with
    /// a counted [`Consumer`](crate::Consumer).
    ///
    /// Dropped before it is ready, it drops the item, which was not put. Who wants it back asks by
    /// [`try_put`](Self::try_put) first.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::Queue::<String>::bounded(1)?;
    /// queue.put_async("one".to_owned()).await?;
    /// queue.close();
    /// let refused = queue.put_async("two".to_owned()).await.unwrap_err();
    /// assert_eq!(refused.into_item(), "two");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put): the item comes back.
    ///
    /// # Panics
    ///
    /// If the future is polled after it was ready.
    pub fn put_async(&self, item: T) -> Put<'_, T> {
        Put { queue: self, item: Some(item), wait: TaskWait::new() }
    }

    pub(super) fn poll_put(
        &self,
        wait: &mut TaskWait,
        cx: &Context<'_>,
        item: &T,
    ) -> Poll<Result<(), Refusal>> {
        match self.put_within(item, Patience::None) {
            Err(Refusal::Full) => {
                self.stay_to_put(wait, cx);
                Poll::Pending
            }
            answer => {
                wait.leave();
                Poll::Ready(answer)
            }
        }
    }
}

impl<T: Message> Producer<T> {
    /// As [`Queue::put_async`].
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put): the item comes back.
    ///
    /// # Panics
    ///
    /// As [`Queue::put_async`].
    pub fn put_async(&self, item: T) -> Put<'_, T> {
        self.queue().put_async(item)
    }
}

impl<T: Message> Future for Put<'_, T> {
    type Output = Result<(), PutError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { queue, item: slot, wait } = self.get_mut();
        let item = slot.take().expect("a future is not polled after it was ready");
        match queue.poll_put(wait, cx, &item) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|refusal| refusal.of_put(item))),
            Poll::Pending => {
                *slot = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Put<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Put").field(&self.queue).finish()
    }
}
