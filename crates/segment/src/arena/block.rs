//! Taking a block, giving it to a place, taking it out again, and freeing it.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::magazine::Magazines;
use super::view::{Arena, Block};
use super::who::Who;
use super::word::{Word, header, reference};

/// How often an operation looks again when others change what it looked at.
pub(super) const ROUNDS: u32 = 1000;

/// So many blocks that a process had before are looked at first.
const REVISITS: usize = 4;

/// Why nothing was taken out of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TakeError {
    /// The place names no block.
    #[error("the place is empty")]
    Empty,
    /// A living member is taking the block this moment.
    #[error("another process is taking the block")]
    Busy,
    /// The place names something that is no block.
    #[error("the place does not name a block: the segment is corrupt")]
    Corrupt,
}

/// What a look at a place's block gave.
pub(super) enum Look {
    /// It is `TAKING` by me now.
    Mine(Block),
    /// It changed, or was helped on: look again.
    Again,
    /// A living member is taking it.
    Busy,
    /// Not what a named block looks like; corrupt if the place still names it.
    Odd,
}

impl Arena {
    /// Takes a block of at least `bytes` bytes for `who`, or `None` if there is none, which costs a
    /// scan of the whole arena: do not repeat it in a loop. The bytes are **not zeroed**.
    ///
    /// Never blocks. If this process dies before it gave the block to a place, the block is free
    /// again at the next [`reclaim`](Self::reclaim).
    #[inline]
    pub fn alloc(&self, bytes: u64, who: &Who<'_>, magazines: &mut Magazines) -> Option<Block> {
        let fitting = self.alloc_fitting(bytes, who, magazines);
        fitting.or_else(|| self.alloc_larger(bytes, who, magazines))
    }

    /// As [`alloc`](Self::alloc), but no block of a larger class: `None` while something may still be
    /// freed by other means.
    #[inline]
    pub fn alloc_fitting(
        &self,
        bytes: u64,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        let class = self.geometry.class_for(bytes)?;
        self.pop(class, who, magazines)
            .or_else(|| self.revisit(class, who, magazines))
            .or_else(|| self.alloc_slow(class, who, magazines))
    }

