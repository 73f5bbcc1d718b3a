//! Connecting to a listener.

use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;
use crossproc_sys::socket;
use crossproc_sys::{poll, process};

use super::accept::PIPE;
use super::error::ConnectError;
use super::place::{Listening, Place, Spot};
use super::wire::{self, Answer, Unread};
use crate::pair::PipeEnd;
use crate::pipe::Pipe;

/// How long a listener is waited for before it is asked again whether it lives.
const SLICE: Duration = Duration::from_millis(80);
/// How long names are watched for before they are looked for again all the same.
const WATCH: Duration = Duration::from_millis(500);
/// The same where the system has no watch left.
const NO_WATCH: Duration = Duration::from_millis(10);
/// How often a listener may close the connection before that is an error.
const DROPS: u32 = 8;

/// Connects to the [`Listener`](crate::Listener) that has a name.
///
/// [`Pipe::connect`] and [`Pipe::connect_timeout`] are the same without choices.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use crossproc_pipe::{Connector, Listener};
///
/// let name = format!("doc-connector-{}", std::process::id());
/// let connector = Connector::<u32, u32>::new(&name);
/// // Waits until somebody listens.
/// let connecting = std::thread::spawn(move || connector.connect_timeout(Duration::from_secs(60)));
/// let end = Listener::<u32, u32>::bind(&name)?.accept()?;
/// end.send(&1)?;
/// assert_eq!(connecting.join().unwrap()?.recv()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connector<A, B> {
    name: String,
    directory: Option<PathBuf>,
    user: u32,
    items: PhantomData<fn(A) -> B>,
}

/// How an attempt ended.
enum Attempt<T> {
    Connected(T),
    /// Nobody listens.
    Nobody,
    /// The listener lives, and has closed the connection.
    Dropped,
    /// It lives, and has not accepted before the deadline.
    TooLate,
}

