//! The arena as one process sees it: where its words lie, and what a block is.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Acquire;
use core::sync::atomic::{AtomicU8, AtomicU64};

use super::geometry::Geometry;
use super::holds::Holds;
use super::word::{self, Word, chunk, header};

/// The two words of a block, `{ state and owner, place }`.
#[derive(Debug)]
#[repr(C)]
pub struct Header {
    /// State, class, generation and owner: [`Word`].
    pub word: AtomicU64,
    /// The offset in the segment of the word that names the block.
    pub place: AtomicU64,
}

const _: () = assert!(size_of::<Header>() == 16);
const _: () = assert!(usize::BITS == 64, "offsets and lengths are 64 bits");

/// A block somebody has taken: a header and the word it had then.
///
/// A block is a claim ticket, not a pointer: operations compare it with the header, so a stale one
/// (freed, or reclaimed because its owner was thought dead) is refused rather than obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    pub(super) header: u32,
    pub(super) word: Word,
}

impl Block {
    /// What a place must hold to name this block.
    #[must_use]
    #[inline]
    pub fn reference(&self) -> u64 {
        word::reference(self.header, self.word.generation())
    }
}

/// Why an arena could not be attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// The base of the segment or an offset is not aligned.
    #[error("not aligned: the segment or its arena must begin on a page, its holds on 64 bytes")]
    Unaligned,
    /// The segment ends before the arena or its holds do.
    #[error("the segment has {have} bytes, its arena or holds end at byte {need}")]
    TooShort {
        /// Where the part ends.
        need: u64,
        /// How long the segment is.
        have: u64,
    },
}

/// A view of the arena that lies in a segment.
///
/// It holds no state of its own: any number of views, in any number of processes, may be made of
/// the same bytes. Where the words lie is computed once from the geometry, which is never read
/// from shared memory again, and every index that is, is bounded before use.
///
/// # Invariants
///
/// All pointers point into `base..base + len`, which stays mapped, at zeroed or arena bytes.
pub struct Arena {
    base: NonNull<u8>,
    len: u64,
    /// Where the blocks begin, from `base`.
    data: u64,
    pub(super) geometry: Geometry,
    counter: NonNull<AtomicU64>,
    chunks: NonNull<[AtomicU64]>,
    hints: NonNull<[AtomicU8]>,
    headers: NonNull<[Header]>,
    holds: Option<NonNull<Holds>>,
}

