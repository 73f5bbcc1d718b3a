//! The queue as it lies in shared memory: a ring of slots, each with its own commit word.
//!
//! A bounded queue for many producers and many consumers, in the line of Vyukov's array queue,
//! with one difference: a producer claims the *slot*, not the counter, and the claim names its
//! owner, so that whoever meets a claim can ask if the claimer still lives. `head` and `tail` are
//! hints that anybody moves on; the slots are the truth.
//!
//! # Layout
//!
//! | offset | size | field      | who writes            | values                                  |
//! |-------:|-----:|------------|-----------------------|-----------------------------------------|
//! |      0 |    8 | `head`     | consumers, helpers    | `leased:1 \| lap:39 \| index:24`, the read end |
//! |    128 |    8 | `tail`     | producers, close      | the write end, with `closed:1` on top   |
//! |    256 |    4 | `items`    | sleeping consumers    | event count                             |
//! |    384 |    4 | `space`    | sleeping producers    | event count                             |
//! |    512 |    4 | `capacity` | the maker             | slots, `1..=2^24`                       |
//! |    516 |    4 | `stride`   | the maker             | words in a slot, its own word included  |
//! |    520 |    4 | `form`     | the maker             | what a slot carries, see [`Form`]       |
//! |    524 |    4 | `closed`   | close, helpers        | 1: look at `tail`; a hint for consumers |
//! |    528 |    8 | `max_bytes`| the maker             | the longest message                     |
//! |    536 |    4 | `ends`     | the maker             | places of a side's row, see [`Row`]     |
//! |    540 |    4 | `over`     | the maker             | 1: a put into a full queue takes the oldest out |
//! |    544 |    8 | `gates[0]` | counted producers     | see [`Row`]                             |
//! |    552 |    8 | `gates[1]` | counted consumers     | see [`Row`]                             |
//! |    560 |    8 | `dropped`  | producers             | items taken out so                      |
//! |    568 |   96 | `reserved` | nobody                | 0                                       |
//! |    664 |  128 | `desk`     | see `lease`           | leases and joins                        |
//! |    792 |    4 | `levels`   | the maker             | rings of a queue with levels, see `levels` |
//! |    796 |    4 | `reserved` | nobody                | 0                                       |
//! |    800 |    8 | `shut`     | close, of such a one  | 1: all its rings are closed, or to be   |
//! |    808 |  216 | `reserved` | nobody                | 0                                       |
//! |   1024 |      | slots      |                       | `capacity` times `stride` words         |
//! |        |      | rows       | counted handles       | two times `ends` words, see [`Row`]     |
//! |        |      | entries    | see `lease`           | `leases` items out of the ring          |
//!
//! A slot is its word and then the payload. All zeroes is an empty, open queue once the maker's
//! fields are set. Layout version 3.
//!
//! # States
//!
//! | word of the slot  | who may touch the payload      | becomes                                |
//! |-------------------|--------------------------------|----------------------------------------|
//! | FREE(lap)         | nobody                         | WRITING by any producer                |
//! | WRITING(lap, o)   | `o` writes                     | FULL or SKIP by `o`; SKIP if `o` died  |
//! | FULL(lap)         | anybody reads                  | FREE(lap+1) or READING by any consumer |
//! | READING(lap, o)   | `o` reads                      | FREE(lap+1) or FULL by `o`; FULL if `o` died |
//! | SKIP(lap)         | nobody                         | FREE(lap+1) by anybody                 |
//! | TAKEN(lap, e)     | nobody; it is in entry `e` too | FREE(lap+1) by its lessee, or if that died |
//! | FILLING(lap, o, n)| `o` writes, n slots            | FULL or SKIP by `o`; SKIP, all n, if `o` died |
//! | CLEARING(lap, o, n)| nobody; n items are taken     | FREE(lap+1), all n, by `o`, or if it died |
//!
//! FULL and READING become TAKEN by a lease; all about that is in `lease`. FILLING and CLEARING speak
//! for a run of slots; all about that is in `batch`.
//!
//! FREE again after a dead WRITING would let a second item in at a place that consumers already
//! wait beyond; hence SKIP.
//!
//! # Operations
//!
//! Claim and commit (put):
//! 1. CAS FREE(lap) -> WRITING(lap, me) in the slot at `tail`. Order is decided here.
//! 2. CAS `tail` on. If that finds the closed bit, the claim becomes SKIP and the answer is Closed.
//! 3. The payload.
//! 4. WRITING(lap, me) -> FULL(lap): **commit**. A store for small items, see `put_at`; else a CAS.
//!
//! Take (get of small items):
//! 1. The word at `head` is FULL(lap).
//! 2. The payload, perhaps torn by then, in which case step 3 fails and it is thrown away.
//! 3. CAS FULL(lap) -> FREE(lap+1). **commit**
//! 4. CAS `head` on.
//!
//! Hold (get of large items, and of items that must be understood before they are taken):
//! 1. CAS FULL(lap) -> READING(lap, me).
//! 2. The payload, which nobody else touches.
//! 3. CAS READING(lap, me) -> FREE(lap+1), **commit**; or -> FULL(lap): nothing happened.
//! 4. CAS `head` on, not earlier: the item of a reader that died must still be first.
//!
//! Close: the closed bit in `tail`, **commit**; then the hint; then all are woken. Since `tail` is
//! one word, either a producer's step 2 (or a helper's, for it) is before the bit, and the item
//! counts, or it is after and the producer sees the bit. A consumer answers Closed only if it
//! finds FREE at `head` after it has read the bit.
//!
//! Who finds a slot claimed at `tail`, or passed at `head`, moves that hint on and looks again.
//! More rounds than a healthy queue can need are answered with Corrupt.
//!
//! # Orderings
//!
//! - **publish**: commit of put (Release) to the look of a consumer (Acquire); the payload.
//! - **reuse**: commit of get (Release) to the claim of the next lap (Acquire). The reads of
//!   whoever wins the commit are over before the slot is written again. This is why step 2 of take
//!   needs no fences of its own: a commit that succeeds is ordered before the next claim, and so
//!   after none of its payload; a reader that saw newer bytes can only fail.
//! - **tail**: CAS of `tail` (Release) to its loads (Acquire). Whoever sees `tail` beyond a slot
//!   sees the slot claimed; whoever sees the closed bit sees every claim that counts.
//! - **head**: CAS of `head` (Release) to its loads (Acquire). Whoever sees `head` beyond a slot
//!   sees the slot free for the next lap.
//! - **hint**: `closed` (Release) to its loads (Acquire). Who sees it sees the bit in `tail`.
//! - **takeover**: repairs are AcqRel from the exact word. The last stores of the dead are ordered
//!   before the answer of the kernel that it is dead.
//! - Whether somebody sleeps is asked after each commit, by [`EventCount`], which brings its own
//!   fence. One more pair crosses two words and is SeqCst: see [`Ring::wake_next_consumer`].
//!
//! # Deaths
//!
//! | killed                            | left behind              | seen by                              |
//! |-----------------------------------|--------------------------|--------------------------------------|
//! | put before the claim              | nothing                  |                                      |
//! | put after the claim, before `tail`| `tail` behind            | any producer helps                   |
//! | put before the commit             | WRITING(dead), never put | who waits for it: SKIP               |
//! | put after the commit              | the item; perhaps no wake| the next look                        |
//! | take or hold before the commit    | FULL, or READING(dead)   | any consumer; who waits for it: FULL |
//! | take or hold after the commit     | `head` behind, perhaps no wake | any consumer helps; the next look |
//! | close after the commit            | no hint, nobody woken    | a producer, or the next repair look  |
//! | put or take of a run              | see `batch`              |                                      |
//! | repair, anywhere                  | the same states          | the next one                         |
//!
//! # Limits
//!
//! - A lap comes back after 2^39 rounds, in owned words after 2^32, in those of runs after 2^26. To be misled, a process must
//!   be stopped between two of its loads for exactly that many rounds.
//! - A stopped (not dead) writer or holder at `head` stops the consumers: it is alive.
//! - A claim of the dead takes a place until `head` has passed it.

