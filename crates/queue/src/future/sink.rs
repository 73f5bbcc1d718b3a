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

/// Where a sink puts its items.
pub(super) trait Mouth {
    type Item;

    /// Puts an item, if there is room.
    fn put_once(&self, item: &Self::Item) -> Result<(), Refusal>;

    /// Whether there is no room.
    fn is_full_now(&self) -> bool;

    /// Has the task woken when there is room.
    fn stay(&self, wait: &mut TaskWait, cx: &Context<'_>);
}

impl<T: Message> Mouth for Queue<T> {
    type Item = T;

    fn put_once(&self, item: &T) -> Result<(), Refusal> {
        self.put_within(item, Patience::None)
    }

    fn is_full_now(&self) -> bool {
        matches!(self.refuse_if_full(), Err(Refusal::Full))
    }

    fn stay(&self, wait: &mut TaskWait, cx: &Context<'_>) {
        self.stay_to_put(wait, cx);
    }
}

/// What sinks are made of, at a queue `M`; `C` is a counted handle of it.
pub(super) struct Drip<M, C, T> {
    pub(super) to: M,
    /// Counts until the sink is closed.
    counted: Option<C>,
    /// What found no room.
    item: Option<T>,
    wait: TaskWait,
    is_closed: bool,
}

impl<M, C, T> Drip<M, C, T> {
    pub(super) fn new(to: M, counted: Option<C>) -> Self {
        Self { to, counted, item: None, wait: TaskWait::new(), is_closed: false }
    }
}

impl<M: Mouth, C> Drip<M, C, M::Item> {
    pub(super) fn poll_item(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<M::Item>>> {
        let Some(item) = self.item.take() else { return Poll::Ready(Ok(())) };
        match self.to.put_once(&item) {
            Err(Refusal::Full) => {
                self.to.stay(&mut self.wait, cx);
                self.item = Some(item);
                Poll::Pending
            }
            answer => {
                self.wait.leave();
                Poll::Ready(answer.map_err(|refusal| refusal.of_put(item)))
            }
        }
    }

    pub(super) fn poll_ready(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<M::Item>>> {
        ready!(self.poll_item(cx))?;
        if self.to.is_full_now() {
            self.to.stay(&mut self.wait, cx);
            return Poll::Pending;
        }
        // Anything else is said by `start_send`, which has an item to give back.
        self.wait.leave();
        Poll::Ready(Ok(()))
    }

    pub(super) fn start_send(&mut self, item: M::Item) -> Result<(), PutError<M::Item>> {
        assert!(self.item.is_none(), "a sink takes an item when it has said that it is ready");
        if self.is_closed {
            return Err(PutError::Closed(item));
        }
        match self.to.put_once(&item) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => {
                self.item = Some(item);
                Ok(())
            }
            Err(refusal) => Err(refusal.of_put(item)),
        }
    }

    pub(super) fn poll_close(&mut self, cx: &Context<'_>) -> Poll<Result<(), PutError<M::Item>>> {
        ready!(self.poll_item(cx))?;
        self.is_closed = true;
        self.counted = None;
        Poll::Ready(Ok(()))
    }
}

impl<M: fmt::Debug, C, T> fmt::Debug for Drip<M, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drip")
            .field("queue", &self.to)
            .field("holds_item", &self.item.is_some())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}

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
#[derive(Debug)]
#[must_use = "a sink does nothing unless it is polled"]
pub struct ItemSink<T> {
    drip: Drip<Queue<T>, Producer<T>, T>,
}

/// The item is never pinned.
impl<T> Unpin for ItemSink<T> {}

impl<T> ItemSink<T> {
    fn new(queue: &Queue<T>, counted: Option<Producer<T>>) -> Self {
        Self { drip: Drip::new(queue.clone(), counted) }
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
        self.get_mut().drip.poll_ready(cx)
    }

    /// # Panics
    ///
    /// If the sink was not ready.
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), PutError<T>> {
        self.get_mut().drip.start_send(item)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        self.get_mut().drip.poll_item(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        self.get_mut().drip.poll_close(cx)
    }
}
