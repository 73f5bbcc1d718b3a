//! Items of any size: in the slot if they are short, else in a block of the segment's memory.
//!
//! # Layout
//!
//! | word of the slot | content                                                               |
//! |-----------------:|-----------------------------------------------------------------------|
//! |                0 | the slot's own word                                                   |
//! |                1 | place: 0, or the reference of a block that belongs to this slot       |
//! |                2 | meta: `length:48`, BLOCK (62): it lies in the block, HANDLES (63)      |
//! |             3 .. | inline bytes                                                          |
//!
//! # Operations
//!
//! Put of a long message: allocate a block, fill it, claim a slot, publish the block to the slot's
//! place, meta word, commit. Get: hold, copy, commit, then CAS the place from the reference to 0 and
//! free the block. A reader holds the slot until it is done with the block, so no block is freed
//! under it; a claim replaces and frees what an earlier lap left in the place.
//!
//! A short message without handles needs no hold: it is put and taken as small items are, in one go
//! ([`short`](crate::short)). Neither touches the place; a take that finds a block there goes the way
//! above, which frees it.
//!
//! # Deaths
//!
//! | killed                    | left behind                      | seen by                            |
//! |---------------------------|----------------------------------|------------------------------------|
//! | put, before publish       | a block of a dead owner          | the allocator, when short          |
//! | put, publish to commit    | WRITING(dead), a block in place  | skipped; then as the next line     |
//! | get, commit to free       | FREE, a block in place           | the next long put there; a sweep   |
//! | get, CAS of place to free | a block that no place names      | the allocator, when short          |
//!
//! A producer that gets no block first sweeps the free slots for blocks left in place.
//!
//! A message that holds handles is understood before it is taken: a handle that cannot be attached
//! here leaves the item where it is, for a process that can. A handle of something that is gone
//! takes its item along: nobody could.

use std::mem;
use std::ptr::NonNull;

use crossproc_message::scratch::Scratch;
use crossproc_message::{DecodeError, Message, decode, encode};
use crossproc_segment::transit::{self, Arrivals, Loan, Sent};
use crossproc_segment::{self as segment, Block, MemberId};

use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::bytes::{copy_in, copy_out};
use crate::error::{Refusal, TryGetError};
use crate::queue::Queue;
use crate::raw::{Claim, Hold, NoItem, State};

/// How often a place may change under its claimer, by those who clean it, before it is called
/// corrupt.
const PUBLISH_TRIES: u32 = 8;

/// The meta word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta(u64);

impl Meta {
    pub(crate) const LENGTH: u64 = (1 << 48) - 1;
    const BLOCK: u64 = 1 << 62;
    const HANDLES: u64 = 1 << 63;

    pub(crate) fn new(length: usize, block: bool, handles: bool) -> Self {
        let flag = |set: bool, bit| if set { bit } else { 0 };
        Self(length as u64 | flag(block, Self::BLOCK) | flag(handles, Self::HANDLES))
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn length(self) -> usize {
        usize::try_from(self.0 & Self::LENGTH).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_in_block(self) -> bool {
        self.0 & Self::BLOCK != 0
    }

    pub(crate) fn has_handles(self) -> bool {
        self.0 & Self::HANDLES != 0
    }
}

/// The words and bytes of a message's slot, under a claim or a hold.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'q> {
    pub(crate) place: &'q AtomicU64,
    pub(crate) meta: &'q AtomicU64,
    pub(crate) inline: NonNull<u8>,
}

impl Slot<'_> {
    /// # Safety
    ///
    /// `payload` is that of a slot with place, meta word and inline bytes, mapped while the result
    /// is used.
    pub(crate) unsafe fn new(payload: NonNull<AtomicU64>) -> Self {
        // SAFETY: mapped by the contract, and only reached as an atomic.
        let place = unsafe { payload.as_ref() };
        // SAFETY: the slot has a meta word.
        let meta = unsafe { payload.add(1) };
        // SAFETY: as the place.
        let meta = unsafe { meta.as_ref() };
        // SAFETY: what follows is the slot's, or its end.
        let inline = unsafe { payload.add(2) }.cast();
        Self { place, meta, inline }
    }
}

