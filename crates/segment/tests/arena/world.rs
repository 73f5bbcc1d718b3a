//! Memory that stands for a segment, threads that stand for members, and who of them is dead.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use crossproc_segment::MemberId;
use crossproc_segment::arena::{Arena, Block, Geometry, Magazines, Who};

const MEMBERS: usize = 1 << 16;
/// Where places for tests lie.
const PLACES: u64 = 0;
/// Room before the arena.
pub(crate) const FRONT: u64 = 256 << 10;

/// A segment with places, room for a directory, and an arena, and the members of it.
pub(crate) struct World {
    pub(crate) arena: Arena,
    pub(crate) base: NonNull<u8>,
    layout: Layout,
    oracle: Box<dyn Fn(MemberId) -> bool + Send + Sync>,
    dead: Arc<Vec<AtomicBool>>,
    next: AtomicU32,
}

// SAFETY: the tests reach the memory through atomics, or as owners of a block.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

impl World {
    /// `holds`: where the holds lie in the front, if the arena is to respect some.
    pub(crate) fn new(chunk_shift: u32, chunks: u32, holds: Option<u64>) -> Self {
        let geometry = Geometry::new(chunk_shift, chunks).unwrap();
        let bytes = (FRONT + Arena::size_for(geometry)) as usize;
        let layout = Layout::from_size_align(bytes, 4096).unwrap();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(memory) else { handle_alloc_error(layout) };
        // SAFETY: allocated for as long as the world lives, used as this arena only.
        let mut arena = unsafe { Arena::attach(base, bytes, FRONT, geometry) }.unwrap();
        if let Some(offset) = holds {
            arena = arena.with_holds(offset).unwrap();
        }
        let dead: Arc<Vec<_>> = Arc::new((0..MEMBERS).map(|_| AtomicBool::new(false)).collect());
        let seen = Arc::clone(&dead);
        let oracle = Box::new(move |id: MemberId| {
            seen.get(id.get() as usize).is_some_and(|dead| !dead.load(SeqCst))
        });
        Self { arena, base, layout, oracle, dead, next: AtomicU32::new(1) }
    }

    /// A new member.
    pub(crate) fn join(&self) -> Who<'_> {
        let me = MemberId::new(self.next.fetch_add(1, SeqCst)).unwrap();
        Who { me, alive: &*self.oracle }
    }

    pub(crate) fn kill(&self, who: &Who<'_>) {
        self.dead[who.me.get() as usize].store(true, SeqCst);
    }

    pub(crate) fn place(&self, index: u64) -> u64 {
        assert!(index < 512);
        PLACES + 8 * index
    }

    /// The word at an offset.
    pub(crate) fn word(&self, offset: u64) -> &AtomicU64 {
        assert!(offset % 8 == 0 && offset + 8 <= self.layout.size() as u64);
        // SAFETY: within the memory, just checked.
        let word = unsafe { self.base.add(offset as usize) }.cast::<AtomicU64>();
        // SAFETY: aligned; all zeroes or what atomics stored.
        unsafe { word.as_ref() }
    }

    /// The words of a block, which the caller owns or holds.
    pub(crate) fn words(&self, offset: u64, len: u64) -> impl Iterator<Item = &AtomicU64> {
        (offset..offset + len).step_by(8).map(|at| self.word(at))
    }

    /// Writes `value` all over a block.
    pub(crate) fn fill(&self, block: &Block, value: u64) {
        let (offset, len) = (self.arena.offset(block), self.arena.len(block));
        for (i, word) in (0..).zip(self.words(offset, len)) {
            word.store(value.wrapping_mul(1000) + i, SeqCst);
        }
    }

    /// What was written all over the bytes there; panics if it is torn.
    pub(crate) fn value(&self, offset: u64, len: u64) -> u64 {
        let value = self.word(offset).load(SeqCst) / 1000;
        for (i, word) in (0..).zip(self.words(offset, len)) {
            assert_eq!(word.load(SeqCst), value * 1000 + i, "torn at word {i}");
        }
        value
    }

    pub(crate) fn value_of(&self, block: &Block) -> u64 {
        self.value(self.arena.offset(block), self.arena.len(block))
    }

    /// Takes blocks of `bytes` until there are no more, and checks that none overlap.
    pub(crate) fn drain(&self, bytes: u64, who: &Who<'_>, mags: &mut Magazines) -> Vec<Block> {
        let mut blocks = Vec::new();
        while let Some(block) = self.arena.alloc(bytes, who, mags) {
            blocks.push(block);
        }
        let mut spans: Vec<_> =
            blocks.iter().map(|b| (self.arena.offset(b), self.arena.len(b))).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "blocks overlap");
        for (offset, len) in spans {
            assert!(offset >= FRONT && offset + len <= self.layout.size() as u64);
            assert_eq!(offset % len.next_power_of_two().min(4096).min(len & len.wrapping_neg()), 0);
        }
        blocks
    }

    /// How many blocks of `bytes` can be taken.
    pub(crate) fn capacity(&self, bytes: u64, who: &Who<'_>) -> usize {
        let mut mags = Magazines::new();
        let blocks = self.drain(bytes, who, &mut mags);
        blocks.iter().for_each(|&block| assert!(self.arena.free(block, &mut mags)));
        blocks.len()
    }
}

/// Reproducible numbers.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.bits() % sides
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
