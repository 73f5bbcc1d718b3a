//! `Queue::lease` and `ack` beside plain `get`.

use crossproc::Queue;
use crossproc::prelude::*;

use super::item::Item;
use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, timed};

const CAPACITY: usize = 1024;
const ITEMS: u64 = 3_000_000;

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, ours, reference| Figure {
        key,
        what,
        unit: Unit::PerSecond,
        target: 0.8,
        ours,
        reference,
    };
    vec![
        row(
            "queue.lease.8B",
            "Queue<u64>, 1 producer 1 consumer process, put and lease + ack; put and get",
            |effort| processes::<u64>(effort, true),
            |effort| processes::<u64>(effort, false),
        ),
        row(
            "queue.lease.64B",
            "the same with items of 64 bytes",
            |effort| processes::<[u64; 8]>(effort, true),
            |effort| processes::<[u64; 8]>(effort, false),
        ),
    ]
}

fn processes<T: Item>(effort: &Effort, leasing: bool) -> anyhow::Result<f64> {
    let (queue, meeting) = (Queue::<T>::bounded(CAPACITY)?, Meeting::new(0)?);
    let n = effort.operations(ITEMS);
    let mut parties = Vec::new();
    for party in 0..2 {
        let arguments = (meeting.clone(), party, queue.clone(), n, leasing);
        parties.push(spawn(arguments, transfer::<T>)?);
    }
    let nanoseconds = longest(parties)?;
    Ok(n as f64 / nanoseconds * 1e9)
}

fn transfer<T: Item>(
    meeting: Meeting,
    party: u32,
    queue: Queue<T>,
    n: u64,
    leasing: bool,
) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        if party == 0 {
            return (0..n).try_for_each(|number| Ok(queue.put(T::of(number))?));
        }
        let mut sum = 0u64;
        for _ in 0..n {
            let item = if leasing { queue.lease()?.ack()? } else { queue.get()? };
            sum = sum.wrapping_add(item.number());
        }
        std::hint::black_box(sum);
        Ok(())
    })
}
