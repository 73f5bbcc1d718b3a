//! Producers, and consumers that lease.
//!
//! A consumer writes down which item it is about to acknowledge, acknowledges it, and marks it in a
//! bitmap. An item that is marked must never be handed out again, and at the end every item that was
//! put is marked, but for those that a consumer died over in between: these may be or not. What was
//! leased once is marked as well, and must be counted when it comes again.
//!
//! In some queues leases run out, under holders that were stopped or only slow: of all that had an item one
//! acknowledges it, and the others hear that they are too late.
//!
//! Some items are got instead: of these one may be lost with each consumer that died in it, as
//! elsewhere. Where the queue counts what is done, join must come back at the end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread;
use std::time::Duration;

use crossproc::{AckError, Lease, PutError, Queue, TryGetError};

use super::books::ITEMS;
use super::items::Item;
use super::{Arena, Setting, made};
use crate::storm::ledger::{Ledger, Part};
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};
use crate::sweep::Memory;

const PRODUCERS: usize = 2;
const CONSUMERS: usize = 5;

/// Own word of a consumer: it is in `get`, or has not marked yet what that brought.
const GETTING: usize = 0;
/// Own word of a consumer: the item that it is about to acknowledge or to mark, or 0.
const ENDING: usize = 1;
/// The same for a second lease.
const ENDING_TOO: usize = 2;

/// Longer than any storm stops a process.
const EXTENDED: Duration = Duration::from_secs(3600);
/// Most time that the last of all takes.
const SURELY: Duration = Duration::from_secs(10);
const A_LOOK: Duration = Duration::from_millis(20);

/// How long leases last. The shortest is over with the next step of their clock.
const LIMITS: [Option<Duration>; 4] =
    [None, None, Some(Duration::from_nanos(1)), Some(Duration::from_millis(30))];

pub(super) fn arenas() -> Vec<Arena> {
    let arena = |name, about, build| Arena { name, about, bytes: 1 << 20, extra_words: 0, build };
    vec![
        arena(
            "lease-words",
            "items of 16 bytes on lease: acknowledged once, none lost",
            |setting| Ok(Box::new(Leases::<(u64, u64)>::new(setting)?)),
        ),
        arena("lease-string", "strings of up to 3 KiB on lease", |setting| {
            Ok(Box::new(Leases::<String>::new(setting)?))
        }),
    ]
}

struct Leases<T> {
    queue: Queue<T>,
    /// For each item of each producer one bit: it was acknowledged; and one: it was leased once.
    marks: [Memory; 2],
    joinable: bool,
    /// Leases run out.
    limited: bool,
    mortal: [bool; 2],
    /// Items that consumers died over as they acknowledged them, and those in flight of dead producers.
    unsure: RefCell<BTreeSet<(usize, u64)>>,
    /// Deaths of consumers that may have got an item.
    losses: Cell<u64>,
    deaths: Cell<u64>,
}

