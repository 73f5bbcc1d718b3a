//! Children by plain `fork`: the harness is single-threaded, so a child may do what it likes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::board::Board;

/// Exit status of a child that left a sentence on the board.
const FAILED: libc::c_int = 1;

/// A forked child; killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Child {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    reaped: bool,
}

/// How a child came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    /// It says why on the board.
    Failed,
    Signal(libc::c_int),
}

impl Child {
    /// Runs `work` in a forked child, which then ends without running any destructor.
    ///
    /// The child dies with the harness. `Err` and a panic of `work` are told on the board.
    pub(super) fn fork(
        board: &Board,
        work: impl FnOnce() -> Result<(), String>,
    ) -> io::Result<Self> {
        // SAFETY: the harness has one thread (`only_thread` is asked at its start), so the child
        // is not limited to async-signal-safe functions.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => run(board, work),
            pid => Self::adopt(pid),
        }
    }

    fn adopt(pid: libc::pid_t) -> io::Result<Self> {
        // SAFETY: the call takes two numbers, and the child is not reaped yet.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = libc::c_int::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given this descriptor to us alone.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { pid, pidfd, reaped: false })
    }

    pub(super) fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Whether the child came to its end within `limit`; it is not reaped by this.
    pub(super) fn ends_within(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut watched =
            libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let ms = libc::c_int::try_from(left.as_millis()).unwrap_or(libc::c_int::MAX);
            // SAFETY: one initialised pollfd, which outlives the call.
            match unsafe { libc::poll(&raw mut watched, 1, ms.saturating_add(1)) } {
                1 => return true,
                0 if left.is_zero() => return false,
                _ => {}
            }
        }
    }

    /// Waits until it stops itself; false if it ended instead, as [`reap`](Self::reap) will tell.
    pub(super) fn wait_for_stop(&self) -> io::Result<bool> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let events = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
        loop {
            let id = self.pid.unsigned_abs();
            // SAFETY: `info` outlives the call.
            if unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), events) } == 0 {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: zeroed is a value, and the kernel has filled it.
        Ok(unsafe { info.assume_init() }.si_code == libc::CLD_STOPPED)
    }

    /// Stops it, or has it stop as soon as it may act.
    pub(super) fn stop(&self) {
        // SAFETY: the child is not reaped, so the number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGSTOP) };
    }

    /// Has it go on after a stop.
    pub(super) fn resume(&self) {
        // SAFETY: the child is not reaped, so the number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGCONT) };
    }

    /// Waits for the end, however long it takes.
    pub(super) fn reap(mut self) -> io::Result<End> {
        self.reap_now()
    }

    /// Kills, and waits until the kernel has let go of everything the child had.
    pub(super) fn kill(mut self) -> io::Result<End> {
        self.kill_now()
    }

    fn kill_now(&mut self) -> io::Result<End> {
        // SAFETY: the child is not reaped, so the number is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        self.reap_now()
    }

    fn reap_now(&mut self) -> io::Result<End> {
        loop {
            let status = wait(self.pid)?;
            if libc::WIFSIGNALED(status) {
                self.reaped = true;
                return Ok(End::Signal(libc::WTERMSIG(status)));
            }
            if libc::WIFEXITED(status) {
                self.reaped = true;
                return Ok(if libc::WEXITSTATUS(status) == 0 { End::Done } else { End::Failed });
            }
            // A traced child that is killed may still report a stop on its way.
        }
    }

    /// Whether it sleeps in any call, as far as /proc tells.
    pub(super) fn rests(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| stat.contains(") S "))
    }

    /// How often it has gone to sleep.
    pub(super) fn sleeps(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// Whether it sleeps in a futex call or a poll, as far as /proc tells; `on_several`: in one that waits on
    /// several words, which a sleeper does once it has a record to be kicked by.
    pub(super) fn is_asleep(&self, on_several: bool) -> bool {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.pid));
        let (Ok(stat), Ok(wchan)) = (read("stat"), read("wchan")) else { return false };
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        // A kernel without symbols answers 0: then the state has to do.
        let waits = ["futex", "poll"].iter().any(|call| wchan.contains(call));
        let asleep = state == Some('S') && (waits || wchan.trim() == "0");
        let call = || read("syscall").unwrap_or_default();
        asleep && (!on_several || call().starts_with(&format!("{} ", libc::SYS_futex_waitv)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            // It was ours and is gone either way; there is nobody to tell.
            let _ = self.kill_now();
        }
    }
}

/// `waitpid` of one child, interruptions left out.
pub(super) fn wait(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn run(board: &Board, work: impl FnOnce() -> Result<(), String>) -> ! {
    // SAFETY: the call takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let status = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(why)) => {
            board.write_text(&why);
            FAILED
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            board.write_text(&format!("panic: {}", text.unwrap_or("?")));
            FAILED
        }
    };
    // SAFETY: ends the process at once; the parent's destructors and buffers are not ours to run.
    unsafe { libc::_exit(status) }
}

/// Has the kernel end this process by SIGALRM unless it ends before `limit` by itself.
pub(super) fn die_after(limit: Duration) {
    let value = libc::timeval {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::from(limit.subsec_micros()),
    };
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let timer = libc::itimerval { it_interval: none, it_value: value };
    // SAFETY: `timer` outlives the call, and the old value is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}

/// Whether the calling process has no thread but this one.
pub(super) fn only_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}
