//! Players are forked: the harness has one thread, so a child may do what it likes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossproc_sys::process;

use super::board::Seat;

/// A forked player; killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Child {
    pid: libc::pid_t,
    end: Option<libc::c_int>,
}

/// What a limit of address space leaves beyond what is mapped already.
const ROOM_BYTES: u64 = 512 << 20;

impl Child {
    /// Runs `work` in a copy of this process. What goes wrong there is told on the seat.
    pub(super) fn fork(
        seat: Seat<'_>,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> io::Result<Self> {
        let parent = process::pid();
        // SAFETY: this process has one thread, so nothing that the child needs is locked.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        if pid > 0 {
            return Ok(Self { pid, end: None });
        }
        // SAFETY: numbers only.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if process::parent() != parent {
            process::exit_now(1);
        }
        // The harness decides when a Ctrl-C ends its players.
        process::ignore_interrupt();
        process::exit_now(run(seat, work))
    }

    pub(super) fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// How it came to its end, in words, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        if self.end.is_none() {
            let mut status = 0;
            // SAFETY: `status` outlives the call, and the child is not reaped yet.
            let reaped = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            self.end = (reaped == self.pid).then_some(status);
        }
        self.end.map(|status| match status {
            _ if libc::WIFSIGNALED(status) => format!("signal {}", libc::WTERMSIG(status)),
            _ => format!("exit status {}", libc::WEXITSTATUS(status)),
        })
    }

    /// Whether it ended as it should.
    pub(super) fn ended_well(&mut self) -> bool {
        self.ended().is_some() && self.end == Some(0)
    }

    /// Processor time that it has used.
    pub(super) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.end.is_none() {
            // SAFETY: the child is not reaped, so the number is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            // SAFETY: nothing is asked for but the end.
            unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
        }
    }
}

fn run(seat: Seat<'_>, work: impl FnOnce() -> anyhow::Result<()>) -> i32 {
    // Where it happened; what was said follows below.
    let place = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let told = std::sync::Arc::clone(&place);
    std::panic::set_hook(Box::new(move |panic| {
        let Some(at) = panic.location() else { return };
        if let Ok(mut told) = told.lock() {
            *told = at.to_string();
        }
    }));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            seat.set_text(&format!("{error:#}"));
            1
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let place = place.lock().map(|place| place.clone()).unwrap_or_default();
            seat.set_text(&format!("panic at {place}: {}", text.unwrap_or("?")));
            101
        }
    }
}

/// Keeps addresses free above whatever is mapped next: the segment that is attached then has nothing
/// behind it into which an index that is believed could reach without a signal.
pub(super) fn keep_apart() {
    const BYTES: usize = 4 << 30;
    let (kind, nothing) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1);
    // SAFETY: a new mapping, of addresses alone; where it is refused there is none.
    unsafe { libc::mmap(std::ptr::null_mut(), BYTES, libc::PROT_NONE, kind, nothing, 0) };
}

/// Limits the address space of this process to what it has and some more, so that a length from
/// shared memory that is believed ends it. Not under a sanitizer, which reserves terabytes.
pub(super) fn limit_memory() {
    const SANITIZED_PAGES: u64 = 1 << 28;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    if pages == 0 || pages > SANITIZED_PAGES {
        return;
    }
    let most = pages * 4096 + ROOM_BYTES;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: it only reads the limit. Where it is refused there is none.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
}
