//! Plain get in a queue that has leases, or counts what is done.

use std::mem;

use crossproc_message::Message;
use crossproc_segment::MemberId;
use crossproc_segment::wait::{Look, block_on};
use crossproc_sys::clock::Deadline;

use super::guard::Lease;
use crate::error::TryGetError;
use crate::queue::Queue;
use crate::raw::{Kept, NoItem};

type Got<T> = Result<Result<T, TryGetError>, NoItem>;

impl<T: Message> Queue<T> {
    /// Gets an item that was given back, if there is one, else what `attempt` gets.
    #[inline]
    pub(crate) fn get_beside_leases(
        &self,
        me: MemberId,
        attempt: impl FnOnce(MemberId) -> Got<T>,
    ) -> Got<T> {
        if self.ring.is_leased() {
            self.get_first(me, attempt)
        } else {
            // The first lease may be made meanwhile.
            attempt(me).map_err(|none| self.beside_leases(me, none))
        }
    }

    #[inline(never)]
    fn get_first(&self, me: MemberId, attempt: impl FnOnce(MemberId) -> Got<T>) -> Got<T> {
        self.look_sometimes();
        let joinable = self.ring.is_joinable();
        if let Some(kept) = self.ring.take_back(me) {
            return Ok(self.get_kept(me, kept, joinable));
        }
        let got = if joinable { self.get_owing(me, attempt) } else { attempt(me) };
        match got {
            Err(NoItem::Closed) => match self.take_what_ran_out(me) {
                Some(kept) => Ok(self.get_kept(me, kept, joinable)),
                None => Err(self.at_the_end(me, NoItem::Closed)),
            },
            got => got,
        }
    }

    /// Gets an item that came back. In a joinable queue it is owed in its own entry: then it needs no
    /// other one, and who joins never finds it in neither.
    fn get_kept(&self, me: MemberId, kept: Kept, owed: bool) -> Result<T, TryGetError> {
        let (kept, item) = self.deliver(me, kept)?;
        let lease = Lease::new(self, kept, item);
        let got = if owed { lease.owe() } else { lease.ack() };
        got.map_err(|_| TryGetError::Corrupt)
    }

    /// What `attempt` gets, owed before it is taken.
    fn get_owing(&self, me: MemberId, attempt: impl FnOnce(MemberId) -> Got<T>) -> Got<T> {
        // Not worth owing for.
        self.ring.has_item()?;
        if !self.ring.owe(me) {
            return Err(NoItem::AllLeased);
        }
        let debt = Debt { queue: self, me };
        let got = attempt(me);
        if matches!(got, Ok(Ok(_))) {
            mem::forget(debt);
        }
        got
    }
}

/// What an operation needs an entry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A lease: it must be free.
    ToLease,
    /// What is got and not done yet: it may be one in which this process owes already.
    ToOwe,
}

/// What is owed for an item that is not got yet. Dropped, by a panic in an item's own code for
/// instance, it is paid.
struct Debt<'q, T> {
    queue: &'q Queue<T>,
    me: MemberId,
}

impl<T> Drop for Debt<'_, T> {
    #[cold]
    fn drop(&mut self) {
        // An item's own code may have forked: what is owed is the parent's.
        if self.queue.is_still(self.me) {
            self.queue.ring.pay(self.me);
        }
    }
}

impl<T> Queue<T> {
    /// Waits for such an entry, or one that was given back, or until there is no item that needs one;
    /// false if the deadline came first.
    #[cold]
    pub(crate) fn wait_for_entry(&self, entry: Entry, deadline: Option<Deadline>) -> bool {
        let room = self.ring.desk().room();
        let look = |look| self.has_entry(look, entry == Entry::ToOwe).then_some(());
        let wait = |until| block_on(self.segment(), room, &self.consumers, until, look);
        let found = self.wait_beside_leases(deadline, wait).is_some();
        // This one may find no item for the entry, and sleep elsewhere.
        if room.has_waiters() && self.ring.has_free_entry() {
            room.notify_one();
        }
        found
    }

    /// Whether there is an entry that is free or given back, or (`owing`) one to owe in, or no item that
    /// needs one.
    pub(crate) fn has_entry(&self, look: Look, owing: bool) -> bool {
        if look == Look::Repair {
            self.repair_leases();
        }
        let entry = self.ring.has_free_entry() || self.ring.has_back();
        let owes = || owing && self.ring.is_joinable() && self.ring.can_owe_more(self.me());
        // Without an item it is `items` that tells of the next one, or of the end.
        entry || owes() || self.ring.has_item().is_err()
    }
}
