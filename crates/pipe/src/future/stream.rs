//! Items as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use crossproc_message::Message;
use crossproc_segment::wait::TaskWait;
use futures_core::stream::{FusedStream, Stream};

use crate::error::RecvError;
use crate::recv::Receiver;

/// Items until the other end is closed or its process has died, and all was received; from
/// [`Receiver::into_stream`].
///
/// Each step is a [`recv_async`](Receiver::recv_async). A message that was dropped (malformed, too long)
/// is an error and does not end the stream; an end that is not this process's, and a corrupt pipe, do.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct RecvStream<T> {
    receiver: Receiver<T>,
    wait: TaskWait,
    is_done: bool,
}

impl<T: Message> Receiver<T> {
    /// Items as they come, until nothing more can come: within 0.1 s after the process at the other end
    /// has died. The stream has the end; dropping it closes the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::TryStreamExt as _;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// tx.send(&1)?;
    /// tx.send(&2)?;
    /// drop(tx);
    /// let items: Vec<u64> = rx.into_stream().try_collect().await?;
    /// assert_eq!(items, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream { receiver: self, wait: TaskWait::new(), is_done: false }
    }
}

impl<T> RecvStream<T> {
    /// The receiver. No message is lost: what was taken was handed out.
    #[must_use]
    pub fn into_inner(self) -> Receiver<T> {
        self.receiver
    }
}

impl<T: Message> Stream for RecvStream<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let Self { receiver, wait, is_done } = &mut *self;
        receiver.poll_recv(wait, cx).map(|got| {
            *is_done =
                matches!(got, Err(RecvError::Closed | RecvError::NotOwned | RecvError::Corrupt));
            (!matches!(got, Err(RecvError::Closed))).then_some(got)
        })
    }
}

impl<T: Message> FusedStream for RecvStream<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}