impl<A: Message, B: Message> Connector<A, B> {
    /// For the listener that has this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let user = process::user();
        Self { name: name.to_owned(), directory: None, user, items: PhantomData }
    }

    /// The directory in which the name is; as [`ListenerOptions::directory`], of which it says what it
    /// is otherwise.
    ///
    /// [`ListenerOptions::directory`]: crate::ListenerOptions::directory
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(path.as_ref().to_owned());
        self
    }

    /// The user that the listener must run as, if that is another than this process's own.
    #[must_use]
    pub fn of_user(mut self, uid: u32) -> Self {
        self.user = uid;
        self
    }

    /// Connects to the process that listens now. Blocks until that accepts; if it dies first, or
    /// closes the name, that is seen within 0.1 s.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Connector;
    ///
    /// let error = Connector::<u8, u8>::new("doc-nobody").connect().unwrap_err();
    /// assert!(error.is_nobody());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError::NobodyListens`]; [`ConnectError::Types`] if the listener has other types;
    /// [`ConnectError::Refused`] and [`ConnectError::Foreign`] where another user is at the other
    /// side; or another [`ConnectError`].
    pub fn connect(&self) -> Result<PipeEnd<B, A>, ConnectError> {
        self.connect_within(None, false)
    }

    /// Connects as soon as somebody listens and accepts, but blocks no longer than `timeout`. For
    /// processes that are started in any order.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_pipe::Connector;
    ///
    /// let connector = Connector::<u8, u8>::new("doc-nobody-yet");
    /// assert!(connector.connect_timeout(Duration::from_millis(1)).unwrap_err().is_nobody());
    /// ```
    ///
    /// # Errors
    ///
    /// After the timeout [`ConnectError::NobodyListens`], or [`ConnectError::TimedOut`] if somebody
    /// listens and has not accepted; at once the other errors of [`connect`](Self::connect).
    pub fn connect_timeout(&self, timeout: Duration) -> Result<PipeEnd<B, A>, ConnectError> {
        self.connect_deadline(Deadline::after(timeout))
    }

    /// As [`connect_timeout`](Self::connect_timeout), until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`connect_timeout`](Self::connect_timeout).
    pub fn connect_deadline(&self, deadline: Deadline) -> Result<PipeEnd<B, A>, ConnectError> {
        self.connect_within(Some(deadline), true)
    }

    fn connect_within(
        &self,
        deadline: Option<Deadline>,
        waits: bool,
    ) -> Result<PipeEnd<B, A>, ConnectError> {
        let place = Place::new(&self.name, self.directory.as_deref())?;
        let name = || self.name.clone();
        let mut drops = 0;
        loop {
            // Before the look, so that no name appears in between.
            let watch = waits.then(|| place.watch()).flatten();
            let is_over = || deadline.is_some_and(Deadline::has_passed);
            match self.attempt(&place, deadline)? {
                Attempt::Connected(end) => return Ok(end),
                Attempt::TooLate => return Err(ConnectError::TimedOut { name: name() }),
                Attempt::Nobody if !waits || is_over() => {
                    return Err(ConnectError::NobodyListens { name: name() });
                }
                Attempt::Nobody => pause(watch.as_ref(), deadline)?,
                Attempt::Dropped => {
                    drops += 1;
                    if drops >= DROPS || is_over() {
                        return Err(ConnectError::Dropped { name: name() });
                    }
                }
            }
        }
    }

    fn attempt(
        &self,
        place: &Place,
        deadline: Option<Deadline>,
    ) -> Result<Attempt<PipeEnd<B, A>>, ConnectError> {
        let Some(spot) = place.open()? else { return Ok(Attempt::Nobody) };
        let Some(listening) = spot.listening() else { return Ok(Attempt::Nobody) };
        let socket = match self.reach(&spot, listening, deadline)? {
            Attempt::Connected(socket) => socket,
            Attempt::Nobody => return Ok(Attempt::Nobody),
            Attempt::Dropped => return Ok(Attempt::Dropped),
            Attempt::TooLate => return Ok(Attempt::TooLate),
        };
        let peer = socket::peer_cred(&socket).map_err(self.failed("ask who listens at"))?;
        if peer.uid != self.user {
            let (expected, found) = (self.user, peer.uid);
            return Err(ConnectError::Foreign { name: self.name.clone(), expected, found });
        }
        let hello = wire::hello(&Pipe::<A, B>::shape());
        // If it fails the listener is gone, or has said why before.
        let _ = socket::send_with_fds(&socket, &hello, &[]);
        loop {
            if self.until_readable(&socket, deadline)? {
                break;
            }
            if deadline.is_some_and(Deadline::has_passed) {
                return Ok(Attempt::TooLate);
            }
            if spot.listening() != Some(listening) {
                return Ok(Attempt::Nobody);
            }
        }
        match socket::recv_with_fds(&socket, wire::READ_BYTES) {
            Ok((answer, fds)) if !answer.is_empty() => {
                self.take(&socket, &answer, fds).map(Attempt::Connected)
            }
            Err(error) if error.kind() == io::ErrorKind::Other => {
                Err(self.failed("take the pipe of")(error))
            }
            _ if spot.listening() == Some(listening) => Ok(Attempt::Dropped),
            _ => Ok(Attempt::Nobody),
        }
    }

    /// Waits at the socket's backlog.
    fn reach(
        &self,
        spot: &Spot,
        listening: Listening,
        deadline: Option<Deadline>,
    ) -> Result<Attempt<OwnedFd>, ConnectError> {
        loop {
            let left = deadline.map_or(SLICE, |deadline| deadline.remaining().min(SLICE));
            match socket::connect(&spot.socket_path(), left) {
                Ok(socket) => return Ok(Attempt::Connected(socket)),
                Err(error) => match error.kind() {
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                        return Ok(Attempt::Nobody);
                    }
                    io::ErrorKind::WouldBlock if deadline.is_some_and(Deadline::has_passed) => {
                        return Ok(Attempt::TooLate);
                    }
                    io::ErrorKind::WouldBlock if spot.listening() == Some(listening) => {}
                    io::ErrorKind::WouldBlock => return Ok(Attempt::Nobody),
                    _ => return Err(self.failed("connect to")(error)),
                },
            }
        }
    }

    fn until_readable(
        &self,
        socket: &OwnedFd,
        deadline: Option<Deadline>,
    ) -> Result<bool, ConnectError> {
        let slice = Deadline::after(SLICE);
        let until = deadline.map_or(slice, |deadline| deadline.min(slice));
        poll::readable(socket, Some(until)).map_err(self.failed("wait for"))
    }

    /// Does as the listener answers.
    fn take(
        &self,
        socket: &OwnedFd,
        answer: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<PipeEnd<B, A>, ConnectError> {
        let name = self.name.clone();
        let (answer, text) = match wire::read_answer(answer) {
            Ok(read) => read,
            Err(Unread::Garbage) => return Err(ConnectError::Garbage { name }),
            Err(Unread::Version(found)) => {
                return Err(ConnectError::Version { name, expected: wire::VERSION, found });
            }
        };
        match answer {
            Answer::Ok => {}
            Answer::Refused => return Err(ConnectError::Refused { name, uid: process::user() }),
            Answer::Types => {
                let expected = Pipe::<A, B>::shape().type_name.to_owned();
                let swapped = text == Pipe::<B, A>::shape().type_name;
                return Err(ConnectError::Types { name, expected, found: text, swapped });
            }
            // Of another version, it would have been found above.
            Answer::Version => return Err(ConnectError::Garbage { name }),
            Answer::Failed => return Err(ConnectError::Failed { name, why: text }),
        }
        let Ok([segment]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(ConnectError::Garbage { name });
        };
        let segment = Segment::from_fd(segment).map_err(crate::Error::from)?;
        let end = Pipe::<A, B>::open(&segment, PIPE)?.second()?;
        // If it fails the listener has given up, and the end sees that its peer is gone.
        let _ = socket::send_with_fds(socket, &wire::taken(), &[]);
        Ok(end)
    }

    fn failed(&self, doing: &str) -> impl FnOnce(io::Error) -> ConnectError + use<A, B> {
        let what = format!("{doing} the listener {:?}", self.name);
        move |source| ConnectError::Io { what, source }
    }
}

