//! One puts or gets, and dies in it; beside another, or after one who died.

use std::time::Duration;

use super::super::beside::REFUSED;
use super::super::{EARLIER, Item, VICTIM, tell_item};
use super::{Busy, Found, HIGH, LOW, Levels, OTHER, with};
use crate::sweep::scenario::{Finding, Scenario, Witness, telling};

/// The victim puts an item at a level; beside it another one gets, or puts at the other level.
pub(super) fn put<T: Item>(
    level: usize,
    high: &[u64],
    low: &[u64],
    busy: Busy,
) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, high, low)?;
    let victim = stage.putter(level, VICTIM);
    let due = move |stage: &Levels<T>, put: &[(usize, u64)]| -> Found {
        let at = |level| put.iter().filter(|of| of.0 == level).map(|of| of.1).collect::<Vec<_>>();
        Found(with(&stage.high, &at(HIGH)), with(&stage.low, &at(LOW)))
    };
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        match checked.drain(busy)? {
            found if found == due(&checked, &[]) => Ok("absent"),
            found if found == due(&checked, &[(level, VICTIM)]) => Ok("put"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let (putting, put) = (stage.clone(), stage.clone());
    let check_put = move |witness: &Witness| -> Finding {
        let all = [(level, VICTIM), (1 - level, OTHER)];
        match (put.drain(busy)?, witness.meanwhile) {
            (found, Some(OTHER)) if found == due(&put, &all) => Ok("in nobody's way"),
            (found, gave) => Err(format!("the other's put gave {gave:?}, the items are {found:?}")),
        }
    };
    let (getting, got) = (stage.clone(), stage.clone());
    let first = with(high, low)[0];
    // Where the victim's item is the highest, it comes first as soon as it is there.
    let is_first = level == HIGH && high.is_empty();
    let check_got = move |witness: &Witness| -> Finding {
        let Found(mut found_high, mut found_low) = got.drain(busy)?;
        let (outcome, number) = match witness.meanwhile {
            Some(number) if number == first => ("the first", first),
            Some(VICTIM) if is_first => ("the victim's", VICTIM),
            gave => return Err(format!("the other got {gave:?}")),
        };
        let of = if number < 11 { &mut found_low } else { &mut found_high };
        of.insert(0, number);
        match Found(found_high, found_low) {
            found if found == due(&got, &[(level, VICTIM)]) => Ok(outcome),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let outcomes: &[&str] = if is_first { &["the first", "the victim's"] } else { &["the first"] };
    Ok(Scenario::in_memory(memory, &["absent", "put"], victim, check)
        .meanwhile(
            "put_timeout",
            &["in nobody's way"],
            move |patience| putting.put_within(1 - level, OTHER, patience),
            check_put,
        )
        .meanwhile("get_timeout", outcomes, move |time| getting.get_within(time), check_got))
}

/// The victim takes the first item of the highest level; beside it another one gets.
pub(super) fn get<T: Item>(high: &[u64], low: &[u64], busy: Busy) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, high, low)?;
    let victim = stage.getter();
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        let Found(found_high, found_low) = checked.drain(busy)?;
        let all = with(&checked.high, &checked.low);
        match with(&found_high, &found_low) {
            found if found == all => Ok("there"),
            found if found == all[1..] => Ok("taken"),
            _ => Err(format!("the items are {found_high:?} and {found_low:?}")),
        }
    };
    let (getting, got) = (stage.clone(), stage.clone());
    let check_got = move |witness: &Witness| -> Finding {
        let (Some(mine), Some(others)) = (witness.victim, witness.meanwhile) else {
            return Err(format!("what was got: {witness:?}"));
        };
        let Found(found_high, found_low) = got.drain(busy)?;
        let mut all = with(&with(&[mine, others], &found_high), &found_low);
        all.sort_unstable();
        let mut due = with(&got.low, &got.high);
        due.retain(|&number| number != REFUSED);
        let in_order = found_high.is_sorted() && found_low.is_sorted();
        all.retain(|&number| number != REFUSED);
        if all != due || !in_order {
            return Err(format!(
                "{mine} and {others} were got, {found_high:?} and {found_low:?} left"
            ));
        }
        let first = with(&got.high, &got.low)[0];
        // Held, the first of the high level is not there, and the low one is not kept back by it.
        match others {
            REFUSED => Ok("refused"),
            others if others == first => Ok("before"),
            others if others < 11 && first >= 11 => Ok("from below"),
            _ => Ok("behind"),
        }
    };
    let outcomes: &[&str] = match (T::HELD, high.is_empty()) {
        (true, false) => &["before", "from below", "behind"],
        (true, true) => &["before", "refused", "behind"],
        (false, _) => &["before", "behind"],
    };
    Ok(Scenario::in_memory(memory, &["there", "taken"], victim, check).meanwhile(
        "get_timeout",
        outcomes,
        move |patience| getting.get_within(patience),
        check_got,
    ))
}

