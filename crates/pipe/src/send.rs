//! Sending.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crossproc_message::scratch::Scratch;
use crossproc_message::words::{Words, small};
use crossproc_message::{Message, encode};
use crossproc_segment::Segment;
use crossproc_segment::wait::{Look, block_on, now_and_then};
use crossproc_sys::clock::Deadline;

use crate::bytes::copy_in;
use crate::end::{Outlet, Peer, RESERVED};
use crate::error::{SendError, TrySendError};
use crate::patience::Patience;
use crate::raw::{Claim, Producer, Refused, View, Word};
use crate::share::Share;

/// The end of a pipe that sends items of type `T`; from [`Pipe::one_way`](crate::Pipe::one_way), or
/// half of a [`PipeEnd`](crate::PipeEnd).
///
/// It belongs to one process: to this one, until it is dropped or [`close`](Self::close)d (then the
/// receiver gets what was sent, and after that `Closed`), or is sent to another process inside a
/// message (then it belongs to that one alone, and this handle is of no use any more). A child made
/// by `fork` does not have it.
///
/// Threads of the process may share the handle; their messages do not mix. A thread that uses it
/// alone pays no lock.
///
/// # Examples
///
/// ```
/// let (tx, rx) = crossproc_pipe::Pipe::one_way::<String>()?;
/// tx.send(&"hello".to_string())?;
/// drop(tx);
/// assert_eq!(rx.recv()?, "hello");
/// assert!(rx.recv().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<T> {
    pub(crate) end: Share,
    /// Alone, it closes its direction when it goes; beside its receiver, the end does.
    half: Option<Half>,
    item: PhantomData<fn(T)>,
}

/// How far a message that goes in parts has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    begun: bool,
    sent: usize,
}

/// That a direction ends with its sender, though the end does not.
struct Half(Share);

impl Drop for Half {
    fn drop(&mut self) {
        self.0.close_send();
    }
}

impl<T: Message> Sender<T> {
    /// Sends an item. Blocks while there is no room for it.
    ///
    /// A message of up to half the pipe's capacity is sent whole or not at all. A longer one goes in
    /// parts as the receiver makes room: then this blocks until the last part is on its way.
    ///
    /// While it waits it notices within 0.1 s if the process at the other end dies.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<(u32, String)>()?;
    /// tx.send(&(1, "one".to_string()))?;
    /// assert_eq!(rx.recv()?, (1, "one".to_string()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError`]; the item was not sent.
    #[inline]
    pub fn send(&self, item: &T) -> Result<(), SendError> {
        self.send_within(item, || Patience::Endless).map_err(TrySendError::without_full)
    }

    /// Sends an item if there is room for it. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Pipe;
    ///
    /// let (tx, _rx) = Pipe::<u64>::options().capacity(256).one_way::<u64>()?;
    /// let sent = (0..).take_while(|n| tx.try_send(n).is_ok()).count();
    /// assert_eq!(sent, 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`]; [`TrySendError::TooLong`] for a message that would have to go in
    /// parts; or as [`send`](Self::send). The item was not sent.
    #[inline]
    pub fn try_send(&self, item: &T) -> Result<(), TrySendError> {
        self.send_within(item, || Patience::None)
    }

    /// Sends an item. Blocks while there is no room for it, but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u8>()?;
    /// tx.send_timeout(&1, Duration::from_millis(1))?;
    /// assert_eq!(rx.recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] after the timeout, or as [`send`](Self::send). The item was not sent;
    /// the parts of a long one that are on their way are dropped by the receiver.
    #[inline]
    pub fn send_timeout(&self, item: &T, timeout: Duration) -> Result<(), TrySendError> {
        self.send_within(item, || Patience::Until(Deadline::after(timeout)))
    }

    /// Sends an item. Blocks while there is no room for it, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    #[inline]
    pub fn send_deadline(&self, item: &T, deadline: Deadline) -> Result<(), TrySendError> {
        self.send_within(item, || Patience::Until(deadline))
    }

