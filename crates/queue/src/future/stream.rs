//! Items as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;
use futures_core::stream::{FusedStream, Stream};

use crate::consumer::Consumer;
use crate::error::GetError;
use crate::iter::step;
use crate::queue::Queue;

/// Items until the queue is closed and drained, from [`Queue::stream`] or [`Consumer::stream`].
///
/// Each step is a [`get_async`](Queue::get_async). An item that could not be read is an error and does not
/// end the stream; an item that this process cannot take, and a corrupt queue, do.
///
/// It owns a handle, so that it can be given to a task.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct ItemStream<T> {
    queue: Queue<T>,
    /// Counts for as long as the stream lives.
    _counted: Option<Consumer<T>>,
    wait: TaskWait,
    is_done: bool,
}

impl<T> ItemStream<T> {
    fn new(queue: &Queue<T>, counted: Option<Consumer<T>>) -> Self {
        Self { queue: queue.clone(), _counted: counted, wait: TaskWait::new(), is_done: false }
    }
}

impl<T: Message> Queue<T> {
    /// Items as they come, until the queue is closed and drained: also when the last counted
    /// [`Producer`](crate::Producer) was dropped or its process has died, within 0.1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::TryStreamExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put(1)?;
    /// queue.put(2)?;
    /// queue.close();
    /// let items: Vec<u64> = queue.stream().try_collect().await?;
    /// assert_eq!(items, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> ItemStream<T> {
        ItemStream::new(self, None)
    }
}

impl<T: Message> Consumer<T> {
    /// As [`Queue::stream`]. The stream counts as one more consumer.
    pub fn stream(&self) -> ItemStream<T> {
        ItemStream::new(self.queue(), Some(self.clone()))
    }
}

impl<T: Message> Stream for ItemStream<T> {
    type Item = Result<T, GetError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let Self { queue, wait, is_done, .. } = &mut *self;
        queue.poll_get(wait, cx).map(|got| step(is_done, || got))
    }
}

impl<T: Message> FusedStream for ItemStream<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}