/// The victim sleeps at an empty queue until its time is over; beside it another one puts.
pub(super) fn in_vain<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(2, &[], &[])?;
    let asking = stage.clone();
    let victim = telling(move || {
        let stage = asking.clone();
        let _ = stage.segment.me();
        move || {
            let got = stage.queue.get_timeout(Duration::from_millis(3));
            tell_item(got.map(|(_, item)| item))
        }
    });
    let checked = stage.clone();
    let check = move |_: &Witness| -> Finding {
        match checked.drain(Busy::No)? {
            Found(high, low) if high.is_empty() && low.is_empty() => Ok("unchanged"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    let putting = stage.clone();
    let check_put = move |witness: &Witness| -> Finding {
        let Found(mut high, low) = stage.drain(Busy::No)?;
        high.extend(witness.victim.filter(|&got| got != REFUSED));
        match (high, low) {
            (high, low) if high == [OTHER] && low.is_empty() => Ok("accounted for"),
            found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["unchanged"], victim, check).meanwhile(
        "put_timeout",
        &["accounted for"],
        move |patience| putting.put_within(HIGH, OTHER, patience),
        check_put,
    ))
}

/// The victim puts behind whatever an earlier one has left of its put at the same level.
pub(super) fn put_after_put<T: Item>(busy: Busy) -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(4, &[11], &[1])?;
    let (earlier, victim) = (stage.putter(HIGH, EARLIER), stage.putter(HIGH, VICTIM));
    let check = move |_: &Witness| -> Finding {
        let Found(high, low) = stage.drain(busy)?;
        match high[..] {
            _ if low != [1] => Err(format!("the low items are {low:?}")),
            [11] | [11, EARLIER] => Ok("absent"),
            [11, VICTIM] | [11, EARLIER, VICTIM] => Ok("put"),
            _ => Err(format!("the high items are {high:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["absent", "put"], victim, check);
    Ok(scenario.after_death_of(earlier))
}

/// The victim gets after whatever an earlier one has left of its get.
pub(super) fn get_after_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Levels::<T>::new(3, &[11, 12], &[1, 2])?;
    let (earlier, victim) = (stage.getter(), stage.getter());
    let check = move |_: &Witness| -> Finding {
        let found = stage.drain(Busy::Yes)?;
        match (&found.0[..], &found.1[..]) {
            ([11, 12], [1, 2]) => Ok("none gone"),
            // Where the first was held by the dead, the victim has got the next from below.
            ([12], [1, 2]) | ([11, 12], [2]) => Ok("one gone"),
            ([], [1, 2]) | ([12], [2]) => Ok("two gone"),
            _ => Err(format!("the items are {found:?}")),
        }
    };
    let outcomes = &["none gone", "one gone", "two gone"];
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    Ok(scenario.after_death_of(earlier).one_more())
}