    #[inline(always)]
    fn send_within(
        &self,
        item: &T,
        patience: impl FnOnce() -> Patience,
    ) -> Result<(), TrySendError> {
        let Some(bytes) = small::<T>() else { return self.send_message(item, patience()) };
        let words = Words::encode(item, bytes)?;
        let out = &self.end.out;
        out.view.fetch_tail();
        // No closure, which might not be inlined; then `bytes` would be no constant.
        let Some(mut producer) = out.turn.at_once() else {
            return self.send_message(item, patience());
        };
        let is_sent = self.end.may_send()
            && !self.end.is_peer_gone()
            && out.view.put_words_at_once(&mut producer, bytes as u64, words.as_slice());
        drop(producer);
        if !is_sent {
            return self.send_message(item, patience());
        }
        out.view.items().notify_all();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn send_message(&self, item: &T, patience: Patience) -> Result<(), TrySendError> {
        let mut bytes = Scratch::new();
        let sent = encode(item, &mut bytes.0)?;
        let answer = self.send_slice(&bytes.0, !sent.segments.is_empty(), patience);
        if answer.is_err() {
            sent.take_back();
        }
        answer
    }
}

impl<T> Sender<T> {
    pub(crate) fn new(end: Share) -> Self {
        Self { end, half: None, item: PhantomData }
    }

    /// Takes it apart from its receiver: what it sends with ends with it.
    pub(crate) fn alone(mut self) -> Self {
        self.half = Some(Half(self.end.clone()));
        self
    }

    /// Sends bytes as they are. Blocks as [`send`](Self::send).
    ///
    /// They are one message, also if there are none: [`recv_bytes`](crate::Receiver::recv_bytes) or
    /// [`recv_into`](crate::Receiver::recv_into) brings exactly these.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// tx.send_bytes(b"frame")?;
    /// tx.send_bytes(b"")?;
    /// let mut buffer = [0; 16];
    /// assert_eq!(rx.recv_into(&mut buffer)?, 5);
    /// assert_eq!(rx.recv_bytes()?, b"");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError> {
        let sent = self.send_slice(bytes, false, Patience::Endless);
        sent.map_err(TrySendError::without_full)
    }

