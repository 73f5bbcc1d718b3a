//! A lease on its way: an entry that is claimed, and an item that is committed to it.

use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::{Entry, Kept};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};
use crate::raw::{EntryWord, Hold, NoItem, Position, Ring, Word};

/// An entry that was claimed for an item. Dropped, it is free again.
#[derive(Debug)]
#[must_use = "an entry that is dropped is free again"]
pub struct Blank<'r> {
    pub(super) ring: &'r Ring,
    pub(super) entry: Entry<'r>,
    pub(super) me: MemberId,
}

/// An item that is committed to an entry, and still to be taken out of the ring's way.
///
/// Not to be dropped: its owner alone can finish it while it lives.
#[derive(Debug)]
#[must_use = "to be kept, or a place of the ring is lost while this process lives"]
pub struct Taken<'r> {
    pub(super) ring: &'r Ring,
    pub(super) slot: &'r AtomicU64,
    pub(super) at: Position,
    pub(super) entry: Entry<'r>,
    pub(super) me: MemberId,
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
    pub(super) fn write(&self, words: &[u64]) {
        self.entry.write(words);
    }

    /// Commits the payload in the entry as the item of `slot`, if that is as it was `seen`.
    #[inline]
    pub(super) fn take(&self, at: Position, slot: &'r AtomicU64, seen: u64) -> Option<Taken<'r>> {
        let Self { ring, entry, me } = *self;
        entry.take(at, slot, seen).then_some(Taken { ring, slot, at, entry, me })
    }
}

impl Entry<'_> {
    /// Claims it for an item, if it is free.
    #[inline(always)]
    pub(super) fn claim(&self, me: MemberId) -> bool {
        let (free, claim) = (EntryWord::FREE.bits(), EntryWord::claim(me).bits());
        // ORDERING: acquire side of *empty*; release for who meets the claim.
        self.word.compare_exchange(free, claim, AcqRel, Relaxed).is_ok()
    }

    /// As [`Blank::write`].
    #[inline(always)]
    pub(super) fn write(&self, words: &[u64]) {
        for (index, &word) in words.iter().enumerate() {
            // SAFETY: an entry has as many words of payload as a slot, to which `words` was compared.
            let to = unsafe { self.payload.add(index) };
            // SAFETY: within the entries, and only reached as an atomic.
            unsafe { to.as_ref() }.store(word, Relaxed);
        }
    }

    /// The commit of a lease into this entry, which the caller has claimed. False if the slot is not as
    /// it was `seen`.
    #[inline(always)]
    pub(super) fn take(&self, at: Position, slot: &AtomicU64, seen: u64) -> bool {
        // With the bit that says that there were leases; whoever reads it leaves that away.
        self.ticket.store(at.bits(), Relaxed);
        let taken = Word::taken(at.lap(), self.index).bits();
        // commit: the item is the entry's.
        // ORDERING: release side of *entry*; acquire side of *publish*; SeqCst for the load in
        // `wake_next_consumer`.
        slot.compare_exchange(seen, taken, SeqCst, Relaxed).is_ok()
    }

    /// Makes a lease of what was committed to it.
    #[inline(always)]
    pub(super) fn enliven(&self, me: MemberId) -> EntryWord {
        let word = EntryWord::live(me);
        // ORDERING: release side of *entry*; and before the slot is free, or the item is lost with
        // its holder.
        self.word.store(word.bits(), Release);
        word
    }
}

impl Ring {
    /// Frees an entry that was claimed, and for which there was no item.
    #[cold]
    pub(super) fn unclaim(&self, index: u32) {
        if let Some(entry) = self.entry(index) {
            // ORDERING: release side of *empty*.
            entry.word.store(EntryWord::FREE.bits(), Release);
            self.entry_freed();
        }
    }

    /// What comes after the commit of a lease, and after `head` was moved past it: makes it known, gives the
    /// slot back, wakes a producer.
    #[inline(always)]
    pub(super) fn finish(
        &self,
        at: Position,
        slot: &AtomicU64,
        entry: Entry<'_>,
        me: MemberId,
    ) -> EntryWord {
        let word = entry.enliven(me);
        // ORDERING: release side of *reuse*.
        slot.store(Word::free(at.lap().next()).bits(), Release);
        self.header().space().notify_one();
        word
    }
}

impl Drop for Blank<'_> {
    #[cold]
    fn drop(&mut self) {
        self.ring.unclaim(self.entry.index);
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

    /// As [`Taken::keep`], for an item that was held: who found it so may have gone to sleep.
    pub fn keep_held(self) -> Kept {
        let ring = self.ring;
        let kept = self.keep();
        if ring.header().items().has_waiters() {
            ring.wake_next_consumer();
        }
        kept
    }

    /// Gives the slot back to the ring, and wakes a producer.
    #[inline]
    pub fn keep(self) -> Kept {
        self.ring.pass_head(self.at);
        let word = self.ring.finish(self.at, self.slot, self.entry, self.me);
        Kept::endless(self.entry.index, word)
    }

    /// The first step of [`Taken::keep`], for a lessee that dies after it.
    #[doc(hidden)]
    pub fn pass(&self) {
        self.ring.pass_head(self.at);
    }

    /// The second one.
    #[doc(hidden)]
    pub fn enliven(&self) -> EntryWord {
        self.entry.enliven(self.me)
    }
}
