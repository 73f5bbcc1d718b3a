//! Taking an item in one go, or holding it first.

use core::mem;
use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::{Near, Position, Ring, State, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Items of so many words take about a line each: their consumers keep a distance.
const WIDE_WORDS: usize = 4;
/// Where they take some, the lines of one are enough.
const WIDEST_WORDS: usize = 16;
/// How many places that is, in a ring of more.
pub const DISTANCE: u32 = 32;
/// What is ahead is at most this part of the ring.
const RING_AT_LEAST: u32 = 4;

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoItem {
    /// Nothing is in the queue.
    Empty,
    /// The next item is still being put, or another consumer holds it.
    Pending,
    /// The queue was closed, and nothing is left in it.
    Closed,
    /// As many items are on lease as can be at once.
    AllLeased,
    /// The words are none that this protocol writes.
    Corrupt,
}

/// An item that stays first in the queue until [`Hold::commit`]. Dropped without that, it is
/// there for the next consumer.
#[derive(Debug)]
#[must_use = "an item that is not committed stays in the queue"]
pub struct Hold<'r> {
    ring: &'r Ring,
    pub(super) slot: &'r AtomicU64,
    pub(super) at: Position,
    pub(super) word: Word,
}

/// The place that was at the read end at one look, for who waits there.
///
/// As long as it is free nothing has come, and one load tells so.
#[derive(Debug)]
pub struct Watch<'r> {
    at: Position,
    slot: &'r AtomicU64,
}

