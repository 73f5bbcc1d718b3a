//! The barrier: arrived at, completed, broken, reset; by those who die of it.
//!
//! The action makes both words of a pair one larger. Whatever has happened, a reset makes the
//! barrier work for threads of the survivor.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{Barrier, BarrierError, BarrierWait, BreakCause, Deadline};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("barrier wait_with", "alone", alone),
    Entry::new("barrier wait", "last one, waiter asleep", last_one),
    Entry::new("barrier wait", "last one, enrolled, waiter asleep", last_enrolled),
    Entry::new("barrier wait", "last one, waiter asleep for long", last_one_old),
    Entry::new("barrier wait_with", "last one, waiter asleep for long", last_one_acts),
    Entry::new("barrier wait", "first of two", first_one),
    Entry::new("barrier wait", "second of three, waiter asleep", second_one),
    Entry::new("barrier wait_timeout", "time over, waiter asleep", times_out),
    Entry::new("barrier wait", "participant dead", finds_dead),
    Entry::new("barrier abort", "waiter asleep", aborts),
    Entry::new("barrier reset", "waiter asleep", resets),
    Entry::new("barrier reset", "broken by a death", resets_broken),
    Entry::new("barrier reset", "earlier death in the same", resets_after_death),
    Entry::new("barrier wait", "earlier death in wait_with", waits_after_death),
    Entry::new("barrier enrol", "new", enrols),
    Entry::new("barrier leave", "enrolled", leaves),
];

const LED: u64 = 1;
const PASSED: u64 = 2;
const DIED: u64 = 3;
const TIMED_OUT: u64 = 4;
const ABORTED: u64 = 5;
const RESET: u64 = 6;
const TIMEOUT: u64 = 7;
const OTHER: u64 = 8;

/// Longer than any survivor may take.
const LONG: Duration = Duration::from_secs(60);

/// A barrier and the two words of its action.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    barrier: Barrier,
    pair: Object,
}

impl Stage {
    fn new(parties: usize) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let barrier = Barrier::new_in(&segment, parties).map_err(text)?;
        let shape = Shape::untyped("sweep pair", 1);
        let pair = segment.construct(None, &shape, 16, |_| {}).map_err(text)?;
        Ok((Self { segment, barrier, pair }, memory))
    }

    /// A stage with a participant that is no more.
    fn with_dead_participant(parties: usize) -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new(parties)?;
        crate::sweep::in_child(|| stage.barrier.enrol().map_err(text))?;
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

    /// How often the action was run; none if it was left in the middle.
    fn bumps(&self) -> Option<u64> {
        let (one, two) = (self.word(0).load(Relaxed), self.word(1).load(Relaxed));
        (one == two).then_some(one)
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

    /// The same, for one that takes part from the beginning.
    fn participant(&self, act: fn(&Self) -> u64) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let enrolled = stage.barrier.enrol().is_ok();
            move || if enrolled { act(&stage) } else { OTHER }
        })
    }

    fn wait(&self) -> u64 {
        told(self.barrier.wait())
    }

    fn wait_with(&self) -> u64 {
        told(self.barrier.wait_with(|| self.bump()))
    }

    /// The barrier works as a new one does, after a reset.
    fn works(&self) -> Result<(), String> {
        self.barrier.reset().map_err(text)?;
        let parties = self.barrier.parties();
        let end = Deadline::after(LONG);
        for _ in 0..2 {
            let waits: Vec<_> = std::thread::scope(|scope| {
                let wait = || self.barrier.wait_deadline(end);
                let threads: Vec<_> = (0..parties).map(|_| scope.spawn(wait)).collect();
                threads.into_iter().map(|thread| thread.join().map_or(OTHER, told)).collect()
            });
            let led = waits.iter().filter(|wait| **wait == LED).count();
            let passed = waits.iter().filter(|wait| **wait == PASSED).count();
            if (led, passed) != (1, parties - 1) {
                return Err(format!("after a reset the parties get {waits:?}"));
            }
        }
        match (self.barrier.n_waiting(), self.barrier.is_broken()) {
            (0, false) => Ok(()),
            other => Err(format!("after all have passed: {other:?}")),
        }
    }

    /// What somebody gets who waits alone, with no time: if a participant has died, he is told.
    fn probe(&self) -> u64 {
        told(self.barrier.wait_timeout(Duration::ZERO))
    }
}

