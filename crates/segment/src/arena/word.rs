//! The packed words of the arena: headers, chunk words and references.

const STATE_SHIFT: u32 = 61;
const CLASS_SHIFT: u32 = 55;
const CLASS_MASK: u64 = (1 << 6) - 1;
const GENERATION_BITS: u32 = 27;
const GENERATION_SHIFT: u32 = 28;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const LOW_MASK: u64 = (1 << 28) - 1;
const HEADER_BITS: u32 = 32;
const HEADER_MASK: u64 = 0xffff_ffff;

/// States of a block's header.
pub mod header {
    /// Not in use: its chunk is vacant, or being opened or closed. Zero.
    pub const RETIRED: u32 = 0;
    /// Free: whoever moves it to [`TAKEN`] has it.
    pub const FREE: u32 = 1;
    /// A member's: it alone may touch the bytes.
    pub const TAKEN: u32 = 2;
    /// A place's: garbage once that place names another block.
    pub const BELONGS: u32 = 3;
    /// A member is about to take it out of its place.
    pub const TAKING: u32 = 4;
}

/// States of a chunk word.
pub mod chunk {
    /// Belongs to no class, every header of it is `RETIRED`. Zero.
    pub const VACANT: u32 = 0;
    /// A member opens it: low bits name the member.
    pub const INIT: u32 = 1;
    /// Open: its headers say what is free.
    pub const CLASS: u32 = 2;
    /// A member closes it: low bits name the member.
    pub const RETIRE: u32 = 3;
    /// Part of a run: low bits name the run's first chunk.
    pub const TAIL: u32 = 4;
}

/// A header or a chunk word: `state:3 | class:6 | generation:27 | low:28`, where `low` is a member
/// id, or the first chunk of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word(u64);

impl Word {
    /// Packs a word; each part is cut to its bits.
    #[must_use]
    #[inline]
    pub fn new(state: u32, class: u32, generation: u32, low: u32) -> Self {
        Self(
            (u64::from(state) << STATE_SHIFT)
                | ((u64::from(class) & CLASS_MASK) << CLASS_SHIFT)
                | ((u64::from(generation) & GENERATION_MASK) << GENERATION_SHIFT)
                | (u64::from(low) & LOW_MASK),
        )
    }

    /// The word as read from shared memory.
    #[must_use]
    #[inline]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as stored in shared memory.
    #[must_use]
    #[inline]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// One of the states of [`header`] or [`chunk`], or a number that is none.
    #[must_use]
    #[inline]
    pub fn state(self) -> u32 {
        (self.0 >> STATE_SHIFT) as u32
    }

    /// The size class.
    #[must_use]
    #[inline]
    pub fn class(self) -> u32 {
        ((self.0 >> CLASS_SHIFT) & CLASS_MASK) as u32
    }

    /// How often the header was freed, or which giving of the chunk this is; wraps.
    #[must_use]
    #[inline]
    pub fn generation(self) -> u32 {
        ((self.0 >> GENERATION_SHIFT) & GENERATION_MASK) as u32
    }

    /// The owner's id, or the first chunk of the run.
    #[must_use]
    #[inline]
    pub fn low(self) -> u32 {
        (self.0 & LOW_MASK) as u32
    }

    /// The same class and generation in another state.
    #[must_use]
    #[inline]
    pub fn to(self, state: u32, low: u32) -> Self {
        Self::new(state, self.class(), self.generation(), low)
    }

    /// The same class and the next generation in another state.
    #[must_use]
    #[inline]
    pub fn next(self, state: u32, low: u32) -> Self {
        Self::new(state, self.class(), self.generation().wrapping_add(1), low)
    }
}

/// What a place stores: `1 << 63 | header << 27 | generation`. Never 0.
#[must_use]
#[inline]
pub fn reference(header: u32, generation: u32) -> u64 {
    (1 << 63) | (u64::from(header) << GENERATION_BITS) | (u64::from(generation) & GENERATION_MASK)
}

/// The header index and the generation of a reference, or `None` if it cannot be one.
#[must_use]
#[inline]
pub fn parts(reference: u64) -> Option<(u32, u32)> {
    if reference >> (HEADER_BITS + GENERATION_BITS) != 1 << (63 - HEADER_BITS - GENERATION_BITS) {
        return None;
    }
    let header = (reference >> GENERATION_BITS) & HEADER_MASK;
    Some((header as u32, (reference & GENERATION_MASK) as u32))
}

#[cfg(test)]
mod tests {
    use super::{Word, parts, reference};

    #[test]
    fn a_word_gives_back_what_was_packed() {
        let w = Word::new(4, 63, (1 << 27) - 1, (1 << 28) - 1);
        assert_eq!(
            (w.state(), w.class(), w.generation(), w.low()),
            (4, 63, 0x7ff_ffff, 0xfff_ffff)
        );
        let n = w.next(1, 7);
        assert_eq!((n.state(), n.class(), n.generation(), n.low()), (1, 63, 0, 7));
    }

    #[test]
    fn a_reference_gives_back_what_was_packed_and_nothing_else_parses() {
        assert_eq!(parts(reference(u32::MAX, 5)), Some((u32::MAX, 5)));
        assert_eq!(parts(0), None);
        assert_eq!(parts(u64::MAX), None);
        assert_eq!(parts(reference(1, 1) & !(1 << 63)), None);
    }
}
