//! The lock that its owner may lock again: every level entered and left, taken over from the dead.
//!
//! What it guards is a pair of words that are equal whenever nobody holds it. The victim makes one
//! larger at the first level and the other at the second; survivors find them equal unless they
//! were told of a death, and begin at depth one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc::RLock;
use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{LockError, RLockGuard, TryLockError};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, Witness, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("rlock lock + lock + unlock + unlock", "free", free),
    Entry::new("rlock try_lock + lock + unlock + unlock", "free", free_try),
    Entry::new("rlock lock + lock + unlock + unlock", "holder dead at depth two", holder_dead),
    Entry::new("rlock lock + lock + unlock + unlock", "earlier death in the same", after_death),
    Entry::new("rlock unlock + unlock", "waiter asleep", waiter_asleep),
    Entry::new("rlock lock", "behind a living holder", behind_holder),
];

const TOLD: u64 = 1;
const NOT_TOLD: u64 = 2;
const REFUSED: u64 = 3;
/// What another process makes of the pair while the victim stands still.
const OTHER: u64 = 500;

/// A lock and the two words behind it.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    lock: RLock,
    pair: Object,
}

/// How a victim takes the first level.
type Acquire = for<'l> fn(&'l RLock) -> Entered<'l>;

/// A guard, and whether its taker was told of a death.
type Entered<'l> = Option<(RLockGuard<'l>, u64)>;

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let lock = RLock::new_in(&segment).map_err(text)?;
        let shape = Shape::untyped("sweep pair", 1);
        let pair = segment.construct(None, &shape, 16, |_| {}).map_err(text)?;
        Ok((Self { segment, lock, pair }, memory))
    }

    /// A stage whose lock is held twice by a process that is no more.
    fn with_dead_holder() -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new()?;
        crate::sweep::in_child(|| {
            std::mem::forget((stage.lock.lock(), stage.lock.lock()));
            Ok(())
        })?;
        Ok((stage, memory))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < 2, "a pair has two words");
        // SAFETY: the body has two words, and stays mapped as long as `self` lives.
        let word = unsafe { self.pair.body().cast::<AtomicU64>().add(at) };
        // SAFETY: aligned, and everybody reaches it by atomics only.
        unsafe { word.as_ref() }
    }

    /// Makes both words `value`: the first by the first level, the second by one within.
    fn bump(&self, value: u64) {
        self.word(0).store(value, Relaxed);
        let inner = self.lock.lock();
        if inner.is_ok() {
            self.word(1).store(value, Relaxed);
        }
    }

    /// A victim that has the lock twice, makes the words `value`, and leaves level by level.
    fn victim(&self, acquire: Acquire, value: u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || {
                let Some((guard, told)) = acquire(&stage.lock) else { return REFUSED };
                stage.bump(value);
                drop(guard);
                told
            }
        })
    }

    /// Locks and says if it was told of a death; then the pair is whole, and the depth one.
    fn enter(&self) -> Result<(RLockGuard<'_>, bool), String> {
        let (guard, told) = match self.lock.lock() {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(guard)) => (guard, true),
            Err(error) => return Err(format!("lock: {error}")),
        };
        if self.lock.depth() != 1 {
            return Err(format!("begins at depth {}", self.lock.depth()));
        }
        let (one, two) = (self.word(0).load(Relaxed), self.word(1).load(Relaxed));
        if told {
            self.word(1).store(one, Relaxed);
        } else if one != two {
            return Err(format!("the pair is {one}, {two}, and nobody was told"));
        }
        Ok((guard, told))
    }

    /// What a third process does, asleep in it when the victim dies.
    fn wait(&self) -> u64 {
        match self.enter() {
            Ok((_guard, true)) => TOLD,
            Ok((_guard, false)) => NOT_TOLD,
            Err(_) => 0,
        }
    }

    /// The lock works as a new one does.
    fn works(&self) -> Result<(), String> {
        let (guard, told) = self.enter()?;
        if told {
            return Err("told of a death that another was told of".to_owned());
        }
        let inner = self.lock.lock().map_err(text)?;
        if self.lock.depth() != 2 {
            return Err(format!("locked twice, and the depth is {}", self.lock.depth()));
        }
        drop(guard);
        if !self.lock.is_held_by_me() {
            return Err("one level left, and not held".to_owned());
        }
        drop(inner);
        if self.lock.is_held_by_me() {
            return Err("no level left, and held".to_owned());
        }
        self.lock.try_lock().map(drop).map_err(text)
    }

    /// Enters once, then the lock works; says what the pair was and if told.
    fn check(&self) -> Result<(u64, bool), String> {
        let (guard, told) = self.enter()?;
        let value = self.word(0).load(Relaxed);
        drop(guard);
        self.works()?;
        Ok((value, told))
    }
}

fn by_lock(lock: &RLock) -> Entered<'_> {
    match lock.lock() {
        Ok(guard) => Some((guard, NOT_TOLD)),
        Err(LockError::OwnerDied(guard)) => Some((guard, TOLD)),
        Err(_) => None,
    }
}

