//! A leased item.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_sys::clock::now_ns;

use crate::queue::Queue;
use crate::raw::Kept;

/// Why a lease could not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// This is a forked child's copy of a lease, which is its parent's.
    #[error("the lease is another process's: it was made before the fork")]
    Forked,
    /// The lease ran out, and the item is another's by now, or lies there for the next one; see
    /// [`QueueOptions::lease_limit`](crate::QueueOptions::lease_limit).
    #[error(
        "the lease ran out, and its item was given to another: extend a lease before its limit, or \
         make the queue with a longer `lease_limit`"
    )]
    Expired,
    /// A word of the queue has a value that no correct process writes.
    #[error(
        "the lease is not this process's any more: a process wrote where it should not, or this \
         process was taken for dead"
    )]
    Corrupt,
}

/// An item that this process works on and that is the queue's until [`ack`](Self::ack); from
/// [`Queue::lease`].
///
/// Dropped without that, by a panic for instance, it goes back and is the next to be delivered, as
/// if by [`nack`](Self::nack). So it does if its process dies, whatever it was doing: whoever waits
/// for an item notices within 0.1 s, others within some 50 ms or 32 items. A lease that is forgotten
/// (`mem::forget`) lasts until its process ends, or until it runs out.
///
/// A lease lasts as long as its holder lives, which the kernel reports: what takes long takes long. In a
/// queue that was made with a [`lease_limit`](crate::QueueOptions::lease_limit) it also runs out, of a
/// holder that hangs for instance: then the item goes to the next one, though its first holder lives, and of
/// the two [`ack`](Self::ack)s the later one's succeeds and that of the lease that ran out says
/// [`AckError::Expired`]. [`extend`](Self::extend) moves the end on.
///
/// In a forked child the copy of a lease does nothing: it is the parent's.
///
/// # Examples
///
/// ```
/// use crossproc_queue::Queue;
///
/// let jobs = Queue::<String>::bounded(8)?;
/// let poison = Queue::<String>::bounded(8)?;
/// jobs.put("resize".to_owned())?;
///
/// let lease = jobs.lease()?;
/// if lease.deliveries() > 3 {
///     poison.put(lease.ack()?)?; // has killed its worker three times
/// } else {
///     assert_eq!(lease.as_str(), "resize"); // works on it, then
///     lease.ack()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped gives its item back"]
pub struct Lease<'q, T> {
    queue: &'q Queue<T>,
    kept: Kept,
    item: T,
}

impl<'q, T> Lease<'q, T> {
    /// Without a limit, or one that it has already.
    #[inline(always)]
    pub(super) fn new(queue: &'q Queue<T>, kept: Kept, item: T) -> Self {
        Self { queue, kept, item }
    }

    /// With the limit that the queue's leases have: from now on, as the item is handed out.
    #[inline]
    pub(super) fn handed_out(queue: &'q Queue<T>, kept: Kept, item: T) -> Self {
        let limit_ns = queue.ring.limit_ns();
        let kept = if limit_ns == 0 { kept } else { queue.limited(kept, limit_ns) };
        Self { queue, kept, item }
    }

    /// How often the item was handed out, this time included; 65,535 says as often or more. An item
    /// that comes again and again may be what kills those who get it: set it aside.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u8>::bounded(1)?;
    /// queue.put(7)?;
    /// drop(queue.lease()?);
    /// let lease = queue.lease()?;
    /// assert_eq!((*lease, lease.deliveries()), (7, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        u32::try_from(self.kept.deliveries()).unwrap_or(u32::MAX)
    }

    /// Gives the item back: it is the next to be delivered, before all that are in the queue, and to
    /// anybody. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u8>::bounded(2)?;
    /// queue.put(1)?;
    /// queue.put(2)?;
    /// queue.lease()?.nack();
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nack(self) {
        drop(self);
    }

    /// Has the lease last for `time` from now on, 100 days at most, if it would end before; never blocks. Without a
    /// [`lease_limit`](crate::QueueOptions::lease_limit) a lease lasts anyhow, and this does nothing.
    ///
    /// A lease that has run out can be extended as long as nobody has noticed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::Queue;
    ///
    /// let options = Queue::<u32>::options().lease_limit(Duration::from_secs(30));
    /// let queue = options.bounded(4)?;
    /// queue.put(7)?;
    /// let mut lease = queue.lease()?;
    /// // Half of it is done. The rest takes a minute.
    /// lease.extend(Duration::from_secs(60))?;
    /// assert!(lease.time_left() > Some(Duration::from_secs(30)));
    /// lease.ack()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckError::Expired`]: the item is another's. [`AckError::Forked`].
    pub fn extend(&mut self, time: Duration) -> Result<(), AckError> {
        if !self.is_ours() {
            return Err(AckError::Forked);
        }
        if !self.kept.is_limited() {
            return Ok(());
        }
        self.kept = self.queue.extended(self.kept, time).ok_or(AckError::Expired)?;
        Ok(())
    }

    /// How long the lease lasts still; `None` if it has no limit. Zero says that it ran out, and that
    /// another one may have the item.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let until = self.kept.until()?;
        Some(Duration::from_nanos(until.left_ns(now_ns())))
    }

    /// Tells whether this is the process that has the lease, and not a child that it forked.
    #[inline]
    fn is_ours(&self) -> bool {
        self.kept.owner().is_some_and(|owner| self.queue.is_still(owner))
    }
}

impl<'q, T: Message> Lease<'q, T> {
    /// Says that the item is done: it is out of the queue, and here it is. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<String>::bounded(1)?;
    /// queue.put("once".to_owned())?;
    /// let item: String = queue.lease()?.ack()?;
    /// assert!(item == "once" && queue.try_get().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckError`]: then it is not this process that decides about the item.
    #[inline(always)]
    pub fn ack(self) -> Result<T, AckError> {
        let (queue, kept, item) = self.into_parts();
        if queue.acknowledge_first(kept) {
            return Ok(item);
        }
        match queue.end_lease(kept, Queue::acknowledge) {
            Ok(()) => Ok(item),
            Err(error) => Err(error),
        }
    }

    /// Takes the item out of the queue, and owes it until it is done.
    pub(super) fn owe(self) -> Result<T, AckError> {
        let (queue, kept, item) = self.into_parts();
        queue.end_lease(kept, Queue::owe_kept).map(|()| item)
    }

    /// Each for itself, which needs no place in memory: there is nothing to drop but the item.
    #[inline(always)]
    fn into_parts(self) -> (&'q Queue<T>, Kept, T) {
        let this = ManuallyDrop::new(self);
        // SAFETY: read once, as `this` is never dropped.
        (this.queue, this.kept, unsafe { ptr::read(&raw const this.item) })
    }
}

impl<T> Queue<T> {
    fn end_lease(&self, kept: Kept, end: impl FnOnce(&Self, Kept) -> bool) -> Result<(), AckError> {
        if !kept.owner().is_some_and(|owner| self.is_still(owner)) {
            return Err(AckError::Forked);
        }
        match end(self, kept) {
            true => Ok(()),
            false if kept.is_limited() => Err(AckError::Expired),
            false => Err(AckError::Corrupt),
        }
    }
}

impl<T> Deref for Lease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        if self.is_ours() {
            drop(self.queue.clerk.due(self.kept));
            // False where the lease ran out, or the queue is corrupt, which the next operation tells.
            let _ = self.queue.ring.give_back(self.kept);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("item", &self.item)
            .field("deliveries", &self.deliveries())
            .finish_non_exhaustive()
    }
}