// SAFETY: the view reaches shared memory through atomics only.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// The bytes an arena of this geometry takes.
    #[must_use]
    pub fn size_for(geometry: Geometry) -> u64 {
        geometry.size()
    }

    /// Attaches to the arena at `offset` of the segment at `base`. There is nothing to initialise:
    /// zeroed bytes are an empty arena.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if `base` or `offset` is not a multiple of 4096, or the segment is too short.
    ///
    /// # Safety
    ///
    /// - `base..base + segment_len` is mapped for reading and writing while the view lives.
    /// - From `offset` on, [`Arena::size_for`] bytes are reached as this arena only, by all
    ///   processes with the same geometry, apart from the bytes of blocks.
    /// - No `&mut` to a place, nor a `&` to non-atomic data over one, lives while the arena is used.
    pub unsafe fn attach(
        base: NonNull<u8>,
        segment_len: usize,
        offset: u64,
        geometry: Geometry,
    ) -> Result<Self, Misfit> {
        if base.addr().get() % 4096 != 0 || offset % 4096 != 0 {
            return Err(Misfit::Unaligned);
        }
        let len = segment_len as u64;
        let need = offset.saturating_add(geometry.size());
        if need > len {
            return Err(Misfit::TooShort { need, have: len });
        }
        // SAFETY: `at` is below the arena's size, which was found to fit the segment.
        let part = |at: u64| unsafe { base.add(wide(offset + at)) };
        let chunks = geometry.chunks() as usize;
        let words = part(geometry.chunk_words_at()).cast::<AtomicU64>();
        let headers = part(geometry.headers_at()).cast::<Header>();
        // INVARIANT: by the contract, the check above, and the geometry's own arithmetic.
        Ok(Self {
            base,
            len,
            data: offset + geometry.data_at(),
            geometry,
            counter: part(0).cast(),
            chunks: NonNull::slice_from_raw_parts(words, chunks),
            hints: NonNull::slice_from_raw_parts(part(geometry.hints_at()).cast(), chunks),
            headers: NonNull::slice_from_raw_parts(headers, geometry.headers() as usize),
            holds: None,
        })
    }

    /// Has this view respect the [`Holds`] at `offset` of the segment. All views of an arena that
    /// has holds must be made so, or a held block may be freed.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if `offset` is not a multiple of 64, or the segment is too short.
    pub fn with_holds(mut self, offset: u64) -> Result<Self, Misfit> {
        if offset % align_of::<Holds>() as u64 != 0 {
            return Err(Misfit::Unaligned);
        }
        let need = offset.saturating_add(size_of::<Holds>() as u64);
        if need > self.len {
            return Err(Misfit::TooShort { need, have: self.len });
        }
        // SAFETY: below the length of the segment, just checked.
        let holds = unsafe { self.base.add(wide(offset)) };
        // INVARIANT: within the segment and aligned.
        self.holds = Some(holds.cast());
        Ok(self)
    }

    /// The arena's geometry.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where `block` lies in the segment.
    ///
    /// # Panics
    ///
    /// If the block is not of this arena.
    #[must_use]
    #[inline]
    pub fn offset(&self, block: &Block) -> u64 {
        self.span(block.header, block.word.class()).expect("a block of this arena").0
    }

    /// The first byte of `block`, 64-byte aligned, and 128-byte aligned from 128 bytes on. The bytes
    /// are whatever the last owner left there: **not zeroed**.
    ///
    /// # Panics
    ///
    /// If the block is not of this arena.
    #[must_use]
    #[inline]
    pub fn ptr(&self, block: &Block) -> NonNull<u8> {
        // SAFETY: `offset` gives an offset of a whole block within the segment.
        unsafe { self.base.add(wide(self.offset(block))) }
    }

    /// The bytes of `block`: at least as many as were asked for.
    #[must_use]
    #[inline]
    pub fn len(&self, block: &Block) -> u64 {
        self.geometry.block_bytes(block.word.class())
    }

    /// Offset in the segment and length of the block that `reference` names, if it names one that is
    /// in use; the answer is in bounds and aligned whatever the reference. Who is not the block's
    /// owner must hold it, or know by its place that it lives on.
    #[must_use]
    pub fn resolve(&self, reference: u64) -> Option<(u64, u64)> {
        let (header, seen) = self.named(reference)?;
        self.span(header, seen.class())
    }

    /// The header that `reference` names and its word, if block and generation are in use.
    pub(super) fn named(&self, reference: u64) -> Option<(u32, Word)> {
        let (index, generation) = word::parts(reference)?;
        let header = self.headers().get(index as usize)?;
        // ORDERING: acquire side of *settle* and *hand*.
        let seen = Word::from_bits(header.word.load(Acquire));
        let in_use = matches!(seen.state(), header::TAKEN | header::BELONGS | header::TAKING);
        let known = seen.generation() == generation && self.agrees(index, seen.class());
        (in_use && known).then_some((index, seen))
    }

    /// Tells whether the chunk of a header is open, or being opened or closed, for `class`. Only
    /// hostile bytes make the two disagree where a block is in use.
    #[inline]
    pub(super) fn agrees(&self, header: u32, class: u32) -> bool {
        let chunk = self.chunk_of(header);
        if !self.has_block(chunk, header, class) {
            return false;
        }
        // ORDERING: acquire side of *chunk*.
        let word = Word::from_bits(self.chunk(chunk).load(Acquire));
        word.class() == class && is_open(word)
    }

    /// Tells whether `header` of `chunk` is a block's, if the chunk is of `class`.
    #[inline]
    fn has_block(&self, chunk: u32, header: u32, class: u32) -> bool {
        let index = header - self.first_header(chunk);
        self.geometry.fits(chunk, class) && index < self.geometry.blocks(class)
    }

    /// Offset and length of block `header` in class `class`, if there is such a block.
    #[inline]
    fn span(&self, header: u32, class: u32) -> Option<(u64, u64)> {
        let chunk = self.chunk_of(header);
        if !self.has_block(chunk, header, class) {
            return None;
        }
        let index = header - self.first_header(chunk);
        let len = self.geometry.block_bytes(class);
        let chunk_at = self.data + (u64::from(chunk) << self.geometry.chunk_shift());
        Some((chunk_at + u64::from(index) * len, len))
    }

    #[inline]
    pub(super) fn chunk_of(&self, header: u32) -> u32 {
        header >> self.geometry.header_shift()
    }

    #[inline]
    pub(super) fn first_header(&self, chunk: u32) -> u32 {
        chunk << self.geometry.header_shift()
    }

    /// The words of a chunk's blocks of `class`, with their header indexes.
    pub(super) fn headers_of(
        &self,
        chunk: u32,
        class: u32,
    ) -> impl Iterator<Item = (u32, &Header)> {
        let first = self.first_header(chunk);
        (first..first + self.geometry.blocks(class)).map(|index| (index, self.header(index)))
    }

    /// The word of chunk `index`.
    ///
    /// # Panics
    ///
    /// If there is no such chunk.
    #[inline]
    pub fn chunk(&self, index: u32) -> &AtomicU64 {
        // SAFETY: within the mapped segment by the type invariant.
        let chunks = unsafe { self.chunks.as_ref() };
        &chunks[index as usize]
    }

    #[inline]
    pub(super) fn hint(&self, index: u32) -> &AtomicU8 {
        // SAFETY: within the mapped segment by the type invariant.
        let hints = unsafe { self.hints.as_ref() };
        &hints[index as usize]
    }

    /// Header `index`.
    ///
    /// # Panics
    ///
    /// If there is no such header.
    #[inline]
    pub fn header(&self, index: u32) -> &Header {
        &self.headers()[index as usize]
    }

    #[inline]
    fn headers(&self) -> &[Header] {
        // SAFETY: within the mapped segment by the type invariant.
        unsafe { self.headers.as_ref() }
    }

    /// The counter from which each giving of a chunk draws its generation.
    pub(super) fn counter(&self) -> &AtomicU64 {
        // SAFETY: within the mapped segment by the type invariant.
        unsafe { self.counter.as_ref() }
    }

    pub(super) fn holds(&self) -> Option<&Holds> {
        // SAFETY: within the mapped segment by the type invariant.
        self.holds.map(|holds| unsafe { holds.as_ref() })
    }

    /// The place at `offset` of the segment, or `None` if no word can be there.
    #[inline]
    pub(super) fn place(&self, offset: u64) -> Option<&AtomicU64> {
        if offset % 8 != 0 || offset.checked_add(8)? > self.len {
            return None;
        }
        // SAFETY: below the length of the segment, just checked.
        let word = unsafe { self.base.add(wide(offset)) }.cast::<AtomicU64>();
        // SAFETY: mapped by the type invariant, aligned, and a place is only used atomically by the
        // contract of `attach`.
        Some(unsafe { word.as_ref() })
    }

    /// The offset in the segment of a place given by reference.
    ///
    /// # Panics
    ///
    /// If the word is not of this segment.
    #[must_use]
    pub fn place_of(&self, word: &AtomicU64) -> u64 {
        let at = core::ptr::from_ref(word).addr() as u64;
        let offset = at.wrapping_sub(self.base.addr().get() as u64);
        assert!(offset < self.len, "the place lies outside the segment");
        offset
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("geometry", &self.geometry).finish_non_exhaustive()
    }
}

/// An offset as a length in memory.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits, asserted above")]
fn wide(offset: u64) -> usize {
    offset as usize
}

/// Tells whether blocks of a chunk in this state may be in use.
#[inline]
pub(super) fn is_open(word: Word) -> bool {
    matches!(word.state(), chunk::CLASS | chunk::INIT | chunk::RETIRE)
}
