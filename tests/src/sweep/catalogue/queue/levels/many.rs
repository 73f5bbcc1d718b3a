//! Runs of items at a level, and from several: whoever dies in one has put, or taken, as much as in a queue
//! without levels. And a look at the first item, which changes nothing.

use crossproc_queue::PriorityQueue;

use super::super::beside::REFUSED;
use super::super::many::{
    DONE, EARLIER_RUN, RUN, in_base_1000, may_end_at, of_base_1000, outcomes,
};
use super::super::waited::must;
use super::super::{Item, VICTIM, tell_item};
use super::{Busy, Found, HELP, HIGH, LOW, Levels, OTHER, with};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, telling};

/// What appends items to those that it got.
pub(super) type Take<T> = fn(&PriorityQueue<T>, &mut Vec<(usize, T)>);

/// Takes up to three.
pub(super) fn get_many<T: Item>(queue: &PriorityQueue<T>, got: &mut Vec<(usize, T)>) {
    let _ = queue.get_many(got, 3);
}

/// Takes three that are ready.
pub(super) fn drain<T: Item>(queue: &PriorityQueue<T>, got: &mut Vec<(usize, T)>) {
    got.extend(queue.drain().take(3).flatten());
}

impl<T: Item> Levels<T> {
    /// Puts as much of a run as there is room for, or all of it.
    fn runner(&self, level: usize, run: [u64; 3], waits: bool) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let items = run.map(T::new);
            move || match waits {
                true => stage.queue.put_many(level, &items).map_or(REFUSED, |()| 3),
                false => stage.queue.try_put_many(level, &items).map_or(REFUSED, |put| put as u64),
            }
        })
    }

    /// Tells what it got, in base 1000.
    fn taker(&self, take: Take<T>) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let mut got = Vec::with_capacity(64);
            move || {
                take(&stage.queue, &mut got);
                in_base_1000(got.iter().map(|(_, item)| item.number().unwrap_or(999)))
            }
        })
    }

    /// How many of `run` are at the high level behind `old`, with the low items all there.
    fn check_run(&self, found: &Found, old: &[u64], run: &[u64]) -> Option<usize> {
        let new = found.0.strip_prefix(old)?;
        let whole = may_end_at::<T>(new.len(), run.len());
        (whole && run.starts_with(new) && found.1 == self.low[..]).then_some(new.len())
    }
}

/// The victim puts a run at the high level; beside it another one puts at the low one, or gets.
pub(super) fn put<T: Item>(capacity: usize, high: &[u64], busy: Busy) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(capacity, high, &[1])?;
    let room = (capacity - high.len()).min(RUN.len());
    let victim = stage.runner(HIGH, RUN, room == RUN.len());
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        let found = checked.drain(busy)?;
        let done = checked.check_run(&found, &checked.high, &RUN[..room]);
        done.map(|done| DONE[done]).ok_or_else(|| format!("the items are {found:?}"))
    };
    let scenario = Scenario::in_memory(memory, outcomes::<T>(room), victim, check);
    let (putting, put) = (stage.clone(), stage.clone());
    let check_put = move |witness: &Witness| -> Finding {
        let mut found = put.drain(busy)?;
        let others = found.1.pop();
        match (put.check_run(&found, &put.high, &RUN[..room]), witness.meanwhile, others) {
            (Some(done), Some(OTHER), Some(OTHER)) if done == room => Ok("in nobody's way"),
            (_, gave, others) => Err(format!("{gave:?}, {others:?}, the items are {found:?}")),
        }
    };
    let (getting, got) = (stage.clone(), stage);
    let check_got = move |witness: &Witness| -> Finding {
        let mut found = got.drain(busy)?;
        let first = got.high.first().copied();
        let outcome = match witness.meanwhile {
            Some(number) if Some(number) == first => {
                found.0.insert(0, number);
                "the first"
            }
            Some(VICTIM) if first.is_none() => {
                found.0.insert(0, VICTIM);
                "the victim's"
            }
            Some(1) if first.is_none() => {
                found.1.insert(0, 1);
                "from below"
            }
            gave => return Err(format!("the other got {gave:?}")),
        };
        // The other may have made room for one more.
        let done = [room, RUN.len()].map(|all| got.check_run(&found, &got.high, &RUN[..all]));
        match done.into_iter().flatten().max() {
            Some(done) if done >= room => Ok(outcome),
            _ => Err(format!("the items are {found:?}")),
        }
    };
    let outcomes: &[&str] =
        if high.is_empty() { &["from below", "the victim's"] } else { &["the first"] };
    Ok(scenario
        .meanwhile(
            "put_timeout",
            &["in nobody's way"],
            move |patience| putting.put_within(LOW, OTHER, patience),
            check_put,
        )
        .meanwhile("get_timeout", outcomes, move |time| getting.get_within(time), check_got))
}

