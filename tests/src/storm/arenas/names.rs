//! Makers, finders and removers of named objects in one segment.
//!
//! Few names, so that all meet at each. An object says who made it as which of its objects; whoever
//! has it open finds it whole for as long as it likes, also after its name is gone. At the end each
//! name was made as often as it was removed, or once more if it is there; what was in flight at a
//! death may have been. Then all names are removed, and the segment has the room it had.

use std::cell::Cell;
use std::thread;

use crossproc::crates::segment::Error;
use crossproc::{Segment, Value};

use super::{Arena, Setting, made};
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::schedule::mix;
use crate::storm::{Fault, Kind};

const PARTS: usize = 6;
/// Names that are created and removed, and those that are also opened by `open_or_create`.
const COUNTED: usize = 4;
const LOOSE: usize = 2;

/// Counts of a part, for each name: made, removed.
const MADE: usize = 0;
const REMOVED: usize = COUNTED;

pub(super) fn arenas() -> Vec<Arena> {
    vec![Arena {
        name: "names",
        about: "named objects made, found, removed: none twice, none half, no room lost",
        bytes: 1 << 18,
        extra_words: 0,
        build: |setting| Ok(Box::new(Names::new(setting))),
    }]
}

type Content = [u64; 12];

/// What a part puts into its object `number`.
fn content(part: usize, number: u64) -> Content {
    let mut words = [number << 8 | part as u64; 12];
    (1..).zip(&mut words[1..]).for_each(|(index, word)| *word = mix(*word, index));
    words
}

fn name(index: usize) -> String {
    format!("name {index}")
}

struct Names {
    segment: Segment,
    immortals: usize,
    unsure: Cell<[(u64, u64); COUNTED]>,
}

impl Names {
    fn new(setting: &Setting) -> Self {
        let immortals = setting.dice().index(&[(); 2]);
        Self { segment: setting.segment.clone(), immortals, unsure: Cell::default() }
    }

    fn make(&self, member: &Member<'_>, index: usize) -> Result<(), Fault> {
        let count = member.part().count(MADE + index);
        let words = content(member.number(), count.attempt());
        match Value::create(&self.segment, &name(index), words) {
            Ok(value) => {
                count.finish();
                Self::look(member, &value)
            }
            Err(Error::Exists { .. }) => Ok(()),
            Err(error) => Err(Fault::wrong("create", error)),
        }
    }

    /// Finds an object whole, for as long as it is looked at.
    fn look(member: &Member<'_>, value: &Value<Content>) -> Result<(), Fault> {
        let words = value.get();
        let right = content((words[0] & 0xff) as usize, words[0] >> 8);
        for _ in 0..3 {
            if value.get() != right {
                let text = format!("an object: {:x?}, would be {right:x?}", value.get());
                return Err(Fault::new(Kind::Torn, text));
            }
            member.linger();
        }
        Ok(())
    }

    fn open(&self, member: &Member<'_>, index: usize) -> Result<(), Fault> {
        match Value::open(&self.segment, &name(index)) {
            Ok(value) => Self::look(member, &value),
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Fault::wrong("open", error)),
        }
    }

    fn remove(&self, member: &Member<'_>, index: usize) -> Result<(), Fault> {
        let count = member.part().count(REMOVED + index);
        count.attempt();
        match self.segment.remove(&name(index)) {
            Ok(()) => {
                count.finish();
                Ok(())
            }
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Fault::wrong("remove", error)),
        }
    }

    /// The names of which nothing is counted.
    fn loose(&self, member: &Member<'_>) -> Result<(), Fault> {
        let name = name(COUNTED + member.index(LOOSE));
        if member.roll(3) == 0 {
            return match self.segment.remove(&name) {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(Fault::wrong("remove", error)),
            };
        }
        let words = content(member.number(), 1);
        let value = made("open_or_create", Value::open_or_create(&self.segment, &name, words))?;
        Self::look(member, &value)
    }
}

impl Scene for Names {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("namer").mortal(part >= self.immortals)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["making", "opening", "removing", "loose"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            let index = member.index(COUNTED);
            let doing = member.roll(4);
            member.part().set_doing(doing);
            match doing {
                0 => self.make(member, index)?,
                1 => self.open(member, index)?,
                2 => self.remove(member, index)?,
                _ => self.loose(member)?,
            }
            member.part().advance();
            if member.roll(16) == 0 {
                thread::yield_now();
            }
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let mut unsure = self.unsure.get();
        for (index, unsure) in unsure.iter_mut().enumerate() {
            let (made, removed) = counts(ledger, part, index);
            unsure.0 += u64::from(made.in_flight().is_some());
            unsure.1 += u64::from(removed.in_flight().is_some());
            made.settle(made.done(), "names")?;
            removed.settle(removed.done(), "names")?;
        }
        self.unsure.set(unsure);
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let objects = self.segment.objects();
        for (index, (may_made, may_removed)) in self.unsure.get().into_iter().enumerate() {
            let sum = |of: fn((u64, u64)) -> u64| {
                (0..PARTS)
                    .map(|part| {
                        let (made, removed) = counts(ledger, part, index);
                        of((made.done(), removed.done()))
                    })
                    .sum::<u64>()
            };
            let (made, removed) = (sum(|both| both.0), sum(|both| both.1));
            let there = objects.iter().filter(|object| object.name == name(index)).count() as u64;
            let told = format!(
                "{:?}: made {made} times, perhaps {may_made} more, removed {removed} times, \
                 perhaps {may_removed} more, there: {there}",
                name(index)
            );
            if there > 1 || removed + there > made + may_made {
                return Err(Fault::new(Kind::Doubled, told));
            }
            if made > removed + may_removed + there {
                return Err(Fault::new(Kind::Lost, told));
            }
        }
        for object in objects {
            made("remove at the end", self.segment.remove(&object.name))?;
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.segment.objects())
    }
}

fn counts(
    ledger: &Ledger,
    part: usize,
    index: usize,
) -> (crate::storm::ledger::Count<'_>, crate::storm::ledger::Count<'_>) {
    (ledger.part(part).count(MADE + index), ledger.part(part).count(REMOVED + index))
}
