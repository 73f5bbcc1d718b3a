//! The value: set, updated, locked and read, in all sizes that lie differently.
//!
//! The words of a value tell its number and their own index, so that a torn one shows.

use crossproc_segment::Segment;
use crossproc_value::{LockFailure, Stored, Value, ValueGuard};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, Witness, keep, part, telling};

mod beside;

use beside::Change;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("value set u64", "free", || scalar(|value| keep(value.set(NEW)), Change::Set)),
    Entry::new("value update u64", "free", || {
        scalar(|value| keep(value.update(|n| *n += 1)), Change::More)
    }),
    Entry::new("value fetch_add u64", "free", || {
        scalar(|value| keep(value.fetch_add(1)), Change::More)
    }),
    Entry::new("value set 8 B", "free", || alone::<1>(set, Change::Set)),
    Entry::new("value update 8 B", "free", || alone::<1>(update, Change::More)),
    Entry::new("value set 64 B", "free", || alone::<8>(set, Change::Set)),
    Entry::new("value update 64 B", "free", || alone::<8>(update, Change::More)),
    Entry::new("value guard 64 B", "free", || alone::<8>(guard, Change::Set)),
    Entry::new("value set 512 B", "free", || alone::<64>(set, Change::Set)),
    Entry::new("value update 512 B", "free", || alone::<64>(update, Change::More)),
    Entry::new("value get 64 B", "free", get_alone::<8>),
    Entry::new("value update 8 B", "earlier death in update", || double::<1>(update, Change::More)),
    Entry::new("value update 64 B", "earlier death in update", || {
        double::<8>(update, Change::More)
    }),
    Entry::new("value update 512 B", "earlier death in update", || {
        double::<64>(update, Change::More)
    }),
    Entry::new("value set 64 B", "earlier death in update", || double::<8>(set, Change::Set)),
    Entry::new("value guard 64 B", "earlier death in update", || {
        double::<8>(guard_more, Change::More)
    }),
    Entry::new("value get 64 B", "earlier death in update", get_after_death::<8>),
    Entry::new("value get 512 B", "earlier death in update", get_after_death::<64>),
    Entry::new("value guard 64 B", "dropped, waiter asleep in update", waiter_asleep::<8>),
    Entry::new("value guard 512 B", "dropped, waiter asleep in update", waiter_asleep::<64>),
];

const OLD: u64 = 5;
const NEW: u64 = OLD + 1;
/// What an earlier victim adds.
const EARLIER: u64 = 100;
/// What a waiter adds.
const WAITER: u64 = 10;

type Words<const N: usize> = [u64; N];

fn words<const N: usize>(number: u64) -> Words<N> {
    std::array::from_fn(|at| number << 16 | at as u64)
}

fn number<const N: usize>(found: &Words<N>) -> Result<u64, String> {
    let number = found[0] >> 16;
    if *found == words(number) { Ok(number) } else { Err(format!("torn: {found:x?}")) }
}

/// A value of `N` words.
#[derive(Debug)]
struct Stage<const N: usize>
where
    Words<N>: Stored,
{
    segment: Segment,
    value: Value<Words<N>>,
}

impl<const N: usize> Clone for Stage<N>
where
    Words<N>: Stored,
{
    fn clone(&self) -> Self {
        Self { segment: self.segment.clone(), value: self.value.clone() }
    }
}

impl<const N: usize> Stage<N>
where
    Words<N>: Stored,
{
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let value = Value::new_in(&segment, words(OLD)).map_err(text)?;
        Ok((Self { segment, value }, memory))
    }

    fn victim(&self, operate: fn(&Value<Words<N>>)) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || operate(&stage.value)
        })
    }

    /// A victim that reads, and tells what.
    fn reader(&self) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || {
                let found = stage.value.get();
                number(&found).unwrap_or(u64::MAX - 1)
            }
        })
    }

    fn get(&self) -> Result<u64, String> {
        number(&self.value.get())
    }

    /// The number that is there; then every way to change it works.
    fn check(&self) -> Result<u64, String> {
        let found = self.get()?;
        self.expect(found)?;
        self.value.update(|value| *value = words(found + 1)).map_err(text)?;
        self.expect(found + 1)?;
        self.value.set(words(found + 2)).map_err(text)?;
        self.expect(found + 2)?;
        self.locked()?.abandon();
        self.expect(found + 2)?;
        *self.locked()? = words(found + 3);
        self.expect(found + 3)?;
        Ok(found)
    }

    fn locked(&self) -> Result<ValueGuard<'_, Words<N>>, String> {
        let guard = self.value.lock().map_err(text)?;
        match self.value.lock() {
            Err(LockFailure::Deadlock) => Ok(guard),
            _ => Err("locked twice by one thread".to_owned()),
        }
    }

    fn expect(&self, expected: u64) -> Result<(), String> {
        // More often than there are copies.
        for _ in 0..4 {
            match self.get()? {
                found if found == expected => {}
                found => return Err(format!("{found} instead of {expected}")),
            }
        }
        Ok(())
    }
}

fn set<const N: usize>(value: &Value<Words<N>>)
where
    Words<N>: Stored,
{
    keep(value.set(words(NEW)));
}

fn update<const N: usize>(value: &Value<Words<N>>)
where
    Words<N>: Stored,
{
    keep(value.update(|value| *value = words((value[0] >> 16) + 1)));
}

fn update_earlier<const N: usize>(value: &Value<Words<N>>)
where
    Words<N>: Stored,
{
    keep(value.update(|value| *value = words((value[0] >> 16) + EARLIER)));
}

