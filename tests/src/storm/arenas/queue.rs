//! Producers and consumers, at queues with and without levels.
//!
//! Each producer numbers its items, those of each level apart: a stream. A consumer marks each item
//! that it got in a bitmap of its stream, and notes the highest number; before its next `get` it looks
//! at those notes, since what comes then must be younger. So at the end each accepted item was got once,
//! in the order of its stream.
//!
//! Of a producer that was killed the items in flight may be there or not, of a run the first ones. A
//! consumer that was killed between the beginning of `get` and its mark may have taken an item that
//! nobody will see: one possible loss for each such death, or as many as it asked for in a run. In a third of the slices only producers are killed, and none may
//! be lost; in a third only consumers, and no item was in flight. Half of the queues are closed while
//! all still put: what was accepted by then comes out, at each level.
//!
//! With counted ends each member has a handle that counts, gives it up now and then for another one,
//! and takes it along when it is killed. The director has one of each side, so that the queue stays
//! open in the meantime. In the end it drops its producer, half of the producers keep theirs until
//! they are gone, and nobody closes anything: the consumers have to end by themselves.

use std::cell::RefCell;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crossproc::{Cause, Plain, PriorityQueue, PutManyError, Queue, TryGetError, TryPutError};

use super::books::{Books, GETTING, ITEMS};
use super::items::Item as _;
use super::line::Line;
use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;
/// Processes that each side counts: those, the director, and one that was killed.
const ENDS: u32 = 5;
/// Items of a run, at most.
const RUN: u64 = 8;
/// Streams of items: at most so many levels for each producer.
const STREAMS: usize = PRODUCERS * 3;

pub(super) fn arenas() -> Vec<Arena> {
    let arena =
        |name, about, build| Arena { name, about, bytes: 1 << 20, extra_words: STREAMS, build };
    vec![
        arena("queue-words", "items of 16 bytes: each once, in order", |setting| {
            Ok(Box::new(Flow::<Queue<(u64, u64)>>::new(setting)?))
        }),
        arena("queue-320", "items of 320 bytes", |setting| {
            Ok(Box::new(Flow::<Queue<Plain<[u64; 40]>>>::new(setting)?))
        }),
        arena("queue-string", "strings of up to 3 KiB, in slots and blocks", |setting| {
            Ok(Box::new(Flow::<Queue<String>>::new(setting)?))
        }),
        arena(
            "queue-bytes",
            "byte vectors of up to 100 KiB, more than there is room for",
            |setting| Ok(Box::new(Flow::<Queue<Vec<u8>>>::new(setting)?)),
        ),
        arena("queue-ends", "counted ends: closed by the last producer, dead or not", |setting| {
            Ok(Box::new(Flow::<Queue<(u64, u64)>>::counted(setting)?))
        }),
        arena("queue-ends-string", "the same with strings", |setting| {
            Ok(Box::new(Flow::<Queue<String>>::counted(setting)?))
        }),
        arena(
            "levels-words",
            "three levels: each item once, in the order of its level",
            |setting| Ok(Box::new(Flow::<PriorityQueue<(u64, u64)>>::new(setting)?)),
        ),
        arena("levels-string", "three levels of strings of up to 3 KiB", |setting| {
            Ok(Box::new(Flow::<PriorityQueue<String>>::new(setting)?))
        }),
        arena("levels-ends", "three levels with counted ends", |setting| {
            Ok(Box::new(Flow::<PriorityQueue<(u64, u64)>>::counted(setting)?))
        }),
    ]
}

struct Flow<L: Line> {
    queue: L,
    books: Books,
    mortal: [bool; 2],
    immortals: usize,
    /// The stage of the end in which the queue is closed: 1, among all who put, or 2, behind them.
    closed_in: u64,
    /// Of the director, if ends are counted.
    ends: Option<Ends<L>>,
}

struct Ends<L: Line> {
    /// Until the end begins.
    producer: RefCell<Option<L::Producer>>,
    /// Until all is accounted for.
    _consumer: L::Consumer,
}

