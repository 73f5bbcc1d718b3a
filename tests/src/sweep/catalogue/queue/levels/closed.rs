//! Closing: at all levels or at none, and nobody sleeps on.

use crossproc_queue::{GetError, PutError, TryPutError};

use super::super::beside::CLOSED;
use super::super::closed::{all_taken, taken};
use super::super::waited::must;
use super::super::{EARLIER, Item, LAST};
use super::{Busy, Found, HELP, HIGH, LOW, Levels, OTHER, with};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

impl<T: Item> Levels<T> {
    fn closer(&self) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || stage.queue.close()
        })
    }

    /// Whether it is closed, to all alike; if so, whoever takes gets the items and is then told.
    pub(super) fn check_closed(&self, high: &[u64], low: &[u64]) -> Result<bool, String> {
        let closed = self.queue.is_closed();
        let found = if closed { self.take_closed()? } else { self.drain(Busy::No)? };
        match found == Found(high.to_vec(), low.to_vec()) {
            true => Ok(closed),
            false => Err(format!("the items are {found:?}")),
        }
    }

    /// What a closed queue has, which is closed to all alike.
    fn take_closed(&self) -> Result<Found, String> {
        for level in [HIGH, LOW] {
            if !matches!(self.queue.try_put(level, T::new(LAST)), Err(TryPutError::Closed(_))) {
                return Err(format!("closed, and try_put at level {level} is not told so"));
            }
        }
        let mut found = Found::default();
        loop {
            match self.queue.get() {
                Ok((HIGH, _)) if !found.1.is_empty() => return Err("high behind low".to_owned()),
                Ok((level, item)) => found.at(level).push(item.number().ok_or("a torn item")?),
                Err(GetError::Closed) => return Ok(found),
                Err(error) => return Err(format!("get from a closed queue: {error}")),
            }
        }
    }
}

