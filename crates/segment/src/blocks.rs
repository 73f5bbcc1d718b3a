//! Memory of a segment for messages of any size: the arena, as the segment's users see it.

use core::ptr::NonNull;

use crate::MemberId;
use crate::arena::{Block, Magazines, Who};
use crate::segment::Segment;

/// The blocks of a segment; made by [`Segment::blocks`].
///
/// Killed while it has a block that it has not published, a process leaves one that the allocator
/// takes back when memory is short.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'s> {
    segment: &'s Segment,
}

impl Segment {
    /// The segment's memory, by blocks.
    #[must_use]
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks { segment: self }
    }

    /// This process as one that acts on the arena and the directory.
    pub(crate) fn who<'a>(&self, alive: &'a dyn Fn(MemberId) -> bool) -> Who<'a> {
        Who { me: self.me(), alive }
    }

    /// Runs `f` with this process's hints of free blocks; with fresh ones if another thread is at
    /// them, or was when this process was forked.
    pub(crate) fn with_magazines<R>(&self, f: impl FnOnce(&mut Magazines) -> R) -> R {
        match self.magazines().try_lock() {
            Some(mut magazines) => f(&mut magazines),
            None => f(&mut Magazines::new()),
        }
    }
}

impl Blocks<'_> {
    /// Takes a block of at least `bytes`; its content is whatever was there before. `None` if the
    /// segment has no room left, which takes a look at all of it to find.
    #[must_use]
    pub fn alloc(&self, bytes: usize) -> Option<Block> {
        let alive = |id| self.segment.alive(id);
        let who = self.segment.who(&alive);
        self.segment.with_magazines(|magazines| {
            let (arena, directory) = (self.segment.arena(), self.segment.directory());
            arena.alloc_fitting(bytes as u64, &who, magazines).or_else(|| {
                // What dead makers of names left still counts as named until it is cleaned; a block
                // that is too large is no better than one of those.
                directory.clean(arena, &who, magazines);
                arena.alloc(bytes as u64, &who, magazines)
            })
        })
    }

    /// Gives back a block that was not published. False if it was not this process's any more.
    pub fn free(&self, block: Block) -> bool {
        self.segment.with_magazines(|magazines| self.segment.arena().free(block, magazines))
    }

    /// Where this process has the block.
    #[must_use]
    pub fn ptr(&self, block: &Block) -> NonNull<u8> {
        self.segment.arena().ptr(block)
    }

    /// The offset of a block or any other place in the segment.
    #[must_use]
    pub fn offset(&self, block: &Block) -> u64 {
        self.segment.arena().offset(block)
    }

    /// Gives the block to the word at offset `place`, which must hold `old`: from then on it
    /// belongs to that place, and survives its maker. The block that `old` named is freed.
    ///
    /// # Errors
    ///
    /// What the place holds instead of `old`; the block is still the caller's then.
    pub fn publish(&self, block: &Block, place: u64, old: u64) -> Result<(), u64> {
        let alive = |id| self.segment.alive(id);
        let who = self.segment.who(&alive);
        self.segment.with_magazines(|magazines| {
            self.segment.arena().publish(*block, place, old, &who, magazines)
        })
    }

    /// The address and the length of the block that `reference` names, both inside the segment;
    /// `None` if it names none.
    #[must_use]
    pub fn resolve(&self, reference: u64) -> Option<(NonNull<u8>, usize)> {
        let (offset, length) = self.segment.arena().resolve(reference)?;
        let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
        // SAFETY: `resolve` gives a block inside the segment.
        Some((unsafe { self.segment.base().add(offset) }, length))
    }

    /// Frees the block that `reference` names, unless a place still names it or somebody holds it.
    pub fn drop_ref(&self, reference: u64) {
        let alive = |id| self.segment.alive(id);
        let who = self.segment.who(&alive);
        self.segment.with_magazines(|magazines| {
            self.segment.arena().drop_ref(reference, &who, magazines);
        });
    }

    /// Moves the block that `reference` names to the word at offset `place`, which then holds another
    /// reference, and names no block in use before. Whatever of it a death leaves undone can be done
    /// again; the old place's protocol must let nobody else take or replace the block meanwhile.
    ///
    /// False if another living process is doing it; true if it is done, or there is no such block.
    #[must_use]
    pub fn rehome(&self, reference: u64, place: u64) -> bool {
        let alive = |id| self.segment.alive(id);
        self.segment.arena().rehome(reference, place, &self.segment.who(&alive))
    }

    /// Takes the block that the word at offset `place` names, and frees it.
    pub(crate) fn take_and_free(&self, place: u64) {
        let alive = |id| self.segment.alive(id);
        let who = self.segment.who(&alive);
        if let Ok(block) = self.segment.arena().take(place, &who) {
            self.free(block);
        }
    }
}
