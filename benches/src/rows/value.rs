//! `Value` beside a plain atomic and a mutex.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::pinned;

const TIMES: u64 = 3_000_000;

/// 64 bytes.
type Wide = [u64; 8];

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, target, ours, reference| Figure {
        key,
        what,
        unit: Unit::Nanoseconds,
        target,
        ours,
        reference,
    };
    vec![
        // "As a plain atomic": 5 % are left for the noise of the machine.
        row("value.fetch_add", "Value<u64>::fetch_add; AtomicU64", 1.05, fetch_add, fetch_add_std),
        row("value.get64", "get of 64 bytes; std Mutex lock + copy + unlock", 0.6, get, get_std),
        row("value.update64", "update of 64 bytes; std Mutex", 1.5, update, update_std),
    ]
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

fn fetch_add(effort: &Effort) -> anyhow::Result<f64> {
    let value = Value::new(0u64)?;
    each(effort, || {
        black_box(value.fetch_add(1));
    })
}

fn fetch_add_std(effort: &Effort) -> anyhow::Result<f64> {
    let value = AtomicU64::new(0);
    let value = black_box(&value);
    each(effort, || {
        // ORDERING: as `Value::fetch_add`.
        black_box(value.fetch_add(1, SeqCst));
    })
}

fn get(effort: &Effort) -> anyhow::Result<f64> {
    let value = Value::<Wide>::new([7; 8])?;
    each(effort, || {
        black_box(value.get());
    })
}

fn get_std(effort: &Effort) -> anyhow::Result<f64> {
    let value = Mutex::<Wide>::new([7; 8]);
    let value = black_box(&value);
    each(effort, || {
        black_box(*value.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    })
}

fn update(effort: &Effort) -> anyhow::Result<f64> {
    let value = Value::<Wide>::new([7; 8])?;
    each(effort, || {
        let _ = value.update(|wide| wide[0] = black_box(wide[0] + 1));
    })
}

fn update_std(effort: &Effort) -> anyhow::Result<f64> {
    let value = Mutex::<Wide>::new([7; 8]);
    let value = black_box(&value);
    each(effort, || {
        let mut wide = value.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        wide[0] = black_box(wide[0] + 1);
    })
}
