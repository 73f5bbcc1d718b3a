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
//! |    664 |    8 | `returns`  | who gives back     | `returns:32 \| back:1`; `back`: look          |
//! |    672 |    4 | `entries`  | the maker          | `0..=MAX_LEASES`                             |
//! |    676 |    4 | `joinable` | the maker          | 1: what is got is owed until it is done      |
//! |    680 |    8 | `looked_ns`| lessees            | when somebody last looked after the dead     |
//! |    688 |    8 | `limit_ns` | the maker          | how long leases last; 0 without end           |
//! |    696 |   72 | `reserved` | nobody             | 0                                            |
//! |    768 |    4 | `room`     | who wait for an entry | event count                               |
//! |    772 |    4 | `done`     | who join           | event count                                  |
//! |    776 |   16 | `reserved` | nobody             | 0                                            |
//!
//! An entry is [`ENTRY_WORDS`] words, [`EntryWord`], the *ticket*, which is the item's position, and the
//! *count* of deliveries of a lease with a limit, then as many as a slot has for its payload. It begins on a cache line of its own.
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
//! | LIVE(o, n)        | an item                         | FREE (ack), OWED(o, 1), BACK(n), TIMED(o, t) by `o`; BACK(n) if `o` died |
//! | TIMED(o, t), its count in *count* | an item         | FREE (ack), BACK(n), TIMED(o, t') by `o`; BACK(n) by anybody once `t` has come, or `o` died |
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
//! 5. CAS `head` on. Who finds TAKEN at `head` does not wait for it and moves `head` on. Before the
//!    stores that follow, for all of which it would wait. Who leases one after the other moves it once in
//!    16 places, see `near.rs`.
//! 6. Entry CLAIM(me) -> LIVE(me, 1). A store.
//! 7. Slot TAKEN -> FREE(lap+1). A store. Not before 6: nobody would know of the item. Wake a producer.
//!
//! Ack: LIVE(me, n) -> FREE, **commit**. A store; then those are woken who wait for an entry or join.
//!
//! Limit, where `limit_ns` is not 0, as the last step before the item is handed out: *count* is stored, then
//! LIVE(me, n) -> TIMED(me, t), a store. From here on ack, give back and *extend*, TIMED(me, t) -> TIMED(me, t'),
//! are CAS from the exact word, as is the step of whoever finds that `t` has come. See `limit.rs` for why no
//! word is taken for a later one.
//!
//! Stores, and not CAS from the exact word: CLAIM, LIVE and TAKEN have an owner, the last by its entry,
//! and nobody else writes to them before the kernel says that it is dead, as with `put_at` in `put.rs`.
//! The claim of an entry is a CAS even where a process has the entry that it had before: other threads
//! of it may want the same one.
//!
//! Give back: LIVE(me, n) -> BACK(n), **commit**; `returns + 1`, then `back = 1`; wake a consumer.
//! Take back, by get and lease before they look at the ring, if `back` is set: of
//! all BACK entries the one with the lowest ticket, CAS -> LIVE(me, n+1), **commit**. If there is none,
//! CAS `back = 0` if `returns` is as it was before the look. (A count of what is back would drift with each
//! death; a flag alone would have to be cleared before the look, and a death then hides what is left.)
//! Get of what came back, where it is owed: take back; LIVE(me, n) -> OWED(me, 1), **commit**. A store, as
//! that of ack. Not in another entry: there may be none, and see below.
//!
//! Repair of an entry whose owner is dead; that is asked first, so that all words are final. Each step
//! is a CAS from the exact word, and no id comes back:
//! - OWED(dead) -> FREE.
//! - CLAIM(dead): if the slot of the ticket is TAKEN by this entry, do 4 (with a block that was read
//!   before the entry was seen to be CLAIM(dead) still), then CAS -> LIVE(dead, 1) and go on there; else CAS -> FREE. (The ticket may be an earlier one's, whose slot is not TAKEN.)
//! - LIVE(dead, n): if the slot of the ticket is TAKEN by this entry and the word is LIVE(dead, n) still,
//!   so that the ticket is that item's, CAS slot -> FREE(lap+1). Then CAS -> BACK(n), as give back.
//!
//! - TIMED(dead, t), and TIMED(o, t) of the living if `t` has come: CAS -> BACK(*count*). Its slot is free
//!   long since.
//!
//! Only the dead are helped: helping a living owner from CLAIM would free the entry under it.
//!
//! # Count of what is unfinished
//!
//! There is none that a death could leave wrong. An item put is in the ring, or in an entry: CLAIM, LIVE,
//! TIMED or BACK, or counted by OWED of the process that got it. Get from the ring of a queue that can be joined
//! first raises its own OWED, and lowers it if there was no item. So everything is done at a moment at which
//! the ring is empty and all entries are FREE; a look finds that moment if no item was put meanwhile:
//! `tail` is the same before and after, items only go from the ring into entries, and an item changes
//! its entry never. What a dead process got and did not finish is lost with it, and counts no more.
//!
//! # Orderings
//!
//! - **entry**: 3 (Release) -> the load of the slot in repair (Acquire); ticket and payload. 6, give
//!   back, repair (Release) -> take back (Acquire); payload. Limit (Release) -> repair (Acquire); *count*.
//! - **empty**: ack (Release) -> claim of an entry (Acquire): reads of the payload are over.
//! - **back**: `returns + 1`, `back = 1` (Release) -> their load (Acquire): who sees them sees BACK.
//! - **leased**: the bit in `head` (Release) is set before a CLAIM.
//! - *reuse*, *publish*, *head* as in `raw.rs`; whether somebody sleeps is the event counts' matter. Who
//!   waits with a closed queue for the leases of others sleeps on `items`: ack looks there too.
//!
//! # Deaths
//!
//! | killed                     | left behind             | outcome                                    |
//! |----------------------------|-------------------------|--------------------------------------------|
//! | lease before 3             | CLAIM(dead), old ticket | the item is in the ring; FREE              |
//! | lease after 3, before 6    | TAKEN, CLAIM(dead); `head` past it or some places before | LIVE, slot FREE, BACK(1): delivered again |
//! | lease after 6, before 7    | TAKEN, LIVE(dead, 1)    | slot FREE, BACK(1): delivered again        |
//! | holder; ack before commit  | LIVE(dead, n)           | BACK(n): delivered again                   |
//! | lease before its limit is set | LIVE(dead, 1), perhaps a *count* | as above: it was not handed out         |
//! | extend, before and after   | TIMED(dead, t)          | BACK(n): delivered again                   |
//! | ack after commit           | FREE, perhaps no wake   | the item is gone; the next look            |
//! | give back after commit     | BACK(n), perhaps not counted | the next look counts it               |
//! | take back before, after    | BACK(n); LIVE(dead, n+1) | as above                                  |
//! | get of what is back, after commit | OWED(dead, 1), perhaps its block | FREE; the block is swept    |
//! | get with OWED raised       | OWED(dead, k)           | FREE                                       |
//! | repair, anywhere           | the same states         | the next one: all CAS from exact words     |
//!
//! Dead holders are noticed by whoever waits, as all repairs; and in a ring that never runs empty by
//! lessees, who compare the clock with `looked_ns` now and then.
//!
//! # Limits
//!
//! A lessee that is stopped between 3 and 7 keeps one place of the ring; one that is stopped before its limit
//! is set, the item.