impl<L: Line> Flow<L> {
    fn counted(setting: &Setting) -> Result<Self, Fault> {
        let flow = Self::new(setting)?;
        let producer = RefCell::new(Some(made("a producer", flow.queue.producer())?));
        let consumer = made("a consumer", flow.queue.consumer())?;
        Ok(Self { ends: Some(Ends { producer, _consumer: consumer }), closed_in: 2, ..flow })
    }

    /// A handle that counts, where ends are counted.
    fn end<H>(
        &self,
        make: impl Fn(&L) -> crossproc::crates::queue::Result<H>,
    ) -> Result<Option<H>, Fault> {
        self.ends.as_ref().map(|_| made("a counted handle", make(&self.queue))).transpose()
    }

    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let capacity = [1, 3, 64, 1000][dice.index(&[(); 4])];
        // The places of the dead have to serve others all the time.
        let queue = made("the queue", L::create(&setting.segment, capacity, ENDS))?;
        let mortal = [[true, true], [true, false], [false, true]][dice.index(&[(); 3])];
        let immortals = dice.index(&[(); 2]);
        let books = Books::of_streams(PRODUCERS, L::LEVELS)?;
        let closed_in = 1 + u64::from(dice.roll(2) == 0);
        Ok(Self { queue, books, mortal, immortals, closed_in, ends: None })
    }

    fn produce(&self, member: &Member<'_>) -> Result<(), Fault> {
        let mut counted = self.end(L::producer)?;
        while !member.leaves() {
            if member.roll(16) == 0 {
                counted = self.end(L::producer)?;
            }
            let level = member.index(L::LEVELS);
            let count = member.part().count(level);
            if count.attempted() + RUN >= ITEMS {
                thread::sleep(Duration::from_millis(1));
                member.part().advance();
                continue;
            }
            let run = if member.roll(4) == 0 { 1 + member.roll(RUN) } else { 1 };
            let stream = member.number() * L::LEVELS + level;
            let first = count.attempt_run(run);
            let item = |number| L::Item::make(stream as u64, number);
            member.part().set_doing(1);
            let put = if run == 1 {
                self.put(member, level, item(first)).map(|()| 1)
            } else {
                let items: Vec<L::Item> = (first..first + run).map(item).collect();
                self.put_run(member, level, &items)
            };
            let (put, refused) =
                put.map_or_else(|error| (error.put, Some(error.error)), |put| (put, None));
            count.finish_first(put as u64);
            member.part().advance();
            match refused {
                None => {}
                Some(TryPutError::Full(())) => thread::yield_now(),
                Some(TryPutError::OutOfMemory { .. }) => {
                    thread::sleep(Duration::from_micros(100));
                }
                Some(TryPutError::Closed(())) if self.closed_in == 1 && member.leaves() => {}
                Some(error) => return Err(Fault::wrong("put", error)),
            }
        }
        if member.roll(2) == 0 {
            // It counts until this process is gone.
            std::mem::forget(counted);
        }
        Ok(())
    }

    /// Puts an item in some way.
    fn put(&self, member: &Member<'_>, level: usize, item: L::Item) -> Result<(), PutManyError> {
        let put = match member.roll(8) {
            0 => self.queue.try_put(level, item),
            1 => self.queue.put_timeout(level, item, Duration::from_micros(member.roll(2000))),
            _ => self.queue.put(level, item).map_err(TryPutError::from),
        };
        put.map_err(|error| PutManyError { put: 0, error: error.without_item() })
    }

    /// Puts a run in some way; tells how many of it.
    fn put_run(
        &self,
        member: &Member<'_>,
        level: usize,
        items: &[L::Item],
    ) -> Result<usize, PutManyError> {
        self.queue.put_many(level, items, member.roll(2) == 0)
    }

    fn consume(&self, member: &Member<'_>) -> Result<(), Fault> {
        let getting = member.part().own(GETTING);
        let mut counted = self.end(L::consumer)?;
        let mut got = Vec::new();
        loop {
            if member.roll(16) == 0 {
                counted = counted.clone();
                self.peek()?;
            }
            let floors = self.books.floors(member.ledger());
            let way = member.roll(10);
            let most = if way < 2 { 1 + member.roll(RUN) } else { 1 };
            getting.store(most, Relaxed);
            member.part().set_doing(2);
            let told = self.get(member, way, usize::try_from(most).unwrap_or(1), &mut got);
            for (level, item) in got.drain(..) {
                self.books.mark(member.ledger(), Self::read(level, &item)?, &floors)?;
                member.part().advance();
            }
            match told {
                Ok(()) => {}
                Err(TryGetError::Empty) => thread::yield_now(),
                Err(TryGetError::Closed) if member.leaves() => return Ok(()),
                Err(error) => return Err(Fault::wrong("get", error)),
            }
            getting.store(0, Relaxed);
            member.part().set_doing(0);
        }
    }

    /// Gets in some way what is appended to `got`.
    fn get(
        &self,
        member: &Member<'_>,
        way: u64,
        most: usize,
        got: &mut Vec<(usize, L::Item)>,
    ) -> Result<(), TryGetError> {
        let one = match way {
            0 => return self.queue.get_many(got, most).map(drop).map_err(TryGetError::from),
            1 => {
                got.extend(self.queue.drain(most)?);
                return Ok(());
            }
            2 => self.queue.try_get(),
            3 => self.queue.get_timeout(Duration::from_micros(member.roll(2000))),
            _ => self.queue.get().map_err(TryGetError::from),
        };
        got.push(one?);
        Ok(())
    }

    /// Looks at what is first.
    fn peek(&self) -> Result<(), Fault> {
        match self.queue.peek() {
            Ok((level, item)) => match Self::read(level, &item)? {
                Some(_) => Ok(()),
                None => Err(Fault::new(Kind::Torn, "an item that was looked at is not whole")),
            },
            Err(TryGetError::Empty | TryGetError::Closed) => Ok(()),
            Err(error) => Err(Fault::wrong("peek", error)),
        }
    }

    /// Stream and number of an item that came from a level, the right one.
    fn read(level: usize, item: &L::Item) -> Result<Option<(u64, u64)>, Fault> {
        let read = item.read();
        match read.map(|(stream, _)| stream % L::LEVELS as u64) {
            Some(from) if from != level as u64 => {
                let text = format!("{read:?} of level {from} came from level {level}");
                Err(Fault::new(Kind::Wrong, text))
            }
            _ => Ok(read),
        }
    }
}

