//! Starting a process and joining it, beside `std::process::Command` running the same binary.

use std::process::Command;
use std::time::Instant;

use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};

const TIMES: u64 = 100;

/// Makes a process started by the reference return at once.
const RETURN_AT_ONCE: &str = "CROSSPROC_FIGURES_RETURN";

/// Returns at once from a process that the reference started.
#[expect(clippy::exit, reason = "it is a program that is measured by ending at once")]
pub(super) fn early() {
    if std::env::var_os(RETURN_AT_ONCE).is_some() {
        std::process::exit(0);
    }
}

pub(super) fn rows() -> Vec<Figure> {
    vec![Figure {
        key: "process.spawn_join",
        what: "spawn + join of an empty function; std Command, same binary, returning at once",
        unit: Unit::Nanoseconds,
        target: 1.5,
        ours: spawn_join,
        reference: command,
    }]
}

fn nothing() {}

fn spawn_join(effort: &Effort) -> anyhow::Result<f64> {
    let n = effort.operations(TIMES);
    let begun = Instant::now();
    for _ in 0..n {
        spawn((), nothing)?.join()?;
    }
    Ok(begun.elapsed().as_nanos() as f64 / n as f64)
}

fn command(effort: &Effort) -> anyhow::Result<f64> {
    let n = effort.operations(TIMES);
    let begun = Instant::now();
    for _ in 0..n {
        let status = Command::new("/proc/self/exe").env(RETURN_AT_ONCE, "1").status()?;
        anyhow::ensure!(status.success(), "the reference process failed: {status}");
    }
    Ok(begun.elapsed().as_nanos() as f64 / n as f64)
}
