//! Descriptors that mean one process for good, never a later one with the same number.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use crate::clock::Deadline;
use crate::{call, poll};

/// How a process ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It left by itself, with this code.
    Code(i32),
    /// A signal of this number ended it; `true` if it left a core dump.
    Signal(i32, bool),
}

impl Exit {
    /// Whether it left by itself with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// A process, also after its end.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// The process that has this number now (`pidfd_open`).
    ///
    /// Only sure to be the one meant if that is this process itself or a child not yet reaped.
    ///
    /// # Errors
    ///
    /// `ESRCH` if there is none, `EINVAL` for a thread's number, no descriptors left.
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid =
            libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: takes two integers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        // SAFETY: what pidfd_open returns is ours.
        unsafe { call::own(fd) }.map(Self)
    }

    /// Waits until the process has ended (`ppoll`); `false` when the deadline passed first.
    ///
    /// Does not reap: a child stays a zombie until [`reap`](Self::reap).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::{clock::Deadline, pidfd::PidFd, process};
    ///
    /// let me = PidFd::open(process::pid())?;
    /// assert!(!me.wait(Some(Deadline::now()))?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(&self, deadline: Option<Deadline>) -> io::Result<bool> {
        poll::readable(&self.0, deadline)
    }

    /// Sends a signal (`pidfd_send_signal`); 0 only asks whether that would be possible.
    ///
    /// # Errors
    ///
    /// `ESRCH` once it has been reaped, `EPERM` for somebody else's.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: an open descriptor, and no further information to be read.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        call::check(sent)?;
        Ok(())
    }

    /// Takes the news of a child's end, once (`waitid(P_PIDFD, WEXITED)`).
    ///
    /// Blocks until then if `block`, else says `None` while it lives.
    ///
    /// # Errors
    ///
    /// `ECHILD` if it is no child of this process, or has been reaped before.
    pub fn reap(&self, block: bool) -> io::Result<Option<Exit>> {
        let flags = libc::WEXITED | if block { 0 } else { libc::WNOHANG };
        let id = libc::id_t::from(self.0.as_raw_fd().unsigned_abs());
        let mut news = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `news` has room for a siginfo.
        call::retry(|| unsafe { libc::waitid(libc::P_PIDFD, id, news.as_mut_ptr(), flags) })?;
        // SAFETY: zeroed at first, and plain numbers: a value whatever the call wrote.
        let news = unsafe { news.assume_init() };
        // SAFETY: waitid leaves zeroes or fills the fields of SIGCHLD.
        let pid = unsafe { news.si_pid() };
        // SAFETY: as above.
        let status = unsafe { news.si_status() };
        Ok((pid != 0).then(|| ending(news.si_code, status)))
    }
}

/// What the two numbers of `waitid` mean.
fn ending(code: c_int, status: c_int) -> Exit {
    if code == libc::CLD_EXITED {
        Exit::Code(status)
    } else {
        Exit::Signal(status, code == libc::CLD_DUMPED)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for PidFd {
    /// Takes over a descriptor that another process sent, or another library made.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}
