//! Runs of items: whoever dies in one has put, or taken, all of it or nothing; of large items, which go
//! one by one, a prefix.

use crossproc_queue::Queue;

use super::beside::REFUSED;
use super::waited::must;
use super::{EARLIER, Item, Stage, VICTIM};
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, telling};

/// The run that a victim puts, and the one that an earlier victim puts.
pub(super) const RUN: [u64; 3] = [VICTIM, VICTIM + 2, VICTIM + 4];
pub(super) const EARLIER_RUN: [u64; 3] = [EARLIER, EARLIER + 2, EARLIER + 4];
/// So many of either are done.
pub(super) const DONE: [&str; 4] = ["none", "one", "two", "all"];
/// The number of the item that a helper puts.
const HELP: u64 = 50;

impl<T: Item> Stage<T> {
    pub(super) fn putter_of(&self, run: [u64; 3], put: fn(&Queue<T>, &[T]) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let items = run.map(T::new);
            move || put(&stage.queue, &items)
        })
    }

    /// Tells what it got, in base 1000.
    pub(super) fn getter_of(&self, most: usize) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let mut got = Vec::with_capacity(64);
            move || {
                let _ = stage.queue.get_many(&mut got, most);
                in_base_1000(got.iter().map(|item| item.number().unwrap_or(999)))
            }
        })
    }

    /// How many of `run` are there behind the items of the stage, and nothing else.
    fn check_prefix(&self, found: &[u64], run: &[u64]) -> Finding {
        let due: Vec<u64> = self.items.iter().chain(run).copied().collect();
        match found.len().checked_sub(self.items.len()) {
            Some(done) if due.starts_with(found) && may_end_at::<T>(done, run.len()) => {
                Ok(DONE[done])
            }
            _ => Err(format!("the items are {found:?}")),
        }
    }
}

/// Whether a run of `all` may be cut short where `done` are.
pub(super) fn may_end_at<T: Item>(done: usize, all: usize) -> bool {
    T::HELD || done == 0 || done == all
}

/// What can be left of a run of `all` items.
pub(super) fn outcomes<T: Item>(all: usize) -> &'static [&'static str] {
    match (T::HELD, all) {
        (true, _) => &DONE[..=all],
        (false, 2) => &["none", "two"],
        (false, _) => &["none", "all"],
    }
}

/// Some numbers as one.
pub(super) fn in_base_1000(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, |all, number| all * 1000 + number)
}

/// What [`in_base_1000`] made one of, three at most.
pub(super) fn of_base_1000(told: u64) -> Vec<u64> {
    let numbers = (0..3).map(|at| told / 1000_u64.pow(2 - at) % 1000);
    numbers.filter(|&number| number != 0).collect()
}

/// As many as there is room for.
pub(super) fn try_put_many<T: Item>(queue: &Queue<T>, items: &[T]) -> u64 {
    queue.try_put_many(items).map_or(u64::MAX - 1, |put| put as u64)
}

/// All.
pub(super) fn put_many<T: Item>(queue: &Queue<T>, items: &[T]) -> u64 {
    queue.put_many(items).map_or(u64::MAX - 1, |()| items.len() as u64)
}

/// The victim puts a run behind the items that are there.
pub(super) fn put<T: Item>(
    capacity: usize,
    laps: u64,
    items: &[u64],
    put: fn(&Queue<T>, &[T]) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.putter_of(RUN, put);
    let room = (capacity - items.len()).min(RUN.len());
    let checked = stage.clone();
    let check = move |_: &_| checked.check_prefix(&checked.drain()?, &RUN[..room]);
    let scenario = Scenario::in_memory(memory, outcomes::<T>(room), victim, check);
    // Beside another's put there has to be room for both.
    Ok(if room + 1 > capacity - items.len() { scenario } else { beside_put(scenario, &stage) })
}

