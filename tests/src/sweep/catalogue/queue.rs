//! The queue: put, got, closed, in all forms that items take in it.
//!
//! Each item carries a number and can tell whether it is whole. A survivor puts one item more,
//! takes everything, and so learns exactly which items are there, and in which order; then it
//! fills the queue to the last place, finds it full, and empties it again.

use std::sync::Arc;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{Queue, TryGetError, TryPutError};
use crossproc_segment::Segment;

use super::{stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Part, keep, telling};

mod beside;
mod closed;
mod ends;
mod entries;
mod killed;
mod lease;
mod levels;
mod limits;
mod many;
mod over;
mod places;
mod waited;

pub(super) use entries::ENTRIES;
pub(super) use lease::ENTRIES as LEASES;
pub(super) use levels::ENTRIES as LEVELS;
pub(super) use limits::ENTRIES as LIMITS;

/// The number of the item that the victim puts.
const VICTIM: u64 = 100;
/// The number of the item that an earlier victim puts.
const EARLIER: u64 = 101;
/// The number of the item that the survivor puts behind all others.
const LAST: u64 = 900;
/// The number of the first item that the survivor fills the queue with.
const FILL: u64 = 1000;

/// A kind of item, and how its number is written and read.
trait Item: Message + Sized {
    /// Whether a reader holds it while it reads, so that others have to wait.
    const HELD: bool = true;
    /// The same of a lessee.
    const HELD_FOR_LEASE: bool = Self::HELD;

    fn new(number: u64) -> Self;

    /// The number, if the item is whole.
    fn number(&self) -> Option<u64>;
}

/// Words in the slot.
impl Item for u64 {
    const HELD: bool = false;

    fn new(number: u64) -> Self {
        number << 32 | !number & 0xffff_ffff
    }

    fn number(&self) -> Option<u64> {
        (*self == Self::new(self >> 32)).then_some(self >> 32)
    }
}

/// Eight words in the slot.
impl Item for [u64; 8] {
    const HELD: bool = false;

    fn new(number: u64) -> Self {
        std::array::from_fn(|at| number << 8 | at as u64)
    }

    fn number(&self) -> Option<u64> {
        (*self == Self::new(self[0] >> 8)).then_some(self[0] >> 8)
    }
}

/// Bytes in the slot, which a reader holds.
impl Item for [u64; 16] {
    fn new(number: u64) -> Self {
        std::array::from_fn(|at| number << 8 | at as u64)
    }

    fn number(&self) -> Option<u64> {
        (*self == Self::new(self[0] >> 8)).then_some(self[0] >> 8)
    }
}

/// A message short enough for the slot.
#[derive(serde::Serialize, serde::Deserialize)]
struct Short(String);

impl Item for Short {
    const HELD: bool = false;
    const HELD_FOR_LEASE: bool = true;

    fn new(number: u64) -> Self {
        Self(format!("{number} as text"))
    }

    fn number(&self) -> Option<u64> {
        self.0.strip_suffix(" as text")?.parse().ok()
    }
}

/// A message in a block of its own.
#[derive(serde::Serialize, serde::Deserialize)]
struct Long(String);

/// Long enough for a look after the dead, if the machine is not too busy; else there is another.
const A_LOOK: Duration = Duration::from_millis(20);

const LONG_REPEATS: usize = 100;

impl Item for Long {
    fn new(number: u64) -> Self {
        Self(format!("{number} ").repeat(LONG_REPEATS))
    }

    fn number(&self) -> Option<u64> {
        let number = self.0.split(' ').next()?.parse().ok()?;
        (self.0 == Self::new(number).0).then_some(number)
    }
}

/// The number of an item that a victim got. What it got it keeps: its operation ends before
/// anything is dropped.
fn tell_item<T: Item, E>(got: Result<T, E>) -> u64 {
    match got {
        Ok(item) => {
            let number = item.number();
            keep(item);
            number.unwrap_or(u64::MAX - 1)
        }
        Err(_) => beside::REFUSED,
    }
}