    /// As [`try_send`](Self::try_send), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), TrySendError> {
        self.send_slice(bytes, false, Patience::None)
    }

    /// As [`send_timeout`](Self::send_timeout), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), TrySendError> {
        self.send_slice(bytes, false, Patience::Until(Deadline::after(timeout)))
    }

    /// As [`send_deadline`](Self::send_deadline), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`send_deadline`](Self::send_deadline).
    pub fn send_bytes_deadline(
        &self,
        bytes: &[u8],
        deadline: Deadline,
    ) -> Result<(), TrySendError> {
        self.send_slice(bytes, false, Patience::Until(deadline))
    }

    /// Closes the end, in all threads of this process that share it: those that wait in it come back
    /// with `NotOwned`. The receiver gets what was sent, then `Closed`. Dropping the handle does the
    /// same.
    ///
    /// Half of a [`PipeEnd`](crate::PipeEnd) closes the whole end; the peer sees it once what the
    /// other half has [borrowed](crate::Receiver::borrow) is given back.
    ///
    /// Never blocks, but for threads that are just in the middle of a call.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, RecvError, SendError};
    ///
    /// let (tx, rx) = Pipe::one_way::<u8>()?;
    /// tx.send(&1)?;
    /// tx.close();
    /// assert!(matches!(tx.send(&2), Err(SendError::NotOwned)));
    /// assert_eq!(rx.recv()?, 1);
    /// assert!(matches!(rx.recv(), Err(RecvError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.end.close(RESERVED);
    }

    /// Says that nothing more is sent, in all threads of this process that share the end; as
    /// [`PipeEnd::close_send`](crate::PipeEnd::close_send).
    ///
    /// Dropping the half of a [`PipeEnd`](crate::PipeEnd) does the same.
    pub fn close_send(&self) {
        self.end.close_send();
    }

    /// Who has the other end now. Asks the kernel whether that process lives.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Peer, Pipe};
    ///
    /// let (tx, rx) = Pipe::one_way::<u8>()?;
    /// assert!(matches!(tx.peer(), Peer::Present(_)));
    /// drop(rx);
    /// assert_eq!(tx.peer(), Peer::Closed);
    /// # Ok::<(), crossproc_pipe::Error>(())
    /// ```
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.end.peer()
    }

    /// Takes the end back after it was sent to another process, unless it has arrived; tells whether
    /// it is this process's. An end in a message that was refused, or for a child that ended before
    /// it had its arguments, is back already.
    #[must_use]
    pub fn take_back(&self) -> bool {
        self.end.take_back()
    }

    /// Whether this process has the end: not after [`close`](Self::close), once it was sent to
    /// another process, or in a forked child.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.end.is_ours()
    }

    /// Bytes of the ring that this end sends through.
    #[must_use]
    pub fn capacity(&self) -> usize {
        usize::try_from(self.end.sizes.capacity).unwrap_or(usize::MAX)
    }

    /// The longest message that goes in one piece, whole or not at all: half the capacity.
    #[must_use]
    pub fn longest_piece(&self) -> usize {
        usize::try_from(self.end.out.view.longest()).unwrap_or(usize::MAX)
    }

    /// The segment in which the pipe lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.end.segment()
    }

    #[inline]
    pub(crate) fn outlet(&self) -> &Outlet {
        &self.end.out
    }

    /// Sends a message that was written already.
    pub(crate) fn send_slice(
        &self,
        bytes: &[u8],
        handles: bool,
        patience: Patience,
    ) -> Result<(), TrySendError> {
        let out = self.outlet();
        if !self.end.may_send() {
            return Err(TrySendError::NotOwned);
        }
        let Some(mut producer) = out.turn.hold(patience) else { return Err(TrySendError::Full) };
        let longest = out.view.longest();
        let sent = if bytes.len() as u64 <= longest {
            self.send_whole(&mut producer, bytes, handles, patience)
        } else if patience.is_none() {
            let bytes = bytes.len() as u64;
            let gone = self.end.is_peer_gone();
            Err(if gone {
                TrySendError::Closed
            } else {
                TrySendError::TooLong { bytes, limit: longest }
            })
        } else {
            self.send_parts(&mut producer, bytes, handles, &mut Progress::default(), patience)
        };
        drop(producer);
        sent
    }

    fn send_whole(
        &self,
        producer: &mut Producer,
        bytes: &[u8],
        handles: bool,
        patience: Patience,
    ) -> Result<(), TrySendError> {
        let length = bytes.len() as u64;
        let claim = self.claim_within(producer, patience, |view, p| view.claim(p, length))?;
        copy_in(bytes, &claim, 0);
        claim.commit(producer, Word::whole(length).with_handles(handles));
        self.outlet().view.items().notify_all();
        Ok(())
    }

    /// Sends what is left of a message in parts, as the receiver makes room.
    pub(crate) fn send_parts(
        &self,
        producer: &mut Producer,
        bytes: &[u8],
        handles: bool,
        done: &mut Progress,
        patience: Patience,
    ) -> Result<(), TrySendError> {
        let total = (bytes.len() as u64).to_ne_bytes();
        while done.sent < bytes.len() {
            let (before, start) = if done.begun { (&[][..], false) } else { (&total[..], true) };
            let rest = &bytes[done.sent..];
            let length = (before.len() + rest.len()) as u64;
            let claim =
                self.claim_within(producer, patience, |view, p| view.claim_chunk(p, length))?;
            let room = usize::try_from(claim.bytes()).unwrap_or(0) - before.len();
            let (piece, next) = rest.split_at(room.min(rest.len()));
            copy_in(before, &claim, 0);
            copy_in(piece, &claim, before.len());
            let word = Word::chunk((before.len() + piece.len()) as u64, start, !next.is_empty());
            claim.commit(producer, word.with_handles(handles && start));
            self.outlet().view.items().notify_all();
            *done = Progress { begun: true, sent: done.sent + piece.len() };
        }
        Ok(())
    }

    /// Makes attempts until there is room, the other end is gone, or the patience ends.
    pub(crate) fn claim_within<'v>(
        &'v self,
        producer: &mut Producer,
        patience: Patience,
        claim: impl Fn(&'v View, &mut Producer) -> Result<Claim<'v>, Refused>,
    ) -> Result<Claim<'v>, TrySendError> {
        let view = &self.outlet().view;
        let mut attempt = |look| {
            if !self.end.may_send() {
                return Err(TrySendError::NotOwned);
            }
            if self.end.look_for_peer(look) {
                return Err(TrySendError::Closed);
            }
            Ok(claim(view, producer)?)
        };
        match attempt(Look::Quick) {
            Err(TrySendError::Full) => {}
            answer => return answer,
        }
        if patience.is_none() {
            return if now_and_then() { attempt(Look::Repair) } else { Err(TrySendError::Full) };
        }
        let look = |look| match attempt(look) {
            Err(TrySendError::Full) => {
                self.end.take_in();
                None
            }
            answer => Some(answer),
        };
        let space = view.space();
        let spin = &self.outlet().spin;
        let answer = block_on(self.segment(), space, spin, patience.deadline(), look);
        answer.unwrap_or(Err(TrySendError::Full))
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.end).finish()
    }
}
