//! Raw copies of a process, made by `fork()`: light enough for hundreds of waiters.

use std::io;

use crossproc::Failure;
use crossproc_sys::process;

/// A copy of this process, killed and reaped when this is dropped.
#[derive(Debug)]
pub struct Forked {
    pid: i32,
    is_reaped: bool,
}

/// Runs `f` in a copy of this process, which dies with this one at the latest.
///
/// For processes that `spawn` made and whose other threads hold nothing that the copy needs.
///
/// # Errors
///
/// If no process can be made, as beyond `ulimit -u`.
pub fn fork(f: impl FnOnce() -> Result<(), Failure>) -> Result<Forked, Failure> {
    let parent = process::pid();
    // SAFETY: no other thread of the process holds anything that the copy needs.
    let pid = unsafe { libc::fork() };
    if pid != 0 {
        if pid < 0 {
            return Err(io::Error::last_os_error().into());
        }
        return Ok(Forked { pid, is_reaped: false });
    }
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let is_orphan = process::parent() != parent;
    process::exit_now(i32::from(is_orphan || f().is_err()))
}

impl Forked {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        // SAFETY: numbers only; the process is a child that was not reaped.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// If it failed, or was killed.
    pub fn join(mut self) -> Result<(), Failure> {
        match self.reap() {
            0 => Ok(()),
            status => Err(Failure::new(format!("a forked process ended with status {status}"))),
        }
    }

    fn reap(&mut self) -> i32 {
        let mut status = -1;
        // SAFETY: there is room for the status.
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        self.is_reaped = true;
        status
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            self.reap();
        }
    }
}