/// A queue, and what it holds before the victim comes.
#[derive(Debug)]
struct Stage<T> {
    segment: Segment,
    queue: Queue<T>,
    items: Arc<[u64]>,
}

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        let items = Arc::clone(&self.items);
        Self { segment: self.segment.clone(), queue: self.queue.clone(), items }
    }
}

impl<T: Item> Stage<T> {
    /// A queue with `items` in it, after `laps` items went through.
    fn new(capacity: usize, laps: u64, items: &[u64]) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let queue = Queue::create(&segment, "queue", capacity).map_err(text)?;
        let stage = Self { segment, queue, items: items.into() };
        for number in (0..laps).map(|lap| FILL + lap) {
            stage.put(number)?;
            stage.get()?;
        }
        items.iter().try_for_each(|&number| stage.put(number))?;
        Ok((stage, memory))
    }

    fn put(&self, number: u64) -> Result<(), String> {
        self.queue.put(T::new(number)).map_err(|_| format!("put of {number} was refused"))
    }

    fn get(&self) -> Result<u64, String> {
        let item = self.queue.get().map_err(|error| format!("get: {error}"))?;
        item.number().ok_or_else(|| "a torn item".to_owned())
    }

    fn try_get(&self) -> Result<Option<u64>, String> {
        match self.queue.try_get() {
            Ok(item) => item.number().map(Some).ok_or_else(|| "a torn item".to_owned()),
            Err(TryGetError::Empty) => Ok(None),
            Err(error) => Err(format!("try_get: {error}")),
        }
    }

    fn putter(&self, number: u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            let mut item = Some(T::new(number));
            move || match item.take().map(|item| stage.queue.put(item)) {
                Some(Ok(())) => number,
                _ => beside::REFUSED,
            }
        })
    }

    fn getter(&self) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || tell_item(stage.queue.get())
        })
    }

    /// Which items are there, in their order; the queue is then found to work as a new one.
    fn drain(&self) -> Result<Vec<u64>, String> {
        let mut found = Vec::new();
        self.put_last(&mut found)?;
        while found.last() != Some(&LAST) {
            found.push(self.get()?);
        }
        found.pop();
        self.fill()?;
        Ok(found)
    }

    /// Puts one item more, taking others out while that needs room.
    fn put_last(&self, found: &mut Vec<u64>) -> Result<(), String> {
        loop {
            match self.queue.try_put(T::new(LAST)) {
                Ok(()) => return Ok(()),
                Err(TryPutError::Full(_)) => {}
                Err(_) => return Err("try_put is refused, and not for being full".to_owned()),
            }
            // Or the dead are in the way, of an item or of room: whoever waits has to free it.
            match self.queue.get_timeout(A_LOOK) {
                Ok(item) => found.push(item.number().ok_or("a torn item")?),
                Err(TryGetError::Empty) => {}
                Err(error) => return Err(format!("get_timeout: {error}")),
            }
            if self.queue.put_timeout(T::new(LAST), A_LOOK).is_ok() {
                return Ok(());
            }
        }
    }

    /// Exactly `capacity` items fit, and come back in their order.
    fn fill(&self) -> Result<(), String> {
        let capacity = self.queue.capacity() as u64;
        for round in 0..2 {
            let first = FILL + round * capacity;
            for number in first..first + capacity {
                self.queue
                    .try_put(T::new(number))
                    .map_err(|_| format!("no room for item {} of {capacity}", number - first))?;
            }
            if !matches!(self.queue.try_put(T::new(LAST)), Err(TryPutError::Full(_))) {
                return Err(format!("more than {capacity} items fit"));
            }
            if self.queue.len() as u64 != capacity {
                return Err(format!("full, and its length is {}", self.queue.len()));
            }
            for number in first..first + capacity {
                match self.try_get()? {
                    Some(got) if got == number => {}
                    got => return Err(format!("{got:?} instead of item {number}")),
                }
            }
        }
        match self.try_get()? {
            None if self.queue.is_empty() => Ok(()),
            got => Err(format!("{got:?} from an empty queue")),
        }
    }
}
