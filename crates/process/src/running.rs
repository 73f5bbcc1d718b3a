//! A child process as its parent sees it: alive, or ended with a status that is kept.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crossproc_segment::transit::Loan;
use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::{Exit, PidFd};
use crossproc_sys::{fork, futex};
use parking_lot::Mutex;

use crate::ends;
use crate::error::Who;
use crate::wire::{self, Incoming, Reply};

/// "No child processes".
const ECHILD: i32 = 10;

/// In [`Running::end_word`].
pub(crate) const RUNS: u32 = 0;
const ENDED: u32 = 1;

/// The signal that cannot be caught.
pub(crate) const SIGKILL: i32 = 9;

/// A started child. The status is reaped once and kept, so that all threads see the same.
///
/// Every request goes through the pidfd: it can never reach a process that got the same pid later.
pub(crate) struct Running {
    who: Who,
    pidfd: PidFd,
    /// Our end: the reply comes by it, and the child ends when it is closed.
    socket: OwnedFd,
    daemon: bool,
    /// The process that started it, among its own forks: only that one is its parent.
    starter: u32,
    status: Mutex<Status>,
    /// 1 once a watcher has seen the end; see `ends`.
    end: AtomicU32,
    /// The process, among its own forks, whose watcher was told to look out for the end; 0 is none.
    watched_by: AtomicU32,
    /// What the handles in its arguments have lent to it, until it has ended.
    loans: Mutex<Vec<Loan>>,
}

#[derive(Clone, Copy, Debug)]
enum Status {
    Runs,
    /// Without a status when other code took it (`waitpid(-1)`, or SIGCHLD is ignored).
    Ended(Option<ExitStatus>),
}

impl Running {
    pub(crate) fn new(who: Who, pidfd: PidFd, socket: OwnedFd, daemon: bool) -> Self {
        let starter = fork::incarnation();
        Self {
            who,
            pidfd,
            socket,
            daemon,
            starter,
            status: Mutex::new(Status::Runs),
            end: AtomicU32::new(RUNS),
            watched_by: AtomicU32::new(0),
            loans: Mutex::default(),
        }
    }

    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    pub(crate) fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// Waits for the end of the process. False when the deadline passed.
    pub(crate) fn wait(&self, deadline: Option<Deadline>) -> io::Result<bool> {
        if self.has_ended() {
            return Ok(true);
        }
        if !self.pidfd.wait(deadline)? {
            return Ok(false);
        }
        self.reap(true)?;
        Ok(true)
    }

    /// Whether the process has ended; reaps it then. Never blocks.
    pub(crate) fn has_ended(&self) -> bool {
        // An error leaves the question open: the process counts as running.
        self.reap(false).unwrap_or(false)
    }

    /// A word that holds [`RUNS`] until a watcher has seen the process end, and is woken then.
    pub(crate) fn end_word(self: &Arc<Self>) -> &AtomicU32 {
        // Relaxed: a second watcher would do no harm. Where none is to be had, sleepers look by
        // themselves now and then.
        let me = fork::incarnation();
        if self.watched_by.swap(me, Relaxed) != me && ends::tell(self).is_err() {
            self.watched_by.store(0, Relaxed);
        }
        &self.end
    }

    /// Takes back what the arguments have lent once the process has ended, whoever waits for it.
    pub(crate) fn keep(self: &Arc<Self>, loans: Vec<Loan>) {
        if !loans.is_empty() {
            *self.loans.lock() = loans;
            // Without a watcher they are taken back when somebody asks for its end.
            let _ = self.end_word();
        }
    }

    /// Wakes all who wait for the end.
    pub(crate) fn tell_end(&self) {
        // Relaxed: whoever is woken asks the kernel.
        self.end.store(ENDED, Relaxed);
        futex::wake(&self.end, u32::MAX);
    }

    /// How it ended, if it has and if that is known.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        match *self.status.lock() {
            Status::Ended(status) => status,
            Status::Runs => None,
        }
    }

    /// Sends a signal; nothing happens when the process has ended.
    pub(crate) fn signal(&self, signal: i32) -> io::Result<()> {
        match self.pidfd.signal(signal) {
            Err(_) if self.has_ended() => Ok(()),
            done => done,
        }
    }

    /// What the process sent, once it has ended: all of it is here then.
    pub(crate) fn reply(&self) -> io::Result<Option<Incoming<Reply>>> {
        if self.is_inherited() {
            // Taking it here would take it from the parent, which has the same socket.
            return Err(io::Error::other("it was started before this process was forked"));
        }
        wire::try_receive(self.socket.as_fd())
    }

    /// Our end of the socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Ends the process at once and reaps it.
    pub(crate) fn end(&self) {
        // Errors leave nothing more to be done: it has ended, or it is not ours to end.
        let _ = self.signal(SIGKILL);
        let _ = self.wait(None);
    }

    /// Whether this is a forked copy of the handle: the process is another's child.
    fn is_inherited(&self) -> bool {
        self.starter != fork::incarnation()
    }

    fn reap(&self, block: bool) -> io::Result<bool> {
        if self.is_inherited() {
            return self.pidfd.wait(Some(Deadline::now()));
        }
        let mut status = self.status.lock();
        if let Status::Ended(_) = *status {
            return Ok(true);
        }
        let ended = match self.pidfd.reap(block) {
            Ok(None) => return Ok(false),
            Ok(Some(exit)) => Some(status_of(exit)),
            // Not our child any more: somebody else has reaped it.
            Err(error) if error.raw_os_error() == Some(ECHILD) => None,
            Err(error) => return Err(error),
        };
        // What it did not receive before it ended it never will. Before anybody is told of the end.
        self.loans.lock().drain(..).for_each(|loan| loan.take_back());
        *status = Status::Ended(ended);
        Ok(true)
    }
}

/// The standard library's form of a status: a wait status word.
fn status_of(exit: Exit) -> ExitStatus {
    ExitStatus::from_raw(match exit {
        Exit::Code(code) => (code & 0xff) << 8,
        Exit::Signal(signal, core) => signal | if core { 0x80 } else { 0 },
    })
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("who", &self.who)
            .field("daemon", &self.daemon)
            .field("status", &*self.status.lock())
            .finish_non_exhaustive()
    }
}
