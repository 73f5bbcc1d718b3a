//! Lockers: increments under a lock, told of each death that left them half done.
//!
//! What a lock guards are a count for each part and two copies of their sum, in plain loads and
//! stores. Whoever gets the lock without news must find both copies equal to the sum; whoever is told
//! that an owner died makes them so. The counts themselves are exact: after each death the count of
//! the part that died is what it had done, or one more if it died at it.

use std::fmt::Debug;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc::crates::segment;
use crossproc::crates::sync::{NotHeld, RLock, RLockGuard};
use crossproc::{Lock, LockError, LockGuard, Segment, TryLockError};

use super::{Arena, Setting, made};
use crate::storm::ledger::{Count, Ledger};
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const LOCKS: usize = 2;
const PARTS: usize = 7;
/// Words that one lock guards: the counts, and their sum twice.
pub(super) const fn guarded_words(parts: usize) -> usize {
    parts + 2
}

pub(super) fn arenas() -> Vec<Arena> {
    let extra_words = LOCKS * guarded_words(PARTS);
    let arena = |name, about, build| Arena { name, about, bytes: 1 << 18, extra_words, build };
    vec![
        arena("lock", "increments of a guarded pair, equal unless a death was told", |setting| {
            Ok(Box::new(Locks::<Lock>::new(setting)?))
        }),
        arena("rlock", "the same, locked again inside", |setting| {
            Ok(Box::new(Locks::<RLock>::new(setting)?))
        }),
    ]
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
    pub(super) fn check(&self, when: &str) -> Result<(), Fault> {
        let (sum, copies) = (self.sum(), self.copies().map(|copy| copy.load(Relaxed)));
        if copies == [sum; 2] {
            return Ok(());
        }
        let text = format!("{when}: the counts are {sum} together, their two sums {copies:?}");
        Err(Fault::new(Kind::Torn, text))
    }

    /// Makes all agree, after a death.
    pub(super) fn mend(&self) {
        let sum = self.sum();
        self.copies().iter().for_each(|copy| copy.store(sum, Relaxed));
    }

    /// One more for `part`, in three stores, with time to die between them.
    pub(super) fn increment(&self, part: usize, pause: impl Fn()) {
        for word in [&self.0[part], self.copies()[0], self.copies()[1]] {
            word.store(word.load(Relaxed) + 1, Relaxed);
            pause();
        }
    }

    /// Compares what is there for `part` with what it did; after its death, with one in flight.
    pub(super) fn settle(&self, part: usize, count: Count<'_>) -> Result<(), Fault> {
        count.settle(self.0[part].load(Relaxed), &format!("increments of {part}"))
    }

    /// The same at the end: with nothing in flight.
    pub(super) fn finish(&self, part: usize, count: Count<'_>) -> Result<(), Fault> {
        let (found, done) = (self.0[part].load(Relaxed), count.done());
        if found == done {
            return Ok(());
        }
        let kind = if found < done { Kind::Lost } else { Kind::Doubled };
        Err(Fault::new(kind, format!("{part} did {done} increments, {found} are there")))
    }
}

/// What both sorts of lock can.
trait Door: Debug + Sized {
    type Guard<'a>: Debug
    where
        Self: 'a;

    fn create(segment: &Segment, name: &str) -> segment::Result<Self>;
    fn lock(&self) -> Result<Self::Guard<'_>, LockError<Self::Guard<'_>>>;
    fn try_lock(&self) -> Result<Self::Guard<'_>, TryLockError<Self::Guard<'_>>>;
    fn wait(&self, timeout: Duration) -> Result<Self::Guard<'_>, TryLockError<Self::Guard<'_>>>;
    fn unlock(guard: Self::Guard<'_>) -> Result<(), NotHeld>;

    /// Whether its owner may lock it again.
    const AGAIN: bool;
}

impl Door for Lock {
    type Guard<'a> = LockGuard<'a>;
    const AGAIN: bool = false;

    fn create(segment: &Segment, name: &str) -> segment::Result<Self> {
        Self::create(segment, name)
    }

    fn lock(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> {
        self.lock()
    }

    fn try_lock(&self) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.try_lock()
    }

    fn wait(&self, timeout: Duration) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.lock_timeout(timeout)
    }

    fn unlock(guard: LockGuard<'_>) -> Result<(), NotHeld> {
        guard.unlock()
    }
}

impl Door for RLock {
    type Guard<'a> = RLockGuard<'a>;
    const AGAIN: bool = true;

