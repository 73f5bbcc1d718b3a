//! The producer's side of a ring.

use core::ptr::NonNull;

use super::{TailWord, View, Word, record_bytes, words_of};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::{AtomicU64, fence};

/// Where the producer is; kept in its own memory, so that no peer can move it.
///
/// # Invariants
///
/// `limit - pos` is at most the capacity, and once it is not 0 both are multiples of 8.
#[derive(Debug)]
pub struct Producer {
    pos: u64,
    /// Up to where it may write, as far as it knows: `head` and the capacity.
    limit: u64,
}

/// Why no record could be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not enough room.
    Full,
    /// The words are none that this protocol writes.
    Corrupt,
}

/// Room for a record that is being filled. Dropped without a commit, nothing has happened.
#[derive(Debug)]
#[must_use = "a claim that is dropped carries no record"]
pub struct Claim<'v> {
    view: &'v View,
    word: &'v AtomicU64,
    bytes: u64,
    at: u64,
}

impl View {
    /// The producer's place, for the process that has taken the producer's end.
    #[must_use]
    pub fn producer(&self) -> Producer {
        // Relaxed: *end* orders it behind the predecessor's last commit.
        let tail = TailWord(self.lane().tail.0.word.load(Relaxed));
        // INVARIANT: nothing is known to be free.
        Producer { pos: tail.pos(), limit: tail.pos() }
    }

    /// Puts a whole message of `bytes` bytes, which fill `words`, if nothing stands in the way;
    /// `false` says nothing about why, [`View::claim`] does. The caller wakes the consumer.
    ///
    /// All messages that are put so are of one length: that of the pipe's items.
    #[inline(always)]
    pub fn put_words_at_once(&self, p: &mut Producer, bytes: u64, words: &[u64]) -> bool {
        let need = record_bytes(bytes);
        // Where `bytes` is a constant, so is the number of words.
        let Some(words) = words.get(..words_of(bytes)) else { return false };
        if need > self.left_from(p.pos) {
            return false;
        }
        if p.limit.wrapping_sub(p.pos) < need && self.look_for_room(p, need).is_err() {
            return false;
        }
        self.write(p.pos, words);
        self.word_at(p.pos).store(Word::whole(bytes).bits(), Relaxed);
        let post = if self.streams() { None } else { self.post(p, need, words) };
        self.publish(p, need, post);
        true
    }

    /// Asks for the line of `tail`, for who is about to put a record: a consumer that waits has it, and it
    /// comes while the record is written.
    #[inline(always)]
    pub fn fetch_tail(&self) {
        #[cfg(not(crossproc_loom))]
        crossproc_sys::prefetch::for_write(&raw const self.lane().tail);
    }

