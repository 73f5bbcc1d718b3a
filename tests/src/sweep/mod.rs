//! Killed after every instruction: the kill sweep.
//!
//! A *scenario* is one operation in one state. It is swept in these forms ([`Form`]):
//!
//! - **kill**: a victim process is led through the operation instruction by instruction under
//!   ptrace, killed after k of them, and reaped; then a survivor process, under a timer, has to
//!   make progress and to find every invariant whole. k runs from 0 to the operation's return.
//!   With a *waiter*, a third process sleeps in a blocking call as the victim dies, and has to
//!   come back. And *images*: the victim is led through once, and each distinct state of the
//!   shared memory that it passes is put back and given to a survivor, with the victim gone. That
//!   is the same question asked once for each store; it cannot see what the kernel holds (byte
//!   locks, names, sleepers), for which there are the kills.
//! - **double**: the same after an earlier death ([`Scenario::after_death_of`]): every image it
//!   can leave is a state to start from, so that a victim that repairs is itself killed at every
//!   instruction of the repair.
//! - **interleave**: the victim stands still after k instructions, another process does something
//!   whole ([`Scenario::meanwhile`]), the victim goes on to its end. Every effect of both has to
//!   be there exactly once.
//! - **stop**: the same by SIGSTOP, for so long that others ask if the victim is dead. It is not.
//!
//! Outcomes are checked in their order over k: the victim's effect is absent at first, present at
//! the end, and once it is there it stays ([`Scenario::in_memory`]).
//!
//! The sweep is tested by sweeping a primitive of its own ([`twin`]), sound and broken: the broken
//! ones must be found.
//!
//! The harness forks, so it has to be the only thread of its process.

mod beside;
mod board;
mod cast;
pub mod catalogue;
mod child;
mod heap;
#[cfg_attr(target_arch = "x86_64", path = "marker_x86_64.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "marker_other.rs")]
mod marker;
mod memory;
#[cfg(target_arch = "x86_64")]
#[path = "operand_x86_64.rs"]
mod operand;
mod order;
mod report;
mod run;
mod scenario;
#[cfg_attr(target_arch = "x86_64", path = "steady_x86_64.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "steady_other.rs")]
mod steady;
mod survey;
mod trace;
pub mod twin;

pub use memory::Memory;
pub use report::{Flip, Form, Row};
pub use run::{Limits, sweep};
pub use scenario::{Finding, Operate, Part, Scenario, Witness, keep, part, telling};

/// Why no sweep can be made in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Stepping was written for x86-64 only.
    Architecture,
    /// The harness forks, and other threads would be missing in the children.
    Threads,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Architecture => "the kill sweep can step through x86-64 instructions only",
            Self::Threads => "the kill sweep forks, so it must be the only thread of its process",
        })
    }
}

impl std::error::Error for Refusal {}

/// Asks whether sweeps can be made on this machine.
///
/// # Errors
/// [`Refusal`] on another architecture.
pub fn is_possible() -> Result<(), Refusal> {
    if marker::SUPPORTED { Ok(()) } else { Err(Refusal::Architecture) }
}

/// Prepares this process for sweeps.
///
/// It settles on one processor, the `seat`th of those that it may use: there stepping is fastest,
/// and waiting does not spin, which would be thousands of instructions that only load. And it
/// reads clocks by system calls from now on.
///
/// # Errors
/// [`Refusal`] on another architecture, or in a process that has threads.
pub fn begin(seat: usize) -> Result<(), Refusal> {
    is_possible()?;
    if !child::only_thread() {
        return Err(Refusal::Threads);
    }
    // Where this is not possible, a few verdicts are asked for again; see `Run::kills`.
    let _ = steady::read_clocks_by_system_call();
    let cpus = allowed_processors();
    if let Some(&cpu) = cpus.get(seat % cpus.len().max(1)) {
        // Where this is not allowed the sweep takes longer.
        let _ = crossproc_sys::process::pin(cpu);
    }
    Ok(())
}

/// The processors that this process may use, as /proc tells them: `0-3,8`; none if it does not.
fn allowed_processors() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap_or_default().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Does something in a process of its own while a state is set up.
fn in_child(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let trouble = |error: std::io::Error| format!("a child for setting up: {error}");
    let board = board::Board::new().map_err(trouble)?;
    let child = child::Child::fork(&board, work).map_err(trouble)?;
    match child.reap().map_err(trouble)? {
        child::End::Done => Ok(()),
        child::End::Failed => Err(board.text()),
        child::End::Signal(signal) => Err(format!("a child for setting up got signal {signal}")),
    }
}
