//! Callers of one once after the other, of which each must be done once, and whole.
//!
//! Whoever runs it leaves its pid first, then two words. Another run may only come if the runner
//! died or gave up, is told so, and never after somebody has seen it done.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::thread;
use std::time::Duration;

use crossproc::crates::sync::{Once, OnceError, OnceState, OnceTryError};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::schedule::mix;
use crate::storm::{Fault, Kind};

const PARTS: usize = 6;
const ONCES: usize = 8192;
/// Words of a once: who ran it, what it made twice, whether it was seen done.
const WORDS: usize = 4;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "once",
        about: "each run once to its end, and again only if the runner died",
        bytes: ONCES * 512,
        extra_words: 1 + ONCES * WORDS,
        build: |setting| Ok(Box::new(Onces::new(setting)?)),
    }]
}

struct Onces {
    onces: Vec<Once>,
    immortals: usize,
}

impl Onces {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let onces = (0..ONCES).map(|_| Once::new_in(&setting.segment)).collect::<Result<_, _>>();
        Ok(Self { onces: made("a once", onces)?, immortals: setting.dice().index(&[(); 3]) })
    }

    fn words(ledger: &Ledger, index: usize) -> &[AtomicU64] {
        &ledger.extra()[1 + index * WORDS..][..WORDS]
    }

    /// What a once runs. An error is reported rather than returned.
    fn run(member: &Member<'_>, index: usize, state: Option<&OnceState>) {
        let (words, me) = (Self::words(member.ledger(), index), u64::from(std::process::id()));
        let told = state.is_some_and(|state| state.runner_died() || state.is_poisoned());
        let complain = |kind, text| {
            let text = format!("once {index}: {text}, {words:?}, told {told}");
            member.ledger().report(&Fault::new(kind, text));
        };
        if words[3].load(SeqCst) != 0 {
            complain(Kind::Doubled, "run after it was seen done");
        }
        if words[0].load(SeqCst) != 0 && !told {
            complain(Kind::Doubled, "run again without a word");
        }
        words[0].store(me, SeqCst);
        words[1].store(mix(index as u64, 0), Relaxed);
        (0..4).for_each(|_| member.linger());
        if words[0].load(SeqCst) != me {
            complain(Kind::Doubled, "run by two at once");
        }
        words[2].store(mix(index as u64, 0), Relaxed);
        (0..4).for_each(|_| member.linger());
    }

    /// Takes back what `run` did, for one that gives up.
    fn undo(member: &Member<'_>, index: usize) {
        let words = Self::words(member.ledger(), index);
        [2, 1].iter().for_each(|&at: &usize| words[at].store(0, Relaxed));
        words[0].store(0, SeqCst);
    }

    fn call(&self, member: &Member<'_>, index: usize) -> Result<(), OnceError> {
        let once = &self.onces[index];
        let timeout = Duration::from_micros(member.roll(3000));
        match member.roll(8) {
            0 => once.wait_timeout(timeout),
            1 => once.call_once_timeout(timeout, || Self::run(member, index, None)),
            2 | 3 => once.call_once(|| Self::run(member, index, None)),
            4 => {
                let tried = once.call_once_try(|state| {
                    Self::run(member, index, Some(state));
                    Self::undo(member, index);
                    Err(())
                });
                match tried {
                    Ok(()) => Ok(()),
                    Err(OnceTryError::Failed(())) => Err(OnceError::Timeout),
                    Err(OnceTryError::Once(error)) => Err(error),
                }
            }
            _ => once.call_once_force(|state| Self::run(member, index, Some(state))),
        }
    }

    fn check(&self, ledger: &Ledger, index: usize) -> Result<(), Fault> {
        let words = Self::words(ledger, index);
        let right = mix(index as u64, 0);
        if [1, 2].iter().any(|&at| words[at].load(Relaxed) != right) {
            let text = format!("once {index} is done, but {words:?}");
            return Err(Fault::new(Kind::Torn, text));
        }
        Ok(())
    }
}

impl Scene for Onces {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("caller").mortal(part >= self.immortals)).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        let current = &member.ledger().extra()[0];
        while !member.leaves() {
            let now = usize::try_from(current.load(Acquire)).unwrap_or(usize::MAX);
            if now >= ONCES {
                thread::sleep(Duration::from_millis(1));
                member.part().advance();
                continue;
            }
            match self.call(member, now) {
                Ok(()) => {
                    self.check(member.ledger(), now)?;
                    Self::words(member.ledger(), now)[3].store(1, SeqCst);
                    current.fetch_max(now as u64 + 1, AcqRel);
                    member.part().advance();
                }
                // A wait for what nobody runs, or the news for the next who is ready for it.
                Err(OnceError::Timeout | OnceError::RunnerDied) => {}
                Err(error) => return Err(Fault::wrong("a call", error)),
            }
        }
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let done = self.onces.iter().take_while(|once| once.is_completed()).count();
        (0..done).try_for_each(|index| self.check(ledger, index))?;
        let seen = ledger.extra()[0].load(Acquire);
        if seen > done as u64 {
            return Err(Fault::new(Kind::Lost, format!("{seen} were done, {done} are")));
        }
        Ok(format!("{done} done"))
    }

    fn describe(&self) -> String {
        let open = self.onces.iter().position(|once| !once.is_completed());
        format!("{open:?}: {:?}", open.map(|open| &self.onces[open]))
    }
}