impl<L: Line> Scene for Flow<L> {
    fn cast(&self) -> Vec<Role> {
        let producer =
            |part| Role::new("producer").mortal(self.mortal[0] && part >= self.immortals);
        let consumer = |part| {
            Role::new("consumer")
                .mortal(self.mortal[1] && part >= self.immortals)
                .leaves(if self.ends.is_some() { 1 } else { self.closed_in })
        };
        (0..PRODUCERS).map(producer).chain((0..CONSUMERS).map(consumer)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["between", "in put", "in get"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() < PRODUCERS { self.produce(member) } else { self.consume(member) }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        if part < PRODUCERS {
            self.books.mourn_producer(part, ledger);
        } else {
            self.books.mourn_consumer(part, ledger);
        }
        Ok(())
    }

    fn stage(&self, stage: u64) {
        match &self.ends {
            Some(ends) => drop(ends.producer.take()),
            None if stage == self.closed_in => self.queue.close(),
            None => {}
        }
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        if !matches!(self.queue.try_get(), Err(TryGetError::Closed)) || !self.queue.is_empty() {
            return Err(Fault::new(Kind::Wrong, format!("not drained: {:?}", self.queue)));
        }
        if self.ends.is_some() && self.queue.why_closed() != Some(Cause::NoProducers) {
            return Err(Fault::new(Kind::Wrong, format!("closed: {:?}", self.queue.why_closed())));
        }
        self.books.account(ledger)
    }

    fn describe(&self) -> String {
        format!("{:?}", self.queue)
    }
}
