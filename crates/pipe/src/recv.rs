//! Receiving.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::fence;
use std::time::Duration;

use crossproc_message::scratch::Scratch;
use crossproc_message::{Message, decode};
use crossproc_segment::Segment;
use crossproc_segment::wait::{Look, Spin, block_on, now_and_then};
use crossproc_sys::clock::Deadline;

use crate::bytes::{copy_out, copy_part};
use crate::end::{BORROWED, End, Inlet, Peer};
use crate::error::{RecvError, TryRecvError};
use crate::hand::{Next, Taking};
use crate::iter::Iter;
use crate::patience::Patience;
use crate::raw::NoRecord;
use crate::share::Share;

/// The end of a pipe that receives items of type `T`; from [`Pipe::one_way`](crate::Pipe::one_way),
/// or half of a [`PipeEnd`](crate::PipeEnd).
///
/// It belongs to one process, as a [`Sender`](crate::Sender) does, and its threads may share it: each
/// message goes to one of them. When it is closed, dropped, or its process dies, the sender sees
/// `Closed`.
pub struct Receiver<T> {
    pub(crate) end: Share,
    item: PhantomData<fn() -> T>,
}

impl<T: Message> Receiver<T> {
    /// Takes the next item. Blocks while there is none.
    ///
    /// While it waits it notices within 0.1 s if the process at the other end dies. What that one had
    /// sent still comes; a message that it was in the middle of does not.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// tx.send(&7)?;
    /// assert_eq!(rx.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] once nothing more can come; see [`RecvError`] for the rest.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_within(|| Patience::Endless).map_err(TryRecvError::without_empty)
    }

    /// Takes the next item if it is there. Never blocks.
    ///
    /// Of a message that comes in parts it takes what has arrived; it is there when the last has.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, TryRecvError};
    ///
    /// let (tx, rx) = Pipe::one_way::<u8>()?;
    /// assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    /// tx.send(&1)?;
    /// assert_eq!(rx.try_recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], or as [`recv`](Self::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_within(|| Patience::None)
    }

    /// Takes the next item. Blocks while there is none, but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_pipe::{Pipe, TryRecvError};
    ///
    /// let (_tx, rx) = Pipe::one_way::<u8>()?;
    /// let nothing = rx.recv_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(TryRecvError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv), [`TryRecvError::Empty`] after the timeout. Nothing is lost
    /// then: what has arrived of a long message stays in hand for the next call.
    #[inline]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, TryRecvError> {
        self.recv_within(|| Patience::Until(Deadline::after(timeout)))
    }

    /// Takes the next item. Blocks while there is none, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    #[inline]
    pub fn recv_deadline(&self, deadline: Deadline) -> Result<T, TryRecvError> {
        self.recv_within(|| Patience::Until(deadline))
    }

    /// Takes items until the other end is closed or its process has died, and all was received.
    /// Blocks while there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// tx.send(&1)?;
    /// tx.send(&2)?;
    /// drop(tx);
    /// assert_eq!(rx.iter().collect::<Result<Vec<_>, _>>()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn recv_message(&self, patience: Patience) -> Result<T, TryRecvError> {
        let (bytes, handles) = self.receive(patience, nothing, |inlet, taking, next| {
            Ok(taking.take_message(inlet, next))
        })?;
        let given = if handles { vec![self.segment().clone()] } else { Vec::new() };
        decode(&bytes.0, given).map_err(TryRecvError::Malformed)
    }
}

impl<T> Receiver<T> {
    pub(crate) fn new(end: Share) -> Self {
        Self { end, item: PhantomData }
    }

