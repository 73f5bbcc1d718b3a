//! Moving a block from one place to another, without a moment at which a death would lose it.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::block::{Look, ROUNDS};
use super::view::{Arena, Block};
use super::who::Who;
use super::word::{Word, header, reference};

impl Arena {
    /// Moves the block that `named` names to the place at offset `to`, which must name no block that is
    /// in use. From then on it belongs to that place, under the next generation: `named` is void, and
    /// may stay where it is.
    ///
    /// Only for places whose protocol lets nobody else take or replace the block now; those who finish
    /// the same move for somebody dead may be several. True if the block was moved, or is by now, or
    /// there is none; false if another living member is at it.
    ///
    /// Never blocks. Killed at any point, the block belongs to the old place, and the move can be
    /// done again, or to the new one.
    ///
    /// # Panics
    ///
    /// If `to` is not a multiple of 8 or lies outside the segment.
    pub fn rehome(&self, named: u64, to: u64, who: &Who<'_>) -> bool {
        for _ in 0..ROUNDS {
            match self.look(named, who) {
                Look::Mine(block) => {
                    self.name_in(&block, to);
                    self.note_move(&block, to);
                    self.commit_move(&block);
                    return true;
                }
                Look::Again => {}
                Look::Busy => return false,
                Look::Odd => return true,
            }
        }
        true
    }

    /// Step 1 of [`rehome`](Self::rehome), after the claim of [`claim_take`](Self::claim_take): the
    /// new place names the block as it will be.
    ///
    /// # Panics
    ///
    /// As [`rehome`](Self::rehome).
    pub fn name_in(&self, taking: &Block, to: u64) {
        let moved = reference(taking.header, moved(taking.word).generation());
        // ORDERING: release side of *publish*; SeqCst for *hazard*.
        self.cell(to).store(moved, SeqCst);
    }

    /// Step 2 of [`rehome`](Self::rehome): the header learns its new place. Whoever repairs from now
    /// on finds the next generation named there.
    pub fn note_move(&self, taking: &Block, to: u64) {
        // ORDERING: release: who sees the new place sees it name the block.
        self.header(taking.header).place.store(to, Release);
    }

    /// Step 3 of [`rehome`](Self::rehome), the commit. The generation tells those apart who judged
    /// the block by its old place.
    pub fn commit_move(&self, taking: &Block) {
        let word = &self.header(taking.header).word;
        let moved = moved(taking.word);
        // ORDERING: release side of *settle*. Lost only if we were taken for dead.
        // commit: the block is its new place's.
        let _ = word.compare_exchange(taking.word.bits(), moved.bits(), AcqRel, Relaxed);
    }

    /// What a block whose dead owner was taking or moving it becomes if its place names it.
    pub(super) fn settled(&self, index: u32, seen: Word) -> Word {
        let moved = moved(seen);
        // ORDERING: acquire side of *publish*.
        let offset = self.header(index).place.load(Acquire);
        let names_moved = seen.state() == header::TAKING
            && self.place(offset).is_some_and(|cell| {
                // ORDERING: acquire side of *publish*.
                cell.load(Acquire) == reference(index, moved.generation())
            });
        if names_moved { moved } else { seen.to(header::BELONGS, 0) }
    }
}

fn moved(taking: Word) -> Word {
    taking.next(header::BELONGS, 0)
}
