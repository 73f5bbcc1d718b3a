//! Chunks: giving them to a class, closing them again, and repairing what the dead left.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::magazine::Magazines;
use super::view::{Arena, Block, Header, is_open};
use super::who::{Census, Who};
use super::word::{Word, chunk, header, reference};

/// How often a short allocation goes round: others may take what it made free.
const ROUNDS: u32 = 16;

/// Which chunks a search for free blocks looks into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// Those with a hint that something was freed there.
    Hinted,
    All,
}

impl Arena {
    /// The long way: hinted chunks, a new chunk, all chunks, garbage, empty chunks of other classes.
    #[cold]
    #[inline(never)]
    pub(super) fn alloc_slow(
        &self,
        class: u32,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        for round in 0..ROUNDS {
            if let Some(block) = self.refill(class, Search::Hinted, who, magazines) {
                return Some(block);
            }
            if self.give(class, who, magazines) {
                continue;
            }
            if let Some(block) = self.refill(class, Search::All, who, magazines) {
                return Some(block);
            }
            // One round more without progress: a chunk may have been in somebody's hands.
            if self.reclaim(who) == 0 && !self.steal(class, who) && round > 0 {
                break;
            }
        }
        None
    }

    /// The last resort: a block that is larger than need be, where chunks of that class are in use.
    #[cold]
    #[inline(never)]
    pub(super) fn alloc_larger(
        &self,
        bytes: u64,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        let mut larger = self.geometry.class_for(bytes)? + 1..self.geometry.header_shift();
        larger.find_map(|class| self.refill(class, Search::All, who, magazines))
    }

    /// Stocks the magazine from chunks of `class`, and takes a block of it.
    fn refill(
        &self,
        class: u32,
        search: Search,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        let mut turn = 0;
        while let Some(index) = magazines.haunt(class, turn) {
            turn += 1;
            if let Some(block) = self.refill_from(index, class, search, who, magazines) {
                return Some(block);
            }
        }
        let chunks = self.geometry.chunks();
        // Members begin in different places, so that they seldom meet.
        let start = magazines.chunk_of(class).unwrap_or(who.me.get().wrapping_mul(7919)) % chunks;
        let mut from = |index| self.refill_from(index, class, search, who, magazines);
        if self.geometry.run(class) == 1 {
            (start..chunks).chain(0..start).find_map(&mut from)
        } else {
            // As runs are given: downwards, so that the one given next is met next.
            (0..start).rev().chain((start..chunks).rev()).find_map(&mut from)
        }
    }

    fn refill_from(
        &self,
        index: u32,
        class: u32,
        search: Search,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        if index >= self.geometry.chunks() {
            return None; // a magazine of another arena
        }
        let word = Word::from_bits(self.chunk(index).load(Relaxed));
        let ours = word.state() == chunk::CLASS && word.class() == class;
        let hint = self.hint(index);
        if !ours || (search == Search::Hinted && hint.load(Relaxed) == 0) {
            return None;
        }
        // Cleared before the look, so that whoever frees after it sets it again; and set while
        // anything is free, so that no hint dies with a process or a magazine.
        hint.store(0, Relaxed);
        if self.stock(index, class, who, magazines) {
            hint.store(1, Relaxed);
        }
        let block = self.pop(class, who, magazines)?;
        magazines.found_in(class, index);
        Some(block)
    }

    /// Puts a chunk's free blocks into the magazine; tells whether there are any.
    fn stock(&self, index: u32, class: u32, who: &Who<'_>, magazines: &mut Magazines) -> bool {
        let (first, blocks) = (self.first_header(index), self.geometry.blocks(class));
        // Four headers share a line: two members begin a line apart, or more.
        let turn = who.me.get().wrapping_mul(4);
        let mut any = false;
        for i in 0..blocks {
            let header = first + (i.wrapping_add(turn) & (blocks - 1));
            let word = Word::from_bits(self.header(header).word.load(Relaxed));
            if word.state() == header::FREE && word.class() == class {
                any = true;
                if !magazines.push(class, header) {
                    break;
                }
            }
        }
        any
    }