fn told(waited: Result<BarrierWait, BarrierError>) -> u64 {
    match waited {
        Ok(wait) if wait.is_leader() => LED,
        Ok(_) => PASSED,
        Err(BarrierError::Broken { cause: BreakCause::Died, by: Some(_) }) => DIED,
        Err(BarrierError::Broken { cause: BreakCause::TimedOut, by: Some(_) }) => TIMED_OUT,
        Err(BarrierError::Broken { cause: BreakCause::Aborted, by: Some(_) }) => ABORTED,
        Err(BarrierError::Broken { cause: BreakCause::Reset, by: None }) => RESET,
        Err(BarrierError::Timeout) => TIMEOUT,
        Err(_) => OTHER,
    }
}

/// One party; it has taken part before.
fn alone() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(1)?;
    // Says which pass it was.
    let victim = stage.participant(|stage| {
        let mut pass = OTHER;
        let _ = stage.barrier.wait_with(|| {
            stage.bump();
            pass = stage.bumps().unwrap_or(OTHER);
        });
        pass
    });
    let (other, both) = (stage.clone(), stage.clone());
    let check = move |_: &_| -> Finding {
        let bumps = stage.bumps();
        let outcome = match (stage.wait(), bumps) {
            (LED, Some(0)) => "untouched",
            (DIED, _) => "broken",
            (LED, Some(1)) => "passed",
            other => return Err(format!("{other:?}")),
        };
        stage.works().map(|()| outcome)
    };
    let beside = move |patience: Duration| {
        let waited = other.barrier.wait_with_deadline(Deadline::after(patience), || other.bump());
        match told(waited) {
            LED => other.bumps().ok_or_else(|| "the action was left in the middle".to_owned()),
            TIMEOUT => Ok(TIMEOUT),
            wait => Err(format!("the other got {wait}")),
        }
    };
    let judge = move |witness: &Witness| -> Finding {
        let outcome = match (witness.victim, witness.meanwhile, both.bumps()) {
            (Some(2), Some(1), Some(2)) => "the other first",
            (Some(1), Some(TIMEOUT), Some(1)) => "the other waited",
            (Some(1), Some(2), Some(2)) => "the victim first",
            other => return Err(format!("the two got {other:?}")),
        };
        both.works().map(|()| outcome)
    };
    let order = &["the other first", "the other waited", "the victim first"];
    Ok(Scenario::in_memory(memory, &["untouched", "broken", "passed"], victim, check).meanwhile(
        "wait_with",
        order,
        beside,
        judge,
    ))
}

fn last_one() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(Stage::wait);
    Ok(waited(&stage, memory, victim, &["helped", "let go"], |stage, witness| {
        match (witness.waiter, witness.helped) {
            (Some(LED | PASSED), true) => Ok("helped"),
            (Some(got), false) => let_go(stage, got, witness.victim, "let go"),
            other => Err(format!("the waiter got {other:?}")),
        }
    }))
}

/// One of the two has let both go, which is `led` if it was the waiter: the victim came no further
/// than to arrive.
///
/// A young waiter looks by itself, and may be faster than a victim that is led step by step; an old
/// one only if it is kicked by a death.
fn let_go(stage: &Stage, waiter: u64, victim: Option<u64>, led: &'static str) -> Finding {
    still_missed(stage)?;
    match (waiter, victim) {
        (LED, None) => Ok(led),
        (LED, Some(PASSED)) | (PASSED, None | Some(LED)) => Ok("let go"),
        other => Err(format!("the two got {other:?}")),
    }
}

/// Whoever died after all had arrived does not come again, which the next generation is told.
fn still_missed(stage: &Stage) -> Result<(), String> {
    match stage.probe() {
        DIED => Ok(()),
        other => Err(format!("nobody is missed: {other}")),
    }
}

fn last_one_old() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(Stage::wait);
    let outcomes = &["helped", "the waiter led", "let go"];
    let scenario = waited(&stage, memory, victim, outcomes, |stage, witness| {
        match (witness.waiter, witness.helped) {
            (Some(LED | PASSED), true) => Ok("helped"),
            (Some(got), false) => let_go(stage, got, witness.victim, "the waiter led"),
            other => Err(format!("the waiter got {other:?}")),
        }
    });
    Ok(scenario.grown_old())
}

/// It has taken part before, so that the waiter knows whom it waits for.
fn last_enrolled() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.participant(Stage::wait);
    let waiting = stage.clone();
    let check = move |witness: &Witness| -> Finding {
        let outcome = match witness.waiter {
            Some(DIED) => "broken",
            Some(got) => let_go(&stage, got, witness.victim, "let go")?,
            None => return Err("there was no waiter".to_owned()),
        };
        stage.works().map(|()| outcome)
    };
    Ok(Scenario::in_memory(memory, &["broken", "let go"], victim, check)
        .with_waiter(move || waiting.wait()))
}

