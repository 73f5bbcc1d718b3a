//! Runs of items: claimed by one word, `tail` or `head` moved once, and no compare-exchange for each.
//!
//! # States, besides those of `raw`
//!
//! | word of the first slot | the slots after it, n - 1 of them  | becomes                              |
//! |------------------------|------------------------------------|--------------------------------------|
//! | FILLING(lap, o, n)     | FREE(lap), or FULL(lap) already    | FULL by `o`; SKIP, all n, if `o` died; |
//! |                        |                                    | SKIP, the first alone, by `o` if the queue was closed before |
//! | CLEARING(lap, o, n)    | FULL(lap), or FREE(lap+1) already  | FREE(lap+1), all n, by `o`, or if it died |
//!
//! What is behind the first slot of a run is its owner's alone, whatever its word says: nobody comes
//! to it but past the first.
//!
//! # Operations
//!
//! Put a run:
//! 1. See that n slots from `tail` on are FREE(lap). CAS FREE -> FILLING(n) in the first: all are
//!    claimed. A producer can only claim at `tail`, and `tail` cannot have passed the first before.
//! 2. CAS `tail` on by n; whoever finds FILLING(n) at `tail` does the same. Never by less: to move
//!    it one by one, a helper has to see the first slot FULL, and then all are. If the closed bit
//!    was there before, none counts, and the first becomes SKIP.
//! 3. Payload and FULL(lap) of all but the first, by stores.
//! 4. Payload of the first, and its FULL(lap), by a store: **commit**, of all n.
//!
//! Take a run:
//! 1. CAS FULL -> READING in the slot at `head`: as a hold. Nobody takes an item but at `head`, and
//!    `head` passes no slot that is not free, so those behind are held with it.
//! 2. The payloads of it and of those behind it, up to the first that is not FULL: n of them.
//! 3. READING -> CLEARING(n) by a store: **commit**, of all n.
//! 4. FREE(lap+1) of all but the first, then of the first, by stores. CAS `head` on by n.
//!
//! Why stores will do, see [`Ring::put_at`](super::Ring): of a claim that names its owner nobody else
//! changes anything while that lives.
//!
//! # Orderings
//!
//! - **publish**: the commit (Release) comes after the payloads and words of all n; who takes the first
//!   sees them, and who comes to a later one has it from *head* of one who did.
//! - **reuse**: the words of all n are loaded (Acquire) before the claim; FREE of the first (Release) comes
//!   after the FREE of those behind it.
//! - **takeover**: who ends a dead owner's run looks at the claim once more after it has heard that the owner
//!   is dead. A claim seen before that may have been committed since, and the slots behind the first
//!   are no claims that a swap could compare.
//! - The end of a take is asked after by [`Ring::wake_next_consumer`] as that of a hold: the barrier that
//!   asks for sleepers is between the two.
//!
//! # Deaths
//!
//! | killed                     | left behind                          | seen by                           |
//! |----------------------------|--------------------------------------|-----------------------------------|
//! | put, after the claim       | FILLING(dead, n), perhaps at `tail`  | producers help; who waits: SKIP, all n |
//! | put, after the commit      | n items; perhaps no wake             | the next look                     |
//! | take, before the commit    | READING(dead)                        | who waits for it: FULL            |
//! | take, after the commit     | CLEARING(dead, n)                    | who waits, at either end: FREE, all n |
//! | take, after the last FREE  | `head` behind                        | any consumer helps, one by one    |
//! | repair, anywhere           | the same; the first slot goes last   | the next one                      |

use core::slice::ChunksExactMut;

use crossproc_segment::MemberId;