fn beside_put<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let (Some(put), Some(OTHERS)) = (witness.victim, witness.meanwhile) else {
            return Err(format!("the calls gave {:?}", (witness.victim, witness.meanwhile)));
        };
        let found = checked.drain()?;
        let (old, new) = found.split_at(checked.items.len().min(found.len()));
        let run: Vec<u64> = new.iter().copied().filter(|&number| number != OTHERS).collect();
        if old != &checked.items[..] || put != 3 || run != RUN || new.len() != 4 {
            return Err(format!("{put} were put, and the items are {found:?}"));
        }
        match new.iter().position(|&number| number == OTHERS) {
            Some(0) => Ok("before"),
            Some(3) => Ok("behind"),
            _ if T::HELD => Ok("between"),
            _ => Err(format!("an item within the run: {new:?}")),
        }
    };
    let outcomes: &[&str] =
        if T::HELD { &["before", "between", "behind"] } else { &["before", "behind"] };
    let act = move |patience| other.put_within(patience);
    scenario.meanwhile("put_timeout", outcomes, act, check)
}

/// What [`Stage::put_within`] puts.
const OTHERS: u64 = 200;

/// The victim takes up to three of the items.
pub(super) fn get<T: Item>(capacity: usize, laps: u64, items: &[u64]) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(capacity, laps, items)?;
    let victim = stage.getter_of(3);
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        let found = checked.drain()?;
        match checked.items.len().checked_sub(found.len()) {
            Some(taken)
                if found[..] == checked.items[taken..]
                    && may_end_at::<T>(taken, checked.items.len().min(3)) =>
            {
                Ok(DONE[taken])
            }
            _ => Err(format!("the items are {found:?}")),
        }
    };
    let most = items.len().min(3);
    let scenario = Scenario::in_memory(memory, outcomes::<T>(most), victim, check);
    // Another that gets must leave one, or the victim could wait for ever; and large ones it finds
    // held now and then, as beside a single get.
    Ok(if items.len() < 4 || T::HELD { scenario } else { beside_get(scenario, &stage) })
}

fn beside_get<T: Item>(scenario: Scenario, stage: &Stage<T>) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let (of_victim, others) = (of_base_1000(witness.victim.unwrap_or(0)), witness.meanwhile);
        let mut all = of_victim.clone();
        all.extend(others.filter(|&number| number != REFUSED));
        all.sort_unstable();
        all.extend(checked.drain()?);
        if all != checked.items[..] || !of_victim.is_sorted() {
            return Err(format!("{of_victim:?} and {others:?} were got, of {:?}", checked.items));
        }
        match others {
            Some(1) => Ok("before"),
            Some(REFUSED) => Ok("held"),
            Some(4) => Ok("behind"),
            _ => Err(format!("the other got {others:?}")),
        }
    };
    let outcomes = &["before", "held", "behind"];
    scenario.meanwhile("get_timeout", outcomes, move |patience| other.get_within(patience), check)
}

/// The victim puts a run into an empty queue, and somebody sleeps in get.
pub(super) fn waiter_in_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(4, 1, &[])?;
    let victim = stage.putter_of(RUN, put_many);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let found = stage.drain()?;
        match (witness.waiter, witness.helped) {
            (Some(HELP), true) if found.is_empty() => Ok("helped"),
            (Some(VICTIM), false) if RUN[1..] == found => Ok("woken"),
            got => Err(format!("the waiter got {got:?}, and {found:?} are left")),
        }
    };
    let wait = move || waiting.get().unwrap_or(u64::MAX);
    let help = move || must(helping.put(HELP));
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// The victim takes a run from a full queue, and somebody sleeps in put.
pub(super) fn waiter_in_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(2, 1, &[1, 2])?;
    let victim = stage.getter_of(2);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let found = stage.drain()?;
        match (witness.waiter, witness.helped, &found[..]) {
            (Some(HELP), true, [2, HELP]) => Ok("helped"),
            (Some(HELP), false, [HELP]) => Ok("woken"),
            got => Err(format!("the waiter's put gave, and these are left: {got:?}")),
        }
    };
    let wait = move || waiting.put(HELP).map_or(u64::MAX, |()| HELP);
    let help = move || must(helping.get());
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// A victim that puts a run comes upon all that an earlier one can leave.
pub(super) fn put_after_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(8, 6, &[1])?;
    let (earlier, victim) =
        (stage.putter_of(EARLIER_RUN, put_many), stage.putter_of(RUN, put_many));
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let whole = (0..=3).filter(|&of_earlier| may_end_at::<T>(of_earlier, 3));
        let prefixes = whole.map(|of_earlier| {
            let old = stage.items.iter().chain(&EARLIER_RUN[..of_earlier]).copied();
            old.collect::<Vec<u64>>()
        });
        let done = prefixes.filter(|old| found.starts_with(old)).max_by_key(Vec::len);
        match done.map(|old| found[old.len()..].to_vec()) {
            Some(new) if RUN.starts_with(&new) && may_end_at::<T>(new.len(), 3) => {
                Ok(DONE[new.len()])
            }
            _ => Err(format!("the items are {found:?}")),
        }
    };
    let outcomes = outcomes::<T>(3);
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier))
}