/// The victim closes a queue that has items; beside it another one puts at both levels, or gets.
pub(super) fn with_items<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, &[11], &[1])?;
    let victim = stage.closer();
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        Ok(if checked.check_closed(&checked.high, &checked.low)? { "closed" } else { "open" })
    };
    let (putting, put) = (stage.clone(), stage.clone());
    let act = move |patience| {
        let told = [HIGH, LOW, HIGH].map(|level| putting.put_within(level, OTHER, patience));
        match told {
            [Ok(OTHER), Ok(OTHER), Ok(OTHER)] => Ok(OTHER),
            [Ok(CLOSED), Ok(CLOSED), Ok(CLOSED)] => Ok(CLOSED),
            told => Err(format!("the puts at both levels gave {told:?}")),
        }
    };
    let check_put = move |witness: &Witness| -> Finding {
        let (outcome, high, low): (_, &[u64], &[u64]) = match witness.meanwhile {
            Some(OTHER) => ("accepted", &[OTHER, OTHER], &[OTHER]),
            Some(CLOSED) => ("told", &[], &[]),
            gave => return Err(format!("the other's puts gave {gave:?}")),
        };
        match put.check_closed(&with(&put.high, high), &with(&put.low, low))? {
            true => Ok(outcome),
            false => Err("still open".to_owned()),
        }
    };
    let getting = stage.clone();
    let check_got = move |witness: &Witness| -> Finding {
        match (stage.check_closed(&[], &stage.low)?, witness.meanwhile) {
            (true, Some(11)) => Ok("got the first"),
            (closed, gave) => Err(format!("closed: {closed}, and the other got {gave:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["open", "closed"], victim, check)
        .meanwhile("put_timeout, three times", &["accepted", "told"], act, check_put)
        .meanwhile(
            "get_timeout",
            &["got the first"],
            move |patience| getting.get_within(patience),
            check_got,
        ))
}

/// The victim closes an empty queue while somebody sleeps in get.
pub(super) fn in_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(2, &[], &[])?;
    let victim = stage.closer();
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = judge(witness)?;
        stage.check_closed(&[], &[])?;
        Ok(outcome)
    };
    let wait = move || match waiting.queue.get() {
        Ok((_, item)) => item.number().unwrap_or(u64::MAX),
        Err(GetError::Closed) => CLOSED,
        Err(_) => u64::MAX,
    };
    let help = move || {
        if helping.put(HIGH, HELP).is_err() {
            // The waiter should have been told: this ends its sleep, and the check will say so.
            helping.queue.close();
        }
    };
    Ok(Scenario::in_memory(memory, &["helped", "told"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim closes a full queue while somebody sleeps in put at a level.
pub(super) fn in_put<T: Item>(level: usize) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(1, &[11], &[1])?;
    let victim = stage.closer();
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = judge(witness)?;
        let (mut high, mut low) = (stage.high.to_vec(), stage.low.to_vec());
        if witness.helped {
            let of = if level == HIGH { &mut high } else { &mut low };
            *of = vec![HELP];
        }
        stage.check_closed(&high, &low)?;
        Ok(outcome)
    };
    let wait = move || match waiting.queue.put(level, T::new(HELP)) {
        Ok(()) => HELP,
        Err(PutError::Closed(_)) => CLOSED,
        Err(_) => u64::MAX,
    };
    let help = move || {
        // Makes room at that level alone.
        must(helping.get());
        if level == LOW {
            must(helping.get());
            must(helping.put(HIGH, 11));
        }
    };
    Ok(Scenario::in_memory(memory, &["helped", "told"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim closes after whatever an earlier one has left of its put.
pub(super) fn after_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, &[11], &[1])?;
    let (earlier, victim) = (stage.putter(HIGH, EARLIER), stage.closer());
    let check = move |_: &Witness| -> Finding {
        let closed = stage.queue.is_closed();
        let found = if closed { stage.take_closed()? } else { stage.drain(Busy::No)? };
        match found.0[..] {
            [11] | [11, EARLIER] if found.1 == [1] => Ok(if closed { "closed" } else { "open" }),
            _ => Err(format!("the items are {found:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["open", "closed"], victim, check);
    Ok(scenario.after_death_of(earlier))
}

fn judge(witness: &Witness) -> Finding {
    match (witness.waiter, witness.helped) {
        (Some(CLOSED), false) => Ok("told"),
        (Some(HELP), true) => Ok("helped"),
        (Some(CLOSED), true) => Err("the waiter slept on at a closed queue".to_owned()),
        (got, _) => Err(format!("the waiter's call gave {got:?}")),
    }
}

/// One closes and takes all; beside it another does the same.
pub(super) fn close_now() -> Result<Scenario, String> {
    let (high, low): (&[u64], &[u64]) = (&[1], &[2, 3]);
    let (stage, memory) = Levels::<u64>::new(3, high, low)?;
    let close = |stage: &Levels<u64>| {
        taken(stage.queue.close_now().into_iter().map(|got| got.map(|(_, item)| item)))
    };
    let acting = stage.clone();
    let victim = telling(move || {
        let stage = acting.clone();
        let _ = stage.segment.me();
        move || close(&stage)
    });
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        if !checked.queue.is_closed() {
            return checked.check_closed(high, low).map(|_| "open");
        }
        let (outcome, high, low) = match checked.queue.len() {
            0 => ("all taken", &high[1..], &low[2..]),
            1 => ("two taken", &high[1..], &low[1..]),
            2 => ("one taken", &high[1..], low),
            _ => ("closed", high, low),
        };
        checked.check_closed(high, low).map(|_| outcome)
    };
    let (closing, closed) = (stage.clone(), stage);
    let each_once = move |witness: &Witness| all_taken(witness, closed.check_closed(&[], &[])?);
    let outcomes = &["open", "closed", "one taken", "two taken", "all taken"];
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    Ok(scenario.meanwhile("close_now", &["each once"], move |_| Ok(close(&closing)), each_once))
}