    /// Takes the next message as its bytes. Blocks as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// tx.send_bytes(b"frame")?;
    /// assert_eq!(rx.recv_bytes()?, b"frame");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), but never `Malformed`.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes_within(Patience::Endless).map_err(TryRecvError::without_empty)
    }

    /// As [`try_recv`](Self::try_recv), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv), but never `Malformed`.
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, TryRecvError> {
        self.bytes_within(Patience::None)
    }

    /// As [`recv_timeout`](Self::recv_timeout), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout), but never `Malformed`.
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, TryRecvError> {
        self.bytes_within(Patience::Until(Deadline::after(timeout)))
    }

    /// As [`recv_deadline`](Self::recv_deadline), for bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`recv_deadline`](Self::recv_deadline), but never `Malformed`.
    pub fn recv_bytes_deadline(&self, deadline: Deadline) -> Result<Vec<u8>, TryRecvError> {
        self.bytes_within(Patience::Until(deadline))
    }

    /// Takes the next message as bytes, to the beginning of `buffer`, and returns how many there are.
    /// Blocks as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, RecvError};
    ///
    /// let (tx, rx) = Pipe::one_way::<()>()?;
    /// tx.send_bytes(b"frame")?;
    /// let mut buffer = [0; 4];
    /// let short = rx.recv_into(&mut buffer);
    /// assert!(matches!(short, Err(RecvError::BufferTooShort { bytes: 5, room: 4 })));
    /// let mut buffer = [0; 8];
    /// assert_eq!(rx.recv_into(&mut buffer)?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecvError::BufferTooShort`], after which the message is still the next; or as
    /// [`recv_bytes`](Self::recv_bytes).
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.buffer_within(buffer, Patience::Endless).map_err(TryRecvError::without_empty)
    }

    /// As [`recv_into`](Self::recv_into), if a message is there. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], or as [`recv_into`](Self::recv_into).
    pub fn try_recv_into(&self, buffer: &mut [u8]) -> Result<usize, TryRecvError> {
        self.buffer_within(buffer, Patience::None)
    }

    /// As [`recv_into`](Self::recv_into), but blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] after the timeout, or as [`recv_into`](Self::recv_into).
    pub fn recv_into_timeout(
        &self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<usize, TryRecvError> {
        self.buffer_within(buffer, Patience::Until(Deadline::after(timeout)))
    }

    /// As [`recv_into`](Self::recv_into), but blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_into_timeout`](Self::recv_into_timeout).
    pub fn recv_into_deadline(
        &self,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<usize, TryRecvError> {
        self.buffer_within(buffer, Patience::Until(deadline))
    }

    /// Waits until [`recv`](Self::recv) would not block, for `timeout` at most (`None` is for ever):
    /// a whole message is there, also an empty one, or none can come any more. Tells whether it is
    /// so. The message stays the next for [`recv`](Self::recv).
    ///
    /// One that comes in parts is put together in this process's own memory: if the process is killed
    /// then, the message is lost with it. The same goes for `wait_any`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// assert!(!rx.poll(Duration::ZERO));
    /// tx.send_bytes(b"")?;
    /// assert!(rx.poll(None));
    /// assert_eq!(rx.recv_bytes()?, b"");
    /// drop(tx);
    /// assert!(rx.poll(Duration::ZERO));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&self, timeout: impl Into<Option<Duration>>) -> bool {
        if self.end.has_message(Look::Quick) {
            return true;
        }
        let deadline = timeout.into().map(Deadline::after);
        if deadline.is_some_and(Deadline::has_passed) {
            return now_and_then() && self.end.has_message(Look::Repair);
        }
        let items = self.inlet().view.items();
        let look = |look| self.end.has_message(look).then_some(());
        block_on(self.segment(), items, &self.inlet().spin, deadline, look).is_some()
    }

    /// The longest message that this end takes from now on; without it any. A longer one is dropped,
    /// and told by [`RecvError::TooLong`], before memory is spent on it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, RecvError};
    ///
    /// let (tx, rx) = Pipe::one_way::<()>()?;
    /// rx.set_max_len(100);
    /// tx.send_bytes(&[0; 101])?;
    /// tx.send_bytes(&[0; 100])?;
    /// assert!(matches!(rx.recv_bytes(), Err(RecvError::TooLong { bytes: 101, limit: 100 })));
    /// assert_eq!(rx.recv_bytes()?.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_max_len(&self, bytes: u64) {
        self.inlet().max_len.store(bytes, Relaxed);
    }

    /// Closes the end, in all threads of this process that share it: those that wait in it come back
    /// with `NotOwned`. The sender sees `Closed`, and what was not received is lost, unless another
    /// process takes the end. Dropping the handle does the same.
    ///
    /// Half of a [`PipeEnd`](crate::PipeEnd) closes the whole end; the peer sees it once what the
    /// other half has [reserved](crate::Sender::reserve) is given back.
    ///
    /// Never blocks, but for threads that are just in the middle of a call.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Pipe, SendError};
    ///
    /// let (tx, rx) = Pipe::one_way::<u8>()?;
    /// rx.close();
    /// assert!(matches!(tx.send(&2), Err(SendError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.end.close(BORROWED);
    }

    /// Who has the other end now. Asks the kernel whether that process lives.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.end.peer()
    }

    /// As [`Sender::take_back`](crate::Sender::take_back).
    #[must_use]
    pub fn take_back(&self) -> bool {
        self.end.take_back()
    }

    /// As [`Sender::is_owned`](crate::Sender::is_owned).
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.end.is_ours()
    }

    /// The segment in which the pipe lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.end.segment()
    }

    #[inline]
    pub(crate) fn inlet(&self) -> &Inlet {
        &self.end.inlet
    }

    fn bytes_within(&self, patience: Patience) -> Result<Vec<u8>, TryRecvError> {
        self.receive(patience, nothing, |inlet, taking, next| match next {
            Next::Record(record) => {
                let mut bytes = Vec::new();
                copy_out(&record, 0, &mut bytes);
                taking.release(&inlet.view, record);
                Ok(bytes)
            }
            _ => Ok(taking.take_hand().0),
        })
    }

    fn buffer_within(&self, buffer: &mut [u8], patience: Patience) -> Result<usize, TryRecvError> {
        self.receive(patience, nothing, |inlet, taking, next| match next {
            Next::Record(record) => {
                let (bytes, room) = (record.bytes(), buffer.len());
                if bytes > room {
                    return Err(TryRecvError::BufferTooShort { bytes, room });
                }
                copy_part(&record, 0, &mut buffer[..bytes]);
                taking.release(&inlet.view, record);
                Ok(bytes)
            }
            _ => {
                let (bytes, room) = (taking.in_hand().len(), buffer.len());
                let Some(to) = buffer.get_mut(..bytes) else {
                    return Err(TryRecvError::BufferTooShort { bytes, room });
                };
                to.copy_from_slice(taking.in_hand());
                drop(Scratch(taking.take_hand().0));
                Ok(bytes)
            }
        })
    }

    /// Makes attempts until a message is there, none can come, or the patience ends; then has `take`
    /// take it, unless `quick` could.
    pub(crate) fn receive<'r, R>(
        &'r self,
        patience: Patience,
        quick: impl FnMut(&'r Inlet, &mut Taking) -> Option<R>,
        take: impl FnMut(&'r Inlet, &mut Taking, Next<'r>) -> Result<R, TryRecvError>,
    ) -> Result<R, TryRecvError> {
        self.receive_spinning(patience, &self.inlet().spin, quick, take)
    }

    /// The same for one who has spun already, or not.
    pub(crate) fn receive_spinning<'r, R>(
        &'r self,
        patience: Patience,
        spin: &Spin,
        mut quick: impl FnMut(&'r Inlet, &mut Taking) -> Option<R>,
        mut take: impl FnMut(&'r Inlet, &mut Taking, Next<'r>) -> Result<R, TryRecvError>,
    ) -> Result<R, TryRecvError> {
        let inlet = self.inlet();
        if !self.end.is_ours() {
            return Err(TryRecvError::NotOwned);
        }
        let Some(mut taking) = inlet.turn.hold(patience) else { return Err(TryRecvError::Empty) };
        let mut attempt = |look| {
            if self.end.is_ours() {
                if let Some(taken) = quick(inlet, &mut taking) {
                    return Ok(taken);
                }
            }
            let next = self.end.look(&mut taking, look)?;
            if !matches!(next, Next::InHand) {
                taking.drop_part();
            }
            if let Next::TooLong(record, bytes) = next {
                let limit = inlet.max_len.load(Relaxed);
                taking.release(&inlet.view, record);
                return Err(TryRecvError::TooLong { bytes, limit });
            }
            take(inlet, &mut taking, next)
        };
        match attempt(Look::Quick) {
            Err(TryRecvError::Empty) => {}
            answer => return answer,
        }
        if patience.is_none() {
            return if now_and_then() { attempt(Look::Repair) } else { Err(TryRecvError::Empty) };
        }
        let look = |look| match attempt(look) {
            Err(TryRecvError::Empty) => None,
            answer => Some(answer),
        };
        let items = inlet.view.items();
        let answer = block_on(self.segment(), items, spin, patience.deadline(), look);
        answer.unwrap_or(Err(TryRecvError::Empty))
    }
}

