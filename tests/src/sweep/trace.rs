//! The victim: a child that is led through one operation instruction by instruction.

use std::io;
use std::time::{Duration, Instant};

use super::board::Board;
use super::child::{Child, End, die_after, wait};
use super::heap;
use super::marker::{self, Breakpoint, Code, Next};
use super::scenario::{Part, told};

/// A traced child, stopped.
#[derive(Debug)]
pub(super) struct Victim {
    child: Child,
}

/// A place in the victim's operation: so many system calls, then to a mark, then so many instructions.
///
/// Counting calls first keeps the place where it is when a run is a little longer or shorter
/// before them: an operation that reads numbers from /proc goes through as many digits as they
/// have. And it is much faster than stepping, as is a mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The same place in instructions from the beginning, in the run that found it.
    pub(super) k: u32,
    pub(super) calls: u32,
    pub(super) mark: Option<Mark>,
    pub(super) since: u32,
    /// Instructions since the last call: what `since` is without a mark.
    pub(super) since_call: u32,
}

/// An instruction that is come to for the so manieth time since the last system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) address: u64,
    pub(super) times: u32,
}

impl Place {
    /// So many steps further on, if there is no call in between; it counts as `end` at most.
    pub(super) fn on(self, steps: u32, end: u32) -> Self {
        let since = self.since_call + steps;
        Self { k: (self.k + steps).min(end), mark: None, since, since_call: since, ..self }
    }

    /// The same place without a mark.
    pub(super) fn unmarked(self) -> Self {
        Self { mark: None, since: self.since_call, ..self }
    }

    /// The same place without a mark, if it has one and was not come to.
    pub(super) fn instead(self, led: &Result<(u32, Step), String>) -> Option<Self> {
        let is_there = matches!(led, Ok((_, Step::Inside)));
        (self.mark.is_some() && !is_there).then(|| self.unmarked())
    }

    /// What it takes to get there, in steps.
    pub(super) fn cost(self) -> u32 {
        /// A mark that is passed takes a trap, a step, and words to be written.
        const PASS: u32 = 4;
        self.since + self.mark.map_or(0, |mark| mark.times * PASS)
    }
}

/// Where the victim stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Inside,
    /// The operation has returned.
    Returned,
}

impl Victim {
    /// Forks a child that prepares, and stops it before the first instruction of its operation.
    ///
    /// It is to be killed or, with a `limit` to its life, let go on.
    pub(super) fn start(
        board: &Board,
        part: &Part,
        limit: Option<Duration>,
    ) -> Result<Self, String> {
        let child = Child::fork(board, || {
            let mut operate = part();
            if let Some(limit) = limit {
                die_after(limit);
            }
            heap::settle();
            trace_me().map_err(|error| format!("PTRACE_TRACEME: {error}"))?;
            marker::stop();
            operate();
            marker::stop();
            board.set_victim(told());
            Ok(())
        });
        let child = child.map_err(|error| format!("fork: {error}"))?;
        match wait(child.pid()).map_err(|error| format!("waitpid: {error}"))? {
            status if is_stop(status, libc::SIGSTOP) => {}
            _ => return Err(format!("the victim ended before its operation: {}", board.text())),
        }
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        let options =
            std::ptr::without_provenance_mut::<libc::c_void>(usize::try_from(options).unwrap_or(0));
        // SAFETY: the request takes its options by value.
        let set = unsafe {
            let none = std::ptr::null_mut::<libc::c_void>();
            libc::ptrace(libc::PTRACE_SETOPTIONS, child.pid(), none, options)
        };
        match set {
            0 => Ok(Self { child }),
            _ => Err(format!("PTRACE_SETOPTIONS: {}", io::Error::last_os_error())),
        }
    }

    /// One instruction further.
    pub(super) fn step(&self) -> Result<Step, String> {
        self.resume(libc::PTRACE_SINGLESTEP, libc::SIGTRAP)
    }

    /// To `place`, or to the end of the operation if that comes first.
    pub(super) fn go_to(&self, place: Place) -> Result<(u32, Step), String> {
        // Each call is a stop at its entry and one when it is done.
        for _ in 0..place.calls * 2 {
            if self.resume(libc::PTRACE_SYSCALL, libc::SIGTRAP | CALL)? == Step::Returned {
                return Ok((place.k, Step::Returned));
            }
        }
        if let Some(mark) = place.mark {
            if self.run_to(mark)? == Step::Returned {
                return Ok((place.k, Step::Returned));
            }
        }
        let (done, step) = self.step_by(place.since)?;
        Ok((place.k - place.since + done, step))
    }

