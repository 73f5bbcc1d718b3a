//! Items on lease: out of the ring, but not out of the queue before they are acknowledged.
//!
//! Behind the slots lie *entries*, as many as items can be leased at once. A lease moves the first
//! item into an entry that its holder has claimed, so that the ring goes on, whoever holds leases
//! for however long. The entry's word names the holder; an entry whose holder is dead, or gave the
//! item back, is handed out before anything in the ring.
//!
//! # Layout
//!
//! [`Desk`], at 664 in the header:
//!
//! | offset | size | field      | who writes         | values                                       |
//! |-------:|-----:|------------|--------------------|----------------------------------------------|
//! |    664 |    8 | `returns`  | who gives back     | `returns:32 \| looked:32`; unequal: look      |
//! |    672 |    4 | `entries`  | the maker          | `0..=MAX_LEASES`                             |
//! |    676 |    4 | `joinable` | the maker          | 1: what is got is owed until it is done      |
//! |    680 |    8 | `looked_ns`| lessees            | when somebody last looked after the dead     |
//! |    688 |   80 | `reserved` | nobody             | 0                                            |
//! |    768 |    4 | `room`     | who wait for an entry | event count                               |
//! |    772 |    4 | `done`     | who join           | event count                                  |
//! |    776 |   16 | `reserved` | nobody             | 0                                            |
//!
//! An entry is [`ENTRY_WORDS`] words, [`EntryWord`] and the *ticket*, which is the item's position,
//! then as many as a slot has for its payload. It begins on a cache line of its own.
//!
//! The top bit of `head` is set before the first entry is claimed, for good. A plain get compares
//! it with the slot's word in one go, so that a queue without leases pays nothing for them.
//!
//! # States
//!
//! | word of the entry | payload                         | becomes                                      |
//! |-------------------|---------------------------------|----------------------------------------------|
//! | FREE              | nobody's                        | CLAIM(me); OWED(me, 1)                       |
//! | CLAIM(o)          | `o` writes; whole once a slot is TAKEN by this entry | LIVE(o, 1), FREE by `o`; by anybody if `o` died |
//! | LIVE(o, n)        | an item                         | FREE (ack), BACK(n) by `o`; BACK(n) if `o` died |
//! | BACK(n)           | an item                         | LIVE(me, n+1) by anybody                     |
//! | OWED(o, k)        | none                            | k up and down by `o`; FREE if `o` died       |
//!
//! Invariants: a FREE, BACK or OWED entry is named by no slot. TAKEN(lap, e) at a position says that
//! `e` is CLAIM or LIVE with that ticket and the whole payload. A lease is handed out when its slot is
//! free.
//!
//! # Operations
//!
//! Lease:
//! 1. CAS FREE -> CLAIM(me) in an entry.
//! 2. Ticket and payload go into the entry; the payload may be torn, if it is read without a hold.
//! 3. CAS FULL(lap), or READING(lap, me), -> TAKEN(lap, e) in the slot: **commit**. Payload and ticket
//!    are whole if it succeeds.
//! 4. A message's block is moved from the slot's place to the entry's, see `messages.rs`.
//! 5. Entry CLAIM(me) -> LIVE(me, 1).
//! 6. Slot TAKEN -> FREE(lap+1). Not before 5: nobody would know of the item. Wake a producer.
//! 7. CAS `head` on. Who finds TAKEN at `head` does not wait for it and moves `head` on.
//!
//! Ack: LIVE(me, n) -> FREE, **commit**. A store, as only its living owner writes the word; then
//! those are woken who wait for an entry or join.
//! Give back: LIVE(me, n) -> BACK(n), **commit**; `returns + 1`; wake a consumer.
//! Take back, by get and lease before they look at the ring, if `returns` is unequal to `looked`: of
//! all BACK entries the one with the lowest ticket, CAS -> LIVE(me, n+1), **commit**. If there is none,
//! CAS `looked = returns`. (A count of what is back would drift with each death; a flag would have to
//! be cleared before the look, and a death then hides what is left.)
//!
//! Repair of an entry whose owner is dead; that is asked first, so that all words are final. Each step
//! is a CAS from the exact word, and no id comes back:
//! - OWED(dead) -> FREE.
//! - CLAIM(dead): if the slot of the ticket is TAKEN by this entry, do 4, then CAS -> LIVE(dead, 1) and
//!   go on there; else CAS -> FREE. (The ticket may be an earlier one's, whose slot is not TAKEN.)
//! - LIVE(dead, n): if the slot of the ticket is TAKEN by this entry and the word is LIVE(dead, n) still,
//!   so that the ticket is that item's, CAS slot -> FREE(lap+1). Then CAS -> BACK(n), as give back.
//!
//! Only the dead are helped: helping a living owner from CLAIM would free the entry under it.
//!
//! # Count of what is unfinished
//!
//! There is none that a death could leave wrong. An item put is in the ring, or in an entry: CLAIM or
//! LIVE or BACK, or counted by OWED of the process that got it. Get in a queue that can be joined first
//! raises its own OWED, and lowers it if there was no item. So everything is done at a moment at which
//! the ring is empty and all entries are FREE; a look finds that moment if no item was put meanwhile:
//! `tail` is the same before and after, items only go from the ring into entries, and an item changes
//! its entry never. What a dead process got and did not finish is lost with it, and counts no more.
//!
//! # Orderings
//!
//! - **entry**: 3 (Release) -> the load of the slot in repair (Acquire); ticket and payload. 5, give
//!   back, repair (Release) -> take back (Acquire); payload.
//! - **empty**: ack (Release) -> claim of an entry (Acquire): reads of the payload are over.
//! - **back**: `returns + 1` (Release) -> its load (Acquire): who sees it sees BACK.
//! - **leased**: the bit in `head` (Release) is set before a CLAIM.
//! - *reuse*, *publish*, *head* as in `raw.rs`; whether somebody sleeps is [`EventCount`]'s matter. Who
//!   waits with a closed queue for the leases of others sleeps on `items`: ack looks there too.
//!
//! # Deaths
//!
//! | killed                     | left behind             | outcome                                    |
//! |----------------------------|-------------------------|--------------------------------------------|
//! | lease before 3             | CLAIM(dead), old ticket | the item is in the ring; FREE              |
//! | lease after 3, before 5    | TAKEN, CLAIM(dead)      | LIVE, slot FREE, BACK(1): delivered again  |
//! | lease after 5, before 6    | TAKEN, LIVE(dead, 1)    | slot FREE, BACK(1): delivered again        |
//! | holder; ack before commit  | LIVE(dead, n)           | BACK(n): delivered again                   |
//! | ack after commit           | FREE, perhaps no wake   | the item is gone; the next look            |
//! | give back after commit     | BACK(n), perhaps not counted | the next look counts it               |
//! | take back before, after    | BACK(n); LIVE(dead, n+1) | as above                                  |
//! | get with OWED raised       | OWED(dead, k)           | FREE                                       |
//! | repair, anywhere           | the same states         | the next one: all CAS from exact words     |
//!
//! Dead holders are noticed by whoever waits, as all repairs; and in a ring that never runs empty by
//! lessees, who compare the clock with `looked_ns` now and then.
//!
//! # Limits
//!
//! A lessee that is stopped between 3 and 6 keeps one place of the ring.

