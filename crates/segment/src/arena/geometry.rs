//! How big an arena is, and which sizes of block it has.

/// The smallest block, 64 bytes, as a shift.
const MIN_SHIFT: u32 = 6;
/// Header indexes are 32 bits: an arena has at most so many.
const MAX_HEADERS: u64 = u32::MAX as u64;
const PAGE: u64 = 4096;
/// The line of the counter of chunk generations.
const COUNTER_BYTES: u64 = 64;
const HEADER_BYTES: u64 = 16;

/// The shape of an arena: `chunks` chunks of `1 << chunk_shift` bytes.
///
/// # Invariants
///
/// `chunk_shift` is in `12..=16`, `chunks` at least 1, every header index fits `u32`, and
/// `last_class` follows from the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    chunk_shift: u32,
    chunks: u32,
    last_class: u32,
}

impl Geometry {
    /// A geometry, or `None` outside the limits: chunks of 4 to 64 KiB, at least one of them, at
    /// most 256 GiB of blocks.
    #[must_use]
    pub const fn new(chunk_shift: u32, chunks: u32) -> Option<Self> {
        if chunk_shift < 12 || chunk_shift > 16 || chunks == 0 {
            return None;
        }
        if ((chunks as u64) << (chunk_shift - MIN_SHIFT)) > MAX_HEADERS {
            return None;
        }
        // INVARIANT: checked above.
        let last_class = chunk_shift - MIN_SHIFT + step_for(chunks);
        Some(Self { chunk_shift, chunks, last_class })
    }

    /// The largest geometry whose arena fits `bytes`: chunks of 64 KiB, smaller ones where there
    /// would be fewer than 256. `None` if not even one small chunk fits.
    #[must_use]
    pub fn fitting(bytes: u64) -> Option<Self> {
        let shift = (bytes / 256).checked_ilog2().unwrap_or(0).clamp(12, 16);
        let most = MAX_HEADERS >> (shift - MIN_SHIFT);
        let per_chunk = (1 << shift) + 9 + (HEADER_BYTES << (shift - MIN_SHIFT));
        let mut chunks = u32::try_from((bytes / per_chunk).min(most)).ok()?;
        loop {
            let geometry = Self::new(shift, chunks)?;
            if geometry.size() <= bytes {
                return Some(geometry);
            }
            chunks -= 1;
        }
    }

    /// The bytes of a chunk, as a shift.
    #[must_use]
    #[inline]
    pub const fn chunk_shift(self) -> u32 {
        self.chunk_shift
    }

    /// How many chunks there are.
    #[must_use]
    #[inline]
    pub const fn chunks(self) -> u32 {
        self.chunks
    }

    /// How many headers a chunk has, as a shift: one for each 64 bytes.
    #[inline]
    pub(super) const fn header_shift(self) -> u32 {
        self.chunk_shift - MIN_SHIFT
    }

    /// How many headers there are.
    pub(super) const fn headers(self) -> u32 {
        self.chunks << self.header_shift()
    }

    /// The class of one whole chunk; those above it are runs.
    #[inline]
    const fn chunk_class(self) -> u32 {
        self.chunk_shift - MIN_SHIFT
    }

    /// The largest class: a run at least as long as the arena.
    #[must_use]
    #[inline]
    pub const fn last_class(self) -> u32 {
        self.last_class
    }

    /// The smallest class whose blocks hold `bytes`, or `None` if the arena is shorter.
    #[must_use]
    #[inline]
    pub fn class_for(self, bytes: u64) -> Option<u32> {
        let shift = bytes.max(1 << MIN_SHIFT).checked_next_power_of_two()?.trailing_zeros();
        if shift <= self.chunk_shift {
            return Some(shift - MIN_SHIFT);
        }
        let run = bytes.div_ceil(1 << self.chunk_shift);
        if run > u64::from(self.chunks) {
            return None;
        }
        let run = u32::try_from(run).ok()?;
        Some(self.chunk_class() + step_for(run))
    }

    /// The bytes of a block of `class`.
    #[must_use]
    #[inline]
    pub fn block_bytes(self, class: u32) -> u64 {
        if class <= self.chunk_class() {
            1 << (class + MIN_SHIFT)
        } else {
            u64::from(self.run(class)) << self.chunk_shift
        }
    }

