//! Bytes of any length written and read where they lie: a queue of `Vec<u8>`, less the copies.
//!
//! A reservation is a claim, and a block of its own if the bytes are many; commit publishes the block
//! to the slot, as any long message is put. So the deaths are those of `messages.rs`. What is safe
//! copies, and to have the bytes as a slice is not, as in `place.rs`.

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::slice;
use std::time::Duration;

use crossproc_segment::{Block, MemberId};
use crossproc_sys::clock::Deadline;

use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::bytes::{copy_in, copy_out};
use crate::error::{GetError, PutError, Refusal, TryGetError, TryPutError};
use crate::lease::Entry;
use crate::messages::{Meta, Slot};
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{Claim, Hold, NoItem};

/// Bytes before those of a `Vec<u8>`, in its message: their number.
const PREFIX: usize = size_of::<u64>();

/// Room for bytes that are being written; from [`Queue::reserve_bytes`].
///
/// It holds whatever the memory held, until it is written over. Dropped without
/// [`commit`](Self::commit), or left by a process that dies, it is an item that was never put. While
/// it is kept, consumers wait for it: the items behind it come after it. A copy in a forked child
/// does nothing.
#[must_use = "a reservation that is dropped is an item that was never put"]
pub struct BytesReservation<'q> {
    queue: &'q Queue<Vec<u8>>,
    claim: ManuallyDrop<Claim<'q>>,
    me: MemberId,
    block: Option<Block>,
    /// Where the message begins; the bytes come behind the prefix.
    message: NonNull<u8>,
    len: usize,
}

/// The bytes of a queue's first item, held in place; from [`Queue::get_bytes_ref`].
///
/// [`release`](Self::release) takes the item out of the queue; dropped without that, or left by a
/// process that dies, it is there for the next consumer. While it is kept, other consumers wait. A
/// copy in a forked child does nothing.
#[must_use = "an item that is not released stays in the queue"]
pub struct BytesRef<'q> {
    queue: &'q Queue<Vec<u8>>,
    hold: ManuallyDrop<Hold<'q>>,
    me: MemberId,
    slot: Slot<'q>,
    reference: u64,
    bytes: NonNull<u8>,
    len: usize,
}

