//! Plain get in a queue that has leases, or counts what is done.

use crossproc_message::Message;
use crossproc_segment::MemberId;
use crossproc_segment::wait::{Look, block_on};
use crossproc_sys::clock::Deadline;

use super::guard::Lease;
use crate::error::TryGetError;
use crate::queue::Queue;
use crate::raw::NoItem;

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
        if !self.ring.is_joinable() {
            return self.get_returned_or(me, attempt);
        }
        // Not worth owing for.
        self.ring.has_item().map_err(|none| self.at_the_end(me, none))?;
        if !self.ring.owe(me) {
            return Err(NoItem::AllLeased);
        }
        let got = self.get_returned_or(me, attempt);
        // An item's own code may have forked: what is owed is the parent's.
        if !matches!(got, Ok(Ok(_))) && self.is_still(me) {
            self.ring.pay(me);
        }
        got
    }

    fn get_returned_or(&self, me: MemberId, attempt: impl FnOnce(MemberId) -> Got<T>) -> Got<T> {
        let Some(kept) = self.ring.take_back(me) else {
            return attempt(me).map_err(|none| self.at_the_end(me, none));
        };
        let lease = match self.deliver(me, kept) {
            Ok(lease) => lease,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Lease::ack(lease).map_err(|_| TryGetError::Corrupt))
    }
}

impl<T> Queue<T> {
    /// Waits for an entry to be free or given back; false if the deadline came first.
    #[cold]
    pub(crate) fn wait_for_entry(&self, deadline: Option<Deadline>) -> bool {
        let room = self.ring.desk().room();
        let look = |look| {
            if look == Look::Repair {
                self.repair_leases();
            }
            (self.ring.has_free_entry() || self.ring.has_back()).then_some(())
        };
        let found = block_on(self.segment(), room, &self.consumers, deadline, look).is_some();
        // This one may find no item for the entry, and sleep elsewhere.
        if room.has_waiters() && self.ring.has_free_entry() {
            room.notify_one();
        }
        found
    }
}