    fn create(segment: &Segment, name: &str) -> segment::Result<Self> {
        Self::create(segment, name)
    }

    fn lock(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'_>>> {
        self.lock()
    }

    fn try_lock(&self) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.try_lock()
    }

    fn wait(&self, timeout: Duration) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.lock_timeout(timeout)
    }

    fn unlock(guard: RLockGuard<'_>) -> Result<(), NotHeld> {
        guard.unlock()
    }
}

/// A guard, or none if the time was over, and whether the death of an owner was told with it.
pub(super) fn told<G>(result: Result<G, LockError<G>>) -> Result<Option<(G, bool)>, Fault> {
    match result {
        Ok(guard) => Ok(Some((guard, false))),
        Err(LockError::OwnerDied(guard)) => Ok(Some((guard, true))),
        Err(error) => Err(Fault::wrong("a lock", error)),
    }
}

/// The same of a form that may give up.
pub(super) fn tried<G>(result: Result<G, TryLockError<G>>) -> Result<Option<(G, bool)>, Fault> {
    match result {
        Ok(guard) => Ok(Some((guard, false))),
        Err(TryLockError::OwnerDied(guard)) => Ok(Some((guard, true))),
        Err(TryLockError::WouldBlock | TryLockError::Timeout) => Ok(None),
        Err(error) => Err(Fault::wrong("a timed lock", error)),
    }
}

struct Locks<D> {
    locks: Vec<D>,
    immortals: usize,
}

impl<D: Door> Locks<D> {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let lock = |index| made("a lock", D::create(&setting.segment, &format!("lock {index}")));
        let locks = (0..LOCKS).map(lock).collect::<Result<_, _>>()?;
        let immortals = [0, 1, 2, 2][setting.dice().index(&[(); 4])];
        Ok(Self { locks, immortals })
    }

    fn guarded(ledger: &Ledger, lock: usize) -> Guarded<'_> {
        let words = guarded_words(PARTS);
        Guarded(&ledger.extra()[lock * words..][..words])
    }

    /// Acquires the lock in some way.
    fn acquire<'a>(
        lock: &'a D,
        member: &Member<'_>,
    ) -> Result<Option<(D::Guard<'a>, bool)>, Fault> {
        match member.roll(6) {
            0 => tried(lock.try_lock()),
            1 => tried(lock.wait(Duration::from_micros(member.roll(3000)))),
            _ => told(lock.lock()),
        }
    }

    /// Locks again what is held already, some levels deep, and lets it go.
    fn again(lock: &D, member: &Member<'_>, levels: u64) -> Result<(), Fault> {
        if levels == 0 {
            return Ok(());
        }
        let Some((guard, false)) = Self::acquire(lock, member)? else {
            return Err(Fault::new(
                Kind::Wrong,
                "the owner's next level was refused, or told of a death",
            ));
        };
        member.linger();
        Self::again(lock, member, levels - 1)?;
        drop(guard);
        Ok(())
    }
}

impl<D: Door> Scene for Locks<D> {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("locker").mortal(part >= self.immortals)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["acquiring", "holding", "done"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            let index = member.index(LOCKS);
            let (lock, guarded) = (&self.locks[index], Self::guarded(member.ledger(), index));
            let count = member.part().count(index);
            member.part().set_doing(0);
            count.attempt();
            let Some((guard, told)) = Self::acquire(lock, member)? else { continue };
            member.part().set_doing(1);
            if told {
                guarded.mend();
            }
            guarded.check("a lock got without news of a death")?;
            guarded.increment(member.number(), || member.linger());
            if D::AGAIN {
                Self::again(lock, member, member.roll(4))?;
            }
            match member.roll(2) {
                0 => drop(guard),
                _ => made("unlock", D::unlock(guard))?,
            }
            count.finish();
            member.part().set_doing(2);
            member.part().advance();
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        (0..LOCKS).try_for_each(|lock| {
            Self::guarded(ledger, lock).settle(part, ledger.part(part).count(lock))
        })
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        for (index, lock) in self.locks.iter().enumerate() {
            let guarded = Self::guarded(ledger, index);
            match tried(lock.try_lock())? {
                Some((_guard, false)) => guarded.check("at the end")?,
                Some((_guard, true)) => guarded.mend(),
                None => return Err(Fault::new(Kind::Wrong, format!("held at the end: {lock:?}"))),
            }
            for part in 0..PARTS {
                guarded.finish(part, ledger.part(part).count(index))?;
            }
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.locks)
    }
}
