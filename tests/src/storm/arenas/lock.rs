//! Lockers: increments under a lock, told of each death that left them half done.
//!
//! What the lock guards are a count for each part and two copies of their sum, in plain loads and
//! stores. Whoever gets the lock without news must find both copies equal to the sum; whoever is told
//! that an owner died makes them so. The counts themselves are exact: after each death the count of
//! the part that died is what it had done, or one more if it died at it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc::{Lock, LockError, LockGuard, TryLockError};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const LOCKS: usize = 2;
const PARTS: usize = 7;
/// Words that one lock guards: the counts, and their sum twice.
const GUARDED: usize = PARTS + 2;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "lock",
        about: "increments of a guarded pair: equal, unless the death of an owner was told",
        bytes: 1 << 18,
        extra_words: LOCKS * GUARDED,
        build: |setting| Ok(Box::new(Locks::new(setting)?)),
    }]
}

/// The words that a lock guards.
pub(super) struct Guarded<'a>(pub(super) &'a [AtomicU64]);

impl Guarded<'_> {
    fn parts(&self) -> usize {
        self.0.len() - 2
    }

    fn sum(&self) -> u64 {
        self.0[..self.parts()].iter().map(|count| count.load(Relaxed)).sum()
    }

    fn copies(&self) -> [&AtomicU64; 2] {
        [&self.0[self.parts()], &self.0[self.parts() + 1]]
    }

    /// Whether all agrees.
    pub(super) fn check(&self, news: &str) -> Result<(), Fault> {
        let (sum, copies) = (self.sum(), self.copies().map(|copy| copy.load(Relaxed)));
        if copies == [sum; 2] {
            return Ok(());
        }
        let text = format!("{news}: the counts are {sum} together, their two sums {copies:?}");
        Err(Fault::new(Kind::Torn, text))
    }

    /// Makes all agree, after a death.
    pub(super) fn mend(&self) {
        let sum = self.sum();
        self.copies().iter().for_each(|copy| copy.store(sum, Relaxed));
    }

    /// One more for `part`, in three stores, with time to die between them.
    pub(super) fn increment(&self, part: usize, mut pause: impl FnMut()) {
        for word in [&self.0[part], self.copies()[0], self.copies()[1]] {
            word.store(word.load(Relaxed) + 1, Relaxed);
            pause();
        }
    }

    pub(super) fn count(&self, part: usize) -> u64 {
        self.0[part].load(Relaxed)
    }
}

struct Locks {
    locks: Vec<Lock>,
    immortals: usize,
}

impl Locks {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let lock = |index| Lock::create(&setting.segment, &format!("lock {index}"));
        let locks = made("a lock", (0..LOCKS).map(lock).collect::<Result<_, _>>())?;
        let immortals = [0, 1, 2, 2][setting.dice().index(&[(); 4])];
        Ok(Self { locks, immortals })
    }

    fn guarded<'a>(ledger: &'a Ledger, lock: usize) -> Guarded<'a> {
        Guarded(&ledger.extra()[lock * GUARDED..][..GUARDED])
    }

    /// Acquires the lock in some way; `None` if that was in vain. Whether an owner's death was told
    /// comes with the guard.
    fn acquire<'a>(
        lock: &'a Lock,
        member: &Member<'_>,
    ) -> Result<Option<(LockGuard<'a>, bool)>, Fault> {
        let timed = match member.roll(6) {
            0 => lock.try_lock(),
            1 => lock.lock_timeout(Duration::from_micros(member.roll(3000))),
            _ => {
                return match lock.lock() {
                    Ok(guard) => Ok(Some((guard, false))),
                    Err(LockError::OwnerDied(guard)) => Ok(Some((guard, true))),
                    Err(error) => Err(Fault::wrong("lock", error)),
                };
            }
        };
        match timed {
            Ok(guard) => Ok(Some((guard, false))),
            Err(TryLockError::OwnerDied(guard)) => Ok(Some((guard, true))),
            Err(TryLockError::WouldBlock | TryLockError::Timeout) => Ok(None),
            Err(error) => Err(Fault::wrong("a timed lock", error)),
        }
    }
}

impl Scene for Locks {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("locker").mortal(part >= self.immortals)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["acquiring", "holding", "done"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            let index = member.index(LOCKS);
            let guarded = Self::guarded(member.ledger(), index);
            let count = member.part().count(index);
            member.part().set_doing(0);
            count.attempt();
            let Some((guard, told)) = Self::acquire(&self.locks[index], member)? else { continue };
            member.part().set_doing(1);
            if told {
                guarded.mend();
            }
            guarded.check("a lock got without news of a death")?;
            guarded.increment(member.number(), || member.linger());
            match member.roll(2) {
                0 => drop(guard),
                _ => made("unlock", guard.unlock())?,
            }
            count.finish();
            member.part().set_doing(2);
            member.part().advance();
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        for lock in 0..LOCKS {
            let found = Self::guarded(ledger, lock).count(part);
            ledger.part(part).count(lock).settle(found, &format!("locker {part}, lock {lock}"))?;
        }
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        for (index, lock) in self.locks.iter().enumerate() {
            let guarded = Self::guarded(ledger, index);
            match lock.try_lock() {
                Ok(_guard) => guarded.check("at the end")?,
                Err(TryLockError::OwnerDied(_guard)) => guarded.mend(),
                Err(error) => return Err(Fault::wrong("the lock at the end", error)),
            }
            for part in 0..PARTS {
                let done = ledger.part(part).count(index).done();
                let found = guarded.count(part);
                if found != done {
                    let kind = if found < done { Kind::Lost } else { Kind::Doubled };
                    let text = format!("locker {part} did {done} increments, {found} are there");
                    return Err(Fault::new(kind, text));
                }
            }
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.locks)
    }
}
