//! Producers and consumers.
//!
//! Each producer numbers its items. A consumer marks each item that it got in a bitmap of its
//! producer, and notes the highest number; before its next `get` it looks at those notes, since what
//! comes then must be younger. So at the end each accepted item was got once, in order.
//!
//! Of a producer that was killed the item in flight may be there or not. A consumer that was killed
//! between the beginning of `get` and its mark may have taken an item that nobody will see: one
//! possible loss for each such death. In a third of the slices only producers are killed, and none may
//! be lost; in a third only consumers, and no item was in flight.
//!
//! With counted ends each member has a handle that counts, gives it up now and then for another one,
//! and takes it along when it is killed. The director has one of each side, so that the queue stays
//! open in the meantime. In the end it drops its producer, half of the producers keep theirs until
//! they are gone, and nobody closes anything: the consumers have to end by themselves.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread;
use std::time::Duration;

use crossproc::{
    Cause, Consumer, GetError, Message, Plain, Producer, Queue, TryGetError, TryPutError,
};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::schedule::mix;
use crate::storm::{Fault, Kind};
use crate::sweep::Memory;

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;
/// Items of one producer that the bitmap has bits for; then it makes no more.
pub(super) const ITEMS: u64 = 1 << 24;

/// Own word of a consumer: it is in `get`, or has not marked yet what that brought.
pub(super) const GETTING: usize = 0;

pub(super) fn arenas() -> Vec<Arena> {
    let arena =
        |name, about, build| Arena { name, about, bytes: 1 << 20, extra_words: PRODUCERS, build };
    vec![
        arena("queue-words", "items of 16 bytes: each once, in order", |setting| {
            Ok(Box::new(Flow::<(u64, u64)>::new(setting)?))
        }),
        arena("queue-320", "items of 320 bytes", |setting| {
            Ok(Box::new(Flow::<Plain<[u64; 40]>>::new(setting)?))
        }),
        arena("queue-string", "strings of up to 3 KiB, in slots and blocks", |setting| {
            Ok(Box::new(Flow::<String>::new(setting)?))
        }),
        arena(
            "queue-bytes",
            "byte vectors of up to 100 KiB, more than there is room for",
            |setting| Ok(Box::new(Flow::<Vec<u8>>::new(setting)?)),
        ),
        arena("queue-ends", "counted ends: closed by the last producer, dead or not", |setting| {
            Ok(Box::new(Flow::<(u64, u64)>::counted(setting)?))
        }),
        arena("queue-ends-string", "the same with strings", |setting| {
            Ok(Box::new(Flow::<String>::counted(setting)?))
        }),
    ]
}

/// An item that says who made it and as which, and is whole or not.
pub(super) trait Item: Message {
    /// The item `number` of `from`.
    fn make(from: u64, number: u64) -> Self;

    /// Who made it and as which; `None` if it is not whole.
    fn read(&self) -> Option<(u64, u64)>;
}

impl Item for (u64, u64) {
    fn make(from: u64, number: u64) -> Self {
        let word = number << 8 | from;
        (word, mix(word, 0))
    }

    fn read(&self) -> Option<(u64, u64)> {
        (self.1 == mix(self.0, 0)).then_some((self.0 & 0xff, self.0 >> 8))
    }
}

impl Item for Plain<[u64; 40]> {
    fn make(from: u64, number: u64) -> Self {
        let mut words = [number << 8 | from; 40];
        (1..).zip(&mut words[1..]).for_each(|(index, word)| *word = mix(*word, index));
        Self(words)
    }

    fn read(&self) -> Option<(u64, u64)> {
        let (from, number) = (self.0[0] & 0xff, self.0[0] >> 8);
        (self.0 == Self::make(from, number).0).then_some((from, number))
    }
}

impl Item for String {
    fn make(from: u64, number: u64) -> Self {
        let drawn = mix(from, number);
        let length = if drawn % 5 == 0 { drawn >> 8 & 0xfff } else { drawn >> 8 & 0x1f };
        let letters =
            (0..length.min(3000)).map(|at| char::from(b'a' + mix(drawn, at).to_le_bytes()[0] % 26));
        format!("{from} {number} {}", letters.collect::<Self>())
    }

