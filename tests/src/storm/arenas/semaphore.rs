//! Holders of permits, and producers and takers of permits.
//!
//! - **guards**: never more members are inside at once than there are permits, and all permits are
//!   back at the end, whoever died with one.
//! - **counts**: permits released by some and taken by others, without guards. At the end what was released
//!   and not taken is there; what was in flight at a death may be.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::Duration;

use crossproc::crates::sync::{BoundedSemaphore, Permit, Semaphore, TryAcquireError};

use super::{Arena, Setting, made};
use crate::outside;
use crate::storm::ledger::Ledger;
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::{Fault, Kind};

const PARTS: usize = 6;
/// Own word: the pid and the number of the entry of who is inside, or died there; else 0.
const INSIDE: usize = 0;
const ENTRIES: usize = 1;

pub(super) fn arenas() -> Vec<Arena> {
    let arena = |name, about, build| Arena { name, about, bytes: 1 << 18, extra_words: 0, build };
    vec![
        arena(
            "semaphore",
            "guarded permits: never too many inside, all back at the end",
            |setting| Ok(Box::new(Room::new(setting)?)),
        ),
        arena("semaphore-counts", "permits released and taken without guards", |setting| {
            Ok(Box::new(Counts::new(setting)?))
        }),
    ]
}

enum Either {
    Free(Semaphore),
    Bounded(BoundedSemaphore),
}

struct Room {
    semaphore: Either,
    permits: u32,
    immortals: usize,
}

impl Room {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let mut dice = setting.dice();
        let permits = [1, 2, 3][dice.index(&[(); 3])];
        let immortals = dice.index(&[(); 3]);
        let semaphore = if dice.roll(2) == 0 {
            Either::Free(made("semaphore", Semaphore::create(&setting.segment, "room", permits))?)
        } else {
            let bounded = BoundedSemaphore::create(&setting.segment, "room", permits);
            Either::Bounded(made("semaphore", bounded)?)
        };
        Ok(Self { semaphore, permits, immortals })
    }

    fn acquire(&self, member: &Member<'_>) -> Result<Option<Permit<'_>>, Fault> {
        let timeout = Duration::from_micros(member.roll(3000));
        let timed = match (&self.semaphore, member.roll(6)) {
            (Either::Free(semaphore), 0) => semaphore.try_acquire(),
            (Either::Bounded(semaphore), 0) => semaphore.try_acquire(),
            (Either::Free(semaphore), 1) => semaphore.acquire_timeout(timeout),
            (Either::Bounded(semaphore), 1) => semaphore.acquire_timeout(timeout),
            (Either::Free(semaphore), _) => return made("acquire", semaphore.acquire()).map(Some),
            (Either::Bounded(semaphore), _) => {
                return made("acquire", semaphore.acquire()).map(Some);
            }
        };
        match timed {
            Ok(permit) => Ok(Some(permit)),
            Err(TryAcquireError::WouldBlock | TryAcquireError::Timeout) => Ok(None),
            Err(error) => Err(Fault::wrong("a timed acquire", error)),
        }
    }

    fn available(&self) -> u32 {
        match &self.semaphore {
            Either::Free(semaphore) => semaphore.available(),
            Either::Bounded(semaphore) => semaphore.available(),
        }
    }
}

/// Notes that a member is inside, and looks whether too many are at the same moment.
pub(super) fn enter(member: &Member<'_>, parts: usize, most: usize) -> Result<(), Fault> {
    let (inside, entries) = (member.part().own(INSIDE), member.part().own(ENTRIES));
    let entry = entries.load(Relaxed) + 1;
    entries.store(entry, Relaxed);
    inside.store(u64::from(std::process::id()) << 32 | entry & 0xffff_ffff, SeqCst);
    let look = || -> Vec<(usize, u64)> {
        let word = |part| member.ledger().part(part).own(INSIDE).load(SeqCst);
        (0..parts).map(|part| (part, word(part))).filter(|&(_, word)| word != 0).collect()
    };
    let first = look();
    if first.len() <= most {
        return Ok(());
    }
    // Whoever made the same entry in a second look was inside at its beginning; save for the dead
    // and the dying.
    let second = look();
    let alive = |word: u64| u32::try_from(word >> 32).is_ok_and(outside::is_whole);
    let stayed = first.iter().filter(|seen| second.contains(seen) && alive(seen.1));
    let stayed: Vec<usize> = stayed.map(|seen| seen.0).collect();
    if stayed.len() <= most {
        return Ok(());
    }
    Err(Fault::new(Kind::Doubled, format!("{stayed:?} are inside at once, {most} may")))
}

/// Notes that a member is going out.
pub(super) fn leave(member: &Member<'_>) {
    member.part().own(INSIDE).store(0, SeqCst);
}

