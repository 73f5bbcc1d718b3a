//! Updaters, setters and readers of values.
//!
//! - **u64**: each part adds to ten bits of its own in one word, by four operations. At the end
//!   the word is the sum of what was done, and of what each death left in flight.
//! - **wider ones**: a count for each part, their sum, filling made of it, a checksum. An update sees
//!   a whole one and makes another; a reader sees whole ones whose counts never go back. After each
//!   death the count of the part that died is what it had done, or one more if it died at it. A second
//!   value is only ever set, by everybody; a reader sees what somebody set, of each no older than before.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc::{LockFailure, Segment, Value};

use super::{Arena, Setting, made};
use crate::storm::ledger::{Count, Ledger};
use crate::storm::scene::{Member, Role, Scene};
use crate::storm::schedule::mix;
use crate::storm::{Fault, Kind};

const PARTS: usize = 6;
const BITS: u32 = 10;

pub(super) fn arenas() -> Vec<Arena> {
    let arena =
        |name, about, build| Arena { name, about, bytes: 1 << 18, extra_words: PARTS, build };
    vec![
        arena("value-u64", "fetch_add, update, compare_exchange of one word", |setting| {
            Ok(Box::new(Word::new(setting)?))
        }),
        arena("value-64", "update, guard, set, get of 64 bytes, never torn", |setting| {
            Ok(Box::new(Wide::<8>::new(setting)?))
        }),
        arena("value-512", "update, guard, set, get of 512 bytes, never torn", |setting| {
            Ok(Box::new(Wide::<64>::new(setting)?))
        }),
    ]
}

fn cast(setting: &Setting) -> usize {
    [0, 1, 2][setting.dice().index(&[(); 3])]
}

struct Word {
    value: Value<u64>,
    immortals: usize,
}

impl Word {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let value = made("a value", Value::create(&setting.segment, "word", 0u64))?;
        Ok(Self { value, immortals: cast(setting) })
    }

    fn add(&self, way: u64, by: u64) -> Result<(), Fault> {
        match way {
            0 | 1 => drop(self.value.fetch_add(by)),
            2 => made("update", self.value.update(|word| *word = word.wrapping_add(by)))?,
            3 => drop(self.value.fetch_sub(by.wrapping_neg())),
            _ => {
                let mut seen = self.value.get();
                while let Err(other) = self.value.compare_exchange(seen, seen.wrapping_add(by)) {
                    seen = other;
                }
            }
        }
        Ok(())
    }
}

impl Scene for Word {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("adder").mortal(part >= self.immortals)).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(0);
        while !member.leaves() {
            for _ in 0..64 {
                count.attempt();
                self.add(member.roll(5), 1 << (BITS as usize * member.number()))?;
                count.finish();
                member.part().advance();
            }
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let count = ledger.part(part).count(0);
        if count.in_flight().is_some() {
            // It is taken as not done; the word says at the end how many were.
            count.settle(count.done(), "adder")?;
            let unsure = ledger.part(part).own(2);
            unsure.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let shift = |part: usize| BITS as usize * part;
        let done = |part| ledger.part(part).count(0).done();
        let sum = (0..PARTS).fold(0u64, |sum, part| sum.wrapping_add(done(part) << shift(part)));
        // Each died less than 2^10 times, so the digits of the rest are what was done in flight.
        let rest = self.value.get().wrapping_sub(sum);
        let mut happened = 0;
        for part in 0..PARTS {
            let digit = rest >> shift(part) & ((1 << BITS) - 1);
            let unsure = ledger.part(part).own(2).load(Relaxed);
            if digit > unsure {
                let text = format!(
                    "adder {part}: {digit} more than the {} done, of {unsure} in flight; the rest is {rest:#x}",
                    done(part)
                );
                return Err(Fault::new(Kind::Doubled, text));
            }
            happened += digit;
        }
        if rest >> shift(PARTS) != 0 {
            return Err(Fault::new(
                Kind::Lost,
                format!("fewer than were done; the rest is {rest:#x}"),
            ));
        }
        Ok(format!("{happened} done in flight"))
    }

    fn describe(&self) -> String {
        format!("{:?}", self.value)
    }
}

/// Words of a wide value: a count for each part, their sum, filling, a checksum.
struct Content<'a>(&'a mut [u64]);

impl Content<'_> {
    fn seal(&mut self) {
        let (check, words) = self.0.split_last_mut().expect("it is not empty");
        let sum = words[..PARTS].iter().sum();
        let filling = words[PARTS..].iter_mut().zip(0..);
        filling.for_each(|(word, index)| *word = mix(sum, index));
        *check = words.iter().fold(0, |check, &word| mix(check, word));
    }

    fn check(words: &[u64], what: &str) -> Result<(), Fault> {
        let mut right = words.to_vec();
        Content(&mut right).seal();
        if right == words {
            return Ok(());
        }
        Err(Fault::new(Kind::Torn, format!("{what}: {words:x?}, would be {right:x?}")))
    }
}

