//! Receiving by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;

use super::ready::stay_to_recv;
use crate::error::{RecvError, TryRecvError};
use crate::pair::PipeEnd;
use crate::recv::Receiver;

/// The future of [`Receiver::recv_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct RecvItem<'r, T> {
    receiver: &'r Receiver<T>,
    wait: TaskWait,
}

/// The future of [`Receiver::recv_bytes_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct RecvBytes<'r, T> {
    receiver: &'r Receiver<T>,
    wait: TaskWait,
}

impl<T: Message> Receiver<T> {
    /// Takes the next item. Waits while there is none, without blocking the thread; as
    /// [`recv`](Self::recv) otherwise.
    ///
    /// The future notices within 0.1 s if the process at the other end dies. Dropped before it is ready,
    /// it has taken nothing. Several may wait at one receiver: each message goes to one of them.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (mut tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// let (got, sent) = tokio::join!(rx.recv_async(), tx.send_async(&7));
    /// sent?;
    /// assert_eq!(got?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_async(&self) -> RecvItem<'_, T> {
        RecvItem { receiver: self, wait: TaskWait::new() }
    }

    pub(super) fn poll_recv(
        &self,
        wait: &mut TaskWait,
        cx: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        self.stay(wait, cx, self.try_recv())
    }
}

impl<T> Receiver<T> {
    /// Takes the next message as its bytes, as [`recv_async`](Self::recv_async) does an item.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (mut tx, rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// tx.send_bytes_async(b"frame").await?;
    /// assert_eq!(rx.recv_bytes_async().await?, b"frame");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv_bytes`](Self::recv_bytes).
    pub fn recv_bytes_async(&self) -> RecvBytes<'_, T> {
        RecvBytes { receiver: self, wait: TaskWait::new() }
    }

    /// Has the task woken when there is a message, if that is what it takes.
    pub(super) fn stay<R>(
        &self,
        wait: &mut TaskWait,
        cx: &Context<'_>,
        got: Result<R, TryRecvError>,
    ) -> Poll<Result<R, RecvError>> {
        if matches!(got, Err(TryRecvError::Empty)) {
            stay_to_recv(&self.end, wait, cx);
            return Poll::Pending;
        }
        wait.leave();
        Poll::Ready(got.map_err(TryRecvError::without_empty))
    }
}

impl<A, B: Message> PipeEnd<A, B> {
    /// As [`Receiver::recv_async`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub fn recv_async(&self) -> RecvItem<'_, B> {
        self.receiver().recv_async()
    }
}

impl<T: Message> Future for RecvItem<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receiver = self.receiver;
        receiver.poll_recv(&mut self.wait, cx)
    }
}

impl<T> Future for RecvBytes<'_, T> {
    type Output = Result<Vec<u8>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receiver = self.receiver;
        receiver.stay(&mut self.wait, cx, receiver.try_recv_bytes())
    }
}

impl<T> fmt::Debug for RecvItem<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvItem").field(&self.receiver).finish()
    }
}

impl<T> fmt::Debug for RecvBytes<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvBytes").field(&self.receiver).finish()
    }
}
