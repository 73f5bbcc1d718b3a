//! Sending by futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crossproc_message::Message;
use crossproc_message::words::small;
use crossproc_segment::wait::TaskWait;

use super::parcel::Parcel;
use crate::error::{SendError, TrySendError};
use crate::pair::PipeEnd;
use crate::send::Sender;

/// The future of [`Sender::send_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct SendItem<'s, T> {
    sender: &'s mut Sender<T>,
    /// Until the first poll.
    item: Option<&'s T>,
    /// From then on, unless it was sent at once.
    parcel: Option<Parcel<Vec<u8>>>,
    wait: TaskWait,
}

/// The future of [`Sender::send_bytes_async`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct SendBytes<'s, T> {
    sender: &'s mut Sender<T>,
    parcel: Parcel<&'s [u8]>,
    wait: TaskWait,
}

impl<T: Message> Sender<T> {
    /// Sends an item. Waits while there is no room for it, without blocking the thread; as
    /// [`send`](Self::send) otherwise, also for messages of any length.
    ///
    /// The future notices within 0.1 s if the process at the other end dies.
    ///
    /// It borrows the sender for itself, as the parts of a long message must not mix with other
    /// messages. Dropped before it is ready, it has not sent the item: the parts of a long one that
    /// are on their way are dropped by the receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (mut tx, rx) = crossproc_pipe::Pipe::<String>::options().capacity(256).one_way::<String>()?;
    /// let long = "long".repeat(1000);
    /// let (sent, got) = tokio::join!(tx.send_async(&long), rx.recv_async());
    /// sent?;
    /// assert_eq!(got?, long);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]; the item was not sent.
    ///
    /// # Panics
    ///
    /// If the future is polled after it was ready.
    pub fn send_async<'s>(&'s mut self, item: &'s T) -> SendItem<'s, T> {
        SendItem { sender: self, item: Some(item), parcel: None, wait: TaskWait::new() }
    }

    /// Sends an item at once if it is small and there is room, and else writes it for later.
    pub(super) fn send_or_write(&self, item: &T) -> Result<Option<Parcel<Vec<u8>>>, SendError> {
        if small::<T>().is_some() {
            match self.try_send(item) {
                Err(TrySendError::Full) => {}
                answer => {
                    return answer.map(|()| None).map_err(TrySendError::without_full);
                }
            }
        }
        Parcel::write(item).map(Some).map_err(SendError::Encode)
    }
}

impl<T> Sender<T> {
    /// Sends bytes as they are, as [`send_async`](Self::send_async) does an item.
    ///
    /// # Errors
    ///
    /// As [`send_bytes`](Self::send_bytes).
    pub fn send_bytes_async<'s>(&'s mut self, bytes: &'s [u8]) -> SendBytes<'s, T> {
        SendBytes { sender: self, parcel: Parcel::of_bytes(bytes), wait: TaskWait::new() }
    }
}

impl<A: Message, B> PipeEnd<A, B> {
    /// As [`Sender::send_async`]. To receive meanwhile, take the [`halves`](Self::halves) apart.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_async`].
    pub fn send_async<'s>(&'s mut self, item: &'s A) -> SendItem<'s, A> {
        self.halves().0.send_async(item)
    }
}

impl<T: Message> Future for SendItem<'_, T> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, item, parcel, wait } = self.get_mut();
        if let Some(item) = item.take() {
            *parcel = sender.send_or_write(item)?;
            if parcel.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
        let rest = parcel.as_mut().expect("a future is not polled after it was ready");
        let sent = ready!(rest.poll_send(sender, wait, cx));
        *parcel = None;
        Poll::Ready(sent)
    }
}

impl<T> Future for SendBytes<'_, T> {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { sender, parcel, wait } = self.get_mut();
        parcel.poll_send(sender, wait, cx)
    }
}

impl<T> fmt::Debug for SendItem<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendItem").field(&self.sender).finish()
    }
}

impl<T> fmt::Debug for SendBytes<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendBytes").field(&self.sender).finish()
    }
}
