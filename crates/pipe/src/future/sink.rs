//! A sender as a sink.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;
use futures_sink::Sink;

use super::parcel::Parcel;
use crate::error::SendError;
use crate::send::Sender;

/// Where items are sent, from [`Sender::into_sink`].
///
/// One item waits in the sink while there is no room for it, until the sink is asked to be ready again,
/// flushed or closed; `send` flushes. A sink that is dropped before has not sent it.
///
/// Closing it closes the end: the receiver gets what was sent, then the end of the stream. An item that
/// cannot be sent is dropped.
#[must_use = "a sink does nothing unless it is polled"]
pub struct SendSink<T> {
    sender: Sender<T>,
    parcel: Option<Parcel<Vec<u8>>>,
    wait: TaskWait,
}

impl<T: Message> Sender<T> {
    /// A sink that sends items. It has the end; dropping it closes the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::SinkExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// let mut sink = tx.into_sink();
    /// sink.send(1).await?;
    /// sink.close().await?;
    /// assert_eq!(rx.iter().collect::<Result<Vec<_>, _>>()?, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_sink(self) -> SendSink<T> {
        SendSink { sender: self, parcel: None, wait: TaskWait::new() }
    }
}

impl<T> SendSink<T> {
    fn poll_parcel(&mut self, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(parcel) = &mut self.parcel else { return Poll::Ready(Ok(())) };
        let sent = ready!(parcel.poll_send(&mut self.sender, &mut self.wait, cx));
        self.parcel = None;
        Poll::Ready(sent)
    }
}

impl<T: Message> Sink<T> for SendSink<T> {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_parcel(cx)
    }

    /// # Panics
    ///
    /// If the sink was not ready.
    fn start_send(self: Pin<&mut Self>, item: T) -> Result<(), SendError> {
        let this = self.get_mut();
        assert!(this.parcel.is_none(), "a sink takes an item when it has said that it is ready");
        this.parcel = this.sender.send_or_write(&item)?;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_parcel(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = self.get_mut();
        ready!(this.poll_parcel(cx))?;
        this.sender.close();
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for SendSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink")
            .field("sender", &self.sender)
            .field("holds_item", &self.parcel.is_some())
            .finish_non_exhaustive()
    }
}