    /// How many chunks a block of `class` takes: 1, or the length of its run.
    #[inline]
    pub(super) fn run(self, class: u32) -> u32 {
        step_length(class.saturating_sub(self.chunk_class())).min(self.chunks)
    }

    /// How many blocks of `class` its first chunk has.
    #[inline]
    pub(super) fn blocks(self, class: u32) -> u32 {
        1 << self.chunk_class().saturating_sub(class)
    }

    /// Tells whether a chunk may be of `class`: the class exists, and its run ends inside.
    #[inline]
    pub(super) fn fits(self, chunk: u32, class: u32) -> bool {
        let is_run = class > self.chunk_class();
        chunk < self.chunks
            && class <= self.last_class
            && !(is_run && self.run(class) > self.chunks - chunk)
    }

    /// Where the chunk words lie in the arena.
    pub(super) const fn chunk_words_at(self) -> u64 {
        COUNTER_BYTES
    }

    /// Where the hint bytes lie in the arena.
    pub(super) const fn hints_at(self) -> u64 {
        self.chunk_words_at() + 8 * self.chunks as u64
    }

    /// Where the headers lie in the arena.
    pub(super) const fn headers_at(self) -> u64 {
        (self.hints_at() + self.chunks as u64).next_multiple_of(64)
    }

    /// Where the blocks lie in the arena.
    pub(super) const fn data_at(self) -> u64 {
        (self.headers_at() + HEADER_BYTES * self.headers() as u64).next_multiple_of(PAGE)
    }

    /// The bytes of the whole arena.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.data_at() + ((self.chunks as u64) << self.chunk_shift)
    }
}

/// The chunks of a run `step` steps above one chunk: 1, 2, 3, 4, 6, 8, 12, 16, 24, ..
#[inline]
const fn step_length(step: u32) -> u32 {
    match step {
        0 => 1,
        odd if odd % 2 == 1 => 1 << odd.div_ceil(2),
        even => 3 << (even / 2 - 1),
    }
}

/// The lowest step whose run has `chunks` chunks or more. `chunks` is at least 1.
#[inline]
const fn step_for(chunks: u32) -> u32 {
    if chunks <= 1 {
        return 0;
    }
    let power = chunks.next_power_of_two().trailing_zeros();
    if power >= 2 && chunks <= 3 << (power - 2) { 2 * (power - 1) } else { 2 * power - 1 }
}

#[cfg(test)]
mod tests {
    use super::{Geometry, step_for, step_length};

    #[test]
    fn runs_grow_by_half_and_the_step_is_the_lowest() {
        let lengths: Vec<u32> = (0..10).map(step_length).collect();
        assert_eq!(lengths, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]);
        for chunks in 1..5000 {
            let step = step_for(chunks);
            assert!(step_length(step) >= chunks);
            assert!(step == 0 || step_length(step - 1) < chunks);
        }
        assert_eq!(step_length(step_for(1 << 26)), 1 << 26);
    }

    #[test]
    fn every_size_up_to_the_arena_has_a_class_that_holds_it() {
        for (shift, chunks) in [(12, 1), (12, 2), (12, 5), (13, 7), (16, 33)] {
            let geometry = Geometry::new(shift, chunks).unwrap();
            let all = u64::from(chunks) << shift;
            for bytes in (0..all).step_by(37).chain([all]) {
                let class = geometry.class_for(bytes).unwrap();
                assert!(class <= geometry.last_class() && class < 64);
                assert!(geometry.block_bytes(class) >= bytes);
                assert!(class == 0 || geometry.block_bytes(class - 1) < bytes.max(1));
            }
            assert_eq!(geometry.class_for(all + 1), None);
            assert_eq!(geometry.class_for(u64::MAX), None);
        }
    }

    #[test]
    fn a_fitting_geometry_fits_and_wastes_less_than_a_chunk() {
        assert_eq!(Geometry::fitting(4096), None);
        for bytes in [16 << 10, 1 << 20, (1 << 20) + 5, 64 << 20, 5 << 30, 1 << 50] {
            let geometry = Geometry::fitting(bytes).unwrap();
            assert!(geometry.size() <= bytes);
            if let Some(more) = Geometry::new(geometry.chunk_shift(), geometry.chunks() + 1) {
                assert!(more.size() > bytes);
            }
        }
    }
}
