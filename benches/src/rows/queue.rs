//! `Queue<u64>` between processes beside `ArrayQueue` between threads.

use crossbeam_queue::ArrayQueue;
use crossproc::prelude::*;

use super::item::Item;
use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, threads, timed};

pub(super) const CAPACITY: usize = 1024;
pub(super) const ITEMS: u64 = 3_000_000;

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, target, ours, reference| Figure {
        key,
        what,
        unit: Unit::PerSecond,
        target,
        ours,
        reference,
    };
    vec![
        row(
            "queue.1x1.blocking",
            "Queue<u64>, 1 producer 1 consumer process, put/get; ArrayQueue spinning, threads",
            3.0,
            |effort| processes::<u64>(effort, 1, false),
            |effort| array_queue(effort, 1, false),
        ),
        row(
            "queue.1x1.try",
            "the same through try_put/try_get",
            4.0,
            |effort| processes::<u64>(effort, 1, true),
            |effort| array_queue(effort, 1, false),
        ),
        row(
            "queue.2x2.blocking",
            "Queue<u64>, 2 x 2 processes on 2 cores, put/get; ArrayQueue spin + yield, threads",
            1.2,
            |effort| processes::<u64>(effort, 2, false),
            |effort| array_queue(effort, 2, true),
        ),
        row(
            "queue.1x1.batch",
            "put_many and get_many of 64, 1 x 1 processes; single try_put and try_get",
            2.0,
            batches,
            |effort| processes::<u64>(effort, 1, true),
        ),
        row(
            "queue.8x8.blocking",
            "Queue<u64>, 8 x 8 processes on 2 cores, put/get; 1 x 1",
            0.5,
            |effort| processes::<u64>(effort, 8, false),
            |effort| processes::<u64>(effort, 1, false),
        ),
    ]
}

/// `pairs` producers and as many consumers; parties with even numbers produce.
pub(super) fn processes<T: Item>(
    effort: &Effort,
    pairs: u32,
    spinning: bool,
) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<T>::bounded(CAPACITY)?, Meeting::new(0)?);
    let n = effort.operations(ITEMS) / u64::from(pairs);
    let mut parties = Vec::new();
    for party in 0..2 * pairs {
        let arguments = (meeting.clone(), 2 * pairs, party, queue.clone(), n, spinning);
        parties.push(spawn(arguments, transfer::<T>)?);
    }
    let nanoseconds = longest(parties)?;
    Ok((n * u64::from(pairs)) as f64 / nanoseconds * 1e9)
}

fn transfer<T: Item>(
    meeting: Meeting,
    parties: u32,
    party: u32,
    queue: Queue<T>,
    n: u64,
    spinning: bool,
) -> Result<u64, Failure> {
    // With two cores and two pairs, each core has a producer and a consumer.
    let core = party / 2 + party % 2;
    timed(&meeting, parties, core, || match (party % 2, spinning) {
        (0, false) => (0..n).try_for_each(|number| Ok(queue.put(T::of(number))?)),
        (0, true) => {
            for number in 0..n {
                while queue.try_put(T::of(number)).is_err() {
                    std::hint::spin_loop();
                }
            }
            Ok(())
        }
        (_, false) => consume(n, || Ok(queue.get()?.number())),
        (_, true) => consume(n, || {
            loop {
                if let Ok(item) = queue.try_get() {
                    return Ok(item.number());
                }
                std::hint::spin_loop();
            }
        }),
    })
}

fn batches(effort: &Effort) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<u64>::bounded(CAPACITY)?, Meeting::new(0)?);
    let n = effort.operations(ITEMS) / BATCH as u64 * BATCH as u64;
    let mut parties = Vec::new();
    for party in 0..2 {
        parties.push(spawn((meeting.clone(), party, queue.clone(), n), transfer_batches)?);
    }
    Ok(n as f64 / longest(parties)? * 1e9)
}

const BATCH: usize = 64;

fn transfer_batches(
    meeting: Meeting,
    party: u32,
    queue: Queue<u64>,
    n: u64,
) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        if party == 0 {
            let items: [u64; BATCH] = std::array::from_fn(|at| at as u64);
            return (0..n / BATCH as u64).try_for_each(|_| Ok(queue.put_many(&items)?));
        }
        let (mut items, mut left, mut sum) = (Vec::new(), n, 0u64);
        while left > 0 {
            left -= queue.get_many(&mut items, BATCH)? as u64;
            sum = items.drain(..).fold(sum, u64::wrapping_add);
        }
        std::hint::black_box(sum);
        Ok(())
    })
}

pub(super) fn consume(
    n: u64,
    mut get: impl FnMut() -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let mut sum = 0u64;
    for _ in 0..n {
        sum = sum.wrapping_add(get()?);
    }
    std::hint::black_box(sum);
    Ok(())
}

fn array_queue(effort: &Effort, pairs: u32, yielding: bool) -> anyhow::Result<f64> {
    let queue = ArrayQueue::<u64>::new(CAPACITY);
    let n = effort.operations(ITEMS) / u64::from(pairs);
    let wait = |tries: &mut u32| {
        *tries += 1;
        if yielding && *tries % 64 == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    };
    let nanoseconds = threads(2 * pairs, |party| {
        let mut tries = 0;
        if party % 2 == 0 {
            for item in 0..n {
                while queue.push(item).is_err() {
                    wait(&mut tries);
                }
            }
        } else {
            let mut sum = 0u64;
            for _ in 0..n {
                sum = sum.wrapping_add(loop {
                    match queue.pop() {
                        Some(item) => break item,
                        None => wait(&mut tries),
                    }
                });
            }
            std::hint::black_box(sum);
        }
    });
    Ok((n * u64::from(pairs)) as f64 / nanoseconds * 1e9)
}
