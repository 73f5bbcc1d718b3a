//! `init()`: how a process learns that it is a child, and how a forgotten `init()` is caught.
//!
//! A child is started as the parent's own binary with the variable
//! `CROSSPROC_CHILD=<fd>:<inode>:<depth>:<parent>` in its environment. `init()` believes it only if
//! descriptor `fd` is a socket with that inode number: then it is the one that the parent made for
//! this process. A variable that leaked into another process, or was made up, is ignored but for its
//! depth.
//!
//! # If a child does not run its function
//! It would run `main` again, reach the same `spawn`, and so on: a chain without an end, and a tree
//! where `main` starts several. 1 to 4 keep such a process from starting another one; 5 and 6 bound
//! what becomes of one that they miss:
//! 1. `spawn` fails in a process that has not called `init()`, before anything is started.
//! 2. Whoever reaches `spawn` while the variable is still unclaimed is a child that never called
//!    `init()`; it **ends**, at the top of `spawn` and again right before the system call.
//! 3. The parent waits for the child's report, and kills and reaps a child that gives none.
//! 4. `init()` ends a process that cannot believe the variable, or has lost it, but is evidently a
//!    child: its parent runs this binary, and made the variable or the socket for it.
//! 5. The depth is bounded. It comes with the variable, and counts the ancestors that run this
//!    binary where there is no variable to believe.
//! 6. Until one child of a process has reported, the process starts one at a time, so that whatever
//!    slips through the others is a chain of bounded length, never a tree (in `launch`).

use std::env;
use std::fmt;
use std::fs;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::OnceLock;

use crossproc_sys::{process, socket};

use crate::child::{self, Entry};
use crate::error::{Error, Result};

/// Name of the variable that tells a child what it is.
pub(crate) const VARIABLE: &str = "CROSSPROC_CHILD";

/// Levels below the first process that are allowed.
pub(crate) const MAX_DEPTH: u32 = 32;

/// Exit code of a child that is not used as one (`EX_SOFTWARE` of sysexits).
pub(crate) const EXIT_MISUSED: i32 = 70;

/// The child's number for its end of the socket.
pub(crate) const CHILD_FD: RawFd = 3;

/// Links of /proc/self/task in a process with one thread: `.`, `..` and the thread's directory.
const LINKS_OF_ONE_THREAD: u64 = 3;

/// Level of this process below the first one; empty until `init()`.
static DEPTH: OnceLock<u32> = OnceLock::new();

/// Makes this program able to start processes: call it in the first line of `main`.
///
/// In a process that [`spawn`](crate::spawn) started this runs the function it was started for and
/// never returns: the process ends with exit code 0, or 101 if the function panicked. In any other
/// process it returns at once. Calling it again does nothing.
///
/// Call it before other threads are started and before anything with effects, as all that stands
/// above it runs in every child too: in an async program, before the runtime is built, not in
/// `#[tokio::main]`. In test crates use [`test_init!`](crate::test_init).
///
/// # Examples
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     crossproc_process::init();
///     let handle = crossproc_process::spawn((20, 1), |a: u32, b| 2 * a + b)?;
///     assert_eq!(handle.join()?, 41);
///     Ok(())
/// }
/// ```
pub fn init() {
    enter(Entry::Main);
}

/// [`init`] for test crates, which have no `main` of their own: one line at the top of the file.
///
/// It makes the children of tests run their function before the test harness starts. Use it in
/// tests only: it runs before the standard library has set itself up, so that a stack overflow of
/// the function is reported as a plain SIGSEGV, for instance.
///
/// # Examples
/// ```
/// crossproc_process::test_init!();
///
/// // In a test file this is a test, and there is no `main`.
/// fn main() {
///     let handle = crossproc_process::spawn((2, 3), |a: u32, b: u32| a + b).unwrap();
///     assert_eq!(handle.join().unwrap(), 5);
/// }
/// ```
#[macro_export]
macro_rules! test_init {
    () => {
        const _: () = {
            extern "C" fn enter() {
                $crate::enter_before_main();
            }
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTER: extern "C" fn() = enter;
        };
    };
}

/// What [`test_init!`](crate::test_init) calls from a constructor.
#[doc(hidden)]
pub fn enter_before_main() {
    enter(Entry::Constructor);
}

/// Level of this process, or the error that tells to call `init()`. Ends a child that forgot it.
pub(crate) fn depth() -> Result<u32> {
    end_if_unclaimed();
    DEPTH.get().copied().ok_or(Error::NotInitialised)
}

/// Ends this process if it is a child that never called `init()`.
pub(crate) fn end_if_unclaimed() {
    if DEPTH.get().is_none() && env::var_os(VARIABLE).is_some() {
        end(
            "it reached `spawn` without `crossproc::init();`, which must be the first line of main",
        );
    }
}

/// Ends this child process, which will not run its function.
#[expect(clippy::print_stderr, reason = "nobody else tells why the process ends")]
fn end(reason: &str) -> ! {
    eprintln!("crossproc: ending this child process: {reason}");
    process::exit_now(EXIT_MISUSED)
}

fn enter(entry: Entry) {
    let mut socket = None;
    DEPTH.get_or_init(|| {
        let (depth, found) = origin();
        socket = found;
        depth
    });
    if let Some(socket) = socket {
        child::run(socket, entry);
    }
}

