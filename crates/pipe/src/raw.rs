//! The pipe as it lies in shared memory: two ends, and a ring of bytes for each direction.
//!
//! Each direction is a bounded byte ring with one producer and one consumer, in the line of
//! Lamport's: each side owns a position, and the store of a position is the commit. What is added
//! is who the sides are: an end's word names the process that has it, so that the other side can
//! ask whether anything more can come, and a successor can take the place of one that died.
//!
//! # Layout
//!
//! | offset | size | field        | who writes          | values                                  |
//! |-------:|-----:|--------------|---------------------|-----------------------------------------|
//! |      0 |    8 | `ends[0]`    | takers of the end   | see [`EndWord`]                         |
//! |      8 |    8 | `ends[1]`    | takers of the end   | the same                                |
//! |     16 |    8 | `capacity`   | the maker           | bytes of a ring, a power of two         |
//! |     24 |    4 | `lanes`      | the maker           | directions: 1 or 2                      |
//! |     28 |  100 | `reserved`   | nobody              | 0                                       |
//! |    128 |  512 | `lane[0]`    |                     | what the first end sends                |
//! |    640 |  512 | `lane[1]`    |                     | what the second end sends               |
//! |   1152 |      | rings        |                     | `capacity` bytes for each direction     |
//!
//! A lane: `tail` (offset 0, written by the producer) and `head` (128, by the consumer) are byte
//! positions that only grow, multiples of 8; `items` (256) is the eventcount of those who wait for
//! records, `space` (384) of those who wait for room. `streams` (260, by the consumer) is 1 while it takes
//! many records at a time. Behind `tail`, on its cache line, are two *posts* of 3 words; the low 2 bits of
//! `tail` say in which the last record lies too, if in any. All zeroes is an empty pipe that nobody has
//! opened, once the maker's fields are set. Layout version 2.
//!
//! A record is a word (see [`Word`]: length and flags) and its payload, padded to 8 bytes. It never
//! wraps: where it would, a record with PAD fills the ring to its end, and is committed with it.
//!
//! # States
//!
//! An end is VACANT (never opened), OPEN (its member's), MOVING (its member's, on its way in a
//! message), DIED (its member was found dead) or CLOSED. Each move has a number, which the message
//! knows: an old one, or who sent it, can do nothing to a later move. Whoever has it is the only one to write
//! `tail` of one lane and `head` of the other. Bytes of a ring from `head` to `tail` belong to the
//! consumer, the others to the producer.
//!
//! # Operations
//!
//! Take an end: CAS from VACANT, CLOSED, DIED, or from the word of a dead member, to OPEN(me); from
//! MOVING only with the message. Then read the positions.
//!
//! Put a record:
//! 1. Room? Look at the cached `head`, else at the real one.
//! 2. PAD if need be, word, payload. The payload of a small one also goes to the post that `tail`
//!    does not name, unless the consumer takes many at a time: each store to that line beside `tail`'s own
//!    makes a record a third slower.
//! 3. `tail` on. **commit**
//!
//! Take a record:
//! 1. Is `tail` past it? Look at the cached one, else at the real one.
//! 2. The payload, copied out or used in place. If it is the last, small, and its length known: from the
//!    post, if `tail` still is what it was; so a consumer that waits fetches one cache line and not two.
//!    The word of a small one may be stored again as it is, to have its cache line here: no death can tell.
//! 3. `head` on. **commit**
//!
//! A message of up to half a ring is one record: all or nothing. A longer one goes in chunks, each a
//! record: START on the first, which begins with the whole length, MORE on all but the last. A
//! record with START drops what the consumer has in hand: its sender died or gave up. Chunks whose
//! start the consumer has not seen are passed over: they were for its predecessor.
//!
//! Nothing there, and the other end CLOSED or DIED: look at `tail` *once more*, since the last
//! record may have been committed between the two looks; only then nothing will come.
//!
//! Close: CAS OPEN(me) -> CLOSED, **commit**; then all are woken.
//!
//! Shut: CAS OPEN(me) -> OPEN(me) with SHUT, **commit**; then those who wait for records are woken. They
//! see the end after the last record, as if it were closed; the other direction goes on.
//!
//! # Orderings
//!
//! - **publish**: store of `tail` (Release) to its load by the consumer (Acquire); the records.
//! - **reuse**: store of `head` (Release) to its load by the producer (Acquire); the reads of the
//!   consumer, and its stores, are over before the bytes are written again. Also to a look by another
//!   thread of the consumer's process (and a fence, Acquire): a part that has left the ring is noted to be
//!   in hand.
//! - **post**: the fence (Release) between the store of `tail` and the next use of a post, to the fence
//!   (Acquire) between reading a post and looking at `tail` again: whoever reads a payload that is
//!   newer than the `tail` it saw finds that `tail` gone.
//! - **end**: CAS of an end's word (Release) to its loads (Acquire). Whoever sees it CLOSED, SHUT or
//!   DIED sees the last `tail` of that end; whoever takes it sees the last positions of its
//!   predecessor, of which one that died is ordered before the answer of the kernel that it is dead.
//! - Whether somebody sleeps is asked after each commit, by [`EventCount`], which brings its own
//!   fence. All are woken: they are threads of one process, as a rule one, and the others may wait
//!   for something else (more room, its turn).
//!
//! # Deaths
//!
//! | killed                       | left behind                   | seen by                          |
//! |------------------------------|-------------------------------|----------------------------------|
//! | put before `tail`            | nothing                       | the other end: nothing comes     |
//! | put after `tail`, no wake    | the record                    | the next look                    |
//! | put between chunks           | a part, never delivered       | nothing comes, or the next START |
//! | take before `head`           | the record, still first       | the next consumer                |
//! | take after `head`, no wake   | room                          | the next look                    |
//! | take between chunks          | the rest of a message         | the next consumer passes it over |
//! | close before its commit      | OPEN(dead)                    | who waits asks: DIED             |
//! | close after its commit       | CLOSED, nobody woken          | the next look                    |
//! | shut before its commit       | OPEN(dead)                    | who waits asks: DIED             |
//! | shut after its commit        | OPEN(dead) with SHUT          | the next look; who sends: DIED   |
//! | with an end on its way       | MOVING(dead)                  | as OPEN(dead); the message's receiver takes it |
//!
//! # Limits
//!
//! - Positions wrap after 2^64 bytes, which takes centuries; the numbers of moves after 2^32.
//! - A *stopped* process is alive: the other side waits for it.