use super::word::MAX_RUN;
use super::{Lap, NoItem, Position, Refused, Ring, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// In a ring of so many runs the lines of the next one are worth asking for.
const RING_OF_RUNS: u32 = 4;
const LINE_WORDS: usize = 8;

impl Ring {
    /// Puts payloads of `words` each, one after the other, as many as there is room for at the
    /// write end and as one word can claim, at least one; tells how many. The caller wakes as many
    /// consumers. Whoever is killed in it has put all of them or none.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was put then.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words, or `payloads` is not `count` times as long.
    #[inline(always)]
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
    /// after the claim, after `tail` and before each commit. For the model checker.
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
            let Some((start, first)) = self.free_at_tail()? else { continue };
            let most = count;
            let count = self.free_from(start, count);
            self.fetch_next_run(start, count, most);
            let free = Word::free(start.lap()).bits();
            let word = Word::filling(start.lap(), me, count);
            // ORDERING: acquire side of *reuse*; release for who meets the claim and helps.
            if first.compare_exchange(free, word.bits(), AcqRel, Relaxed).is_err() {
                continue;
            }
            if !lives() {
                return Ok(0);
            }
            if !self.pass_tail_by(start, count) {
                self.skip_at(start, first, word);
                continue;
            }
            let mut payloads = payloads.chunks_exact(words.max(1));
            self.write_at(first, payloads.next().unwrap_or_default());
            let written = self.each_after(start, count, |slot, lap| {
                let alive = lives();
                if alive {
                    self.write_at(slot, payloads.next().unwrap_or_default());
                    // ORDERING: release side of *publish*.
                    slot.store(Word::full(lap).bits(), Release);
                }
                alive
            });
            if written + 1 < count {
                return Ok(0);
            }
            if !lives() {
                return Ok(0);
            }
            // commit: all the items are in the queue; a store, as in `put_at`.
            // ORDERING: release side of *publish*.
            first.store(Word::full(start.lap()).bits(), Release);
            return Ok(count);
        }
        Err(Refused::Corrupt)
    }

    /// Asks for the lines of the run after that of `count` slots from `start` on, if this was as long as was wanted:
    /// then the next one most likely is, too. Else the other side is there, and needs them itself.
    ///
    /// As with [`Ring::fetch_ahead`]; each run waited for its lines where the two sides have a cache each.
    #[inline(always)]
    fn fetch_next_run(&self, start: Position, count: u32, wanted: u32) {
        #[cfg(not(crossproc_loom))]
        if count == wanted && count > 1 && count <= self.capacity / RING_OF_RUNS {
            let start = start.after(count, self.capacity);
            let Some(first) = self.slot(start) else { return };
            let slots = count.min(self.capacity - start.index());
            for word in (0..slots as usize * self.stride as usize).step_by(LINE_WORDS) {
                // Not checked: a hint needs no place that is there.
                crossproc_sys::prefetch::for_write(core::ptr::from_ref(first).wrapping_add(word));
            }
        }
        #[cfg(crossproc_loom)]
        let _ = (start, count, wanted, RING_OF_RUNS, LINE_WORDS);
    }

    /// How many slots from `start` on are free, `count` at most and as one word can claim: the first
    /// was seen to be.
    #[inline(always)]
    fn free_from(&self, start: Position, count: u32) -> u32 {
        let most = count.min(self.capacity).min(MAX_RUN);
        1 + self.each_after(start, most, |slot, lap| {
            // ORDERING: acquire side of *reuse*.
            slot.load(Acquire) == Word::free(lap).bits()
        })
    }

    /// Does something to each of the `count` slots from `start` on but the first, in order, until it says
    /// false; tells how many said true. The lap that it is told is the slot's.
    #[inline(always)]
    fn each_after(
        &self,
        start: Position,
        count: u32,
        mut what: impl FnMut(&AtomicU64, Lap) -> bool,
    ) -> u32 {
        let first = start.index().saturating_add(1);
        let end = start.index().saturating_add(count.min(self.capacity));
        let mut done = 0;
        let parts = [
            (first..end.min(self.capacity), start.lap()),
            (0..end.saturating_sub(self.capacity).min(self.capacity), start.lap().next()),
        ];
        for (indices, lap) in parts {
            // From slot to slot, and not by the index of each: this is most of what an item costs.
            let mut place =
                self.slots.as_ptr().wrapping_add(indices.start as usize * self.stride as usize);
            for _ in indices {
                // SAFETY: its index is below the capacity, whatever `start` is, so the word is within the ring.
                let slot = unsafe { &*place };
                place = place.wrapping_add(self.stride as usize);
                if !what(slot, lap) {
                    return done;
                }
                done += 1;
            }
        }
        done
    }

    /// Moves `tail` past `count` slots from `start` on, all claimed by the caller. False: the queue
    /// was closed before, and they do not count.
    #[inline]
    fn pass_tail_by(&self, start: Position, count: u32) -> bool {
        let end = start.after(count, self.capacity).bits();
        // ORDERING: release side of *tail*. A failure needs no acquire: the claim is our own.
        match self.header().tail.0.compare_exchange(start.bits(), end, Release, Relaxed) {
            Ok(_) => true,
            // Somebody helped, and perhaps somebody closed the queue after that.
            Err(found) if Position::is_closed(found) => {
                Position::from_bits(found).past(start, self.capacity) >= count
            }
            Err(_) => true,
        }
    }

    /// Moves `tail` past a slot that was seen claimed by `word`, and past the rest of its run.
    pub(super) fn help_tail(&self, at: Position, word: Word) {
        let end = at.after(word.width().min(self.capacity), self.capacity).bits();
        // ORDERING: release side of *tail*.
        let _ = self.header().tail.0.compare_exchange(at.bits(), end, Release, Relaxed);
    }

    /// Takes up to `count` items of `words` each into `out`, as many as are ready at the read end,
    /// at least one; tells how many. The caller wakes as many producers. None if a lease was ever
    /// made: then there is more to look at than the ring. Whoever is killed in it has taken all of
    /// them or none.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; nothing was taken then, and `out` may hold rubbish.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words, or `out` is not `count` times as long.
    #[inline(always)]
    pub fn take_run(
        &self,
        me: MemberId,
        out: &mut [u64],
        words: usize,
        count: u32,
    ) -> Result<u32, NoItem> {
        self.take_run_while(me, out, words, count, || true)
    }

    /// As [`take_run`](Self::take_run) by one who is killed where `lives` says false: it is asked
    /// after the claim, after the commit, before each place is freed and before `head`. For the model
    /// checker.
    #[doc(hidden)]
    #[inline(always)]
    pub fn take_run_while(
        &self,
        me: MemberId,
        out: &mut [u64],
        words: usize,
        count: u32,
        mut lives: impl FnMut() -> bool,
    ) -> Result<u32, NoItem> {
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
            let Some(first) = self.full_at(start)? else { continue };
            let full = Word::full(start.lap()).bits();
            let reading = Word::reading(start.lap(), me).bits();
            // ORDERING: acquire side of *publish*; release for who meets the claim.
            if first.compare_exchange(full, reading, AcqRel, Relaxed).is_err() {
                continue;
            }
            if !lives() {
                return Ok(0);
            }
            let mut rooms = out.chunks_exact_mut(words.max(1));
            self.read_at(first, rooms.next().unwrap_or_default());
            let most = count;
            let count = self.read_from(start, &mut rooms, count);
            self.fetch_next_run(start, count, most);
            // commit: all these items are taken.
            // ORDERING: release for who finishes it after a death.
            first.store(Word::clearing(start.lap(), me, count).bits(), Release);
            let freed = self.each_after(start, count, |slot, lap| {
                let alive = lives();
                if alive {
                    // ORDERING: release side of *reuse*.
                    slot.store(Word::free(lap.next()).bits(), Release);
                }
                alive
            });
            if freed + 1 < count {
                return Ok(count);
            }
            if !lives() {
                return Ok(count);
            }
            // ORDERING: release side of *reuse*; the barrier of `is_awaited` stands between it and the load
            // in `wake_next_consumer`.
            first.store(Word::free(start.lap().next()).bits(), Release);
            if !lives() {
                return Ok(count);
            }
            self.pass_head_to(start, start.after(count, self.capacity));
            if self.items().is_awaited() {
                self.wake_next_consumer();
            }
            return Ok(count);
        }
        Err(NoItem::Corrupt)
    }

    /// Reads the items behind the one at `start`, which the caller holds, as many as there are rooms
    /// and as one word can speak for; tells how many there are with the first.
    #[inline(always)]
    fn read_from(&self, start: Position, rooms: &mut ChunksExactMut<'_, u64>, count: u32) -> u32 {
        let most = count.min(self.capacity).min(MAX_RUN);
        1 + self.each_after(start, most, |slot, lap| {
            // ORDERING: acquire side of *publish*.
            let full = slot.load(Acquire) == Word::full(lap).bits();
            if full {
                self.read_at(slot, rooms.next().unwrap_or_default());
            }
            full
        })
    }

    /// Moves `head` from `start` to `end`, past slots that the caller has freed.
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

    /// Ends the run of a dead producer: none of it was put. The first slot goes last, so that whoever
    /// dies in this leaves a run.
    #[cold]
    pub(super) fn skip_run(&self, start: Position, first: &AtomicU64, word: Word) -> bool {
        self.each_after(start, word.width(), |slot, lap| {
            for seen in [Word::free(lap), Word::full(lap)] {
                // ORDERING: *takeover*.
                let _ = slot.compare_exchange(seen.bits(), Word::skip(lap).bits(), AcqRel, Relaxed);
            }
            true
        });
        let skip = Word::skip(start.lap()).bits();
        // commit: none of these places carries an item.
        // ORDERING: *takeover*.
        first.compare_exchange(word.bits(), skip, AcqRel, Relaxed).is_ok()
    }

    /// Frees the places of what a dead consumer had taken. The first slot goes last, see
    /// [`Ring::skip_run`].
    #[cold]
    pub(super) fn clear_run(&self, start: Position, first: &AtomicU64, word: Word) -> bool {
        let count = word.width().min(self.capacity);
        self.each_after(start, count, |slot, lap| {
            let (full, free) = (Word::full(lap), Word::free(lap.next()));
            // ORDERING: *takeover*, and release side of *reuse*.
            let _ = slot.compare_exchange(full.bits(), free.bits(), AcqRel, Relaxed);
            true
        });
        let free = Word::free(start.lap().next()).bits();
        // commit: the places are free.
        // ORDERING: *takeover*, and release side of *reuse*; SeqCst for `wake_next_consumer`.
        let freed = first.compare_exchange(word.bits(), free, SeqCst, Relaxed).is_ok();
        if freed {
            self.pass_head_to(start, start.after(count, self.capacity));
            self.header().space().notify_many(count);
        }
        freed
    }

    /// Tells whether somebody has to do with the place at the read end, at that moment: there is an item, or
    /// there may be one soon.
    #[must_use]
    #[inline]
    pub fn is_busy_at_head(&self) -> bool {
        let at = self.load_head();
        self.slot(at).is_some_and(|slot| slot.load(Relaxed) != Word::free(at.lap()).bits())
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
