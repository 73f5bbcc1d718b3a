//! The lock: acquired, released, taken over from the dead.
//!
//! What it guards is a pair of words that are equal whenever nobody holds it. The victim makes
//! both one larger; survivors find them equal unless they were told of a death.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{Lock, LockError, LockGuard};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, Witness, telling};

mod beside;

use beside::Died;

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("lock + unlock", "free", free),
    Entry::new("try_lock + unlock", "free", free_try),
    Entry::new("lock_timeout + unlock", "free", free_timeout),
    Entry::new("lock + unlock", "holder dead", holder_dead),
    Entry::new("try_lock + unlock", "holder dead", holder_dead_try),
    Entry::new("lock + unlock", "earlier death in the same", after_death),
    Entry::new("lock + unlock", "earlier death of one who took over", after_take_over),
    Entry::new("unlock", "waiter asleep", waiter_asleep),
    Entry::new("unlock", "waiter asleep for long", waiter_old),
    Entry::new("lock", "behind a living holder", behind_holder),
    Entry::new("lock", "behind a living holder, waiter asleep", behind_holder_with_waiter),
];

const TOLD: u64 = 1;
const NOT_TOLD: u64 = 2;
const REFUSED: u64 = 3;

/// A lock and the two words behind it.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    lock: Lock,
    pair: Object,
}

/// How a victim acquires the lock.
type Acquire = for<'l> fn(&'l Lock) -> Entered<'l>;

/// A guard, and whether its taker was told of a death.
type Entered<'l> = Option<(LockGuard<'l>, u64)>;

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let lock = Lock::new_in(&segment).map_err(text)?;
        let shape = Shape::untyped("sweep pair", 1);
        let pair = segment.construct(None, &shape, 16, |_| {}).map_err(text)?;
        Ok((Self { segment, lock, pair }, memory))
    }

    /// A stage whose lock is held by a process that is no more.
    fn with_dead_holder() -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new()?;
        crate::sweep::in_child(|| {
            std::mem::forget(stage.lock.lock());
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

    fn bump(&self) {
        let more = self.word(0).load(Relaxed) + 1;
        self.word(0).store(more, Relaxed);
        self.word(1).store(more, Relaxed);
    }

    /// A victim that acquires the lock, changes what it guards, and releases it.
    fn victim(&self, acquire: Acquire) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || {
                let Some((guard, told)) = acquire(&stage.lock) else { return REFUSED };
                stage.bump();
                drop(guard);
                told
            }
        })
    }

    /// Locks and says if it was told of a death; then the pair is whole again.
    fn enter(&self) -> Result<(LockGuard<'_>, bool), String> {
        match self.lock.lock() {
            Ok(guard) => {
                let (one, two) = (self.word(0).load(Relaxed), self.word(1).load(Relaxed));
                if one != two {
                    return Err(format!("the pair is {one}, {two}, and nobody was told"));
                }
                Ok((guard, false))
            }
            Err(LockError::OwnerDied(guard)) => {
                self.word(1).store(self.word(0).load(Relaxed), Relaxed);
                Ok((guard, true))
            }
            Err(error) => Err(format!("lock: {error}")),
        }
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
        if !matches!(self.lock.lock(), Err(LockError::Deadlock)) {
            return Err("locked twice by one thread".to_owned());
        }
        self.bump();
        drop(guard);
        match self.lock.try_lock() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("try_lock of a free lock: {error}")),
        }
    }

    /// Enters once, then the lock works; says how often the pair was changed and if told.
    fn check(&self) -> Result<(u64, bool), String> {
        let (guard, told) = self.enter()?;
        let bumps = self.word(0).load(Relaxed);
        drop(guard);
        self.works()?;
        Ok((bumps, told))
    }
}

fn by_lock(lock: &Lock) -> Entered<'_> {
    match lock.lock() {
        Ok(guard) => Some((guard, NOT_TOLD)),
        Err(LockError::OwnerDied(guard)) => Some((guard, TOLD)),
        Err(_) => None,
    }
}

fn by_try_lock(lock: &Lock) -> Entered<'_> {
    use crossproc_sync::TryLockError::OwnerDied;
    match lock.try_lock() {
        Ok(guard) => Some((guard, NOT_TOLD)),
        Err(OwnerDied(guard)) => Some((guard, TOLD)),
        Err(_) => None,
    }
}

fn by_lock_timeout(lock: &Lock) -> Entered<'_> {
    lock.lock_timeout(Duration::from_secs(60)).ok().map(|guard| (guard, NOT_TOLD))
}

fn free() -> Result<Scenario, String> {
    free_by(by_lock)
}