impl Ring {
    /// Takes the item at the read end into `out`. The caller wakes a producer.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; nothing was taken then, and `out` may hold rubbish.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    pub fn take_words(&self, out: &mut [u64]) -> Result<(), NoItem> {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        for _ in 0..self.rounds() {
            if let Some((at, slot)) = self.full_at_head()? {
                if self.take_at(at, slot, out) {
                    return Ok(());
                }
            }
        }
        Err(NoItem::Corrupt)
    }

    /// As [`take_words`](Self::take_words) where no lease was ever made: false says that one was, and
    /// that there is more to look at than the ring. One load of `head` answers both.
    ///
    /// # Errors
    ///
    /// As [`take_words`](Self::take_words).
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    pub fn take_words_unless_leased(&self, out: &mut [u64]) -> Result<bool, NoItem> {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        for _ in 0..self.rounds() {
            let at = self.load_head();
            if at.is_leased() {
                return Ok(false);
            }
            if let Some(slot) = self.full_at(at)? {
                if self.take_at(at, slot, out) {
                    return Ok(true);
                }
            }
        }
        Err(NoItem::Corrupt)
    }

    /// Takes the item at the read end into `out` if nothing stands in the way, leases that were made
    /// included, nor that this consumer trails the producers; `false` says nothing about
    /// why, [`Ring::take_words`] does.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline(always)]
    pub fn take_words_at_once(&self, out: &mut [u64]) -> bool {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        let Some((at, slot)) = self.full_at_once() else { return false };
        !self.asks_if_trailing(at, out.len()) && self.take_at(at, slot, out)
    }

    /// The slot at the read end if it has an item and no lease was ever made; nothing else is told, or
    /// moved on.
    #[inline(always)]
    pub(super) fn full_at_once(&self) -> Option<(Position, &AtomicU64)> {
        let at = self.load_head();
        let slot = self.slot(at)?;
        // ORDERING: acquire side of *publish*.
        (slot.load(Acquire) == at.plainly_full().bits()).then_some((at, slot))
    }

    /// Looks at the place at the read end, to wait there; `None` if there is none, as
    /// [`take_words`](Self::take_words) tells.
    #[inline(always)]
    pub fn watch_head(&self) -> Option<Watch<'_>> {
        let at = self.load_head();
        Some(Watch { at, slot: self.slot(at)? })
    }

    /// Takes the item into `out` that has come to the place that is watched; if it is not free any more and
    /// has none, looks where the read end is now. `false` says nothing about why, as
    /// [`take_words_at_once`](Self::take_words_at_once).
    ///
    /// The head that was loaded once is as good as a new one: until the place has an item no consumer
    /// passes it, and none of a later item was leased.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline(always)]
    pub fn take_words_watched<'r>(
        &'r self,
        watch: &mut Option<Watch<'r>>,
        out: &mut [u64],
    ) -> bool {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        let Some(watching) = watch else { return false };
        // ORDERING: acquire side of *publish*.
        let word = Word::from_bits(watching.slot.load(Acquire));
        if word == watching.at.plainly_full() {
            if self.take_at(watching.at, watching.slot, out) {
                return true;
            }
        } else if word == Word::free(watching.at.lap()) {
            return false;
        }
        *watch = self.watch_head();
        false
    }

    /// Copies the payload of the slot that was seen full, and takes it unless it was taken.
    #[inline(always)]
    pub(super) fn take_at(&self, at: Position, slot: &AtomicU64, out: &mut [u64]) -> bool {
        self.read_at(slot, out);
        let full = Word::full(at.lap()).bits();
        let free = Word::free(at.lap().next()).bits();
        // commit: the item is taken.
        // ORDERING: release side of *reuse*.
        if slot.compare_exchange(full, free, Release, Relaxed).is_err() {
            return false;
        }
        self.pass_head(at);
        // Last: before, one at the producer's heels takes a line that this is about to write.
        self.fetch_ahead(at, slot);
        true
    }

    /// Reads the first words of the payload of a slot, which has as many.
    #[inline(always)]
    pub(super) fn read_at(&self, slot: &AtomicU64, out: &mut [u64]) {
        for (index, word) in out.iter_mut().enumerate() {
            // SAFETY: the index is below the words of the payload.
            let from = unsafe { self.payload(slot).add(index) };
            // SAFETY: within the ring, and only reached as an atomic.
            *word = unsafe { from.as_ref() }.load(Relaxed);
        }
    }

    /// Holds the item at the read end for `me`.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; nothing is held then.
    #[inline]
    pub fn hold(&self, me: MemberId) -> Result<Hold<'_>, NoItem> {
        for _ in 0..self.rounds() {
            let Some((at, slot)) = self.full_at_head()? else { continue };
            let word = Word::reading(at.lap(), me);
            let full = Word::full(at.lap()).bits();
            // ORDERING: acquire side of *publish*; release for who meets the claim.
            if slot.compare_exchange(full, word.bits(), AcqRel, Relaxed).is_ok() {
                return Ok(Hold { ring: self, slot, at, word });
            }
        }
        Err(NoItem::Corrupt)
    }

    /// Asks, once in [`DISTANCE`] places, whether who takes the item at `at` of so many words is at the producers'
    /// heels.
    #[inline(always)]
    pub(super) fn asks_if_trailing(&self, at: Position, words: usize) -> bool {
        words >= WIDE_WORDS && Self::is_asked_at(at) && self.is_trailing_at(at)
    }

    #[inline(always)]
    fn is_asked_at(at: Position) -> bool {
        at.index() % DISTANCE == DISTANCE - 1
    }

    #[cold]
    #[inline(never)]
    fn is_trailing_at(&self, at: Position) -> bool {
        !self.is_full_after(at, self.distance())
    }

    fn distance(&self) -> u32 {
        DISTANCE.min(self.capacity / RING_AT_LEAST)
    }

    /// The place of the item that was left, at `head` or where `near` says, for no other reason than that its
    /// consumer trails the producers; and the next place where it is asked.
    #[must_use]
    pub fn left_for_trailing(&self, near: Option<&Near>) -> Option<(Position, Position)> {
        let at = near.map_or_else(|| self.load_head(), Near::at);
        let full = Word::full(at.lap()).bits();
        let left = self.is_wide()
            && Self::is_asked_at(at)
            && at.is_leased() == near.is_some()
            && self.slot(at)?.load(Relaxed) == full
            && !(at.is_leased() && self.has_back())
            && self.is_trailing_at(at);
        left.then(|| (at, at.after(DISTANCE.min(self.capacity), self.capacity)))
    }

    /// How many items came since the one at `at` was left for trailing, or some less.
    #[must_use]
    pub fn came_after(&self, at: Position) -> u32 {
        let tail = Position::from_bits(self.header().tail.0.load(Relaxed));
        tail.past(at, self.capacity).saturating_sub(self.distance())
    }

    /// Tells whether an item takes about a cache line.
    #[must_use]
    #[inline]
    pub fn is_wide(&self) -> bool {
        (WIDE_WORDS..=WIDEST_WORDS).contains(&self.payload_words())
    }

    /// Tells whether the place that comes `slots` after the read end has an item; at most the capacity.
    #[must_use]
    pub fn is_full_ahead(&self, slots: u32) -> bool {
        self.is_full_after(Position::from_bits(self.header().head.0.load(Relaxed)), slots)
    }

    /// The same of `at`.
    #[must_use]
    pub fn is_full_after(&self, at: Position, slots: u32) -> bool {
        let at = at.after(slots, self.capacity);
        self.slot(at).is_some_and(|slot| slot.load(Relaxed) == Word::full(at.lap()).bits())
    }

    /// Tells whether an item could be taken, at that moment; [`NoItem`] says why not.
    ///
    /// # Errors
    ///
    /// What [`Ring::take_words`] would have answered.
    pub fn has_item(&self) -> Result<(), NoItem> {
        if self.is_leased() && self.has_back() && self.count_back() > 0 {
            return Ok(());
        }
        for _ in 0..self.rounds() {
            if self.full_at_head()?.is_some() {
                return Ok(());
            }
        }
        Err(NoItem::Corrupt)
    }

    /// One look at the read end: a full slot, `None` after something was moved on, or why not.
    #[inline]
    pub(super) fn full_at_head(&self) -> Result<Option<(Position, &AtomicU64)>, NoItem> {
        let at = self.load_head();
        Ok(self.full_at(at)?.map(|slot| (at, slot)))
    }

    /// The same at `at`, which `head` was.
    #[inline]
    pub(super) fn full_at(&self, at: Position) -> Result<Option<&AtomicU64>, NoItem> {
        let slot = self.slot(at).ok_or(NoItem::Corrupt)?;
        // ORDERING: acquire side of *publish*; and the second look at `head` is not an earlier one.
        let word = Word::from_bits(slot.load(Acquire));
        if word == Word::full(at.lap()) {
            return Ok(Some(slot));
        }
        self.not_full_at_head(at, slot, word).map_or(Ok(None), Err)
    }

    /// What to answer for a slot that is not full; `None` to look again.
    #[cold]
    fn not_full_at_head(&self, at: Position, slot: &AtomicU64, word: Word) -> Option<NoItem> {
        let found = match (word.past(at.lap()), word.state()) {
            (_, State::Unknown) => return Some(NoItem::Corrupt),
            // A lessee has the item, and is about to move `head` on.
            (1.., _) | (0, State::Taken) => {
                self.pass_head(at);
                return None;
            }
            (0, State::Skip) => {
                self.pass_skip(at, slot);
                return None;
            }
            // A lessee of the lap before has not freed it yet: the ring is empty all the same.
            (0, State::Free) | (-1, State::Taken) if self.hinted_closed() => {
                return self.closed_or_look_again();
            }
            (0, State::Free) | (-1, State::Taken) => NoItem::Empty,
            (0, State::Writing | State::Reading | State::Filling | State::Clearing) => {
                NoItem::Pending
            }
            // A full one was looked at before; an earlier lap at `head` nobody leaves.
            _ => return Some(NoItem::Corrupt),
        };
        (self.header().head.0.load(Relaxed) == at.bits()).then_some(found)
    }

    /// The bit in `tail` was seen: what is at `head` now decides.
    #[cold]
    fn closed_or_look_again(&self) -> Option<NoItem> {
        if !self.is_closed() {
            return Some(NoItem::Corrupt);
        }
        let at = self.load_head();
        let slot = self.slot(at)?;
        let word = Word::from_bits(slot.load(Relaxed));
        let vacant = word == Word::free(at.lap())
            || word.state() == State::Taken && word.past(at.lap()) == -1;
        vacant.then_some(NoItem::Closed)
    }

    /// Moves `head` past every slot that is free for the next lap already, or carries nothing.
    pub(super) fn settle_head(&self) -> Position {
        for _ in 0..self.rounds() {
            let at = self.load_head();
            let Some(slot) = self.slot(at) else { break };
            // ORDERING: acquire side of *reuse*; who sees `head` moved sees the slot free.
            let word = Word::from_bits(slot.load(Acquire));
            match (word.past(at.lap()), word.state()) {
                (0, State::Skip) => self.pass_skip(at, slot),
                (0, State::Taken) | (1.., _) => self.pass_head(at),
                _ => return at,
            }
        }
        self.load_head()
    }
}

