//! Put and get, by a victim that is alone, or that comes after an earlier one.

use std::time::Duration;

use crossproc_queue::Queue;

use super::{EARLIER, Item, Stage, VICTIM};
use crate::sweep::scenario::{Finding, Scenario, keep, part};

/// The victim puts an item behind those that are there.
pub(super) fn put<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.putter(VICTIM);
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let with: Vec<u64> = stage.items.iter().copied().chain([VICTIM]).collect();
        match found {
            found if found[..] == stage.items[..] => Ok("absent"),
            found if found == with => Ok("put"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["absent", "put"], victim, check))
}

/// The victim takes the first item.
pub(super) fn get<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.getter();
    let check = move |_: &_| -> Finding {
        match stage.drain()? {
            found if found[..] == stage.items[..] => Ok("there"),
            found if found[..] == stage.items[1..] => Ok("taken"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check))
}

/// The victim asks in vain: it tries, or sleeps until its time is over.
pub(super) fn in_vain<T: Item>(
    capacity: usize,
    items: &[u64],
    ask: fn(&Queue<T>),
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, 1, items)?;
    let asking = stage.clone();
    let victim = part(move || {
        let stage = asking.clone();
        let _ = stage.segment.me();
        move || ask(&stage.queue)
    });
    let check = move |_: &_| -> Finding {
        match stage.drain()? {
            found if found[..] == stage.items[..] => Ok("unchanged"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check))
}

const SHORTLY: Duration = Duration::from_millis(3);

pub(super) fn try_put_item<T: Item>(queue: &Queue<T>) {
    keep(queue.try_put(T::new(VICTIM)));
}

pub(super) fn put_timeout_item<T: Item>(queue: &Queue<T>) {
    keep(queue.put_timeout(T::new(VICTIM), SHORTLY));
}

pub(super) fn try_get_item<T: Item>(queue: &Queue<T>) {
    keep(queue.try_get());
}

pub(super) fn get_timeout_item<T: Item>(queue: &Queue<T>) {
    keep(queue.get_timeout(SHORTLY));
}

/// What two victims do, one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Put,
    Get,
}

/// A victim comes upon all that an earlier one can leave.
pub(super) fn double<T: Item>(
    earlier: Deed,
    then: Deed,
    capacity: usize,
    items: &[u64],
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, 1, items)?;
    let deed = |deed, number| match deed {
        Deed::Put => stage.putter(number),
        Deed::Get => stage.getter(),
    };
    let (earlier, victim) = (deed(earlier, EARLIER), deed(then, VICTIM));
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let taken = stage.items.len() - found.iter().filter(|&&n| n < VICTIM).count();
        let mut left = stage.items[taken..].to_vec();
        let of_victim = found.contains(&VICTIM);
        left.extend(found.contains(&EARLIER).then_some(EARLIER));
        left.extend(of_victim.then_some(VICTIM));
        if found != left {
            return Err(format!("the items are {found:?}"));
        }
        match (then, taken) {
            (Deed::Put, _) if of_victim => Ok("once"),
            (Deed::Put, _) | (Deed::Get, 0) => Ok("not done"),
            (Deed::Get, 1) => Ok("once"),
            _ => Ok("twice"),
        }
    };
    let outcomes = &["not done", "once", "twice"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier).one_more())
}
