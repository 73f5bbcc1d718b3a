//! Stands in where no stepping was written: the sweep refuses to run.
//!
//! On aarch64 a pair of exclusive load and store cannot be stepped over one by one, so it would
//! also need code built with the atomics of ARMv8.1.

/// Whether this machine's instructions can be stepped through.
pub(super) const SUPPORTED: bool = false;

pub(super) fn stop() {}

/// What an instruction can do that others can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    SystemCall,
    Private,
    Any,
}

#[derive(Debug, Default)]
pub(super) struct Code;

impl Code {
    pub(super) fn next(&mut self, _pid: libc::pid_t) -> (Next, bool) {
        (Next::Any, true)
    }
}

pub(super) fn next_address(_pid: libc::pid_t) -> Option<u64> {
    None
}

pub(super) struct Breakpoint;

impl Breakpoint {
    pub(super) fn at(_pid: libc::pid_t, _address: u64) -> Result<Self, String> {
        Err("no breakpoints here".to_owned())
    }

    pub(super) fn set(&self, _trap: bool) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn go_back(&self) -> Result<(), String> {
        Ok(())
    }
}
