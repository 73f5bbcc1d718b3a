//! Items written and read where they lie: a place is reserved, filled and committed; an item is
//! looked at in place and then released.
//!
//! A reservation is a claim (WRITING in `raw.rs`), a reference is a hold (READING): whoever dies with
//! one has put nothing, or taken nothing. Both exclude from the bytes all other processes that keep
//! to the protocol. Not those that have gone mad: hence what is safe copies, and to have the bytes as
//! a `&T` is `unsafe`, since Rust may then rely on them not to change.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::time::Duration;

use crossproc_message::{Message, Pod};
use crossproc_segment::MemberId;
use crossproc_sys::clock::Deadline;

use crate::error::{GetError, PutError, Refusal, TryGetError, TryPutError};
use crate::lease::Entry;
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{Claim, Hold, NoItem};

/// A place in the queue for an item that is being written; from [`Queue::reserve`].
///
/// It holds whatever bytes the place had, until they are written over. Dropped without
/// [`commit`](Self::commit), or left by a process that dies, it is an item that was never put, and
/// consumers pass over it. While it is kept, consumers wait for it: the items behind it come after
/// it. A copy in a forked child does nothing.
#[must_use = "a reservation that is dropped is an item that was never put"]
pub struct Reservation<'q, T: Pod> {
    queue: &'q Queue<T>,
    claim: ManuallyDrop<Claim<'q>>,
    me: MemberId,
    item: NonNull<T>,
}

/// The first item of a queue, held in place; from [`Queue::get_ref`].
///
/// It is read where it lies. [`release`](Self::release) takes it out of the queue; dropped without
/// that, or left by a process that dies, it is there for the next consumer. While it is kept, other
/// consumers wait. A copy in a forked child does nothing.
#[must_use = "an item that is not released stays in the queue"]
pub struct ItemRef<'q, T: Pod> {
    queue: &'q Queue<T>,
    hold: ManuallyDrop<Hold<'q>>,
    me: MemberId,
    item: NonNull<T>,
}

impl<T: Message + Pod> Queue<T> {
    /// Reserves the next place, to write an item into it without a copy. Blocks while the queue is
    /// full. For plain data; for bytes of any length there is
    /// [`reserve_bytes`](Queue::reserve_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_message::{Plain, Pod};
    /// use crossproc_queue::Queue;
    ///
    /// #[derive(Pod, Clone, Copy)]
    /// #[repr(C)]
    /// struct Frame {
    ///     at_ns: u64,
    ///     pixels: [u8; 640 * 480],
    /// }
    ///
    /// let queue = Queue::<Frame>::bounded(4)?;
    /// let mut place = queue.reserve()?;
    /// // SAFETY: all who have the segment use this crate, and nothing else writes there.
    /// let frame = unsafe { place.as_mut() };
    /// frame.at_ns = 7;
    /// frame.pixels.fill(255);
    /// place.commit()?;
    ///
    /// let item = queue.get_ref()?;
    /// // SAFETY: as above.
    /// let frame = unsafe { item.as_ref() };
    /// assert_eq!((frame.at_ns, frame.pixels[1000]), (7, 255));
    /// item.release()?;
    /// assert!(queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutError::Closed`], [`PutError::Corrupt`].
    pub fn reserve(&self) -> Result<Reservation<'_, T>, PutError<()>> {
        self.reserve_within(Patience::Endless).map_err(|refusal| refusal.of_put(()))
    }

    /// Reserves the next place if one is free. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`], or as [`reserve`](Self::reserve).
    pub fn try_reserve(&self) -> Result<Reservation<'_, T>, TryPutError<()>> {
        self.reserve_within(Patience::None).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Reserves the next place. Blocks while the queue is full, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] after the timeout, or as [`reserve`](Self::reserve).
    pub fn reserve_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Reservation<'_, T>, TryPutError<()>> {
        self.reserve_within(Patience::For(timeout)).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Reserves the next place. Blocks while the queue is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryPutError::Full`] after the deadline, or as [`reserve`](Self::reserve).
    pub fn reserve_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<Reservation<'_, T>, TryPutError<()>> {
        self.reserve_within(Patience::Until(deadline)).map_err(|refusal| refusal.of_try_put(()))
    }

    /// Holds the first item, to read it without a copy. Blocks while the queue is empty. See
    /// [`reserve`](Self::reserve) for an example.
    ///
    /// Items that were on lease and came back lie elsewhere: they are for [`get`](Self::get) and
    /// [`lease`](Self::lease). In a joinable queue an item that is released is done.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_ref(&self) -> Result<ItemRef<'_, T>, GetError> {
        self.get_ref_within(Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Holds the first item if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get).
    pub fn try_get_ref(&self) -> Result<ItemRef<'_, T>, TryGetError> {
        self.get_ref_within(Patience::None)
    }

    /// Holds the first item. Blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the timeout.
    pub fn get_ref_timeout(&self, timeout: Duration) -> Result<ItemRef<'_, T>, TryGetError> {
        self.get_ref_within(Patience::For(timeout))
    }

    /// Holds the first item. Blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the deadline.
    pub fn get_ref_deadline(&self, deadline: Deadline) -> Result<ItemRef<'_, T>, TryGetError> {
        self.get_ref_within(Patience::Until(deadline))
    }

    fn reserve_within(&self, patience: Patience) -> Result<Reservation<'_, T>, Refusal> {
        self.make_room(patience, |me| {
            let claim = self.ring.claim(me)?;
            let item = self.in_place(claim.payload().cast());
            Ok(Reservation { queue: self, claim: ManuallyDrop::new(claim), me, item })
        })
    }

    fn get_ref_within(&self, patience: Patience) -> Result<ItemRef<'_, T>, TryGetError> {
        self.receive(patience, Entry::ToOwe, |me| {
            let hold = self.hold_in_place(me)?;
            let item = self.in_place(hold.payload().cast());
            Ok(ItemRef { queue: self, hold: ManuallyDrop::new(hold), me, item })
        })
    }

    /// The item in a slot's payload.
    fn in_place(&self, payload: NonNull<T>) -> NonNull<T> {
        const {
            assert!(align_of::<T>() <= 8, "items lie on words: an alignment above 8 is too much");
            assert!(
                cfg!(all(target_endian = "little", target_pointer_width = "64")),
                "in memory an item is not what its message is"
            );
        }
        // A message of plain data is its bytes, which were checked to fit when the handle was made.
        debug_assert_eq!(self.plan.bytes, size_of::<T>());
        payload
    }
}

impl<T> Queue<T> {
    /// Holds the first item of the ring. The queue is not at its end while others have some on lease.
    pub(crate) fn hold_in_place(&self, me: MemberId) -> Result<Hold<'_>, NoItem> {
        self.ring.hold(me).map_err(|none| self.at_the_end_in_place(me, none))
    }
}

impl<T: Pod> Reservation<'_, T> {
    /// Puts the item. Never blocks.
    ///
    /// # Errors
    ///
    /// [`PutError::Corrupt`]: the place is not this process's any more, or was never a forked
    /// child's.
    pub fn commit(self) -> Result<(), PutError<()>> {
        let (queue, is_ours) = (self.queue, self.queue.is_still(self.me));
        let mut this = ManuallyDrop::new(self);
        if !is_ours {
            return Err(PutError::Corrupt(()));
        }
        // SAFETY: taken once, since `this` is never dropped.
        let claim = unsafe { ManuallyDrop::take(&mut this.claim) };
        claim.commit().map_err(|refused| Refusal::from(refused).of_put(()))?;
        queue.ring.items().notify_one();
        Ok(())
    }
}

impl<T: Pod> ItemRef<'_, T> {
    /// Takes the item out of the queue. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError::Corrupt`]: the item is not this process's any more, or was never a forked
    /// child's.
    pub fn release(self) -> Result<(), GetError> {
        let (queue, is_ours) = (self.queue, self.queue.is_still(self.me));
        let mut this = ManuallyDrop::new(self);
        if !is_ours {
            return Err(GetError::Corrupt);
        }
        // SAFETY: taken once, since `this` is never dropped.
        let hold = unsafe { ManuallyDrop::take(&mut this.hold) };
        hold.commit().map_err(|none: NoItem| TryGetError::from(none).without_empty())?;
        queue.ring.header().space().notify_one();
        Ok(())
    }
}

