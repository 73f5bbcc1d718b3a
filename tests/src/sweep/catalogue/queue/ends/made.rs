//! Handles that are made, and cloned.

use std::time::Duration;

use crossproc_queue::{Error, PutError, TryGetError};

use super::super::beside::CLOSED;
use super::super::{Item as _, VICTIM};
use super::{Counted, OTHER, Sided};
use crate::sweep::catalogue::text;
use crate::sweep::scenario::{Finding, Scenario, Witness, keep, telling};

/// The first counted handle of a side is made.
pub(in super::super) fn first<Q: Sided, H: 'static>(
    make: fn(&Q) -> Result<H, Error>,
) -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let victim = counted.joiner(make);
    // Never counted, it stays open; counted, its only one is dead.
    let check = move |_: &Witness| Ok(if counted.check(&[])? { "closed" } else { "open" });
    Ok(Scenario::in_memory(memory, &["open", "closed"], victim, check))
}

/// A second one is made beside one that lives.
pub(in super::super) fn second<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], true)?;
    let victim = counted.joiner(Q::producer);
    let check = move |_: &Witness| counted.open(&[]);
    Ok(Scenario::in_memory(memory, &["open"], victim, check))
}

/// One more is made by one who has one, and is the last.
pub(in super::super) fn cloned<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let victim = counted.with(Q::producer, |producer| keep((producer.clone(), producer)));
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check))
}

/// A handle is made after the last one has died in dropping its own.
pub(in super::super) fn first_after_death<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(2, &[], false)?;
    let victim = counted.joiner(Q::producer);
    let earlier = counted.dropper();
    let check = move |_: &Witness| counted.closed(&[]);
    Ok(Scenario::in_memory(memory, &["closed"], victim, check).after_death_of(earlier))
}

/// One makes a handle, puts, and keeps it; beside it another does so and leaves at once.
pub(in super::super) fn join_beside_leave<Q: Sided>() -> Result<Scenario, String> {
    let (counted, memory) = Counted::<Q>::new(4, &[], false)?;
    let (acting, other) = (counted.clone(), counted.clone());
    let victim = telling(move || {
        let counted = acting.clone();
        let _ = counted.segment.me();
        move || counted.joins_and_puts(VICTIM)
    });
    // Killed, its item is in or not, and there was no other.
    let checked = counted.clone();
    let check = move |_: &Witness| -> Finding {
        match checked.queue.get_timeout(Duration::ZERO) {
            Err(TryGetError::Empty) if !checked.check(&[])? => Ok("not counted"),
            Err(TryGetError::Closed) => Ok("counted"),
            Ok(item) if item.number() == Some(VICTIM) => {
                checked.closed(&[])?;
                Ok("put")
            }
            got => Err(format!("get gave {got:?}")),
        }
    };
    let act = move |_| {
        let producer = other.queue.producer().map_err(text)?;
        match Q::put_by(&producer, OTHER) {
            Ok(()) => Ok(OTHER),
            Err(PutError::Closed(_)) => Ok(CLOSED),
            Err(error) => Err(error.to_string()),
        }
    };
    let judge = move |witness: &Witness| -> Finding {
        match (witness.meanwhile, witness.victim) {
            // It came and went, and was the last at that time.
            (Some(OTHER), Some(CLOSED)) => counted.has_put(&[OTHER]).map(|()| "told"),
            (Some(OTHER), Some(VICTIM)) => {
                let first = counted.get()?;
                let rest = if first == OTHER { VICTIM } else { OTHER };
                counted.has_put(&[rest]).map(|()| "counted")
            }
            gave => Err(format!("the other's put and the victim's gave {gave:?}")),
        }
    };
    let outcomes = &["not counted", "counted", "put"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).meanwhile(
        "producer, put, drop",
        &["told", "counted"],
        act,
        judge,
    ))
}