    /// Gives a vacant chunk, or as many as a run needs, to `class`. Single chunks come from the low
    /// end, runs from the high one, so that small blocks do not cut the arena up.
    fn give(&self, class: u32, who: &Who<'_>, magazines: &mut Magazines) -> bool {
        let (chunks, run) = (self.geometry.chunks(), self.geometry.run(class));
        if run == 1 {
            let start = magazines.chunk % chunks;
            let found = (start..chunks)
                .chain(0..start)
                .find(|&index| self.is_vacant(index) && self.give_at(index, class, who));
            magazines.chunk = found.unwrap_or(0);
            return found.is_some();
        }
        let mut vacant = 0;
        for index in (0..chunks).rev() {
            vacant = if self.is_vacant(index) { vacant + 1 } else { 0 };
            if vacant == run {
                if self.give_at(index, class, who) {
                    return true;
                }
                vacant = 0;
            }
        }
        false
    }

    fn give_at(&self, index: u32, class: u32, who: &Who<'_>) -> bool {
        let Some(init) = self.begin_chunk(index, class, who) else { return false };
        if !self.claim_tails(index, init) {
            self.release(index, init);
            return false;
        }
        self.finish_chunk(index, init);
        true
    }

    /// Step 1 of giving a chunk: claims it, under a generation of its own.
    pub fn begin_chunk(&self, index: u32, class: u32, who: &Who<'_>) -> Option<Word> {
        let generation = self.counter().fetch_add(1, Relaxed).wrapping_add(1) & 0xffff_ffff;
        let init = Word::new(chunk::INIT, class, generation as u32, who.me.get());
        // ORDERING: acquire side of *chunk*: the last users of these bytes come before.
        self.chunk(index).compare_exchange(0, init.bits(), AcqRel, Relaxed).ok()?;
        Some(init)
    }

    /// Step 2, for a run: claims the other chunks, lowest first. False if somebody was there: of two
    /// runs that meet exactly one fails, so the last one standing always gets through.
    pub fn claim_tails(&self, index: u32, init: Word) -> bool {
        let tail = Word::new(chunk::TAIL, init.class(), init.generation(), index).bits();
        (index + 1..index + self.geometry.run(init.class())).all(|index| {
            // ORDERING: acquire side of *chunk*.
            self.chunk(index).compare_exchange(0, tail, AcqRel, Relaxed).is_ok()
        })
    }

    /// Step 3: opens the headers, then the chunk. The chunk is `INIT(me)`, word `init`.
    pub fn finish_chunk(&self, index: u32, init: Word) {
        for (_, block) in self.headers_of(index, init.class()) {
            // ORDERING: acquire, as the header may come from a dead member's hands.
            let seen = Word::from_bits(block.word.load(Acquire));
            if seen.state() == header::RETIRED {
                let free = Word::new(header::FREE, init.class(), seen.generation() + 1, 0);
                // ORDERING: release side of *hand*: the bytes' last users come before.
                let _ = block.word.compare_exchange(seen.bits(), free.bits(), AcqRel, Relaxed);
            }
        }
        self.hint(index).store(1, Relaxed);
        let open = init.to(chunk::CLASS, 0);
        // ORDERING: release side of *chunk*. Lost only if we were taken for dead.
        // commit: the chunk is open.
        let _ = self.chunk(index).compare_exchange(init.bits(), open.bits(), AcqRel, Relaxed);
    }

    /// Makes a chunk vacant whose word is `mine` (`INIT` or `RETIRE` by me) and whose headers are all
    /// retired: first the word, then its run's tails.
    pub fn release(&self, index: u32, mine: Word) {
        // ORDERING: release side of *chunk*.
        // commit: the chunk is vacant; what is left of its run is stale.
        if self.chunk(index).compare_exchange(mine.bits(), 0, AcqRel, Relaxed).is_err() {
            return;
        }
        let tail = Word::new(chunk::TAIL, mine.class(), mine.generation(), index).bits();
        let end = index.saturating_add(self.geometry.run(mine.class()));
        for index in index + 1..end.min(self.geometry.chunks()) {
            // ORDERING: release side of *chunk*.
            let _ = self.chunk(index).compare_exchange(tail, 0, AcqRel, Relaxed);
        }
    }