impl Hold<'_> {
    /// The first word of the payload. The hold excludes everybody else from it.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        self.ring.payload(self.slot)
    }

    /// Reads the first words of the payload.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words.
    #[inline]
    pub fn read(&self, out: &mut [u64]) {
        assert!(out.len() <= self.ring.payload_words(), "payload longer than the slot");
        self.ring.read_at(self.slot, out);
    }

    /// Takes the item. The caller wakes a producer.
    ///
    /// # Errors
    ///
    /// [`NoItem::Corrupt`] if the word is not this hold's any more: this process was taken for
    /// dead, or a peer wrote rubbish. Somebody else has or had the item then.
    #[inline]
    pub fn commit(self) -> Result<(), NoItem> {
        let (ring, slot, at, word) = (self.ring, self.slot, self.at, self.word);
        mem::forget(self);
        let free = Word::free(at.lap().next()).bits();
        // commit: the item is taken.
        // ORDERING: release side of *reuse*; SeqCst for the load in `wake_next_consumer`.
        if slot.compare_exchange(word.bits(), free, SeqCst, Relaxed).is_err() {
            return Err(NoItem::Corrupt);
        }
        ring.pass_head(at);
        // An item that is released in place, or thrown away, is done without an entry.
        // ORDERING: the barrier in here stands before the load below, too.
        if ring.desk().done().is_awaited() {
            ring.desk().done().notify_all();
        }
        if ring.items().has_waiters() {
            ring.wake_next_consumer();
        }
        Ok(())
    }
}

impl Drop for Hold<'_> {
    #[cold]
    fn drop(&mut self) {
        let full = Word::full(self.at.lap()).bits();
        // commit: nothing happened.
        // ORDERING: release side of *publish*, as the first commit of this item was.
        let _ = self.slot.compare_exchange(self.word.bits(), full, Release, Relaxed);
        self.ring.items().notify_one();
    }
}