impl<T: Pod> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        if self.queue.is_still(self.me) {
            // SAFETY: dropped once: `commit` forgets what it has taken.
            unsafe { ManuallyDrop::drop(&mut self.claim) };
        }
    }
}

impl<T: Pod> Drop for ItemRef<'_, T> {
    fn drop(&mut self) {
        if self.queue.is_still(self.me) {
            // SAFETY: dropped once: `release` forgets what it has taken.
            unsafe { ManuallyDrop::drop(&mut self.hold) };
        }
    }
}

impl<T: Pod> Reservation<'_, T> {
    /// Writes the item, in one copy. Does nothing in a forked child.
    pub fn write(&mut self, item: &T) {
        if self.queue.is_still(self.me) {
            // SAFETY: mapped and aligned, and the claim excludes all others.
            unsafe { self.item.as_ptr().copy_from_nonoverlapping(item, 1) };
        }
    }

    /// Where the item is to be written; whatever bytes are there are a value.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.item.as_ptr()
    }

    /// The item in its place, to be written there.
    ///
    /// # Safety
    ///
    /// While the reference lives no other process writes to the place: none does that uses this
    /// crate. This is not a forked child's copy.
    pub unsafe fn as_mut(&mut self) -> &mut T {
        // SAFETY: mapped and aligned; any bytes are a value; the claim excludes all others, by the
        // contract.
        unsafe { self.item.as_mut() }
    }
}

impl<T: Pod> ItemRef<'_, T> {
    /// A copy of the item, which stays where it is.
    #[must_use]
    pub fn read(&self) -> T {
        // SAFETY: mapped and aligned; any bytes are a value, also torn ones that a mad process wrote.
        unsafe { self.item.as_ptr().read() }
    }

    /// Where the item lies.
    #[must_use]
    pub fn as_ptr(&self) -> *const T {
        self.item.as_ptr()
    }

    /// The item in its place.
    ///
    /// # Safety
    ///
    /// While the reference lives no process writes to the place: none does that uses this crate.
    /// This is not a forked child's copy.
    #[must_use]
    pub unsafe fn as_ref(&self) -> &T {
        // SAFETY: mapped and aligned; any bytes are a value; nobody writes, by the contract.
        unsafe { self.item.as_ref() }
    }
}

impl<T: Pod> fmt::Debug for Reservation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").finish_non_exhaustive()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for ItemRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemRef").field(&self.read()).finish()
    }
}
