//! A bounded store between producers and consumers: one lock, two condition variables.
//!
//! Under the lock each member counts, in one store, what it put or took; what is in the store is the
//! difference, and never below nothing or above the bound. Whoever finds it full or empty waits to be
//! told. The counts are exact: after each death as it was done, or one more if it died at it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc::crates::sync::{Condvar, Lock, LockError, LockGuard};

use super::lock::told;
use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 3;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "condvar",
        about: "a bounded store under a lock: who waits for room or for things is told",
        bytes: 1 << 17,
        extra_words: PRODUCERS + CONSUMERS,
        build: |setting| Ok(Box::new(Store::new(setting)?)),
    }]
}

struct Store {
    lock: Lock,
    room: Condvar,
    things: Condvar,
    most: u64,
    immortals: usize,
}

impl Store {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let (mut dice, segment) = (setting.dice(), &setting.segment);
        Ok(Self {
            lock: made("a lock", Lock::create(segment, "lock"))?,
            room: made("a condvar", Condvar::create(segment, "room"))?,
            things: made("a condvar", Condvar::create(segment, "things"))?,
            most: [1, 3, 50][dice.index(&[(); 3])],
            immortals: dice.index(&[(); 2]),
        })
    }

    /// What is in the store, with the lock held.
    fn level(&self, ledger: &Ledger) -> Result<u64, Fault> {
        let sum = |parts: std::ops::Range<usize>| -> u64 {
            ledger.extra()[parts].iter().map(|count| count.load(Relaxed)).sum()
        };
        let (put, taken) = (sum(0..PRODUCERS), sum(PRODUCERS..PRODUCERS + CONSUMERS));
        match put.checked_sub(taken) {
            Some(level) if level <= self.most => Ok(level),
            _ => {
                let text = format!("{put} put, {taken} taken, where {} have room", self.most);
                Err(Fault::new(Kind::Torn, text))
            }
        }
    }

    /// Waits to be told, in some way.
    fn wait<'a>(
        condvar: &Condvar,
        guard: LockGuard<'a>,
        member: &Member<'_>,
    ) -> Result<LockGuard<'a>, Fault> {
        member.part().set_doing(1);
        let waited = if member.roll(4) == 0 {
            let timeout = Duration::from_micros(member.roll(3000));
            match condvar.wait_timeout(guard, timeout) {
                Ok((guard, _)) => Ok(guard),
                Err(LockError::OwnerDied((guard, _))) => Err(LockError::OwnerDied(guard)),
                Err(error) => return Err(Fault::wrong("a timed wait", error)),
            }
        } else {
            condvar.wait(guard)
        };
        // One store is all that is done under the lock, so a death leaves nothing half done.
        told(waited)?.map(|(guard, _)| guard).ok_or_else(|| Fault::new(Kind::Wrong, "no guard"))
    }

    /// Puts or takes one; false if it is time to leave.
    fn step(&self, member: &Member<'_>, puts: bool) -> Result<bool, Fault> {
        let (mine, theirs) =
            if puts { (&self.room, &self.things) } else { (&self.things, &self.room) };
        let count = member.part().count(0);
        member.part().set_doing(0);
        let Some((mut guard, _)) = told(self.lock.lock())? else { return Ok(true) };
        loop {
            let level = self.level(member.ledger())?;
            let can = if puts { level < self.most } else { level > 0 };
            if member.leaves() && (puts || !can) {
                return Ok(false);
            }
            if can {
                break;
            }
            guard = Self::wait(mine, guard, member)?;
        }
        member.part().set_doing(2);
        count.attempt();
        let word = &member.ledger().extra()[member.number()];
        word.store(word.load(Relaxed) + 1, Relaxed);
        member.linger();
        match member.roll(4) {
            0 => theirs.notify_all(),
            1 => theirs.notify_n(2),
            _ => theirs.notify_one(),
        }
        drop(guard);
        count.finish();
        member.part().advance();
        Ok(true)
    }
}

impl Scene for Store {
    fn cast(&self) -> Vec<Role> {
        let mortal = |part: usize| part >= self.immortals;
        let producer = |part| Role::new("producer").mortal(mortal(part));
        let consumer = |part| Role::new("consumer").mortal(mortal(part)).leaves(2);
        (0..PRODUCERS).map(producer).chain((0..CONSUMERS).map(consumer)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["locking", "waiting", "holding"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while self.step(member, member.number() < PRODUCERS)? {}
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let found = ledger.extra()[part].load(Relaxed);
        ledger.part(part).count(0).settle(found, &format!("what {part} put or took"))
    }

    /// Whoever waits has to look whether it is time to leave. With the lock, so that nobody is
    /// between that look and its wait; its last owner may be dead.
    fn stage(&self, _stage: u64) {
        let guard = self.lock.lock_timeout(Duration::from_secs(5));
        self.room.notify_all();
        self.things.notify_all();
        drop(guard);
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let level = self.level(ledger)?;
        if level != 0 {
            return Err(Fault::new(Kind::Wrong, format!("{level} left behind")));
        }
        for part in 0..PRODUCERS + CONSUMERS {
            let (found, done) =
                (ledger.extra()[part].load(Relaxed), ledger.part(part).count(0).done());
            if found != done {
                let kind = if found < done { Kind::Lost } else { Kind::Doubled };
                return Err(Fault::new(kind, format!("{part} did {done}, {found} are there")));
            }
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?} {:?} {:?}", self.lock, self.room, self.things)
    }
}