impl Scene for Room {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("holder").mortal(part >= self.immortals)).collect()
    }

    fn doings(&self) -> &'static [&'static str] {
        &["acquiring", "inside"]
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            member.part().set_doing(0);
            let Some(permit) = self.acquire(member)? else { continue };
            member.part().set_doing(1);
            enter(member, PARTS, self.permits as usize)?;
            member.linger();
            leave(member);
            match member.roll(2) {
                0 => drop(permit),
                _ => made("release", permit.release())?,
            }
            member.part().advance();
        }
        Ok(())
    }

    fn account(&self, _ledger: &Ledger) -> Result<String, Fault> {
        let one = || match &self.semaphore {
            Either::Free(semaphore) => semaphore.acquire_timeout(Duration::from_secs(5)),
            Either::Bounded(semaphore) => semaphore.acquire_timeout(Duration::from_secs(5)),
        };
        let permits: Vec<_> = (0..self.permits).map(|_| one()).collect();
        if permits.iter().any(Result::is_err) {
            return Err(Fault::new(
                Kind::Lost,
                format!("of {} permits: {permits:?}", self.permits),
            ));
        }
        let more = match &self.semaphore {
            Either::Free(semaphore) => semaphore.try_acquire(),
            Either::Bounded(semaphore) => semaphore.try_acquire(),
        };
        if more.is_ok() {
            return Err(Fault::new(Kind::Doubled, format!("more than {} permits", self.permits)));
        }
        drop(permits);
        let back = self.available();
        if back != self.permits {
            let text = format!("{back} of {} permits are back", self.permits);
            return Err(Fault::new(Kind::Lost, text));
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        match &self.semaphore {
            Either::Free(semaphore) => format!("{semaphore:?}"),
            Either::Bounded(semaphore) => format!("{semaphore:?}"),
        }
    }
}

const RELEASERS: usize = 3;
const TAKERS: usize = 3;
/// Own word: permits in flight of a releaser.
const IN_FLIGHT: usize = 4;
/// Own word: permits released or taken in all.
const TOTAL: usize = 5;

struct Counts {
    semaphore: Semaphore,
    mortal: [bool; 2],
    /// Permits that may have been released, and taken, at deaths.
    unsure: Cell<(u64, u64)>,
}

impl Counts {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let semaphore = made("semaphore", Semaphore::create(&setting.segment, "counts", 0))?;
        let mortal = [[true, true], [true, false], [false, true]];
        let mortal = mortal[setting.dice().index(&mortal)];
        Ok(Self { semaphore, mortal, unsure: Cell::new((0, 0)) })
    }

    fn release(&self, member: &Member<'_>) -> Result<(), Fault> {
        let (in_flight, total) = (member.part().own(IN_FLIGHT), member.part().own(TOTAL));
        while !member.leaves() {
            while self.semaphore.available() > 200 && !member.leaves() {
                thread::sleep(Duration::from_micros(200));
            }
            let permits = member.roll(3) + 1;
            in_flight.store(permits, Relaxed);
            let released = self.semaphore.release(u32::try_from(permits).unwrap_or(1));
            made("release", released)?;
            total.store(total.load(Relaxed) + permits, Relaxed);
            in_flight.store(0, Relaxed);
            member.part().advance();
        }
        Ok(())
    }

    fn take(&self, member: &Member<'_>) -> Result<(), Fault> {
        let (in_flight, total) = (member.part().own(IN_FLIGHT), member.part().own(TOTAL));
        while !member.leaves() {
            in_flight.store(1, Relaxed);
            let taken = match member.roll(4) {
                0 => self.semaphore.try_take(),
                _ => self.semaphore.take_timeout(Duration::from_micros(member.roll(20_000))),
            };
            match taken {
                Ok(()) => {
                    total.store(total.load(Relaxed) + 1, Relaxed);
                    member.part().advance();
                }
                Err(TryAcquireError::WouldBlock | TryAcquireError::Timeout) => {}
                Err(error) => return Err(Fault::wrong("take", error)),
            }
            in_flight.store(0, Relaxed);
        }
        Ok(())
    }
}

impl Scene for Counts {
    fn cast(&self) -> Vec<Role> {
        let releasers = (0..RELEASERS).map(|_| Role::new("releaser").mortal(self.mortal[0]));
        let takers = (0..TAKERS).map(|_| Role::new("taker").mortal(self.mortal[1]));
        releasers.chain(takers).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        if member.number() < RELEASERS { self.release(member) } else { self.take(member) }
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        // Killed between the two stores it is in the total and in flight: that is one too many only.
        let permits = ledger.part(part).own(IN_FLIGHT).swap(0, Relaxed);
        let (released, taken) = self.unsure.get();
        self.unsure.set(if part < RELEASERS {
            (released + permits, taken)
        } else {
            (released, taken + permits)
        });
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let total = |parts: std::ops::Range<usize>| -> u64 {
            parts.map(|part| ledger.part(part).own(TOTAL).load(Relaxed)).sum()
        };
        let (released, taken) = (total(0..RELEASERS), total(RELEASERS..RELEASERS + TAKERS));
        let (may_released, may_taken) = self.unsure.get();
        let there = u64::from(self.semaphore.available());
        let told = format!(
            "{released} released and {may_released} perhaps, {taken} taken and {may_taken} perhaps, {there} there"
        );
        if taken + there > released + may_released {
            return Err(Fault::new(Kind::Doubled, told));
        }
        if released > taken + may_taken + there {
            return Err(Fault::new(Kind::Lost, told));
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?}", self.semaphore)
    }
}
