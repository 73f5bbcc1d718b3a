//! Leases of messages, whose long ones have a block each.
//!
//! An entry is laid out as a slot, so its first word of payload is a place too. The block moves from
//! the slot's place to the entry's between the commit of the lease and LIVE; whoever repairs a dead
//! lessee does the same (`Blocks::rehome`). So an entry's place names a block only if its item came
//! here; and an ack that dies before it has freed the block leaves that to the next claimant of the
//! entry, or to a producer that is short of memory.

use std::ptr::NonNull;

use crossproc_message::Message;
use crossproc_segment::MemberId;
use crossproc_segment::transit::Arrivals;

use super::forms::Leased;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::bytes::copy_in;
use crate::error::TryGetError;
use crate::messages::{Meta, Own, Slot};
use crate::queue::Queue;
use crate::raw::{Blank, Holding, Kept, NoItem, Ring};

impl<T: Message> Queue<T> {
    pub(super) fn lease_message(&self, me: MemberId) -> Result<Leased<T>, NoItem> {
        self.ring.has_item()?;
        let hold = Own::new(self, me, self.ring.hold(me)?);
        let read = self.read(&hold.slot);
        if let Some(Err(error @ TryGetError::Unreachable(_))) = read.early {
            return Ok(Err(error));
        }
        let hold = hold.into_hold()?;
        let blank = self.blank(me)?;
        let inline: &[u8] = if read.meta.is_in_block() { &[] } else { &read.bytes.0 };
        self.fill_entry(&blank, read.meta, inline);
        let taken = hold.lease(blank)?;
        if read.meta.is_in_block() {
            // Nobody else moves it, as nobody takes this process for dead.
            self.move_block(taken.slot_payload(), taken.payload(), &|| true);
        }
        let kept = taken.keep_held();
        let (item, due) = self.reading(kept, || read.defer());
        self.clerk.owe(kept, due);
        Ok(self.hand_out(me, kept, item))
    }

    /// Is done with an item that cannot be taken here, and gives back any other.
    pub(crate) fn discard_kept(&self, me: MemberId, kept: Kept) -> bool {
        let (item, _) = self.reading(kept, || self.copy_kept_message(kept));
        let unreachable = matches!(item, Err(TryGetError::Unreachable(_)));
        // An item's own code may have forked: the lease is the parent's.
        match (self.is_still(me), unreachable) {
            (false, _) => false,
            (true, true) => self.acknowledge(kept),
            (true, false) => {
                self.ring.give_back_unseen(kept);
                false
            }
        }
    }

    /// The item, and what is due once it is done.
    pub(super) fn copy_kept_message(&self, kept: Kept) -> (Result<T, TryGetError>, Arrivals) {
        let Some(payload) = self.ring.kept_payload(kept) else {
            return (Err(TryGetError::Corrupt), Arrivals::default());
        };
        // SAFETY: the entries of this queue are laid out as its slots, which are messages'.
        let entry = unsafe { Slot::new(payload) };
        self.read(&entry).defer()
    }
}

impl<T> Queue<T> {
    fn fill_entry(&self, blank: &Blank<'_>, meta: Meta, inline: &[u8]) {
        // SAFETY: the entries of this queue are laid out as its slots, which are messages'.
        let entry = unsafe { Slot::new(blank.payload()) };
        // ORDERING: Acquire, as the block's header is reached through it.
        self.clear_place(entry.place, entry.place.load(Acquire));
        entry.meta.store(meta.bits(), Relaxed);
        debug_assert!(inline.len() <= self.inline_bytes());
        // SAFETY: the message was in a slot, which has as much room, and the entry is claimed.
        unsafe { copy_in(inline, entry.inline) };
    }

    /// Moves the block of a leased message, if it has one, from the slot to the entry; false if
    /// another process is doing that, or what was read may be of a later message.
    pub(super) fn move_block(
        &self,
        slot: NonNull<AtomicU64>,
        entry: NonNull<AtomicU64>,
        still: &dyn Fn() -> bool,
    ) -> bool {
        // SAFETY: the payload of a slot of messages, which is mapped.
        let slot = unsafe { Slot::new(slot) };
        // SAFETY: the entries are laid out as the slots.
        let entry = unsafe { Slot::new(entry) };
        // ORDERING: Acquire, so that `still` does not look before.
        let in_block = Meta::from_bits(entry.meta.load(Acquire)).is_in_block();
        // ORDERING: Acquire, as the block's header is reached through it, and as above.
        let reference = slot.place.load(Acquire);
        if !still() {
            return false;
        }
        if !in_block {
            return true;
        }
        let to = self.offset_of(NonNull::from(entry.place));
        self.segment().blocks().rehome(reference, to)
    }

    /// Ends a lease by the function, and frees the block of the message.
    pub(super) fn end_message(&self, kept: Kept, end: impl FnOnce(&Ring, Kept) -> bool) -> bool {
        let Some(payload) = self.ring.kept_payload(kept) else { return false };
        // SAFETY: the entries of this queue are laid out as its slots, which are messages'.
        let entry = unsafe { Slot::new(payload) };
        // ORDERING: Acquire, as the block's header is reached through it.
        let reference = entry.place.load(Acquire);
        // Before the end: a later lease in the same entry may have the same word.
        let due = self.clerk.due(kept);
        let done = end(&self.ring, kept);
        // Not before: of one who dies in between the item comes again, and needs what was lent.
        if done {
            due.settle();
            self.clear_place(entry.place, reference);
        }
        done
    }

    /// Frees the blocks that lessees, killed between ack and free, left in free entries, and getters in
    /// entries that they owe in.
    #[cold]
    pub(crate) fn sweep_entries(&self) {
        for index in 0..self.ring.leases() {
            let Some((_, payload)) = self.ring.entry_at(index) else { return };
            // SAFETY: the payload of an entry of messages; only its place is reached, atomically.
            let entry = unsafe { Slot::new(payload) };
            // ORDERING: Acquire: not after the look at the word, as in the sweep of slots.
            let reference = entry.place.load(Acquire);
            let word = self.ring.entry_at(index).map(|(word, _)| word.holding());
            if matches!(word, Some(Holding::Free | Holding::Owed)) {
                self.clear_place(entry.place, reference);
            }
        }
    }
}