/// The victim takes three items, two of them from the high level; beside it another one gets. In `runs`
/// those two are one.
pub(super) fn get<T: Item>(take: Take<T>, runs: bool, busy: Busy) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, &[11, 12], &[1, 2])?;
    let all = with(&stage.high, &stage.low);
    let victim = stage.taker(take);
    let (checked, due) = (stage.clone(), all.clone());
    let check = move |_: &Witness| -> Finding {
        let Found(high, low) = checked.drain(busy)?;
        let left = with(&high, &low);
        match due.len().checked_sub(left.len()) {
            Some(taken) if left == due[taken..] && taken <= 3 && !(runs && taken == 1) => {
                Ok(DONE[taken])
            }
            _ => Err(format!("the items are {high:?} and {low:?}")),
        }
    };
    let done: &[&str] = if runs { &["none", "two", "all"] } else { &DONE };
    let scenario = Scenario::in_memory(memory, done, victim, check);
    if T::HELD {
        // What another holds is passed by, and so not everything is in order.
        return Ok(scenario);
    }
    let getting = stage.clone();
    let check_got = move |witness: &Witness| -> Finding {
        let (Some(told), Some(others)) = (witness.victim, witness.meanwhile) else {
            return Err(format!("what was got: {witness:?}"));
        };
        let of_victim = of_base_1000(told);
        let Found(high, low) = stage.drain(busy)?;
        // While the victim has the last one, and there is no other level.
        let refused = runs && others == REFUSED;
        let others: &[u64] = if refused { &[] } else { &[others] };
        let mut each = with(&with(&of_victim, others), &with(&high, &low));
        each.sort_by_key(|number| all.iter().position(|of| of == number));
        let at = all.iter().position(|number| others.contains(number));
        let order = of_victim.iter().map(|number| all.iter().position(|of| of == number));
        if each != all || of_victim.len() != 3 || !order.is_sorted() {
            return Err(format!(
                "{of_victim:?} and {others:?} were got, {high:?} and {low:?} left"
            ));
        }
        Ok(at.map_or("held", |at| ["before", "between", "between", "behind"][at]))
    };
    let outcomes: &[&str] = if runs {
        &["before", "between", "held", "behind"]
    } else {
        &["before", "between", "behind"]
    };
    Ok(scenario.meanwhile(
        "get_timeout",
        outcomes,
        move |patience| getting.get_within(patience),
        check_got,
    ))
}

/// The victim looks at the first item.
pub(super) fn peek<T: Item>(high: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, high, &[1, 2])?;
    let looking = stage.clone();
    let victim = telling(move || {
        let stage = looking.clone();
        let _ = stage.segment.me();
        move || tell_item(stage.queue.peek().map(|(_, item)| item))
    });
    let check = move |_: &Witness| -> Finding {
        match stage.drain(Busy::Yes)? {
            found if found == Found(stage.high.to_vec(), stage.low.to_vec()) => Ok("unchanged"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check))
}

/// The victim puts a run at a level of an empty queue, and somebody sleeps in get.
pub(super) fn waiter_in_get<T: Item>(level: usize) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(4, &[], &[])?;
    let victim = stage.runner(level, RUN, true);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let found = stage.drain(Busy::No)?;
        let left = with(&found.0, &found.1);
        match (witness.waiter, witness.helped) {
            (Some(HELP), true) if left.is_empty() => Ok("helped"),
            (Some(VICTIM), false) if RUN[1..] == left => Ok("woken"),
            got => Err(format!("the waiter got {got:?}, and {found:?} are left")),
        }
    };
    let wait = move || waiting.get().map_or(u64::MAX, |(_, number)| number);
    // At the other level: the dead claims, if there are any, are not in its way.
    let help = move || must(helping.put(1 - level, HELP));
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim takes all of the full high level, and somebody sleeps in put there.
pub(super) fn waiter_in_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(2, &[11, 12], &[1])?;
    let victim = stage.taker(|queue, got| {
        let _ = queue.get_many(got, 2);
    });
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let Found(high, low) = stage.drain(Busy::No)?;
        match (witness.waiter, witness.helped, &high[..]) {
            (Some(HELP), true, [12, HELP]) if low == [1] => Ok("helped"),
            (Some(HELP), false, [HELP]) if low == [1] => Ok("woken"),
            got => Err(format!("the waiter's put gave, and these are left: {got:?}, {low:?}")),
        }
    };
    let wait = move || waiting.put(HIGH, HELP).map_or(u64::MAX, |()| HELP);
    let help = move || must(helping.get());
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// A victim that puts a run comes upon all that an earlier one can leave at its level.
pub(super) fn put_after_put<T: Item>(busy: Busy) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(8, &[11], &[1])?;
    let earlier = stage.runner(HIGH, EARLIER_RUN, true);
    let victim = stage.runner(HIGH, RUN, true);
    let check = move |_: &Witness| -> Finding {
        let found = stage.drain(busy)?;
        let whole = (0..=3).rev().filter(|&of_earlier| may_end_at::<T>(of_earlier, 3));
        let done = whole.into_iter().find_map(|of_earlier| {
            stage.check_run(&found, &with(&stage.high, &EARLIER_RUN[..of_earlier]), &RUN)
        });
        done.map(|done| DONE[done]).ok_or_else(|| format!("the items are {found:?}"))
    };
    Ok(Scenario::in_memory(memory, outcomes::<T>(3), victim, check).after_death_of(earlier))
}