mod bias;
mod end;
mod put;
mod take;
mod word;

use core::fmt;
use core::ptr::NonNull;

use crossproc_segment::wait::EventCount;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::Relaxed;

pub use crate::atomic::AtomicU64;
pub use bias::{Bias, Entry};
pub use end::{EndState, EndWord, Side, Taken};
pub use put::{Claim, Producer, Refused};
pub use take::{Consumer, NoRecord, Record};
use word::{TailWord, words_of};
pub use word::{Word, record_bytes};

/// Offset of the first ring from the header.
pub const RINGS_OFFSET: usize = 1152;
/// Bytes of the smallest ring.
pub const MIN_CAPACITY: u64 = 64;
/// Bytes of the largest ring.
pub const MAX_CAPACITY: u64 = 1 << 40;

/// Words of a post: with `tail` itself the two lie on one cache line.
const POST_WORDS: usize = 3;

/// What the maker's fields do not use of their line.
const RESERVED: usize = if cfg!(crossproc_loom) { 0 } else { 25 };

/// One word alone on two cache lines, as the prefetcher fetches them in pairs.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// What both ends have in common, on a line that is read at every operation and hardly written.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Common {
    ends: [AtomicU64; 2],
    capacity: AtomicU64,
    lanes: AtomicU32,
    reserved: [AtomicU32; RESERVED],
}

/// Where the producer is, and the last small record.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tail {
    word: AtomicU64,
    posts: [[AtomicU64; POST_WORDS]; 2],
}

/// What those have who wait for records, on a line that the producer reads at every record.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Items {
    waiters: EventCount,
    streams: AtomicU32,
}

/// The words of one direction.
#[derive(Debug)]
#[repr(C)]
pub struct Lane {
    tail: Line<Tail>,
    head: Line<AtomicU64>,
    items: Line<Items>,
    space: Line<EventCount>,
}

/// The words before the rings. It holds no pointer.
#[repr(C)]
pub struct Header {
    common: Line<Common>,
    lane: [Lane; 2],
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == RINGS_OFFSET && align_of::<Header>() == 128);
    assert!(offset_of!(Common, ends) == 0 && offset_of!(Common, capacity) == 16);
    assert!(offset_of!(Common, lanes) == 24 && offset_of!(Common, reserved) == 28);
    assert!(offset_of!(Header, lane) == 128 && size_of::<Lane>() == 512);
    assert!(offset_of!(Lane, tail) == 0 && offset_of!(Lane, head) == 128);
    assert!(size_of::<Tail>() <= 64);
    assert!(offset_of!(Items, waiters) == 0 && offset_of!(Items, streams) == 4);
    assert!(offset_of!(Lane, items) == 256 && offset_of!(Lane, space) == 384);
};

impl Lane {
    fn new() -> Self {
        Self {
            tail: Line(Tail {
                word: AtomicU64::new(0),
                posts: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0))),
            }),
            head: Line(AtomicU64::new(0)),
            items: Line(Items { waiters: EventCount::new(), streams: AtomicU32::new(0) }),
            space: Line(EventCount::new()),
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").finish_non_exhaustive()
    }
}

impl Default for Header {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// Makes the words of an empty pipe, for the model checker.
    #[must_use]
    pub fn new() -> Self {
        let common = Common {
            ends: [AtomicU64::new(0), AtomicU64::new(0)],
            capacity: AtomicU64::new(0),
            lanes: AtomicU32::new(0),
            reserved: core::array::from_fn(|_| AtomicU32::new(0)),
        };
        Self { common: Line(common), lane: [Lane::new(), Lane::new()] }
    }

