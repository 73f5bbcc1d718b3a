//! What can go wrong when processes meet by a name.

use std::io;
use std::path::PathBuf;

use crossproc_sys::socket::PeerCred;

use crate::error::Error;

/// Why a name could not be listened at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A living process listens there.
    #[error("a living process listens at {name:?} already; choose another name, or connect to it")]
    InUse {
        /// The name.
        name: String,
    },
    /// The name breaks the rules for names.
    #[error("the name {name:?} {why}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// Which rule it breaks, and what to do.
        why: &'static str,
    },
    /// Another user could take what is made in the directory for his own.
    #[error("{path:?} is no safe place to meet in: {why}")]
    Unsafe {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// Pipes of that capacity cannot be made.
    #[error(transparent)]
    Pipe(#[from] Error),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The system's word.
        source: io::Error,
    },
}

/// Why a listener cannot take a connection. It is never a connector's fault: see [`Refusal`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// This process was forked from the one that listens.
    #[error("the listener belongs to the process that bound it, not to its forked child")]
    NotOwned,
    /// The pipe could not be made. The connector was told, and the listener goes on.
    #[error(transparent)]
    Pipe(#[from] Error),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No living process listens at that name; with a timeout, none until then.
    #[error(
        "nobody listens at {name:?}; `connect_timeout` waits for a listener, as long as it may"
    )]
    NobodyListens {
        /// The name.
        name: String,
    },
    /// A process listens there, but did not accept before the deadline.
    #[error("the listener {name:?} did not accept in time")]
    TimedOut {
        /// The name.
        name: String,
    },
    /// A process listens there, which closes connections before it accepts them.
    #[error(
        "the listener {name:?} closed the connection; it may have too many others to take care of"
    )]
    Dropped {
        /// The name.
        name: String,
    },
    /// The listener does not take connections of this process's user.
    #[error("the listener {name:?} takes no connections of user {uid}; `allow_user` there lets it")]
    Refused {
        /// The name.
        name: String,
        /// The effective user of this process.
        uid: u32,
    },
    /// What listens there is another user's.
    #[error("what listens at {name:?} belongs to user {found}, not to user {expected}")]
    Foreign {
        /// The name.
        name: String,
        /// Whose it should be.
        expected: u32,
        /// Whose it is.
        found: u32,
    },
    /// The listener makes pipes of other types.
    #[error(
        "the listener {name:?} makes pipes of {found}, not of {expected}{}",
        swapped_hint(*swapped)
    )]
    Types {
        /// The name.
        name: String,
        /// The two types asked for.
        expected: String,
        /// Those of the listener.
        found: String,
        /// They are the same two, the other way round.
        swapped: bool,
    },
    /// The listener speaks another version.
    #[error(
        "the listener {name:?} has version {found}, this program {expected}; use programs built with \
         the same crossproc version"
    )]
    Version {
        /// The name.
        name: String,
        /// The version of this program.
        expected: u32,
        /// That of the listener.
        found: u32,
    },
    /// The listener could not make the pipe.
    #[error("the listener {name:?} could not make the pipe: {why}")]
    Failed {
        /// The name.
        name: String,
        /// What it says.
        why: String,
    },
    /// What listens there does not answer as a listener does.
    #[error("what listens at {name:?} is no crossproc listener, or a broken one")]
    Garbage {
        /// The name.
        name: String,
    },
    /// The name breaks the rules for names.
    #[error("the name {name:?} {why}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// Which rule it breaks, and what to do.
        why: &'static str,
    },
    /// The directory of this user's listeners could be another's.
    #[error("{path:?} is no safe place to meet in: {why}")]
    Unsafe {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// The pipe that the listener made cannot be opened here.
    #[error(transparent)]
    Pipe(#[from] Error),
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// The system's word.
        source: io::Error,
    },
}

fn swapped_hint(swapped: bool) -> &'static str {
    if swapped { "; both sides name the two types in the same order" } else { "" }
}

impl ConnectError {
    /// Tells whether no living process listens there.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::NobodyListens { .. })
    }
}

impl From<BindError> for ConnectError {
    /// For what goes wrong with the place itself.
    fn from(error: BindError) -> Self {
        match error {
            BindError::InUse { name } => Self::TimedOut { name },
            BindError::BadName { name, why } => Self::BadName { name, why },
            BindError::Unsafe { path, why } => Self::Unsafe { path, why },
            BindError::Pipe(error) => Self::Pipe(error),
            BindError::Io { what, source } => Self::Io { what, source },
        }
    }
}

/// A connection that a listener did not take; from
/// [`Listener::last_refusal`](crate::Listener::last_refusal).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("process {} of user {} was not connected: {why}", peer.pid, peer.uid)]
#[non_exhaustive]
pub struct Refusal {
    /// Whose connection it was.
    pub peer: PeerCred,
    /// Why it was not taken.
    pub why: WhyRefused,
}

/// Why a listener did not take a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhyRefused {
    /// Its user may not connect.
    #[error("its user may not")]
    User,
    /// It wants pipes of other types.
    #[error("it wants a pipe of {found}, not of {expected}")]
    Types {
        /// The listener's types.
        expected: &'static str,
        /// The connector's.
        found: String,
    },
    /// It speaks another version.
    #[error("it has version {found}, this program {expected}")]
    Version {
        /// The version of this program.
        expected: u32,
        /// That of the connector.
        found: u32,
    },
    /// What it said is not what a connector says.
    #[error("it does not speak as a connector does")]
    Garbage,
    /// It did not say what it wants in time.
    #[error("it said nothing for too long")]
    Silent,
    /// It has closed the connection or died before it was accepted.
    #[error("it was gone before it was accepted")]
    Gone,
}
