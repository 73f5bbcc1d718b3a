//! Putting into a full queue, for which the oldest item is taken out.

use super::beside::REFUSED;
use super::{EARLIER, Item, Stage, VICTIM};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, keep, telling};

/// What was there before the victims come.
const ITEMS: [u64; 2] = [1, 2];

/// A victim that puts, and tells which item it took out.
fn putter<T: Item>(stage: &Stage<T>, number: u64) -> Part {
    let stage = stage.clone();
    telling(move || {
        let stage = stage.clone();
        let _ = stage.segment.me();
        let mut item = Some(T::new(number));
        move || match item.take().map(|item| stage.queue.put_over(item)) {
            Some(Ok(out)) => {
                let told = out.iter().map(|item| item.number().unwrap_or(u64::MAX >> 1)).sum();
                keep(out);
                told
            }
            _ => REFUSED,
        }
    })
}

/// The victim puts into the full queue; beside it another one gets.
pub(super) fn full<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &ITEMS)?;
    let victim = putter(&stage, VICTIM);
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        match checked.drain()?[..] {
            [1, 2] => Ok("unchanged"),
            [2] => Ok("one out"),
            [2, VICTIM] => Ok("put"),
            ref found => Err(format!("the items are {found:?}")),
        }
    };
    let other = stage.clone();
    let each_once = move |witness: &Witness| -> Finding {
        let told = [witness.victim, witness.meanwhile].into_iter().flatten();
        let mut all: Vec<u64> = told.filter(|&number| number != REFUSED).collect();
        all.sort_unstable();
        all.extend(stage.drain()?);
        if all == [1, 2, VICTIM] { Ok("each once") } else { Err(format!("the items are {all:?}")) }
    };
    let outcomes = &["unchanged", "one out", "put"];
    let act = move |patience| other.get_within(patience);
    Ok(Scenario::in_memory(memory, outcomes, victim, check).meanwhile(
        "get_timeout",
        &["each once"],
        act,
        each_once,
    ))
}

/// The victim puts where there is room, and so takes nothing out.
pub(super) fn room<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &ITEMS[..1])?;
    let victim = putter(&stage, VICTIM);
    let check = move |_: &Witness| -> Finding {
        match stage.drain()?[..] {
            [1] => Ok("unchanged"),
            [1, VICTIM] => Ok("put"),
            ref found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["unchanged", "put"], victim, check))
}

/// As [`full`] after one has died of it.
pub(super) fn full_after_death<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &ITEMS)?;
    let (earlier, victim) = (putter(&stage, EARLIER), putter(&stage, VICTIM));
    let check = move |_: &Witness| -> Finding {
        match stage.drain()?[..] {
            // Each of the two has taken out one at most, and not before there was need: the place
            // that the first one claimed and died with is one.
            [1, 2] | [2] | [2, EARLIER] | [EARLIER] | [] => Ok("not put"),
            [2, VICTIM] | [EARLIER, VICTIM] | [VICTIM] => Ok("put"),
            ref found => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["not put", "put"], victim, check);
    Ok(scenario.after_death_of(earlier))
}
