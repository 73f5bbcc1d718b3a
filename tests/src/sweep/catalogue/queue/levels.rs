//! Queues with levels: a death at one level keeps nothing of another back.
//!
//! The survivor keeps the low level busy while it waits for what is behind the dead at the high one:
//! a consumer that never sleeps has to look after them too. Or it sleeps, and finds them then.

use std::sync::Arc;
use std::time::Duration;

use crossproc_queue::{PriorityQueue, PutError, TryGetError, TryPutError};
use crossproc_segment::Segment;

use super::beside::{CLOSED, REFUSED};
use super::{FILL, Item, LAST, tell_item};
use crate::sweep::catalogue::{stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Part, telling};

mod closed;
mod ends;
mod entries;
mod killed;
mod many;
mod waited;

pub(in super::super) use entries::ENTRIES;

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
