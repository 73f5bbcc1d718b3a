//! Handles that are dropped, the last one of a side and others.

use crossproc_queue::{GetError, PutError};

use super::super::Item as _;
use super::super::beside::CLOSED;
use super::super::waited::must;
use super::{Counted, ITEM, OTHER, Sided, WRONG};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// The last one is dropped, with items in the queue.
pub(in super::super) fn last<Q: Sided>(items: &[u64]) -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(items.len().max(2), items, false)?;
    let victim = counted.dropper();
    let (checked, other) = (counted.clone(), counted.clone());
    let check = move |_: &Witness| checked.closed(&checked.items);
    let scenario = Scenario::in_memory(memory, &["closed"], victim, check);
    if !items.is_empty() {
        return Ok(scenario);
    }
    let act = move |_| Ok(other.joins_and_puts(OTHER));
    let judge = move |witness: &Witness| -> Finding {
        match witness.meanwhile {
            Some(OTHER) => counted.has_put(&[OTHER]).map(|()| "counted"),
            Some(CLOSED) => counted.closed(&[]).map(|_| "told"),
            gave => Err(format!("the other's put gave {gave:?}")),
        }
    };
    Ok(scenario.meanwhile("producer, put", &["counted", "told"], act, judge))
}

/// One is dropped that is not the last.
pub(in super::super) fn not_last<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], true)?;
    let victim = counted.dropper();
    let check = move |_: &Witness| counted.open(&[]);
    Ok(Scenario::in_memory(memory, &["open"], victim, check))
}

/// The last one is dropped while somebody sleeps in get: it has to be told, however that one went.
pub(in super::super) fn last_waited_for<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let victim = counted.dropper();
    let waiting = counted.clone();
    let wait = move || match waiting.queue.get() {
        Err(GetError::Closed) => CLOSED,
        _ => WRONG,
    };
    let check = move |witness: &Witness| match witness.waiter {
        Some(CLOSED) => counted.closed(&[]),
        gave => Err(format!("the waiter's get gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).with_waiter(wait))
}

/// One that is not the last is dropped while somebody sleeps in get: it goes on sleeping.
pub(in super::super) fn not_last_waited_for<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], true)?;
    let victim = counted.dropper();
    let (waiting, helping) = (counted.clone(), counted.clone());
    let wait = move || waiting.get().unwrap_or(WRONG);
    let help = move || must(helping.put(ITEM));
    let check = move |witness: &Witness| match (witness.waiter, witness.helped) {
        (Some(ITEM), true) => counted.open(&[]),
        gave => Err(format!("the waiter's get gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["open"], victim, check).with_waiter_helped(wait, help))
}

/// The last consumer is dropped while somebody sleeps in put: its item comes back.
pub(in super::super) fn last_consumer_waited_for<Q: Sided>(
    number: u64,
) -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[1, 2], false)?;
    let victim = counted.with(Q::consumer, drop);
    let waiting = counted.clone();
    let wait = move || match waiting.queue.put(number) {
        Err(PutError::Closed(item)) if item.number() == Some(number) => CLOSED,
        _ => WRONG,
    };
    let check = move |witness: &Witness| match witness.waiter {
        Some(CLOSED) => counted.closed(&[1, 2]),
        gave => Err(format!("the waiter's put gave {gave:?}")),
    };
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).with_waiter(wait))
}

/// The last one is dropped after one has died in making a handle, or in dropping it.
pub(in super::super) fn last_after_death<Q: Sided>(in_drop: bool) -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let victim = counted.dropper();
    let earlier = if in_drop { counted.dropper() } else { counted.joiner(Q::producer) };
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).after_death_of(earlier))
}