mod batch;
mod ends;
mod entry;
mod get;
mod lease;
mod levels;
mod put;
mod repair;
mod short;
mod word;

use core::fmt;
use core::ptr::NonNull;

use crossproc_segment::wait::EventCount;

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

pub use crate::atomic::AtomicU64;
pub use ends::{Gate, Gone, Loan, MAX_ENDS, Place, Row, Seat, Side};
pub use entry::{EntryWord, Holding};
pub use get::{DISTANCE, Hold, NoItem, Watch};
pub use lease::{
    Blank, Desk, ENTRY_WORDS, Help, Kept, MAX_LEASES, MAX_LIMIT_NS, Near, Taken, Tick, entry_stride,
};
pub use levels::{Levels, MAX_LEVELS};
pub use put::{Claim, Refused};
pub use word::{INDEX_BITS, LAP_BITS, Lap, MAX_RUN, Position, State, Word};

/// Most slots that a queue can have.
pub const MAX_CAPACITY: u32 = 1 << INDEX_BITS;
/// Offset of the first slot from the header.
pub const SLOTS_OFFSET: usize = 1024;

/// How often the length is counted anew because items were taken meanwhile.
const LEN_TRIES: u32 = 100;
/// The entries of leases begin on a cache line.
const LINE_BYTES: usize = 64;

