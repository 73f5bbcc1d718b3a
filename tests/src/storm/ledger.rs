//! What the members of a cast write down: memory shared by fork, apart from everything under test.
//!
//! Layout, in words of 64 bits: a head (`STAGE`, the first fault), then 64 words for each part,
//! then words of the arena's own. A member that is killed leaves what it has stored; the director
//! reads the words of a part after it has reaped the process, which orders the two. Words that two
//! living processes look at are stored with Release and loaded with Acquire.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::{Fault, Kind};
use crate::sweep::Memory;

const STAGE: usize = 0;
const FAULTS: usize = 1;
const FAULT_KIND: usize = 2;
const TEXT_BYTES: usize = 3;
const TEXT: usize = 4;
const HEAD_WORDS: usize = 512;
const TEXT_MAX_BYTES: usize = (HEAD_WORDS - TEXT) * 8;

/// The most parts that a cast can have.
pub const PARTS: usize = 12;
const PART_WORDS: usize = 64;

const PROGRESS: usize = 0;
const DOING: usize = 1;
const FIRST_OWN: usize = 8;
/// Words that an arena may use as it likes, in each part.
pub const OWN_WORDS: usize = PART_WORDS - FIRST_OWN;

/// The ledger of one slice.
#[derive(Debug)]
pub struct Ledger {
    memory: Memory,
}

impl Ledger {
    /// An empty ledger with `extra` words for the arena.
    ///
    /// # Errors
    /// What `mmap` reports.
    pub fn new(extra: usize) -> io::Result<Self> {
        let words = HEAD_WORDS + PARTS * PART_WORDS + extra;
        Ok(Self { memory: Memory::anonymous(words * 8)? })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.words()[at]
    }

    /// How far the end has come: 0 while the storm lasts.
    #[must_use]
    pub fn stage(&self) -> u64 {
        self.word(STAGE).load(Acquire)
    }

    /// Begins the next part of the end.
    pub fn set_stage(&self, stage: u64) {
        self.word(STAGE).store(stage, Release);
    }

    /// The words of a part.
    ///
    /// # Panics
    /// If there is no such part.
    #[must_use]
    pub fn part(&self, part: usize) -> Part<'_> {
        assert!(part < PARTS, "a cast has no part {part}");
        let first = HEAD_WORDS + part * PART_WORDS;
        Part { words: &self.memory.words()[first..first + PART_WORDS] }
    }

    /// The words of the arena.
    #[must_use]
    pub fn extra(&self) -> &[AtomicU64] {
        &self.memory.words()[HEAD_WORDS + PARTS * PART_WORDS..]
    }

    /// Notes a fault; only the first is kept.
    pub fn report(&self, fault: &Fault) {
        if self.word(FAULTS).fetch_add(1, AcqRel) > 0 {
            return;
        }
        let bytes = &fault.text.as_bytes()[..fault.text.len().min(TEXT_MAX_BYTES)];
        for (at, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(TEXT + at).store(u64::from_ne_bytes(word), Relaxed);
        }
        self.word(TEXT_BYTES).store(bytes.len() as u64, Relaxed);
        self.word(FAULT_KIND).store(fault.kind.code() + 1, Release);
    }

    /// The first fault that a member noted.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let kind = self.word(FAULT_KIND).load(Acquire).checked_sub(1)?;
        let length = usize::try_from(self.word(TEXT_BYTES).load(Relaxed)).unwrap_or(0);
        let words = self.memory.words()[TEXT..HEAD_WORDS].iter();
        let bytes: Vec<u8> = words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        let text = String::from_utf8_lossy(&bytes[..length.min(bytes.len())]);
        Some(Fault::new(Kind::of_code(kind), text))
    }
}

/// The words of one part; they outlive whoever plays it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    words: &'a [AtomicU64],
}

impl<'a> Part<'a> {
    /// One of the arena's own words.
    #[must_use]
    pub fn own(self, index: usize) -> &'a AtomicU64 {
        &self.words[FIRST_OWN + index]
    }

    /// Counts something as finished. One process at a time plays a part.
    pub fn advance(self) {
        let progress = &self.words[PROGRESS];
        progress.store(progress.load(Relaxed) + 1, Release);
    }

    /// How much was finished, by all who played this part.
    #[must_use]
    pub fn progress(self) -> u64 {
        self.words[PROGRESS].load(Acquire)
    }

    /// Notes what is being done, for the report of a hang: an index of the scene's `doings`.
    pub fn set_doing(self, doing: u64) {
        self.words[DOING].store(doing, Relaxed);
    }

    /// What is being done.
    #[must_use]
    pub fn doing(self) -> u64 {
        self.words[DOING].load(Relaxed)
    }
}

