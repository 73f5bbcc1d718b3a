//! What consumers cost that wait and get nothing.

use std::fs;
use std::thread;
use std::time::Duration;

use crossproc::Queue;
use crossproc::prelude::*;
use crossproc_sys::clock::now_ns;

use crate::figure::{Bound, Bounded, Effort, Unit};
use crate::forked::{Forked, fork};

const PROCESSES: u64 = 50;
const THREADS: u64 = 20;
/// Each sleeps as long as it ever will.
const OLD: Duration = Duration::from_secs(12);
/// How long they are watched.
const REST: Duration = Duration::from_secs(20);

pub(super) fn bounded() -> Vec<Bounded> {
    vec![Bounded {
        rows: vec![Bound {
            key: "queue.idle.1000",
            what: "1,000 consumers asleep in get, 50 processes of 20 threads: share of a core, all together",
            unit: Unit::Percent,
            at_most: 1.0,
        }],
        measure: |effort: &Effort| {
            let share = spawn((effort.percent,), share_at_rest)?.join()?;
            Ok(vec![share.map_err(|failure| anyhow::anyhow!("{failure}"))?])
        },
    }]
}

fn share_at_rest(percent: u64) -> Result<f64, Failure> {
    let segment = Segment::anonymous(4 << 20)?;
    let queue = Queue::<u64>::create(&segment, "queue", 16)?;
    let came = Value::new_in(&segment, 0u64)?;
    let crowd = (0..PROCESSES).map(|_| fork(|| consumers(&queue, &came)));
    let crowd: Vec<Forked> = crowd.collect::<Result<_, Failure>>()?;
    while came.get() < PROCESSES * THREADS {
        thread::sleep(Duration::from_millis(1));
    }
    let processor_time = || {
        let times = crowd.iter().map(|process| processor_ns(process.pid()));
        times.sum::<Result<u64, Failure>>()
    };
    let scaled = |full: Duration| full.mul_f64(percent as f64 / 100.0);
    thread::sleep(scaled(OLD));
    let (begun, before) = (now_ns(), processor_time()?);
    thread::sleep(scaled(REST));
    let (elapsed, after) = (now_ns() - begun, processor_time()?);
    // They are told, which proves that they were there.
    queue.close();
    crowd.into_iter().try_for_each(Forked::join)?;
    Ok((after - before) as f64 / elapsed as f64 * 100.0)
}

fn consumers(queue: &Queue<u64>, came: &Value<u64>) -> Result<(), Failure> {
    let consume = || {
        came.fetch_add(1);
        match queue.get() {
            Err(GetError::Closed) => Ok(()),
            got => Err(Failure::new(format!("an idle consumer got {got:?}"))),
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(consume)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| Failure::new("a consumer panicked"))?
        })
    })
}

/// The nanoseconds that all threads of a process have run.
fn processor_ns(pid: u32) -> Result<u64, Failure> {
    let mut all = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next();
        all += first.ok_or_else(|| Failure::new("an empty schedstat"))?.parse::<u64>()?;
    }
    Ok(all)
}