/// Words kept for what later versions add; the model checker need not carry them.
const fn reserved(words: usize) -> usize {
    if cfg!(crossproc_loom) { 0 } else { words }
}

/// One word alone on two cache lines, as the prefetcher fetches them in pairs.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// What a slot carries after its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Items of one small size, in words, read by take.
    Words,
    /// Items of one larger size, in bytes, read by hold.
    Bytes,
    /// Messages of any size: the place of a block, a meta word, inline bytes; read by hold.
    Messages,
}

impl Form {
    fn code(self) -> u32 {
        match self {
            Self::Words => 1,
            Self::Bytes => 2,
            Self::Messages => 3,
        }
    }
}

/// The numbers a queue is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Slots, `1..=MAX_CAPACITY`.
    pub capacity: u32,
    /// Words in a slot, its own word included.
    pub stride: u32,
    /// What a slot carries.
    pub form: Form,
    /// The longest message.
    pub max_bytes: u64,
    /// Places of the row of each side, `0..=MAX_ENDS`.
    pub ends: u32,
    /// Items that can be leased at once, `0..=MAX_LEASES`.
    pub leases: u32,
    /// How long leases last, in ns; 0 as long as their holder has them.
    pub limit_ns: u64,
    /// Whether what is got is owed until it is done.
    pub joinable: bool,
    /// Whether a put into a full queue takes the oldest item out.
    pub over: bool,
}

impl Geometry {
    /// Offset of the entries of leases from the header; `None` if it overflows.
    #[must_use]
    pub fn entries_offset(&self) -> Option<usize> {
        let slot = usize::try_from(self.stride).ok()?.checked_mul(size_of::<u64>())?;
        let slots = usize::try_from(self.capacity).ok()?.checked_mul(slot)?;
        let rows = usize::try_from(self.ends).ok()?.checked_mul(2 * size_of::<Place>())?;
        let end = SLOTS_OFFSET.checked_add(slots)?.checked_add(rows)?;
        end.checked_next_multiple_of(LINE_BYTES)
    }
}

