//! What harness and players tell each other: a page that they share.
//!
//! Each player has a seat. The harness gives it a *turn*, a number that goes up; the player plays
//! it and says so. On its way it says which call it is in and since when, which is how the harness
//! knows that one does not return; and it may come to a *point* between two calls, where it waits
//! for the harness to have written.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use crossproc_sys::clock::now_ns;

use super::answer::{Answer, KINDS};
use crate::sweep::Memory;

/// How many players there can be.
pub(super) const SEATS: usize = 4;

const TURN: usize = 0;
const PLAYED: usize = 1;
const SINCE_NS: usize = 2;
const KIND_OF_CALL: usize = 3;
const CALLS: usize = 4;
const POINT: usize = 5;
const PASSED: usize = 6;
const PATIENCE_NS: usize = 7;
const CHOSEN: usize = 8;
const ID: usize = 9;
const FD: usize = 10;
const WORST_NS: usize = 11;
const LAST_TURN: usize = 12;
const NAME_BYTES: usize = 16;
const NAME: usize = 17;
const NAME_WORDS: usize = 8;
const ANSWERS: usize = 48;
const WORST_NAME_BYTES: usize = 32;
const WORST_NAME: usize = 33;
const TEXT_BYTES: usize = 64;
const TEXT: usize = 65;
const TEXT_WORDS: usize = 128;
const SEAT_WORDS: usize = 256;

const _: () = assert!(ANSWERS + KINDS <= TEXT_BYTES && TEXT + TEXT_WORDS <= SEAT_WORDS);

/// Whether a call promises to come back by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It does, whatever the memory says.
    Timed,
    /// It has no deadline, and may wait while the memory says that a living process is at work.
    Waits,
}

/// The page of all seats.
#[derive(Debug)]
pub(super) struct Board {
    page: Memory,
}

/// What a player and the harness share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat<'b> {
    words: &'b [AtomicU64],
}

impl Board {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { page: Memory::anonymous(SEATS * SEAT_WORDS * 8)? })
    }

    pub(super) fn seat(&self, index: usize) -> Seat<'_> {
        Seat { words: &self.page.words()[index * SEAT_WORDS..][..SEAT_WORDS] }
    }
}

/// What a player is to do in a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// How long timed calls may wait.
    pub(super) patience: Duration,
    /// Which primitives are played, a bit each.
    pub(super) chosen: u64,
    /// It is the last of its round: what cannot be undone, such as closing, is done now.
    pub(super) is_last: bool,
}

/// For the player.
impl Seat<'_> {
    /// Waits for a turn other than `last`.
    pub(super) fn next_turn(&self, last: u64) -> (u64, Turn) {
        let number = poll(|| Some(self.words[TURN].load(Acquire)).filter(|&turn| turn != last));
        let patience = Duration::from_nanos(self.words[PATIENCE_NS].load(Relaxed));
        let chosen = self.words[CHOSEN].load(Relaxed);
        (number, Turn { patience, chosen, is_last: self.words[LAST_TURN].load(Relaxed) != 0 })
    }

    pub(super) fn has_played(&self, turn: u64) {
        self.words[PLAYED].store(turn, Release);
    }

    pub(super) fn begin(&self, call: Call, name: &str) {
        let bytes = &name.as_bytes()[..name.len().min(NAME_WORDS * 8)];
        self.write(NAME_BYTES, NAME, bytes);
        self.words[KIND_OF_CALL].store(u64::from(call == Call::Waits), Relaxed);
        self.words[CALLS].store(self.words[CALLS].load(Relaxed) + 1, Relaxed);
        self.words[SINCE_NS].store(now_ns(), Release);
    }

    pub(super) fn end(&self, answer: Answer) {
        let took = now_ns().saturating_sub(self.words[SINCE_NS].load(Relaxed));
        if took > self.words[WORST_NS].load(Relaxed) {
            self.words[WORST_NS].store(took, Relaxed);
            for word in 0..=NAME_WORDS {
                let name = self.words[NAME_BYTES + word].load(Relaxed);
                self.words[WORST_NAME_BYTES + word].store(name, Relaxed);
            }
        }
        let count = &self.words[ANSWERS + answer as usize];
        count.store(count.load(Relaxed) + 1, Relaxed);
        self.words[SINCE_NS].store(0, Release);
    }

    /// Waits until the harness lets it go on.
    pub(super) fn point(&self) {
        let here = self.words[POINT].load(Relaxed) + 1;
        self.words[POINT].store(here, Release);
        poll(|| (self.words[PASSED].load(Acquire) >= here).then_some(()));
    }

    pub(super) fn set_id(&self, id: u32) {
        self.words[ID].store(u64::from(id), Relaxed);
    }

    pub(super) fn set_fd(&self, fd: i32) {
        self.words[FD].store(u64::from(fd.unsigned_abs()), Relaxed);
    }

    pub(super) fn set_text(&self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(TEXT_WORDS * 8)];
        self.write(TEXT_BYTES, TEXT, bytes);
    }

    fn write(&self, length: usize, at: usize, bytes: &[u8]) {
        for (at, chunk) in (at..).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words[at].store(u64::from_ne_bytes(word), Relaxed);
        }
        self.words[length].store(bytes.len() as u64, Relaxed);
    }
}

