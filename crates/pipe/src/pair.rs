//! The end of a pipe of two directions.

use std::fmt;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;

use crate::end::{BORROWED, End, Peer, RESERVED};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::iter::Iter;
use crate::recv::Receiver;
use crate::send::Sender;
use crate::share::Share;

/// An end of a pipe that sends items of type `A` and receives those of type `B`; from
/// [`Pipe::new`](crate::Pipe::new).
///
/// It belongs to one process: to this one, until it is dropped or [`close`](Self::close)d, or sent to
/// another process inside a message; see [`Sender`]. What it sends with is its
/// [`sender`](Self::sender), what it receives with its [`receiver`](Self::receiver), which know more
/// than what is repeated here. Threads may share it, one that sends and one that receives for
/// instance; [`split`](Self::split) takes the two apart.
///
/// A message of any length may be sent at both ends at once, by threads that receive only afterwards:
/// who waits for room takes the long message that comes meanwhile into its own memory. It takes no more
/// than that one: a thread that sends one after the other, and receives nothing meanwhile, waits for ever
/// for a peer that does the same. Where both sides do, let another thread receive, or use the `try_` forms.
///
/// # Examples
///
/// ```
/// let (a, b) = crossproc_pipe::Pipe::<String, usize>::new()?;
/// a.send(&"how long?".to_string())?;
/// b.send(&b.recv()?.len())?;
/// assert_eq!(a.recv()?, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PipeEnd<A, B> {
    out: Sender<A>,
    inlet: Receiver<B>,
}

impl<A, B> PipeEnd<A, B> {
    pub(crate) fn new(end: End) -> Self {
        let end = Share::new(end);
        Self { out: Sender::new(end.clone()), inlet: Receiver::new(end) }
    }

    pub(crate) fn end(&self) -> &Share {
        &self.out.end
    }

    /// What the end sends with.
    #[must_use]
    #[inline]
    pub fn sender(&self) -> &Sender<A> {
        &self.out
    }

    /// What the end receives with.
    #[must_use]
    #[inline]
    pub fn receiver(&self) -> &Receiver<B> {
        &self.inlet
    }

    /// Both, for what needs them alone.
    #[must_use]
    pub fn halves(&mut self) -> (&mut Sender<A>, &mut Receiver<B>) {
        (&mut self.out, &mut self.inlet)
    }

