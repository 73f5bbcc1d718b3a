//! Runs of items: claimed one after the other, `tail` or `head` moved once.
//!
//! A run is what a fast producer or consumer would do item by item, less the steps in between:
//!
//! - *put*: CAS FREE -> WRITING in the slots from `tail` on, as many as are free; one CAS of `tail`
//!   past all of them; then payload and commit, slot by slot, in order. A claim ahead of `tail`
//!   needs no word of its own: all slots before it are claimed, by the same producer, and whoever
//!   meets `tail` there moves it past them one by one.
//! - *take*: FULL -> FREE in the slots from `head` on, each CAS the commit of its item; one CAS of
//!   `head`. A slot that is taken ahead of `head` lies behind slots that are all free for the next
//!   lap, so whoever meets `head` there moves it on.
//!
//! # Deaths
//!
//! | killed                      | left behind                        | seen by                       |
//! |-----------------------------|------------------------------------|-------------------------------|
//! | put, claims made, `tail` not| WRITING(dead) from `tail` on       | producers help; then as below |
//! | put, some committed         | a prefix; the rest WRITING(dead)   | who waits for it: SKIP        |
//! | take, some committed        | a prefix is taken; `head` behind   | any consumer helps            |
//!
//! A close between the claims and the CAS of `tail` lets those count that others had moved `tail`
//! past by then, a prefix again; the rest is skipped.

use crossproc_segment::MemberId;

use super::{NoItem, Position, Refused, Ring, Word};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

impl Ring {
    /// Puts payloads of `words` each, one after the other, as many as there is room for at the
    /// write end, at least one; tells how many. The caller wakes as many consumers.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was put then.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words, or `payloads` is not `count` times as long.
    #[inline]
    pub fn put_run(
        &self,
        me: MemberId,
        payloads: &[u64],
        words: usize,
        count: u32,
    ) -> Result<u32, Refused> {
        self.put_run_while(me, payloads, words, count, || true)
    }

    /// As [`put_run`](Self::put_run) by one who is killed where `lives` says false: it is asked
    /// after the claims, after `tail` and after each commit. For the model checker.
    #[doc(hidden)]
    #[inline(always)]
    pub fn put_run_while(
        &self,
        me: MemberId,
        payloads: &[u64],
        words: usize,
        count: u32,
        mut lives: impl FnMut() -> bool,
    ) -> Result<u32, Refused> {
        assert!(words <= self.payload_words(), "payload longer than the slot");
        assert_eq!(payloads.len(), words * count as usize, "a payload for each item");
        if count == 0 {
            return Ok(0);
        }
        for _ in 0..self.rounds() {
            let Some((start, _)) = self.free_at_tail()? else { continue };
            let claimed = self.claim_run(start, me, count);
            if claimed == 0 {
                continue;
            }
            if !lives() {
                return Ok(0);
            }
            let counted = self.pass_tail_by(start, claimed);
            let (mut at, mut payloads) = (start, payloads.chunks_exact(words.max(1)));
            for index in 0..claimed {
                // Checked when it was claimed.
                let Some(slot) = self.slot(at) else { break };
                if !lives() {
                    return Ok(index);
                }
                if index < counted {
                    self.write_at(slot, payloads.next().unwrap_or_default());
                    // commit: this item is in the queue; a store, as in `put_at`.
                    // ORDERING: release side of *publish*.
                    slot.store(Word::full(at.lap()).bits(), Release);
                } else {
                    self.skip_at(at, slot, Word::writing(at.lap(), me));
                }
                at = at.next(self.capacity);
            }
            return match counted {
                0 if self.is_closed() => Err(self.refuse_closed()),
                0 => Err(Refused::Corrupt),
                _ => Ok(counted),
            };
        }
        Err(Refused::Corrupt)
    }

    /// Claims the slots from `start` on, `count` of them or as many as are free.
    fn claim_run(&self, start: Position, me: MemberId, count: u32) -> u32 {
        let mut at = start;
        for claimed in 0..count.min(self.capacity) {
            let Some(slot) = self.slot(at) else { return claimed };
            let free = Word::free(at.lap()).bits();
            let word = Word::writing(at.lap(), me).bits();
            // ORDERING: acquire side of *reuse*; release for who meets the claim and helps.
            if slot.compare_exchange(free, word, AcqRel, Relaxed).is_err() {
                return claimed;
            }
            at = at.next(self.capacity);
        }
        count.min(self.capacity)
    }

