//! Raw copies of a process, made by `fork()` or behind libc's back.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossproc_sys::process;
use serde::{Deserialize, Serialize};

/// A copy of this process.
#[derive(Debug)]
#[must_use = "whoever does not wait for it leaves a zombie"]
pub struct Forked {
    pid: i32,
}

/// Runs `f` in a copy of this process; it ends with the exit code that `f` gives, 101 for a panic.
///
/// For processes whose other threads do nothing, such as spawned ones. The copy dies with the thread
/// that made it.
pub fn fork(f: impl FnOnce() -> i32) -> Forked {
    let parent = process::pid();
    // SAFETY: no other thread of the process holds anything that the copy needs.
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        assert!(pid > 0, "{}", io::Error::last_os_error());
        return Forked { pid };
    }
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if process::parent() != parent {
        process::exit_now(1);
    }
    process::exit_now(catch_unwind(AssertUnwindSafe(f)).unwrap_or(101))
}

/// How a copy of a process is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// `fork()`: libc and whoever has asked it to are told.
    Fork,
    /// The system call `clone`: nobody is told.
    Clone,
    /// The system call `clone3`, the same.
    Clone3,
    /// `clone3` for a process of this number, which nobody may have. Takes the rights of root in
    /// the pid namespace.
    WithPid(i32),
}

/// Makes a copy of this process that goes on from here as well: it gets `None`.
///
/// For processes whose other threads do nothing. The copy does not end by itself when its parent
/// does; it is to end by [`process::exit_now`].
///
/// # Errors
///
/// Where no process can be made, or not with that number.
pub fn copy(how: How) -> io::Result<Option<Forked>> {
    let pid = match how {
        // SAFETY: no other thread of the process holds anything that the copy needs.
        How::Fork => unsafe { libc::fork() }.into(),
        How::Clone => {
            // SAFETY: as above; without a stack of its own and shared memory it is a fork.
            unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
        }
        How::Clone3 => clone3(&[]),
        How::WithPid(pid) => clone3(&[pid]),
    };
    match i32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid @ 1..) => Ok(Some(Forked { pid })),
        _ => Err(io::Error::last_os_error()),
    }
}

fn clone3(pids: &[libc::pid_t]) -> libc::c_long {
    // SAFETY: numbers only, of which 0 says that nothing is asked for.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    if !pids.is_empty() {
        arguments.set_tid = pids.as_ptr().addr() as u64;
        arguments.set_tid_size = pids.len() as u64;
    }
    let (at, size) = (&raw const arguments, size_of::<libc::clone_args>());
    // SAFETY: as `fork`; the arguments and the numbers are there.
    unsafe { libc::syscall(libc::SYS_clone3, at, size) }
}

impl Forked {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        // SAFETY: numbers only; it is a child that was not reaped.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Waits for its end, and gives its exit code, or its signal below zero.
    pub fn wait(self) -> i32 {
        self.reap(0).expect("it was waited for")
    }

    /// The same if it has ended already; then there is nothing more to wait for, nor to signal.
    pub fn try_wait(&mut self) -> Option<i32> {
        self.reap(libc::WNOHANG)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: numbers only; until it is reaped the number is its own.
        let failed = unsafe { libc::kill(self.pid, signal) };
        assert_eq!(failed, 0, "{}", io::Error::last_os_error());
    }

    fn reap(&self, options: i32) -> Option<i32> {
        let mut status = 0;
        // SAFETY: there is room for the status.
        let ended = unsafe { libc::waitpid(self.pid, &raw mut status, options) };
        assert!(ended >= 0, "{}", io::Error::last_os_error());
        let code = || {
            if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                -libc::WTERMSIG(status)
            }
        };
        (ended == self.pid).then(code)
    }
}
