//! Processes as seen from outside: what they are at, and their end.
//!
//! Nothing here sleeps for a time and hopes: each function waits for something to be so, and fails
//! after a minute, so that what never comes is a failed test and not one that hangs.
#![expect(clippy::missing_panics_doc, reason = "whatever goes wrong in a test is a panic")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::PidFd;

/// How long anything may take before it counts as never.
pub const LONG: Duration = Duration::from_secs(60);

/// Waits until `what` holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "never: {what}");
        thread::yield_now();
    }
}

/// The state letter of a process's main thread; `None` once it is reaped.
#[must_use]
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Whether a process lives, and has not begun to die: on its way out it loses its memory, and with
/// it what it holds, before its state letter says so.
#[must_use]
pub fn is_whole(pid: u32) -> bool {
    /// `PF_EXITING`, in the ninth field.
    const EXITING: u64 = 4;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next();
    let flags = fields.nth(5).and_then(|flags| flags.parse().ok());
    !matches!(state, Some("Z" | "X") | None) && flags.is_some_and(|flags: u64| flags & EXITING == 0)
}

/// Waits until the main thread of a process sleeps in the kernel.
pub fn until_asleep(pid: u32) {
    until("it sleeps", || state(pid) == Some('S'));
}

/// Stops a process, and waits until it is stopped.
pub fn stop(pid: u32) {
    signal(pid, libc::SIGSTOP);
    until("it is stopped", || state(pid) == Some('T'));
}

/// Lets a stopped process go on.
pub fn go_on(pid: u32) {
    signal(pid, libc::SIGCONT);
}

fn signal(pid: u32, signal: i32) {
    let process = PidFd::open(pid).expect("it lives");
    process.signal(signal).expect("it is ours");
}

/// A process that need not be a child of this one.
#[derive(Debug)]
pub struct Seen(Option<PidFd>);

impl Seen {
    /// The process `pid`, or one that has ended already.
    #[must_use]
    pub fn new(pid: u32) -> Self {
        Self(PidFd::open(pid).ok())
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|process| process.wait(Some(Deadline::now())).expect("an answer"))
    }

    /// Waits for its end.
    pub fn until_ended(&self) {
        let Some(process) = &self.0 else { return };
        assert!(process.wait(Some(Deadline::after(LONG))).expect("an answer"), "it never ended");
    }

    /// Kills it, and waits for its end.
    pub fn kill(&self) {
        if let Some(process) = &self.0 {
            // An error means that it has ended.
            let _ = process.signal(libc::SIGKILL);
        }
        self.until_ended();
    }
}