    /// Moves `tail` past `count` slots from `start` on, all claimed by the caller. Tells how many of
    /// them count: all, unless the queue was closed before.
    fn pass_tail_by(&self, start: Position, count: u32) -> u32 {
        let mut end = start;
        (0..count).for_each(|_| end = end.next(self.capacity));
        let mut tail = start.bits();
        // Each failure is a step by a helper, or the close.
        for _ in 0..=count {
            let passed = Position::from_bits(tail).past(start, self.capacity);
            if Position::is_closed(tail) || passed >= count {
                return passed.min(count);
            }
            // ORDERING: release side of *tail*. A failure needs no acquire: the claims are our own.
            match self.header().tail.0.compare_exchange(tail, end.bits(), Release, Relaxed) {
                Ok(_) => return count,
                Err(found) => tail = found,
            }
        }
        // No helper moves `tail` so often without passing the claims: a peer writes rubbish.
        0
    }

    /// Takes up to `count` items of `words` each into `out`, as many as are ready at the read end,
    /// at least one; tells how many. The caller wakes as many producers. None if a lease was ever
    /// made: then there is more to look at than the ring.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; nothing was taken then, and `out` may hold rubbish.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words, or `out` is not `count` times as long.
    pub fn take_run(&self, out: &mut [u64], words: usize, count: u32) -> Result<u32, NoItem> {
        assert!(words <= self.payload_words(), "payload longer than the slot");
        assert_eq!(out.len(), words * count as usize, "room for each item");
        if count == 0 {
            return Ok(0);
        }
        for _ in 0..self.rounds() {
            let start = self.load_head();
            if start.is_leased() {
                return Ok(0);
            }
            if self.full_at(start)?.is_none() {
                continue;
            }
            let (mut at, mut taken) = (start, 0);
            let mut rooms = out.chunks_exact_mut(words.max(1));
            while taken < count.min(self.capacity) {
                let Some(slot) = self.slot(at) else { break };
                let full = Word::full(at.lap()).bits();
                // ORDERING: acquire side of *publish*.
                if slot.load(Acquire) != full {
                    break;
                }
                self.read_at(slot, rooms.next().unwrap_or_default());
                let free = Word::free(at.lap().next()).bits();
                // commit: this item is taken.
                // ORDERING: release side of *reuse*.
                if slot.compare_exchange(full, free, Release, Relaxed).is_err() {
                    break;
                }
                at = at.next(self.capacity);
                taken += 1;
            }
            if taken > 0 {
                self.pass_head_to(start, at);
                return Ok(taken);
            }
        }
        Err(NoItem::Corrupt)
    }

    /// Moves `head` from `start` to `end`, past slots that the caller has taken.
    fn pass_head_to(&self, start: Position, end: Position) {
        let mut head = start.bits();
        while end.past(Position::from_bits(head), self.capacity) > 0 {
            // The bit of the first lease may come in between.
            let to = end.bits() | head & Position::leased_bit();
            // ORDERING: release side of *head*.
            match self.header().head.0.compare_exchange(head, to, Release, Relaxed) {
                Ok(_) => return,
                // A helper's step; whoever comes next does the same, so one more try will do.
                Err(found) if head == start.bits() => head = found,
                Err(_) => return,
            }
        }
    }

    /// Reads the item at the read end, which stays there, into `out`.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; `out` may hold rubbish.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    pub fn peek_words(&self, out: &mut [u64]) -> Result<(), NoItem> {
        assert!(out.len() <= self.payload_words(), "payload longer than the slot");
        for _ in 0..self.rounds() {
            let Some((at, slot)) = self.full_at_head()? else { continue };
            self.read_at(slot, out);
            let full = Word::full(at.lap()).bits();
            // A load would not do: nothing orders it after the loads of the payload in the eyes of
            // the next lap's producer. The swap of a word for itself stands before that claim in
            // the order of the word, as the commit of a get does.
            // ORDERING: release side of *reuse*, by way of the get that follows.
            if slot.compare_exchange(full, full, Release, Relaxed).is_ok() {
                return Ok(());
            }
        }
        Err(NoItem::Corrupt)
    }
}
