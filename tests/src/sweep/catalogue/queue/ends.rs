//! Counted handles: made, sent, dropped; by those who die of it, and beside others who do the same. Of
//! queues with one level and with two.
//!
//! Whoever dies counts no more. So whatever the victim did, its queue is closed once nobody is left,
//! and what was put comes out before that is told.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{
    Consumer, Error, GetError, Producer, PutError, Queue, TryGetError, TryPutError,
};
use crossproc_segment::Segment;

use super::beside::CLOSED;
use super::{Item, LAST, Stage};
use crate::sweep::catalogue::{stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, keep, part};

mod dropped;
mod made;
mod moved;

pub(super) use dropped::*;
pub(super) use made::*;
pub(super) use moved::*;

/// The number of the item that another puts.
const OTHER: u64 = 200;
/// The number of the item by which a waiter is helped.
const ITEM: u64 = 50;
/// A call that gave none of what it should.
const WRONG: u64 = u64::MAX - 1;

/// A queue of numbers that counts the handles of two processes a side.
pub(super) trait Sided: Clone + Message {
    type Producer: Clone + Message;
    type Consumer: Message;

    /// Makes one for so many items.
    fn create(segment: &Segment, capacity: usize) -> Result<Self, Error>;

    fn producer(&self) -> Result<Self::Producer, Error>;
    fn consumer(&self) -> Result<Self::Consumer, Error>;
    fn put_by(producer: &Self::Producer, number: u64) -> Result<(), PutError<u64>>;

    fn put(&self, number: u64) -> Result<(), PutError<u64>>;
    fn put_timeout(&self, number: u64, timeout: Duration) -> Result<(), TryPutError<u64>>;
    fn get(&self) -> Result<u64, GetError>;
    fn get_timeout(&self, timeout: Duration) -> Result<u64, TryGetError>;
    fn is_full(&self) -> bool;

    /// Whether it is closed, to all alike; if so, whoever takes gets `items` and is then told.
    fn check_closed(&self, segment: &Segment, items: &[u64]) -> Result<bool, String>;
}

impl Sided for Queue<u64> {
    type Producer = Producer<u64>;
    type Consumer = Consumer<u64>;

    fn create(segment: &Segment, capacity: usize) -> Result<Self, Error> {
        Self::options().ends(2).create(segment, "queue", capacity)
    }

    fn producer(&self) -> Result<Producer<u64>, Error> {
        Self::producer(self)
    }

    fn consumer(&self) -> Result<Consumer<u64>, Error> {
        Self::consumer(self)
    }

    fn put_by(producer: &Producer<u64>, number: u64) -> Result<(), PutError<u64>> {
        producer.put(u64::new(number))
    }

    fn put(&self, number: u64) -> Result<(), PutError<u64>> {
        Self::put(self, u64::new(number))
    }

    fn put_timeout(&self, number: u64, timeout: Duration) -> Result<(), TryPutError<u64>> {
        Self::put_timeout(self, u64::new(number), timeout)
    }

    fn get(&self) -> Result<u64, GetError> {
        Self::get(self)
    }

    fn get_timeout(&self, timeout: Duration) -> Result<u64, TryGetError> {
        Self::get_timeout(self, timeout)
    }

    fn is_full(&self) -> bool {
        Self::is_full(self)
    }

    fn check_closed(&self, segment: &Segment, items: &[u64]) -> Result<bool, String> {
        let (segment, queue) = (segment.clone(), self.clone());
        Stage { segment, queue, items: [].into() }.check_closed(items)
    }
}

/// What a victim has before its operation, of which each is its own.
struct Own<H>(Cell<Option<H>>);

impl<H> Own<H> {
    fn new(handle: Result<H, crossproc_queue::Error>) -> Self {
        Self(Cell::new(handle.ok()))
    }

    fn take(&self) -> H {
        self.0.take().expect("a handle, for one operation")
    }
}

/// A queue of two places a side, and a producer of the harness, which lives, if there is to be one.
struct Counted<Q: Sided> {
    segment: Segment,
    queue: Q,
    items: Arc<[u64]>,
    other: Option<Rc<Q::Producer>>,
}

