//! The parent's handle of a child process.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossproc_message::{self as message, Message};
use crossproc_segment::transit::Loan;
use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_sys::clock::Deadline;

use crate::error::JoinError;
use crate::reaper;
use crate::running::{RUNS, Running, SIGKILL};
use crate::wire::{self, Incoming, Reply};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// A process that runs a function, and the way to its result.
///
/// # Dropping
/// Dropping the handle lets the process run on, as a thread does; its result is lost. It is reaped
/// when this process next starts, joins or drops one, so that no zombies pile up. Like every child
/// it ends within a second of this process's end, unless it was started with
/// [`Builder::orphan`](crate::Builder::orphan).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// crossproc_process::init();
/// let handle = crossproc_process::spawn((), std::process::id)?;
/// let pid = handle.pid();
/// assert_eq!(handle.join()?, pid);
/// # Ok(())
/// # }
/// ```
#[must_use = "without it the result is lost; `detach()` says that this is meant"]
pub struct JoinHandle<R> {
    running: Arc<Running>,
    result: PhantomData<fn() -> R>,
}

impl<R> JoinHandle<R> {
    /// The handle of a started process, to which `loans` came with its arguments.
    pub(crate) fn new(running: Running, loans: Vec<Loan>) -> Self {
        let running = Arc::new(running);
        running.keep(loans);
        Self { running, result: PhantomData }
    }

    /// Name of the process.
    pub fn name(&self) -> &str {
        &self.running.who().name
    }

    /// Process id. It stays what it was after the process has ended; do not signal it by number
    /// then, but with [`terminate`](Self::terminate) and [`kill`](Self::kill).
    pub fn pid(&self) -> u32 {
        self.running.who().pid
    }

    /// Whether the process was started as a [daemon](crate::Builder::daemon).
    pub fn is_daemon(&self) -> bool {
        self.running.is_daemon()
    }

    /// Whether the process runs still; a snapshot. Never blocks.
    ///
    /// A process that has sent its result runs on for a moment until it has ended. It never waits
    /// for its parent to take the result.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((), || vec![0u8; 1 << 20])?;
    /// handle.wait()?;
    /// assert!(!handle.is_alive());
    /// assert_eq!(handle.join()?.len(), 1 << 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_alive(&self) -> bool {
        !self.running.has_ended()
    }

    /// How the process ended; `None` while it runs, and when other code of this process took the
    /// status (`waitpid(-1)`, or SIGCHLD is ignored). Never blocks.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((3,), |code: i32| -> () { std::process::exit(code) })?;
    /// handle.wait()?;
    /// assert_eq!(handle.exit_status().and_then(|status| status.code()), Some(3));
    /// # Ok(())
    /// # }
    /// ```
    pub fn exit_status(&self) -> Option<ExitStatus> {
        if self.running.has_ended() { self.running.exit_status() } else { None }
    }

    /// Blocks until the process has ended, without taking its result. Any number of threads may wait.
    ///
    /// # Errors
    /// An error of the system.
    pub fn wait(&self) -> io::Result<()> {
        self.running.wait(None).map(drop)
    }

    /// Blocks until the process has ended, for at most `timeout`; false if it still runs then. Zero
    /// only looks.
    ///
    /// # Errors
    /// An error of the system.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::{Duration, Instant};
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((), || -> () { loop { std::thread::park() } })?;
    /// assert!(!handle.wait_timeout(Duration::from_millis(10))?);
    /// handle.kill()?;
    /// assert!(handle.wait_timeout(Duration::from_secs(60))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        self.running.wait(Some(Deadline::after(timeout)))
    }

    /// Asks the process to end, with SIGTERM; does nothing when it has ended.
    ///
    /// The process may catch or ignore the signal. No destructors run in it. Shared memory that it
    /// was using stays usable by the others.
    ///
    /// # Errors
    /// An error of the system, as when the process runs as another user by now.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use crossproc_process::JoinError;
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((), || -> () { loop { std::thread::park() } })?;
    /// handle.terminate()?;
    /// assert!(matches!(handle.join(), Err(JoinError::Signalled { signal: 15, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(&self) -> io::Result<()> {
        self.running.signal(SIGTERM)
    }

    /// Interrupts the process, with SIGINT, as Ctrl-C does; does nothing when it has ended.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((), || -> () { loop { std::thread::park() } })?;
    /// handle.interrupt()?;
    /// assert!(handle.join().unwrap_err().to_string().contains("killed by SIGINT"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn interrupt(&self) -> io::Result<()> {
        self.running.signal(SIGINT)
    }

    /// Ends the process at once, with SIGKILL; does nothing when it has ended.
    ///
    /// # Errors
    /// As [`terminate`](Self::terminate).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((), || -> () { loop { std::thread::park() } })?;
    /// handle.kill()?;
    /// assert!(handle.join().unwrap_err().to_string().contains("killed by SIGKILL"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.running.signal(SIGKILL)
    }

    /// Lets the process run on without a handle: what dropping does, said aloud.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// crossproc_process::init();
    /// crossproc_process::spawn((), || ())?.detach();
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(self) {}
}

