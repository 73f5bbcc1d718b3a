//! Put and get, by a victim that is alone, or that comes after an earlier one.

use std::time::Duration;

use crossproc_queue::Queue;

use super::{EARLIER, Item, Stage, VICTIM, beside, tell_item};
use crate::sweep::scenario::{Finding, Scenario, telling};

/// The victim puts an item behind those that are there.
pub(super) fn put<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.putter(VICTIM);
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        let found = checked.drain()?;
        let with: Vec<u64> = checked.items.iter().copied().chain([VICTIM]).collect();
        match found {
            found if found[..] == checked.items[..] => Ok("absent"),
            found if found == with => Ok("put"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["absent", "put"], victim, check);
    Ok(beside::putting(scenario, &stage))
}

/// The victim takes the first item.
pub(super) fn get<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.getter();
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        match checked.drain()? {
            found if found[..] == checked.items[..] => Ok("there"),
            found if found[..] == checked.items[1..] => Ok("taken"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["there", "taken"], victim, check);
    Ok(beside::getting(scenario, &stage))
}

/// The victim asks in vain: it tries, or sleeps until its time is over.
pub(super) fn in_vain<T: Item>(
    capacity: usize,
    items: &[u64],
    ask: fn(&Queue<T>) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, 1, items)?;
    let asking = stage.clone();
    let victim = telling(move || {
        let stage = asking.clone();
        let _ = stage.segment.me();
        move || ask(&stage.queue)
    });
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        match checked.drain()? {
            found if found[..] == checked.items[..] => Ok("unchanged"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check);
    Ok(beside::in_vain(scenario, &stage))
}

const SHORTLY: Duration = Duration::from_millis(3);

pub(super) fn try_put_item<T: Item>(queue: &Queue<T>) -> u64 {
    queue.try_put(T::new(VICTIM)).map_or(beside::REFUSED, |()| VICTIM)
}

pub(super) fn put_timeout_item<T: Item>(queue: &Queue<T>) -> u64 {
    queue.put_timeout(T::new(VICTIM), SHORTLY).map_or(beside::REFUSED, |()| VICTIM)
}

pub(super) fn try_get_item<T: Item>(queue: &Queue<T>) -> u64 {
    tell_item(queue.try_get())
}

pub(super) fn get_timeout_item<T: Item>(queue: &Queue<T>) -> u64 {
    tell_item(queue.get_timeout(SHORTLY))
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
    let put_earlier = (earlier == Deed::Put).then_some(EARLIER);
    let (earlier, victim) = (deed(earlier, EARLIER), deed(then, VICTIM));
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        let found = checked.drain()?;
        let taken = checked.items.len() - found.iter().filter(|&&n| n < VICTIM).count();
        let mut left = checked.items[taken..].to_vec();
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
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    let scenario = scenario.after_death_of(earlier).one_more();
    Ok(beside::repairing(scenario, &stage, put_earlier, then))
}

/// A victim that puts and then gets comes upon all that an earlier put can leave in its way: a
/// claim at the read end, which it has to end before it comes to its own item.
pub(super) fn past_the_dead<T: Item>(capacity: usize) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, 1, &[1])?;
    let earlier = stage.putter(EARLIER);
    let both = stage.clone();
    let victim = telling(move || {
        let stage = both.clone();
        let _ = stage.segment.me();
        let mut item = Some(T::new(VICTIM));
        move || {
            let put = item.take().map(|item| stage.queue.put(item));
            let first = tell_item(stage.queue.get());
            let next = tell_item(stage.queue.get());
            if matches!(put, Some(Ok(()))) && first == 1 { next } else { beside::REFUSED }
        }
    });
    let check = move |_: &_| -> Finding {
        match stage.drain()?[..] {
            [1] | [1, EARLIER] | [1, VICTIM] | [1, EARLIER, VICTIM] => Ok("nothing got"),
            // The earlier item was got as well, or there was none and the victim's is next.
            [EARLIER, VICTIM] | [VICTIM] | [] => Ok("got"),
            ref found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["nothing got", "got"], victim, check);
    Ok(scenario.after_death_of(earlier))
}