impl<T: Item> Leases<T> {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let capacity = [1, 3, 64][dice.index(&[(); 3])];
        let joinable = dice.index(&[(); 2]) == 0;
        let mut options = Queue::options().leases([1, 2, 8, 64][dice.index(&[(); 4])]);
        if joinable {
            options = options.joinable();
        }
        let limit = LIMITS[dice.index(&LIMITS)];
        if let Some(limit) = limit {
            options = options.lease_limit(limit);
        }
        let queue = made("the queue", options.create(&setting.segment, "leases", capacity))?;
        let mortal = [[true, true], [false, true]][dice.index(&[(); 2])];
        let bytes = usize::try_from(ITEMS / 8).unwrap_or(0) * PRODUCERS;
        let marks = || Memory::anonymous(bytes).map_err(|error| Fault::wrong("the marks", error));
        Ok(Self {
            queue,
            marks: [marks()?, marks()?],
            joinable,
            limited: limit.is_some(),
            mortal,
            unsure: RefCell::default(),
            losses: Cell::new(0),
            deaths: Cell::new(0),
        })
    }

    fn bit(&self, which: usize, (from, number): (usize, u64)) -> (&AtomicU64, u64) {
        let words = usize::try_from(ITEMS / 64).unwrap_or(0);
        let at = usize::try_from(number / 64).unwrap_or(usize::MAX);
        (&self.marks[which].words()[from * words + at], 1 << (number % 64))
    }

    /// Which item it is, if it is one that was put and that nobody has done with.
    fn known(&self, ledger: &Ledger, item: &T) -> Result<(usize, u64), Fault> {
        let item = self.put_once(ledger, item)?;
        if self.is_done(item) {
            let (from, number) = item;
            let text = format!("item {number} of {from} came after it was done");
            return Err(Fault::new(Kind::Doubled, text));
        }
        Ok(item)
    }

    fn is_done(&self, item: (usize, u64)) -> bool {
        let (word, bit) = self.bit(0, item);
        word.load(Acquire) & bit != 0
    }

    /// Which item it is, if it is one that was put.
    fn put_once(&self, ledger: &Ledger, item: &T) -> Result<(usize, u64), Fault> {
        let Some((from, number)) = item.read() else {
            return Err(Fault::new(Kind::Torn, "an item is not whole"));
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let put = from < PRODUCERS && number > 0;
        if !put || number > ledger.part(from).count(0).attempted() {
            return Err(Fault::new(
                Kind::Doubled,
                format!("item {number} of {from} was never put"),
            ));
        }
        Ok((from, number))
    }

    fn mark(&self, which: usize, item: (usize, u64)) -> Result<(), Fault> {
        let (word, bit) = self.bit(which, item);
        if word.fetch_or(bit, AcqRel) & bit == 0 {
            return Ok(());
        }
        let (from, number) = item;
        let what = ["done twice", "handed out again, and not counted"][which];
        Err(Fault::new(Kind::Doubled, format!("item {number} of {from} was {what}")))
    }

    fn produce(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(0);
        while !member.leaves() {
            // Before the attempt: what was attempted has to have a mark, should this producer die.
            if count.attempted() + 1 >= ITEMS {
                thread::sleep(Duration::from_millis(1));
                member.part().advance();
                continue;
            }
            let number = count.attempt();
            member.part().set_doing(1);
            match self.queue.put(T::make(member.number() as u64, number)) {
                Ok(()) => {
                    count.finish();
                    member.part().advance();
                }
                Err(PutError::OutOfMemory { .. }) => thread::sleep(Duration::from_micros(100)),
                Err(error) => return Err(Fault::wrong("put", error)),
            }
        }
        Ok(())
    }

    fn consume(&self, member: &Member<'_>) -> Result<(), Fault> {
        loop {
            let goes_on = match member.roll(10) {
                0 => self.get(member)?,
                1 => self.two(member)?,
                _ => self.one(member)?,
            };
            member.part().set_doing(0);
            if !goes_on && member.leaves() {
                return Ok(());
            }
        }
    }

    /// Whether there may be more.
    fn get(&self, member: &Member<'_>) -> Result<bool, Fault> {
        let getting = member.part().own(GETTING);
        getting.store(1, Relaxed);
        member.part().set_doing(2);
        let got = if member.roll(2) == 0 {
            self.queue.try_get()
        } else {
            self.queue.get_timeout(Duration::from_micros(member.roll(2000)))
        };
        let goes_on = match got {
            Ok(item) => {
                let item = self.known(member.ledger(), &item)?;
                self.mark(0, item)?;
                if self.joinable {
                    self.queue.task_done().map_err(|error| Fault::wrong("task_done", error))?;
                }
                member.part().advance();
                true
            }
            Err(TryGetError::Empty | TryGetError::AllLeased) => true,
            Err(TryGetError::Closed) => false,
            Err(error) => return Err(Fault::wrong("get", error)),
        };
        getting.store(0, Relaxed);
        Ok(goes_on)
    }

    fn one(&self, member: &Member<'_>) -> Result<bool, Fault> {
        member.part().set_doing(3);
        let got = match member.roll(4) {
            0 => self.queue.try_lease(),
            1 => self.queue.lease_timeout(Duration::from_micros(member.roll(2000))),
            _ => self.queue.lease().map_err(TryGetError::from),
        };
        let Some(lease) = self.leased(got)? else { return Ok(true) };
        let Some(lease) = lease else { return Ok(false) };
        self.finish(member, lease, ENDING)?;
        Ok(true)
    }

    /// Two at once; the second without waiting, since all others may do the same.
    fn two(&self, member: &Member<'_>) -> Result<bool, Fault> {
        member.part().set_doing(3);
        let Some(Some(first)) = self.leased(self.queue.try_lease())? else { return Ok(true) };
        let second = self.leased(self.queue.try_lease())?.flatten();
        if let Some(second) = second {
            self.finish(member, second, ENDING_TOO)?;
        }
        self.finish(member, first, ENDING)?;
        Ok(true)
    }

    /// `None` for nothing yet, `Some(None)` for nothing any more.
    #[expect(clippy::option_option, reason = "private, and told apart at once")]
    fn leased<'q>(
        &self,
        got: Result<Lease<'q, T>, TryGetError>,
    ) -> Result<Option<Option<Lease<'q, T>>>, Fault> {
        match got {
            Ok(lease) => Ok(Some(Some(lease))),
            Err(TryGetError::Empty | TryGetError::AllLeased) => {
                thread::yield_now();
                Ok(None)
            }
            Err(TryGetError::Closed) => Ok(Some(None)),
            Err(error) => Err(Fault::wrong("lease", error)),
        }
    }

    /// Acknowledges, perhaps after it has extended the lease, or gives back.
    fn finish(
        &self,
        member: &Member<'_>,
        mut lease: Lease<'_, T>,
        own: usize,
    ) -> Result<(), Fault> {
        let item = self.put_once(member.ledger(), &lease)?;
        if self.is_done(item) {
            return self.too_late(lease, item);
        }
        if lease.deliveries() == 1 {
            self.mark(1, item)?;
        }
        member.part().set_doing(4);
        match member.roll(12) {
            0 => lease.nack(),
            1 => drop(lease),
            2 if self.limited && lease.extend(EXTENDED).is_ok() => {
                if !self.end(member.part(), lease, item, own)? {
                    return Err(Fault::new(Kind::Wrong, "a lease that was extended ran out"));
                }
            }
            _ => {
                if self.end(member.part(), lease, item, own)? {
                    member.part().advance();
                }
            }
        }
        Ok(())
    }

    /// Acknowledges; false if the lease had run out.
    fn end(
        &self,
        part: Part<'_>,
        lease: Lease<'_, T>,
        item: (usize, u64),
        own: usize,
    ) -> Result<bool, Fault> {
        part.own(own).store((item.0 as u64 + 1) << 56 | item.1, Relaxed);
        let acked = match lease.ack() {
            Ok(_) => {
                self.mark(0, item)?;
                true
            }
            Err(AckError::Expired) if self.limited => false,
            Err(error) => return Err(Fault::wrong("ack", error)),
        };
        part.own(own).store(0, Relaxed);
        Ok(acked)
    }

    /// An item is done that is on lease here: that may be if the lease has run out, and only then.
    fn too_late(&self, lease: Lease<'_, T>, item: (usize, u64)) -> Result<(), Fault> {
        match lease.ack() {
            Err(AckError::Expired) if self.limited => Ok(()),
            _ => {
                let (from, number) = item;
                let text = format!("item {number} of {from} came after it was done");
                Err(Fault::new(Kind::Doubled, text))
            }
        }
    }

    /// What the last consumers left.
    fn harvest(&self, ledger: &Ledger) -> Result<(), Fault> {
        loop {
            match self.queue.lease_timeout(A_LOOK) {
                Ok(lease) => {
                    let item = self.known(ledger, &lease)?;
                    lease.ack().map_err(|error| Fault::wrong("ack", error))?;
                    self.mark(0, item)?;
                }
                Err(TryGetError::Closed) => return Ok(()),
                Err(error) => return Err(Fault::wrong("the last lease", error)),
            }
        }
    }
}

