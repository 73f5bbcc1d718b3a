//! Leases of items in the three forms that they take.

use std::mem;
use std::ptr::NonNull;

use crossproc_message::scratch::Scratch;
use crossproc_message::words::{Words, small};
use crossproc_message::{DecodeError, Message, decode};
use crossproc_segment::MemberId;
use crossproc_segment::transit::Arrivals;

use crate::atomic::AtomicU64;
use crate::bytes::{copy_in, copy_out};
use crate::error::TryGetError;
use crate::queue::Queue;
use crate::raw::{Form, Kept, NoItem, Ring};

/// A lease without its guard, which only the last caller makes: it would be moved from hand to hand.
pub(super) type Leased<T> = Result<(Kept, T), TryGetError>;

impl<T: Message> Queue<T> {
    /// Leases the item at the read end.
    #[inline]
    pub(super) fn lease_first(&self, me: MemberId) -> Result<Leased<T>, NoItem> {
        if let Some(bytes) = small::<T>() {
            return self.lease_words(me, bytes);
        }
        match self.plan.form {
            Form::Words => self.lease_words(me, self.plan.bytes),
            Form::Bytes => self.lease_bytes(me),
            Form::Messages => self.lease_message(me),
        }
    }

    /// Leases a small item if nothing stands in the way, not even that leases have a limit. One that cannot
    /// be read goes back, for the slow way to tell.
    #[inline(always)]
    pub(super) fn lease_at_once(&self) -> Option<(Kept, T)> {
        self.lease_small::<false>()
    }

    /// The same whether leases have a limit, which the caller sets, or not, and whether it is at the producers'
    /// heels or not.
    #[inline]
    pub(super) fn lease_limited_at_once(&self) -> Option<(Kept, T)> {
        self.lease_small::<true>()
    }

