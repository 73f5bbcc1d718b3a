//! All operations and states that are swept.

mod barrier;
mod condvar;
mod event;
mod lock;
mod object;
mod once;
mod pipe;
mod queue;
mod rlock;
mod rwlock;
mod segment;
mod semaphore;
mod value;

use std::os::fd::AsFd;

use crossproc_segment::Segment;

use super::memory::Memory;
use super::scenario::Scenario;

/// An operation in a state, and how to set it up.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The operation: primitive and verb.
    pub operation: &'static str,
    /// The state it meets.
    pub state: &'static str,
    /// Makes the state afresh, and the parts that play in it.
    pub build: Build,
    /// Too long for a quick run, unless it is asked for by name.
    pub slow: bool,
}

/// Sets a scenario up, or says what is in the way.
pub type Build = fn() -> Result<Scenario, String>;

impl Entry {
    const fn new(operation: &'static str, state: &'static str, build: Build) -> Self {
        Self { operation, state, build, slow: false }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    /// Operation and state, as printed and as chosen by `--only`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}, {}", self.operation, self.state)
    }
}

/// Every entry, in the order of the report.
#[must_use]
pub fn entries() -> Vec<Entry> {
    [
        segment::ENTRIES,
        object::ENTRIES,
        lock::ENTRIES,
        rlock::ENTRIES,
        rwlock::ENTRIES,
        semaphore::ENTRIES,
        condvar::ENTRIES,
        event::ENTRIES,
        barrier::ENTRIES,
        once::ENTRIES,
        value::ENTRIES,
        queue::ENTRIES,
        queue::LEASES,
        queue::LIMITS,
        queue::LEVELS,
        pipe::ENTRIES,
    ]
    .concat()
}

/// A small anonymous segment, with the harness as a member, and its bytes.
fn stage() -> Result<(Segment, Memory), String> {
    const BYTES: usize = 16 << 10;
    let segment = Segment::anonymous(BYTES).map_err(text)?;
    let memory = view(&segment)?;
    Ok((segment, memory))
}

/// The bytes of a segment, through a mapping that is no member.
fn view(segment: &Segment) -> Result<Memory, String> {
    Memory::of_file(segment.as_fd(), segment.size()).map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