impl<Q: Sided> Clone for Counted<Q> {
    fn clone(&self) -> Self {
        let (segment, queue) = (self.segment.clone(), self.queue.clone());
        Self { segment, queue, items: Arc::clone(&self.items), other: self.other.clone() }
    }
}

impl<Q: Sided> Counted<Q> {
    fn new(capacity: usize, items: &[u64], other: bool) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let queue = Q::create(&segment, capacity).map_err(text)?;
        let other = if other { Some(Rc::new(queue.producer().map_err(text)?)) } else { None };
        let counted = Self { segment, queue, items: items.into(), other };
        items.iter().try_for_each(|&number| counted.put(number))?;
        Ok((counted, memory))
    }

    fn put(&self, number: u64) -> Result<(), String> {
        self.queue.put(number).map_err(|_| format!("put of {number} was refused"))
    }

    fn get(&self) -> Result<u64, String> {
        let item = self.queue.get().map_err(|error| format!("get: {error}"))?;
        item.number().ok_or_else(|| "a torn item".to_owned())
    }

    /// A victim that has a handle of its own, and does `act` with it.
    fn with<H: 'static>(&self, make: fn(&Q) -> Result<H, Error>, act: fn(H)) -> Part {
        let counted = self.clone();
        part(move || {
            let own = Own::new(make(&counted.queue));
            move || act(own.take())
        })
    }

    /// A victim that makes a handle, and keeps it.
    fn joiner<H: 'static>(&self, make: fn(&Q) -> Result<H, Error>) -> Part {
        let counted = self.clone();
        part(move || {
            let counted = counted.clone();
            let _ = counted.segment.me();
            move || keep(make(&counted.queue))
        })
    }

    fn dropper(&self) -> Part {
        self.with(Q::producer, drop)
    }

    /// Whether the queue is closed, after a look at who lives; if so, `items` come first.
    fn check(&self, items: &[u64]) -> Result<bool, String> {
        // Asks after the dead, and takes or puts nothing: it is full or empty.
        if items.is_empty() {
            match self.queue.get_timeout(Duration::ZERO) {
                Err(TryGetError::Empty | TryGetError::Closed) => {}
                got => return Err(format!("get from an empty queue: {got:?}")),
            }
        } else if self.queue.is_full() {
            match self.queue.put_timeout(LAST, Duration::ZERO) {
                Err(TryPutError::Full(_) | TryPutError::Closed(_)) => {}
                put => return Err(format!("put into a full queue: {put:?}")),
            }
        }
        self.queue.check_closed(&self.segment, items)
    }

    /// As `check`, where it has to be closed.
    fn closed(&self, items: &[u64]) -> Finding {
        match self.check(items)? {
            true => Ok("closed"),
            false => Err("nobody is left, and the queue is open".to_owned()),
        }
    }

    /// As `check`, where it has to be open; then the place of the dead has to serve another.
    fn open(&self, items: &[u64]) -> Finding {
        if self.other.is_none() || self.check(items)? {
            return Err("closed, with a producer alive".to_owned());
        }
        let mine = self.queue.producer().map_err(text)?;
        Q::put_by(&mine, LAST).map_err(|_| "no put for a counted one")?;
        match self.get()? {
            LAST => Ok("open"),
            got => Err(format!("{got} instead of the last item")),
        }
    }

    /// Makes a producer, which stays until its process ends, and puts an item.
    fn joins_and_puts(&self, number: u64) -> u64 {
        let Ok(producer) = self.queue.producer() else { return WRONG };
        let put = Q::put_by(&producer, number);
        keep(producer);
        match put {
            Ok(()) => number,
            Err(PutError::Closed(_)) => CLOSED,
            Err(_) => WRONG,
        }
    }

    /// Those items are in, and then it is closed; it is neither full nor empty before.
    fn has_put(&self, numbers: &[u64]) -> Result<(), String> {
        for &number in numbers {
            match self.queue.get_timeout(Duration::ZERO) {
                Ok(item) if item.number() == Some(number) => {}
                got => return Err(format!("{got:?} instead of item {number}")),
            }
        }
        self.closed(&[]).map(|_| ())
    }
}
