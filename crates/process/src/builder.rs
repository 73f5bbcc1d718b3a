//! Options of a new process.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crossproc_message::{self as message, Message};
use crossproc_sys::process;

use crate::args::Args;
use crate::current::{Myself, Process};
use crate::error::{Error, Result};
use crate::function::Function;
use crate::handle::JoinHandle;
use crate::launch::Launch;
use crate::reaper;
use crate::start::{self, MAX_DEPTH, VARIABLE};
use crate::wire::Call;

/// How long a child has to report. Generous: a process that reaches `main` on a busy machine does
/// so within milliseconds, and a child that ends instead is noticed at once.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Options of a new process; begun with [`Process::builder`](crate::Process::builder).
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use crossproc_process::Process;
///
/// crossproc_process::init();
/// let builder = Process::builder().name("greeter").env("GREETING", "hello");
/// let greet = |whom: String| format!("{} {whom}", std::env::var("GREETING").unwrap());
/// let greeting = builder.spawn(("world".to_owned(),), greet)?.join()?;
/// assert_eq!(greeting, "hello world");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until `spawn`"]
pub struct Builder {
    name: Option<String>,
    daemon: Option<bool>,
    is_orphan: bool,
    ignores_interrupt: bool,
    start_timeout: Duration,
    env: Vec<(OsString, Option<OsString>)>,
}

/// Runs `f` with the given arguments in a new process of this binary.
///
/// The function is a plain `fn` or a closure that captures nothing; it gets the elements of the
/// tuple `args` one by one. Arguments and result are any serde types, handles of shared memory
/// included. Blocks until the new process has reported (less than a millisecond, mostly) but not for
/// the function: [`JoinHandle::join`] does that. May be called from any thread, and in children.
///
/// The child gets this process's environment and standard output and error, an empty standard
/// input, and no other descriptors. It ends when this process ends: at the latest half a second
/// later.
///
/// # Errors
/// [`Error`] tells what is missing; no process is left behind then.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn repeat(word: String, times: usize) -> String {
///     word.repeat(times)
/// }
/// crossproc_process::init();
/// let named = crossproc_process::spawn(("ho ".to_owned(), 3), repeat)?;
/// let closure = crossproc_process::spawn((vec![1u64, 2, 3],), |numbers| numbers.iter().sum::<u64>())?;
/// assert_eq!(named.join()?, "ho ho ho ");
/// assert_eq!(closure.join()?, 6);
/// # Ok(())
/// # }
/// ```
pub fn spawn<A: Args, R: Message>(args: A, f: A::Fn<R>) -> Result<JoinHandle<R>> {
    Builder::new().spawn(args, f)
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            name: None,
            daemon: None,
            is_orphan: false,
            ignores_interrupt: false,
            start_timeout: START_TIMEOUT,
            env: Vec::new(),
        }
    }

    /// Names the process, for [`current_name`](crate::current_name), errors, and (its first 15
    /// bytes) `ps` and `top`. Without it the name is `process-1`, `process-2`, in a child's children
    /// `process-1:1` and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether the process ends the moment that this process has ended. If not, which is the
    /// default in a process that is none itself, it has half a second to finish what it is doing.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use crossproc_process::Process;
    /// crossproc_process::init();
    /// let helper = Process::builder().daemon(true).spawn((), || -> () { loop { std::thread::park() } })?;
    /// assert!(helper.is_daemon());
    /// helper.detach(); // it ends with this process
    /// # Ok(())
    /// # }
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = Some(daemon);
        self
    }

    /// Whether the process lives on when this process ends.
    pub fn orphan(mut self, orphan: bool) -> Self {
        self.is_orphan = orphan;
        self
    }

    /// Whether the process ignores SIGINT. Ctrl-C on a terminal reaches all processes of the program
    /// at once; with this the first one alone decides what becomes of the others.
    pub fn ignore_interrupt(mut self, ignore: bool) -> Self {
        self.ignores_interrupt = ignore;
        self
    }

    /// Sets an environment variable in the process; the others are this process's.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Leaves an environment variable out in the process.
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// How long the process has from its start to `init()` before it counts as one that never gets
    /// there; 30 seconds if not set.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// Runs `f` with the given arguments in a new process with these options: see [`spawn`].
    ///
    /// # Errors
    /// As [`spawn`]; [`Error::Invalid`] for a name or variable that cannot be passed on.
    pub fn spawn<A: Args, R: Message>(&self, args: A, f: A::Fn<R>) -> Result<JoinHandle<R>> {
        let depth = start::depth()? + 1;
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep { depth, limit: MAX_DEPTH });
        }
        self.check()?;
        reaper::sweep();
        let me = Myself::get();
        let function = Function::new::<A, R>(f, me.key)?;
        let mut arguments = Vec::new();
        let sent = message::encode(&args, &mut arguments).map_err(Error::Arguments)?;
        let call = Call {
            function,
            myself: self.child_of(me),
            is_orphan: self.is_orphan,
            ignores_interrupt: self.ignores_interrupt,
        };
        let launch = Launch {
            call,
            arguments,
            segments: &sent.segments,
            env: &self.env,
            depth,
            start_timeout: self.start_timeout,
        };
        match launch.start() {
            Ok(running) => Ok(JoinHandle::new(running, sent.loans)),
            Err(error) => {
                sent.take_back();
                Err(error)
            }
        }
    }

    /// Who the new process will be.
    fn child_of(&self, me: &Myself) -> Myself {
        let path = me.next_path();
        Myself {
            name: self.name.clone().unwrap_or_else(|| format!("process-{path}")),
            path,
            daemon: self.daemon.unwrap_or(me.daemon),
            parent: Some(Process::new(me.name.clone(), process::pid())),
            key: me.key,
        }
    }

    /// Refuses what the system could not be given.
    fn check(&self) -> Result<()> {
        if let Some(name) = self.name.as_ref().filter(|name| name.contains('\0')) {
            return Err(invalid("the process name", OsStr::new(name), "it has a NUL byte"));
        }
        self.env.iter().try_for_each(|(key, value)| {
            let (name, text) = (key.as_bytes(), value.as_ref().map_or(&b""[..], |v| v.as_bytes()));
            let reason = if name.is_empty() || name.contains(&b'=') {
                "it is empty or has a `=`"
            } else if name.contains(&0) || text.contains(&0) {
                "its name or its value has a NUL byte"
            } else if key == VARIABLE {
                "it is set for every child by the library itself"
            } else {
                return Ok(());
            };
            Err(invalid("the environment variable", key, reason))
        })
    }
}

fn invalid(what: &'static str, value: &OsStr, reason: &'static str) -> Error {
    Error::Invalid { what, value: value.to_string_lossy().into_owned(), reason }
}
