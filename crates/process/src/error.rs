//! What can go wrong when a process is started, and how one can end.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crossproc_message::{DecodeError, EncodeError};

/// Result of starting a process.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a process could not be started. Nothing is left behind: a child that was started in vain has been killed and reaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`init`](crate::init) has not been called in this process.
    #[error(
        "crossproc is not initialised: add `crossproc::init();` as the first line of main (in a test crate: \
         `crossproc::test_init!();` once at the top)"
    )]
    NotInitialised,
    /// Processes that start processes that start processes: the chain is longer than any that is meant.
    #[error(
        "refusing to start a process {depth} levels below the first one (at most {limit} are allowed): \
         does a function start itself without an end?"
    )]
    TooDeep {
        /// Level that the new process would have had; the first process has level 0.
        depth: u32,
        /// The highest level allowed.
        limit: u32,
    },
    /// The running kernel lacks what this crate needs.
    #[error(transparent)]
    Kernel(#[from] crossproc_sys::kernel::TooOld),
    /// The function's code is not part of the main program.
    #[error(
        "this function does not live in the main program but in a shared library, where a child process could not \
         find it: call it from a function or closure of the program"
    )]
    NotInProgram,
    /// This process was started as `ld.so program`, so that `/proc/self/exe` is the loader.
    #[error(
        "this process was started through the dynamic loader (`ld.so program`), so a child cannot run the same \
         program: start the program directly"
    )]
    StartedByLoader,
    /// The child process runs another binary than its parent.
    #[error(
        "the child process runs another binary than its parent: expected {expected}, found {found}"
    )]
    OtherBinary {
        /// Identity of the parent's binary.
        expected: String,
        /// Identity that the child reported.
        found: String,
    },
    /// The child process ended before it reported that it is one.
    #[error(
        "the child process (pid {pid}) ended with {} before it reported: is `crossproc::init();` the first line of main?",
        Ending(*status)
    )]
    EndedEarly {
        /// Process id of the child.
        pid: u32,
        /// How it ended, when that could still be learnt.
        status: Option<ExitStatus>,
    },
    /// The child process runs, but did not report in time; it has been killed.
    #[error(
        "the child process (pid {pid}) did not report within {waited:?} and was ended: is `crossproc::init();` the first \
         line of main?"
    )]
    Silent {
        /// Process id of the child.
        pid: u32,
        /// How long the parent waited.
        waited: Duration,
    },
    /// A name or an environment variable that cannot be passed on.
    #[error("{what} {value:?} cannot be used: {reason}")]
    Invalid {
        /// What was given: "the process name", "the environment variable".
        what: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The arguments could not be turned into bytes.
    #[error("the arguments cannot be sent to another process: {0}")]
    Arguments(#[source] EncodeError),
    /// The segment that all processes of a tree share could not be made.
    #[error("the shared memory of the process tree cannot be handed on: {0}")]
    Segment(#[source] crossproc_segment::Error),
    /// The process may not open any more descriptors.
    #[error("cannot {doing}: no descriptor is left; raise the limit (`ulimit -n`) or close some")]
    Descriptors {
        /// What was attempted.
        doing: &'static str,
    },
    /// A system call failed.
    #[error("cannot {doing}: {source}{}", advice(source))]
    System {
        /// What was attempted.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        move |source| match source.raw_os_error() {
            Some(EMFILE | ENFILE) => Self::Descriptors { doing },
            _ => Self::System { doing, source },
        }
    }
}

/// Which process an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Name of the process.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {:?} (pid {})", self.name, self.pid)
    }
}

