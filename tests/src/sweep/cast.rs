//! Those who play in a scenario beside the victim: holder, waiter, helper, survivor.

use std::time::{Duration, Instant};

use super::board::Board;
use super::child::{Child, End, die_after};
use super::scenario::{Judge, Scenario, Waiter, Witness};

/// Forks the players, and hears what they found.
pub(super) struct Cast<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) board: Board,
    /// Whoever has not come through by then hangs.
    pub(super) hang: Duration,
}

impl Cast<'_> {
    /// Starts the process that is in the victim's way, and returns when it is.
    pub(super) fn start_holder(&self) -> Result<Option<Child>, String> {
        let Some(hold) = &self.scenario.holder else { return Ok(None) };
        let child = self.fork(|| {
            hold(&stop_here);
            Ok(())
        })?;
        match child.wait_for_stop().map_err(|error| format!("waitpid: {error}"))? {
            true => Ok(Some(child)),
            false => Err(format!("the holder does not hold: {}", self.board.text())),
        }
    }

    /// Has the holder go on to its end.
    pub(super) fn release(&self, holder: Option<Child>) -> Result<(), String> {
        let Some(child) = holder else { return Ok(()) };
        child.resume();
        if !child.ends_within(self.hang) {
            return Err("the holder does not come to its end".to_owned());
        }
        match self.reap(child)? {
            End::Done => Ok(()),
            _ => Err(format!("the holder: {}", self.board.text())),
        }
    }

    /// Starts the third process, and returns when it sleeps.
    pub(super) fn start_waiter(&self) -> Result<Option<Child>, String> {
        let Some(role) = &self.scenario.waiter else { return Ok(None) };
        let child = self.fork(|| {
            self.board.set_waiter_at_work();
            self.board.set_waiter((role.wait)());
            Ok(())
        })?;
        let until = Instant::now() + self.hang;
        // An old one looks now and then, as long after it has begun to wait as the victim's steps may take to
        // where they meet: each time, so that one way of the two is never seen. It has just looked when
        // the victim begins.
        let mut sleeps = None;
        loop {
            if self.board.is_waiter_at_work() && child.is_asleep(role.old) {
                let now = child.sleeps();
                if !role.old || sleeps.is_some_and(|before| now > before) {
                    break;
                }
                sleeps = sleeps.or(Some(now));
            }
            if child.ends_within(Duration::ZERO) {
                return Err(format!("the waiter did not wait: {}", self.board.text()));
            }
            if Instant::now() > until {
                return Err("the waiter does not fall asleep".to_owned());
            }
        }
        Ok(Some(child))
    }

    /// The outer `Err` is the harness's own trouble, the inner one is the finding.
    pub(super) fn await_waiter(
        &self,
        role: &Waiter,
        child: Child,
        wait: Duration,
    ) -> Result<Result<Witness, String>, String> {
        let mut helped = false;
        if let (Some(help), false) = (&role.help, child.ends_within(wait)) {
            helped = true;
            let helper = self.fork(|| {
                help();
                Ok(())
            })?;
            if !helper.ends_within(self.hang) {
                return Ok(Err("HANG: whoever came to help the waiter".to_owned()));
            }
            if self.reap(helper)? != End::Done {
                return Ok(Err(format!("helping the waiter: {}", self.board.text())));
            }
        }
        if !child.ends_within(self.hang) {
            return Ok(Err("HANG: the waiter sleeps for ever".to_owned()));
        }
        Ok(match self.reap(child)? {
            End::Done => {
                let waiter = Some(self.board.waiter());
                Ok(Witness { waiter, helped, ..Witness::default() })
            }
            End::Failed => Err(format!("waiter: {}", self.board.text())),
            End::Signal(signal) => Err(format!("CRASH: the waiter got signal {signal}")),
        })
    }

    /// Another process begins to do something while the victim stands still.
    pub(super) fn start_other(
        &self,
        act: impl FnOnce() -> Result<u64, String>,
    ) -> Result<Child, String> {
        self.fork(|| {
            die_after(self.hang);
            self.board.set_meanwhile(act()?);
            Ok(())
        })
    }

    /// Returns when it has done what it can do while the victim stands still: it has ended, or
    /// sleeps.
    pub(super) fn await_other(&self, child: &Child) {
        let until = Instant::now() + self.hang;
        while !(child.ends_within(Duration::ZERO) || child.rests()) {
            if Instant::now() > until {
                break;
            }
            std::thread::yield_now();
        }
    }

    /// What it gave. The outer `Err` is the harness's own trouble, the inner one is the finding.
    pub(super) fn end_of_other(&self, child: Child) -> Result<Result<u64, String>, String> {
        Ok(match self.reap(child)? {
            End::Done => Ok(self.board.meanwhile()),
            End::Failed => Err(format!("the other: {}", self.board.text())),
            End::Signal(libc::SIGALRM) => Err("HANG: the other makes no progress".to_owned()),
            End::Signal(signal) => Err(format!("CRASH: the other got signal {signal}")),
        })
    }

    /// Another process that finds out what is left, under a timer.
    pub(super) fn survivor(
        &self,
        judge: &Judge,
        witness: &Witness,
    ) -> Result<Result<usize, String>, String> {
        let child = self.fork(|| {
            die_after(self.hang);
            let began = Instant::now();
            let outcome = (judge.check)(witness)?;
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let index = judge.outcomes.iter().position(|name| *name == outcome);
            let index = index.ok_or_else(|| format!("outcome \"{outcome}\" is not allowed"))?;
            self.board.set_outcome(index, took);
            Ok(())
        })?;
        Ok(match self.reap(child)? {
            End::Done => Ok(self.board.outcome()),
            End::Failed => Err(self.board.text()),
            End::Signal(libc::SIGALRM) => Err("HANG: the survivor makes no progress".to_owned()),
            End::Signal(signal) => Err(format!("CRASH: the survivor got signal {signal}")),
        })
    }

    fn fork(&self, work: impl FnOnce() -> Result<(), String>) -> Result<Child, String> {
        Child::fork(&self.board, work).map_err(|error| format!("fork: {error}"))
    }

    fn reap(&self, child: Child) -> Result<End, String> {
        child.reap().map_err(|error| format!("waitpid: {error}"))
    }
}

/// Stops the calling process until the harness has it go on; it lives on.
fn stop_here() {
    // SAFETY: a signal to ourselves; no memory is involved.
    unsafe { libc::raise(libc::SIGSTOP) };
}