use core::ptr::NonNull;

use crossproc_segment::MemberId;
use crossproc_segment::wait::EventCount;

use super::entry::{EntryWord, Holding};
use super::{Hold, NoItem, Position, Ring, Word};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};

/// Most items that can be leased at once.
pub const MAX_LEASES: u32 = 1 << 16;
/// Words of an entry before its payload.
pub const ENTRY_WORDS: usize = 2;

/// Entries begin on a cache line.
const LINE_WORDS: usize = 8;
const RETURN: u64 = 1 << 32;

const fn reserved(words: usize) -> usize {
    if cfg!(crossproc_loom) { 0 } else { words }
}

/// Words of an entry for slots of `stride` words.
#[must_use]
pub fn entry_stride(stride: u32) -> usize {
    (stride as usize - 1 + ENTRY_WORDS).next_multiple_of(LINE_WORDS)
}

/// The part of the header that concerns leases.
#[derive(Debug)]
#[repr(C)]
pub struct Desk {
    returns: AtomicU64,
    pub(super) entries: AtomicU32,
    pub(super) joinable: AtomicU32,
    looked_ns: AtomicU64,
    reserved: [AtomicU64; reserved(10)],
    room: EventCount,
    done: EventCount,
    reserved_too: [AtomicU64; reserved(2)],
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Desk>() == 128 && offset_of!(Desk, returns) == 0);
    assert!(offset_of!(Desk, entries) == 8 && offset_of!(Desk, joinable) == 12);
    assert!(offset_of!(Desk, looked_ns) == 16 && offset_of!(Desk, reserved) == 24);
    assert!(offset_of!(Desk, room) == 104 && offset_of!(Desk, done) == 108);
};

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            returns: AtomicU64::new(0),
            entries: AtomicU32::new(0),
            joinable: AtomicU32::new(0),
            looked_ns: AtomicU64::new(0),
            reserved: core::array::from_fn(|_| AtomicU64::new(0)),
            room: EventCount::new(),
            done: EventCount::new(),
            reserved_too: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// What those sleep on who wait for an entry.
    #[must_use]
    #[inline]
    pub fn room(&self) -> &EventCount {
        &self.room
    }

    /// What those sleep on who wait until all is done.
    #[must_use]
    #[inline]
    pub fn done(&self) -> &EventCount {
        &self.done
    }

    /// True for one caller in each `every_ns`, which then looks after the dead.
    #[must_use]
    pub fn is_look_due(&self, now_ns: u64, every_ns: u64) -> bool {
        let last = self.looked_ns.load(Relaxed);
        // A time in the future nobody wrote; and clocks of one machine do not differ.
        (now_ns.wrapping_sub(last) >= every_ns)
            && self.looked_ns.compare_exchange(last, now_ns, Relaxed, Relaxed).is_ok()
    }
}