mod back;
mod claim;
mod desk;
mod left;
mod limit;
mod near;

use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::entry::EntryWord;
use super::{Holding, NoItem, Position, Ring, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

pub use back::Help;
pub use claim::{Blank, Taken};
pub use desk::Desk;
pub use limit::{MAX_LIMIT_NS, Tick};
pub use near::Near;

/// Most items that can be leased at once.
pub const MAX_LEASES: u32 = 1 << 16;
/// Words of an entry before its payload.
pub const ENTRY_WORDS: usize = 3;

/// Entries begin on a cache line.
const LINE_WORDS: usize = 8;
/// One return more.
const RETURN: u64 = 1 << 32;
/// Something may be back.
const BACK: u64 = 1;
const PLACE_COUNT_SHIFT: u32 = 32;
const PLACE_ENTRY_MASK: u64 = (1 << PLACE_COUNT_SHIFT) - 1;

/// Words of an entry for slots of `stride` words.
#[must_use]
#[inline]
pub fn entry_stride(stride: u32) -> usize {
    (stride as usize - 1 + ENTRY_WORDS).next_multiple_of(LINE_WORDS)
}

/// An entry as it lies there.
#[derive(Clone, Copy, Debug)]
struct Entry<'r> {
    index: u32,
    word: &'r AtomicU64,
    ticket: &'r AtomicU64,
    count: &'r AtomicU64,
    payload: NonNull<AtomicU64>,
}

/// A leased item: its entry, and the word that says it is this holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which entry, and above that the count of a lease with a limit, whose word has no room for it. In
    /// one word, as what has two goes from hand to hand in registers.
    place: u64,
    word: EntryWord,
}

impl Kept {
    /// Who has the lease.
    #[must_use]
    #[inline]
    pub fn owner(self) -> Option<MemberId> {
        self.word.owner()
    }

    /// How often the item was handed out, this time included; 65535 says as often or more.
    #[must_use]
    pub fn deliveries(self) -> u64 {
        if self.is_limited() { self.place >> PLACE_COUNT_SHIFT } else { self.word.count() }
    }

