//! Messages with handles in them: each item brings a value, in which whoever gets it adds one.
//!
//! Items are accounted for as in the arenas of queues; what was added in the values is exact for each
//! consumer, since each has a count of its own in each value.

use std::sync::atomic::Ordering::Relaxed;

use crossproc::{GetError, Queue, TryGetError, Value};

use super::books::{Books, GETTING};
use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;
const VALUES: usize = 4;
/// The count of a consumer's additions; its first own word says whether it is in `get`.
const ADDED: usize = 1;

type Counts = [u64; CONSUMERS];
type Parcel = (u64, u64, Value<Counts>);

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "queue-handles",
        about: "items with a handle inside, which whoever gets it uses",
        bytes: 1 << 20,
        extra_words: PRODUCERS,
        build: |setting| Ok(Box::new(Post::new(setting)?)),
    }]
}

struct Post {
    queue: Queue<Parcel>,
    values: Vec<Value<Counts>>,
    books: Books,
    mortal: [bool; 2],
}

impl Post {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let segment = &setting.segment;
        let capacity = [1, 5, 100][dice.index(&[(); 3])];
        let queue = made("the queue", Queue::create(segment, "post", capacity))?;
        let value = |index| Value::create(segment, &format!("value {index}"), [0; CONSUMERS]);
        let values = made("a value", (0..VALUES).map(value).collect::<Result<_, _>>())?;
        let mortal = [[true, true], [true, false], [false, true]][dice.index(&[(); 3])];
        Ok(Self { queue, values, books: Books::new(PRODUCERS)?, mortal })
    }

    fn produce(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(0);
        while !member.leaves() {
            let number = count.attempt();
            let value = self.values[member.index(VALUES)].clone();
            made("put", self.queue.put((member.number() as u64, number, value)))?;
            count.finish();
            member.part().advance();
        }
        Ok(())
    }

    fn consume(&self, member: &Member<'_>) -> Result<(), Fault> {
        let getting = member.part().own(GETTING);
        let (added, number) = (member.part().count(ADDED), member.number() - PRODUCERS);
        loop {
            let floors = self.books.floors(member.ledger());
            getting.store(1, Relaxed);
            member.part().set_doing(1);
            let (from, item, value) = match self.queue.get() {
                Ok(parcel) => parcel,
                Err(GetError::Closed) if member.leaves() => return Ok(()),
                Err(error) => return Err(Fault::wrong("get", error)),
            };
            self.books.mark(member.ledger(), Some((from, item)), &floors)?;
            getting.store(0, Relaxed);
            member.part().set_doing(2);
            added.attempt();
            made("update", value.update(|counts| counts[number] += 1))?;
            added.finish();
            member.part().advance();
        }
    }

    fn settle(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let added = self.values.iter().map(|value| value.get()[part - PRODUCERS]).sum();
        ledger.part(part).count(ADDED).settle(added, &format!("what consumer {part} added"))
    }
}

impl Scene for Post {
    fn cast(&self) -> Vec<Role> {
        let role = |name, mortal| Role::new(name).mortal(mortal);
        let producers = (0..PRODUCERS).map(|_| role("sender", self.mortal[0]));
        let consumers = (0..CONSUMERS).map(|_| role("receiver", self.mortal[1]).leaves(2));
        producers.chain(consumers).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["in put", "in get", "adding"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() < PRODUCERS { self.produce(member) } else { self.consume(member) }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        if part < PRODUCERS {
            self.books.mourn_producer(part, ledger);
            return Ok(());
        }
        self.books.mourn_consumer(part, ledger);
        self.settle(part, ledger)
    }

    fn stage(&self, stage: u64) {
        if stage == 2 {
            self.queue.close();
        }
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        if !matches!(self.queue.try_get(), Err(TryGetError::Closed)) || !self.queue.is_empty() {
            return Err(Fault::new(Kind::Wrong, format!("not drained: {:?}", self.queue)));
        }
        for part in PRODUCERS..PRODUCERS + CONSUMERS {
            self.settle(part, ledger)?;
        }
        self.books.account(ledger)
    }

    fn describe(&self) -> String {
        format!("{:?} {:?}", self.queue, self.values)
    }
}