fn last_one_acts() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(Stage::wait_with);
    let outcomes = &["helped", "the waiter led", "broken", "let go"];
    let scenario = waited(&stage, memory, victim, outcomes, |stage, witness| {
        match (witness.waiter, witness.helped, stage.bumps()) {
            (Some(LED | PASSED), true, Some(1)) => Ok("helped"),
            (Some(DIED), false, _) => Ok("broken"),
            (Some(got), false, Some(1)) => let_go(stage, got, witness.victim, "the waiter led"),
            other => Err(format!("the waiter got {other:?}")),
        }
    });
    Ok(scenario.grown_old())
}

/// The waiter has arrived, and sleeps; where the victim leaves nothing a helper arrives.
fn waited(
    stage: &Stage,
    memory: Memory,
    victim: Part,
    outcomes: &'static [&'static str],
    judge: fn(&Stage, &Witness) -> Finding,
) -> Scenario {
    let (waiting, helping, checked) = (stage.clone(), stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let outcome = judge(&checked, witness)?;
        checked.works().map(|()| outcome)
    };
    Scenario::in_memory(memory, outcomes, victim, check).with_waiter_helped(
        move || waiting.wait_with(),
        move || {
            let _ = helping.wait_with();
        },
    )
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

/// The holder is the second party, and comes when the victim is dead.
fn first_one() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.participant(Stage::wait);
    let holding = stage.clone();
    let hold = move |stop: &dyn Fn()| {
        let _ = holding.barrier.enrol();
        stop();
        let got = holding.wait();
        holding.word(0).store(got, Relaxed);
    };
    let check = move |_: &_| -> Finding {
        let outcome = match stage.word(0).load(Relaxed) {
            DIED => "broken",
            LED => "counted",
            other => return Err(format!("the second got {other}")),
        };
        stage.works().map(|()| outcome)
    };
    Ok(Scenario::in_memory(memory, &["broken", "counted"], victim, check)
        .behind(WAITS_FOR, hold)
        .every_instruction_up_to(WAITS_FOR / 6))
}

