//! Closing: whoever was accepted before is delivered, nobody sleeps on.

use crossproc_queue::{GetError, PutError, TryPutError};

use super::waited::must;
use super::{Item, LAST, Stage, beside};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

/// What the waiter's call gives when it is told that the queue is closed.
const CLOSED: u64 = 800;
/// The number of the item that helper or waiter put.
const ITEM: u64 = 50;

impl<T: Item> Stage<T> {
    fn closer(&self) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || stage.queue.close()
        })
    }

    /// Whether it is closed, to all alike; if so, whoever takes gets `items` and is then told.
    pub(super) fn check_closed(&self, items: &[u64]) -> Result<bool, String> {
        if !self.queue.is_closed() {
            return match self.drain()? {
                found if found == items => Ok(false),
                found => Err(format!("the items are {found:?}")),
            };
        }
        if !matches!(self.queue.try_put(T::new(LAST)), Err(TryPutError::Closed(_))) {
            return Err("closed, and try_put is not told so".to_owned());
        }
        for &number in items {
            match self.get()? {
                got if got == number => {}
                got => return Err(format!("{got} instead of item {number}")),
            }
        }
        match self.queue.get() {
            Err(GetError::Closed) => Ok(true),
            Err(error) => Err(format!("get from a closed queue: {error}")),
            Ok(_) => Err("an item more than were put".to_owned()),
        }
    }
}

/// The victim closes a queue that has items.
pub(super) fn with_items<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(items.len() + 1, 1, items)?;
    let victim = stage.closer();
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        Ok(if checked.check_closed(&checked.items)? { "closed" } else { "open" })
    };
    let scenario = Scenario::in_memory(memory, &["open", "closed"], victim, check);
    Ok(beside::closing(scenario, &stage))
}

/// The victim closes an empty queue while somebody sleeps in get.
pub(super) fn in_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &[])?;
    let victim = stage.closer();
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = judge(witness)?;
        stage.check_closed(&[])?;
        Ok(outcome)
    };
    let wait = move || match waiting.queue.get() {
        Ok(item) => item.number().unwrap_or(u64::MAX),
        Err(GetError::Closed) => CLOSED,
        Err(_) => u64::MAX,
    };
    let help = move || {
        if helping.put(ITEM).is_err() {
            // The waiter should have been told: this ends its sleep, and the check will say so.
            helping.queue.close();
        }
    };
    Ok(Scenario::in_memory(memory, &["helped", "told"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim closes a full queue while somebody sleeps in put.
pub(super) fn in_put<T: Item>(items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(items.len(), 1, items)?;
    let victim = stage.closer();
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = judge(witness)?;
        let mut left = stage.items.to_vec();
        if witness.helped {
            left.remove(0);
            left.push(ITEM);
        }
        stage.check_closed(&left)?;
        Ok(outcome)
    };
    let wait = move || match waiting.queue.put(T::new(ITEM)) {
        Ok(()) => ITEM,
        Err(PutError::Closed(_)) => CLOSED,
        Err(_) => u64::MAX,
    };
    let help = move || must(helping.get());
    Ok(Scenario::in_memory(memory, &["helped", "told"], victim, check)
        .with_waiter_helped(wait, help))
}

fn judge(witness: &Witness) -> Finding {
    match (witness.waiter, witness.helped) {
        (Some(CLOSED), false) => Ok("told"),
        (Some(ITEM), true) => Ok("helped"),
        (Some(CLOSED), true) => Err("the waiter slept on at a closed queue".to_owned()),
        (got, _) => Err(format!("the waiter's call gave {got:?}")),
    }
}

/// One closes and takes all; beside it another does the same, or takes one.
pub(super) fn close_now() -> Result<Scenario, String> {
    let items = &[1, 2, 3];
    let (stage, memory) = Stage::<u64>::new(3, 1, items)?;
    let acting = stage.clone();
    let victim = telling(move || {
        let stage = acting.clone();
        let _ = stage.segment.me();
        move || taken(stage.queue.close_now())
    });
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        if !checked.queue.is_closed() {
            return checked.check_closed(items).map(|_| "open");
        }
        let left = checked.queue.len();
        let named = ["all taken", "two taken", "one taken", "closed"];
        checked.check_closed(items.get(3 - left.min(3)..).unwrap_or_default())?;
        Ok(named[left.min(3)])
    };
    let (closing, closed) = (stage.clone(), stage.clone());
    let each_once = move |witness: &Witness| all_taken(witness, closed.check_closed(&[])?);
    let outcomes = &["open", "closed", "one taken", "two taken", "all taken"];
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    let act = move |_| Ok(taken(closing.queue.close_now()));
    Ok(scenario.meanwhile("close_now", &["each once"], act, each_once))
}

/// Whether both have taken the items 1 to 3, each once, and the queue is closed.
pub(super) fn all_taken(witness: &Witness, closed: bool) -> Finding {
    let all = witness.meanwhile.unwrap_or(0) + witness.victim.unwrap_or(0);
    if all == 0b1110 && closed {
        return Ok("each once");
    }
    Err(format!("{:?} and {:?} were taken", witness.meanwhile, witness.victim))
}

/// One bit for each item, added: whoever takes one twice adds it twice.
pub(super) fn taken(items: impl IntoIterator<Item = Result<u64, GetError>>) -> u64 {
    let bit = |item: Result<u64, GetError>| item.ok()?.number().map(|number| 1 << number);
    items.into_iter().map(|item| bit(item).unwrap_or(u64::MAX >> 1)).sum()
}