/// The words before the slots. It holds no pointer.
#[repr(C)]
pub struct Header {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
    items: Line<EventCount>,
    space: Line<EventCount>,
    capacity: AtomicU32,
    stride: AtomicU32,
    form: AtomicU32,
    closed: AtomicU32,
    max_bytes: AtomicU64,
    ends: AtomicU32,
    over: AtomicU32,
    gates: [Gate; 2],
    dropped: AtomicU64,
    reserved: [AtomicU64; reserved(12)],
    desk: Desk,
    levels: AtomicU32,
    reserved_half: AtomicU32,
    shut: AtomicU64,
    reserved_too: [AtomicU64; reserved(27)],
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Header>() == SLOTS_OFFSET && align_of::<Header>() == 128);
    assert!(offset_of!(Header, tail) == 128 && offset_of!(Header, items) == 256);
    assert!(offset_of!(Header, space) == 384 && offset_of!(Header, capacity) == 512);
    assert!(offset_of!(Header, stride) == 516 && offset_of!(Header, form) == 520);
    assert!(offset_of!(Header, closed) == 524 && offset_of!(Header, max_bytes) == 528);
    assert!(offset_of!(Header, ends) == 536 && offset_of!(Header, gates) == 544);
    assert!(offset_of!(Header, over) == 540 && offset_of!(Header, dropped) == 560);
    assert!(offset_of!(Header, reserved) == 568 && offset_of!(Header, desk) == 664);
    assert!(offset_of!(Header, levels) == 792 && offset_of!(Header, shut) == 800);
    assert!(offset_of!(Header, reserved_too) == 808);
};

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
    /// Makes the words of an empty queue, for the model checker.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: Line(AtomicU64::new(0)),
            tail: Line(AtomicU64::new(0)),
            items: Line(EventCount::new()),
            space: Line(EventCount::new()),
            capacity: AtomicU32::new(0),
            stride: AtomicU32::new(0),
            form: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            max_bytes: AtomicU64::new(0),
            ends: AtomicU32::new(0),
            over: AtomicU32::new(0),
            gates: [Gate::default(), Gate::default()],
            dropped: AtomicU64::new(0),
            reserved: core::array::from_fn(|_| AtomicU64::new(0)),
            desk: Desk::new(),
            levels: AtomicU32::new(0),
            reserved_half: AtomicU32::new(0),
            shut: AtomicU64::new(0),
            reserved_too: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Writes the maker's fields into zeroed memory, before anybody else can see it.
    pub fn init(&self, geometry: Geometry) {
        self.capacity.store(geometry.capacity, Relaxed);
        self.stride.store(geometry.stride, Relaxed);
        self.form.store(geometry.form.code(), Relaxed);
        self.max_bytes.store(geometry.max_bytes, Relaxed);
        self.ends.store(geometry.ends, Relaxed);
        self.over.store(u32::from(geometry.over), Relaxed);
        self.desk.entries.store(geometry.leases, Relaxed);
        self.desk.limit_ns.store(geometry.limit_ns, Relaxed);
        self.desk.joinable.store(u32::from(geometry.joinable), Relaxed);
        if geometry.joinable {
            self.head.0.store(Position::leased_bit(), Relaxed);
        }
    }

    /// The geometry found here, if it is one that fits into `bytes` and carries `form`.
    #[must_use]
    pub fn check(&self, form: Form, bytes: usize) -> Option<Geometry> {
        let geometry = Geometry {
            capacity: self.capacity.load(Relaxed),
            stride: self.stride.load(Relaxed),
            form,
            max_bytes: self.max_bytes.load(Relaxed),
            ends: self.ends.load(Relaxed),
            over: self.over.load(Relaxed) == 1,
            leases: self.desk.entries.load(Relaxed),
            limit_ns: self.desk.limit_ns.load(Relaxed),
            joinable: self.desk.joinable.load(Relaxed) == 1,
        };
        let fits = size_for(&geometry).is_some_and(|needed| needed <= bytes);
        (fits && self.form.load(Relaxed) == form.code()).then_some(geometry)
    }

    /// What consumers sleep on; see also [`Ring::items`].
    #[must_use]
    #[inline]
    pub fn items(&self) -> &EventCount {
        &self.items.0
    }

    /// What producers sleep on.
    #[must_use]
    #[inline]
    pub fn space(&self) -> &EventCount {
        &self.space.0
    }
}

/// Bytes of a queue, or `None` where the geometry is out of bounds or the size overflows.
#[must_use]
pub fn size_for(geometry: &Geometry) -> Option<usize> {
    if !(1..=MAX_CAPACITY).contains(&geometry.capacity) || geometry.stride < 2 {
        return None;
    }
    if geometry.ends > MAX_ENDS || geometry.leases > MAX_LEASES {
        return None;
    }
    let entry = entry_stride(geometry.stride).checked_mul(size_of::<u64>())?;
    let entries = usize::try_from(geometry.leases).ok()?.checked_mul(entry)?;
    let bytes = geometry.entries_offset()?.checked_add(entries)?;
    Some(bytes).filter(|&bytes| isize::try_from(bytes).is_ok())
}