    fn read(&self) -> Option<(u64, u64)> {
        let mut words = self.split(' ');
        let (from, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (*self == Self::make(from, number)).then_some((from, number))
    }
}

impl Item for Vec<u8> {
    fn make(from: u64, number: u64) -> Self {
        let drawn = mix(from, number);
        let most = [40, 5000, 100_000][(drawn % 3) as usize];
        let mut bytes = vec![drawn.to_le_bytes()[4]; 16 + (drawn >> 8) as usize % most];
        bytes[..8].copy_from_slice(&from.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    fn read(&self) -> Option<(u64, u64)> {
        let word = |at| Some(u64::from_le_bytes(self.get(at..at + 8)?.try_into().ok()?));
        let (from, number) = (word(0)?, word(8)?);
        (*self == Self::make(from, number)).then_some((from, number))
    }
}

/// What producers and consumers note of items, and whether it adds up; for one queue.
pub(super) struct Books {
    /// One bit for each item of each producer.
    marks: Memory,
    producers: usize,
    /// Items in flight when their producers died.
    unsure: RefCell<BTreeSet<(usize, u64)>>,
    /// Deaths of consumers that may have had an item.
    losses: Cell<u64>,
}

impl Books {
    /// Books of parts `0..producers`; the arena has a word for each of them.
    pub(super) fn new(producers: usize) -> Result<Self, Fault> {
        let bytes = usize::try_from(ITEMS / 8).unwrap_or(0) * producers;
        let marks = Memory::anonymous(bytes).map_err(|error| Fault::wrong("the marks", error))?;
        Ok(Self { marks, producers, unsure: RefCell::default(), losses: Cell::new(0) })
    }

    fn bit(&self, producer: usize, number: u64) -> (&std::sync::atomic::AtomicU64, u64) {
        let words = usize::try_from(ITEMS / 64).unwrap_or(0);
        let at = usize::try_from(number / 64).unwrap_or(usize::MAX);
        (&self.marks.words()[producer * words + at], 1 << (number % 64))
    }

    /// The highest numbers noted so far: whatever a `get` brings that begins now is younger.
    pub(super) fn floors(&self, ledger: &Ledger) -> Vec<u64> {
        ledger.extra()[..self.producers].iter().map(|word| word.load(Acquire)).collect()
    }

    /// Marks an item that a `get` brought, which began after `floors` were read.
    pub(super) fn mark(
        &self,
        ledger: &Ledger,
        item: Option<(u64, u64)>,
        floors: &[u64],
    ) -> Result<(), Fault> {
        let Some((from, number)) = item else {
            return Err(Fault::new(Kind::Torn, "an item is not whole"));
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let known = from < self.producers && number > 0;
        if !known || number > ledger.part(from).count(0).attempted() {
            let text = format!("item {number} of {from} was never put");
            return Err(Fault::new(Kind::Doubled, text));
        }
        let (word, bit) = self.bit(from, number);
        if word.fetch_or(bit, AcqRel) & bit != 0 {
            return Err(Fault::new(Kind::Doubled, format!("item {number} of {from} came twice")));
        }
        if number <= floors[from] {
            let text = format!("item {number} of {from} came after {}", floors[from]);
            return Err(Fault::new(Kind::Disorder, text));
        }
        ledger.extra()[from].fetch_max(number, AcqRel);
        Ok(())
    }

    /// A producer died.
    pub(super) fn mourn_producer(&self, part: usize, ledger: &Ledger) {
        let count = ledger.part(part).count(0);
        if let Some(number) = count.in_flight() {
            self.unsure.borrow_mut().insert((part, number));
            count.skip();
        }
    }

    /// A consumer died.
    pub(super) fn mourn_consumer(&self, part: usize, ledger: &Ledger) {
        if ledger.part(part).own(GETTING).swap(0, Relaxed) != 0 {
            self.losses.set(self.losses.get() + 1);
        }
    }

    /// Whether all adds up.
    pub(super) fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let unsure = self.unsure.borrow();
        let (mut missing, mut happened) = (Vec::new(), 0u64);
        for part in 0..self.producers {
            let count = ledger.part(part).count(0);
            for number in 1..=count.attempted() {
                let (word, bit) = self.bit(part, number);
                let got = word.load(Relaxed) & bit != 0;
                if unsure.contains(&(part, number)) {
                    happened += u64::from(got);
                } else if number > count.done() && got {
                    let text = format!("item {number} of {part} was refused, and came");
                    return Err(Fault::new(Kind::Doubled, text));
                } else if number <= count.done() && !got {
                    missing.push((part, number));
                }
            }
        }
        let may = self.losses.get();
        if missing.len() as u64 > may {
            missing.truncate(20);
            let text = format!("of accepted items, where {may} may: {missing:?}..");
            return Err(Fault::new(Kind::Lost, text));
        }
        let (lost, of) = (missing.len(), unsure.len());
        Ok(format!("in flight: {happened} of {of} put, {lost} of {may} taken"))
    }
}

struct Flow<T> {
    queue: Queue<T>,
    books: Books,
    mortal: [bool; 2],
    immortals: usize,
    /// Of the director, if ends are counted.
    ends: Option<Ends<T>>,
}

struct Ends<T> {
    /// Until the end begins.
    producer: RefCell<Option<Producer<T>>>,
    /// Until all is accounted for.
    _consumer: Consumer<T>,
}

impl<T: Item> Flow<T> {
    fn counted(setting: &Setting) -> Result<Self, Fault> {
        let flow = Self::new(setting)?;
        let producer = RefCell::new(Some(made("a producer", flow.queue.producer())?));
        let consumer = made("a consumer", flow.queue.consumer())?;
        Ok(Self { ends: Some(Ends { producer, _consumer: consumer }), ..flow })
    }

    /// A handle that counts, where ends are counted.
    fn end<H>(
        &self,
        make: impl Fn(&Queue<T>) -> crossproc::crates::queue::Result<H>,
    ) -> Result<Option<H>, Fault> {
        self.ends.as_ref().map(|_| made("a counted handle", make(&self.queue))).transpose()
    }

    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let capacity = [1, 3, 64, 1000][dice.index(&[(); 4])];
        // The places of the dead have to serve others all the time.
        let options = Queue::options().ends(PRODUCERS + 2);
        let queue = made("the queue", options.create(&setting.segment, "flow", capacity))?;
        let mortal = [[true, true], [true, false], [false, true]][dice.index(&[(); 3])];
        let immortals = dice.index(&[(); 2]);
        Ok(Self { queue, books: Books::new(PRODUCERS)?, mortal, immortals, ends: None })
    }

    fn produce(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(0);
        let mut counted = self.end(Queue::producer)?;
        while !member.leaves() {
            if member.roll(16) == 0 {
                counted = self.end(Queue::producer)?;
            }
            if count.attempted() + 1 >= ITEMS {
                thread::sleep(Duration::from_millis(1));
                member.part().advance();
                continue;
            }
            let number = count.attempt();
            member.part().set_doing(1);
            if self.put(member, T::make(member.number() as u64, number))? {
                count.finish();
                member.part().advance();
            }
        }
        if member.roll(2) == 0 {
            // It counts until this process is gone.
            std::mem::forget(counted);
        }
        Ok(())
    }

    /// Puts an item in some way; false if it was refused.
    fn put(&self, member: &Member<'_>, item: T) -> Result<bool, Fault> {
        let refused = match member.roll(8) {
            0 => self.queue.try_put(item),
            1 => self.queue.put_timeout(item, Duration::from_micros(member.roll(2000))),
            _ => match self.queue.put(item) {
                Ok(()) => return Ok(true),
                Err(crossproc::PutError::OutOfMemory { item, bytes }) => {
                    Err(TryPutError::OutOfMemory { item, bytes })
                }
                Err(error) => return Err(Fault::wrong("put", error)),
            },
        };
        match refused {
            Ok(()) => Ok(true),
            Err(TryPutError::Full(_)) => {
                thread::yield_now();
                Ok(false)
            }
            Err(TryPutError::OutOfMemory { .. }) => {
                thread::sleep(Duration::from_micros(100));
                Ok(false)
            }
            Err(error) => Err(Fault::wrong("a timed put", error)),
        }
    }

    fn consume(&self, member: &Member<'_>) -> Result<(), Fault> {
        let getting = member.part().own(GETTING);
        let mut counted = self.end(Queue::consumer)?;
        loop {
            if member.roll(16) == 0 {
                counted = counted.clone();
            }
            let floors = self.books.floors(member.ledger());
            getting.store(1, Relaxed);
            member.part().set_doing(2);
            let got = match member.roll(8) {
                0 => self.queue.try_get(),
                1 => self.queue.get_timeout(Duration::from_micros(member.roll(2000))),
                _ => self.queue.get().map_err(|error| match error {
                    GetError::Closed => TryGetError::Closed,
                    GetError::Malformed(error) => TryGetError::Malformed(error),
                    GetError::Unreachable(error) => TryGetError::Unreachable(error),
                    _ => TryGetError::Corrupt,
                }),
            };
            match got {
                Ok(item) => {
                    self.books.mark(member.ledger(), item.read(), &floors)?;
                    member.part().advance();
                }
                Err(TryGetError::Empty) => thread::yield_now(),
                Err(TryGetError::Closed) if member.leaves() => return Ok(()),
                Err(error) => return Err(Fault::wrong("get", error)),
            }
            getting.store(0, Relaxed);
            member.part().set_doing(0);
        }
    }
}

impl<T: Item> Scene for Flow<T> {
    fn cast(&self) -> Vec<Role> {
        let producer =
            |part| Role::new("producer").mortal(self.mortal[0] && part >= self.immortals);
        let consumer = |part| {
            Role::new("consumer")
                .mortal(self.mortal[1] && part >= self.immortals)
                .leaves(if self.ends.is_some() { 1 } else { 2 })
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
            None if stage == 2 => self.queue.close(),
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