    /// Takes the two halves apart, for two threads. When the sender is dropped the peer sees the end
    /// after what was sent ([`close_send`](Self::close_send)); when both are, the end is closed. The receiver
    /// alone is dropped without a word, as that of a socket: a peer that sends on fills the pipe and waits
    /// until the sender is dropped too, or the end [closed](Sender::close). Halves cannot be sent to other
    /// processes.
    ///
    /// # Examples
    ///
    /// ```
    /// let (a, b) = crossproc_pipe::Pipe::<u64, u64>::new()?;
    /// let (tx, rx) = a.split();
    /// let echo = std::thread::spawn(move || b.send(&b.recv().unwrap()));
    /// tx.send(&5)?;
    /// assert_eq!(rx.recv()?, 5);
    /// echo.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn split(self) -> (Sender<A>, Receiver<B>) {
        (self.out.alone(), self.inlet)
    }

    /// As [`Sender::send_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_bytes`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.out.send_bytes(bytes)
    }

    /// As [`Sender::try_send_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send_bytes`].
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), TrySendError> {
        self.out.try_send_bytes(bytes)
    }

    /// As [`Sender::send_bytes_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_bytes_timeout`].
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), TrySendError> {
        self.out.send_bytes_timeout(bytes, timeout)
    }

    /// As [`Sender::send_bytes_deadline`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_bytes_deadline`].
    pub fn send_bytes_deadline(
        &self,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Result<(), TrySendError> {
        self.out.send_bytes_deadline(bytes, deadline)
    }

    /// As [`Receiver::recv_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.inlet.recv_bytes()
    }

    /// As [`Receiver::try_recv_bytes`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv_bytes`].
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, TryRecvError> {
        self.inlet.try_recv_bytes()
    }

    /// As [`Receiver::recv_bytes_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes_timeout`].
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, TryRecvError> {
        self.inlet.recv_bytes_timeout(timeout)
    }

    /// As [`Receiver::recv_bytes_deadline`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes_deadline`].
    pub fn recv_bytes_deadline(&self, deadline: Deadline) -> Result<Vec<u8>, TryRecvError> {
        self.inlet.recv_bytes_deadline(deadline)
    }

    /// As [`Receiver::recv_into`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_into`].
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.inlet.recv_into(buffer)
    }

    /// As [`Receiver::try_recv_into`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv_into`].
    pub fn try_recv_into(&self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        self.inlet.try_recv_into(buffer)
    }

    /// As [`Receiver::recv_into_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_into_timeout`].
    pub fn recv_into_timeout(
        &self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, TryRecvError> {
        self.inlet.recv_into_timeout(buffer, timeout)
    }

    /// As [`Receiver::recv_into_deadline`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_into_deadline`].
    pub fn recv_into_deadline(
        &self,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<usize, TryRecvError> {
        self.inlet.recv_into_deadline(buffer, deadline)
    }

    /// As [`Receiver::poll`].
    pub fn poll(&self, timeout: impl Into<Option<Duration>>) -> bool {
        self.inlet.poll(timeout)
    }

    /// As [`Receiver::set_max_len`].
    pub fn set_max_len(&self, bytes: u64) {
        self.inlet.set_max_len(bytes);
    }

    /// Says that nothing more is sent, in all threads of this process that share the end: the peer gets
    /// what was sent, and then `Closed`. It can go on sending, and this end receiving; as
    /// `TcpStream::shutdown(Shutdown::Write)`.
    ///
    /// From now on sending from here is refused with `NotOwned`; a thread that waits for room comes
    /// back with that, one that is in the midst of a message in parts as well. It stays so if the end is
    /// sent to another process. Never blocks, but for threads that are just in the middle of a call.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, RecvError, SendError};
    ///
    /// let (a, b) = Pipe::<u8, u8>::new()?;
    /// let summing = std::thread::spawn(move || {
    ///     let sum = b.iter().map(Result::unwrap).sum();
    ///     b.send(&sum)
    /// });
    /// a.send(&1)?;
    /// a.send(&2)?;
    /// a.close_send();
    /// assert!(matches!(a.send(&3), Err(SendError::NotOwned)));
    /// assert_eq!(a.recv()?, 3);
    /// summing.join().unwrap()?;
    /// assert!(matches!(a.recv(), Err(RecvError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_send(&self) {
        self.end().close_send();
    }

    /// Closes the end, in all threads of this process that share it; see [`Sender::close`] and
    /// [`Receiver::close`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, RecvError};
    ///
    /// let (a, b) = Pipe::<u8, u8>::new()?;
    /// a.send(&1)?;
    /// a.close();
    /// assert_eq!(b.recv()?, 1);
    /// assert!(matches!(b.recv(), Err(RecvError::Closed)));
    /// assert!(b.send(&1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.end().close(RESERVED | BORROWED);
    }

    /// Who has the other end now. Asks the kernel whether that process lives.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.end().peer()
    }

    /// As [`Sender::take_back`].
    #[must_use]
    pub fn take_back(&self) -> bool {
        self.end().take_back()
    }

    /// As [`Sender::is_owned`].
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.end().is_ours()
    }

    /// The segment in which the pipe lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.end().segment()
    }
}

impl<A: Message, B> PipeEnd<A, B> {
    /// As [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    #[inline]
    pub fn send(&self, item: &A) -> Result<(), SendError> {
        self.out.send(item)
    }

    /// As [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    #[inline]
    pub fn try_send(&self, item: &A) -> Result<(), TrySendError> {
        self.out.try_send(item)
    }

    /// As [`Sender::send_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`].
    #[inline]
    pub fn send_timeout(&self, item: &A, timeout: Duration) -> Result<(), TrySendError> {
        self.out.send_timeout(item, timeout)
    }

    /// As [`Sender::send_deadline`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_deadline`].
    #[inline]
    pub fn send_deadline(&self, item: &A, deadline: Deadline) -> Result<(), TrySendError> {
        self.out.send_deadline(item, deadline)
    }

    /// As [`Sender::space`].
    #[must_use]
    pub fn space(&self) -> crate::Space {
        self.out.space()
    }
}

impl<A, B: Message> PipeEnd<A, B> {
    /// As [`Receiver::recv`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    #[inline]
    pub fn recv(&self) -> Result<B, RecvError> {
        self.inlet.recv()
    }

    /// As [`Receiver::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::try_recv`].
    #[inline]
    pub fn try_recv(&self) -> Result<B, TryRecvError> {
        self.inlet.try_recv()
    }

    /// As [`Receiver::recv_timeout`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_timeout`].
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<B, TryRecvError> {
        self.inlet.recv_timeout(timeout)
    }

    /// As [`Receiver::recv_deadline`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_deadline`].
    #[inline]
    pub fn recv_deadline(&self, deadline: Deadline) -> Result<B, TryRecvError> {
        self.inlet.recv_deadline(deadline)
    }

    /// As [`Receiver::iter`].
    #[must_use]
    pub fn iter(&self) -> Iter<'_, B> {
        self.inlet.iter()
    }
}

impl<'p, A, B: Message> IntoIterator for &'p PipeEnd<A, B> {
    type Item = Result<B, RecvError>;
    type IntoIter = Iter<'p, B>;

    fn into_iter(self) -> Iter<'p, B> {
        self.iter()
    }
}

impl<A, B> fmt::Debug for PipeEnd<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeEnd").field(self.end()).finish()
    }
}
