//! Accepting: one step after the other with each connection, never waiting for a single one.

use std::fmt;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;
use crossproc_sys::poll;
use crossproc_sys::socket::{self, PeerCred};

use super::error::{AcceptError, Refusal, WhyRefused};
use super::listener::Listener;
use super::wire::{self, Answer, Unread};
use crate::error::Error;
use crate::pair::PipeEnd;

/// Under which name the pipe lies in its segment.
pub(super) const PIPE: &str = "pipe";
/// Connections that are talked to at once. One more, and the oldest that has said nothing has to go:
/// it had its chance.
const MOST_PENDING: usize = 64;
/// Bytes in a segment beside those of the rings of its pipe.
const BESIDE_RINGS: usize = 8 << 10;

/// This process's end of a pipe, and who has the other; from
/// [`Listener::accept_from`](crate::Listener::accept_from).
pub type Accepted<A, B> = (PipeEnd<A, B>, PeerCred);

/// A connection that is not accepted yet.
pub(super) struct Pending<A, B> {
    socket: OwnedFd,
    peer: PeerCred,
    until: Deadline,
    /// What this process has of the pipe, once it has offered it.
    offered: Option<PipeEnd<A, B>>,
}

/// How far a connection has got.
enum Step<A, B> {
    /// No further: nothing has come.
    Waits,
    Offered(PipeEnd<A, B>),
    Taken,
    Refused(WhyRefused),
}

impl<A: Message, B: Message> Listener<A, B> {
    /// Brings this process's end of a pipe to the next process that connects. Blocks while there is
    /// none.
    ///
    /// Connectors that are refused, say something else than a connector does, say nothing, or die are
    /// passed over; see [`last_refusal`](Self::last_refusal).
    ///
    /// # Errors
    ///
    /// [`AcceptError`]: this process cannot go on, for want of descriptors or memory, say. The
    /// listener is as it was, and may be asked again.
    pub fn accept(&self) -> Result<PipeEnd<A, B>, AcceptError> {
        loop {
            if let Some((end, _)) = self.accept_from(None)? {
                return Ok(end);
            }
        }
    }

