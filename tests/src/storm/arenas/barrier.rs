//! Parties of a barrier: a generation is completed for all of them, or broken for all of them.
//!
//! The action of each generation counts it. None is completed without its parties; so whoever has
//! passed, and passes again, must find the count exactly one higher. Who is named as dead is dead. In a
//! third of the slices some waits have a deadline, which breaks the barrier while the action may go on.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crossproc::Deadline;
use crossproc::crates::sync::{Barrier, BarrierError, BreakCause};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PARTS: usize = 4;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "barrier",
        about: "generations complete for all or broken for all; the dead are named",
        bytes: 1 << 17,
        extra_words: 1,
        build: |setting| Ok(Box::new(Rounds::new(setting)?)),
    }]
}

struct Rounds {
    barrier: Barrier,
    immortals: usize,
    timeouts: bool,
}

impl Rounds {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let barrier = made("the barrier", Barrier::create(&setting.segment, "rounds", PARTS))?;
        let mut dice = setting.dice();
        let (immortals, timeouts) = (dice.index(&[(); 3]), dice.roll(3) == 0);
        Ok(Self { barrier, immortals, timeouts })
    }

    fn broken(&self, cause: BreakCause, by: Option<crossproc::MemberId>) -> Result<(), Fault> {
        if let (BreakCause::Died, Some(dead)) = (cause, by) {
            if self.barrier.segment().alive(dead) {
                return Err(Fault::new(
                    Kind::Wrong,
                    format!("{dead:?} is named as dead, and lives"),
                ));
            }
        }
        if self.barrier.is_broken() {
            made("reset", self.barrier.reset())?;
        }
        Ok(())
    }
}

impl Scene for Rounds {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("party").mortal(part >= self.immortals)).collect()
    }

    fn pace(&self) -> u64 {
        6
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        let completed = &member.ledger().extra()[0];
        let count = || {
            completed.fetch_add(1, SeqCst);
        };
        // A party since its last pass, without which nothing is completed.
        let mut party = false;
        while !member.leaves() {
            let before = completed.load(SeqCst);
            let passed = if self.timeouts && member.roll(100) == 0 {
                let deadline = Deadline::after(Duration::from_millis(member.roll(50)));
                self.barrier.wait_with_deadline(deadline, count)
            } else {
                self.barrier.wait_with(count)
            };
            let sure = std::mem::replace(&mut party, passed.is_ok());
            match passed {
                Ok(_) => {
                    let after = completed.load(SeqCst);
                    let right = after == before + 1 || !(sure || after <= before);
                    if !right && !self.timeouts {
                        let text = format!("passed from generation {before} to {after}");
                        return Err(Fault::new(Kind::Wrong, text));
                    }
                    member.part().advance();
                }
                Err(BarrierError::Broken { cause, by }) => self.broken(cause, by)?,
                Err(BarrierError::Timeout) if self.timeouts => {}
                Err(error) => return Err(Fault::wrong("wait", error)),
            }
        }
        Ok(())
    }

    /// Whoever still waits, for parties that left before they had a place again: nobody breaks it
    /// for them.
    fn nudge(&self, _stage: u64) {
        // That it is corrupt is told by those who wait.
        let _ = self.barrier.abort();
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        made("reset at the end", self.barrier.reset())?;
        if self.barrier.is_broken() || self.barrier.n_waiting() != 0 {
            return Err(Fault::new(Kind::Wrong, format!("after reset: {:?}", self.barrier)));
        }
        Ok(format!("{} generations", ledger.extra()[0].load(SeqCst)))
    }

    fn describe(&self) -> String {
        format!("{:?}", self.barrier)
    }
}
