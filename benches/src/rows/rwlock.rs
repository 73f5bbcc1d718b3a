//! `RwLock` beside `std::sync::RwLock`.

use std::hint::black_box;
use std::sync::RwLock as StdRwLock;
use std::time::{Duration, Instant};

use crossproc::RwLock;
use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, meet, pin, pinned, threads, timed};

const UNCONTENDED: u64 = 2_000_000;
const SHARED: u64 = 5_000_000;
/// Milliseconds of a contest between a reader and a writer.
const CONTEST_MS: u64 = 500;
/// The longest that either side may wait.
const LONGEST_WAIT_NS: f64 = 50e6;

pub(super) fn rows() -> Vec<Figure> {
    vec![
        Figure {
            key: "rwlock.read",
            what: "read + unlock, uncontended; std::sync::RwLock",
            unit: Unit::Nanoseconds,
            target: 1.1,
            ours: uncontended,
            reference: uncontended_std,
        },
        Figure {
            key: "rwlock.readers",
            what: "read + unlock, 2 processes; std::sync::RwLock, 2 threads",
            unit: Unit::PerSecond,
            target: 1.0,
            ours: shared,
            reference: shared_std,
        },
        Figure {
            key: "rwlock.reader-waits",
            what: "longest wait of a reader in a loop, a writer in a loop; 50 ms",
            unit: Unit::Nanoseconds,
            target: 1.0,
            ours: |effort| Ok(contest(effort)?.0),
            reference: |_| Ok(LONGEST_WAIT_NS),
        },
        Figure {
            key: "rwlock.writer-waits",
            what: "longest wait of a writer in a loop, a reader in a loop; 50 ms",
            unit: Unit::Nanoseconds,
            target: 1.0,
            ours: |effort| Ok(contest(effort)?.1),
            reference: |_| Ok(LONGEST_WAIT_NS),
        },
    ]
}

fn uncontended(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (lock, n) = (RwLock::new()?, effort.operations(UNCONTENDED));
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(lock.read()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}

fn uncontended_std(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (lock, n) = (StdRwLock::new(()), effort.operations(UNCONTENDED));
        let lock = black_box(&lock);
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(lock.read()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}

fn read_on(meeting: Meeting, party: u32, lock: RwLock, n: u64) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            drop(black_box(lock.read()));
        }
        Ok(())
    })
}

fn shared(effort: &Effort) -> anyhow::Result<f64> {
    let (lock, meeting, n) = (RwLock::new()?, Meeting::new(0)?, effort.operations(SHARED));
    let party = |party| spawn((meeting.clone(), party, lock.clone(), n), read_on);
    let nanoseconds = longest(vec![party(0)?, party(1)?])?;
    Ok(2.0 * n as f64 / nanoseconds * 1e9)
}

fn shared_std(effort: &Effort) -> anyhow::Result<f64> {
    let (lock, n) = (StdRwLock::new(()), effort.operations(SHARED));
    let nanoseconds = threads(2, |_| {
        for _ in 0..n {
            drop(black_box(lock.read()));
        }
    });
    Ok(2.0 * n as f64 / nanoseconds * 1e9)
}

/// A side of the contest: reads or writes for `ms` milliseconds; its longest wait in nanoseconds.
fn compete(meeting: Meeting, writes: bool, lock: RwLock, ms: u64) -> Result<(u64, u64), Failure> {
    pin(u32::from(writes));
    meet(&meeting, 2);
    let (begun, ms) = (Instant::now(), Duration::from_millis(ms));
    let (mut longest, mut rounds) = (Duration::ZERO, 0);
    while begun.elapsed() < ms {
        let asked = Instant::now();
        if writes {
            drop(black_box(lock.write()));
        } else {
            drop(black_box(lock.read()));
        }
        longest = longest.max(asked.elapsed());
        rounds += 1;
    }
    Ok((u64::try_from(longest.as_nanos())?, rounds))
}

/// The longest waits of a reader and of a writer.
fn contest(effort: &Effort) -> anyhow::Result<(f64, f64)> {
    let (lock, meeting, ms) = (RwLock::new()?, Meeting::new(0)?, effort.operations(CONTEST_MS));
    let side = |writes| spawn((meeting.clone(), writes, lock.clone(), ms), compete);
    let (reader, writer) = (side(false)?, side(true)?);
    let wait = |side: JoinHandle<Result<(u64, u64), Failure>>| -> anyhow::Result<f64> {
        let (longest, rounds) = side.join()?.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        anyhow::ensure!(rounds > 0, "a side never had the lock");
        Ok(longest as f64)
    };
    Ok((wait(reader)?, wait(writer)?))
}