impl<T: Item> Scene for Leases<T> {
    fn cast(&self) -> Vec<Role> {
        let producer = Role::new("producer").mortal(self.mortal[0]);
        let consumer = Role::new("consumer").mortal(self.mortal[1]).leaves(2);
        let producers = (0..PRODUCERS).map(|_| producer);
        producers.chain((0..CONSUMERS).map(|_| consumer)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["between", "in put", "in get", "in lease", "with a lease"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() < PRODUCERS { self.produce(member) } else { self.consume(member) }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        self.deaths.set(self.deaths.get() + 1);
        if part < PRODUCERS {
            let count = ledger.part(part).count(0);
            if let Some(number) = count.in_flight() {
                self.unsure.borrow_mut().insert((part, number));
                count.skip();
            }
            return Ok(());
        }
        for own in [ENDING, ENDING_TOO] {
            let ending = ledger.part(part).own(own).swap(0, Relaxed);
            if let Some(from) =
                usize::try_from(ending >> 56).ok().and_then(|from| from.checked_sub(1))
            {
                self.unsure.borrow_mut().insert((from, ending & ((1 << 56) - 1)));
            }
        }
        let lost = ledger.part(part).own(GETTING).swap(0, Relaxed) != 0;
        self.losses.set(self.losses.get() + u64::from(lost));
        Ok(())
    }

    fn stage(&self, stage: u64) {
        if stage == 2 {
            self.queue.close();
        }
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        self.harvest(ledger)?;
        if !self.queue.is_empty() || self.queue.leased() != 0 {
            return Err(Fault::new(Kind::Wrong, format!("not drained: {:?}", self.queue)));
        }
        if self.joinable {
            let joined = self.queue.join_timeout(SURELY);
            joined.map_err(|error| Fault::wrong("join with nothing left", error))?;
        }
        let unsure = self.unsure.borrow();
        let mut missing = Vec::new();
        for from in 0..PRODUCERS {
            let count = ledger.part(from).count(0);
            for number in 1..=count.attempted() {
                let (word, bit) = self.bit(0, (from, number));
                let done = word.load(Relaxed) & bit != 0;
                if !done && number <= count.done() && !unsure.contains(&(from, number)) {
                    missing.push((from, number));
                }
            }
        }
        let may = self.losses.get();
        if missing.len() as u64 > may {
            missing.truncate(20);
            let text = format!("of accepted items, where {may} may: {missing:?}..");
            return Err(Fault::new(Kind::Lost, text));
        }
        let (lost, unsure, deaths) = (missing.len(), unsure.len(), self.deaths.get());
        Ok(format!("{deaths} deaths: {unsure} over an ack or a put, {lost} of {may} lost in get"))
    }

    fn describe(&self) -> String {
        format!("{:?}, {} on lease", self.queue, self.queue.leased())
    }
}
