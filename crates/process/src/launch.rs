//! The start of a child process: the system call, the handshake, the call.
//!
//! The child is this very binary (`/proc/self/exe`, also when its file was replaced or deleted),
//! started without `fork`. Nothing is told to it before it has proved that it runs the same binary.
//! Whatever goes wrong on the way, the child is killed and reaped before the error is returned.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::time::Duration;

use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;
use crossproc_sys::image::{self, Identity};
use crossproc_sys::process::{self, Spawn};
use crossproc_sys::{file, kernel, poll, socket};
use parking_lot::Mutex;

use crate::current::Myself;
use crate::error::{Error, Result, Who};
use crate::running::Running;
use crate::start::{self, CHILD_FD, Claim, VARIABLE};
use crate::wire::{self, Call};

/// How long a child that has closed its socket may take to end by itself, so that the error can
/// tell its exit code.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Entry of /proc/self/auxv that holds the address at which the program began.
const AT_ENTRY: u64 = 9;

/// Set once a child of this process has reported: children of this program do.
static PROVEN: OnceLock<()> = OnceLock::new();

/// Held by whoever starts a process before that: the children might do anything else instead, such
/// as start processes, and one that does so must not be one of many.
static FIRST: Mutex<()> = Mutex::new(());

/// Everything that a new process needs.
pub(crate) struct Launch<'a> {
    pub(crate) call: Call,
    pub(crate) arguments: Vec<u8>,
    /// Segments whose handles are in the arguments.
    pub(crate) segments: &'a [Segment],
    pub(crate) env: &'a [(OsString, Option<OsString>)],
    pub(crate) depth: u32,
    pub(crate) start_timeout: Duration,
}

impl Launch<'_> {
    /// Starts the process, up to where it runs its function.
    pub(crate) fn start(self) -> Result<Running> {
        kernel::check()?;
        check_program()?;
        let tree = Segment::tree().map_err(Error::Segment)?;
        let alone = if PROVEN.get().is_none() { Some(FIRST.lock()) } else { None };
        let child = self.start_child()?;
        let begun = shake_hands(&child, self.start_timeout).and_then(|()| self.tell(&child, &tree));
        if let Err(error) = begun {
            child.end();
            return Err(error);
        }
        PROVEN.get_or_init(|| ());
        drop(alone);
        Ok(child)
    }

    /// Starts the program. From here on there is a child.
    fn start_child(&self) -> Result<Running> {
        let (ours, theirs) = socket::pair().map_err(Error::system("make a pair of sockets"))?;
        let inode = file::stat(&theirs).map_err(Error::system("look at a socket"))?.ino;
        let mut spawn = Spawn::this_program().args(env::args_os().skip(1)).null_stdin();
        for (key, value) in self.env {
            spawn = match value {
                Some(value) => spawn.env(key, value),
                None => spawn.env_remove(key),
            };
        }
        let claim = Claim { fd: CHILD_FD, inode, depth: self.depth, parent: process::pid() };
        spawn = spawn.env(VARIABLE, claim.to_string()).fd(theirs.as_fd(), CHILD_FD);
        // The last net: nothing but the next line starts a process.
        start::end_if_unclaimed();
        let started = spawn.start().map_err(Error::system("start a process"))?;
        let Myself { name, daemon, .. } = &self.call.myself;
        let who = Who { name: name.clone(), pid: started.pid };
        Ok(Running::new(who, started.pidfd, ours, *daemon))
    }

    /// Sends the call. A child that has reported and ended since, killed say, is one that was
    /// started: joining it tells how it ended.
    fn tell(&self, child: &Running, tree: &Segment) -> Result<()> {
        let others = self.segments.iter().map(Segment::as_fd);
        let fds: Vec<BorrowedFd<'_>> = iter::once(tree.as_fd()).chain(others).collect();
        match wire::send(child.socket(), &self.call, &self.arguments, &fds) {
            Err(error) if is_hang_up(&error) => Ok(()),
            sent => sent.map_err(Error::system("send the arguments to the child process")),
        }
    }
}

/// Waits for the child's report, and checks it.
fn shake_hands(child: &Running, timeout: Duration) -> Result<()> {
    let cannot_receive = || Error::system("receive the report of the child process");
    let fds = [child.socket(), child.as_fd()];
    let word = poll::any_readable(&fds, Some(Deadline::after(timeout)));
    let hello = match word.map_err(cannot_receive())? {
        Some(0) => match wire::receive_hello(child.socket()) {
            Err(error) if is_hang_up(&error) => None,
            hello => hello.map_err(cannot_receive())?,
        },
        Some(_) => None,
        None => return Err(Error::Silent { pid: child.who().pid, waited: timeout }),
    };
    match hello {
        Some(found) => check_identity(found),
        None => Err(early_end(child)),
    }
}

/// Tells whether a socket failed because its other end is gone.
fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The error for a child that closed its socket, mostly by ending.
fn early_end(child: &Running) -> Error {
    // If it has not ended even so, the status stays unknown.
    let _ = child.wait(Some(Deadline::after(END_TIMEOUT)));
    Error::EndedEarly { pid: child.who().pid, status: child.exit_status() }
}

/// The child must run what this process runs.
fn check_identity(found: Identity) -> Result<()> {
    static OWN: OnceLock<Identity> = OnceLock::new();
    // Looked at again before it is said to differ: the file's time may have been set since.
    if found == *OWN.get_or_init(image::identity) || found == image::identity() {
        return Ok(());
    }
    Err(Error::OtherBinary { expected: text_of(&image::identity()), found: text_of(&found) })
}

/// An identity for people.
fn text_of(identity: &Identity) -> String {
    let build_id = identity
        .build_id
        .map(|id| id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    format!(
        "file {}:{} of {} bytes (build id {})",
        identity.dev,
        identity.ino,
        identity.size,
        build_id.as_deref().unwrap_or("none"),
    )
}

/// Makes sure that `/proc/self/exe` is this program, and not a loader that was given it.
fn check_program() -> Result<()> {
    static IS_PROGRAM: OnceLock<bool> = OnceLock::new();
    let is_program = *IS_PROGRAM.get_or_init(|| {
        // Without an answer the handshake decides.
        let vector = fs::read("/proc/self/auxv").unwrap_or_default();
        entry_of(&vector).is_none_or(|entry| image::offset_of(entry).is_some())
    });
    if is_program { Ok(()) } else { Err(Error::StartedByLoader) }
}

/// Where the kernel began to run this process, from its auxiliary vector: pairs of words.
fn entry_of(vector: &[u8]) -> Option<usize> {
    let word = |bytes: &[u8]| bytes.first_chunk().map(|word| u64::from_ne_bytes(*word));
    let entry = vector.chunks_exact(16).find(|pair| word(pair) == Some(AT_ENTRY))?;
    word(&entry[8..]).and_then(|address| usize::try_from(address).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_was_started_as_such() {
        assert!(check_program().is_ok());
        let vector = fs::read("/proc/self/auxv").expect("every process has one");
        assert!(entry_of(&vector).is_some());
        assert_eq!(entry_of(&[]), None);
    }

    #[test]
    fn another_binary_is_refused_with_both_identities() {
        assert!(check_identity(image::identity()).is_ok());
        let other = Identity { size: 1, ..image::identity() };
        let refused = check_identity(other).expect_err("it differs").to_string();
        assert!(refused.contains("of 1 bytes"), "{refused}");
        assert!(refused.contains(&format!("of {} bytes", image::identity().size)), "{refused}");
    }
}