/// What lies in the ring, at a glance.
enum Glance {
    /// A whole message, first.
    Whole,
    /// Nothing, and nothing in hand.
    Nothing,
    /// A part of a long message, there or in hand; or what is wrong.
    Part,
}

impl End {
    /// One look at what comes next.
    fn look(&self, taking: &mut Taking, look: Look) -> Result<Next<'_>, TryRecvError> {
        let inlet = &self.inlet;
        if !self.is_ours() {
            return Err(TryRecvError::NotOwned);
        }
        let max_len = inlet.max_len.load(Relaxed);
        match taking.next(&inlet.view, max_len) {
            Err(NoRecord::Empty) => {}
            answer => return Ok(answer?),
        }
        if !self.look_for_more(look) {
            return Err(TryRecvError::Empty);
        }
        // Once more: what was sent last may have come between the two looks.
        match taking.next(&inlet.view, max_len) {
            Err(NoRecord::Empty) if inlet.view.is_empty(&mut taking.consumer) => {
                Err(TryRecvError::Closed)
            }
            answer => Ok(answer?),
        }
    }

    /// Whether `recv` would not block now. While another thread is in it, what comes is that one's.
    pub(crate) fn has_message(&self, look: Look) -> bool {
        if !self.is_ours() {
            return true;
        }
        let turn = &self.inlet.turn;
        match self.glance() {
            Glance::Whole => return turn.is_free(),
            Glance::Nothing if !self.look_for_more(look) => return false,
            _ => {}
        }
        let is_ready =
            |taking: &mut Taking| !matches!(self.look(taking, look), Err(TryRecvError::Empty));
        turn.look().is_some_and(|mut taking| is_ready(&mut taking))
    }

    /// Takes in hand what has come of a long message, for one that waits for room to send: the peer may
    /// wait for room just as well. Where another thread receives it is that one's to take.
    pub(crate) fn take_in(&self) {
        if self.sizes.lanes != 2 || !matches!(self.glance(), Glance::Part) {
            return;
        }
        if let Some(mut taking) = self.inlet.turn.hold(Patience::None) {
            // Whatever is wrong with it is told to who receives.
            let _ = self.look(&mut taking, Look::Quick);
        }
    }

    /// A look at the ring without the turn, so that who watches for others does not take it from the
    /// thread whose own it is. If that one takes something meanwhile, this may tell of what is gone.
    fn glance(&self) -> Glance {
        let inlet = &self.inlet;
        let first = inlet.view.first(&mut inlet.view.consumer()).map(|record| record.word());
        // ORDERING: acquire side of *reuse*: if a part has left the ring, its note is seen.
        fence(Acquire);
        let in_hand = inlet.in_hand.load(Relaxed);
        match first {
            Ok(word) if word.is_start() && !word.has_more() => Glance::Whole,
            Err(NoRecord::Empty) if !in_hand => Glance::Nothing,
            _ => Glance::Part,
        }
    }
}

/// For [`Receiver::receive`], where there is no quick way.
pub(crate) fn nothing<R>(_: &Inlet, _: &mut Taking) -> Option<R> {
    None
}

impl Taking {
    /// Takes the next message, and whether it holds handles.
    pub(crate) fn take_message(&mut self, inlet: &Inlet, next: Next<'_>) -> (Scratch, bool) {
        match next {
            Next::Record(record) => {
                let mut bytes = Scratch::new();
                copy_out(&record, 0, &mut bytes.0);
                self.release(&inlet.view, record);
                (bytes, record.word().has_handles())
            }
            _ => {
                let (bytes, handles) = self.take_hand();
                (Scratch(bytes), handles)
            }
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.end).finish()
    }
}