    /// Tells whether a chunk is vacant; frees it if it is left over from a run that is gone.
    fn is_vacant(&self, index: u32) -> bool {
        // ORDERING: acquire side of *chunk*.
        let seen = Word::from_bits(self.chunk(index).load(Acquire));
        seen.bits() == 0 || self.free_stale_tail(index, seen)
    }

    /// Frees a `TAIL` whose run does not exist (any more).
    pub(super) fn free_stale_tail(&self, index: u32, seen: Word) -> bool {
        if seen.state() != chunk::TAIL || self.is_in_run(index, seen) {
            return false;
        }
        // ORDERING: both sides of *chunk*.
        self.chunk(index).compare_exchange(seen.bits(), 0, AcqRel, Relaxed).is_ok()
    }

    fn is_in_run(&self, index: u32, tail: Word) -> bool {
        let first = tail.low();
        if !self.geometry.fits(first, tail.class()) {
            return false;
        }
        // ORDERING: acquire side of *chunk*. The head is claimed before its tails and leaves before
        // them, under a generation of its own: a tail without that head is left over.
        let head = Word::from_bits(self.chunk(first).load(Acquire));
        is_open(head)
            && head.class() == tail.class()
            && head.generation() == tail.generation()
            && index > first
            && index - first < self.geometry.run(tail.class())
    }

    /// Makes vacant an open chunk all of whose blocks are free; tells whether it did.
    pub fn retire(&self, index: u32, who: &Who<'_>) -> bool {
        let Some(mine) = self.begin_retire(index, who) else { return false };
        if self.close_headers(index, mine) {
            self.release(index, mine);
            return true;
        }
        self.reopen(index, mine);
        false
    }

    /// Step 1 of [`retire`](Self::retire): claims an open chunk, if all its blocks look free.
    pub fn begin_retire(&self, index: u32, who: &Who<'_>) -> Option<Word> {
        // ORDERING: acquire side of *chunk*.
        let seen = Word::from_bits(self.chunk(index).load(Acquire));
        if seen.state() != chunk::CLASS || !self.geometry.fits(index, seen.class()) {
            return None;
        }
        let is_idle = |(_, block): (u32, &Header)| {
            matches!(
                Word::from_bits(block.word.load(Relaxed)).state(),
                header::FREE | header::RETIRED
            )
        };
        if !self.headers_of(index, seen.class()).all(is_idle) {
            return None;
        }
        let mine = seen.to(chunk::RETIRE, who.me.get());
        // ORDERING: both sides of *chunk*.
        self.chunk(index).compare_exchange(seen.bits(), mine.bits(), AcqRel, Relaxed).ok()?;
        Some(mine)
    }

    /// Step 2 of [`retire`](Self::retire): closes each block by CAS, so that nobody takes one any
    /// more; false if somebody has.
    pub fn close_headers(&self, index: u32, mine: Word) -> bool {
        self.headers_of(index, mine.class()).all(|(_, block)| {
            // ORDERING: acquire side of *hand*: the last user of the bytes comes before.
            let seen = Word::from_bits(block.word.load(Acquire));
            let closed = seen.to(header::RETIRED, 0);
            match seen.state() {
                header::RETIRED => true,
                header::FREE => {
                    // ORDERING: acquire side of *hand*.
                    block.word.compare_exchange(seen.bits(), closed.bits(), AcqRel, Relaxed).is_ok()
                }
                _ => false,
            }
        })
    }

    /// Ends [`retire`](Self::retire) where somebody took a block meanwhile.
    pub fn reopen(&self, index: u32, mine: Word) {
        let init = mine.to(chunk::INIT, mine.low());
        // ORDERING: as every claim of a chunk, both sides of *chunk*.
        let own = self.chunk(index).compare_exchange(mine.bits(), init.bits(), AcqRel, Relaxed);
        if own.is_ok() {
            self.finish_chunk(index, init);
        }
    }