    /// Up to when the lease lasts, if it has a limit.
    #[must_use]
    pub fn until(self) -> Option<Tick> {
        self.word.until()
    }

    /// Tells whether the lease runs out.
    #[must_use]
    #[inline]
    pub fn is_limited(self) -> bool {
        self.word.holding() == Holding::Timed
    }

    /// The same lease, with a limit.
    fn timed(self, word: EntryWord) -> Self {
        let entry = self.place & PLACE_ENTRY_MASK;
        Self { place: self.deliveries() << PLACE_COUNT_SHIFT | entry, word }
    }

    #[inline(always)]
    fn entry(self) -> u32 {
        // Masked, it fits.
        u32::try_from(self.place & PLACE_ENTRY_MASK).unwrap_or(u32::MAX)
    }

    /// A lease as long as its holder has it.
    #[inline(always)]
    fn endless(entry: u32, word: EntryWord) -> Self {
        Self { place: u64::from(entry), word }
    }
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
        (self.entries, self.leases, self.endless) = (entries, leases, leases);
        self.entry_words = entry_stride(self.stride);
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
        // SAFETY: as compared.
        (index < self.leases).then(|| unsafe { self.entry_there(index) })
    }

    /// # Safety
    ///
    /// There are more than `index` entries.
    #[inline(always)]
    unsafe fn entry_there(&self, index: u32) -> Entry<'_> {
        let offset = index as usize * self.entry_words;
        // SAFETY: the index is below the number of entries, so the words are the entry's.
        let word = unsafe { self.entries.add(offset) };
        // SAFETY: an entry has a word after its first, and payload after that.
        let ticket = unsafe { word.add(1) };
        // SAFETY: as above.
        let count = unsafe { word.add(2) };
        // SAFETY: as above.
        let payload = unsafe { word.add(ENTRY_WORDS) };
        // SAFETY: mapped and only reached as an atomic, by the type invariant.
        let word = unsafe { word.as_ref() };
        // SAFETY: as above.
        let ticket = unsafe { ticket.as_ref() };
        // SAFETY: as above.
        let count = unsafe { count.as_ref() };
        Entry { index, word, ticket, count, payload }
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
    pub fn claim_entry(&self, me: MemberId, first: u32) -> Option<Blank<'_>> {
        self.mark_leased();
        let mut index = first;
        for _ in 0..self.leases {
            index = if index < self.leases { index } else { 0 };
            let entry = self.entry(index)?;
            if entry.word.load(Relaxed) == EntryWord::FREE.bits() && entry.claim(me) {
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

    /// Leases the item at the read end into entry `first` if nothing stands in the way, not even that leases
    /// have a limit, or that this lessee [trails](Ring::left_for_trailing) the producers; `None` says nothing
    /// about why, [`Ring::lease_words`] does.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline(always)]
    pub fn lease_words_at_once(
        &self,
        near: &Near,
        me: MemberId,
        first: u32,
        out: &mut [u64],
    ) -> Option<Kept> {
        // SAFETY: as compared, by the type invariant.
        let entry = (first < self.endless).then(|| unsafe { self.entry_there(first) })?;
        self.lease_words_into::<true>(entry, near, me, out)
    }

    /// The same whether leases have a limit, which the caller sets, or not, and whether it
    /// [trails](Ring::left_for_trailing) the producers or not.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline]
    pub fn lease_limited_at_once(
        &self,
        near: &Near,
        me: MemberId,
        first: u32,
        out: &mut [u64],
    ) -> Option<Kept> {
        self.lease_words_into::<false>(self.entry(first)?, near, me, out)
    }

    #[inline(always)]
    fn lease_words_into<const ASKS: bool>(
        &self,
        entry: Entry<'_>,
        near: &Near,
        me: MemberId,
        out: &mut [u64],
    ) -> Option<Kept> {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        if self.has_back() {
            return None;
        }
        let at = near.at();
        let slot = self.slot(at)?;
        let full = at.full_beside_leases().bits();
        // ORDERING: acquire side of *publish*.
        if slot.load(Acquire) != full || ASKS && self.asks_if_trailing(at, out.len()) {
            return None;
        }
        self.read_at(slot, out);
        if !entry.claim(me) {
            return None;
        }
        entry.write(out);
        // Not by way of a `Blank` and a `Taken`: nothing here can panic.
        if !entry.take(at, slot, full) {
            self.unclaim(entry.index);
            return None;
        }
        if !near.may_leave(at) {
            self.pass_first(at, near);
        }
        near.set(at.next(self.capacity));
        let word = self.finish(at, slot, entry, me);
        // Last, as nobody waits for it: before, it would take registers from what is in its way.
        self.fetch_ahead(at, slot);
        Some(Kept::endless(entry.index, word))
    }

    /// Takes the item at the read end of a queue that has leases, if nothing stands in the way.
    ///
    /// # Panics
    ///
    /// If the slot has fewer words than `out`.
    #[inline]
    pub fn take_words_beside(&self, out: &mut [u64]) -> bool {
        assert!(self.has_words(out.len()), "payload longer than the slot");
        let at = self.load_head();
        let Some(slot) = self.slot(at) else { return false };
        // ORDERING: acquire side of *publish*.
        let seen = slot.load(Acquire);
        at.is_leased()
            && !self.is_joinable()
            && !self.has_back()
            && seen == Word::full(at.lap()).bits()
            && self.take_at(at, slot, out)
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
        assert!(self.has_words(out.len()), "payload longer than the slot");
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
        self.entry(kept.entry()).map(|entry| entry.payload)
    }

    /// Reads the first words of the payload of a leased item.
    ///
    /// # Panics
    ///
    /// If the entry has fewer words.
    pub fn read_kept(&self, kept: Kept, out: &mut [u64]) {
        assert!(out.len() <= self.payload_words(), "payload longer than the entry");
        let Some(entry) = self.entry(kept.entry()) else { return };
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
        // commit: the item is done.
        // ORDERING: release side of *empty*.
        let done = self.end(kept, EntryWord::FREE);
        if done {
            self.entry_freed();
        }
        done
    }

    /// As [`Ring::ack`], of an item that was handed out for the first time, and has no limit, to the process
    /// whose [`Me::bits`](crossproc_segment::Me::bits) these are. False, and nothing was done, otherwise.
    #[inline(always)]
    pub fn ack_first(&self, kept: Kept, me: u32) -> bool {
        if kept.word != EntryWord::live_of(me) {
            return false;
        }
        let Some(entry) = self.entry(kept.entry()) else { return false };
        // As in `end`.
        if entry.word.load(Relaxed) != kept.word.bits() {
            return false;
        }
        // commit: the item is done.
        // ORDERING: as with `ack`.
        entry.word.store(EntryWord::FREE.bits(), Release);
        self.entry_freed();
        true
    }

    /// Ends a lease, with what its entry is then. False if it was not this holder's any more.
    #[inline(always)]
    fn end(&self, kept: Kept, next: EntryWord) -> bool {
        if kept.is_limited() {
            return self.end_limited(kept, next);
        }
        let Some(entry) = self.entry(kept.entry()) else { return false };
        // A living owner is the only one who writes; what this finds is rubbish written by a peer.
        let ours = entry.word.load(Relaxed) == kept.word.bits();
        if ours {
            // ORDERING: as each caller says.
            entry.word.store(next.bits(), Release);
        }
        ours
    }

    /// Ends a lease: the item is the first to be delivered again. False as with [`Ring::ack`].
    pub fn give_back(&self, kept: Kept) -> bool {
        self.back_as(kept, EntryWord::back_after(kept.deliveries()))
    }

    /// As [`Ring::give_back`], of an item that was looked at and not handed out.
    pub fn give_back_unseen(&self, kept: Kept) -> bool {
        self.back_as(kept, EntryWord::back_unseen(kept.deliveries()))
    }

    fn back_as(&self, kept: Kept, back: EntryWord) -> bool {
        // commit: anybody may have the item.
        // ORDERING: release side of *entry*.
        let ended = self.end(kept, back);
        if ended {
            self.item_back();
        }
        ended
    }

    /// Ends a lease: the item is got, and owed in the same entry until it is done. False as with
    /// [`Ring::ack`].
    pub fn owe_kept(&self, kept: Kept) -> bool {
        // commit: the item is out of the queue, and not done.
        // ORDERING: release for who finds the owner dead; the reads of the payload are over.
        let owed = kept.owner().is_some_and(|me| self.end(kept, EntryWord::owing(me)));
        if owed {
            self.owing_now();
        }
        owed
    }

    /// After an entry became one to owe in: other threads of the process can, too.
    pub(super) fn owing_now(&self) {
        self.desk().room().notify_all();
        // With a closed queue consumers wait for the last lease to end.
        if self.hinted_closed() {
            self.header().items().notify_all();
        }
    }

    /// After an entry was freed.
    #[inline]
    fn entry_freed(&self) {
        // ORDERING: the barrier in here stands between what was done and the two loads below, which
        // have none: whoever announced itself before and did not see it done is seen by them.
        self.desk().room().notify_one();
        if self.desk().done().has_waiters() {
            self.desk().done().notify_all();
        }
        // With a closed queue consumers wait for the last lease to end.
        if self.hinted_closed() {
            self.header().items().notify_all();
        }
    }
}