/// A hold of the process that made it. To understand a message is to run its type's code, which may
/// fork: what the copy does with its copy of this does nothing, for the hold is its parent's.
pub(crate) struct Own<'q, T> {
    queue: &'q Queue<T>,
    me: MemberId,
    pub(crate) slot: Slot<'q>,
    /// Until it is committed.
    hold: Option<Hold<'q>>,
}

impl<'q, T: Message> Own<'q, T> {
    pub(crate) fn new(queue: &'q Queue<T>, me: MemberId, hold: Hold<'q>) -> Self {
        Self { queue, me, slot: queue.held(&hold), hold: Some(hold) }
    }

    /// Takes the item, as [`Hold::commit`]. In a copy the item is still pending.
    fn commit(self) -> Result<(), NoItem> {
        self.into_hold()?.commit()
    }

    /// The hold, to be committed in another way.
    pub(crate) fn into_hold(mut self) -> Result<Hold<'q>, NoItem> {
        let hold = self.hold.take();
        if self.queue.is_still(self.me) {
            return hold.ok_or(NoItem::Corrupt);
        }
        mem::forget(hold);
        Err(NoItem::Pending)
    }
}

impl<T> Drop for Own<'_, T> {
    fn drop(&mut self) {
        if self.hold.is_some() && !self.queue.is_still(self.me) {
            mem::forget(self.hold.take());
        }
    }
}

/// A message as it was copied out of a slot or an entry.
pub(crate) struct Read<T> {
    pub(crate) meta: Meta,
    pub(crate) reference: u64,
    pub(crate) bytes: Scratch,
    /// The item, of messages that hold handles; or why there is none.
    pub(crate) early: Option<Result<T, TryGetError>>,
    /// What its handles have due once it is taken.
    arrivals: Arrivals,
}

impl<T: Message> Read<T> {
    /// The item, which was taken.
    fn finish(mut self) -> Result<T, TryGetError> {
        mem::take(&mut self.arrivals).settle();
        let bytes = self.bytes;
        self.early.unwrap_or_else(|| item(&bytes))
    }

    /// The item, which was not taken, and what its handles have due once it is.
    pub(crate) fn defer(self) -> (Result<T, TryGetError>, Arrivals) {
        let bytes = self.bytes;
        match self.early {
            Some(item) => (item, self.arrivals),
            None => transit::deferring(|| item(&bytes)),
        }
    }
}

fn item<T: Message>(bytes: &Scratch) -> Result<T, TryGetError> {
    decode(&bytes.0, Vec::new()).map_err(TryGetError::Malformed)
}

/// A message on its way into the queue.
pub(crate) struct Outgoing<'q, T> {
    queue: &'q Queue<T>,
    bytes: Scratch,
    meta: Meta,
    /// The filled block of a long message, until it is published.
    block: Option<Block>,
    /// What its handles have lent, until it is in.
    loans: Vec<Loan>,
}

impl<'q, T> Outgoing<'q, T> {
    /// One that fits into its slot.
    pub(crate) fn short(queue: &'q Queue<T>, bytes: &[u8], sent: Sent) -> Self {
        let meta = Meta::new(bytes.len(), false, !sent.segments.is_empty());
        let mut copy = Scratch::new();
        copy.0.extend_from_slice(bytes);
        Self { queue, bytes: copy, meta, block: None, loans: sent.loans }
    }
}

impl<T> Drop for Outgoing<'_, T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.queue.segment().blocks().free(block);
        }
        self.loans.iter().for_each(Loan::take_back);
    }
}