fn guard<const N: usize>(value: &Value<Words<N>>)
where
    Words<N>: Stored,
{
    if let Ok(mut guard) = value.lock() {
        *guard = words(NEW);
    }
}

fn guard_more<const N: usize>(value: &Value<Words<N>>)
where
    Words<N>: Stored,
{
    if let Ok(mut guard) = value.lock() {
        *guard = words((guard[0] >> 16) + 1);
    }
}

fn scalar(operate: fn(&Value<u64>), change: Change) -> Result<Scenario, String> {
    let (segment, memory) = stage()?;
    let value = Value::new_in(&segment, OLD).map_err(text)?;
    let operated = value.clone();
    let victim = part(move || {
        let value = operated.clone();
        let _ = value.segment().me();
        move || operate(&value)
    });
    let (checked, other, judged) = (value.clone(), value.clone(), value);
    let check = move |_: &_| -> Finding {
        let found = checked.get();
        if (checked.fetch_add(1), checked.get()) != (found, found + 1) {
            return Err(format!("{found}, and one more is {}", checked.get()));
        }
        match found {
            OLD => Ok("old"),
            NEW => Ok("new"),
            found => Err(format!("the value is {found}")),
        }
    };
    let beside = move |witness: &Witness| match (witness.meanwhile, judged.get(), change) {
        (Some(OLD), NEW, Change::Set) => Ok("before"),
        (Some(OLD), found, Change::More) if found == NEW + beside::OTHER => Ok("before"),
        (Some(NEW), found, _) if found == NEW + beside::OTHER => Ok("behind"),
        (met, found, _) => Err(format!("the other met {met:?}, and the value is {found}")),
    };
    let add = move |_| Ok(other.fetch_add(beside::OTHER));
    Ok(Scenario::in_memory(memory, &["old", "new"], victim, check).meanwhile(
        "fetch_add",
        &["before", "behind"],
        add,
        beside,
    ))
}

fn alone<const N: usize>(operate: fn(&Value<Words<N>>), change: Change) -> Result<Scenario, String>
where
    Words<N>: Stored,
{
    let (stage, memory) = Stage::<N>::new()?;
    let victim = stage.victim(operate);
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        OLD => Ok("old"),
        NEW => Ok("new"),
        found => Err(format!("the value is {found}")),
    };
    let scenario = Scenario::in_memory(memory, &["old", "new"], victim, check);
    Ok(beside::changing(scenario, &stage, change))
}

fn get_alone<const N: usize>() -> Result<Scenario, String>
where
    Words<N>: Stored,
{
    let (stage, memory) = Stage::<N>::new()?;
    let victim = stage.reader();
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        OLD => Ok("unchanged"),
        found => Err(format!("the value is {found}")),
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check);
    Ok(beside::reading(scenario, &stage))
}

fn double<const N: usize>(operate: fn(&Value<Words<N>>), change: Change) -> Result<Scenario, String>
where
    Words<N>: Stored,
{
    let (stage, memory) = Stage::<N>::new()?;
    let (earlier, victim) = (stage.victim(update_earlier), stage.victim(operate));
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        found if found % EARLIER == OLD => Ok("old"),
        found if found % EARLIER == NEW => Ok("new"),
        found => Err(format!("the value is {found}")),
    };
    let scenario = Scenario::in_memory(memory, &["old", "new"], victim, check);
    let scenario = scenario.after_death_of(earlier);
    Ok(beside::changing(scenario, &stage, change))
}

fn get_after_death<const N: usize>() -> Result<Scenario, String>
where
    Words<N>: Stored,
{
    let (stage, memory) = Stage::<N>::new()?;
    let (earlier, victim) = (stage.victim(update_earlier), stage.reader());
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        found if found % EARLIER == OLD => Ok("unchanged"),
        found => Err(format!("the value is {found}")),
    };
    let scenario = Scenario::in_memory(memory, &["unchanged"], victim, check);
    Ok(beside::reading(scenario.after_death_of(earlier), &stage))
}

/// The victim leaves the value's lock, with a change, while another sleeps for it.
fn waiter_asleep<const N: usize>() -> Result<Scenario, String>
where
    Words<N>: Stored,
{
    let (stage, memory) = Stage::<N>::new()?;
    let held = stage.clone();
    let victim: Part = Box::new(move || {
        // The guard borrows the value, and both live until the victim's end.
        let value: &'static Value<Words<N>> = Box::leak(Box::new(held.value.clone()));
        let mut guard = value.lock().ok();
        if let Some(guard) = &mut guard {
            **guard = words(NEW);
        }
        Box::new(move || drop(guard.take())) as Operate
    });
    let waiting = stage.clone();
    let wait = move || {
        let more = |value: &mut Words<N>| {
            let found = number(value);
            *value = words(value[0] >> 16).map(|word| word + (WAITER << 16));
            found.unwrap_or(u64::MAX)
        };
        waiting.value.update(more).unwrap_or(u64::MAX)
    };
    let check = move |witness: &Witness| match (witness.waiter, stage.check()?) {
        (Some(OLD), found) if found == OLD + WAITER => Ok("old"),
        (Some(NEW), found) if found == NEW + WAITER => Ok("new"),
        (met, found) => Err(format!("the waiter met {met:?}, and now it is {found}")),
    };
    Ok(Scenario::in_memory(memory, &["old", "new"], victim, check).with_waiter(wait))
}
