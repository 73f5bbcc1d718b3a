//! A third process sleeps at the queue as the victim dies.

use super::{Item, Stage, VICTIM, beside};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// The number of the item that the helper puts.
const HELP: u64 = 50;
/// The number of the item that the waiter puts.
const WAITER: u64 = 60;

/// The victim puts into an empty queue, and somebody sleeps in get.
pub(super) fn in_get<T: Item>(capacity: usize) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, 1, &[])?;
    let victim = stage.putter(VICTIM);
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = match (witness.waiter, witness.helped) {
            (Some(VICTIM), false) => "woken",
            (Some(HELP), true) => "helped",
            (Some(VICTIM), true) => {
                return Err("the waiter slept on with an item there".to_owned());
            }
            (got, _) => return Err(format!("the waiter got {got:?}")),
        };
        match checked.drain()? {
            left if left.is_empty() => Ok(outcome),
            left => Err(format!("items {left:?} more than were put")),
        }
    };
    let wait = move || waiting.get().unwrap_or(u64::MAX);
    let help = move || must(helping.put(HELP));
    let scenario = Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help);
    Ok(beside::stealing(scenario, &stage, HELP))
}

/// The victim gets from a full queue, and somebody sleeps in put.
pub(super) fn in_put<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(items.len(), 1, items)?;
    let victim = stage.getter();
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        if witness.waiter != Some(WAITER) {
            return Err(format!("the waiter's put gave {:?}", witness.waiter));
        }
        let mut left = checked.items[1..].to_vec();
        left.push(WAITER);
        match checked.drain()? {
            // Either the victim made room or the helper did.
            found if found == left => Ok(if witness.helped { "helped" } else { "woken" }),
            found if witness.helped && found[..] == left[1..] => {
                Err("the waiter slept on with room there".to_owned())
            }
            found => Err(format!("the items are {found:?}")),
        }
    };
    let wait = move || waiting.put(WAITER).map_or(u64::MAX, |()| WAITER);
    let help = move || must(helping.get());
    let scenario = Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help);
    Ok(beside::crowding(scenario, &stage))
}

/// Has a helper that fails end its process, which the harness then tells.
pub(super) fn must<R>(result: Result<R, String>) {
    if let Err(why) = result {
        panic!("{why}");
    }
}
