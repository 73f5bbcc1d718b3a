//! The writers' lock of a value, held.

use core::marker::PhantomData;

use crossproc_message::pod::Stored;
use crossproc_sync::raw::Holder;
use crossproc_sync::{Deadline, LockFailure, acquire};

use crate::value::Value;

/// This thread is the only writer of the value while this lives.
///
/// The last writer may have died or panicked: it left the current copy as it was, so there is
/// nothing to tell and nothing to repair.
pub(crate) struct Held<'a, T: Stored> {
    value: &'a Value<T>,
    me: Holder,
    /// The thread that locked is the thread that unlocks: the recursion check goes by thread.
    not_send: PhantomData<*mut ()>,
}

impl<'a, T: Stored> Held<'a, T> {
    /// Waits until this thread is the only writer, or until `deadline`.
    #[inline]
    pub(crate) fn wait(
        value: &'a Value<T>,
        deadline: Option<Deadline>,
    ) -> Result<Self, LockFailure> {
        let segment = value.segment();
        let me = Holder::of(value.me, segment);
        let lock = value.header().lock();
        let _ = acquire::acquire(lock, segment, value.spin(), me, deadline)?;
        Ok(Self { value, me, not_send: PhantomData })
    }

    /// Makes `new` the value and lets the next writer in; nothing in a forked child, as the lock is
    /// its parent's.
    #[inline]
    pub(crate) fn commit(self, new: &T) {
        if self.is_ours() {
            self.commit_at_once(new);
        } else {
            self.keep();
        }
    }

    /// As [`Held::commit`], where no code of the user ran since the lock was taken.
    #[inline]
    pub(crate) fn commit_at_once(self, new: &T) {
        self.value.write_locked(new);
        self.release();
        self.keep();
    }

    /// Keeps the lock when this goes, until [`Held::kept`] gives it back.
    #[inline]
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }

    /// What [`Held::keep`] kept on this thread.
    pub(crate) fn kept(value: &'a Value<T>) -> Self {
        Self { value, me: Holder::of(value.me, value.segment()), not_send: PhantomData }
    }

    #[inline]
    fn release(&self) {
        // Never poisoned: a panic left the value as it was. Never `NotHeld` either, unless the lock
        // was written over; then there is nothing to give back.
        let _ = acquire::release(self.value.header().lock(), self.me, false);
    }

    #[inline]
    fn is_ours(&self) -> bool {
        self.me.is_of(self.value.me)
    }
}

impl<T: Stored> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.is_ours() {
            self.release();
        }
    }
}
