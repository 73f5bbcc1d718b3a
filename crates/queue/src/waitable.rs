//! A queue among other things that are waited for.

use std::fmt;

use crossproc_segment::wait::{Look, Source, Waitable};

use crate::queue::Queue;
use crate::raw::{NoItem, Refused};

/// Ready when [`get`](Queue::get) would not block: an item is there, or the queue is closed. A `put`
/// and a `close` wake the waiter.
impl<T> Waitable for Queue<T> {
    fn is_ready(&self, look: Look) -> bool {
        // Claims of many dead in a row are ended in one look.
        for _ in 0..=self.capacity() {
            let again = look == Look::Repair && self.repair_head();
            match self.ring.has_item() {
                Err(NoItem::Empty | NoItem::Pending) if again => {}
                Err(NoItem::Empty | NoItem::Pending) => return false,
                Err(NoItem::Closed) if self.ring.is_leased() => {
                    return !self.ring.may_come_back(self.me());
                }
                _ => return true,
            }
        }
        false
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.segment(), self.ring.items())
    }
}

/// That a queue has room, to be waited for with `wait_any`: made by [`Queue::space`] and
/// [`PriorityQueue::space`](crate::PriorityQueue::space).
///
/// Ready when [`put`](Queue::put) would not block: a place is free, or the queue is closed, or made to
/// [overwrite](crate::QueueOptions::overwrite) and its oldest item in nobody's hands. A `get` and a `close`
/// wake the waiter.
pub struct Space<T>(pub(crate) Queue<T>);

impl<T> Queue<T> {
    /// That there is room for an item, as something that `wait_any` can wait for; the queue itself
    /// stands for an item that is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::Queue;
    /// use crossproc_segment::wait::wait_any;
    ///
    /// let (from, to) = (Queue::<u8>::bounded(1)?, Queue::<u8>::bounded(1)?);
    /// let room = to.space();
    /// assert_eq!(wait_any(&[&from, &room], Duration::from_secs(1))?, [1]);
    /// from.put(1)?;
    /// assert_eq!(wait_any(&[&from, &room], None)?, [0, 1]);
    /// to.put(from.get()?)?;
    /// assert_eq!(wait_any(&[&from, &room], Duration::from_millis(1))?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn space(&self) -> Space<T> {
        Space(self.clone())
    }
}

impl<T> Waitable for Space<T> {
    fn is_ready(&self, look: Look) -> bool {
        if look == Look::Repair {
            self.0.repair_tail();
        }
        match self.0.ring.has_room() {
            Err(Refused::Full) => self.0.over && self.0.ring.has_item().is_ok(),
            _ => true,
        }
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.0.segment(), self.0.ring.header().space())
    }
}

impl<T> fmt::Debug for Space<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Space").field(&self.0).finish()
    }
}