    /// No closure, which might not be inlined; then `bytes` would be no constant.
    #[inline(always)]
    fn lease_small<const LIMITED: bool>(&self) -> Option<(Kept, T)> {
        let bytes = small::<T>()?;
        let mut words = Words::empty(bytes);
        let (near, entry, me) = (&self.clerk.near, self.clerk.likely_entry(), self.me());
        let out = words.of_mut(bytes);
        let kept = if LIMITED {
            self.ring.lease_limited_at_once(near, me, entry, out)
        } else {
            self.ring.lease_words_at_once(near, me, entry, out)
        }?;
        match self.reading(kept, || words.decode()) {
            Ok(item) => Some((kept, item)),
            Err(error) => {
                self.put_off(kept, error);
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn put_off(&self, kept: Kept, _: DecodeError) {
        // An item's own code may have forked: the lease is the parent's.
        if kept.owner().is_some_and(|owner| self.is_still(owner)) {
            self.ring.give_back_unseen(kept);
        }
    }

    fn lease_words(&self, me: MemberId, bytes: usize) -> Result<Leased<T>, NoItem> {
        // Not worth an entry.
        self.ring.has_item()?;
        let mut words = Words::empty(bytes);
        let kept = self.ring.lease_words(self.blank(me)?, words.as_mut_slice())?;
        self.ring.note_head(&self.clerk.near);
        let item = self.reading(kept, || words.decode());
        Ok(self.hand_out(me, kept, item.map_err(TryGetError::Malformed)))
    }

    fn lease_bytes(&self, me: MemberId) -> Result<Leased<T>, NoItem> {
        self.ring.has_item()?;
        let blank = self.blank(me)?;
        let hold = self.ring.hold(me)?;
        let mut bytes = Scratch::new();
        // SAFETY: the slot has an item's bytes, as checked when the handle was made, and is held.
        unsafe { copy_out(hold.payload().cast(), self.plan.bytes, &mut bytes.0) };
        // SAFETY: an entry has as many bytes as a slot, and this one is claimed.
        unsafe { copy_in(&bytes.0, blank.payload().cast()) };
        let kept = hold.lease(blank)?.keep_held();
        let item = self.reading(kept, || decode(&bytes.0, Vec::new()));
        Ok(self.hand_out(me, kept, item.map_err(TryGetError::Malformed)))
    }

    /// Reads the item of a lease that was given back.
    pub(super) fn deliver(&self, me: MemberId, kept: Kept) -> Leased<T> {
        let (item, due) = self.reading(kept, || self.copy_kept(kept));
        self.clerk.owe(kept, due);
        self.hand_out(me, kept, item)
    }

    /// A copy of the item that came back and is the next, if there is one. It is held for that time.
    pub(crate) fn peek_back(&self, me: MemberId) -> Option<Result<T, TryGetError>> {
        let kept = self.ring.take_back(me)?;
        let (item, _) = self.reading(kept, || self.copy_kept(kept));
        // An item's own code may have forked: the lease is the parent's.
        if self.is_still(me) {
            self.ring.give_back_unseen(kept);
        }
        Some(item)
    }

    fn copy_kept(&self, kept: Kept) -> (Result<T, TryGetError>, Arrivals) {
        let item = match self.plan.form {
            Form::Words => {
                let mut words = Words::empty(self.plan.bytes);
                self.ring.read_kept(kept, words.as_mut_slice());
                words.decode().map_err(TryGetError::Malformed)
            }
            Form::Bytes => self.read_kept_bytes(kept),
            Form::Messages => return self.copy_kept_message(kept),
        };
        (item, Arrivals::default())
    }

    fn read_kept_bytes(&self, kept: Kept) -> Result<T, TryGetError> {
        let payload = self.ring.kept_payload(kept).ok_or(TryGetError::Corrupt)?;
        let mut bytes = Scratch::new();
        // SAFETY: an entry has as many bytes as a slot, and this one is leased.
        unsafe { copy_out(payload.cast(), self.plan.bytes, &mut bytes.0) };
        decode(&bytes.0, Vec::new()).map_err(TryGetError::Malformed)
    }

    /// What cannot be read is done with, what cannot be taken here goes back.
    #[inline]
    pub(super) fn hand_out(
        &self,
        me: MemberId,
        kept: Kept,
        item: Result<T, TryGetError>,
    ) -> Leased<T> {
        match item {
            Ok(item) => Ok((kept, item)),
            Err(error) => {
                self.refuse(me, kept, &error);
                Err(error)
            }
        }
    }

    #[cold]
    fn refuse(&self, me: MemberId, kept: Kept, error: &TryGetError) {
        // An item's own code may have forked: the lease is the parent's.
        if !self.is_still(me) {
            return;
        }
        if matches!(error, TryGetError::Unreachable(_)) {
            drop(self.clerk.due(kept));
            self.ring.give_back(kept);
        } else {
            self.acknowledge(kept);
        }
    }
}

/// A lease whose item is being read. Dropped, it goes back.
struct Unread<'q, T> {
    queue: &'q Queue<T>,
    kept: Kept,
}

impl<T> Drop for Unread<'_, T> {
    #[cold]
    fn drop(&mut self) {
        // An item's own code may have forked: the lease is the parent's.
        if self.kept.owner().is_some_and(|owner| self.queue.is_still(owner)) {
            self.queue.ring.give_back(self.kept);
        }
    }
}

impl<T: Message> Queue<T> {
    /// Ends a lease as nearly all are; false, and nothing was done, if it is not one of those.
    #[inline(always)]
    pub(super) fn acknowledge_first(&self, kept: Kept) -> bool {
        // The first is known when this is compiled.
        let words = small::<T>().is_some() || self.plan.form != Form::Messages;
        words && self.ring.ack_first(kept, self.my_bits())
    }

    /// Ends a lease, and frees what its message had beside the entry.
    pub(super) fn acknowledge(&self, kept: Kept) -> bool {
        if self.plan.form == Form::Messages {
            return self.end_message(kept, Ring::ack);
        }
        self.ring.ack(kept)
    }
}

impl<T> Queue<T> {
    /// Ends a lease whose item is got and owed; the message's block is freed as by an ack.
    pub(super) fn owe_kept(&self, kept: Kept) -> bool {
        if self.plan.form == Form::Messages {
            return self.end_message(kept, Ring::owe_kept);
        }
        self.ring.owe_kept(kept)
    }

    /// Reads a leased item, which may run its own code: if that panics the item goes back.
    #[inline(always)]
    pub(super) fn reading<R>(&self, kept: Kept, read: impl FnOnce() -> R) -> R {
        let unread = Unread { queue: self, kept };
        let read = read();
        mem::forget(unread);
        read
    }

    /// Moves what the payload of a slot refers to, to that of an entry, for somebody dead.
    pub(super) fn moved(
        &self,
        slot: NonNull<AtomicU64>,
        entry: NonNull<AtomicU64>,
        still: &dyn Fn() -> bool,
    ) -> bool {
        self.plan.form != Form::Messages || self.move_block(slot, entry, still)
    }
}
