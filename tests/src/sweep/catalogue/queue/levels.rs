//! Queues with levels: a death at one level keeps nothing of another back.
//!
//! The survivor keeps the low level busy while it waits for what is behind the dead at the high one:
//! a consumer that never sleeps has to look after them too. Or it sleeps, and finds them then.

use std::sync::Arc;
use std::time::Duration;

use crossproc_queue::{GetError, PriorityQueue, PutError, TryGetError, TryPutError};
use crossproc_segment::Segment;

use super::beside::{CLOSED, REFUSED};
use super::waited::must;
use super::{EARLIER, FILL, Item, LAST, Long, VICTIM, tell_item};
use crate::sweep::catalogue::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

const LOW: usize = 0;
const HIGH: usize = 1;

/// The number of the item that the other puts.
const OTHER: u64 = 200;
/// The number of the item that helper or waiter puts.
const HELP: u64 = 50;
/// What keeps the consumer busy.
const BUSY: u64 = 901;
/// Items that a busy consumer takes at most until it has looked after the dead.
const ROUNDS: u32 = 100_000;

type Bytes = [u64; 16];

pub(in super::super) const ENTRIES: &[Entry] = &[
    Entry::new("levels put u64", "high, empty", || put::<u64>(HIGH, &[], &[1, 2], Busy::Yes)),
    Entry::new("levels put u64", "high, one item", || put::<u64>(HIGH, &[11], &[1], Busy::No)),
    Entry::new("levels put u64", "low", || put::<u64>(LOW, &[11], &[1], Busy::No)),
    Entry::new("levels put 128 B", "high, empty", || put::<Bytes>(HIGH, &[], &[1, 2], Busy::Yes)),
    Entry::new("levels put String", "high, in a block", || {
        put::<Long>(HIGH, &[], &[1, 2], Busy::Yes)
    }),
    Entry::new("levels get u64", "from the high one", || get::<u64>(&[11, 12], &[1], Busy::Yes)),
    Entry::new("levels get u64", "from the low one", || get::<u64>(&[], &[1, 2], Busy::No)),
    Entry::new("levels get 128 B", "from the high one", || {
        get::<Bytes>(&[11, 12], &[1], Busy::Yes)
    }),
    Entry::new("levels get 128 B", "from the low one", || get::<Bytes>(&[], &[1, 2], Busy::No)),
    Entry::new("levels get String", "in a block", || get::<Long>(&[11, 12], &[1], Busy::Yes)),
    Entry::new("levels get_timeout u64", "empty, sleeps", in_vain::<u64>),
    Entry::new("levels put u64", "high, waiter asleep in get", || in_get::<u64>(HIGH)),
    Entry::new("levels put u64", "low, waiter asleep in get", || in_get::<u64>(LOW)),
    Entry::new("levels put u64", "high, waiter asleep in get for long", || {
        in_get::<u64>(HIGH).map(Scenario::grown_old)
    }),
    Entry::new("levels get u64", "waiter asleep in put", in_put::<u64>),
    Entry::new("levels get 128 B", "waiter asleep in put", in_put::<Bytes>),
    Entry::new("levels put u64", "earlier death in put", || put_after_put::<u64>(Busy::Yes)),
    Entry::new("levels put 128 B", "earlier death in put", || put_after_put::<Bytes>(Busy::No)),
    Entry::new("levels get u64", "earlier death in get", get_after_get::<u64>),
    Entry::new("levels get 128 B", "earlier death in get", get_after_get::<Bytes>),
    Entry::new("levels close", "items at both", close_with_items::<u64>),
    Entry::new("levels close", "waiter asleep in get", close_in_get::<u64>),
    Entry::new("levels close", "waiter asleep in put, low", || close_in_put::<u64>(LOW)),
    Entry::new("levels close", "waiter asleep in put, high", || close_in_put::<u64>(HIGH)),
    Entry::new("levels close", "earlier death in put", close_after_put::<u64>),
];

/// What the survivor does at the low level while it waits for the high one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Busy {
    Yes,
    No,
}

