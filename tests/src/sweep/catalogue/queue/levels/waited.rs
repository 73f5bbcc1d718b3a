//! A third process sleeps at the queue as the victim dies.

use super::super::waited::must;
use super::super::{Item, VICTIM};
use super::{Busy, Found, HELP, HIGH, LOW, Levels};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// The victim puts into an empty queue, and somebody sleeps in get.
pub(super) fn in_get<T: Item>(level: usize) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(2, &[], &[])?;
    let victim = stage.putter(level, VICTIM);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = match (witness.waiter, witness.helped) {
            (Some(VICTIM), false) => "woken",
            (Some(HELP), true) => "helped",
            (got, helped) => return Err(format!("the waiter got {got:?}, helped: {helped}")),
        };
        match stage.drain(Busy::No)? {
            Found(high, low) if high.is_empty() && low.is_empty() => Ok(outcome),
            left => Err(format!("items {left:?} more than were put")),
        }
    };
    let wait = move || waiting.get().map_or(u64::MAX, |(_, number)| number);
    // At the other level: the dead claim, if there is one, is not in its way.
    let help = move || must(helping.put(1 - level, HELP));
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim gets from the full high level, and somebody sleeps in put there.
pub(super) fn in_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(2, &[11, 12], &[1])?;
    let victim = stage.getter();
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        if witness.waiter != Some(HELP) {
            return Err(format!("the waiter's put gave {:?}", witness.waiter));
        }
        let Found(high, low) = stage.drain(Busy::No)?;
        match high[..] {
            [12, HELP] if !witness.helped && low == [1] => Ok("woken"),
            // The helper got the first of the high level, or finds that one held and helps on.
            [12, HELP] if witness.helped && low == [1] => Ok("helped"),
            _ => Err(format!("the items are {high:?} and {low:?}")),
        }
    };
    let wait = move || waiting.put(HIGH, HELP).map_or(u64::MAX, |()| HELP);
    let help = move || {
        // What a dead reader holds is not there until somebody has looked after it.
        let mut from_below = Vec::new();
        while let Ok((LOW, number)) = helping.get() {
            from_below.push(number);
        }
        must(from_below.into_iter().try_for_each(|number| helping.put(LOW, number)));
    };
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}
