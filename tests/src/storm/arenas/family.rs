//! Processes started by `spawn`, which get handles as arguments, are killed by their parents, and die
//! with them.
//!
//! Each part starts one child after the other. A child adds to a value that it was given, under a
//! lock that it was given, and gives back how often; or it is killed, and its parent told so. The
//! parents are killed by the director, and then no child may stay.

use std::time::Duration;

use crossproc::{JoinError, Lock, LockError, Value, spawn};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PARTS: usize = 3;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "spawn",
        about: "children started with handles, killed by parents that are killed themselves",
        bytes: 1 << 17,
        extra_words: 0,
        build: |setting| Ok(Box::new(Families::new(setting)?)),
    }]
}

/// For each part: which of its children adds now, and what that has added. A child whose parent was
/// killed is on its end too, but may add until then.
type Counts = [[u64; 2]; PARTS];

struct Families {
    lock: Lock,
    counts: Value<Counts>,
}

/// What a child does: adds `times` to the count of `part`, while that is its own.
fn add(lock: Lock, counts: Value<Counts>, part: usize, child: u64, times: u64) -> u64 {
    for _ in 0..times {
        let _guard = match lock.lock() {
            Ok(guard) | Err(LockError::OwnerDied(guard)) => guard,
            Err(error) => panic!("{error}"),
        };
        let added = counts.update(|counts| counts[part][1] += u64::from(counts[part][0] == child));
        added.expect("nobody else holds it for ever");
    }
    times
}

impl Families {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let lock = made("the lock", Lock::create(&setting.segment, "lock"))?;
        let counts = made("the value", Value::create(&setting.segment, "counts", [[0; 2]; PARTS]))?;
        Ok(Self { lock, counts })
    }

    fn raise(&self, member: &Member<'_>) -> Result<(), Fault> {
        let (part, number) = (member.number(), member.roll(u64::MAX));
        let killed = member.roll(2) == 0;
        let times = if killed { u64::MAX } else { member.roll(100) };
        made("update", self.counts.update(|counts| counts[part] = [number, 0]))?;
        member.part().set_doing(0);
        let child = spawn((self.lock.clone(), self.counts.clone(), part, number, times), add);
        let child = made("spawn", child)?;
        member.part().set_doing(1);
        if killed {
            std::thread::sleep(Duration::from_micros(member.roll(5000)));
            made("kill", child.kill())?;
        }
        let result = child.join();
        let counted = self.counts.get()[part];
        let right = match &result {
            Ok(added) => !killed && *added == times && counted == [number, times],
            Err(JoinError::Signalled { signal: 9, .. }) => killed && counted[0] == number,
            Err(_) => false,
        };
        if !right {
            let text = format!("child {number:#x}, {counted:x?} counted, its end: {result:?}");
            return Err(Fault::new(Kind::Wrong, text));
        }
        member.part().advance();
        Ok(())
    }
}

impl Scene for Families {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("parent").mortal(part > 0)).collect()
    }

    fn pace(&self) -> u64 {
        6
    }

    fn doings(&self) -> &'static [&'static str] {
        &["starting a child", "waiting for it"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            self.raise(member)?;
        }
        Ok(())
    }

    fn account(&self, _ledger: &Ledger) -> Result<String, Fault> {
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?} {:?}", self.lock, self.counts)
    }
}
