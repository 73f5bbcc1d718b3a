//! Finishing what the dead left: by whoever is blocked by it, from the exact word.

use crossproc_segment::MemberId;

use super::{Position, Ring, State, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};

impl Ring {
    /// For a consumer that waits: ends the claim at the read end if its owner is dead, and learns
    /// of a close whose caller died in it. Tells whether it is worth looking again.
    #[cold]
    pub fn repair_head(&self, alive: impl FnOnce(MemberId) -> bool) -> bool {
        self.finish_close();
        let at = self.settle_head();
        self.slot(at).is_some_and(|slot| self.end_dead_claim(at, slot, alive))
    }

    /// For a producer that waits: ends the claim of the lap before at the write end if its owner
    /// is dead. Tells whether it is worth looking again.
    #[cold]
    pub fn repair_tail(&self, alive: impl FnOnce(MemberId) -> bool) -> bool {
        self.finish_shut();
        let before = self.settle_tail().lap_before();
        self.slot(before).is_some_and(|slot| self.end_dead_claim(before, slot, alive))
    }

    /// Does for a closer what it may not have lived to do.
    fn finish_close(&self) {
        self.finish_shut();
        if self.is_closed() && !self.hinted_closed() {
            self.spread_closed();
        }
    }

    /// WRITING(dead) becomes SKIP and READING(dead) becomes FULL, and runs end, in the lap of `at` only.
    fn end_dead_claim(
        &self,
        at: Position,
        slot: &AtomicU64,
        alive: impl FnOnce(MemberId) -> bool,
    ) -> bool {
        // ORDERING: Acquire, as the owner's life is asked after.
        let word = Word::from_bits(slot.load(Acquire));
        match word.state() {
            State::Writing | State::Reading | State::Filling | State::Clearing => {}
            State::Skip | State::Full => return word.past(at.lap()) == 0,
            // What stands in the way of a producer then is the entry, which is repaired as a whole.
            State::Free | State::Taken | State::Unknown => return false,
        }
        // A claim that names nobody was made by nobody alive.
        if word.past(at.lap()) != 0 || word.owner().is_some_and(alive) {
            return false;
        }
        // Of a run the slots behind are ended first, so the claim has to be its owner's last word.
        // ORDERING: *takeover*; after the answer that the owner is dead.
        if slot.load(Acquire) != word.bits() {
            return true;
        }
        // Nor has the ring gone round since: a run's word has but 26 bits of the lap.
        let is_run = matches!(word.state(), State::Filling | State::Clearing);
        if is_run
            && Position::from_bits(self.settle_head().bits()) != Position::from_bits(at.bits())
        {
            return true;
        }
        let ended = match word.state() {
            State::Filling => self.skip_run(at, slot, word),
            State::Clearing => self.clear_run(at, slot, word),
            State::Writing => end_claim(slot, word, Word::skip(at.lap())),
            _ => end_claim(slot, word, Word::full(at.lap())),
        };
        if ended {
            self.items().notify_one();
        }
        true
    }

    /// Frees a skipped slot for the next lap and moves `head` past it. It is the oldest there is:
    /// seen at `head`, or at `tail` one lap on.
    #[cold]
    pub(super) fn pass_skip(&self, at: Position, slot: &AtomicU64) {
        let skip = Word::skip(at.lap()).bits();
        let free = Word::free(at.lap().next()).bits();
        // commit: the place is free.
        // ORDERING: *takeover*, and release side of *reuse*.
        if slot.compare_exchange(skip, free, AcqRel, Relaxed).is_ok() {
            self.pass_head(at);
            self.header().space().notify_one();
            self.desk().done().notify_all();
            if self.hinted_closed() {
                self.items().notify_all();
            }
        }
    }
}

fn end_claim(slot: &AtomicU64, claim: Word, ended: Word) -> bool {
    // commit: the claim is over.
    // ORDERING: *takeover*.
    slot.compare_exchange(claim.bits(), ended.bits(), AcqRel, Relaxed).is_ok()
}