    /// Finds room for a record with `bytes` bytes of payload, which must not be more than
    /// [`View::longest`].
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing has happened then.
    pub fn claim(&self, p: &mut Producer, bytes: u64) -> Result<Claim<'_>, Refused> {
        let pad = self.find_room(p, bytes)?;
        if pad != 0 {
            // Beyond `tail`, so it counts only with the record behind it.
            self.word_at(p.pos).store(Word::pad(pad - Word::BYTES).bits(), Relaxed);
        }
        let at = p.pos.wrapping_add(pad);
        Ok(Claim { view: self, word: self.word_at(at), bytes, at })
    }

    /// Finds room for a chunk: up to `bytes` bytes of payload, as many as lie in one piece.
    ///
    /// # Errors
    ///
    /// As [`View::claim`].
    pub fn claim_chunk(&self, p: &mut Producer, bytes: u64) -> Result<Claim<'_>, Refused> {
        let quarter = self.capacity() / 4;
        let here = self.left_from(p.pos);
        // What is left of the ring is not cut into crumbs.
        let piece = if here > (quarter / 4).max(8) { here.min(quarter) } else { quarter };
        self.claim(p, bytes.min(piece - Word::BYTES))
    }

    /// Tells whether a record with so many bytes could be put, at that moment. Writes nothing.
    ///
    /// # Errors
    ///
    /// What [`View::claim`] would have answered.
    pub fn has_room(&self, p: &mut Producer, bytes: u64) -> Result<(), Refused> {
        self.find_room(p, bytes).map(|_| ())
    }

    /// Bytes to be passed over before a record with `bytes` bytes of payload, for which there is room.
    #[inline]
    fn find_room(&self, p: &mut Producer, bytes: u64) -> Result<u64, Refused> {
        debug_assert!(bytes <= self.longest());
        let need = record_bytes(bytes);
        let to_end = self.left_from(p.pos);
        let pad = if need > to_end { to_end } else { 0 };
        if p.limit.wrapping_sub(p.pos) < need + pad {
            self.look_for_room(p, need + pad)?;
        }
        Ok(pad)
    }

    #[inline]
    fn look_for_room(&self, p: &mut Producer, need: u64) -> Result<(), Refused> {
        // ORDERING: acquire side of *reuse*.
        let head = self.lane().head.0.load(Acquire);
        let used = p.pos.wrapping_sub(head);
        if used > self.capacity() || (p.pos | head) % 8 != 0 {
            return Err(Refused::Corrupt);
        }
        // INVARIANT: as `used` is not above the capacity, neither is what is left of it.
        p.limit = head.wrapping_add(self.capacity());
        if self.capacity() - used < need { Err(Refused::Full) } else { Ok(()) }
    }

    /// Writes the payload of the record at `at`, which does not reach beyond the ring's end.
    #[inline(always)]
    fn write(&self, at: u64, words: &[u64]) {
        let mut at = at;
        for &word in words {
            at = at.wrapping_add(8);
            self.word_at(at).store(word, Relaxed);
        }
    }

    /// Writes the payload to a post too, if it is small enough; tells to which.
    ///
    /// It is not the one that `tail` names: of two records of the same size, one behind the other, the
    /// places in units of that size are an even and an odd one, and others are in no post.
    #[inline(always)]
    fn post(&self, p: &Producer, need: u64, words: &[u64]) -> Option<usize> {
        let index = (p.pos / need % 2) as usize;
        let post = self.lane().tail.0.posts.get(index).filter(|post| words.len() <= post.len())?;
        // ORDERING: release side of *post*: behind the last store of `tail`.
        fence(Release);
        for (to, &word) in post.iter().zip(words) {
            to.store(word, Relaxed);
        }
        Some(index)
    }

    #[inline(always)]
    fn publish(&self, p: &mut Producer, bytes: u64, post: Option<usize>) {
        p.pos = p.pos.wrapping_add(bytes);
        // commit: the record is there.
        // ORDERING: release side of *publish*.
        self.lane().tail.0.word.store(TailWord::new(p.pos, post).0, Release);
    }
}

impl Claim<'_> {
    /// Where the payload begins: aligned to 8, and [`Claim::bytes`] long.
    #[must_use]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        // SAFETY: the record lies in the ring, and its payload behind its word; if it has none, one
        // past the word is within the ring or its end.
        unsafe { NonNull::from(self.word).add(1) }
    }

    /// Bytes that there is room for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the payload as words, for the model checker.
    #[doc(hidden)]
    pub fn write(&self, words: &[u64]) {
        assert!(words.len() as u64 * 8 <= self.bytes);
        self.view.write(self.at, words);
    }

    /// Puts the record, which `word` describes; its payload may be shorter than was claimed.
    pub fn commit(self, p: &mut Producer, word: Word) {
        debug_assert!(word.length() <= self.bytes);
        self.word.store(word.bits(), Relaxed);
        let end = self.at.wrapping_add(record_bytes(word.length().min(self.bytes)));
        self.view.publish(p, end.wrapping_sub(p.pos), None);
    }
}