impl Queue<Vec<u8>> {
    /// Reserves the next place with room for `len` bytes, to write them without a copy. Blocks while
    /// the queue is full. [`get`](Self::get) brings them as a `Vec<u8>`.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<Vec<u8>>::bounded(4)?;
    /// let mut room = queue.reserve_bytes(1 << 20)?;
    /// room.write_at(0, b"frame");
    /// room.commit_first(5)?;
    ///
    /// let bytes = queue.get_bytes_ref()?;
    /// assert_eq!(bytes.to_vec(), b"frame");
    /// // SAFETY: all who have the segment use this crate, and nothing else writes there.
    /// assert_eq!(unsafe { bytes.as_slice() }, b"frame");
    /// bytes.release()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutError`]: closed, longer than the queue allows, or no room for so many bytes.
    pub fn reserve_bytes(&self, len: usize) -> Result<BytesReservation<'_>, PutError<()>> {
        self.reserve_bytes_within(len, Patience::Endless).map_err(|refusal| refusal.of_put(()))
    }

    /// Reserves the next place if one is free. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`], or as [`reserve_bytes`](Self::reserve_bytes).
    pub fn try_reserve_bytes(&self, len: usize) -> Result<BytesReservation<'_>, TryPutError<()>> {
        self.reserve_bytes_within(len, Patience::None).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Reserves the next place. Blocks while the queue is full, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] after the timeout, or as [`reserve_bytes`](Self::reserve_bytes).
    pub fn reserve_bytes_timeout(
        &self,
        len: usize,
        timeout: Duration,
    ) -> Result<BytesReservation<'_>, TryPutError<()>> {
        let patience = Patience::For(timeout);
        self.reserve_bytes_within(len, patience).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Reserves the next place. Blocks while the queue is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] after the deadline, or as [`reserve_bytes`](Self::reserve_bytes).
    pub fn reserve_bytes_deadline(
        &self,
        len: usize,
        deadline: Deadline,
    ) -> Result<BytesReservation<'_>, TryPutError<()>> {
        let patience = Patience::Until(deadline);
        self.reserve_bytes_within(len, patience).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Holds the first item's bytes, to read them without a copy. Blocks while the queue is empty.
    /// See [`reserve_bytes`](Self::reserve_bytes) for an example, and [`get_ref`](Queue::get_ref) for
    /// leases and joins.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_bytes_ref(&self) -> Result<BytesRef<'_>, GetError> {
        self.get_bytes_ref_within(Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Holds the first item's bytes if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    pub fn try_get_bytes_ref(&self) -> Result<BytesRef<'_>, TryGetError> {
        self.get_bytes_ref_within(Patience::None)
    }

    /// Holds the first item's bytes. Blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the timeout.
    pub fn get_bytes_ref_timeout(&self, timeout: Duration) -> Result<BytesRef<'_>, TryGetError> {
        self.get_bytes_ref_within(Patience::For(timeout))
    }

    /// Holds the first item's bytes. Blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the deadline.
    pub fn get_bytes_ref_deadline(&self, deadline: Deadline) -> Result<BytesRef<'_>, TryGetError> {
        self.get_bytes_ref_within(Patience::Until(deadline))
    }

    fn reserve_bytes_within(
        &self,
        len: usize,
        patience: Patience,
    ) -> Result<BytesReservation<'_>, Refusal> {
        if matches!(patience, Patience::None) {
            // Not worth a block.
            self.refuse_if_full()?;
        }
        let bytes = (len as u64).saturating_add(PREFIX as u64);
        let limit = self.max_bytes.min(Meta::LENGTH);
        if bytes > limit {
            return Err(Refusal::TooLarge { bytes, limit });
        }
        let all = len + PREFIX;
        let long = all > self.inline_bytes();
        let block = if long { Some(self.empty_block(all)?) } else { None };
        let claim = self.make_room(patience, |me| Ok((self.ring.claim(me)?, me)));
        match claim {
            Ok((claim, me)) => {
                let inline = self.claimed(&claim).inline;
                let message =
                    block.as_ref().map_or(inline, |block| self.segment().blocks().ptr(block));
                let claim = ManuallyDrop::new(claim);
                Ok(BytesReservation { queue: self, claim, me, block, message, len })
            }
            Err(refusal) => {
                if let Some(block) = block {
                    self.segment().blocks().free(block);
                }
                Err(refusal)
            }
        }
    }

    fn get_bytes_ref_within(&self, patience: Patience) -> Result<BytesRef<'_>, TryGetError> {
        self.receive(patience, Entry::ToOwe, |me| {
            let hold = self.hold_in_place(me)?;
            let slot = self.held(&hold);
            let meta = Meta::from_bits(slot.meta.load(Relaxed));
            // ORDERING: Acquire, as the block's bytes are reached through it.
            let reference = slot.place.load(Acquire);
            if let Some((bytes, len)) = self.bytes_of(&slot, meta, reference) {
                let hold = ManuallyDrop::new(hold);
                return Ok(Ok(BytesRef { queue: self, hold, me, slot, reference, bytes, len }));
            }
            // As `get` does, it drops what no correct process has put.
            hold.commit()?;
            self.clear_place(slot.place, reference);
            self.ring.header().space().notify_one();
            Ok(Err(TryGetError::Corrupt))
        })?
    }

    /// The bytes behind the prefix, if it tells their number.
    fn bytes_of(
        &self,
        slot: &Slot<'_>,
        meta: Meta,
        reference: u64,
    ) -> Option<(NonNull<u8>, usize)> {
        let message = self.locate(slot, meta, reference)?;
        let len = meta.length().checked_sub(PREFIX)?;
        // SAFETY: the message has the bytes of a prefix, and is held.
        let prefix = unsafe { message.cast::<[u8; PREFIX]>().read() };
        // SAFETY: still within the message.
        let bytes = unsafe { message.add(PREFIX) };
        (u64::from_le_bytes(prefix) == len as u64).then_some((bytes, len))
    }
}

impl BytesReservation<'_> {
    /// Puts the bytes, all of them. Never blocks.
    ///
    /// # Errors
    ///
    /// [`PutError::Corrupt`]: the place is not this process's any more, or was never a forked
    /// child's.
    pub fn commit(self) -> Result<(), PutError<()>> {
        let len = self.len;
        self.commit_first(len)
    }

    /// Puts the first `len` bytes. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    ///
    /// # Panics
    ///
    /// If fewer were reserved.
    pub fn commit_first(mut self, len: usize) -> Result<(), PutError<()>> {
        assert!(len <= self.len, "{len} bytes of {} that were reserved", self.len);
        if !self.queue.is_still(self.me) {
            return Err(PutError::Corrupt(()));
        }
        // SAFETY: the message has room for a prefix, and is this reservation's alone.
        unsafe { self.message.cast::<[u8; PREFIX]>().write((len as u64).to_le_bytes()) };
        let slot = self.queue.claimed(&self.claim);
        if let Some(block) = &self.block {
            self.queue.publish(&slot, block).map_err(|refusal| refusal.of_put(()))?;
        }
        let meta = Meta::new(len + PREFIX, self.block.take().is_some(), false);
        slot.meta.store(meta.bits(), Relaxed);
        let queue = self.queue;
        // SAFETY: taken once, since `self` is forgotten.
        let claim = unsafe { ManuallyDrop::take(&mut self.claim) };
        mem::forget(self);
        claim.commit().map_err(|refused| Refusal::from(refused).of_put(()))?;
        queue.ring.items().notify_one();
        Ok(())
    }
}