/// An entry as it lies there.
#[derive(Clone, Copy, Debug)]
struct Entry<'r> {
    index: u32,
    word: &'r AtomicU64,
    ticket: &'r AtomicU64,
    payload: NonNull<AtomicU64>,
}

/// An entry that was claimed for an item. Dropped, it is free again.
#[derive(Debug)]
#[must_use = "an entry that is dropped is free again"]
pub struct Blank<'r> {
    ring: &'r Ring,
    entry: Entry<'r>,
    me: MemberId,
}

/// An item that is committed to an entry, and still to be taken out of the ring's way.
///
/// Not to be dropped: its owner alone can finish it while it lives.
#[derive(Debug)]
#[must_use = "to be kept, or a place of the ring is lost while this process lives"]
pub struct Taken<'r> {
    ring: &'r Ring,
    slot: &'r AtomicU64,
    at: Position,
    entry: Entry<'r>,
    me: MemberId,
}

/// A leased item: its entry, and the word that says it is this holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    entry: u32,
    word: EntryWord,
}

impl Kept {
    /// How often the item was handed out, this time included; 65535 says as often or more.
    #[must_use]
    pub fn deliveries(self) -> u64 {
        self.word.count()
    }
}

/// What a repair needs of the process that does it.
#[derive(Debug)]
pub struct Help<A, M> {
    /// Tells whether a member lives.
    pub alive: A,
    /// Moves what the payload of a slot (first) refers to, to that of an entry; false if another
    /// living process is doing it.
    pub moved: M,
}

/// What a look at one entry found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// It was freed.
    Room,
    /// It is BACK.
    Item,
}

impl Ring {
    /// The same view, with the entries of leases.
    ///
    /// # Safety
    ///
    /// `leases` times [`entry_stride`] words from `entries` on are mapped, aligned and only reached as
    /// this queue's entries, for as long as the view is used; and `leases` is at most [`MAX_LEASES`].
    #[must_use]
    pub unsafe fn with_leases(mut self, entries: NonNull<AtomicU64>, leases: u32) -> Self {
        // INVARIANT: by the safety contract.
        (self.entries, self.leases) = (entries, leases);
        self
    }

