//! Has the victim find the heap as every other victim of its row does.
//!
//! An operation that allocates goes on with the heap that its process inherited: what this process freed
//! or took since the survey makes it some instructions or a thousand longer or shorter, and "after k
//! instructions" would be another place. With a block of each small size at hand, all go the same way.

use std::hint::black_box;

/// Sizes that the allocator keeps a list for.
const SIZES: std::ops::RangeInclusive<usize> = 16..=1024;
/// Between them.
const STEP: usize = 16;
/// Of each size: fewer than it keeps, so that what the operation frees finds room there, too.
const BLOCKS: usize = 4;

/// Leaves some free blocks of each small size.
pub(super) fn settle() {
    for size in SIZES.step_by(STEP) {
        let blocks: [Vec<u8>; BLOCKS] = std::array::from_fn(|_| Vec::with_capacity(size - 8));
        drop(black_box(blocks));
    }
}