impl BytesRef<'_> {
    /// Takes the item out of the queue. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError::Corrupt`]: the item is not this process's any more, or was never a forked
    /// child's.
    pub fn release(self) -> Result<(), GetError> {
        let mut this = ManuallyDrop::new(self);
        if !this.queue.is_still(this.me) {
            return Err(GetError::Corrupt);
        }
        // SAFETY: taken once, since `this` is never dropped.
        let hold = unsafe { ManuallyDrop::take(&mut this.hold) };
        hold.commit().map_err(|none: NoItem| TryGetError::from(none).without_empty())?;
        this.queue.clear_place(this.slot.place, this.reference);
        this.queue.ring.header().space().notify_one();
        Ok(())
    }
}

impl Drop for BytesReservation<'_> {
    fn drop(&mut self) {
        if !self.queue.is_still(self.me) {
            return;
        }
        if let Some(block) = self.block.take() {
            self.queue.segment().blocks().free(block);
        }
        // SAFETY: dropped once: `commit_first` forgets what it has taken.
        unsafe { ManuallyDrop::drop(&mut self.claim) };
    }
}

impl Drop for BytesRef<'_> {
    fn drop(&mut self) {
        if self.queue.is_still(self.me) {
            // SAFETY: dropped once: `release` forgets what it has taken.
            unsafe { ManuallyDrop::drop(&mut self.hold) };
        }
    }
}

impl BytesReservation<'_> {
    /// How many bytes were reserved.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no bytes were reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` to their place, `offset` bytes from the beginning. Does nothing in a forked
    /// child.
    ///
    /// # Panics
    ///
    /// If they reach beyond what was reserved.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        assert!(fits(offset, bytes.len(), self.len), "beyond the {} bytes reserved", self.len);
        if self.queue.is_still(self.me) {
            // SAFETY: within the message.
            let to = unsafe { self.bytes().add(offset) };
            // SAFETY: as many bytes from there on are reserved, and the claim excludes all others.
            unsafe { copy_in(bytes, to) };
        }
    }

    /// Where the bytes are to be written; whatever is there is initialised.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes().as_ptr()
    }

    /// The bytes in their place, to be written there.
    ///
    /// # Safety
    ///
    /// While the slice lives no other process writes to the place: none does that uses this crate.
    /// This is not a forked child's copy.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: mapped, `len` of them, and the claim excludes all others, by the contract.
        unsafe { slice::from_raw_parts_mut(self.bytes().as_ptr(), self.len) }
    }

    fn bytes(&self) -> NonNull<u8> {
        // SAFETY: the bytes lie behind the prefix.
        unsafe { self.message.add(PREFIX) }
    }
}

impl BytesRef<'_> {
    /// How many bytes the item has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the item has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes out, from `offset` on, as many as `out` has room for.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn read_at(&self, offset: usize, out: &mut [u8]) {
        assert!(fits(offset, out.len(), self.len), "beyond the {} bytes of the item", self.len);
        // SAFETY: within the item.
        let from = unsafe { self.bytes.add(offset) };
        // SAFETY: as many bytes from there on are the item's, which is held.
        unsafe { from.as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
    }

    /// A copy of the bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // SAFETY: as many bytes are the item's, which is held.
        unsafe { copy_out(self.bytes, self.len, &mut out) };
        out
    }

    /// Where the bytes lie.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// The bytes in their place.
    ///
    /// # Safety
    ///
    /// While the slice lives no process writes to the place: none does that uses this crate. This is
    /// not a forked child's copy.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped, `len` of them, and nobody writes, by the contract.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

/// Whether `count` bytes from `offset` on lie within `len`.
fn fits(offset: usize, count: usize, len: usize) -> bool {
    offset.checked_add(count).is_some_and(|end| end <= len)
}

impl fmt::Debug for BytesReservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesReservation").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for BytesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesRef").field("len", &self.len).finish_non_exhaustive()
    }
}
