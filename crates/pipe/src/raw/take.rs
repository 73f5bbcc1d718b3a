//! The consumer's side of a ring.

use core::ptr::NonNull;

use super::{TailWord, View, Word, record_bytes, words_of};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::{AtomicU64, fence};

/// The bit of a position that tells every second cache line, see [`View::own_line`].
const OWNED_LINE: u64 = 64;

/// Where the consumer is; kept in its own memory, so that no peer can move it.
///
/// # Invariants
///
/// `tail - pos` is at most the capacity, and once it is not 0 both are multiples of 8.
#[derive(Debug)]
pub struct Consumer {
    pos: u64,
    /// Up to where there are records, as far as it knows.
    tail: u64,
}

/// Why there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRecord {
    /// None is there now.
    Empty,
    /// The words are none that this protocol writes.
    Corrupt,
}

/// The first record, which stays until [`View::release`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'v> {
    view: &'v View,
    word: Word,
    at: u64,
}

impl Consumer {
    /// Where it is.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.pos
    }

    /// Whether it knows of a record, without a look at what the producer writes.
    #[must_use]
    #[inline(always)]
    pub fn knows_more(&self) -> bool {
        self.tail != self.pos
    }
}

impl View {
    /// The consumer's place, for the process that has taken the consumer's end.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        // Relaxed: *end* orders it behind the predecessor's last commit.
        let pos = self.lane().head.0.load(Relaxed);
        // INVARIANT: no record is known.
        Consumer { pos, tail: pos }
    }

    /// Takes a whole message of `bytes` bytes, which fill `words`, if that is what comes first;
    /// `false` says nothing about why, [`View::first`] does. The caller wakes the producer.
    #[inline(always)]
    pub fn take_words_at_once(&self, c: &mut Consumer, bytes: u64, words: &mut [u64]) -> bool {
        let need = record_bytes(bytes);
        // Where `bytes` is a constant, so is the number of words.
        let Some(words) = words.get_mut(..words_of(bytes)) else { return false };
        if c.tail == c.pos {
            let seen = self.tail();
            if seen.pos().wrapping_sub(c.pos) == need && self.read_post(seen, words) {
                c.tail = seen.pos();
                self.pass(c, seen.pos());
                return true;
            }
            if self.note_records(c, seen).is_err() {
                return false;
            }
        }
        let word = self.word_at(c.pos).load(Relaxed);
        if word != Word::whole(bytes).bits()
            || c.tail.wrapping_sub(c.pos) < need
            || self.left_from(c.pos) < need
        {
            return false;
        }
        self.read(c.pos, words);
        self.own_line(c.pos, word);
        self.pass(c, c.pos.wrapping_add(need));
        true
    }

    /// Takes the cache line of a record, whose word is stored again as it is, for every second line.
    ///
    /// A line that was only read is still in the producer's cache, and has to be asked for when it is written
    /// to; stores that come after wait for that, and no prefetch helps (measured on Zen 4: 21 ns for each
    /// line). One that was written to here is gone from there, and is fetched in time by the processor itself.
    /// But then it is this side that has to ask: so each asks for half of them.
    #[inline(always)]
    fn own_line(&self, at: u64, word: u64) {
        if at & OWNED_LINE != 0 {
            self.word_at(at).store(word, Relaxed);
        }
    }

    /// The first record.
    ///
    /// # Errors
    ///
    /// [`NoRecord`].
    pub fn first(&self, c: &mut Consumer) -> Result<Record<'_>, NoRecord> {
        if c.tail == c.pos {
            self.look_for_records(c)?;
        }
        let mut at = c.pos;
        let mut word = Word::from_bits(self.word_at(at).load(Relaxed));
        if word.is_pad() {
            let pad = self.left_from(at);
            if word.length() != pad - Word::BYTES || c.tail.wrapping_sub(at) <= pad {
                return Err(NoRecord::Corrupt);
            }
            at = at.wrapping_add(pad);
            word = Word::from_bits(self.word_at(at).load(Relaxed));
        }
        let need = record_bytes(word.length());
        let there = c.tail.wrapping_sub(at);
        if word.is_unknown() || need > there || need > self.left_from(at) {
            return Err(NoRecord::Corrupt);
        }
        Ok(Record { view: self, word, at })
    }

    /// Gives the room of `record`, which was the first, to the producer. The caller wakes it.
    pub fn release(&self, c: &mut Consumer, record: Record<'_>) {
        self.pass(c, record.at.wrapping_add(record_bytes(record.word.length())));
    }

    /// Whether there is nothing, at that moment.
    #[must_use]
    pub fn is_empty(&self, c: &mut Consumer) -> bool {
        c.tail == c.pos && self.look_for_records(c) == Err(NoRecord::Empty)
    }

    #[inline]
    fn look_for_records(&self, c: &mut Consumer) -> Result<(), NoRecord> {
        self.note_records(c, self.tail())
    }

    #[inline(always)]
    fn tail(&self) -> TailWord {
        // ORDERING: acquire side of *publish*.
        TailWord(self.lane().tail.0.word.load(Acquire))
    }

    /// Reads the payload of the last record, which ends at `seen`, from its post, if it has one and
    /// still is the last.
    #[inline(always)]
    fn read_post(&self, seen: TailWord, words: &mut [u64]) -> bool {
        let tail = &self.lane().tail.0;
        let post = seen.post().and_then(|index| tail.posts.get(index));
        let Some(post) = post.filter(|post| words.len() <= post.len()) else { return false };
        for (word, from) in words.iter_mut().zip(post) {
            *word = from.load(Relaxed);
        }
        // ORDERING: acquire side of *post*.
        fence(Acquire);
        tail.word.load(Relaxed) == seen.0
    }

    #[inline(always)]
    fn note_records(&self, c: &mut Consumer, seen: TailWord) -> Result<(), NoRecord> {
        let tail = seen.pos();
        let there = tail.wrapping_sub(c.pos);
        if there == 0 {
            return Err(NoRecord::Empty);
        }
        if there > self.capacity() || c.pos % 8 != 0 {
            return Err(NoRecord::Corrupt);
        }
        // INVARIANT: as was just checked.
        c.tail = tail;
        Ok(())
    }

    /// Reads the payload of the record at `at`.
    #[inline(always)]
    fn read(&self, at: u64, words: &mut [u64]) {
        let mut at = at;
        for word in words {
            at = at.wrapping_add(8);
            *word = self.word_at(at).load(Relaxed);
        }
    }

    #[inline(always)]
    fn pass(&self, c: &mut Consumer, end: u64) {
        c.pos = end;
        // commit: the record is taken.
        // ORDERING: release side of *reuse*.
        self.lane().head.0.store(end, Release);
    }
}

impl Record<'_> {
    /// Its word: the length lies within the ring.
    #[must_use]
    pub fn word(&self) -> Word {
        self.word
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        usize::try_from(self.word.length()).unwrap_or(0)
    }

    /// Where the payload begins: aligned to 8, and [`Record::bytes`] long.
    #[must_use]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        // SAFETY: the record lies in the ring, as was checked, and its payload behind its word; if it
        // has none, one past the word is within the ring or its end.
        unsafe { NonNull::from(self.view.word_at(self.at)).add(1) }
    }

    /// Reads the payload as words, for the model checker.
    #[doc(hidden)]
    pub fn read(&self, words: &mut [u64]) {
        assert!(words.len() <= self.bytes() / 8);
        self.view.read(self.at, words);
    }
}