    /// To the end of the operation.
    pub(super) fn finish(&self) -> Result<Step, String> {
        self.resume(libc::PTRACE_CONT, libc::SIGTRAP)
    }

    /// `count` instructions further, or to the end of the operation; tells how many were done.
    fn step_by(&self, count: u32) -> Result<(u32, Step), String> {
        for done in 0..count {
            if self.step()? == Step::Returned {
                return Ok((done, Step::Returned));
            }
        }
        Ok((count, Step::Inside))
    }

    /// To the mark, by a breakpoint that is taken away again.
    fn run_to(&self, mark: Mark) -> Result<Step, String> {
        let breakpoint = Breakpoint::at(self.child.pid(), mark.address)?;
        for left in (0..mark.times).rev() {
            breakpoint.set(true)?;
            self.ask(libc::PTRACE_CONT)?;
            if self.came(libc::SIGTRAP, wait_a_little)? == Step::Returned {
                return Ok(Step::Returned);
            }
            breakpoint.set(false)?;
            breakpoint.go_back()?;
            if left != 0 && self.step()? == Step::Returned {
                return Ok(Step::Returned);
            }
        }
        Ok(Step::Inside)
    }

    /// What its next instruction can do, and whether it reaches memory that others have too.
    pub(super) fn next(&self, code: &mut Code) -> (Next, bool) {
        code.next(self.child.pid())
    }

    /// Where its next instruction lies.
    pub(super) fn address(&self) -> Option<u64> {
        marker::next_address(self.child.pid())
    }

    pub(super) fn kill(self) -> Result<End, String> {
        self.child.kill().map_err(|error| format!("kill: {error}"))
    }

    /// Ends the tracing. With `stopped` it is then stopped by SIGSTOP, and has done nothing more;
    /// else it goes on.
    pub(super) fn let_go(self, stopped: bool) -> Result<Child, String> {
        if stopped {
            self.child.stop();
        }
        let nothing = std::ptr::null_mut::<libc::c_void>();
        let pid = self.child.pid();
        // SAFETY: the request reads and writes no memory of ours; signal 0 is delivered.
        if unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, nothing, nothing) } != 0 {
            return Err(format!("PTRACE_DETACH: {}", io::Error::last_os_error()));
        }
        if stopped && !self.child.wait_for_stop().map_err(|error| format!("waitpid: {error}"))? {
            return Err("the victim ended, and should have been stopped".to_owned());
        }
        Ok(self.child)
    }

    /// Has the victim go on until it stops by `signal`, or at its end.
    fn resume(&self, request: libc::c_uint, signal: libc::c_int) -> Result<Step, String> {
        self.ask(request)?;
        self.came(signal, wait)
    }

    fn ask(&self, request: libc::c_uint) -> Result<(), String> {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the request reads and writes no memory of ours; signal 0 is delivered.
        match unsafe { libc::ptrace(request, self.child.pid(), nothing, nothing) } {
            0 => Ok(()),
            _ => Err(format!("ptrace: {}", io::Error::last_os_error())),
        }
    }

    fn came(
        &self,
        signal: libc::c_int,
        wait: impl FnOnce(libc::pid_t) -> io::Result<libc::c_int>,
    ) -> Result<Step, String> {
        match wait(self.child.pid()).map_err(|error| format!("waitpid: {error}"))? {
            status if is_stop(status, signal) => Ok(Step::Inside),
            status if is_stop(status, libc::SIGSTOP) => Ok(Step::Returned),
            status if libc::WIFSTOPPED(status) => {
                Err(format!("the victim got signal {}", libc::WSTOPSIG(status)))
            }
            status => Err(format!("the victim ended by itself, wait status {status:#x}")),
        }
    }
}

/// As [`wait`], but not for long: a victim that goes another way than the survey may go to sleep
/// before it comes to a mark.
fn wait_a_little(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let began = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: writes the status, which outlives the call.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 if began.elapsed() < MARK_TIME => std::thread::yield_now(),
            0 => return Err(io::ErrorKind::TimedOut.into()),
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok(status),
        }
    }
}

/// A mark that is not come to by then is not waited for.
const MARK_TIME: Duration = Duration::from_millis(10);

/// Marks a stop at a system call (`PTRACE_O_TRACESYSGOOD`).
const CALL: libc::c_int = 0x80;

fn is_stop(status: libc::c_int, signal: libc::c_int) -> bool {
    libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == signal
}

fn trace_me() -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: asks to be traced by the parent; no memory is involved.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