    /// Writes the maker's fields into zeroed memory, before anybody else can see it.
    pub fn init(&self, capacity: u64, lanes: u32) {
        self.common.0.capacity.store(capacity, Relaxed);
        self.common.0.lanes.store(lanes, Relaxed);
    }

    /// The capacity, if the fields describe a pipe of so many lanes that lies in `bytes` bytes.
    #[must_use]
    pub fn check(&self, lanes: u32, bytes: usize) -> Option<u64> {
        let capacity = self.common.0.capacity.load(Relaxed);
        let fits = size_for(capacity, lanes).is_some_and(|needed| needed <= bytes);
        (fits && self.common.0.lanes.load(Relaxed) == lanes).then_some(capacity)
    }
}

/// Bytes of a pipe, or `None` where the capacity is none that a ring can have.
#[must_use]
pub fn size_for(capacity: u64, lanes: u32) -> Option<usize> {
    let possible = capacity.is_power_of_two() && (MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity);
    if !possible || !(1..=2).contains(&lanes) {
        return None;
    }
    let rings = usize::try_from(capacity).ok()?.checked_mul(usize::try_from(lanes).ok()?)?;
    RINGS_OFFSET.checked_add(rings).filter(|&bytes| isize::try_from(bytes).is_ok())
}

/// A process's view of one direction: where its words and its ring are mapped, and the capacity,
/// copied once.
///
/// # Invariants
///
/// `header` and `capacity` bytes from `ring` on are mapped and aligned for as long as the view is
/// used; `lane` is one of the header's; `capacity` is a power of two, at least [`MIN_CAPACITY`].
#[derive(Clone, Copy, Debug)]
pub struct View {
    header: NonNull<Header>,
    lane: NonNull<Lane>,
    ring: NonNull<AtomicU64>,
    capacity: u64,
}

// SAFETY: a view reaches atomics, and payloads in bytes that belong to its side of the ring.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// Views the direction in which `producer` sends.
    ///
    /// # Safety
    ///
    /// - `header` and `ring` point at an initialised header and at `capacity` bytes, aligned to 8,
    ///   for as long as the view or a copy of it is used.
    /// - `capacity` is a power of two, at least [`MIN_CAPACITY`].
    #[must_use]
    pub unsafe fn new(
        header: NonNull<Header>,
        ring: NonNull<AtomicU64>,
        capacity: u64,
        producer: Side,
    ) -> Self {
        // SAFETY: the header is initialised, and lives as long.
        let lane = NonNull::from(unsafe { &header.as_ref().lane[producer.index()] });
        // INVARIANT: by the safety contract.
        Self { header, lane, ring, capacity }
    }

    /// The words before the rings.
    #[must_use]
    #[inline(always)]
    pub fn header(&self) -> &Header {
        // SAFETY: by the type invariant.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    fn lane(&self) -> &Lane {
        // SAFETY: by the type invariant.
        unsafe { self.lane.as_ref() }
    }

    /// What those sleep on who wait for records.
    #[must_use]
    #[inline(always)]
    pub fn items(&self) -> &EventCount {
        &self.lane().items.0.waiters
    }

    /// Whether the consumer takes many records at a time; then it has no use for posts.
    #[inline(always)]
    fn streams(&self) -> bool {
        self.lane().items.0.streams.load(Relaxed) == 1
    }

    /// Tells the producer that the consumer takes many records at a time from now on, or not any more. A
    /// hint: each record can be taken either way.
    pub fn set_streams(&self, streams: bool) {
        if self.streams() != streams {
            self.lane().items.0.streams.store(u32::from(streams), Relaxed);
        }
    }

    /// What those sleep on who wait for room.
    #[must_use]
    #[inline(always)]
    pub fn space(&self) -> &EventCount {
        &self.lane().space.0
    }

    /// Bytes of the ring.
    #[must_use]
    #[inline(always)]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The longest payload of one record: with its word, half the ring.
    #[must_use]
    #[inline]
    pub fn longest(&self) -> u64 {
        self.capacity / 2 - Word::BYTES
    }

    /// Bytes between the two positions, at that moment; never above the capacity.
    #[must_use]
    pub fn used(&self) -> u64 {
        let head = self.lane().head.0.load(Relaxed);
        TailWord(self.lane().tail.0.word.load(Relaxed)).pos().wrapping_sub(head).min(self.capacity)
    }

    /// Bytes from `at` to the end of the ring.
    #[inline(always)]
    fn left_from(&self, at: u64) -> u64 {
        self.capacity - (at & (self.capacity - 1))
    }

    /// The word of the ring at `at`, a multiple of 8.
    #[inline(always)]
    fn word_at(&self, at: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "below the capacity, a usize")]
        let index = (at & (self.capacity - 1)) as usize / size_of::<u64>();
        // SAFETY: the index is below the capacity's.
        let word = unsafe { self.ring.add(index) };
        // SAFETY: mapped and aligned, by the type invariant.
        unsafe { word.as_ref() }
    }
}