impl<R: Message> JoinHandle<R> {
    /// Waits for the end of the process, however long it takes, and gives its result.
    ///
    /// The process has ended and is reaped when this returns: its output is flushed, and all that it
    /// held is free. A result arrives also if the process was killed after it had sent it.
    ///
    /// # Errors
    /// [`JoinError`] tells how the process ended that gave no result: by a panic (with its message),
    /// a signal, or an exit of its own.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use crossproc_process::JoinError;
    /// crossproc_process::init();
    /// let handle = crossproc_process::spawn((7u32,), |n| -> u32 { panic!("no luck with {n}") })?;
    /// match handle.join() {
    ///     Err(JoinError::Panicked { message, .. }) => assert_eq!(message, "no luck with 7"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn join(self) -> Result<R, JoinError> {
        self.join_by(None)
            .unwrap_or_else(|handle| Err(JoinError::ended(handle.running.who().clone(), None)))
    }

    /// [`join`](Self::join) for at most `timeout`; gives the handle back if the process still runs then.
    ///
    /// # Errors
    /// `Err(handle)` when the time is over. The errors of [`join`](Self::join) are inside of `Ok`.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::{Duration, Instant};
    /// crossproc_process::init();
    /// let mut handle = crossproc_process::spawn((2, 2), |a: u32, b: u32| a + b)?;
    /// let sum = loop {
    ///     match handle.join_timeout(Duration::from_millis(50)) {
    ///         Ok(result) => break result?,
    ///         Err(running) => handle = running,
    ///     }
    /// };
    /// assert_eq!(sum, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<Result<R, JoinError>, Self> {
        self.join_by(Some(Deadline::after(timeout)))
    }

    /// [`join`](Self::join) until `deadline`; gives the handle back if the process still runs then.
    ///
    /// # Errors
    /// As [`join_timeout`](Self::join_timeout).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::{Duration, Instant};
    /// crossproc_process::init();
    /// let deadline = Instant::now() + Duration::from_secs(60);
    /// let handles = (0..3).map(|n| crossproc_process::spawn((n,), |n: u32| n * n));
    /// for (n, handle) in (0..).zip(handles.collect::<Result<Vec<_>, _>>()?) {
    ///     let result = handle.join_deadline(deadline).map_err(|_| "too slow")?;
    ///     assert_eq!(result?, n * n);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_deadline(self, deadline: Instant) -> Result<Result<R, JoinError>, Self> {
        self.join_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    fn join_by(self, deadline: Option<Deadline>) -> Result<Result<R, JoinError>, Self> {
        match self.running.wait(deadline) {
            Ok(false) => return Err(self),
            Ok(true) => {}
            Err(source) => {
                let who = self.running.who().clone();
                return Ok(Err(JoinError::System { who, doing: "wait for", source }));
            }
        }
        reaper::sweep();
        Ok(self.result())
    }

    /// The result of a process that has ended.
    fn result(&self) -> Result<R, JoinError> {
        let who = self.running.who().clone();
        let Incoming { head, body, fds } = match self.running.reply() {
            Ok(Some(reply)) => reply,
            Ok(None) => return Err(JoinError::ended(who, self.running.exit_status())),
            Err(source) => {
                return Err(JoinError::System { who, doing: "receive the result of", source });
            }
        };
        match head {
            Reply::Returned => match wire::attach(fds) {
                Ok(given) => message::decode(&body, given)
                    .map_err(|source| JoinError::Decode { who, source }),
                Err(source) => Err(JoinError::Segment { who, source }),
            },
            Reply::Panicked { message, location } => {
                Err(JoinError::Panicked { who, message, location })
            }
            Reply::Unready(reason) => Err(JoinError::Unready { who, reason }),
            Reply::Arguments(reason) => Err(JoinError::Arguments { who, reason }),
            Reply::Result(reason) => Err(JoinError::Result { who, reason }),
        }
    }
}

/// The descriptor becomes readable when the process ends: for `poll`, `epoll` and the like.
impl<R> AsFd for JoinHandle<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.running.as_fd()
    }
}

/// Ready when the process has ended. A thread of this process, started when it is first needed,
/// wakes the waiter.
impl<R> Waitable for JoinHandle<R> {
    fn is_ready(&self, _look: Look) -> bool {
        self.running.has_ended()
    }

    fn source(&self) -> Source<'_> {
        Source::Local(self.running.end_word(), RUNS)
    }
}

impl<R> Drop for JoinHandle<R> {
    fn drop(&mut self) {
        reaper::adopt(&self.running);
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("running", &self.running).finish()
    }
}