/// Level of this process, and the socket to its parent if it is a child.
fn origin() -> (u32, Option<OwnedFd>) {
    let claim = env::var_os(VARIABLE).map(|value| {
        remove_variable();
        value.to_str().and_then(Claim::parse)
    });
    let claim = claim.flatten();
    if let Some(socket) = claim.as_ref().and_then(Claim::socket) {
        return (claim.map_or(0, |claim| claim.depth), Some(socket));
    }
    let relatives = count_relatives();
    let parent = process::parent();
    let is_meant = claim.as_ref().is_some_and(|claim| claim.parent == parent);
    if relatives > 0 && (is_meant || is_socket_of(CHILD_FD, parent)) {
        end("the socket or the variable that its parent made for it is lost");
    }
    (claim.map_or(0, |claim| claim.depth).max(relatives), None)
}

/// Takes the variable out of the environment, for the sake of programs that this one starts.
fn remove_variable() {
    let task = fs::metadata("/proc/self/task");
    if task.is_ok_and(|task| task.nlink() == LINKS_OF_ONE_THREAD) {
        // SAFETY: this is the only thread of the process, so no other one reads the environment.
        unsafe { env::remove_var(VARIABLE) };
    }
    // Otherwise it stays, which does no harm: nobody else will find this socket behind it.
}

/// How many ancestors in a row, from the parent on, run this binary. Never more than matter.
fn count_relatives() -> u32 {
    let binary = |pid: u32| {
        let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    let own = binary(process::pid());
    let mut pid = process::parent();
    let mut count = 0;
    while count <= MAX_DEPTH && own.is_some() && binary(pid) == own {
        count += 1;
        pid = parent_of(pid).unwrap_or(0);
    }
    count
}

/// The fourth field of /proc/PID/stat. The name before it may hold anything, parentheses too.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Whether descriptor `fd` is a socket that the process `pid` made.
fn is_socket_of(fd: RawFd, pid: u32) -> bool {
    let Ok(found) = fs::metadata(format!("/proc/self/fd/{fd}")) else { return false };
    if !found.file_type().is_socket() {
        return false;
    }
    // SAFETY: it is open, and borrowed only for the question.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    socket::peer_cred(fd).is_ok_and(|peer| peer.pid == pid)
}

/// What the variable says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The child's end of the socket.
    pub(crate) fd: RawFd,
    /// Its inode number.
    pub(crate) inode: u64,
    /// Level of the child.
    pub(crate) depth: u32,
    /// The process that starts the child.
    pub(crate) parent: u32,
}

impl Claim {
    fn parse(value: &str) -> Option<Self> {
        let mut numbers = value.split(':');
        let claim = Self {
            fd: numbers.next()?.parse().ok()?,
            inode: numbers.next()?.parse().ok()?,
            depth: numbers.next()?.parse().ok()?,
            parent: numbers.next()?.parse().ok()?,
        };
        (claim.fd >= 0 && numbers.next().is_none()).then_some(claim)
    }

    /// The socket to the parent, if the claim is true.
    fn socket(&self) -> Option<OwnedFd> {
        let found = fs::metadata(format!("/proc/self/fd/{}", self.fd)).ok()?;
        if !found.file_type().is_socket() || found.ino() != self.inode {
            return None;
        }
        // SAFETY: the descriptor is open, and it is the socket that the parent made for this
        // process alone. Nothing else in the process knows of it, and this runs once.
        let socket = unsafe { OwnedFd::from_raw_fd(self.fd) };
        process::set_cloexec(&socket).ok()?;
        Some(socket)
    }
}

/// The variable's value.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fd, inode, depth, parent } = self;
        write!(f, "{fd}:{inode}:{depth}:{parent}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_claim_is_four_numbers() {
        let claim = Claim { fd: 3, inode: 77, depth: 1, parent: 4711 };
        assert_eq!(Claim::parse(&claim.to_string()), Some(claim));
        let wrong =
            ["", "3", "3:77:1", "3:77:1:2:3", "-1:77:1:1", "x:77:1:1", "3:77:-1:1", "A=3:7:1:1"];
        for wrong in wrong {
            assert_eq!(Claim::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_claim_on_what_is_no_such_socket_is_not_believed() {
        let (a, b) = UnixStream::pair().expect("a pair of sockets");
        let inode = |socket: &UnixStream| {
            let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
            fs::metadata(path).expect("it is open").ino()
        };
        let claim = |fd, inode| Claim { fd, inode, depth: 1, parent: 1 };
        assert!(claim(a.as_raw_fd(), inode(&b)).socket().is_none());
        assert!(claim(9_999, inode(&a)).socket().is_none());
        assert!(is_socket_of(a.as_raw_fd(), process::pid()));
        assert!(!is_socket_of(a.as_raw_fd(), process::parent()));
        assert!(!is_socket_of(9_999, process::pid()));
    }

    #[test]
    fn relatives_are_ancestors_with_the_same_binary() {
        // The test runner is another program.
        assert_eq!(count_relatives(), 0);
        assert_eq!(parent_of(process::pid()), Some(process::parent()));
    }
}