/// Why a process gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked.
    #[error("{who} panicked{}: {message}", At(location.as_deref()))]
    Panicked {
        /// The process.
        who: Who,
        /// The panic's message; a placeholder when its payload was not a string.
        message: String,
        /// `file:line:column`, when it is known.
        location: Option<String>,
    },
    /// The process was killed by a signal.
    #[error("{who} was killed by {}{}", signal_name(*signal), if *core { " and dumped core" } else { "" })]
    Signalled {
        /// The process.
        who: Who,
        /// Number of the signal.
        signal: i32,
        /// Whether it left a core file.
        core: bool,
    },
    /// The process ended on its own before the function returned, as by `std::process::exit`.
    #[error("{who} exited with code {code} before its function returned")]
    Exited {
        /// The process.
        who: Who,
        /// The exit code; 0 is possible.
        code: i32,
    },
    /// The process gave no result, and how it ended could not be learnt.
    #[error(
        "{who} ended without a result, and its exit status was taken by other code (`waitpid(-1)`, or SIGCHLD is ignored)"
    )]
    Lost {
        /// The process.
        who: Who,
    },
    /// The process lacked something it needs (a descriptor, a thread, a segment that was handed to
    /// it), so the function was not called.
    #[error("{who} could not begin: {reason}")]
    Unready {
        /// The process.
        who: Who,
        /// The error, as the process told it.
        reason: String,
    },
    /// The process could not read its arguments, so the function was not called.
    #[error("{who} could not read its arguments: {reason}")]
    Arguments {
        /// The process.
        who: Who,
        /// The error, as the process told it.
        reason: String,
    },
    /// The function returned, but its result could not be turned into bytes.
    #[error("{who} could not send its result: {reason}")]
    Result {
        /// The process.
        who: Who,
        /// The error, as the process told it.
        reason: String,
    },
    /// The result arrived but could not be read here.
    #[error("the result of {who} cannot be read: {source}")]
    Decode {
        /// The process.
        who: Who,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A segment that came with the result cannot be attached here.
    #[error("a segment in the result of {who} cannot be attached: {source}")]
    Segment {
        /// The process.
        who: Who,
        /// Why not.
        source: crossproc_segment::Error,
    },
    /// A system call failed.
    #[error("cannot {doing} {who}: {source}")]
    System {
        /// The process.
        who: Who,
        /// What was attempted.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl JoinError {
    /// The process that gave no result.
    pub fn who(&self) -> &Who {
        match self {
            Self::Panicked { who, .. }
            | Self::Signalled { who, .. }
            | Self::Exited { who, .. }
            | Self::Lost { who }
            | Self::Unready { who, .. }
            | Self::Arguments { who, .. }
            | Self::Result { who, .. }
            | Self::Decode { who, .. }
            | Self::Segment { who, .. }
            | Self::System { who, .. } => who,
        }
    }

    /// The error that tells how a process ended which sent nothing.
    pub(crate) fn ended(who: Who, status: Option<ExitStatus>) -> Self {
        let Some(status) = status else { return Self::Lost { who } };
        match (status.signal(), status.code()) {
            (Some(signal), _) => Self::Signalled { who, signal, core: status.core_dumped() },
            (None, code) => Self::Exited { who, code: code.unwrap_or_default() },
        }
    }
}

/// " at file:line:column", or nothing.
struct At<'a>(Option<&'a str>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |location| write!(f, " at {location}"))
    }
}

/// How a process ended, as part of a sentence.
struct Ending(Option<ExitStatus>);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => write!(f, "exit code {code}"),
            Some((None, Some(signal))) => f.write_str(&signal_name(signal)),
            _ => f.write_str("an unknown status"),
        }
    }
}

/// What helps against an error that says nothing about it.
fn advice(error: &io::Error) -> &'static str {
    const EAGAIN: i32 = 11;
    match error.raw_os_error() {
        Some(EAGAIN) => "; raise the limit on processes (`ulimit -u`, or that of the container)",
        _ => "",
    }
}

/// "SIGSEGV (signal 11)", or "signal 40".
fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 32] = [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
        "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
        "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match usize::try_from(signal).ok().and_then(|number| NAMES.get(number)) {
        Some(name) if !name.is_empty() => format!("SIG{name} (signal {signal})"),
        _ => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who { name: "decoder".to_owned(), pid: 7 }
    }

    #[test]
    fn an_end_is_told_in_a_sentence() {
        let killed = JoinError::ended(who(), Some(ExitStatus::from_raw(9)));
        assert_eq!(
            killed.to_string(),
            "process \"decoder\" (pid 7) was killed by SIGKILL (signal 9)"
        );
        let dumped = JoinError::ended(who(), Some(ExitStatus::from_raw(11 | 0x80)));
        assert!(dumped.to_string().ends_with("SIGSEGV (signal 11) and dumped core"), "{dumped}");
        let exited = JoinError::ended(who(), Some(ExitStatus::from_raw(3 << 8)));
        assert!(exited.to_string().contains("exited with code 3"), "{exited}");
        assert!(matches!(JoinError::ended(who(), None), JoinError::Lost { .. }));
    }

    #[test]
    fn real_time_signals_have_numbers_only() {
        assert_eq!(signal_name(40), "signal 40");
        assert_eq!(signal_name(-1), "signal -1");
    }
}