impl<A, B> Clone for Connector<A, B> {
    fn clone(&self) -> Self {
        let (name, directory) = (self.name.clone(), self.directory.clone());
        Self { name, directory, user: self.user, items: PhantomData }
    }
}

/// Waits until a name appears.
fn pause(
    watch: Option<&crossproc_sys::inotify::NameWatch>,
    deadline: Option<Deadline>,
) -> Result<(), ConnectError> {
    let slice = if watch.is_some() { WATCH } else { NO_WATCH };
    let slice = Deadline::after(slice);
    let until = deadline.map_or(slice, |deadline| deadline.min(slice));
    match watch {
        None => std::thread::sleep(until.remaining()),
        Some(watch) => {
            let failed = |source| ConnectError::Io { what: "wait for a listener".into(), source };
            poll::readable(watch, Some(until)).map_err(failed)?;
        }
    }
    Ok(())
}

impl<A: Message, B: Message> Pipe<A, B> {
    /// Connects to the process that listens at `name` now, and brings the second end of a pipe whose
    /// first end is that one's. Blocks until the listener accepts.
    ///
    /// As [`Connector::connect`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Pipe;
    ///
    /// assert!(Pipe::<u8, u8>::connect("doc-nobody-here").unwrap_err().is_nobody());
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Connector::connect`].
    pub fn connect(name: &str) -> Result<PipeEnd<B, A>, ConnectError> {
        Connector::<A, B>::new(name).connect()
    }

    /// As [`connect`](Self::connect), but waits until somebody listens and accepts, for `timeout` at
    /// most.
    ///
    /// # Errors
    ///
    /// As [`Connector::connect_timeout`].
    pub fn connect_timeout(name: &str, timeout: Duration) -> Result<PipeEnd<B, A>, ConnectError> {
        Connector::<A, B>::new(name).connect_timeout(timeout)
    }
}