/// How far ahead lines are worth asking for: two lines. See [`Ring::fetch_ahead`].
const AHEAD_WORDS: u32 = 16;

/// Up to which slot a place so far ahead is in the ring; 0 where it is not worth asking: where a slot has
/// its line for itself, or in a short ring, in which the other side is there already.
const fn ahead_until(capacity: u32, stride: u32) -> u32 {
    const LARGEST: u32 = 4;
    const RING_AT_LEAST: u32 = 4;
    if stride == 0 || stride > LARGEST {
        return 0;
    }
    let ahead = AHEAD_WORDS / stride;
    if capacity / RING_AT_LEAST < ahead { 0 } else { capacity - ahead }
}

/// What a consumer finds at the read end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadEnd {
    /// An item, which nobody has claimed.
    Item,
    /// The end: the ring is closed and empty.
    Closed,
    /// Neither, yet.
    Nothing,
}

/// A process's view of a queue's words: where they are mapped, and the bounds, copied once.
///
/// # Invariants
///
/// `header`, `base`, `capacity * stride + 2 * ends` words from `slots` on, and the `leases` entries from
/// `entries` on, which are no fewer than `endless`, are mapped, aligned and only reached as
/// atomics (or by the holder of a claim) for as long as the view is used.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    header: NonNull<Header>,
    /// Whose `items` and `shut` are this ring's: another header in a queue with levels.
    base: NonNull<Header>,
    slots: NonNull<AtomicU64>,
    capacity: u32,
    stride: u32,
    /// See [`ahead_until`].
    ahead_until: u32,
    /// Places of each of the two rows behind the slots; 0 where they are not viewed.
    ends: u32,
    entries: NonNull<AtomicU64>,
    leases: u32,
    /// The same where leases have no limit, else 0.
    endless: u32,
    limit_ns: u64,
    /// Words of an entry, see [`entry_stride`].
    entry_words: usize,
}