/// The holder is the third party; the waiter sleeps as the victim dies beside it.
fn second_one() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(3)?;
    let victim = stage.participant(Stage::wait);
    let (holding, waiting) = (stage.clone(), stage.clone());
    let hold = move |stop: &dyn Fn()| {
        let _ = holding.barrier.enrol();
        stop();
        let got = holding.wait();
        holding.word(0).store(got, Relaxed);
    };
    let check = move |witness: &Witness| -> Finding {
        match (witness.waiter, stage.word(0).load(Relaxed)) {
            (Some(DIED), DIED) => stage.works().map(|()| "broken"),
            // The third was faster than the waiter's look.
            (Some(PASSED), LED) => stage.works().map(|()| "broken"),
            other => Err(format!("the others got {other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["broken"], victim, check)
        .behind(WAITS_FOR / 3, hold)
        .every_instruction_up_to(WAITS_FOR / 6)
        .with_waiter(move || waiting.wait()))
}

fn times_out() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(3)?;
    let victim = stage.participant(Stage::probe);
    let waiting = stage.clone();
    let check = move |witness: &Witness| -> Finding {
        let outcome = match (witness.waiter, stage.probe()) {
            (Some(DIED), DIED) => "died",
            (Some(TIMED_OUT), TIMED_OUT) => "timed out",
            other => return Err(format!("the waiter and the next got {other:?}")),
        };
        stage.works().map(|()| outcome)
    };
    Ok(Scenario::in_memory(memory, &["died", "timed out"], victim, check)
        .with_waiter(move || waiting.wait()))
}

/// The victim finds out that a participant has died, and is killed over it.
fn finds_dead() -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_dead_participant(3)?;
    let victim = stage.victim(Stage::wait);
    let check = move |witness: &Witness| -> Finding {
        match (stage.probe(), witness.victim) {
            (DIED, None | Some(DIED)) => stage.works().map(|()| "broken"),
            other => Err(format!("{other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["broken"], victim, check))
}

fn aborts() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(|stage| stage.barrier.abort().map_or(OTHER, |()| ABORTED));
    Ok(waited(&stage, memory, victim, &["helped", "aborted"], |stage, witness| {
        match (witness.waiter, witness.helped) {
            (Some(LED | PASSED), true) => Ok("helped"),
            (Some(ABORTED), false) if stage.probe() == ABORTED => Ok("aborted"),
            other => Err(format!("the waiter got {other:?}")),
        }
    }))
}

fn resets() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(|stage| stage.barrier.reset().map_or(OTHER, |()| RESET));
    Ok(waited(&stage, memory, victim, &["helped", "reset"], |_, witness| {
        match (witness.waiter, witness.helped) {
            (Some(LED | PASSED), true) => Ok("helped"),
            (Some(RESET), false) => Ok("reset"),
            other => Err(format!("the waiter got {other:?}")),
        }
    }))
}

/// Two of three participants are dead, and it is broken.
fn broken() -> Result<(Stage, Memory), String> {
    let (stage, memory) = Stage::with_dead_participant(3)?;
    crate::sweep::in_child(|| stage.barrier.enrol().map_err(text))?;
    match stage.probe() {
        // The place of this process is given up, so that the victim's death is the only one.
        DIED => stage.barrier.leave(),
        other => return Err(format!("the dead participant is not missed: {other}")),
    }
    Ok((stage, memory))
}

fn reset(stage: &Stage) -> u64 {
    stage.barrier.reset().map_or(OTHER, |()| RESET)
}

/// Broken, or without any dead participant.
fn is_reset(stage: &Stage) -> Finding {
    let outcome = match (stage.barrier.is_broken(), stage.probe()) {
        (true, DIED) => "broken",
        (false, TIMEOUT) => "reset",
        other => return Err(format!("{other:?}")),
    };
    stage.works().map(|()| outcome)
}

fn resets_broken() -> Result<Scenario, String> {
    let (stage, memory) = broken()?;
    let victim = stage.victim(reset);
    let check = move |_: &_| is_reset(&stage);
    Ok(Scenario::in_memory(memory, &["broken", "reset"], victim, check))
}

fn resets_after_death() -> Result<Scenario, String> {
    let (stage, memory) = broken()?;
    let (earlier, second) = (stage.victim(reset), stage.clone());
    // Tells its end by the pair, since the first one may have reset it already.
    let victim = part(move || {
        let stage = second.clone();
        let _ = stage.segment.me();
        move || {
            if stage.barrier.reset().is_ok() {
                stage.word(0).store(1, Relaxed);
            }
        }
    });
    let check = move |_: &_| match (is_reset(&stage)?, stage.word(0).load(Relaxed)) {
        ("broken" | "reset", 0) => Ok("not done"),
        ("reset", 1) => Ok("done"),
        other => Err(format!("{other:?}")),
    };
    Ok(Scenario::in_memory(memory, &["not done", "done"], victim, check).after_death_of(earlier))
}

/// One party dies anywhere in a wait; the next one resets and waits, and dies anywhere in that.
fn waits_after_death() -> Result<Scenario, String> {
    const MARK: u64 = 1000;
    let (stage, memory) = Stage::new(1)?;
    let (earlier, second) = (stage.participant(Stage::wait_with), stage.clone());
    let victim = part(move || {
        let stage = second.clone();
        let _ = stage.segment.me();
        move || {
            let _ = stage.barrier.reset();
            let _ = stage.barrier.wait_with(|| stage.word(0).store(MARK, Relaxed));
        }
    });
    let check = move |_: &_| {
        let found = (stage.word(0).load(Relaxed), stage.wait());
        stage.works()?;
        match found {
            (0 | 1, LED | DIED) => Ok("not done"),
            (MARK, DIED) => Ok("done, and missed"),
            (MARK, LED) => Ok("done"),
            other => Err(format!("{other:?}")),
        }
    };
    let outcomes = &["not done", "done, and missed", "done"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).after_death_of(earlier))
}

fn enrols() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.victim(|stage| stage.barrier.enrol().map_or(OTHER, |()| LED));
    let check = move |_: &_| takes_part(&stage);
    Ok(Scenario::in_memory(memory, &["no participant", "participant"], victim, check))
}

fn leaves() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new(2)?;
    let victim = stage.participant(|stage| {
        stage.barrier.leave();
        LED
    });
    let check = move |_: &_| takes_part(&stage);
    Ok(Scenario::in_memory(memory, &["participant", "no participant"], victim, check))
}

fn takes_part(stage: &Stage) -> Finding {
    let outcome = match stage.probe() {
        DIED => "participant",
        TIMEOUT => "no participant",
        other => return Err(format!("{other}")),
    };
    stage.works().map(|()| outcome)
}
