//! The condition variable as it lies in shared memory: an eventcount, and a rule.
//!
//! # Layout
//!
//! | offset | size | field   | written by          | values                                   |
//! |-------:|-----:|---------|---------------------|------------------------------------------|
//! |      0 |    4 | `count` | waiters, notifiers  | `epoch`: high 16, `waiters`: low 16      |
//!
//! All zeroes is a condition variable that nobody waits at. Words, states and the wake itself are
//! those of [`EventCount`], see there.
//!
//! # Operations
//!
//! *wait*, with a lock held and the condition looked at within it:
//! 1. Announce ([`Condvar::announce`]): `waiters + 1`, keeping the epoch. *Before* step 2.
//! 2. Release the lock.
//! 3. Sleep while the epoch is that of step 1 ([`Condvar::still`]). It has moved: woken.
//! 4. Time is up, or a death may have cost the wake: take the announcement back
//!    ([`Condvar::cancel`]).
//! 5. Lock again; the caller looks at the condition.
//!
//! *notify*, after the condition was changed with the same lock held, within it or after it:
//! `epoch + 1` and fewer `waiters`, by CAS: the commit; then `FUTEX_WAKE`. Nobody waits for the
//! woken to answer.
//!
//! # Orderings
//!
//! - **announced**: through the lock. Whoever changes the condition either held the lock before the
//!   waiter did, and the waiter's look saw the change; or it locks after step 2, and its load of
//!   `count` sees step 1. So there is no fence and no `membarrier` here, which the eventcount needs
//!   where a condition changes without a lock.
//! - **woken**: that of the eventcount. It carries nothing that counts: what changed is visible
//!   through the lock.
//!
//! The announcement after the release would be a hole: a notifier between the two finds nobody.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | notifier, before the CAS | the condition is true, nobody woken | sleepers: a death was told, so they come back without a wake |
//! | notifier, between CAS and wake | the epoch has moved | sleepers' next slice, or the kick |
//! | woken waiter, before it acts | the epoch has moved | the same, all the others: one of them finds the condition true |
//! | waiter, announced | `waiters` too high | a wake in vain, which heals it |
//! | waiter, locking again or holding | the lock, of a dead owner | who locks next is told |
//!
//! So a wake that dies with somebody is no wake less: *every* sleeper of the condition variable
//! comes back after the death of *any* member that happened while it slept.
//!
//! # Limits
//!
//! The epoch comes back after 65,536 notifications, and a waiter that does not run for exactly that
//! many sleeps on; `waiters` is exact up to 65,534, beyond which a notification wakes all. A sleeper
//! comes back by itself after some 5 s in any case, and looks.

use crossproc_segment::wait::{Epoch, EventCount};

/// The word of a condition variable. Valid when zeroed.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Condvar {
    count: EventCount,
}

#[cfg(not(crossproc_loom))]
const _: () = assert!(size_of::<Condvar>() == 4 && align_of::<Condvar>() == 4);

impl Condvar {
    /// Announces a waiter that holds the lock: a notification from now on is not missed.
    #[must_use]
    pub fn announce(&self) -> Epoch {
        self.count.announce()
    }

    /// The value to sleep on, or `None` if a notification came after `epoch`.
    #[must_use]
    pub fn still(&self, epoch: Epoch) -> Option<u32> {
        self.count.still(epoch)
    }

    /// Takes an announcement back. Returns whether no notification had come before.
    pub fn cancel(&self, epoch: Epoch) -> bool {
        let was_alone = self.still(epoch).is_some();
        // A notification in between finds, besides this thread, the sleepers that it meant.
        self.count.cancel(epoch);
        was_alone
    }

    /// Wakes up to `count` waiters.
    #[inline]
    pub fn notify(&self, count: u32) {
        self.count.notify_many(count); // commit: the epoch moves
    }

    /// Wakes all waiters.
    #[inline]
    pub fn notify_all(&self) {
        self.count.notify_all(); // commit: the epoch moves
    }

    /// The eventcount, whose word is slept on.
    #[must_use]
    pub const fn count(&self) -> &EventCount {
        &self.count
    }
}
