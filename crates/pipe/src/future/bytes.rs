//! Bytes without borders between them, by tokio's traits.
//!
//! Each write is a message of bytes, and a reader takes messages as pieces of one stream. An empty
//! message, which no write makes, says that the writer has shut down: so one direction of a pipe of two
//! can end before the other, and a writer that has died is told from one that was done.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crossproc_segment::wait::TaskWait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ready::stay_to_send;
use crate::end::Peer;
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::pair::PipeEnd;
use crate::recv::Receiver;
use crate::send::Sender;

/// A receiver of bytes as tokio's `AsyncRead`, from [`Receiver::into_reader`].
///
/// It comes to its end when the writer has shut down, or the other end was closed. If the process at the
/// other end died before it shut down, the reader gets what that one wrote, and then an error of the
/// kind `ConnectionReset`, within 0.1 s.
pub struct ByteReader<T> {
    receiver: Receiver<T>,
    /// A message that was longer than the buffer it was read into, and how much of it is read.
    rest: Vec<u8>,
    read: usize,
    wait: TaskWait,
    is_over: bool,
}

/// A sender of bytes as tokio's `AsyncWrite`, from [`Sender::into_writer`].
///
/// What `write` says is written is in shared memory, and is read also if this process dies; to flush
/// does nothing. `shutdown` tells the reader that this is all. If the other end is gone, writes fail
/// with an error of the kind `BrokenPipe`.
pub struct ByteWriter<T> {
    sender: Sender<T>,
    wait: TaskWait,
    is_shut: bool,
}

/// An end of a pipe as tokio's `AsyncRead` and `AsyncWrite`, from [`PipeEnd::into_byte_stream`].
#[derive(Debug)]
pub struct ByteStream<A, B> {
    writer: ByteWriter<A>,
    reader: ByteReader<B>,
}

impl<T> Receiver<T> {
    /// Reads what comes as a stream of bytes, for a peer that writes by [`ByteWriter`], or sends bytes
    /// that are no empty ones. Of what type the items would be does not matter.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// let (mut writer, mut reader) = (tx.into_writer(), rx.into_reader());
    /// writer.write_all(b"two ").await?;
    /// writer.write_all(b"pieces").await?;
    /// writer.shutdown().await?;
    /// let mut all = String::new();
    /// reader.read_to_string(&mut all).await?;
    /// assert_eq!(all, "two pieces");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_reader(self) -> ByteReader<T> {
        let wait = TaskWait::new();
        ByteReader { receiver: self, rest: Vec::new(), read: 0, wait, is_over: false }
    }
}

impl<T> Sender<T> {
    /// Writes a stream of bytes, for a peer that reads by [`ByteReader`]; see
    /// [`Receiver::into_reader`].
    #[must_use]
    pub fn into_writer(self) -> ByteWriter<T> {
        ByteWriter { sender: self, wait: TaskWait::new(), is_shut: false }
    }
}

impl<A, B> PipeEnd<A, B> {
    /// Reads and writes streams of bytes, for a peer that does the same. `tokio::io::split` takes the two
    /// apart.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (a, b) = crossproc_pipe::Pipe::<(), ()>::new()?;
    /// let (mut a, mut b) = (a.into_byte_stream(), b.into_byte_stream());
    /// a.write_all(b"ask").await?;
    /// a.shutdown().await?;
    /// let mut asked = Vec::new();
    /// b.read_to_end(&mut asked).await?;
    /// b.write_all(b"answer").await?;
    /// let mut answer = [0; 6];
    /// a.read_exact(&mut answer).await?;
    /// assert_eq!((asked.as_slice(), answer.as_slice()), (&b"ask"[..], &b"answer"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_byte_stream(self) -> ByteStream<A, B> {
        let (sender, receiver) = self.split();
        ByteStream { writer: sender.into_writer(), reader: receiver.into_reader() }
    }
}

impl<T> ByteReader<T> {
    /// Takes a message to `buf`, or to `rest` if it is longer; whether there was one.
    fn try_take(&mut self, buf: &mut ReadBuf<'_>) -> Result<bool, TryRecvError> {
        let bytes = match self.receiver.try_recv_into(buf.initialize_unfilled()) {
            Ok(bytes) => {
                buf.advance(bytes);
                bytes
            }
            Err(TryRecvError::BufferTooShort { .. }) => {
                self.rest = self.receiver.try_recv_bytes()?;
                self.read = 0;
                self.rest.len()
            }
            Err(error) => return Err(error),
        };
        Ok(bytes > 0)
    }

    /// The end of the stream, or that it was cut.
    fn end(&self) -> io::Result<()> {
        match self.receiver.peer() {
            Peer::Died => Err(io::Error::new(io::ErrorKind::ConnectionReset, RecvError::Closed)),
            _ => Ok(()),
        }
    }
}

impl<T> AsyncRead for ByteReader<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 || this.is_over {
            return Poll::Ready(Ok(()));
        }
        if this.read == this.rest.len() {
            let taken = this.try_take(buf);
            match ready!(this.receiver.stay(&mut this.wait, cx, taken)) {
                Ok(more) => this.is_over = !more,
                Err(RecvError::Closed) => return Poll::Ready(this.end()),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let rest = &this.rest[this.read..];
        let bytes = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..bytes]);
        this.read += bytes;
        Poll::Ready(Ok(()))
    }
}

impl<T> ByteWriter<T> {
    fn poll_send(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.sender.try_send_bytes(bytes) {
            Err(TrySendError::Full) => {
                stay_to_send(&self.sender.end, &mut self.wait, cx, bytes.len());
                Poll::Pending
            }
            answer => {
                self.wait.leave();
                let answer = answer.map_err(|error| match error.without_full() {
                    gone @ SendError::Closed => io::Error::new(io::ErrorKind::BrokenPipe, gone),
                    error => io::Error::other(error),
                });
                Poll::Ready(answer.map(|()| bytes.len()))
            }
        }
    }
}

impl<T> AsyncWrite for ByteWriter<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_shut {
            let shut = io::Error::new(io::ErrorKind::BrokenPipe, "the writer was shut down");
            return Poll::Ready(Err(shut));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // Half of what goes in one piece, so that one is written while another is read.
        let most = (this.sender.longest_piece() / 2).max(1);
        this.poll_send(cx, &buf[..buf.len().min(most)])
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            match ready!(this.poll_send(cx, &[])) {
                // Nobody is left to be told.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Poll::Ready(Err(error));
                }
                _ => this.is_shut = true,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<A, B> AsyncRead for ByteStream<A, B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl<A, B> AsyncWrite for ByteStream<A, B> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

impl<T> fmt::Debug for ByteReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteReader")
            .field("receiver", &self.receiver)
            .field("rest", &(self.rest.len() - self.read))
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ByteWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteWriter")
            .field("sender", &self.sender)
            .field("is_shut", &self.is_shut)
            .finish_non_exhaustive()
    }
}
