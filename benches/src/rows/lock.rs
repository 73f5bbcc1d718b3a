//! `Lock` beside `std::sync::Mutex`.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, pinned, threads, timed};

const UNCONTENDED: u64 = 2_000_000;
const CONTENDED: u64 = 2_000_000;

pub(super) fn rows() -> Vec<Figure> {
    vec![
        Figure {
            key: "lock.uncontended",
            what: "lock + unlock, uncontended; std::sync::Mutex",
            unit: Unit::Nanoseconds,
            target: 1.25,
            ours: uncontended,
            reference: uncontended_std,
        },
        Figure {
            key: "lock.contended",
            what: "lock + unlock, 2 processes; std::sync::Mutex, 2 threads",
            unit: Unit::PerSecond,
            target: 1.0,
            ours: contended,
            reference: contended_std,
        },
    ]
}

fn uncontended(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (lock, n) = (Lock::new()?, effort.operations(UNCONTENDED));
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(lock.lock()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}

fn uncontended_std(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (lock, n) = (Mutex::new(()), effort.operations(UNCONTENDED));
        let lock = black_box(&lock);
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(lock.lock()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}

fn contend(meeting: Meeting, party: u32, lock: Lock, n: u64) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            drop(black_box(lock.lock()));
        }
        Ok(())
    })
}

fn contended(effort: &Effort) -> anyhow::Result<f64> {
    let (lock, meeting, n) = (Lock::new()?, Meeting::new(0)?, effort.operations(CONTENDED));
    let party = |party| spawn((meeting.clone(), party, lock.clone(), n), contend);
    let nanoseconds = longest(vec![party(0)?, party(1)?])?;
    Ok(2.0 * n as f64 / nanoseconds * 1e9)
}

fn contended_std(effort: &Effort) -> anyhow::Result<f64> {
    let (lock, n) = (Mutex::new(()), effort.operations(CONTENDED));
    let nanoseconds = threads(2, |_| {
        for _ in 0..n {
            drop(black_box(lock.lock()));
        }
    });
    Ok(2.0 * n as f64 / nanoseconds * 1e9)
}
