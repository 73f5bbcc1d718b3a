//! What a queue's operations take where nobody waits, counted and not timed: system calls and
//! instructions. A forked copy does them under ptrace.
//!
//! Cache lines cannot be counted so: that takes the processor's own counters, which the virtual
//! machines that this runs on do not have (`perf_event_open` says ENOENT).

use std::io;

use crossproc::Queue;
use crossproc::prelude::*;
use crossproc_sys::process;

use crate::figure::{Bound, Bounded, Unit};
use crate::forked::fork;

/// System calls are counted over as many, at full effort.
const OPERATIONS: u64 = 1_000_000;
/// Instructions are, whatever the effort: it is the same number each time.
const STEPPED: u64 = 64;

pub(super) fn bounded() -> Vec<Bounded> {
    let row = |key, what, at_most| Bound { key, what, unit: Unit::Count, at_most };
    vec![
        Bounded {
            rows: vec![
                row(
                    "counted.calls.alone",
                    "system calls in a million put + get of a Queue<u64> by one process",
                    0.0,
                ),
                row("counted.calls.put", "in a million puts by a process while nobody waits", 0.0),
                row("counted.calls.get", "in a million gets of what another process put", 0.0),
            ],
            measure: |effort| {
                let calls = spawn((effort.operations(OPERATIONS),), system_calls)?.join()?;
                calls.map_err(|failure| anyhow::anyhow!("{failure}"))
            },
        },
        Bounded {
            rows: vec![
                row("counted.instructions.put", "instructions of a put of a Queue<u64>", 220.0),
                row("counted.instructions.get", "instructions of a get of a Queue<u64>", 90.0),
            ],
            measure: |_| {
                let counts = spawn((STEPPED,), instructions)?.join()?;
                counts.map_err(|failure| anyhow::anyhow!("{failure}"))
            },
        },
    ]
}

/// A queue with room for `places` items, in a segment of its own.
fn queue(places: u64) -> Result<Queue<u64>, Failure> {
    let places = usize::try_from(places)?;
    let segment = Segment::anonymous((1 << 20) + places * 64)?;
    Ok(Queue::create(&segment, "queue", places)?)
}

fn system_calls(operations: u64) -> Result<Vec<f64>, Failure> {
    let queue = queue(operations + 1)?;
    let alone = || {
        for item in 0..operations {
            queue.put(item)?;
            queue.get()?;
        }
        Ok(())
    };
    let none = stops(libc::PTRACE_SYSCALL, &queue, || Ok(()))?;
    let of = |body: &dyn Fn() -> Result<(), Failure>| -> Result<f64, Failure> {
        // Each call is a stop at its entry and one when it is done.
        Ok((stops(libc::PTRACE_SYSCALL, &queue, body)? - none) / 2.0)
    };
    Ok(vec![of(&alone)?, of(&|| put(&queue, operations))?, of(&|| get(&queue, operations))?])
}

fn instructions(operations: u64) -> Result<Vec<f64>, Failure> {
    let queue = queue(operations + 1)?;
    let none = stops(libc::PTRACE_SINGLESTEP, &queue, || Ok(()))?;
    let of = |body: &dyn Fn() -> Result<(), Failure>| -> Result<f64, Failure> {
        Ok((stops(libc::PTRACE_SINGLESTEP, &queue, body)? - none) / operations as f64)
    };
    Ok(vec![of(&|| put(&queue, operations))?, of(&|| get(&queue, operations))?])
}

fn put(queue: &Queue<u64>, operations: u64) -> Result<(), Failure> {
    (0..operations).try_for_each(|item| Ok(queue.put(item)?))
}

fn get(queue: &Queue<u64>, operations: u64) -> Result<(), Failure> {
    let mut sum = 0u64;
    for _ in 0..operations {
        sum = sum.wrapping_add(queue.get()?);
    }
    std::hint::black_box(sum);
    Ok(())
}

/// How often a copy of this process that runs `body` stops for `request`, from one stop of its own to
/// the next. It has used the queue before.
fn stops(
    request: libc::c_uint,
    queue: &Queue<u64>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let traced = fork(|| {
        trace(libc::PTRACE_TRACEME, 0)?;
        queue.put(0)?;
        queue.get()?;
        process::stop_self();
        body()?;
        process::stop_self();
        Ok(())
    })?;
    let pid = i32::try_from(traced.pid())?;
    if stop(pid)? != libc::SIGSTOP {
        return Err(Failure::new("a traced process did not come to its start"));
    }
    let mut stops = 0;
    loop {
        trace(request, pid)?;
        match stop(pid)? {
            libc::SIGTRAP => stops += 1,
            libc::SIGSTOP => break,
            signal => return Err(Failure::new(format!("a traced process got signal {signal}"))),
        }
    }
    trace(libc::PTRACE_DETACH, pid)?;
    traced.join()?;
    Ok(f64::from(stops))
}

/// A request without arguments; a signal that stopped the process is not delivered.
fn trace(request: libc::c_uint, pid: i32) -> Result<(), Failure> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests read and write no memory of ours.
    match unsafe { libc::ptrace(request, pid, nothing, nothing) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// The signal by which the traced process has stopped next.
fn stop(pid: i32) -> Result<i32, Failure> {
    let mut status = 0;
    // SAFETY: there is room for the status.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if waited == pid && libc::WIFSTOPPED(status) {
        return Ok(libc::WSTOPSIG(status));
    }
    Err(Failure::new(format!("a traced process ended, wait status {status:#x}")))
}
