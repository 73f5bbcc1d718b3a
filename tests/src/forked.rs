//! Raw copies of a process, made by `fork()`.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossproc_sys::process;

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

impl Forked {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
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