// SAFETY: a view reaches atomics, and payloads under a claim that excludes all others.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// Views the queue whose header and slots lie there.
    ///
    /// # Safety
    ///
    /// - `header` and `slots` point at an initialised header and at `capacity * stride` words,
    ///   aligned, for as long as the view or a copy of it is used.
    /// - `capacity` is in `1..=MAX_CAPACITY`, `stride` at least 2.
    #[must_use]
    pub unsafe fn new(
        header: NonNull<Header>,
        slots: NonNull<AtomicU64>,
        capacity: u32,
        stride: u32,
    ) -> Self {
        // INVARIANT: by the safety contract.
        let (entries, leases, endless, entry_words) = (NonNull::dangling(), 0, 0, 0);
        Self {
            header,
            base: header,
            slots,
            capacity,
            ahead_until: ahead_until(capacity, stride),
            stride,
            ends: 0,
            entries,
            leases,
            endless,
            limit_ns: 0,
            entry_words,
        }
    }

    /// The words before the slots.
    #[must_use]
    #[inline]
    pub fn header(&self) -> &Header {
        // SAFETY: by the type invariant.
        unsafe { self.header.as_ref() }
    }

    /// What consumers of this ring sleep on.
    #[must_use]
    #[inline]
    pub fn items(&self) -> &EventCount {
        self.base().items()
    }

    /// Slots in the ring.
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Words of payload in a slot.
    #[must_use]
    #[inline]
    pub fn payload_words(&self) -> usize {
        self.stride as usize - 1
    }

    /// Tells whether a slot's payload has so many words. Of one, this is known when it is compiled.
    #[inline(always)]
    fn has_words(&self, words: usize) -> bool {
        words <= 1 || words <= self.payload_words()
    }

    /// Refuses new items, for ever; those that are in can still be taken. Wakes everybody.
    ///
    /// Returns false if the queue was closed already.
    pub fn close(&self) -> bool {
        let first = self.close_commit_only();
        self.spread_closed();
        first
    }

    /// The one store of [`Ring::close`], for tests of a closer that dies after it.
    #[doc(hidden)]
    pub fn close_commit_only(&self) -> bool {
        // commit: after it no claim counts.
        // ORDERING: release side of *tail*; what came before `close` is visible to who sees Closed.
        !Position::is_closed(self.header().tail.0.fetch_or(Position::closed_bit(), AcqRel))
    }

    /// Counts an item that was taken out to make room.
    pub fn count_dropped(&self) {
        // Relaxed: a number that guards nothing.
        self.header().dropped.fetch_add(1, Relaxed);
    }

    /// Items that were taken out to make room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.header().dropped.load(Relaxed)
    }

    /// Tells whether the queue was closed, at that moment.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // ORDERING: acquire side of *tail*.
        Position::is_closed(self.header().tail.0.load(Acquire))
    }

    /// Does for a closer what it may not have lived to do.
    #[cold]
    fn spread_closed(&self) {
        // ORDERING: release side of *hint*.
        self.header().closed.store(1, Release);
        self.items().notify_all();
        self.header().space().notify_all();
        // Those who wait for an entry, for an item that others took meanwhile.
        self.desk().room().notify_all();
    }

    /// Items in the queue, claims included, at one moment of the call: never above the capacity.
    ///
    /// First moves the ends on where the dead left them behind. Then the write end counts if the
    /// read end was at one place before and after; under a storm of operations the last try does.
    #[must_use]
    pub fn len(&self) -> u32 {
        let mut head = self.settle_head();
        let mut tail = self.settle_tail();
        for _ in 0..LEN_TRIES {
            let again = self.settle_head();
            if again == head {
                break;
            }
            head = again;
            tail = self.settle_tail();
        }
        tail.past(head, self.capacity)
    }

    /// Tells whether the queue held nothing, at that moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Passes the wake on to the next consumer, if an item is ready or none can come any more.
    ///
    /// For a consumer that leaves the slow path or ends a hold: the wake for a second item may have
    /// gone to somebody who found the first one unfinished and went to sleep again.
    #[cold]
    pub fn wake_next_consumer(&self) {
        match self.at_read_end() {
            ReadEnd::Item => self.items().notify_one(),
            ReadEnd::Closed => self.items().notify_all(),
            ReadEnd::Nothing => {}
        }
    }

    /// What the next consumer will find.
    fn at_read_end(&self) -> ReadEnd {
        // Lessees may have left `head` behind.
        let head = self.settle_head();
        if head.is_leased() && self.has_back() {
            return ReadEnd::Item;
        }
        let Some(slot) = self.slot(head) else { return ReadEnd::Nothing };
        // ORDERING: SeqCst after the SeqCst end of a hold. The sleeper fenced (SeqCst) and then
        // saw the hold, or else it sees its end. If it saw the hold, its fence is before the
        // end of the hold, and this load, after that, sees the item it was woken for.
        let word = Word::from_bits(slot.load(SeqCst));
        if word == Word::full(head.lap()) {
            ReadEnd::Item
        } else if word == Word::free(head.lap()) && self.hinted_closed() {
            ReadEnd::Closed
        } else {
            ReadEnd::Nothing
        }
    }

    /// Passes the wake on to the next producer, if a place is free.
    #[cold]
    pub fn wake_next_producer(&self) {
        // ORDERING: acquire side of *tail*.
        let tail = Position::from_bits(self.header().tail.0.load(Acquire));
        let Some(slot) = self.slot(tail) else { return };
        if slot.load(Relaxed) == Word::free(tail.lap()).bits() {
            self.header().space().notify_one();
        }
    }

    /// The word of slot `index` as it is, and its payload; `None` beyond the ring.
    #[must_use]
    pub fn slot_at(&self, index: u32) -> Option<(Word, NonNull<AtomicU64>)> {
        let slot = self.slot(Position::from_bits(u64::from(index)))?;
        // ORDERING: acquire side of *publish* and *reuse*.
        Some((Word::from_bits(slot.load(Acquire)), self.payload(slot)))
    }

    /// The word of the slot at `at`; `None` if a peer wrote an index beyond the ring.
    #[inline]
    fn slot(&self, at: Position) -> Option<&AtomicU64> {
        let index = at.index();
        (index < self.capacity).then(|| {
            let offset = index as usize * self.stride as usize;
            // SAFETY: the index is below the capacity, so the word is within the ring.
            let word = unsafe { self.slots.add(offset) };
            // SAFETY: mapped and only reached as an atomic, by the type invariant.
            unsafe { word.as_ref() }
        })
    }

    /// Asks for the line of a slot that the caller will come to soon, where several slots share one.
    ///
    /// A compare-exchange waits for its line, and nothing of the next operation begins before; stores
    /// alone would not have to. Where the two sides have a cache each, this makes 22 ns an item 11.
    #[inline(always)]
    fn fetch_ahead(&self, at: Position, slot: &AtomicU64) {
        #[cfg(not(crossproc_loom))]
        if at.index() < self.ahead_until {
            // Not checked: a hint needs no place that is there.
            let place = core::ptr::from_ref(slot).wrapping_add(AHEAD_WORDS as usize);
            crossproc_sys::prefetch::for_write(place);
        } else if self.ahead_until != 0 {
            self.fetch_round(slot);
        }
        #[cfg(crossproc_loom)]
        let _ = (at, slot, self.ahead_until, AHEAD_WORDS);
    }

    /// The same where that is at the begin of the ring.
    #[cfg(not(crossproc_loom))]
    #[cold]
    #[inline(never)]
    fn fetch_round(&self, slot: &AtomicU64) {
        let words = self.capacity as usize * self.stride as usize;
        let place = core::ptr::from_ref(slot).wrapping_add(AHEAD_WORDS as usize);
        crossproc_sys::prefetch::for_write(place.wrapping_sub(words));
    }

    /// The first payload word of the slot at `at`, whose index was checked by [`Ring::slot`].
    #[inline]
    fn payload(&self, slot: &AtomicU64) -> NonNull<AtomicU64> {
        // SAFETY: `stride` is at least 2, so a word follows.
        unsafe { NonNull::from(slot).add(1) }
    }

    #[inline]
    fn load_head(&self) -> Position {
        // ORDERING: acquire side of *head*.
        Position::of_head(self.header().head.0.load(Acquire))
    }

    /// Moves `head` past `at`, unless somebody did.
    #[inline]
    fn pass_head(&self, at: Position) {
        let next = at.next(self.capacity).bits();
        // ORDERING: release side of *head*.
        let passed = self.header().head.0.compare_exchange(at.bits(), next, Release, Relaxed);
        if let Err(found) = passed {
            self.pass_head_found(at, found);
        }
    }

    /// The same where `head` was found to be another: perhaps the first lease came in between, or the position
    /// is not from `head`.
    #[cold]
    #[inline(never)]
    fn pass_head_found(&self, at: Position, found: u64) {
        let leased = Position::of_head(at.bits() | Position::leased_bit());
        if found == leased.bits() {
            self.pass_leased_head(leased);
        }
    }

    /// The same at a position that says that there were leases.
    #[inline(always)]
    fn pass_leased_head(&self, at: Position) {
        let next = at.next(self.capacity).bits();
        // ORDERING: release side of *head*.
        let _ = self.header().head.0.compare_exchange(at.bits(), next, Release, Relaxed);
    }

    /// Moves `tail` past `at`, unless somebody did. Tells whether the queue is still open.
    #[inline]
    fn pass_tail(&self, at: Position) -> bool {
        let next = at.next(self.capacity).bits();
        // ORDERING: release side of *tail*. A failure needs no acquire: only the bit is looked at.
        match self.header().tail.0.compare_exchange(at.bits(), next, Release, Relaxed) {
            Ok(_) => true,
            Err(found) => Self::is_open(found),
        }
    }

    #[cold]
    #[inline(never)]
    fn is_open(tail: u64) -> bool {
        !Position::is_closed(tail)
    }

    #[inline]
    fn hinted_closed(&self) -> bool {
        // ORDERING: acquire side of *hint*.
        self.header().closed.load(Acquire) != 0
    }

    /// Rounds after which a single attempt gives up on a ring that never comes to rest.
    fn rounds(&self) -> u32 {
        self.capacity.saturating_mul(2).saturating_add(1 << 16)
    }
}
