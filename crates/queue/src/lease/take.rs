//! Taking leases.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::MemberId;
use crossproc_sys::clock::Deadline;

use super::forms::Leased;
use super::get::Entry;
use super::guard::Lease;
use crate::error::{GetError, TryGetError};
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{Kept, NoItem};

impl<T: Message> Queue<T> {
    /// Hands out the first item, which is the queue's until [`Lease::ack`]. Blocks while the queue is
    /// empty, and while as many items are on lease as can be at once.
    ///
    /// Items that were given back, or whose holder died, come before all others. While it waits it
    /// notices within 0.1 s if a holder died.
    ///
    /// Items on lease take no place: the queue can be full of others meanwhile. A closed queue is at
    /// its end when it is empty and no *other* process has a lease, whose item could come back:
    /// until then this blocks. So two processes that each keep a lease and ask for one more wait for
    /// each other at the end, as either lease might come back: acknowledge what you have before you ask
    /// for more, or ask with a timeout.
    ///
    /// What handles in the item have on loan from their sender (an open file, the count of a handle) is
    /// settled by the ack and not before, so that it is there again if the item comes again.
    ///
    /// An item whose own code panics as it is read goes back, and counts as delivered.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put(7)?;
    /// let lease = queue.lease()?;
    /// assert_eq!((*lease, queue.len(), queue.leased()), (7, 0, 1));
    /// lease.ack()?;
    /// assert_eq!(queue.leased(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`GetError::NoLeases`] if the queue was made with `leases(0)`.
    #[inline]
    pub fn lease(&self) -> Result<Lease<'_, T>, GetError> {
        self.look_sometimes();
        // Each way makes its own guard of the parts: where one memory takes that of both, each field goes
        // there and back before the item is seen.
        if let Some((kept, item)) = self.lease_at_once() {
            return Ok(Lease::new(self, kept, item));
        }
        match self.lease_endless() {
            Ok((kept, item)) => Ok(Lease::handed_out(self, kept, item)),
            Err(error) => Err(error),
        }
    }

    /// Hands out the first item if there is one. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Queue, TryGetError};
    ///
    /// let queue = Queue::<u8>::options().leases(1).bounded(2)?;
    /// assert!(matches!(queue.try_lease(), Err(TryGetError::Empty)));
    /// queue.put(1)?;
    /// queue.put(2)?;
    /// let lease = queue.try_lease()?;
    /// assert!(matches!(queue.try_lease(), Err(TryGetError::AllLeased)));
    /// lease.ack()?;
    /// assert_eq!(*queue.try_lease()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`], [`TryGetError::AllLeased`], or as [`lease`](Self::lease).
    #[inline]
    pub fn try_lease(&self) -> Result<Lease<'_, T>, TryGetError> {
        self.lease_within(Patience::None)
    }

    /// Hands out the first item. Blocks as [`lease`](Self::lease), but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::{Queue, TryGetError};
    ///
    /// let queue = Queue::<u8>::bounded(1)?;
    /// let nothing = queue.lease_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(TryGetError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_lease`](Self::try_lease), after the timeout.
    #[inline]
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<'_, T>, TryGetError> {
        self.lease_within(Patience::For(timeout))
    }

    /// Hands out the first item. Blocks as [`lease`](Self::lease), until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_lease`](Self::try_lease), after the deadline.
    #[inline]
    pub fn lease_deadline(&self, deadline: Deadline) -> Result<Lease<'_, T>, TryGetError> {
        self.lease_within(Patience::Until(deadline))
    }

    #[inline(always)]
    fn lease_within(&self, patience: Patience) -> Result<Lease<'_, T>, TryGetError> {
        self.look_sometimes();
        if let Some((kept, item)) = self.lease_at_once() {
            return Ok(Lease::new(self, kept, item));
        }
        match self.lease_rarely(patience) {
            Ok((kept, item)) => Ok(Lease::handed_out(self, kept, item)),
            Err(error) => Err(error),
        }
    }

    #[cold]
    #[inline(never)]
    fn lease_endless(&self) -> Result<(Kept, T), GetError> {
        self.lease_slow(Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Only says that it is rare: what is cold itself is made small, and not fast.
    #[cold]
    #[inline(never)]
    fn lease_rarely(&self, patience: Patience) -> Leased<T> {
        self.lease_slow(patience)
    }

    #[inline(never)]
    fn lease_slow(&self, mut patience: Patience) -> Leased<T> {
        if self.ring.leases() == 0 {
            return Err(TryGetError::NoLeases);
        }
        let near = &self.clerk.near;
        // With a limit, each lease comes this way.
        let limited = self.ring.limit_ns() != 0;
        let trailed = !limited && self.keep_distance(&mut patience, Some(near));
        if self.ring.find_near(near) || limited || trailed {
            if let Some(leased) = self.lease_limited_at_once() {
                return Ok(leased);
            }
        }
        self.receive(patience, Entry::ToLease, |me| self.lease_once(me))?
    }

    fn lease_once(&self, me: MemberId) -> Result<Leased<T>, NoItem> {
        self.look_sometimes();
        if let Some(kept) = self.ring.take_back(me) {
            return Ok(self.deliver(me, kept));
        }
        match self.lease_first(me) {
            Err(NoItem::Closed) => match self.take_what_ran_out(me) {
                Some(kept) => Ok(self.deliver(me, kept)),
                None => Err(self.at_the_end(me, NoItem::Closed)),
            },
            leased => leased,
        }
    }
}

impl<T> Queue<T> {
    /// Items on lease, at that moment, in all processes. They do not count for [`len`](Self::len).
    #[must_use]
    pub fn leased(&self) -> usize {
        self.ring.count_live() as usize
    }

    /// How many items can be on lease at once; see
    /// [`QueueOptions::leases`](crate::QueueOptions::leases).
    #[must_use]
    pub fn max_leases(&self) -> usize {
        self.ring.leases() as usize
    }

    /// What [`at_the_end`](Self::at_the_end) says, if there were leases ever.
    pub(crate) fn beside_leases(&self, me: MemberId, none: NoItem) -> NoItem {
        if self.ring.is_leased() { self.at_the_end(me, none) } else { none }
    }

    /// A queue is not at its end before what others have on lease is done.
    pub(super) fn at_the_end(&self, me: MemberId, none: NoItem) -> NoItem {
        if none == NoItem::Closed && self.ring.may_come_back(me) { NoItem::Pending } else { none }
    }

    /// The same for one who holds items in place, who does not get what is back.
    pub(crate) fn at_the_end_in_place(&self, me: MemberId, none: NoItem) -> NoItem {
        let pending =
            none == NoItem::Closed && self.ring.is_leased() && self.ring.is_leased_by_others(me);
        if pending { NoItem::Pending } else { none }
    }
}