    /// How many items can be leased at once.
    #[must_use]
    #[inline]
    pub fn leases(&self) -> u32 {
        self.leases
    }

    /// The words of leases in the header.
    #[must_use]
    #[inline]
    pub fn desk(&self) -> &Desk {
        &self.header().desk
    }

    /// Tells whether consumers have to look at more than the ring.
    #[must_use]
    #[inline]
    pub fn is_leased(&self) -> bool {
        self.load_head().is_leased()
    }

    /// Tells whether what is got is owed until it is done.
    #[must_use]
    #[inline]
    pub fn is_joinable(&self) -> bool {
        self.desk().joinable.load(Relaxed) == 1
    }

    #[inline]
    fn entry(&self, index: u32) -> Option<Entry<'_>> {
        if index >= self.leases {
            return None;
        }
        let offset = index as usize * entry_stride(self.stride);
        // SAFETY: the index is below the number of entries, so the words are the entry's.
        let word = unsafe { self.entries.add(offset) };
        // SAFETY: an entry has a word after its first, and payload after that.
        let ticket = unsafe { word.add(1) };
        // SAFETY: as above.
        let payload = unsafe { word.add(ENTRY_WORDS) };
        // SAFETY: mapped and only reached as an atomic, by the type invariant.
        let word = unsafe { word.as_ref() };
        // SAFETY: as above.
        let ticket = unsafe { ticket.as_ref() };
        Some(Entry { index, word, ticket, payload })
    }

    /// The word of entry `index` as it is, and its payload; `None` beyond the last.
    #[must_use]
    pub fn entry_at(&self, index: u32) -> Option<(EntryWord, NonNull<AtomicU64>)> {
        let entry = self.entry(index)?;
        // ORDERING: acquire side of *entry* and *empty*.
        Some((EntryWord::from_bits(entry.word.load(Acquire)), entry.payload))
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.leases).filter_map(|index| self.entry(index))
    }

    /// Claims a free entry, the first one from `first` on; `None` if none is free.
    #[inline]
    pub fn claim_entry(&self, me: MemberId, first: u32) -> Option<Blank<'_>> {
        self.mark_leased();
        let (mut index, claim) = (first, EntryWord::claim(me).bits());
        for _ in 0..self.leases {
            index = if index < self.leases { index } else { 0 };
            let entry = self.entry(index)?;
            let free = EntryWord::FREE.bits();
            // ORDERING: acquire side of *empty*; release for who meets the claim.
            if entry.word.load(Relaxed) == free
                && entry.word.compare_exchange(free, claim, AcqRel, Relaxed).is_ok()
            {
                return Some(Blank { ring: self, entry, me });
            }
            index += 1;
        }
        None
    }

    /// Sets the bit in `head`, unless it is.
    #[inline]
    pub(super) fn mark_leased(&self) {
        if !self.is_leased() {
            // ORDERING: *leased*; and *head*, which this does not move.
            self.header().head.0.fetch_or(Position::leased_bit(), AcqRel);
        }
    }

    /// Tells whether an entry is free, at that moment.
    #[must_use]
    pub fn has_free_entry(&self) -> bool {
        self.entries().any(|entry| entry.word.load(Relaxed) == EntryWord::FREE.bits())
    }

    /// Leases the item at the read end into `blank`, and copies it to `out`.
    ///
    /// # Errors
    ///
    /// [`NoItem`]; nothing was leased then, the entry is free again, and `out` may hold rubbish.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline]
    pub fn lease_words(&self, blank: Blank<'_>, out: &mut [u64]) -> Result<Kept, NoItem> {
        self.commit_lease(blank, out).map(Taken::keep)
    }

    /// The steps of [`Ring::lease_words`] up to its commit.
    ///
    /// # Errors
    ///
    /// As [`Ring::lease_words`].
    ///
    /// # Panics
    ///
    /// As [`Ring::lease_words`].
    #[doc(hidden)]
    #[inline]
    pub fn commit_lease<'r>(
        &'r self,
        blank: Blank<'r>,
        out: &mut [u64],
    ) -> Result<Taken<'r>, NoItem> {
        assert!(out.len() <= self.payload_words(), "payload longer than the slot");
        for _ in 0..self.rounds() {
            let Some((at, slot)) = self.full_at_head()? else { continue };
            self.read_at(slot, out);
            blank.write(out);
            let full = Word::full(at.lap()).bits();
            if let Some(taken) = blank.take(at, slot, full) {
                core::mem::forget(blank);
                return Ok(taken);
            }
        }
        Err(NoItem::Corrupt)
    }

    /// The first word of the payload of a leased item.
    #[must_use]
    pub fn kept_payload(&self, kept: Kept) -> Option<NonNull<AtomicU64>> {
        self.entry(kept.entry).map(|entry| entry.payload)
    }

    /// Reads the first words of the payload of a leased item.
    ///
    /// # Panics
    ///
    /// If the entry has fewer words.
    pub fn read_kept(&self, kept: Kept, out: &mut [u64]) {
        assert!(out.len() <= self.payload_words(), "payload longer than the entry");
        let Some(entry) = self.entry(kept.entry) else { return };
        for (index, word) in out.iter_mut().enumerate() {
            // SAFETY: an entry has as many words of payload as a slot.
            let from = unsafe { entry.payload.add(index) };
            // SAFETY: within the entries, and only reached as an atomic.
            *word = unsafe { from.as_ref() }.load(Relaxed);
        }
    }

    /// Ends a lease: the item is out of the queue. False if it was not this holder's any more.
    #[inline]
    pub fn ack(&self, kept: Kept) -> bool {
        let Some(entry) = self.entry(kept.entry) else { return false };
        // A living owner is the only one who writes; what this finds is rubbish written by a peer.
        if entry.word.load(Relaxed) != kept.word.bits() {
            return false;
        }
        // commit: the item is done.
        // ORDERING: release side of *empty*.
        entry.word.store(EntryWord::FREE.bits(), Release);
        self.entry_freed();
        true
    }

    /// Ends a lease: the item is the first to be delivered again. False as with [`Ring::ack`].
    pub fn give_back(&self, kept: Kept) -> bool {
        let Some(entry) = self.entry(kept.entry) else { return false };
        if entry.word.load(Relaxed) != kept.word.bits() {
            return false;
        }
        // commit: anybody may have the item.
        // ORDERING: release side of *entry*.
        entry.word.store(kept.word.back().bits(), Release);
        self.item_back();
        true
    }

    /// Leases the oldest item that was given back, if there is one.
    #[inline]
    pub fn take_back(&self, me: MemberId) -> Option<Kept> {
        if self.has_back() { self.take_back_slow(me) } else { None }
    }

    /// Tells whether an item that was given back may be there.
    #[must_use]
    #[inline]
    pub fn has_back(&self) -> bool {
        // ORDERING: acquire side of *back*.
        let returns = self.desk().returns.load(Acquire);
        returns >> 32 != returns & (RETURN - 1)
    }

    #[cold]
    #[inline(never)]
    fn take_back_slow(&self, me: MemberId) -> Option<Kept> {
        for _ in 0..=self.leases {
            // ORDERING: acquire side of *back*.
            let returns = self.desk().returns.load(Acquire);
            let Some((entry, seen)) = self.oldest_back() else {
                let looked = returns & !(RETURN - 1) | returns >> 32;
                // Relaxed: lost if anything was given back since.
                let _ = self.desk().returns.compare_exchange(returns, looked, Relaxed, Relaxed);
                return None;
            };
            let again = seen.again(me);
            // commit: the item is leased once more.
            // ORDERING: acquire side of *entry*; release for who finds the owner dead.
            let swapped = entry.word.compare_exchange(seen.bits(), again.bits(), AcqRel, Relaxed);
            if swapped.is_ok() {
                if self.has_back() && self.header().items().has_waiters() {
                    self.wake_next_consumer();
                }
                return Some(Kept { entry: entry.index, word: again });
            }
        }
        None
    }

    fn oldest_back(&self) -> Option<(Entry<'_>, EntryWord)> {
        let mut oldest: Option<(Entry<'_>, EntryWord, Position)> = None;
        for entry in self.entries() {
            // ORDERING: acquire side of *entry*, for the ticket.
            let seen = EntryWord::from_bits(entry.word.load(Acquire));
            let ticket = Position::from_bits(entry.ticket.load(Relaxed));
            let first = oldest.is_none_or(|(_, _, other)| ticket.is_before(other));
            if seen.holding() == Holding::Back && first {
                oldest = Some((entry, seen, ticket));
            }
        }
        oldest.map(|(entry, seen, _)| (entry, seen))
    }

    /// Items that were given back and are there now.
    #[must_use]
    pub fn count_back(&self) -> u32 {
        self.count(Holding::Back)
    }

    /// Items on lease, now; those of holders that nobody has found dead yet count.
    #[must_use]
    pub fn count_live(&self) -> u32 {
        self.count(Holding::Live)
    }

    fn count(&self, holding: Holding) -> u32 {
        let holds =
            |entry: &Entry<'_>| EntryWord::from_bits(entry.word.load(Relaxed)).holding() == holding;
        u32::try_from(self.entries().filter(holds).count()).unwrap_or(self.leases)
    }

    /// Tells whether others than `me` have items that may come back, or such are back: then a queue
    /// that is closed is not at its end.
    #[must_use]
    pub fn may_come_back(&self, me: MemberId) -> bool {
        self.entries().any(|entry| {
            // ORDERING: Acquire, for the orders of the looks.
            let seen = EntryWord::from_bits(entry.word.load(Acquire));
            match seen.holding() {
                Holding::Claim | Holding::Live => seen.owner() != Some(me),
                Holding::Back => true,
                Holding::Free | Holding::Owed | Holding::Unknown => false,
            }
        })
    }

    /// Ends what the dead left in entries. Tells whether it is worth looking again.
    #[cold]
    pub fn repair_leases(
        &self,
        help: &mut Help<
            impl FnMut(MemberId) -> bool,
            impl FnMut(NonNull<AtomicU64>, NonNull<AtomicU64>) -> bool,
        >,
    ) -> bool {
        let (mut room, mut items) = (false, false);
        for entry in self.entries() {
            match self.repair_entry(&entry, help) {
                Found::Nothing => {}
                Found::Room => room = true,
                Found::Item => items = true,
            }
        }
        if items && !self.has_back() {
            // Given back by somebody who died before it counted.
            self.item_back();
        }
        room || items
    }

    fn repair_entry(
        &self,
        entry: &Entry<'_>,
        help: &mut Help<
            impl FnMut(MemberId) -> bool,
            impl FnMut(NonNull<AtomicU64>, NonNull<AtomicU64>) -> bool,
        >,
    ) -> Found {
        // ORDERING: acquire side of *entry*; and the owner's life is asked after.
        let mut seen = EntryWord::from_bits(entry.word.load(Acquire));
        match seen.holding() {
            Holding::Free | Holding::Unknown => return Found::Nothing,
            Holding::Back => return Found::Item,
            Holding::Claim | Holding::Live | Holding::Owed => {}
        }
        // A word that names nobody was written by nobody alive.
        if seen.owner().is_some_and(&mut help.alive) {
            return Found::Nothing;
        }
        let (at, slot) = self.slot_of(entry);
        if seen.holding() == Holding::Claim {
            if let Some(slot) = slot {
                if !(help.moved)(self.payload(slot), entry.payload) {
                    return Found::Nothing;
                }
                // ORDERING: *takeover*.
                let swapped = self.change(entry, seen, seen.finished());
                if !swapped {
                    return Found::Room;
                }
                seen = seen.finished();
            }
        }
        if seen.holding() != Holding::Live {
            let freed = self.change(entry, seen, EntryWord::FREE);
            if freed {
                self.entry_freed();
            }
            return Found::Room;
        }
        // ORDERING: Acquire, after the loads of ticket and slot, which are of this item if the word
        // is as it was.
        if entry.word.load(Acquire) != seen.bits() {
            return Found::Room;
        }
        if let Some(slot) = slot {
            self.free_taken(at, slot, entry.index);
        }
        if self.change(entry, seen, seen.back()) {
            self.item_back();
        }
        Found::Item
    }

    /// A step of a repair.
    fn change(&self, entry: &Entry<'_>, seen: EntryWord, next: EntryWord) -> bool {
        // commit: of what the dead began.
        // ORDERING: *takeover*; release side of *entry*.
        entry.word.compare_exchange(seen.bits(), next.bits(), AcqRel, Relaxed).is_ok()
    }

    /// The position of an entry's item, and its slot if that still names the entry.
    fn slot_of(&self, entry: &Entry<'_>) -> (Position, Option<&AtomicU64>) {
        // ORDERING: Acquire, so that the look at the slot is not an earlier one.
        let at = Position::from_bits(entry.ticket.load(Acquire));
        let taken = Word::taken(at.lap(), entry.index).bits();
        // ORDERING: acquire side of *entry*.
        (at, self.slot(at).filter(|slot| slot.load(Acquire) == taken))
    }

    /// Frees a slot whose item is safe in an entry, for one who died before it did.
    fn free_taken(&self, at: Position, slot: &AtomicU64, entry: u32) {
        let taken = Word::taken(at.lap(), entry).bits();
        let free = Word::free(at.lap().next()).bits();
        // commit: the place is free.
        // ORDERING: *takeover*, and release side of *reuse*.
        if slot.compare_exchange(taken, free, AcqRel, Relaxed).is_ok() {
            self.pass_head(at);
            self.header().space().notify_one();
        }
    }

    /// After an item has gone BACK.
    fn item_back(&self) {
        // ORDERING: release side of *back*.
        self.desk().returns.fetch_add(RETURN, Release);
        self.header().items().notify_one();
        self.desk().room().notify_one();
    }

    /// After an entry was freed.
    #[inline]
    fn entry_freed(&self) {
        self.desk().room().notify_one();
        if self.desk().done().has_waiters() {
            self.desk().done().notify_all();
        }
        // With a closed queue consumers wait for the last lease to end.
        if self.hinted_closed() {
            self.header().items().notify_all();
        }
    }

    /// Owes one item more; `None` if no entry is free for it. The caller gets the item then, or
    /// pays back.
    #[must_use]
    pub fn owe(&self, me: MemberId) -> bool {
        self.mark_leased();
        // Where this process owes already, and else in a free one.
        let owing = |free: bool| {
            self.entries().any(|entry| {
                let seen = EntryWord::from_bits(entry.word.load(Relaxed));
                let fits = free || seen.holding() == Holding::Owed;
                let more = seen.owing_more(me).filter(|_| fits);
                // ORDERING: acquire side of *empty*. The commit of get is later in program order, and a
                // release: who sees the ring without the item sees it owed.
                more.is_some_and(|more| {
                    entry.word.compare_exchange(seen.bits(), more.bits(), AcqRel, Relaxed).is_ok()
                })
            })
        };
        owing(false) || owing(true)
    }

    /// Owes one item less. False if `me` owes none.
    pub fn pay(&self, me: MemberId) -> bool {
        let paid = self.entries().any(|entry| self.pay_in(&entry, me));
        if paid {
            self.entry_freed();
        }
        paid
    }

    fn pay_in(&self, entry: &Entry<'_>, me: MemberId) -> bool {
        let mut seen = EntryWord::from_bits(entry.word.load(Relaxed));
        for _ in 0..self.rounds() {
            let Some(less) = seen.owing_less(me) else { return false };
            // commit: an item is done.
            // ORDERING: release side of *empty*; what was done is visible to who joins.
            match entry.word.compare_exchange(seen.bits(), less.bits(), AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(found) => seen = EntryWord::from_bits(found),
            }
        }
        false
    }

    /// Tells whether every item that was put is done, at one moment of the call.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let tail = self.settle_tail();
        // `head` moves by the look for an item, over what is skipped too.
        if !matches!(self.has_item(), Err(NoItem::Empty | NoItem::Closed)) {
            return false;
        }
        let head = self.settle_head();
        if tail.past(head, self.capacity) != 0 {
            return false;
        }
        let idle = self.entries().all(|entry| {
            // ORDERING: acquire side of *empty*: what was done is visible to who sees it done.
            EntryWord::from_bits(entry.word.load(Acquire)).holding() == Holding::Free
        });
        idle && self.settle_tail() == tail
    }
}