    /// As [`accept`](Self::accept), if somebody has connected. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Listener;
    ///
    /// let name = format!("doc-try-accept-{}", std::process::id());
    /// let listener = Listener::<u8, u8>::bind(&name)?;
    /// assert!(listener.try_accept()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn try_accept(&self) -> Result<Option<PipeEnd<A, B>>, AcceptError> {
        Ok(self.progress()?.map(|(end, _)| end))
    }

    /// As [`accept`](Self::accept), but blocks no longer than `timeout`: `None` then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_pipe::Listener;
    ///
    /// let name = format!("doc-accept-timeout-{}", std::process::id());
    /// let listener = Listener::<u8, u8>::bind(&name)?;
    /// assert!(listener.accept_timeout(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Option<PipeEnd<A, B>>, AcceptError> {
        self.accept_deadline(Deadline::after(timeout))
    }

    /// As [`accept`](Self::accept), but blocks until `deadline` at most: `None` then.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<Option<PipeEnd<A, B>>, AcceptError> {
        Ok(self.accept_from(Some(deadline))?.map(|(end, _)| end))
    }

    /// As [`accept_deadline`](Self::accept_deadline), without one for as long as it takes; says too
    /// who has connected: the kernel's word for it, at that time.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Listener, Pipe};
    ///
    /// let name = format!("doc-accept-from-{}", std::process::id());
    /// let listener = Listener::<u8, u8>::bind(&name)?;
    /// let connecting = std::thread::spawn(move || Pipe::<u8, u8>::connect(&name));
    /// let (_end, peer) = listener.accept_from(None)?.expect("without a deadline there is one");
    /// assert_eq!(peer.pid, std::process::id());
    /// assert!(connecting.join().unwrap().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_from(
        &self,
        deadline: Option<Deadline>,
    ) -> Result<Option<Accepted<A, B>>, AcceptError> {
        loop {
            if let Some(accepted) = self.progress()? {
                return Ok(Some(accepted));
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Ok(None);
            }
            let oldest = self.pending.lock().iter().map(|pending| pending.until).min();
            let until = deadline.into_iter().chain(oldest).min();
            poll::readable(&self.ready, until).map_err(failed("wait for connections"))?;
        }
    }

    /// Goes as far with each connection as what has come allows; brings the first that is done.
    fn progress(&self) -> Result<Option<Accepted<A, B>>, AcceptError> {
        if !self.claim.is_ours() {
            return Err(AcceptError::NotOwned);
        }
        let mut pending = self.pending.lock();
        self.let_in(&mut pending)?;
        let mut index = 0;
        while index < pending.len() {
            match self.step(&pending[index]) {
                Ok(Step::Waits) if !pending[index].until.has_passed() => index += 1,
                Ok(Step::Waits) => self.refuse(pending.remove(index), WhyRefused::Silent),
                Ok(Step::Refused(why)) => self.refuse(pending.remove(index), why),
                Ok(Step::Offered(end)) => {
                    pending[index].offered = Some(end);
                    pending[index].until = Deadline::after(self.options.handshake);
                    index += 1;
                }
                Ok(Step::Taken) => {
                    let Pending { socket, peer, offered, .. } = pending.remove(index);
                    self.ready.remove(&socket);
                    if let Some(end) = offered {
                        return Ok(Some((end, peer)));
                    }
                }
                Err(error) => {
                    let text = wire::answer(Answer::Failed, &error.to_string());
                    let failed = pending.remove(index);
                    let _ = socket::send_with_fds(&failed.socket, &text, &[]);
                    self.dismiss(&failed.socket);
                    return Err(error.into());
                }
            }
        }
        Ok(None)
    }

    /// Takes all who wait at the socket.
    fn let_in(&self, pending: &mut Vec<Pending<A, B>>) -> Result<(), AcceptError> {
        let Some(listening) = self.claim.socket() else { return Ok(()) };
        // As many as there is room for: what they have said is looked at before others come.
        for _ in 0..MOST_PENDING {
            let Some(socket) = socket::accept(listening).map_err(failed("accept a connection"))?
            else {
                break;
            };
            let Ok(peer) = socket::peer_cred(&socket) else { continue };
            if pending.len() >= MOST_PENDING {
                let silent = pending.iter().position(|pending| pending.offered.is_none());
                self.refuse(pending.remove(silent.unwrap_or(0)), WhyRefused::Silent);
            }
            self.ready.add(&socket).map_err(failed("watch a connection"))?;
            let until = Deadline::after(self.options.handshake);
            pending.push(Pending { socket, peer, until, offered: None });
        }
        Ok(())
    }

    /// Reads what a connection has said, if anything, and answers it.
    fn step(&self, pending: &Pending<A, B>) -> Result<Step<A, B>, Error> {
        let said = match socket::recv(&pending.socket, wire::READ_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Step::Waits),
            Err(_) => return Ok(Step::Refused(WhyRefused::Gone)),
            Ok(said) if said.is_empty() => return Ok(Step::Refused(WhyRefused::Gone)),
            Ok(said) => said,
        };
        if pending.offered.is_some() {
            let is_taken = wire::is_taken(&said);
            return Ok(if is_taken { Step::Taken } else { Step::Refused(WhyRefused::Garbage) });
        }
        let (answer, why) = match wire::read_hello(&said, &self.shape) {
            // Only now: a socket that is closed with something unread in it loses the answer.
            _ if !self.options.users.has(pending.peer.uid) => {
                (wire::answer(Answer::Refused, ""), WhyRefused::User)
            }
            Ok(Ok(())) => return self.offer(&pending.socket),
            Ok(Err(found)) => {
                let expected = self.shape.type_name;
                (wire::answer(Answer::Types, expected), WhyRefused::Types { expected, found })
            }
            Err(Unread::Version(found)) => {
                let why = WhyRefused::Version { expected: wire::VERSION, found };
                (wire::answer(Answer::Version, ""), why)
            }
            Err(Unread::Garbage) => return Ok(Step::Refused(WhyRefused::Garbage)),
        };
        let _ = socket::send_with_fds(&pending.socket, &answer, &[]);
        Ok(Step::Refused(why))
    }

    /// Makes a pipe in a segment of its own, and sends that off.
    fn offer(&self, socket: &OwnedFd) -> Result<Step<A, B>, Error> {
        let pipe = self.options.pipe();
        let bytes = pipe.bytes()?.saturating_add(BESIDE_RINGS).saturating_add(self.options.room);
        let segment = Segment::options().sparse(true).anonymous(bytes)?;
        let end = pipe.create(&segment, PIPE)?.first()?;
        let answer = wire::answer(Answer::Ok, "");
        Ok(match socket::send_with_fds(socket, &answer, &[segment.as_fd()]) {
            Ok(_) => Step::Offered(end),
            Err(_) => Step::Refused(WhyRefused::Gone),
        })
    }

    fn refuse(&self, pending: Pending<A, B>, why: WhyRefused) {
        self.dismiss(&pending.socket);
        self.note(pending.peer, why);
    }

    fn note(&self, peer: PeerCred, why: WhyRefused) {
        *self.refusal.lock() = Some(Refusal { peer, why });
    }

    /// A forked child may have a copy of the socket: the peer is to see its end all the same.
    fn dismiss(&self, socket: &OwnedFd) {
        self.ready.remove(socket);
        socket::shut_down(socket);
    }
}

fn failed(what: &'static str) -> impl FnOnce(std::io::Error) -> AcceptError {
    move |source| AcceptError::Io { what, source }
}

/// The connections that come to a listener; from [`Listener::incoming`].
#[derive(Debug)]
pub struct Incoming<'l, A, B> {
    listener: &'l Listener<A, B>,
}

impl<'l, A, B> Incoming<'l, A, B> {
    pub(super) fn new(listener: &'l Listener<A, B>) -> Self {
        Self { listener }
    }
}

impl<A: Message, B: Message> Iterator for Incoming<'_, A, B> {
    type Item = Result<PipeEnd<A, B>, AcceptError>;

    /// As [`Listener::accept`]; never `None`.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept())
    }
}

impl<A: Message, B: Message> FusedIterator for Incoming<'_, A, B> {}

impl<A, B> fmt::Debug for Pending<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("peer", &self.peer).finish_non_exhaustive()
    }
}
