//! What others do at the value while one who is at it stands still.

use std::time::Duration;

use crossproc_value::{LockFailure, Stored};

use super::{NEW, OLD, Stage, Words, number, words};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// What the other adds.
pub(super) const OTHER: u64 = 1000;
/// The other did not come through in its time.
const REFUSED: u64 = u64::MAX - 1;

/// What the victim makes of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One more than it met.
    More,
    /// `NEW`, whatever it met.
    Set,
    /// Nothing.
    None,
}

impl<const N: usize> Stage<N>
where
    Words<N>: Stored,
{
    /// Locks, changes and tells what it met.
    fn add_within(&self, patience: Duration) -> Result<u64, String> {
        match self.value.lock_timeout(patience) {
            Ok(mut guard) => {
                let met = number(&guard)?;
                *guard = words(met + OTHER);
                Ok(met)
            }
            Err(LockFailure::Timeout) => Ok(REFUSED),
            Err(error) => Err(format!("lock_timeout: {error}")),
        }
    }

    fn add_waiting(&self) -> Result<u64, String> {
        let add = |value: &mut Words<N>| {
            let met = number(value)?;
            *value = words(met + OTHER);
            Ok(met)
        };
        self.value.update(add).map_err(|error| format!("update: {error}"))?
    }

    /// Both changes are there, in the order in which the other met them.
    fn judge_beside(&self, witness: &Witness, change: Change) -> Finding {
        let met = witness.meanwhile.unwrap_or(REFUSED);
        // Earlier deaths add a multiple of 100.
        let of_victim = change != Change::None && met % 100 == NEW;
        let (outcome, due) = match met {
            REFUSED => ("refused", None),
            met if of_victim => ("behind", Some(met + OTHER)),
            met if met % 100 != OLD => return Err(format!("the other met {met}")),
            met => match change {
                Change::More => ("before", Some(met + OTHER + 1)),
                Change::Set => ("before", Some(NEW)),
                Change::None => ("added", Some(met + OTHER)),
            },
        };
        let found = self.check()?;
        let right = match due {
            Some(due) => found == due,
            None => found % 100 == NEW && found < OTHER,
        };
        match right {
            true => Ok(outcome),
            false => Err(format!("{outcome}, met {met}, and the value is {found}")),
        }
    }
}

/// Beside a victim that changes the value: readers, and others that change it, which wait for a
/// little or for long.
pub(super) fn changing<const N: usize>(
    scenario: Scenario,
    stage: &Stage<N>,
    change: Change,
) -> Scenario
where
    Words<N>: Stored,
{
    let (reading, read) = (stage.clone(), stage.clone());
    let saw = move |witness: &Witness| {
        let found = read.check()?;
        match witness.meanwhile.map(|seen| seen % 100) {
            Some(OLD) if found % 100 == NEW => Ok("old"),
            Some(NEW) if found % 100 == NEW => Ok("new"),
            seen => Err(format!("read as {seen:?}, and the value is {found}")),
        }
    };
    let (timed, waiting) = (stage.clone(), stage.clone());
    let (one, two) = (stage.clone(), stage.clone());
    let in_order = !scenario.is_after_death();
    scenario
        .meanwhile("get", &["old", "new"], move |_| reading.get(), saw)
        .meanwhile(
            "lock_timeout",
            &["before", "refused", "behind"],
            move |patience| timed.add_within(patience),
            move |witness: &Witness| one.judge_beside(witness, change),
        )
        .meanwhile_waiting(
            "update",
            // It may have to wait until the dead are found dead: the victim is let go meanwhile.
            if in_order { &["before", "behind"] } else { &["both"] },
            move || waiting.add_waiting(),
            move |witness: &Witness| {
                let outcome = two.judge_beside(witness, change)?;
                Ok(if in_order { outcome } else { "both" })
            },
        )
}

/// Beside a victim that reads: the value changes under it as often as there are copies, and more.
pub(super) fn reading<const N: usize>(scenario: Scenario, stage: &Stage<N>) -> Scenario
where
    Words<N>: Stored,
{
    /// More often than there are copies.
    const TIMES: u64 = 5;
    let (once, often) = (stage.clone(), stage.clone());
    let judge = |stage: &Stage<N>, times: u64| {
        let stage = stage.clone();
        move |witness: &Witness| {
            let found = stage.check()?;
            let base = found.checked_sub(times * OTHER).ok_or("an update was lost")?;
            match witness.victim {
                Some(seen) if seen == base => Ok("before"),
                Some(seen) if seen == found => Ok("behind"),
                seen => Err(format!("it read {seen:?}, and the value was {base}, then {found}")),
            }
        }
    };
    let many = move |_| {
        for _ in 1..TIMES {
            often.add_waiting()?;
        }
        often.add_waiting()
    };
    // Whoever stands still and then reads may read what is new; whoever has read has what was old.
    scenario
        .meanwhile("update", &["behind", "before"], move |_| once.add_waiting(), judge(stage, 1))
        .meanwhile("5 updates", &["behind", "before"], many, judge(stage, TIMES))
}
