//! Something that is done once: run, taken over, buried, waited for.
//!
//! What is done is a pair of words, each made one larger. Survivors find both equal unless they
//! are told that a runner died; then they force another run, and it is done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{Once, OnceError, OnceTryError};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("once call", "new", new),
    Entry::new("once call_force", "new", new_force),
    Entry::new("once call_try", "new, fails", fails),
    Entry::new("once call", "runner dead", dead_buried),
    Entry::new("once call_force", "runner dead", dead_forced),
    Entry::new("once call_force", "runner known to be dead", known_dead),
    Entry::new("once call_force", "earlier death in the same", after_death),
    Entry::new("once call_force", "earlier death of one who buried", after_burial),
    Entry::new("once call", "waiter asleep", waiter_asleep),
    Entry::new("once call", "waiter asleep for long", waiter_old),
    Entry::new("once call_force", "runner dead, waiter asleep", dead_waited),
    Entry::new("once wait", "behind a living runner", behind_runner),
];

const DONE: u64 = 1;
const DIED: u64 = 2;
const RAN: u64 = 3;
const TIMEOUT: u64 = 4;
const OTHER: u64 = 5;

/// A once and the two words behind it.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    once: Once,
    pair: Object,
}

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let once = Once::new_in(&segment).map_err(text)?;
        let shape = Shape::untyped("sweep pair", 1);
        let pair = segment.construct(None, &shape, 16, |_| {}).map_err(text)?;
        Ok((Self { segment, once, pair }, memory))
    }

    /// A stage whose runner is no more.
    fn with_dead_runner() -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new()?;
        crate::sweep::in_child(|| {
            let _ = stage.once.call_once(|| {
                // SAFETY: ends the process, of which nothing else is to run.
                unsafe { libc::_exit(0) }
            });
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

    fn bumps(&self) -> u64 {
        self.word(0).load(Relaxed)
    }

    /// A victim that does `act`, and tells how it ended.
    fn victim(&self, act: fn(&Self) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || act(&stage)
        })
    }

    /// Has it done whatever has happened: how often it was done before, and if a runner had died.
    fn settle(&self) -> Result<(u64, bool), String> {
        let mut ran = false;
        let got = self.once.call_once(|| ran = true);
        let before = self.bumps();
        let whole = before == self.word(1).load(Relaxed);
        match got {
            Ok(()) if !whole => return Err("the pair is torn, and nobody was told".to_owned()),
            Ok(()) if ran => self.bump(),
            Ok(()) => {}
            Err(OnceError::RunnerDied) => self.force()?,
            Err(error) => return Err(format!("call_once: {error}")),
        }
        if !self.once.is_completed() || self.once.wait() != Ok(()) {
            return Err("it is not done after a call that says so".to_owned());
        }
        if self.once.call_once_force(|_| ran = false) != Ok(()) || self.bumps() == 0 {
            return Err("what is done is not done".to_owned());
        }
        Ok((if ran { before } else { self.bumps() }, got.is_err()))
    }

    fn force(&self) -> Result<(), String> {
        let mut told = false;
        let forced = self.once.call_once_force(|state| {
            told = state.runner_died();
            self.word(1).store(self.bumps(), Relaxed);
            self.bump();
        });
        match (forced, told) {
            (Ok(()), true) => Ok(()),
            other => Err(format!("forced after a death: {other:?}")),
        }
    }
}

fn told(result: Result<(), OnceError>) -> u64 {
    match result {
        Ok(()) => DONE,
        Err(OnceError::RunnerDied) => DIED,
        Err(OnceError::Timeout) => TIMEOUT,
        Err(_) => OTHER,
    }
}

fn call(stage: &Stage) -> u64 {
    let mut ran = false;
    let got = stage.once.call_once(|| {
        stage.bump();
        ran = true;
    });
    if ran { RAN } else { told(got) }
}

fn call_force(stage: &Stage) -> u64 {
    let mut ran = false;
    let got = stage.once.call_once_force(|_| {
        stage.bump();
        ran = true;
    });
    if ran { RAN } else { told(got) }
}

fn call_try_and_fail(stage: &Stage) -> u64 {
    let got = stage.once.call_once_try(|_| {
        stage.bump();
        Err(())
    });
    if got == Err(OnceTryError::Failed(())) { RAN } else { OTHER }
}

fn new() -> Result<Scenario, String> {
    new_by(call)
}

fn new_force() -> Result<Scenario, String> {
    new_by(call_force)
}

fn new_by(act: fn(&Stage) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(act);
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding {
        match stage.settle()? {
            (0, false) => Ok("untouched"),
            (_, true) => Ok("runner died"),
            (1, false) => Ok("done"),
            (bumps, false) => Err(format!("done {bumps} times")),
        }
    };
    let beside = move |patience: Duration| {
        let mut ran = false;
        let got = other.once.call_once_timeout(patience, || {
            other.bump();
            ran = true;
        });
        Ok(if ran { RAN } else { told(got) })
    };
    let both = move |witness: &Witness| -> Finding {
        let outcome = match (witness.victim, witness.meanwhile) {
            (Some(DONE), Some(RAN)) => "the other ran",
            (Some(RAN), Some(TIMEOUT)) => "the other waited",
            (Some(RAN), Some(DONE)) => "the victim ran",
            other => return Err(format!("the two got {other:?}")),
        };
        match checked.settle()? {
            (1, false) => Ok(outcome),
            other => Err(format!("after both: {other:?}")),
        }
    };
    let outcomes = &["the other ran", "the other waited", "the victim ran"];
    Ok(Scenario::in_memory(memory, &["untouched", "runner died", "done"], victim, check)
        .meanwhile("call", outcomes, beside, both))
}

