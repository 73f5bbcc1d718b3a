//! Parties of a barrier: a generation is completed for all of them, or broken for all of them.
//!
//! The action of each generation counts it, before anybody passes: so whoever passes finds the count
//! higher than before it waited. A generation lets each place through once, and has one leader: so at
//! the end there are no more passes than places, and no more leaders than one, for each generation
//! counted. Who is named as dead is dead.
//!
//! It is no fault if a generation is completed without one who lives and takes part: where somebody
//! died after its arrival, that counts, and who replaces it may have the place of another.

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
        extra_words: 2,
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
        while !member.leaves() {
            let before = completed.load(SeqCst);
            let passed = if self.timeouts && member.roll(100) == 0 {
                let deadline = Deadline::after(Duration::from_millis(member.roll(50)));
                self.barrier.wait_with_deadline(deadline, count)
            } else {
                self.barrier.wait_with(count)
            };
            match passed {
                Ok(pass) => {
                    let after = completed.load(SeqCst);
                    if after <= before {
                        let text = format!("passed generation {before} before its action");
                        return Err(Fault::new(Kind::Wrong, text));
                    }
                    if pass.is_leader() {
                        member.ledger().extra()[1].fetch_add(1, SeqCst);
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
        let [generations, leaders] = [0, 1].map(|at: usize| ledger.extra()[at].load(SeqCst));
        let passes: u64 = (0..PARTS).map(|part| ledger.part(part).progress()).sum();
        if leaders > generations || passes > generations * PARTS as u64 {
            let text = format!("{generations} generations, {passes} passes, {leaders} leaders");
            return Err(Fault::new(Kind::Doubled, text));
        }
        Ok(format!("{generations} generations, {passes} passes"))
    }

    fn describe(&self) -> String {
        format!("{:?}", self.barrier)
    }
}