/// Operations of one sort by one part, of which one at most is in flight: two own words.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    attempted: &'a AtomicU64,
    done: &'a AtomicU64,
}

impl<'a> Part<'a> {
    /// The count that lies in own words `2 * index` and the one behind.
    #[must_use]
    pub fn count(self, index: usize) -> Count<'a> {
        Count { attempted: self.own(2 * index), done: self.own(2 * index + 1) }
    }
}

impl Count<'_> {
    /// Notes an attempt, and gives its number: one more than the last.
    pub fn attempt(self) -> u64 {
        self.attempt_run(1)
    }

    /// Notes so many attempts in one, and gives the number of the first.
    pub fn attempt_run(self, length: u64) -> u64 {
        let done = self.done.load(Relaxed);
        self.attempted.store(done + length, Release);
        done + 1
    }

    /// Notes that the attempt is done.
    pub fn finish(self) {
        self.done.store(self.attempted.load(Relaxed), Release);
    }

    /// Notes that the first ones of a run are done, and that nothing came of the others.
    pub fn finish_first(self, done: u64) {
        let done = self.done.load(Relaxed) + done;
        self.done.store(done, Release);
        self.attempted.store(done, Release);
    }

    /// The last attempt.
    #[must_use]
    pub fn attempted(self) -> u64 {
        self.attempted.load(Acquire)
    }

    /// The last that was done.
    #[must_use]
    pub fn done(self) -> u64 {
        self.done.load(Acquire)
    }

    /// The attempt in flight, the last one of a run.
    #[must_use]
    pub fn in_flight(self) -> Option<u64> {
        (self.attempted() != self.done()).then(|| self.attempted())
    }

    /// After a death: compares with what is to be seen, `found` operations in all, and goes on from
    /// there.
    ///
    /// # Errors
    /// If more were lost or done than the one in flight.
    pub fn settle(self, found: u64, what: &str) -> Result<(), Fault> {
        let (done, attempted) = (self.done(), self.attempted());
        if found < done {
            let text = format!("{what}: {found} found, {done} were done");
            return Err(Fault::new(Kind::Lost, text));
        }
        if found > attempted {
            let text = format!("{what}: {found} found, {attempted} were attempted");
            return Err(Fault::new(Kind::Doubled, text));
        }
        self.attempted.store(found, Relaxed);
        self.done.store(found, Release);
        Ok(())
    }

    /// After a death where nothing is to be seen: counts the one in flight as done.
    pub fn skip(self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_flight_may_be_found_or_not_and_no_other() {
        let ledger = Ledger::new(0).unwrap();
        let count = ledger.part(3).count(2);
        assert_eq!(count.attempt(), 1);
        count.finish();
        assert_eq!((count.attempt(), count.in_flight()), (2, Some(2)));
        assert_eq!(count.settle(0, "it").unwrap_err().kind, Kind::Lost);
        assert_eq!(count.settle(3, "it").unwrap_err().kind, Kind::Doubled);
        count.settle(1, "it").unwrap();
        assert_eq!(count.attempt(), 2);
        count.settle(2, "it").unwrap();
        assert_eq!((count.done(), count.in_flight()), (2, None));
    }

    #[test]
    fn of_a_run_the_first_ones_may_be_done() {
        let ledger = Ledger::new(0).unwrap();
        let count = ledger.part(0).count(1);
        assert_eq!((count.attempt_run(5), count.attempted()), (1, 5));
        count.finish_first(2);
        assert_eq!((count.done(), count.in_flight()), (2, None));
        assert_eq!(count.attempt(), 3);
        count.finish_first(0);
        assert_eq!((count.done(), count.in_flight()), (2, None));
    }

    #[test]
    fn the_first_fault_is_kept() {
        let ledger = Ledger::new(0).unwrap();
        assert_eq!(ledger.fault(), None);
        for (kind, text) in [(Kind::Torn, "half of it"), (Kind::Lost, "all of it")] {
            ledger.report(&Fault::new(kind, text));
        }
        assert_eq!(ledger.fault(), Some(Fault::new(Kind::Torn, "half of it")));
    }
}