impl<'r> Blank<'r> {
    /// Which entry it is.
    #[must_use]
    #[inline]
    pub fn index(&self) -> u32 {
        self.entry.index
    }

    /// The first word of the payload. The claim excludes everybody else from it.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        self.entry.payload
    }

    /// Writes the first words of the payload, as many as a slot has at most.
    #[inline]
    fn write(&self, words: &[u64]) {
        for (index, &word) in words.iter().enumerate() {
            // SAFETY: an entry has as many words of payload as a slot, to which `words` was compared.
            let to = unsafe { self.entry.payload.add(index) };
            // SAFETY: within the entries, and only reached as an atomic.
            unsafe { to.as_ref() }.store(word, Relaxed);
        }
    }

    /// Commits the payload in the entry as the item of `slot`, if that is as it was `seen`.
    #[inline]
    fn take(&self, at: Position, slot: &'r AtomicU64, seen: u64) -> Option<Taken<'r>> {
        self.entry.ticket.store(Position::from_bits(at.bits()).bits(), Relaxed);
        let taken = Word::taken(at.lap(), self.entry.index).bits();
        // commit: the item is the entry's.
        // ORDERING: release side of *entry*; acquire side of *publish*; SeqCst for the load in
        // `wake_next_consumer`.
        slot.compare_exchange(seen, taken, SeqCst, Relaxed).ok()?;
        Some(Taken { ring: self.ring, slot, at, entry: self.entry, me: self.me })
    }
}

