//! A queue's end as a sink.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;
use futures_sink::Sink;

use crate::error::{PutError, Refusal};
use crate::producer::Producer;
use crate::put::Patience;
use crate::queue::Queue;

/// Where items are put, from [`Queue::sink`] or [`Producer::sink`].
///
/// It is ready when the queue has room. If others are faster then, the item waits in the sink, which puts
/// it when it is asked to be ready again, flushed or closed; `send` flushes. A sink that is dropped before
/// drops such an item with it, and so does the death of the process.
///
/// Closing it is the end of the sink, not of the queue: of one that was made from a counted handle, the
/// count. That closes the queue if it was the last.
///
/// It owns a handle, so that it can be given to a task.
#[must_use = "a sink does nothing unless it is polled"]
pub struct ItemSink<T> {
    queue: Queue<T>,
    /// Counts until the sink is closed.
    counted: Option<Producer<T>>,
    /// What found no room.
    item: Option<T>,
    wait: TaskWait,
    is_closed: bool,
}

/// The item is never pinned.
impl<T> Unpin for ItemSink<T> {}

impl<T> ItemSink<T> {
    fn new(queue: &Queue<T>, counted: Option<Producer<T>>) -> Self {
        let wait = TaskWait::new();
        Self { queue: queue.clone(), counted, item: None, wait, is_closed: false }
    }
}

impl<T: Message> ItemSink<T> {
    fn poll_item(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<T>>> {
        let Some(item) = self.item.take() else { return Poll::Ready(Ok(())) };
        match self.queue.poll_put(&mut self.wait, cx, &item) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|refusal| refusal.of_put(item))),
            Poll::Pending => {
                self.item = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T: Message> Queue<T> {
    /// A sink that puts items at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::SinkExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// let mut sink = queue.sink();
    /// sink.feed(1).await?;
    /// sink.send(2).await?;
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink(&self) -> ItemSink<T> {
        ItemSink::new(self, None)
    }
}

impl<T: Message> Producer<T> {
    /// As [`Queue::sink`]. The sink counts as one more producer until it is closed.
    pub fn sink(&self) -> ItemSink<T> {
        ItemSink::new(self.queue(), Some(self.clone()))
    }
}

impl<T: Message> Sink<T> for ItemSink<T> {
    type Error = PutError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        let this = self.get_mut();
        ready!(this.poll_item(cx))?;
        if matches!(this.queue.refuse_if_full(), Err(Refusal::Full)) {
            this.queue.stay_to_put(&mut this.wait, cx);
            return Poll::Pending;
        }
        // Anything else is said by `start_send`, which has an item to give back.
        this.wait.leave();
        Poll::Ready(Ok(()))
    }

    /// # Panics
    ///
    /// If the sink was not ready.
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), PutError<T>> {
        let this = self.get_mut();
        assert!(this.item.is_none(), "a sink takes an item when it has said that it is ready");
        if this.is_closed {
            return Err(PutError::Closed(item));
        }
        match this.queue.put_within(&item, Patience::None) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => {
                this.item = Some(item);
                Ok(())
            }
            Err(refusal) => Err(refusal.of_put(item)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        self.get_mut().poll_item(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        let this = self.get_mut();
        ready!(this.poll_item(cx))?;
        this.is_closed = true;
        this.counted = None;
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for ItemSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSink")
            .field("queue", &self.queue)
            .field("holds_item", &self.item.is_some())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