fn fails() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(call_try_and_fail);
    let check = move |_: &_| -> Finding {
        let got = stage.once.call_once(|| stage.bump());
        match (got, stage.bumps()) {
            (Err(OnceError::RunnerDied), _) => stage.force().map(|()| "runner died"),
            (Ok(()), 1) => Ok("untouched"),
            (Ok(()), 2) => Ok("undone"),
            other => Err(format!("{other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["untouched", "runner died", "undone"], victim, check))
}

/// It refuses, and says so to all: whoever comes next finds the same.
fn dead_buried() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_runner()?;
    let victim = stage.victim(call);
    let check = move |witness: &Witness| -> Finding {
        match (stage.settle()?, witness.victim) {
            ((1, true), None | Some(DIED)) => Ok("runner died"),
            other => Err(format!("{other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["runner died"], victim, check))
}

fn dead_forced() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_runner()?;
    forced(stage, memory)
}

fn known_dead() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_runner()?;
    if stage.once.wait() != Err(OnceError::RunnerDied) {
        return Err("the dead runner was not found out".to_owned());
    }
    forced(stage, memory)
}

fn forced(stage: Stage, memory: Memory) -> Result<Scenario, String> {
    let victim = stage.victim(call_force);
    let check = move |_: &_| match stage.settle()? {
        (_, true) => Ok("runner died"),
        (1, false) => Ok("done"),
        (bumps, false) => Err(format!("done {bumps} times")),
    };
    Ok(Scenario::in_memory(memory, &["runner died", "done"], victim, check))
}

fn after_death() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let earlier = stage.victim(call_force);
    double(stage, memory, earlier)
}

fn after_burial() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_runner()?;
    let earlier = stage.victim(call);
    double(stage, memory, earlier)
}

/// The first victim leaves it in any state, the second one has it done.
fn double(stage: Stage, memory: Memory, earlier: Part) -> Result<Scenario, String> {
    const MARK: u64 = 1000;
    let second = stage.clone();
    let victim = part(move || {
        let stage = second.clone();
        let _ = stage.segment.me();
        move || {
            let _ = stage.once.call_once_force(|_| {
                stage.word(0).store(MARK, Relaxed);
                stage.word(1).store(MARK, Relaxed);
            });
            // Where the first victim was done this one need not run.
            stage.word(0).store(MARK, Relaxed);
            stage.word(1).store(MARK, Relaxed);
        }
    });
    let check = move |_: &_| {
        // Between the two last stores it is done, and the pair is torn.
        if stage.once.is_completed() {
            stage.word(1).store(stage.bumps(), Relaxed);
        }
        match stage.settle()? {
            (MARK, false) => Ok("done"),
            _ => Ok("not done"),
        }
    };
    Ok(Scenario::in_memory(memory, &["not done", "done"], victim, check).after_death_of(earlier))
}

fn waiter_asleep() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(call);
    waited(stage, memory, victim, &["helped", "runner died", "done"])
}

fn waiter_old() -> Result<Scenario, String> {
    waiter_asleep().map(Scenario::grown_old)
}

/// The waiter is asleep until it is done by anybody; nobody has begun.
fn waited(
    stage: Stage,
    memory: Memory,
    victim: Part,
    outcomes: &'static [&'static str],
) -> Result<Scenario, String> {
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = match (witness.waiter, witness.helped) {
            (Some(DONE), true) => "helped",
            (Some(DIED), false) => "runner died",
            (Some(DONE), false) => "done",
            other => return Err(format!("the waiter came back with {other:?}")),
        };
        match (stage.settle()?, outcome) {
            ((_, true), "runner died") | ((1, false), "helped" | "done") => Ok(outcome),
            other => Err(format!("{other:?}")),
        }
    };
    let wait = move || told(waiting.once.wait());
    let help = move || {
        call(&helping);
    };
    Ok(Scenario::in_memory(memory, outcomes, victim, check).with_waiter_helped(wait, help))
}

/// The waiter would run it as well: it takes over from the dead runner, or from the victim.
fn dead_waited() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_runner()?;
    let victim = stage.victim(call_force);
    let waiting = stage.clone();
    let check = move |witness: &Witness| -> Finding {
        match (stage.settle()?, witness.waiter, stage.bumps()) {
            // It needs a slice to find out, in which the victim may come first.
            ((_, false), Some(RAN | DONE), 1 | 2) => Ok("done"),
            other => Err(format!("{other:?}")),
        }
    };
    let wait = move || {
        let mut ran = false;
        let got = waiting.once.call_once_force(|_| {
            waiting.word(1).store(waiting.bumps(), Relaxed);
            waiting.bump();
            ran = true;
        });
        if ran { RAN } else { told(got) }
    };
    Ok(Scenario::in_memory(memory, &["done"], victim, check).with_waiter(wait))
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

fn behind_runner() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(|stage| told(stage.once.wait()));
    let (holding, checked) = (stage.clone(), stage.clone());
    let check = move |_: &_| match checked.settle()? {
        (1, false) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    let hold = move |stop: &dyn Fn()| {
        let _ = holding.once.call_once(|| {
            stop();
            holding.bump();
        });
    };
    let both = move |witness: &Witness| match (stage.settle()?, witness.victim) {
        ((1, false), Some(DONE)) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    Ok(Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, hold)
        .every_instruction_up_to(WAITS_FOR / 6)
        .meanwhile_released(&["waited"], both))
}