/// For the harness.
impl Seat<'_> {
    pub(super) fn wipe(&self) {
        for word in self.words {
            word.store(0, Relaxed);
        }
    }

    pub(super) fn give(&self, turn: Turn) {
        let patience = u64::try_from(turn.patience.as_nanos()).unwrap_or(u64::MAX);
        self.words[PATIENCE_NS].store(patience, Relaxed);
        self.words[CHOSEN].store(turn.chosen, Relaxed);
        self.words[LAST_TURN].store(u64::from(turn.is_last), Relaxed);
        self.words[TURN].store(self.words[TURN].load(Relaxed) + 1, Release);
    }

    /// Whether the turn given last has been played.
    pub(super) fn is_idle(&self) -> bool {
        self.words[PLAYED].load(Acquire) == self.words[TURN].load(Relaxed)
    }

    /// The call that the player is in: its number, its kind, and for how long.
    pub(super) fn call(&self) -> Option<(u64, Call, Duration)> {
        let since = self.words[SINCE_NS].load(Acquire);
        let kind =
            if self.words[KIND_OF_CALL].load(Relaxed) == 0 { Call::Timed } else { Call::Waits };
        let number = self.words[CALLS].load(Relaxed);
        let lasts = Duration::from_nanos(now_ns().saturating_sub(since));
        (since != 0).then_some((number, kind, lasts))
    }

    /// The name of that call, or of the last one.
    pub(super) fn call_name(&self) -> String {
        self.read(NAME_BYTES, NAME, NAME_WORDS)
    }

    /// The point at which the player waits, if it does.
    pub(super) fn point_reached(&self) -> Option<u64> {
        let point = self.words[POINT].load(Acquire);
        (point > self.words[PASSED].load(Relaxed)).then_some(point)
    }

    pub(super) fn pass(&self, point: u64) {
        self.words[PASSED].store(point, Release);
    }

    /// Points passed so far.
    pub(super) fn points(&self) -> u64 {
        self.words[PASSED].load(Relaxed)
    }

    pub(super) fn id(&self) -> u32 {
        u32::try_from(self.words[ID].load(Relaxed)).unwrap_or(0)
    }

    pub(super) fn fd(&self) -> u64 {
        self.words[FD].load(Relaxed)
    }

    pub(super) fn text(&self) -> String {
        self.read(TEXT_BYTES, TEXT, TEXT_WORDS)
    }

    /// Takes the answers counted since the last time.
    pub(super) fn take_answers(&self) -> [u64; KINDS] {
        std::array::from_fn(|kind| self.words[ANSWERS + kind].swap(0, Relaxed))
    }

    /// Takes the longest call since the last time.
    pub(super) fn take_worst(&self) -> (Duration, String) {
        let took = Duration::from_nanos(self.words[WORST_NS].swap(0, Relaxed));
        (took, self.read(WORST_NAME_BYTES, WORST_NAME, NAME_WORDS))
    }

    fn read(&self, length: usize, at: usize, most: usize) -> String {
        let length = usize::try_from(self.words[length].load(Relaxed)).unwrap_or(0).min(most * 8);
        let words = self.words[at..at + most].iter();
        let bytes: Vec<u8> = words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

/// Looks until there is something: often at first, then now and then, so that whoever shares the
/// processor gets it.
fn poll<R>(mut look: impl FnMut() -> Option<R>) -> R {
    for _ in 0..500 {
        if let Some(found) = look() {
            return found;
        }
        std::hint::spin_loop();
    }
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
}