fn by_try_lock(lock: &RLock) -> Entered<'_> {
    match lock.try_lock() {
        Ok(guard) => Some((guard, NOT_TOLD)),
        Err(TryLockError::OwnerDied(guard)) => Some((guard, TOLD)),
        Err(_) => None,
    }
}

/// Beside a victim that makes the pair `value`: another one has it twice within its time, and
/// `deaths` are told of by one of the two.
fn with_other(scenario: Scenario, stage: &Stage, value: u64, deaths: usize) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let act = move |patience: Duration| {
        let (guard, told) = match other.lock.lock_timeout(patience) {
            Ok(guard) => (guard, NOT_TOLD),
            Err(TryLockError::OwnerDied(guard)) => (guard, TOLD),
            Err(TryLockError::Timeout) => return Ok(REFUSED),
            Err(error) => return Err(format!("lock_timeout: {error}")),
        };
        if other.lock.depth() != 1 {
            return Err(format!("begins at depth {}", other.lock.depth()));
        }
        let (one, two) = (other.word(0).load(Relaxed), other.word(1).load(Relaxed));
        if one != two && told == NOT_TOLD {
            return Err(format!("the pair is {one}, {two}, and nobody was told"));
        }
        other.bump(OTHER);
        drop(guard);
        Ok(told)
    };
    let check = move |witness: &Witness| {
        let (Some(victim), Some(other)) = (witness.victim, witness.meanwhile) else {
            return Err("victim or other told nothing".to_owned());
        };
        if [victim, other].iter().filter(|&&one| one == TOLD).count() != deaths {
            return Err(format!("told of {deaths} deaths: {victim} and {other}"));
        }
        match (other, checked.check()?) {
            (REFUSED, (found, false)) if found == value => Ok("refused"),
            (_, (found, false)) if found == value || victim == REFUSED => Ok("before"),
            (_, (OTHER, false)) => Ok("behind"),
            (_, found) => Err(format!("the pair is {found:?}")),
        }
    };
    scenario.meanwhile("lock_timeout", &["before", "refused", "behind"], act, check)
}

fn free() -> Result<Scenario, String> {
    free_by(by_lock)
}

fn free_try() -> Result<Scenario, String> {
    free_by(by_try_lock)
}

fn free_by(acquire: Acquire) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(acquire, 1);
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        match checked.check()? {
            (_, true) => Ok("owner died"),
            (0, false) => Ok("untouched"),
            (_, false) => Ok("done"),
        }
    };
    let outcomes = &["untouched", "owner died", "done"];
    Ok(with_other(Scenario::in_memory(memory, outcomes, victim, check), &stage, 1, 0))
}

fn holder_dead() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_holder()?;
    let victim = stage.victim(by_lock, 1);
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        (_, true) => Ok("owner died"),
        (1, false) => Ok("done"),
        (value, false) => Err(format!("released with the pair at {value}")),
    };
    let scenario = Scenario::in_memory(memory, &["owner died", "done"], victim, check);
    Ok(with_other(scenario, &stage, 1, 1))
}

fn after_death() -> Result<Scenario, String> {
    const MARK: u64 = 1000;
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(by_lock, 1), stage.victim(by_lock, MARK));
    let check = move |_: &_| match stage.check()? {
        (MARK, false) => Ok("done"),
        _ => Ok("not done"),
    };
    Ok(Scenario::in_memory(memory, &["not done", "done"], victim, check).after_death_of(earlier))
}

fn waiter_asleep() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let held = stage.clone();
    let victim: Part = Box::new(move || {
        // The guards borrow the lock, and all live until the victim's end.
        let lock: &'static RLock = Box::leak(Box::new(held.lock.clone()));
        let mut guards = (by_lock(lock), by_lock(lock));
        Box::new(move || {
            drop(guards.0.take());
            drop(guards.1.take());
        }) as Operate
    });
    let (waiting, checked) = (stage.clone(), stage);
    let check = move |witness: &Witness| {
        checked.works()?;
        match witness.waiter {
            Some(TOLD) => Ok("owner died"),
            Some(NOT_TOLD) => Ok("released"),
            other => Err(format!("the waiter came back with {other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["owner died", "released"], victim, check)
        .with_waiter(move || waiting.wait()))
}

/// Killed while it waits.
const WAITS_FOR: u32 = 2000;

fn behind_holder() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(by_lock, 7);
    let (holding, checked) = (stage.clone(), stage.clone());
    let check = move |_: &_| match checked.check()? {
        (1, false) => Ok("waited"),
        found => Err(format!("{found:?}")),
    };
    let entered = move |witness: &Witness| match (witness.victim, stage.check()?) {
        (Some(NOT_TOLD), (7, false)) => Ok("entered"),
        found => Err(format!("{found:?}")),
    };
    let hold = move |stop: &dyn Fn()| {
        let guard = by_lock(&holding.lock);
        stop();
        holding.bump(1);
        drop(guard);
    };
    Ok(Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, hold)
        .every_instruction_up_to(WAITS_FOR / 6)
        .meanwhile_released(&["entered"], entered))
}