struct Wide<const N: usize> {
    /// Updated: counts.
    value: Value<[u64; N]>,
    /// Set: who, which of its own, filling.
    last: Value<[u64; N]>,
    immortals: usize,
}

const SETS: usize = 1;
/// Own words in which a reader notes what it has seen.
const SEEN_COUNT: usize = 8;
const SEEN_SET: usize = 8 + PARTS;

impl<const N: usize> Wide<N> {
    fn new(setting: &Setting) -> Result<Self, Fault> {
        let new = |segment: &Segment, name| {
            let mut words = [0; N];
            Content(&mut words).seal();
            made("a value", Value::create(segment, name, words))
        };
        let (value, last) = (new(&setting.segment, "counts")?, new(&setting.segment, "last")?);
        Ok(Self { value, last, immortals: cast(setting) })
    }

    fn update(&self, member: &Member<'_>, count: Count<'_>) -> Result<(), Fault> {
        let change = |words: &mut [u64; N]| {
            Content::check(words, "what an update was given")?;
            words[member.number()] += 1;
            member.linger();
            Content(words).seal();
            Ok(())
        };
        count.attempt();
        match member.roll(4) {
            0 => {
                let mut guard = made("a guard", self.value.lock())?;
                change(&mut guard)?;
            }
            1 => match self.value.lock_timeout(Duration::from_micros(member.roll(2000))) {
                Ok(mut guard) => change(&mut guard)?,
                Err(LockFailure::Timeout) => return Ok(()),
                Err(error) => return Err(Fault::wrong("a timed guard", error)),
            },
            _ => made("update", self.value.update(change))??,
        }
        count.finish();
        member.part().advance();
        Ok(())
    }

    fn set(&self, member: &Member<'_>) -> Result<(), Fault> {
        let count = member.part().count(SETS);
        let mut words = [0; N];
        words[member.number()] = count.attempt();
        Content(&mut words).seal();
        made("set", self.last.set(words))?;
        count.finish();
        member.part().advance();
        Ok(())
    }

    fn read(&self, member: &Member<'_>) -> Result<(), Fault> {
        let own = |index| member.part().own(index);
        let mut words = self.value.get();
        Content::check(&words, "what get brought")?;
        for (part, &count) in words[..PARTS].iter().enumerate() {
            newer(own(SEEN_COUNT + part), count, "a count")?;
        }
        self.last.get_into(&mut words);
        Content::check(&words, "what get_into brought")?;
        if let Some(part) = words[..PARTS].iter().position(|&number| number != 0) {
            let attempted = member.ledger().part(part).count(SETS).attempted();
            if words[part] > attempted {
                return Err(Fault::new(
                    Kind::Wrong,
                    format!("{} of {part} was never set", words[part]),
                ));
            }
            newer(own(SEEN_SET + part), words[part], "what was set")?;
        }
        member.part().advance();
        Ok(())
    }
}

/// Notes what a part has seen, which never goes back.
fn newer(seen: &AtomicU64, now: u64, what: &str) -> Result<(), Fault> {
    let before = seen.load(Relaxed);
    if now < before {
        return Err(Fault::new(Kind::Disorder, format!("{what} went back from {before} to {now}")));
    }
    seen.store(now, Relaxed);
    Ok(())
}

impl<const N: usize> Scene for Wide<N> {
    fn cast(&self) -> Vec<Role> {
        (0..PARTS).map(|part| Role::new("updater").mortal(part >= self.immortals)).collect()
    }

    fn play(&self, member: &Member<'_>) -> Result<(), Fault> {
        while !member.leaves() {
            match member.roll(4) {
                0 | 1 => self.update(member, member.part().count(0))?,
                2 => self.set(member)?,
                _ => self.read(member)?,
            }
        }
        Ok(())
    }

    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let words = self.value.get();
        Content::check(&words, "after a death")?;
        ledger.part(part).count(0).settle(words[part], &format!("updater {part}"))?;
        ledger.part(part).count(SETS).skip();
        Ok(())
    }

    fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let words = self.value.get();
        Content::check(&words, "at the end")?;
        for (part, &found) in words[..PARTS].iter().enumerate() {
            let done = ledger.part(part).count(0).done();
            if found != done {
                let kind = if found < done { Kind::Lost } else { Kind::Doubled };
                let text = format!("updater {part} did {done} updates, {found} are there");
                return Err(Fault::new(kind, text));
            }
        }
        Ok(String::new())
    }

    fn describe(&self) -> String {
        format!("{:?} {:?}", self.value, self.last)
    }
}
