//! What others do at the lock while one who is at it stands still.
//!
//! Each who enters makes both words of the pair one larger. Whoever enters first meets them
//! smaller, and if somebody died before, exactly one is told.

use std::time::Duration;

use crossproc_sync::TryLockError;

use super::{NOT_TOLD, REFUSED, Stage, TOLD};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// What the other tells: how it entered, and the first word of the pair that it met.
fn entered(told: bool, met: u64) -> u64 {
    met << 8 | if told { TOLD } else { NOT_TOLD }
}

impl Stage {
    /// Enters without waiting or, where the lock is held, within its time.
    fn enter_within(&self, patience: Duration) -> Result<u64, String> {
        let lock = match self.lock.try_lock() {
            Err(TryLockError::WouldBlock) => self.lock.lock_timeout(patience),
            at_once => at_once,
        };
        let (guard, told) = match lock {
            Ok(guard) => (guard, false),
            Err(TryLockError::OwnerDied(guard)) => (guard, true),
            Err(TryLockError::Timeout) => return Ok(REFUSED),
            Err(error) => return Err(format!("try_lock or lock_timeout: {error}")),
        };
        let met = self.met(told)?;
        self.bump();
        drop(guard);
        Ok(entered(told, met))
    }

    /// Enters, however long it takes.
    fn enter_waiting(&self) -> Result<u64, String> {
        let (guard, told) = self.enter()?;
        let met = self.met(told)?;
        self.bump();
        drop(guard);
        Ok(entered(told, met))
    }

    fn met(&self, told: bool) -> Result<u64, String> {
        use std::sync::atomic::Ordering::Relaxed;
        match (self.word(0).load(Relaxed), self.word(1).load(Relaxed)) {
            (one, two) if one == two || told => Ok(one),
            (one, two) => Err(format!("entered, and the pair is {one}, {two}")),
        }
    }
}

const ORDERED: &[&str] = &["before", "refused", "behind"];
const WAITING: &[&str] = &["before", "behind"];
/// It may have to wait until a dead holder is found dead, and the victim is let go meanwhile.
const WAITING_FOR_THE_DEAD: &[&str] = &["both"];

/// Beside a victim that enters once: another one, which waits for a little or for long.
///
/// `died`: whether somebody had died with the lock held. `marked`: what the victim makes of the
/// pair, where it does not make it one larger.
pub(super) fn entering(
    scenario: Scenario,
    stage: &Stage,
    died: Died,
    marked: Option<u64>,
) -> Scenario {
    let (timed, waiting) = (stage.clone(), stage.clone());
    let (one, two) = (stage.clone(), stage.clone());
    let in_order = died == Died::Nobody;
    scenario
        .meanwhile(
            "lock_timeout",
            ORDERED,
            move |patience| timed.enter_within(patience),
            move |witness: &Witness| one.judge_beside(witness, died, marked),
        )
        .meanwhile_waiting(
            "lock",
            if in_order { WAITING } else { WAITING_FOR_THE_DEAD },
            move || waiting.enter_waiting(),
            move |witness: &Witness| {
                let outcome = two.judge_beside(witness, died, marked)?;
                Ok(if in_order { outcome } else { "both" })
            },
        )
}

/// Whether somebody had died within, which exactly one is to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Died {
    Nobody,
    Somebody,
    /// In some of the states that are started from.
    Perhaps,
}

impl Stage {
    fn judge_beside(&self, witness: &Witness, died: Died, marked: Option<u64>) -> Finding {
        let (Some(victim), Some(other)) = (witness.victim, witness.meanwhile) else {
            return Err("victim or other told nothing".to_owned());
        };
        let (other, met) = (other & 0xff, other >> 8);
        // A victim that only tries may find that the other has it.
        let entries = u64::from(victim != REFUSED) + u64::from(other != REFUSED);
        let told = [victim, other].iter().filter(|&&one| one == TOLD).count();
        let right = match died {
            Died::Nobody => told == 0,
            Died::Somebody => told == 1,
            Died::Perhaps => told <= 1,
        };
        if !right {
            return Err(format!("{told} were told of a death"));
        }
        let behind = marked.map_or(met == 1, |mark| met == mark);
        let outcome = match (other, behind) {
            (REFUSED, _) => "refused",
            (_, false) => "before",
            (_, true) => "behind",
        };
        let due = match marked {
            Some(mark) => mark + u64::from(outcome == "behind"),
            None => entries,
        };
        let (bumps, told) = self.check()?;
        if told {
            return Err("told of a death, and nobody died".to_owned());
        }
        match bumps == due {
            true => Ok(outcome),
            false => Err(format!("{outcome}, and {bumps} changes instead of {due}")),
        }
    }
}

/// The victim unlocks, somebody sleeps for the lock, and another one comes.
pub(super) fn overtaking(scenario: Scenario, stage: &Stage) -> Scenario {
    let (timed, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| {
        let through = match witness.meanwhile.map(|gave| gave & 0xff) {
            Some(REFUSED) => 0,
            Some(NOT_TOLD) => 1,
            gave => return Err(format!("the other came back with {gave:?}")),
        };
        match (witness.waiter, checked.check()?) {
            (Some(NOT_TOLD), (bumps, false)) if bumps == through => Ok("all through"),
            found => Err(format!("waiter, changes and told: {found:?}, for {through}")),
        }
    };
    scenario.meanwhile(
        "lock_timeout",
        &["all through"],
        move |patience| timed.enter_within(patience),
        check,
    )
}

/// The victim waits behind a living holder, which unlocks; or another one comes to wait too.
pub(super) fn waiting(scenario: Scenario, stage: &Stage, bumps: u64) -> Scenario {
    let (other, checked) = (stage.clone(), stage.clone());
    let released = stage.clone();
    scenario
        .meanwhile_released(&["entered"], move |witness| released.all_entered(witness, bumps))
        .meanwhile(
            "lock_timeout",
            &["entered"],
            move |patience| match other.enter_within(patience)? {
                REFUSED => Ok(REFUSED),
                gave => Err(format!("entered beside the holder: {gave:#x}")),
            },
            move |witness| checked.all_entered(witness, bumps),
        )
}

impl Stage {
    fn all_entered(&self, witness: &Witness, bumps: u64) -> Finding {
        match (witness.victim, witness.waiter, self.check()?) {
            (Some(NOT_TOLD), None | Some(NOT_TOLD), (found, false)) if found == bumps => {
                Ok("entered")
            }
            found => Err(format!("victim, waiter, changes and told: {found:?}")),
        }
    }
}
