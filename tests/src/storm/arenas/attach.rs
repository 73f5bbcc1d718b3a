//! Members that attach to named segments, do a little, and let them go.
//!
//! None of them has the segment from the director. In one, which keeps its name, each adds to a
//! count of its own and to one of all. The others are made by whoever needs one and unlinked by
//! anybody: what is opened is whole.

use crossproc::crates::segment::Error;
use crossproc::{Lock, Queue, Segment, TryGetError, TryPutError, Value};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PARTS: usize = 6;
const BYTES: usize = 1 << 17;
const LOOSE: usize = 2;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "attach",
        about: "named segments made, opened, left, unlinked: none half, nothing lost in them",
        bytes: 1 << 16,
        extra_words: 0,
        build: |setting| Ok(Box::new(Visits::new(setting)?)),
    }]
}

struct Visits {
    prefix: String,
    immortals: usize,
}

impl Visits {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let prefix = format!("{}visit-{:x}", crate::traces::own_name("storm"), setting.seed);
        let visits = Self { prefix, immortals: setting.dice().index(&[(); 2]) };
        let segment = made("the segment", Segment::create(&visits.name(LOOSE), BYTES))?;
        for part in 0..PARTS {
            made("a count", Value::create(&segment, &format!("count {part}"), 0u64))?;
        }
        Ok(visits)
    }

    fn name(&self, index: usize) -> String {
        format!("{}-{index}", self.prefix)
    }

    /// Opens the segment that stays, and adds one.
    fn stay(&self, member: &Member<'_>) -> Result<(), Fault> {
        let segment = made("open", Segment::open(&self.name(LOOSE)))?;
        let own = Value::<u64>::open(&segment, &format!("count {}", member.number()));
        let own = made("open a count", own)?;
        let count = member.part().count(0);
        count.attempt();
        own.fetch_add(1);
        count.finish();
        Ok(())
    }

    /// Opens or makes one that may go at any moment.
    fn visit(&self, member: &Member<'_>) -> Result<(), Fault> {
        let segment = Segment::open_or_create(&self.name(member.index(LOOSE)), BYTES);
        let segment = made("open_or_create", segment)?;
        if member.roll(2) == 0 {
            let lock = made("a lock", Lock::open_or_create(&segment, "lock"))?;
            // Held by the living or left by the dead: all the same here.
            let _ = lock.try_lock();
        }
        let queue = made("a queue", Queue::<u64>::open_or_create(&segment, "queue", 3))?;
        match queue.try_put(17) {
            Ok(()) | Err(TryPutError::Full(_)) => {}
            Err(error) => return Err(Fault::wrong("put", error)),
        }
        match queue.try_get() {
            Ok(17) | Err(TryGetError::Empty) => Ok(()),
            Ok(other) => Err(Fault::new(Kind::Torn, format!("{other} instead of 17"))),
            Err(error) => Err(Fault::wrong("get", error)),
        }
    }

    fn unlink(&self, member: &Member<'_>) -> Result<(), Fault> {
        match Segment::unlink(&self.name(member.index(LOOSE))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Fault::wrong("unlink", error)),
        }
    }
}

impl Scene for Visits {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("visitor").mortal(part >= self.immortals)).collect()
    }

    fn pace(&self) -> u64 {
        3
    }

    fn doings(&self) -> &'static [&'static str] {
        &["unlinking", "adding", "visiting"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            let doing = member.roll(3);
            member.part().set_doing(doing);
            match doing {
                0 => self.unlink(member)?,
                1 => self.stay(member)?,
                _ => self.visit(member)?,
            }
            member.part().advance();
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let segment = made("open", Segment::open(&self.name(LOOSE)))?;
        let count = made("a count", Value::<u64>::open(&segment, &format!("count {part}")))?;
        ledger.part(part).count(0).settle(count.get(), &format!("visitor {part}"))
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        for part in 0..PARTS {
            self.mourn(part, ledger)?;
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", Segment::open(&self.name(LOOSE)).map(|segment| segment.objects()))
    }
}

impl Drop for Visits {
    fn drop(&mut self) {
        for index in 0..=LOOSE {
            // One that is not there is no matter; one that stays is seen in /dev/shm.
            let _ = Segment::unlink(&self.name(index));
        }
    }
}