    /// Retires empty chunks of other classes: one where one is enough, else all.
    fn steal(&self, class: u32, who: &Who<'_>) -> bool {
        let one = self.geometry.run(class) == 1;
        let mut any = false;
        for index in 0..self.geometry.chunks() {
            let other = Word::from_bits(self.chunk(index).load(Relaxed)).class() != class;
            if other && self.retire(index, who) {
                any = true;
                if one {
                    break;
                }
            }
        }
        any
    }

    /// Frees what the dead and the forgetful left: blocks of dead owners, blocks no place names,
    /// half-opened and half-closed chunks, leftovers of runs. Returns how many things it freed.
    ///
    /// Never blocks; takes time linear in the arena. [`alloc`](Self::alloc) calls it when short.
    #[cold]
    #[inline(never)]
    pub fn reclaim(&self, who: &Who<'_>) -> usize {
        let mut census = Census::new(who);
        (0..self.geometry.chunks()).map(|index| self.reclaim_chunk(index, who, &mut census)).sum()
    }

    fn reclaim_chunk(&self, index: u32, who: &Who<'_>, census: &mut Census<'_>) -> usize {
        // ORDERING: acquire side of *chunk*, and before `alive` is asked.
        let seen = Word::from_bits(self.chunk(index).load(Acquire));
        let mut freed = match seen.state() {
            chunk::TAIL => usize::from(self.free_stale_tail(index, seen)),
            chunk::INIT | chunk::RETIRE if census.is_dead(seen.low()) => {
                usize::from(self.repair(index, seen, who))
            }
            _ => 0,
        };
        // ORDERING: as above.
        let seen = Word::from_bits(self.chunk(index).load(Acquire));
        if seen.state() == chunk::CLASS && self.geometry.fits(index, seen.class()) {
            for (header, block) in self.headers_of(index, seen.class()) {
                // ORDERING: acquire side of *settle*, and before `alive` is asked.
                let word = Word::from_bits(block.word.load(Acquire));
                if word.class() == seen.class() {
                    freed += usize::from(self.reclaim_block(header, word, who, census));
                }
            }
        }
        freed
    }

    /// Finishes what a dead member began with a chunk.
    fn repair(&self, index: u32, dead: Word, who: &Who<'_>) -> bool {
        if !self.geometry.fits(index, dead.class()) {
            return false; // hostile bytes
        }
        let init = dead.to(chunk::INIT, who.me.get());
        // ORDERING: both sides of *chunk*.
        let own = self.chunk(index).compare_exchange(dead.bits(), init.bits(), AcqRel, Relaxed);
        if own.is_err() {
            return false;
        }
        let vacant = self.headers_of(index, init.class()).all(|(_, block)| {
            // ORDERING: acquire side of *hand*.
            Word::from_bits(block.word.load(Acquire)).state() == header::RETIRED
        });
        if vacant {
            self.release(index, init);
        } else {
            self.finish_chunk(index, init);
        }
        true
    }

    fn reclaim_block(
        &self,
        index: u32,
        seen: Word,
        who: &Who<'_>,
        census: &mut Census<'_>,
    ) -> bool {
        match seen.state() {
            header::TAKEN | header::TAKING if census.is_dead(seen.low()) => {
                let settled = self.settled(index, seen);
                if settled.generation() != seen.generation() {
                    let word = &self.header(index).word;
                    // ORDERING: release side of *settle*, for a mover.
                    let _ = word.compare_exchange(seen.bits(), settled.bits(), AcqRel, Relaxed);
                    return false;
                }
                if self.is_named(index, seen) {
                    self.settle(&Block { header: index, word: seen });
                    return false;
                }
                self.to_free(index, seen)
            }
            header::BELONGS => {
                let named = reference(index, seen.generation());
                !self.is_named(index, seen)
                    && !self.is_held(named, who)
                    && self.to_free(index, seen)
            }
            _ => false,
        }
    }
}