impl<T: Message> Queue<T> {
    pub(crate) fn write_message(&self, item: &T) -> Result<Outgoing<'_, T>, Refusal> {
        let mut bytes = Scratch::new();
        let sent = encode(item, &mut bytes.0)?;
        let length = bytes.0.len() as u64;
        let limit = self.max_bytes.min(Meta::LENGTH);
        let long = bytes.0.len() > self.inline_bytes();
        let meta = Meta::new(bytes.0.len(), long, !sent.segments.is_empty());
        let mut message = Outgoing { queue: self, bytes, meta, block: None, loans: sent.loans };
        if length > limit {
            return Err(Refusal::TooLarge { bytes: length, limit });
        }
        if long {
            message.block = Some(self.filled_block(&message.bytes.0)?);
        }
        Ok(message)
    }

    fn filled_block(&self, bytes: &[u8]) -> Result<Block, Refusal> {
        let block = self.empty_block(bytes.len())?;
        // SAFETY: the block has at least that many bytes, and is this thread's alone.
        unsafe { copy_in(bytes, self.segment().blocks().ptr(&block)) };
        Ok(block)
    }

    pub(crate) fn empty_block(&self, bytes: usize) -> Result<Block, Refusal> {
        let blocks = self.segment().blocks();
        let block = blocks.alloc(bytes).or_else(|| {
            self.sweep();
            blocks.alloc(bytes)
        });
        block.ok_or(Refusal::OutOfMemory { bytes: bytes as u64 })
    }

    pub(crate) fn put_message(
        &self,
        me: MemberId,
        message: &mut Outgoing<'_, T>,
    ) -> Result<(), Refusal> {
        let claim = self.ring.claim(me)?;
        let slot = self.claimed(&claim);
        match message.block {
            Some(block) => {
                self.publish(&slot, &block)?;
                message.block = None;
            }
            // SAFETY: the message is not longer than the inline bytes, and the slot is claimed.
            None => unsafe { copy_in(&message.bytes.0, slot.inline) },
        }
        slot.meta.store(message.meta.0, Relaxed);
        claim.commit()?;
        message.loans.clear();
        Ok(())
    }

    /// Gives the block to the slot, in exchange for what an earlier lap may have left there.
    pub(crate) fn publish(&self, slot: &Slot<'_>, block: &Block) -> Result<(), Refusal> {
        let offset = self.offset_of(NonNull::from(slot.place));
        let mut old = slot.place.load(Relaxed);
        for _ in 0..PUBLISH_TRIES {
            match self.segment().blocks().publish(block, offset, old) {
                Ok(()) => return Ok(()),
                Err(found) => old = found,
            }
        }
        Err(Refusal::Corrupt)
    }

    pub(crate) fn get_message(&self, me: MemberId) -> Result<Result<T, TryGetError>, NoItem> {
        if let Some(got) = self.take_short(false) {
            return Ok(got);
        }
        let hold = Own::new(self, me, self.ring.hold(me)?);
        let slot = hold.slot;
        let read = self.read(&slot);
        if let Some(Err(error @ TryGetError::Unreachable(_))) = read.early {
            return Ok(Err(error));
        }
        hold.commit()?;
        self.clear_place(slot.place, read.reference);
        self.ring.header().space().notify_one();
        Ok(read.finish())
    }

    pub(crate) fn peek_message(&self, me: MemberId) -> Result<Result<T, TryGetError>, NoItem> {
        let hold = Own::new(self, me, self.ring.hold(me)?);
        Ok(self.read(&hold.slot).defer().0)
    }

    /// Copies a message out, and understands it already if it holds handles.
    pub(crate) fn read(&self, slot: &Slot<'_>) -> Read<T> {
        let meta = Meta(slot.meta.load(Relaxed));
        // ORDERING: Acquire, as the block's bytes are reached through it.
        let reference = slot.place.load(Acquire);
        let mut bytes = Scratch::new();
        let whole = self.read_message(slot, meta, reference, &mut bytes.0);
        let mut arrivals = Arrivals::default();
        let early = if whole {
            meta.has_handles().then(|| {
                let read = || decode(&bytes.0, vec![self.segment().clone()]);
                let item;
                (item, arrivals) = transit::deferring(read);
                match item {
                    Err(DecodeError::Unreachable(error)) if !is_beyond_reach(&error) => {
                        Err(TryGetError::Unreachable(error))
                    }
                    item => item.map_err(TryGetError::Malformed),
                }
            })
        } else {
            Some(Err(TryGetError::Corrupt))
        };
        Read { meta, reference, bytes, early, arrivals }
    }

    /// Takes the first message out unread.
    pub(crate) fn drop_message(&self, me: MemberId) -> Result<(), NoItem> {
        let hold = Own::new(self, me, self.ring.hold(me)?);
        let place = hold.slot.place;
        // ORDERING: Acquire, as `clear_place` frees the block.
        let reference = place.load(Acquire);
        hold.commit()?;
        self.clear_place(place, reference);
        Ok(())
    }

    /// Takes the first message out if its handles cannot be attached here; see
    /// [`Queue::discard_unreachable`].
    pub(crate) fn discard_message(&self, me: MemberId) -> Result<bool, NoItem> {
        let hold = Own::new(self, me, self.ring.hold(me)?);
        let slot = hold.slot;
        let meta = Meta(slot.meta.load(Relaxed));
        // ORDERING: Acquire, as the block's bytes are reached through it.
        let reference = slot.place.load(Acquire);
        let mut bytes = Scratch::new();
        let whole = self.read_message(&slot, meta, reference, &mut bytes.0);
        if !whole || !meta.has_handles() || !self.is_unreachable(&bytes.0) {
            // Dropping the hold leaves the item where it is.
            return Ok(false);
        }
        hold.commit()?;
        self.clear_place(slot.place, reference);
        self.ring.header().space().notify_one();
        Ok(true)
    }

    /// Copies the message out; false if its words do not fit together.
    fn read_message(&self, slot: &Slot<'_>, meta: Meta, reference: u64, out: &mut Vec<u8>) -> bool {
        let Some(from) = self.locate(slot, meta, reference) else { return false };
        // SAFETY: the length is within the block or the slot, which is held.
        unsafe { copy_out(from, meta.length(), out) };
        true
    }

    /// Where the message lies, all of its length; `None` if its words do not fit together.
    pub(crate) fn locate(
        &self,
        slot: &Slot<'_>,
        meta: Meta,
        reference: u64,
    ) -> Option<NonNull<u8>> {
        let found = if meta.is_in_block() {
            self.segment().blocks().resolve(reference)
        } else {
            Some((slot.inline, self.inline_bytes()))
        };
        found.filter(|&(_, room)| meta.length() <= room).map(|(from, _)| from)
    }

    /// Frees the blocks that consumers, killed between commit and free, left in free slots.
    #[cold]
    pub(crate) fn sweep(&self) {
        for index in 0..self.ring.capacity() {
            let Some((_, payload)) = self.ring.slot_at(index) else { return };
            // SAFETY: the payload of a slot of messages; only its place is reached, atomically.
            let slot = unsafe { Slot::new(payload) };
            // ORDERING: Acquire: not after the look at the word. The slot is free after the place
            // named this block, so no item has it any more, and whoever claims the slot from now on
            // brings another reference. The other way round it might be the claimer's already.
            let reference = slot.place.load(Acquire);
            let free =
                self.ring.slot_at(index).is_some_and(|(word, _)| word.state() == State::Free);
            if free {
                self.clear_place(slot.place, reference);
            }
        }
        self.sweep_entries();
    }

    pub(crate) fn claimed<'q>(&self, claim: &Claim<'q>) -> Slot<'q> {
        // SAFETY: the slots of this queue are messages', as checked when the handle was made.
        unsafe { Slot::new(claim.payload()) }
    }

    pub(crate) fn held<'q>(&self, hold: &Hold<'q>) -> Slot<'q> {
        // SAFETY: as in `claimed`.
        unsafe { Slot::new(hold.payload()) }
    }
}

impl<T> Queue<T> {
    /// Frees a block that the slot does not need any more, unless somebody else did.
    pub(crate) fn clear_place(&self, place: &AtomicU64, reference: u64) {
        if reference == 0 {
            return;
        }
        // ORDERING: AcqRel: the block is not freed before it was read, nor before it is out of place.
        if place.compare_exchange(reference, 0, AcqRel, Relaxed).is_ok() {
            self.segment().blocks().drop_ref(reference);
        }
    }
}

/// Tells whether no process can attach the handle: then the item would stop the queue for ever.
fn is_beyond_reach(error: &segment::Error) -> bool {
    use segment::Error::{Corrupt, Gone, Kind, Layout, Type};
    matches!(error, Gone | Corrupt { .. } | Kind { .. } | Layout { .. } | Type { .. })
}

#[cfg(test)]
mod tests {
    use super::Meta;

    #[test]
    fn a_meta_word_keeps_length_and_flags_apart() {
        for (length, block, handles) in [(0, false, false), (7, true, false), (1 << 40, true, true)]
        {
            let meta = Meta::new(length, block, handles);
            assert_eq!((meta.length(), meta.is_in_block()), (length, block));
            assert_eq!(meta.has_handles(), handles);
        }
    }
}
