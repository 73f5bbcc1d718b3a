//! Leases that run out: ended and extended by their holder, and taken from it.

use std::time::Duration;

use crossproc_queue::{AckError, Lease, Queue};

use super::{Item, Long, Stage, beside, keep, lease, stage, text};
use crate::sweep::catalogue::Entry;
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, telling};

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(3600);
/// Over as soon as the clock of leases has gone on by a step.
const NONE: Duration = Duration::from_nanos(1);
/// More than a look after the dead takes to come.
const SURELY: Duration = Duration::from_secs(10);

pub(in super::super) const ENTRIES: &[Entry] = &[
    Entry::new("queue lease u64", "with a limit", || leased::<u64>(lease::lease)),
    Entry::new("queue lease + extend u64", "with a limit", || leased::<u64>(extend)),
    Entry::new("queue lease + ack u64", "with a limit", || acked::<u64>(ack_extended)),
    Entry::new("queue lease + ack String", "in a block, with a limit", || {
        acked::<Long>(ack_extended)
    }),
    Entry::new("queue lease + nack u64", "with a limit", || leased::<u64>(lease::nack)),
    Entry::new("queue ack u64", "ran out, and is another's", expired::<u64>),
    Entry::new("queue ack String", "in a block, ran out, and is another's", expired::<Long>),
    Entry::new("queue get u64", "a lease ran out", || ran_out::<u64>(Stage::getter)),
    Entry::new("queue get String", "in a block, a lease ran out", || {
        ran_out::<Long>(Stage::getter)
    }),
    Entry::new("queue lease + ack u64", "a lease ran out", || {
        ran_out::<u64>(|stage| stage.leaser(lease::lease_ack))
    }),
];

impl<T: Item> Stage<T> {
    fn with_limit(limit: Duration, items: &[u64]) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let options = Queue::options().lease_limit(limit);
        let queue = options.create(&segment, "queue", 3).map_err(text)?;
        let stage = Self { segment, queue, items: items.into() };
        items.iter().try_for_each(|&number| stage.put(number))?;
        Ok((stage, memory))
    }
}

fn extend<T: Item>(queue: &Queue<T>) -> u64 {
    let Ok(mut lease) = queue.lease() else { return beside::REFUSED };
    let extended = lease.extend(2 * LONG);
    let number = lease.number();
    keep(lease);
    extended.ok().and(number).unwrap_or(u64::MAX - 1)
}

fn ack_extended<T: Item>(queue: &Queue<T>) -> u64 {
    let Ok(mut lease) = queue.lease() else { return beside::REFUSED };
    if lease.extend(2 * LONG).is_err() {
        return beside::REFUSED;
    }
    super::tell_item(lease.ack())
}

fn leased<T: Item>(act: fn(&Queue<T>) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_limit(LONG, &[1, 2])?;
    let victim = stage.leaser(act);
    lease::leased_by(stage, memory, victim)
}

fn acked<T: Item>(act: fn(&Queue<T>) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_limit(LONG, &[1, 2])?;
    let victim = stage.leaser(act);
    lease::acked_by(stage, memory, victim)
}

/// The victim acknowledges what it has no more: that never changes anything.
fn expired<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_limit(NONE, &[1])?;
    let acking = stage.clone();
    let victim = telling(move || {
        let stage: &'static Stage<T> = Box::leak(Box::new(acking.clone()));
        let mut slow = stage.queue.try_lease().ok();
        ran_out_of(slow.as_ref());
        // Another thread's, who could be another process: it is the look that takes it.
        keep(stage.queue.lease_timeout(SURELY));
        move || match slow.take().map(Lease::ack) {
            Some(Err(AckError::Expired)) => 1,
            _ => beside::REFUSED,
        }
    });
    let check = move |_: &_| match &stage.harvest_items()?[..] {
        [(1, 3)] => Ok("there"),
        found => Err(format!("the items are {found:?}")),
    };
    Ok(Scenario::in_memory(memory, &["there"], victim, check))
}

/// Waits until the lease has run out.
fn ran_out_of<T>(lease: Option<&Lease<'_, T>>) {
    while lease.is_some_and(|lease| lease.time_left() > Some(Duration::ZERO)) {
        std::thread::yield_now();
    }
}

/// A lease of one who lives has run out, and the victim gets its item or leases it.
fn ran_out<T: Item>(victim: fn(&Stage<T>) -> Part) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::with_limit(NONE, &[1, 2])?;
    let slow = stage.queue.try_lease().map_err(text)?;
    ran_out_of(Some(&slow));
    keep(slow);
    stage.forget_the_last_look()?;
    let victim = victim(&stage);
    let check = move |_: &_| -> Finding {
        match &stage.harvest_items()?[..] {
            [(1, 2), (2, 1)] => Ok("there"),
            [(1, 3), (2, 1)] => Ok("leased"),
            [(2, 1)] => Ok("taken"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["there", "leased", "taken"], victim, check))
}