    /// A block from the process's own magazine.
    #[inline]
    pub(super) fn pop(
        &self,
        class: u32,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Option<Block> {
        while let Some(index) = magazines.pop(class) {
            if let Some(block) = self.grab(index, class, who) {
                return Some(block);
            }
        }
        None
    }

    /// A block that this process had before, where a chunk has but one: whoever was given it has freed it
    /// by now, the one that was had longest ago first. A refill would look through hints, whose lines
    /// those who free write to.
    fn revisit(&self, class: u32, who: &Who<'_>, magazines: &mut Magazines) -> Option<Block> {
        if self.geometry.blocks(class) > 1 {
            return None;
        }
        for turn in 0..REVISITS {
            let chunk = magazines.haunt(class, turn)?;
            // Beyond the end: a magazine of another arena, as may be of any hint.
            if chunk >= self.geometry.chunks() {
                continue;
            }
            if let Some(block) = self.grab(self.first_header(chunk), class, who) {
                magazines.found_in(class, chunk);
                return Some(block);
            }
        }
        None
    }

    /// Takes this very block, if it is free and of that class.
    #[inline]
    fn grab(&self, index: u32, class: u32, who: &Who<'_>) -> Option<Block> {
        if index >= self.geometry.headers() || !self.agrees(index, class) {
            return None; // a magazine of another arena, or hostile bytes
        }
        let word = &self.header(index).word;
        let seen = Word::from_bits(word.load(Relaxed));
        if seen.state() != header::FREE || seen.class() != class {
            return None;
        }
        let taken = seen.to(header::TAKEN, who.me.get());
        // ORDERING: acquire side of *hand*.
        // commit: the block is ours.
        word.compare_exchange(seen.bits(), taken.bits(), AcqRel, Relaxed).ok()?;
        Some(Block { header: index, word: taken })
    }

    /// Frees a block of one's own. False if it was not that (any more): freed twice, given to a
    /// place, or reclaimed because its owner was taken for dead.
    #[inline]
    pub fn free(&self, block: Block, magazines: &mut Magazines) -> bool {
        let freed = self.to_free(block.header, block.word);
        if freed {
            magazines.push(block.word.class(), block.header);
        }
        freed
    }

    /// Makes a block free whose header is exactly `seen`.
    #[inline]
    pub(super) fn to_free(&self, index: u32, seen: Word) -> bool {
        let free = seen.next(header::FREE, 0);
        let word = &self.header(index).word;
        // ORDERING: release side of *hand*.
        // commit: anybody may take it.
        let freed = word.compare_exchange(seen.bits(), free.bits(), AcqRel, Relaxed).is_ok();
        let hint = self.hint(self.chunk_of(index));
        if freed && hint.load(Relaxed) == 0 {
            hint.store(1, Relaxed);
        }
        freed
    }

    /// Gives a block to the place at offset `place` of the segment, in exchange for what the place
    /// held, `old`: 0, or a reference, whose block is then freed unless somebody holds it.
    ///
    /// Never blocks. Killed at any point, the place holds either `old` or the new reference, and the
    /// other block is garbage.
    ///
    /// # Errors
    ///
    /// What the place held, if that was not `old`; the block is still the caller's.
    ///
    /// # Panics
    ///
    /// If `place` is not a multiple of 8 or lies outside the segment.
    pub fn publish(
        &self,
        block: Block,
        place: u64,
        old: u64,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Result<(), u64> {
        self.note_place(&block, place);
        self.commit_publish(&block, place, old)?;
        self.settle(&block);
        if old != 0 {
            self.drop_ref(old, who, magazines);
        }
        Ok(())
    }

    /// Step 1 of [`publish`](Self::publish): the header learns its place *before* the place names
    /// it. After the commit, a publisher killed in between would leave a block nobody can judge.
    pub fn note_place(&self, block: &Block, place: u64) {
        // ORDERING: release: whoever sees the place name the block sees this too (*publish*).
        self.header(block.header).place.store(place, Release);
    }

    /// Step 2 of [`publish`](Self::publish), the commit.
    ///
    /// # Errors
    ///
    /// What the place held instead of `old`.
    ///
    /// # Panics
    ///
    /// As [`publish`](Self::publish).
    pub fn commit_publish(&self, block: &Block, place: u64, old: u64) -> Result<(), u64> {
        // ORDERING: release side of *publish*; SeqCst for *hazard*.
        // commit: the place names the block.
        let swapped = self.cell(place).compare_exchange(old, block.reference(), SeqCst, Acquire);
        swapped.map(|_| ())
    }

    /// Step 3 of [`publish`](Self::publish): the header says whose the block is. Anybody may do it.
    pub fn settle(&self, block: &Block) {
        let belongs = block.word.to(header::BELONGS, 0);
        let word = &self.header(block.header).word;
        // ORDERING: release side of *settle*. Lost: somebody helped, and perhaps went on.
        let _ = word.compare_exchange(block.word.bits(), belongs.bits(), AcqRel, Relaxed);
    }

    /// Takes the block out of a place: it is the caller's, as if freshly allocated, with its bytes.
    ///
    /// Never blocks. Killed before the commit, the block is still in its place; killed after it, the
    /// block is garbage. A hold does not stop a taker: use one or the other with a place.
    ///
    /// # Errors
    ///
    /// [`TakeError`]; `Busy` while a living member is between claiming and taking.
    ///
    /// # Panics
    ///
    /// If `place` is not a multiple of 8 or lies outside the segment.
    pub fn take(&self, place: u64, who: &Who<'_>) -> Result<Block, TakeError> {
        let cell = self.cell(place);
        for _ in 0..ROUNDS {
            // ORDERING: acquire side of *publish*.
            let named = cell.load(Acquire);
            if named == 0 {
                return Err(TakeError::Empty);
            }
            match self.look(named, who) {
                Look::Mine(taking) if self.commit_take(&taking, place) => {
                    return Ok(self.finish_take(&taking));
                }
                Look::Mine(taking) => self.give_up(&taking, who),
                Look::Again => {}
                Look::Busy => return Err(TakeError::Busy),
                // ORDERING: acquire: not before the look at the header.
                Look::Odd if cell.load(Acquire) == named => return Err(TakeError::Corrupt),
                Look::Odd => {}
            }
        }
        Err(TakeError::Corrupt)
    }

    /// Step 1 of [`take`](Self::take): claims the block that `named` names, without taking it yet.
    pub fn claim_take(&self, named: u64, who: &Who<'_>) -> Option<Block> {
        (0..ROUNDS).find_map(|_| match self.look(named, who) {
            Look::Mine(block) => Some(block),
            _ => None,
        })
    }

    pub(super) fn look(&self, named: u64, who: &Who<'_>) -> Look {
        let Some((index, seen)) = self.named(named) else { return Look::Odd };
        let word = &self.header(index).word;
        match seen.state() {
            header::BELONGS => {
                let taking = seen.to(header::TAKING, who.me.get());
                // ORDERING: acquire side of *settle*; release: a repairer sees the claim whole.
                match word.compare_exchange(seen.bits(), taking.bits(), AcqRel, Relaxed) {
                    Ok(_) => Look::Mine(Block { header: index, word: taking }),
                    Err(_) => Look::Again,
                }
            }
            header::TAKING if !who.is_dead(seen.low()) => Look::Busy,
            _ => {
                // A publisher that has not settled, or a dead taker or mover: the block is in a place.
                let belongs = self.settled(index, seen);
                // ORDERING: release side of *settle*, on its behalf.
                let _ = word.compare_exchange(seen.bits(), belongs.bits(), AcqRel, Relaxed);
                Look::Again
            }
        }
    }

    /// Step 2 of [`take`](Self::take), the commit: false if the place names another block by now.
    ///
    /// # Panics
    ///
    /// As [`take`](Self::take).
    pub fn commit_take(&self, taking: &Block, place: u64) -> bool {
        let cell = self.cell(place);
        // ORDERING: SeqCst for *hazard*.
        // commit: the block is out of its place.
        cell.compare_exchange(taking.reference(), 0, SeqCst, Relaxed).is_ok()
    }

    /// Step 3 of [`take`](Self::take): a new generation, so that old references are void.
    pub fn finish_take(&self, taking: &Block) -> Block {
        let taken = taking.word.next(header::TAKEN, taking.word.low());
        let word = &self.header(taking.header).word;
        // ORDERING: release side of *hand*. Lost only if we were taken for dead: `free` and
        // `publish` will find out.
        let _ = word.compare_exchange(taking.word.bits(), taken.bits(), AcqRel, Relaxed);
        Block { header: taking.header, word: taken }
    }

    /// Ends [`take`](Self::take) where the commit failed: the place names another block by now, so
    /// this one is garbage; whoever replaced it saw it claimed and left it to us.
    pub fn give_up(&self, taking: &Block, who: &Who<'_>) {
        if self.is_held(taking.reference(), who) {
            let belongs = taking.word.to(header::BELONGS, 0);
            let word = &self.header(taking.header).word;
            // ORDERING: release side of *settle*; the holder, or a reclaimer, frees it.
            let _ = word.compare_exchange(taking.word.bits(), belongs.bits(), AcqRel, Relaxed);
        } else {
            self.to_free(taking.header, taking.word);
        }
    }

    /// Frees the block that a place named until now, unless a place still names it or somebody holds
    /// it. For whoever took `old` out of its place, or gave up a hold on it; void references do
    /// nothing.
    pub fn drop_ref(&self, old: u64, who: &Who<'_>, magazines: &mut Magazines) {
        let Some((index, seen)) = self.named(old) else { return };
        let droppable = matches!(seen.state(), header::BELONGS | header::TAKEN);
        if droppable
            && !self.is_named(index, seen)
            && !self.is_held(old, who)
            && self.to_free(index, seen)
        {
            magazines.push(seen.class(), index);
        }
    }

    /// Tells whether some place names the block of `reference`: to be asked after a hold on it is
    /// in place.
    #[must_use]
    pub fn is_published(&self, reference: u64) -> bool {
        self.named(reference).is_some_and(|(index, seen)| self.is_named(index, seen))
    }

    /// Tells whether the block's place holds its reference.
    pub(super) fn is_named(&self, index: u32, seen: Word) -> bool {
        // ORDERING: acquire side of *publish*.
        let offset = self.header(index).place.load(Acquire);
        let Some(cell) = self.place(offset) else { return false };
        // ORDERING: acquire side of *publish*; SeqCst for *hazard*.
        cell.load(SeqCst) == reference(index, seen.generation())
    }

    pub(super) fn is_held(&self, named: u64, who: &Who<'_>) -> bool {
        self.holds().is_some_and(|holds| holds.cover(named, who))
    }

    #[inline]
    pub(super) fn cell(&self, place: u64) -> &AtomicU64 {
        self.place(place).expect("a place is an aligned word of the segment")
    }
}
