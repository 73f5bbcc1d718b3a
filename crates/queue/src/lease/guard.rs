//! A leased item.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr;

use crossproc_message::Message;

use crate::queue::Queue;
use crate::raw::Kept;

/// Why a lease could not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// This is a forked child's copy of a lease, which is its parent's.
    #[error("the lease is another process's: it was made before the fork")]
    Forked,
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
/// (`mem::forget`) lasts until its process ends.
///
/// A lease has no time limit, and so needs no extending: it ends with its holder, which the kernel
/// reports. What takes long takes long; a holder that hangs is somebody's to kill.
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
    #[inline(always)]
    pub(super) fn new(queue: &'q Queue<T>, kept: Kept, item: T) -> Self {
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

    /// Tells whether this is the process that has the lease, and not a child that it forked.
    #[inline]
    fn is_ours(&self) -> bool {
        self.kept.owner().is_some_and(|owner| self.queue.is_still(owner))
    }
}

impl<T: Message> Lease<'_, T> {
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
        self.end(Queue::acknowledge)
    }

    /// Takes the item out of the queue, and owes it until it is done.
    pub(super) fn owe(self) -> Result<T, AckError> {
        self.end(Queue::owe_kept)
    }

    #[inline(always)]
    fn end(self, end: impl FnOnce(&Queue<T>, Kept) -> bool) -> Result<T, AckError> {
        let ours = self.is_ours();
        // In parts, which need no place in memory: there is nothing to drop but the item.
        let this = ManuallyDrop::new(self);
        // SAFETY: read once, as `this` is never dropped.
        let item = unsafe { ptr::read(&raw const this.item) };
        if !ours {
            return Err(AckError::Forked);
        }
        if end(this.queue, this.kept) { Ok(item) } else { Err(AckError::Corrupt) }
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
            // False where the queue is corrupt, which the next operation tells.
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