/// A victim that takes a run comes upon all that an earlier put of one can leave.
pub(super) fn get_after_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(8, 6, &[1, 2, 3])?;
    let (earlier, victim) = (stage.putter_of(EARLIER_RUN, put_many), stage.getter_of(3));
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let of_stage = found.iter().filter(|&&number| number < VICTIM).count();
        let (old, new) = found.split_at(of_stage);
        let taken = stage.items.len() - of_stage;
        let cut = may_end_at::<T>(new.len(), 3) && may_end_at::<T>(taken, 3);
        if cut && old == &stage.items[taken..] && EARLIER_RUN.starts_with(new) {
            Ok(DONE[taken])
        } else {
            Err(format!("the items are {found:?}"))
        }
    };
    let outcomes = outcomes::<T>(3);
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier))
}

/// A victim that takes a run comes upon all that an earlier take of one can leave.
pub(super) fn get_after_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(8, 6, &[1, 2, 3, 4, 5, 6, 7])?;
    let (earlier, victim) = (stage.getter_of(3), stage.getter_of(3));
    let check = move |_: &_| -> Finding {
        let found = stage.drain()?;
        let taken = stage.items.len() - found.len().min(stage.items.len());
        match taken {
            0 | 3 | 6 if found == stage.items[taken..] => Ok(RUNS_TAKEN[taken / 3]),
            _ => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &RUNS_TAKEN, victim, check).after_death_of(earlier).one_more())
}

/// A victim that puts over the oldest item comes upon all that a take of a run can leave of a full queue.
pub(super) fn put_over_after_get<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(3, 1, &[1, 2, 3])?;
    let (earlier, victim) = (stage.getter_of(3), stage.putter_of([VICTIM; 3], put_over));
    let check = move |_: &_| -> Finding {
        match stage.drain()?[..] {
            [1, 2, 3] | [2, 3] | [] => Ok("not put"),
            [2, 3, VICTIM] | [VICTIM] => Ok("put"),
            ref found => Err(format!("the items are {found:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["not put", "put"], victim, check).after_death_of(earlier))
}

/// Puts the first of the items.
fn put_over<T: Item>(queue: &Queue<T>, items: &[T]) -> u64 {
    let item = items.first().and_then(Item::number).map(T::new);
    item.map_or(REFUSED, |item| queue.put_over(item).map_or(REFUSED, |out| out.len() as u64 + 1))
}

/// A victim that closes the queue comes upon all that a put of a run can leave.
pub(super) fn close_after_put<T: Item>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<T>::new(8, 6, &[1])?;
    let earlier = stage.putter_of(EARLIER_RUN, put_many);
    let closing = stage.clone();
    let victim = telling(move || {
        let stage = closing.clone();
        let _ = stage.segment.me();
        move || {
            stage.queue.close();
            1
        }
    });
    let check = move |_: &_| -> Finding {
        let closed = stage.queue.is_closed();
        let rest: Vec<_> = match closed {
            true => {
                stage.queue.iter().map(|item| item.ok().and_then(|item| item.number())).collect()
            }
            false => stage.drain()?.into_iter().map(Some).collect(),
        };
        let with: Vec<u64> = [1].into_iter().chain(EARLIER_RUN).collect();
        match rest.into_iter().collect::<Option<Vec<u64>>>() {
            Some(rest) if rest == [1] || rest == with => Ok(if closed { "closed" } else { "open" }),
            rest => Err(format!("the items are {rest:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["open", "closed"], victim, check).after_death_of(earlier))
}

/// So many runs of three are taken.
const RUNS_TAKEN: [&str; 3] = ["no run", "one run", "two runs"];
