//! Several primitives together: jobs in a queue, workers that count each under a lock and in a value
//! and pass it on, collectors.
//!
//! A job is collected once, or was in the hands of a worker or a collector that was killed. What a
//! worker counted under the lock and in the value is exact.

use std::sync::atomic::Ordering::Relaxed;

use crossproc::{GetError, Lock, Queue, TryGetError, Value};

use super::books::{Books, GETTING};
use super::lock::{Guarded, guarded_words, told, tried};
use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PRODUCERS: usize = 2;
const WORKERS: usize = 3;
const COLLECTORS: usize = 2;
const PARTS: usize = PRODUCERS + WORKERS + COLLECTORS;
/// Counts of a worker, behind the word that says whether it has a job.
const LOCKED: usize = 1;
const UPDATED: usize = 2;

type Job = (u64, u64, String);

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "pipeline",
        about: "queue, lock, value, queue: each job collected once, each step counted",
        bytes: 1 << 20,
        extra_words: PRODUCERS + guarded_words(PARTS),
        build: |setting| Ok(Box::new(Pipeline::new(setting)?)),
    }]
}

struct Pipeline {
    jobs: Queue<Job>,
    results: Queue<Job>,
    lock: Lock,
    counts: Value<[u64; PARTS]>,
    books: Books,
    immortals: usize,
}

impl Pipeline {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let (mut dice, segment) = (setting.dice(), &setting.segment);
        let capacity = [1, 4, 50][dice.index(&[(); 3])];
        Ok(Self {
            jobs: made("a queue", Queue::create(segment, "jobs", capacity))?,
            results: made("a queue", Queue::create(segment, "results", capacity))?,
            lock: made("a lock", Lock::create(segment, "lock"))?,
            counts: made("a value", Value::create(segment, "counts", [0; PARTS]))?,
            books: Books::new(PRODUCERS)?,
            immortals: dice.index(&[(); 2]),
        })
    }

    fn guarded(ledger: &Ledger) -> Guarded<'_> {
        Guarded(&ledger.extra()[PRODUCERS..])
    }

    fn produce(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(0);
        while !member.leaves() {
            let number = count.attempt();
            let text = "x".repeat((number % 300) as usize);
            made("put", self.jobs.put((member.number() as u64, number, text)))?;
            count.finish();
            member.part().advance();
        }
        Ok(())
    }

    /// The next of a queue; `None` once it is closed and drained.
    fn next(member: &Member<'_>, queue: &Queue<Job>) -> Result<Option<Job>, Fault> {
        member.part().own(GETTING).store(1, Relaxed);
        match queue.get() {
            Ok(job) if job.2.len() as u64 == job.1 % 300 => Ok(Some(job)),
            Ok(job) => Err(Fault::new(Kind::Torn, format!("a job: {job:?}"))),
            Err(GetError::Closed) if member.leaves() => Ok(None),
            Err(error) => Err(Fault::wrong("get", error)),
        }
    }

    fn work(&self, member: &Member<'_>) -> Result<(), Fault> {
        let (locked, updated) = (member.part().count(LOCKED), member.part().count(UPDATED));
        let guarded = Self::guarded(member.ledger());
        while let Some(job) = Self::next(member, &self.jobs)? {
            locked.attempt();
            let Some((guard, told)) = told(self.lock.lock())? else { continue };
            if told {
                guarded.mend();
            }
            guarded.check("a lock got without news of a death")?;
            guarded.increment(member.number(), || {});
            drop(guard);
            locked.finish();
            updated.attempt();
            made("update", self.counts.update(|counts| counts[member.number()] += 1))?;
            updated.finish();
            made("put", self.results.put(job))?;
            member.part().own(GETTING).store(0, Relaxed);
            member.part().advance();
        }
        Ok(())
    }

    fn collect(&self, member: &Member<'_>) -> Result<(), Fault> {
        while let Some((from, number, _)) = Self::next(member, &self.results)? {
            // Workers overtake each other, so there is no order to check.
            self.books.mark(member.ledger(), Some((from, number)), &[0; PRODUCERS])?;
            member.part().own(GETTING).store(0, Relaxed);
            member.part().advance();
        }
        Ok(())
    }

    fn settle(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        Self::guarded(ledger).settle(part, ledger.part(part).count(LOCKED))?;
        let updated = self.counts.get()[part];
        ledger.part(part).count(UPDATED).settle(updated, &format!("updates of {part}"))
    }
}

impl Scene for Pipeline {
    fn cast(&self) -> Vec<Role> {
        let mortal = |part: usize| part >= self.immortals;
        let producer = |part| Role::new("producer").mortal(mortal(part));
        let worker = |part| Role::new("worker").mortal(mortal(part)).leaves(2);
        let collector = |part| Role::new("collector").mortal(mortal(part)).leaves(3);
        let first = (0..PRODUCERS).map(producer).chain((0..WORKERS).map(worker));
        first.chain((0..COLLECTORS).map(collector)).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        match member.number() {
            0..PRODUCERS => self.produce(member),
            part if part < PRODUCERS + WORKERS => self.work(member),
            _ => self.collect(member),
        }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        if part < PRODUCERS {
            self.books.mourn_producer(part, ledger);
            return Ok(());
        }
        self.books.mourn_consumer(part, ledger);
        if part < PRODUCERS + WORKERS { self.settle(part, ledger) } else { Ok(()) }
    }

    fn stage(&self, stage: u64) {
        match stage {
            2 => self.jobs.close(),
            3 => self.results.close(),
            _ => {}
        }
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        for queue in [&self.jobs, &self.results] {
            if !matches!(queue.try_get(), Err(TryGetError::Closed)) || !queue.is_empty() {
                return Err(Fault::new(Kind::Wrong, format!("not drained: {queue:?}")));
            }
        }
        let guarded = Self::guarded(ledger);
        match tried(self.lock.try_lock())? {
            Some((_guard, false)) => guarded.check("at the end")?,
            Some((_guard, true)) => guarded.mend(),
            None => return Err(Fault::new(Kind::Wrong, format!("held: {:?}", self.lock))),
        }
        for part in PRODUCERS..PRODUCERS + WORKERS {
            self.settle(part, ledger)?;
        }
        self.books.account(ledger)
    }

    fn describe(&self) -> String {
        format!("{:?} {:?} {:?} {:?}", self.jobs, self.lock, self.counts, self.results)
    }
}
