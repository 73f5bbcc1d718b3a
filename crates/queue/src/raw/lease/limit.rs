//! Leases that run out: of a holder that lives, and does not come to an end.
//!
//! The moment stands in the entry's word, so that it is one compare-exchange that decides between the
//! holder, who acknowledges, gives back or extends, and whoever finds that the moment has come. What the
//! word held before, the count of deliveries, goes into a word of its own first.
//!
//! A word that was seen is not mistaken for a later one of the same holder in the same entry: it is
//! taken from a living holder only once its moment has come, and every lease after that has a later moment.
//! (Modulo 2^32 steps, which are 208 days; moments lie 100 days ahead at most. All processes have to have the same
//! clock.)
//!
//! A limit is set as the last step before the item is handed out. Until then the entry is LIVE, and nobody
//! takes it from a living owner, who may be reading the payload.

use super::{Entry, Kept, Ring};
use crate::atomic::Ordering::{Relaxed, Release};
use crate::raw::EntryWord;

/// A step of the clock of leases: 2^22 ns, 4.2 ms.
const TICK_SHIFT: u32 = 22;
/// The longest limit.
pub const MAX_LIMIT_NS: u64 = 100 * 86_400 * 1_000_000_000;
/// Steps from now to its end, with what both are rounded by. What is further ahead is behind.
const MAX_AHEAD: u32 = 2_059_936_525;
const _: () = assert!(MAX_AHEAD as u64 == (MAX_LIMIT_NS >> TICK_SHIFT) + 2);

/// A moment on the clock of leases, which is the machine's monotonic one in steps of 4.2 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick(u32);

impl Tick {
    /// The last moment that has come, at a time of the clock.
    #[must_use]
    pub fn at(now_ns: u64) -> Self {
        let [.., a, b, c, d] = (now_ns >> TICK_SHIFT).to_be_bytes();
        Self::from_bits(u32::from_be_bytes([a, b, c, d]))
    }

    /// The first moment that is at least so much later, and has not come; 100 days at most.
    #[must_use]
    pub fn after(now_ns: u64, limit_ns: u64) -> Self {
        let end_ns = now_ns.saturating_add(limit_ns.clamp(1, MAX_LIMIT_NS));
        Self::at(end_ns.saturating_add((1 << TICK_SHIFT) - 1))
    }

    /// The moment as it is stored.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Takes a moment as it was read.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Tells whether it has come.
    #[must_use]
    pub fn has_come(self, now: Self) -> bool {
        let ahead = self.0.wrapping_sub(now.0);
        ahead == 0 || ahead > MAX_AHEAD
    }

    /// Nanoseconds until it comes.
    #[must_use]
    pub fn left_ns(self, now_ns: u64) -> u64 {
        let now = Self::at(now_ns);
        if self.has_come(now) {
            return 0;
        }
        let steps = u64::from(self.0.wrapping_sub(now.0));
        (steps << TICK_SHIFT) - (now_ns & ((1 << TICK_SHIFT) - 1))
    }
}

impl Ring {
    /// Ends a lease that others may end.
    #[cold]
    #[inline(never)]
    pub(super) fn end_limited(&self, kept: Kept, next: EntryWord) -> bool {
        let Some(entry) = self.entry(kept.entry()) else { return false };
        // ORDERING: Release as without a limit.
        entry.word.compare_exchange(kept.word.bits(), next.bits(), Release, Relaxed).is_ok()
    }

    /// How long leases last from when they are handed out; 0 for as long as their holder has them.
    #[must_use]
    pub fn limit_ns(&self) -> u64 {
        self.limit_ns
    }

    /// The same view, of a queue whose leases have that limit; 0 for none.
    #[must_use]
    pub fn with_limit(mut self, limit_ns: u64) -> Self {
        // INVARIANT: no entries more than there were.
        self.endless = if limit_ns == 0 { self.leases } else { 0 };
        self.limit_ns = limit_ns;
        self
    }

    /// Gives a lease that has no limit one. Whoever has it must be done with the payload.
    #[must_use]
    pub fn limit_kept(&self, kept: Kept, until: Tick) -> Kept {
        let (Some(entry), Some(me)) = (self.entry(kept.entry()), kept.owner()) else { return kept };
        // Rubbish that a peer wrote is left for the ack to find.
        if kept.is_limited() || entry.word.load(Relaxed) != kept.word.bits() {
            return kept;
        }
        entry.count.store(kept.deliveries(), Relaxed);
        let word = EntryWord::timed(me, until);
        // commit: the lease runs out.
        // ORDERING: release side of *entry*, of the count too; the reads of the payload are over.
        entry.word.store(word.bits(), Release);
        kept.timed(word)
    }

    /// Moves the end of a lease on, unless it is later already; `None` if it ran out and is another's.
    #[must_use]
    pub fn extend_kept(&self, kept: Kept, until: Tick, now: Tick) -> Option<Kept> {
        let (Some(entry), Some(me)) = (self.entry(kept.entry()), kept.owner()) else { return None };
        let later = |end: Tick| end.has_come(now) || !until.has_come(end);
        let later = kept.word.until().is_some_and(later);
        let word = if later { EntryWord::timed(me, until) } else { kept.word };
        // commit: the lease lasts longer.
        // ORDERING: Relaxed, as it goes on with what the store of the limit released.
        entry.word.compare_exchange(kept.word.bits(), word.bits(), Relaxed, Relaxed).ok()?;
        Some(kept.timed(word))
    }

    /// Takes an item from a holder that lives, if its moment had come at `now`, or from a dead one.
    pub(super) fn lapse(&self, entry: &Entry<'_>, seen: EntryWord) -> bool {
        // Of the lease that was seen, by the edge *entry*, if the word is as it was.
        let count = entry.count.load(Relaxed);
        self.change(entry, seen, EntryWord::back_after(count))
    }
}

#[cfg(all(test, not(crossproc_loom)))]
mod tests {
    use super::{MAX_LIMIT_NS, TICK_SHIFT, Tick};

    const STEP: u64 = 1 << TICK_SHIFT;

    #[test]
    fn a_moment_comes_no_earlier_than_asked_for_and_a_step_later_at_most() {
        for now in [0, 1, STEP - 1, STEP, 5 * STEP + 7, u64::from(u32::MAX) << TICK_SHIFT] {
            for limit in [0, 1, STEP - 1, STEP, 1_000_000_000, MAX_LIMIT_NS, u64::MAX] {
                let end = Tick::after(now, limit);
                let asked = now + limit.clamp(1, MAX_LIMIT_NS);
                assert!(!end.has_come(Tick::at(now)), "{now} {limit}");
                assert!(!end.has_come(Tick::at(asked - 1)), "{now} {limit}");
                assert!(end.has_come(Tick::at(asked + STEP)), "{now} {limit}");
                assert!(end.left_ns(now) >= limit.clamp(1, MAX_LIMIT_NS));
                assert_eq!(end.left_ns(asked + STEP), 0);
            }
        }
    }
}
