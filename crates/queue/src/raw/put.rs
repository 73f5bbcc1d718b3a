//! Claiming a slot, and committing what was put into it.

use core::mem;
use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::{Position, Ring, State, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Why no slot could be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many items and claims are in as the queue has places.
    Full,
    /// The queue was closed.
    Closed,
    /// The words are none that this protocol writes.
    Corrupt,
}

/// A slot that is being filled. Dropped without a commit, it is skipped by the consumers.
#[derive(Debug)]
#[must_use = "a claim that is dropped carries no item"]
pub struct Claim<'r> {
    ring: &'r Ring,
    slot: &'r AtomicU64,
    at: Position,
    word: Word,
}

impl Ring {
    /// Claims the slot at the write end for `me`.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was claimed then.
    pub fn claim(&self, me: MemberId) -> Result<Claim<'_>, Refused> {
        for _ in 0..self.rounds() {
            if let Some((at, slot)) = self.free_at_tail()? {
                if let Some(word) = self.claim_at(at, slot, me) {
                    return Ok(Claim { ring: self, slot, at, word });
                }
            }
        }
        Err(Refused::Corrupt)
    }

    /// Puts `payload` into the slot at the write end, in one go. The caller wakes a consumer.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was put then.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `payload`.
    pub fn put_words(&self, me: MemberId, payload: &[u64]) -> Result<(), Refused> {
        assert!(self.has_words(payload.len()), "payload longer than the slot");
        for _ in 0..self.rounds() {
            if let Some((at, slot)) = self.free_at_tail()? {
                if self.put_at(at, slot, me, payload) {
                    return Ok(());
                }
            }
        }
        Err(Refused::Corrupt)
    }

    /// Puts `payload` into the slot at the write end if nothing stands in the way; `false` says
    /// nothing about why, [`Ring::put_words`] does.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `payload`.
    #[inline(always)]
    pub fn put_words_at_once(&self, me: MemberId, payload: &[u64]) -> bool {
        assert!(self.has_words(payload.len()), "payload longer than the slot");
        let Some((at, slot)) = self.free_at_once() else { return false };
        self.put_at(at, slot, me, payload)
    }

    /// The slot at the write end if it is free and the queue open; nothing else is told, or moved on.
    #[inline(always)]
    pub(super) fn free_at_once(&self) -> Option<(Position, &AtomicU64)> {
        // ORDERING: acquire side of *tail*.
        let tail = self.header().tail.0.load(Acquire);
        let at = Position::from_bits(tail);
        let slot = self.slot(at)?;
        let free = !Position::is_closed(tail) && slot.load(Relaxed) == Word::free(at.lap()).bits();
        free.then_some((at, slot))
    }

    /// Claims the slot that was seen free, fills and commits it, unless somebody was faster.
    ///
    /// Not by way of a [`Claim`]: nothing here can panic or fail between claim and commit. And the
    /// commit is a store, not a CAS from the claim as there. The CAS waits for the line that the
    /// consumer, looking for the item, has just taken away, the store does not: one producer and
    /// one consumer reach 100 million items a second against 45. What the CAS would add is little.
    /// It fails for a process that was taken for dead while it lives, which the byte locks exclude;
    /// and by then the payload is written, into a place that may be another's.
    #[inline(always)]
    fn put_at(&self, at: Position, slot: &AtomicU64, me: MemberId, payload: &[u64]) -> bool {
        self.fetch_ahead(at, slot);
        if self.claim_at(at, slot, me).is_none() {
            return false;
        }
        self.write_at(slot, payload);
        // commit: the item is in the queue.
        // ORDERING: release side of *publish*.
        slot.store(Word::full(at.lap()).bits(), Release);
        true
    }

    /// Tells whether a slot could be claimed, at that moment; [`Refused`] says why not.
    ///
    /// # Errors
    ///
    /// What [`Ring::claim`] would have answered.
    pub fn has_room(&self) -> Result<(), Refused> {
        for _ in 0..self.rounds() {
            if self.free_at_tail()?.is_some() {
                return Ok(());
            }
        }
        Err(Refused::Corrupt)
    }

    /// Tells whether the place that comes `slots` after the write end is free; at most the capacity. One load
    /// of a line at which the consumers are not, unless they are just there.
    #[must_use]
    pub fn is_free_ahead(&self, slots: u32) -> bool {
        let at =
            Position::from_bits(self.header().tail.0.load(Relaxed)).after(slots, self.capacity);
        self.slot(at).is_some_and(|slot| slot.load(Relaxed) == Word::free(at.lap()).bits())
    }

    /// One look at the write end: a free slot, `None` after something was moved on, or why not.
    pub(super) fn free_at_tail(&self) -> Result<Option<(Position, &AtomicU64)>, Refused> {
        // ORDERING: acquire side of *tail*.
        let tail = self.header().tail.0.load(Acquire);
        if Position::is_closed(tail) {
            return Err(self.refuse_closed());
        }
        let at = Position::from_bits(tail);
        let slot = self.slot(at).ok_or(Refused::Corrupt)?;
        // ORDERING: Acquire, so that the second look at `tail` is not an earlier one.
        let word = Word::from_bits(slot.load(Acquire));
        match (word.past(at.lap()), word.state()) {
            (_, State::Unknown) => return Err(Refused::Corrupt),
            (0, State::Free) => return Ok(Some((at, slot))),
            (0, _) => self.help_tail(at, word),
            (1.., _) => {
                self.pass_tail(at);
            }
            (-1, State::Skip) => self.pass_skip(at.lap_before(), slot),
            (-1, state) if state != State::Free => {
                if self.header().tail.0.load(Relaxed) == tail {
                    return Err(Refused::Full);
                }
            }
            // FREE of an earlier lap behind `tail`, or two laps back: nobody leaves that.
            _ => return Err(Refused::Corrupt),
        }
        Ok(None)
    }

    /// Claims the slot that was seen free, and moves `tail` on. `None`: somebody was faster, or the
    /// queue was closed meanwhile, as the next look shows.
    #[inline(always)]
    pub(super) fn claim_at(&self, at: Position, slot: &AtomicU64, me: MemberId) -> Option<Word> {
        let free = Word::free(at.lap()).bits();
        let word = Word::writing(at.lap(), me);
        // ORDERING: acquire side of *reuse*; release for who meets the claim and helps.
        slot.compare_exchange(free, word.bits(), AcqRel, Relaxed).ok()?;
        if self.pass_tail(at) {
            return Some(word);
        }
        self.skip_at(at, slot, word);
        None
    }

    /// Writes the first words of the payload of a claimed slot, which has as many.
    #[inline(always)]
    pub(super) fn write_at(&self, slot: &AtomicU64, payload: &[u64]) {
        for (index, &word) in payload.iter().enumerate() {
            // SAFETY: the slot has as many words as the payload.
            let to = unsafe { self.payload(slot).add(index) };
            // SAFETY: within the ring, and only reached as an atomic.
            unsafe { to.as_ref() }.store(word, Relaxed);
        }
    }

    /// Ends a claim without an item.
    #[cold]
    pub(super) fn skip_at(&self, at: Position, slot: &AtomicU64, word: Word) {
        let skip = Word::skip(at.lap()).bits();
        // commit: this place stays empty.
        // ORDERING: Release, so that what was written here is before whatever comes next.
        let _ = slot.compare_exchange(word.bits(), skip, Release, Relaxed);
        self.items().notify_all();
        // What was never put keeps nobody waiting either.
        self.desk().done().notify_all();
    }

    #[cold]
    pub(super) fn refuse_closed(&self) -> Refused {
        if !self.hinted_closed() {
            self.spread_closed();
        }
        Refused::Closed
    }

    /// Moves `tail` past every slot that is claimed already.
    pub(super) fn settle_tail(&self) -> Position {
        for _ in 0..self.rounds() {
            // ORDERING: acquire side of *tail*.
            let tail = self.header().tail.0.load(Acquire);
            let at = Position::from_bits(tail);
            let Some(slot) = self.slot(at) else { break };
            // ORDERING: acquire side of the claim; who sees `tail` moved sees the claim.
            let word = Word::from_bits(slot.load(Acquire));
            match word.past(at.lap()) {
                _ if Position::is_closed(tail) => return at,
                0 if word.state() != State::Free => self.help_tail(at, word),
                1.. => {
                    self.pass_tail(at);
                }
                _ => return at,
            }
        }
        Position::from_bits(self.header().tail.0.load(Relaxed))
    }
}

impl Claim<'_> {
    /// The first word of the payload. The claim excludes everybody else from it.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        self.ring.payload(self.slot)
    }

    /// Writes the first words of the payload.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words.
    pub fn write(&self, words: &[u64]) {
        assert!(words.len() <= self.ring.payload_words(), "payload longer than the slot");
        self.ring.write_at(self.slot, words);
    }

    /// Makes the item available to the consumers. The caller wakes one of them.
    ///
    /// # Errors
    ///
    /// [`Refused::Corrupt`] if the word is not this claim's any more: this process was taken for
    /// dead, or a peer wrote rubbish. The item is not in the queue then.
    pub fn commit(self) -> Result<(), Refused> {
        let full = Word::full(self.at.lap()).bits();
        // commit: the item is in the queue.
        // ORDERING: release side of *publish*.
        let done = self.slot.compare_exchange(self.word.bits(), full, Release, Relaxed);
        mem::forget(self);
        if done.is_ok() { Ok(()) } else { Err(Refused::Corrupt) }
    }
}

impl Drop for Claim<'_> {
    #[cold]
    fn drop(&mut self) {
        self.ring.skip_at(self.at, self.slot, self.word);
    }
}