/// A queue with two levels, and what they hold before the victim comes.
struct Levels<T> {
    segment: Segment,
    queue: PriorityQueue<T>,
    high: Arc<[u64]>,
    low: Arc<[u64]>,
}

impl<T> Clone for Levels<T> {
    fn clone(&self) -> Self {
        let (segment, queue) = (self.segment.clone(), self.queue.clone());
        Self { segment, queue, high: Arc::clone(&self.high), low: Arc::clone(&self.low) }
    }
}

/// What is at the two levels, in order.
#[derive(Debug, Default, PartialEq)]
struct Found(Vec<u64>, Vec<u64>);

impl Found {
    fn at(&mut self, level: usize) -> &mut Vec<u64> {
        if level == HIGH { &mut self.0 } else { &mut self.1 }
    }
}

impl<T: Item> Levels<T> {
    fn new(capacity: usize, high: &[u64], low: &[u64]) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let queue = PriorityQueue::create(&segment, "queue", 2, capacity).map_err(text)?;
        let stage = Self { segment, queue, high: high.into(), low: low.into() };
        // One item through each, so that no word is at its first value.
        for level in [LOW, HIGH] {
            stage.put(level, FILL)?;
            stage.get()?;
        }
        high.iter().try_for_each(|&number| stage.put(HIGH, number))?;
        low.iter().try_for_each(|&number| stage.put(LOW, number))?;
        Ok((stage, memory))
    }

    fn put(&self, level: usize, number: u64) -> Result<(), String> {
        self.queue.put(level, T::new(number)).map_err(|_| format!("put of {number} was refused"))
    }

    fn get(&self) -> Result<(usize, u64), String> {
        let (level, item) = self.queue.get().map_err(|error| format!("get: {error}"))?;
        Ok((level, item.number().ok_or("a torn item")?))
    }

    fn try_get(&self) -> Result<Option<(usize, u64)>, String> {
        match self.queue.try_get() {
            Ok((level, item)) => Ok(Some((level, item.number().ok_or("a torn item")?))),
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(format!("try_get: {error}")),
        }
    }

    fn putter(&self, level: usize, number: u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let mut item = Some(T::new(number));
            move || match item.take().map(|item| stage.queue.put(level, item)) {
                Some(Ok(())) => number,
                Some(Err(PutError::Closed(item))) => {
                    std::mem::forget(item);
                    CLOSED
                }
                _ => REFUSED,
            }
        })
    }

    fn getter(&self) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || tell_item(stage.queue.get().map(|(_, item)| item))
        })
    }

    fn closer(&self) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || stage.queue.close()
        })
    }

    fn put_within(&self, level: usize, number: u64, patience: Duration) -> Result<u64, String> {
        match self.queue.put_timeout(level, T::new(number), patience) {
            Ok(()) => Ok(number),
            Err(TryPutError::Full(_)) => Ok(REFUSED),
            Err(TryPutError::Closed(_)) => Ok(CLOSED),
            Err(_) => Err("put is refused, and not for being full".to_owned()),
        }
    }

    fn get_within(&self, patience: Duration) -> Result<u64, String> {
        match self.queue.get_timeout(patience) {
            Ok((_, item)) => item.number().ok_or_else(|| "a torn item".to_owned()),
            Err(TryGetError::Empty) => Ok(REFUSED),
            Err(TryGetError::Closed) => Ok(CLOSED),
            Err(error) => Err(format!("get: {error}")),
        }
    }

    /// Which items are at each level, in their order; the queue is then found to work as a new one.
    fn drain(&self, busy: Busy) -> Result<Found, String> {
        let mut found = Found::default();
        for level in [HIGH, LOW] {
            self.put_last(level, &mut found, busy)?;
            while found.at(level).last() != Some(&LAST) {
                self.take_one(&mut found, busy)?;
            }
            found.at(level).pop();
        }
        found.1.retain(|&number| number != BUSY);
        self.fill()?;
        Ok(found)
    }

    /// Puts an item behind all of that level, taking others out while that needs room.
    fn put_last(&self, level: usize, found: &mut Found, busy: Busy) -> Result<(), String> {
        loop {
            match self.queue.try_put(level, T::new(LAST)) {
                Ok(()) => return Ok(()),
                Err(TryPutError::Full(_)) if self.queue.level_len(level) > 0 => {}
                Err(TryPutError::Full(_)) => return Err("full and empty".to_owned()),
                Err(_) => return Err("try_put is refused, and not for being full".to_owned()),
            }
            self.take_one(found, busy)?;
        }
    }

    /// Takes one item and notes it. One who is busy has an item of the low level at any time.
    fn take_one(&self, found: &mut Found, busy: Busy) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if busy == Busy::Yes && self.queue.level_len(LOW) == 0 {
                self.put(LOW, BUSY)?;
            }
            let (level, number) = self.get()?;
            if number != BUSY {
                found.at(level).push(number);
                return Ok(());
            }
        }
        Err("the busy never look after the dead".to_owned())
    }

    /// Exactly `capacity` items fit at each level, and come back in their order.
    fn fill(&self) -> Result<(), String> {
        let capacity = self.queue.capacity() as u64;
        for round in 0..2 {
            let first = FILL + round * capacity;
            for (level, number) in each(first, capacity) {
                self.queue
                    .try_put(level, T::new(number))
                    .map_err(|_| format!("no room for {number} at level {level}"))?;
            }
            for level in [LOW, HIGH] {
                if !matches!(self.queue.try_put(level, T::new(LAST)), Err(TryPutError::Full(_))) {
                    return Err(format!("more than {capacity} items fit at level {level}"));
                }
                if self.queue.level_len(level) as u64 != capacity {
                    return Err(format!("full, and a length of {}", self.queue.level_len(level)));
                }
            }
            for due in each(first, capacity) {
                match self.try_get()? {
                    Some(got) if got == due => {}
                    got => return Err(format!("{got:?} instead of {due:?}")),
                }
            }
        }
        match self.try_get()? {
            None if self.queue.is_empty() => Ok(()),
            got => Err(format!("{got:?} from an empty queue")),
        }
    }

    /// Whether it is closed, to all alike; if so, whoever takes gets the items and is then told.
    fn check_closed(&self, high: &[u64], low: &[u64]) -> Result<bool, String> {
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

/// `capacity` numbers at each level, in the order in which they come.
fn each(first: u64, capacity: u64) -> impl Iterator<Item = (usize, u64)> {
    [HIGH, LOW].into_iter().flat_map(move |level| {
        let first = first + level as u64 * 1000;
        (first..first + capacity).map(move |number| (level, number))
    })
}

fn with(items: &[u64], more: &[u64]) -> Vec<u64> {
    [items, more].concat()
}

/// The victim puts an item at a level; beside it another one gets, or puts at the other level.
fn put<T: Item>(level: usize, high: &[u64], low: &[u64], busy: Busy) -> Result<Scenario, String> {
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
fn get<T: Item>(high: &[u64], low: &[u64], busy: Busy) -> Result<Scenario, String> {
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
fn in_vain<T: Item>() -> Result<Scenario, String> {
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

/// The victim puts into an empty queue, and somebody sleeps in get.
fn in_get<T: Item>(level: usize) -> Result<Scenario, String> {
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
fn in_put<T: Item>() -> Result<Scenario, String> {
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

/// The victim puts behind whatever an earlier one has left of its put at the same level.
fn put_after_put<T: Item>(busy: Busy) -> Result<Scenario, String> {
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
fn get_after_get<T: Item>() -> Result<Scenario, String> {
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

/// The victim closes a queue that has items; beside it another one puts at both levels, or gets.
fn close_with_items<T: Item>() -> Result<Scenario, String> {
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
fn close_in_get<T: Item>() -> Result<Scenario, String> {
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
fn close_in_put<T: Item>(level: usize) -> Result<Scenario, String> {
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
fn close_after_put<T: Item>() -> Result<Scenario, String> {
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
