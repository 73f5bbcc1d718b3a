//! `Event` beside a bare atomic.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel};
use std::time::Instant;

use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::pinned;

const TIMES: u64 = 3_000_000;

pub(super) fn rows() -> Vec<Figure> {
    vec![Figure {
        key: "event.set",
        what: "Event::set, nobody waits; fetch_or of an AtomicU32 that gives the old value",
        unit: Unit::Nanoseconds,
        target: 1.3,
        ours: set,
        reference: fetch_or,
    }]
}

fn set(effort: &Effort) -> anyhow::Result<f64> {
    let event = Event::new()?;
    each(effort, || event.set())
}

/// What a flag that may be waited for costs at least: one read-modify-write that tells what was there.
fn fetch_or(effort: &Effort) -> anyhow::Result<f64> {
    let flag = AtomicU32::new(0);
    let flag = black_box(&flag);
    each(effort, || {
        // ORDERING: as for a flag that tells of what was done before.
        black_box(flag.fetch_or(1 << 31, AcqRel));
    })
}

fn each(effort: &Effort, mut operation: impl FnMut() + Send) -> anyhow::Result<f64> {
    pinned(|| {
        let n = effort.operations(TIMES);
        let begun = Instant::now();
        for _ in 0..n {
            operation();
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}