impl Drop for Blank<'_> {
    #[cold]
    fn drop(&mut self) {
        // ORDERING: release side of *empty*.
        self.entry.word.store(EntryWord::FREE.bits(), Release);
        self.ring.entry_freed();
    }
}

impl<'r> Hold<'r> {
    /// Leases the held item, whose payload was copied to that of `blank`.
    ///
    /// # Errors
    ///
    /// [`NoItem::Corrupt`] as with [`Hold::commit`].
    pub fn lease(self, blank: Blank<'r>) -> Result<Taken<'r>, NoItem> {
        let taken = blank.take(self.at, self.slot, self.word.bits());
        core::mem::forget(self);
        let Some(taken) = taken else { return Err(NoItem::Corrupt) };
        core::mem::forget(blank);
        Ok(taken)
    }
}

impl Taken<'_> {
    /// The first word of the payload in the slot, which is this lease's still.
    #[must_use]
    pub fn slot_payload(&self) -> NonNull<AtomicU64> {
        self.ring.payload(self.slot)
    }

    /// The first word of the payload in the entry.
    #[must_use]
    pub fn payload(&self) -> NonNull<AtomicU64> {
        self.entry.payload
    }

    /// Gives the slot back to the ring, and wakes a producer.
    #[inline]
    pub fn keep(self) -> Kept {
        let (ring, word) = (self.ring, self.enliven());
        // ORDERING: release side of *reuse*.
        self.slot.store(Word::free(self.at.lap().next()).bits(), Release);
        ring.pass_head(self.at);
        ring.header().space().notify_one();
        if ring.header().items().has_waiters() {
            ring.wake_next_consumer();
        }
        Kept { entry: self.entry.index, word }
    }

    /// The first step of [`Taken::keep`].
    #[doc(hidden)]
    #[inline]
    pub fn enliven(&self) -> EntryWord {
        let word = EntryWord::live(self.me);
        // ORDERING: release side of *entry*; and before the slot is free, or the item is lost with
        // its holder.
        self.entry.word.store(word.bits(), Release);
        word
    }
}
