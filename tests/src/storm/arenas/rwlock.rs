//! Readers and writers: a reader finds what is guarded whole, or is told that a writer died.
//!
//! What is guarded is as in the arena of locks.

use std::time::Duration;

use crossproc::crates::sync::{ReadGuard, RwLock, WriteGuard};

use super::lock::{Guarded, guarded_words, told, tried};
use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PARTS: usize = 7;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "rwlock",
        about: "readers see equal pairs or are told, writers increment",
        bytes: 1 << 18,
        extra_words: guarded_words(PARTS),
        build: |setting| Ok(Box::new(Room::new(setting)?)),
    }]
}

struct Room {
    lock: RwLock,
    immortals: usize,
}

impl Room {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        // Now and then fewer places than members, so that readers wait for one.
        let places = [2, 4, 16][dice.index(&[(); 3])];
        let lock = RwLock::create_with_readers(&setting.segment, "rwlock", places);
        Ok(Self { lock: made("the lock", lock)?, immortals: [0, 1, 2, 2][dice.index(&[(); 4])] })
    }

    fn read(&self, member: &Member<'_>) -> Result<(), Fault> {
        member.part().set_doing(0);
        let got = match member.roll(6) {
            0 => tried(self.lock.try_read())?,
            1 => tried(self.lock.read_timeout(Duration::from_micros(member.roll(3000))))?,
            _ => told(self.lock.read())?,
        };
        let Some((guard, told)) = got else { return Ok(()) };
        Self::look(member, guard, told)
    }

    fn look(member: &Member<'_>, guard: ReadGuard<'_>, told: bool) -> Result<(), Fault> {
        member.part().set_doing(1);
        let guarded = Guarded(member.ledger().extra());
        for _ in 0..2 {
            if !told {
                guarded.check("read without news of a death")?;
            }
            member.linger();
        }
        made("the end of reading", guard.unlock())?;
        member.part().advance();
        Ok(())
    }

    fn write(&self, member: &Member<'_>) -> Result<(), Fault> {
        let (guarded, count) = (Guarded(member.ledger().extra()), member.part().count(0));
        member.part().set_doing(2);
        count.attempt();
        let got: Option<(WriteGuard<'_>, bool)> = match member.roll(6) {
            0 => tried(self.lock.try_write())?,
            1 => tried(self.lock.write_timeout(Duration::from_micros(member.roll(3000))))?,
            _ => told(self.lock.write())?,
        };
        let Some((guard, told)) = got else { return Ok(()) };
        member.part().set_doing(3);
        if told {
            guarded.mend();
        }
        guarded.check("written without news of a death")?;
        guarded.increment(member.number(), || member.linger());
        count.finish();
        member.part().advance();
        match member.roll(3) {
            0 => drop(guard),
            1 => made("the end of writing", guard.unlock())?,
            _ => {
                let guard = made("downgrade", guard.downgrade())?;
                Self::look(member, guard, false)?;
            }
        }
        Ok(())
    }
}

impl Scene for Room {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("reader").mortal(part >= self.immortals)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["getting to read", "reading", "getting to write", "writing"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            match member.roll(3) {
                0 => self.write(member)?,
                _ => self.read(member)?,
            }
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        Guarded(ledger.extra()).settle(part, ledger.part(part).count(0))
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let guarded = Guarded(ledger.extra());
        match tried(self.lock.write_timeout(Duration::from_secs(5)))? {
            Some((_guard, false)) => guarded.check("at the end")?,
            Some((_guard, true)) => guarded.mend(),
            None => {
                return Err(Fault::new(Kind::Wrong, format!("held at the end: {:?}", self.lock)));
            }
        }
        (0..PARTS).try_for_each(|part| guarded.finish(part, ledger.part(part).count(0)))?;
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.lock)
    }
}