fn free_try() -> Result<Scenario, String> {
    free_by(by_try_lock)
}

fn free_timeout() -> Result<Scenario, String> {
    free_by(by_lock_timeout)
}

fn free_by(acquire: Acquire) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(acquire);
    let checked = stage.clone();
    let check = move |_: &_| -> Finding {
        match checked.check()? {
            (_, true) => Ok("owner died"),
            (0, false) => Ok("untouched"),
            (_, false) => Ok("done"),
        }
    };
    let outcomes = &["untouched", "owner died", "done"];
    let scenario = Scenario::in_memory(memory, outcomes, victim, check);
    Ok(beside::entering(scenario, &stage, Died::Nobody, None))
}

fn holder_dead() -> Result<Scenario, String> {
    holder_dead_by(by_lock)
}

fn holder_dead_try() -> Result<Scenario, String> {
    holder_dead_by(by_try_lock)
}

fn holder_dead_by(acquire: Acquire) -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_holder()?;
    let victim = stage.victim(acquire);
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        (_, true) => Ok("owner died"),
        (1, false) => Ok("done"),
        (bumps, false) => Err(format!("released after {bumps} changes")),
    };
    let scenario = Scenario::in_memory(memory, &["owner died", "done"], victim, check);
    Ok(beside::entering(scenario, &stage, Died::Somebody, None))
}

fn after_death() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    double(stage, memory)
}

/// The first victim takes over from a dead one and dies, the second takes over from both.
fn after_take_over() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_holder()?;
    double(stage, memory)
}

fn double(stage: Stage, memory: Memory) -> Result<Scenario, String> {
    const MARK: u64 = 1000;
    let earlier = stage.victim(by_lock);
    let second = stage.clone();
    let victim = telling(move || {
        let stage = second.clone();
        let _ = stage.segment.me();
        move || {
            let Some((guard, told)) = by_lock(&stage.lock) else { return REFUSED };
            stage.word(0).store(MARK, Relaxed);
            stage.word(1).store(MARK, Relaxed);
            drop(guard);
            told
        }
    });
    let checked = stage.clone();
    let check = move |_: &_| match checked.check()? {
        (MARK, false) => Ok("done"),
        _ => Ok("not done"),
    };
    let scenario = Scenario::in_memory(memory, &["not done", "done"], victim, check);
    let scenario = scenario.after_death_of(earlier);
    Ok(beside::entering(scenario, &stage, Died::Perhaps, Some(MARK)))
}

fn waiter_asleep() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let held = stage.clone();
    let victim: Part = Box::new(move || {
        // The guard borrows the lock, and both live until the victim's end.
        let lock: &'static Lock = Box::leak(Box::new(held.lock.clone()));
        let mut guard = by_lock(lock);
        Box::new(move || drop(guard.take())) as Operate
    });
    let (waiting, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| {
        checked.works()?;
        match witness.waiter {
            Some(TOLD) => Ok("owner died"),
            Some(NOT_TOLD) => Ok("released"),
            other => Err(format!("the waiter came back with {other:?}")),
        }
    };
    let scenario = Scenario::in_memory(memory, &["owner died", "released"], victim, check)
        .with_waiter(move || waiting.wait());
    Ok(beside::overtaking(scenario, &stage))
}

fn waiter_old() -> Result<Scenario, String> {
    waiter_asleep().map(Scenario::grown_old)
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

fn behind_holder() -> Result<Scenario, String> {
    behind(1, |scenario, _| scenario)
}

fn behind_holder_with_waiter() -> Result<Scenario, String> {
    behind(2, |scenario, stage| {
        scenario.with_waiter(move || match stage.enter() {
            Ok((_guard, false)) => {
                stage.bump();
                NOT_TOLD
            }
            Ok((_, true)) => TOLD,
            Err(_) => 0,
        })
    })
}

/// The holder and whoever waits beside the victim each change the pair once; the victim does not
/// come to it.
fn behind(bumps: u64, cast: fn(Scenario, Stage) -> Scenario) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(by_lock);
    let (holding, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| match (checked.check()?, witness.waiter) {
        ((found, false), None | Some(NOT_TOLD)) if found == bumps => Ok("waited"),
        (found, waiter) => Err(format!("{found:?}, and the waiter has {waiter:?}")),
    };
    let hold = move |stop: &dyn Fn()| {
        let guard = by_lock(&holding.lock);
        stop();
        holding.bump();
        drop(guard);
    };
    let scenario = Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, hold)
        .every_instruction_up_to(WAITS_FOR / 6);
    Ok(cast(beside::waiting(scenario, &stage, bumps + 1), stage))
}
