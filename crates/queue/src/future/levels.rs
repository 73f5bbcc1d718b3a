//! Queues with levels as streams, and each level as a sink.

use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;
use futures_core::stream::{FusedStream, Stream};
use futures_sink::Sink;

use super::sink::{Drip, Mouth};
use crate::error::{GetError, PutError, Refusal};
use crate::iter::step;
use crate::priority::{PriorityConsumer, PriorityProducer, PriorityQueue};
use crate::put::Patience;

/// Items with their levels until the queue is closed and drained, from [`PriorityQueue::stream`] or
/// [`PriorityConsumer::stream`].
///
/// Each step is a [`get_async`](PriorityQueue::get_async), and so brings the oldest item of the highest
/// level at that moment; otherwise it is as an [`ItemStream`](super::ItemStream).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct LevelStream<T> {
    queue: PriorityQueue<T>,
    /// Counts for as long as the stream lives.
    _counted: Option<PriorityConsumer<T>>,
    wait: TaskWait,
    is_done: bool,
}

impl<T> LevelStream<T> {
    fn new(queue: &PriorityQueue<T>, counted: Option<PriorityConsumer<T>>) -> Self {
        Self { queue: queue.clone(), _counted: counted, wait: TaskWait::new(), is_done: false }
    }
}

/// Where items are put at one level, from [`PriorityQueue::sink`] or [`PriorityProducer::sink`].
///
/// It is ready when that level has room; otherwise it is as an [`ItemSink`](super::ItemSink).
#[derive(Debug)]
#[must_use = "a sink does nothing unless it is polled"]
pub struct LevelSink<T> {
    drip: Drip<Level<T>, PriorityProducer<T>, T>,
}

/// One level.
#[derive(Debug)]
struct Level<T> {
    queue: PriorityQueue<T>,
    level: usize,
}

/// The item is never pinned.
impl<T> Unpin for LevelSink<T> {}

impl<T> LevelSink<T> {
    fn new(queue: &PriorityQueue<T>, level: usize, counted: Option<PriorityProducer<T>>) -> Self {
        let _is_there = queue.level(level);
        Self { drip: Drip::new(Level { queue: queue.clone(), level }, counted) }
    }
}

impl<T: Message> Mouth for Level<T> {
    type Item = T;

    fn put_once(&self, item: &T) -> Result<(), Refusal> {
        self.queue.put_within(self.level, item, Patience::None)
    }

    fn is_full_now(&self) -> bool {
        matches!(self.queue.level(self.level).refuse_if_full(), Err(Refusal::Full))
    }

    fn stay(&self, wait: &mut TaskWait, cx: &Context<'_>) {
        self.queue.level(self.level).stay_to_put(wait, cx);
    }
}

impl<T: Message> PriorityQueue<T> {
    /// Items as they come, each with its level, until the queue is closed and drained: also when the
    /// last counted [`PriorityProducer`] was dropped or its process has died, within 0.1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::TryStreamExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(2, 4)?;
    /// queue.put(0, 1)?;
    /// queue.put(1, 2)?;
    /// queue.close();
    /// let items: Vec<_> = queue.stream().try_collect().await?;
    /// assert_eq!(items, [(1, 2), (0, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> LevelStream<T> {
        LevelStream::new(self, None)
    }

    /// A sink that puts items at the end of a level.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::SinkExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(2, 4)?;
    /// let (mut low, mut high) = (queue.sink(0), queue.sink(1));
    /// low.send(1).await?;
    /// high.send(2).await?;
    /// assert_eq!((queue.get()?, queue.get()?), ((1, 2), (0, 1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such level.
    pub fn sink(&self, level: usize) -> LevelSink<T> {
        LevelSink::new(self, level, None)
    }
}

impl<T: Message> PriorityConsumer<T> {
    /// As [`PriorityQueue::stream`]. The stream counts as one more consumer.
    pub fn stream(&self) -> LevelStream<T> {
        LevelStream::new(self.queue(), Some(self.clone()))
    }
}

impl<T: Message> PriorityProducer<T> {
    /// As [`PriorityQueue::sink`]. The sink counts as one more producer until it is closed.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    pub fn sink(&self, level: usize) -> LevelSink<T> {
        LevelSink::new(self.queue(), level, Some(self.clone()))
    }
}

impl<T: Message> Stream for LevelStream<T> {
    type Item = Result<(usize, T), GetError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let Self { queue, wait, is_done, .. } = &mut *self;
        queue.poll_get(wait, cx).map(|got| step(is_done, || got))
    }
}

impl<T: Message> FusedStream for LevelStream<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T: Message> Sink<T> for LevelSink<T> {
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
