//! What is given back, and what the dead left in entries.

use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::{BACK, Entry, Kept, RETURN, Tick};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::raw::{EntryWord, Holding, Position, Ring, Word};

/// What a repair needs of the process that does it.
#[derive(Debug)]
pub struct Help<A, M> {
    /// Tells whether a member lives.
    pub alive: A,
    /// When the look began: what had run out then is taken from the living, too.
    pub now: Tick,
    /// Moves what the payload of a slot (first) refers to, to that of an entry; false if another
    /// living process is doing it, or did it. What it reads of the two may be a later item's: it is
    /// this one's if the function (third) says so afterwards.
    pub moved: M,
}

/// What a look at one entry found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// It was changed: by this look, or under it by another one.
    Changed,
    /// It was BACK before.
    Back,
}

impl Ring {
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
        returns & BACK != 0
    }

    #[cold]
    #[inline(never)]
    fn take_back_slow(&self, me: MemberId) -> Option<Kept> {
        for _ in 0..=self.leases {
            // ORDERING: acquire side of *back*.
            let returns = self.desk().returns.load(Acquire);
            let Some((entry, seen)) = self.oldest_back() else {
                let seen = returns & !BACK;
                // Relaxed: lost if anything was given back since.
                let _ = self.desk().returns.compare_exchange(returns, seen, Relaxed, Relaxed);
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
                return Some(Kept::endless(entry.index, again));
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

    /// Ends what the dead left in entries. Tells whether it is worth looking again.
    #[cold]
    pub fn repair_leases(
        &self,
        help: &mut Help<
            impl FnMut(MemberId) -> bool,
            impl FnMut(NonNull<AtomicU64>, NonNull<AtomicU64>, &dyn Fn() -> bool) -> bool,
        >,
    ) -> bool {
        let (mut changed, mut back) = (false, false);
        for entry in self.entries() {
            match self.repair_entry(&entry, help) {
                Found::Nothing => {}
                Found::Changed => changed = true,
                Found::Back => back = true,
            }
        }
        if back && !self.has_back() {
            // Given back by somebody who died before it counted.
            self.item_back();
            changed = true;
        }
        changed
    }

    fn repair_entry(
        &self,
        entry: &Entry<'_>,
        help: &mut Help<
            impl FnMut(MemberId) -> bool,
            impl FnMut(NonNull<AtomicU64>, NonNull<AtomicU64>, &dyn Fn() -> bool) -> bool,
        >,
    ) -> Found {
        // ORDERING: acquire side of *entry*; and the owner's life is asked after.
        let mut seen = EntryWord::from_bits(entry.word.load(Acquire));
        match seen.holding() {
            Holding::Free | Holding::Unknown => return Found::Nothing,
            Holding::Back => return Found::Back,
            Holding::Claim | Holding::Live | Holding::Owed | Holding::Timed => {}
        }
        let ran_out = seen.until().is_some_and(|until| until.has_come(help.now));
        // A word that names nobody was written by nobody alive.
        if !ran_out && seen.owner().is_some_and(&mut help.alive) {
            return Found::Nothing;
        }
        if seen.holding() == Holding::Timed {
            if self.lapse(entry, seen) {
                self.item_back();
            }
            return Found::Changed;
        }
        let (at, slot) = self.slot_of(entry);
        if seen.holding() == Holding::Claim {
            if let Some(slot) = slot {
                // ORDERING: Acquire, so that it is not an earlier look than the reads before it.
                let still = || entry.word.load(Acquire) == seen.bits();
                if !(help.moved)(self.payload(slot), entry.payload, &still) {
                    return Found::Nothing;
                }
                // ORDERING: *takeover*.
                let swapped = self.change(entry, seen, seen.finished());
                if !swapped {
                    return Found::Changed;
                }
                seen = seen.finished();
            }
        }
        if seen.holding() != Holding::Live {
            let freed = self.change(entry, seen, EntryWord::FREE);
            if freed {
                self.entry_freed();
            }
            return Found::Changed;
        }
        // ORDERING: Acquire, after the loads of ticket and slot, which are of this item if the word
        // is as it was.
        if entry.word.load(Acquire) != seen.bits() {
            return Found::Changed;
        }
        if let Some(slot) = slot {
            self.free_taken(at, slot, entry.index);
        }
        if self.change(entry, seen, seen.back()) {
            self.item_back();
        }
        Found::Changed
    }

    /// A step of a repair.
    pub(super) fn change(&self, entry: &Entry<'_>, seen: EntryWord, next: EntryWord) -> bool {
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
    pub(super) fn item_back(&self) {
        // First the count, for who has looked before: then the bit stays.
        // ORDERING: release side of *back*.
        self.desk().returns.fetch_add(RETURN, Release);
        // ORDERING: as above.
        self.desk().returns.fetch_or(BACK, Release);
        // All, as one that holds items in place would not take it.
        self.header().items().notify_all();
        self.desk().room().notify_one();
    }
}
