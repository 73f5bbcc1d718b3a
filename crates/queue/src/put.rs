//! Putting items.

use std::time::Duration;

use crossproc_message::Message;
use crossproc_message::words::{Words, bytes_of, small};
use crossproc_segment::MemberId;
use crossproc_segment::wait::{Look, block_on, now_and_then};
use crossproc_sys::clock::Deadline;

use crate::error::{PutError, Refusal, TryPutError};
use crate::queue::Queue;
use crate::raw::{Form, Refused};

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    For(Duration),
    Until(Deadline),
    Endless,
}

impl Patience {
    /// The same with a deadline in the place of a timeout: for more than one wait.
    pub(crate) fn until(self) -> Self {
        match self {
            Self::For(timeout) => Self::Until(Deadline::after(timeout)),
            other => other,
        }
    }

    /// The deadline of one who waits; only asked for where waiting begins.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::None | Self::Endless => None,
            Self::For(timeout) => Some(Deadline::after(timeout)),
            Self::Until(deadline) => Some(deadline),
        }
    }
}

impl<T: Message> Queue<T> {
    /// Puts an item at the end. Blocks while the queue is full.
    ///
    /// While it waits it notices within 0.1 s if a process died that held a place.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<(u32, String)>::bounded(4)?;
    /// queue.put((1, "one".to_string()))?;
    /// assert_eq!(queue.get()?, (1, "one".to_string()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutError`], which gives the item back: the queue was closed, or the item cannot be sent.
    #[inline]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        match self.put_within(&item, Patience::Endless) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_put(item)),
        }
    }

    /// Puts an item at the end if there is room. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Queue, TryPutError};
    ///
    /// let queue = Queue::<u8>::bounded(1)?;
    /// queue.try_put(1)?;
    /// assert!(matches!(queue.try_put(2), Err(TryPutError::Full(2))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryPutError`], which gives the item back: [`TryPutError::Full`], or as [`put`](Self::put).
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        match self.put_within(&item, Patience::None) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_try_put(item)),
        }
    }

    /// Puts an item at the end. Blocks while the queue is full, but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc_queue::Queue::<u8>::bounded(1)?;
    /// queue.put_timeout(1, Duration::from_millis(1))?;
    /// let refused = queue.put_timeout(2, Duration::from_millis(1)).unwrap_err();
    /// assert!(refused.is_full());
    /// assert_eq!(refused.into_item(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put), [`TryPutError::Full`] after the timeout.
    #[inline]
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        match self.put_within(&item, Patience::For(timeout)) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_try_put(item)),
        }
    }

    /// Puts an item at the end. Blocks while the queue is full, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put), [`TryPutError::Full`] after the deadline.
    #[inline]
    pub fn put_deadline(&self, item: T, deadline: Deadline) -> Result<(), TryPutError<T>> {
        match self.put_within(&item, Patience::Until(deadline)) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.of_try_put(item)),
        }
    }

    /// Writes the item first, so that what cannot be sent claims no place.
    #[inline(always)]
    pub(crate) fn put_within(&self, item: &T, patience: Patience) -> Result<(), Refusal> {
        let Some(bytes) = small::<T>() else { return self.put_large(item, patience) };
        let words = Words::encode(item, bytes)?;
        if !self.ring.put_words_at_once(self.me(), words.of(bytes)) {
            return self.put_small(item, patience);
        }
        self.ring.items().notify_one();
        Ok(())
    }

    /// Writes the item once more, which spares those who need not wait a copy in memory.
    #[cold]
    #[inline(never)]
    fn put_small(&self, item: &T, patience: Patience) -> Result<(), Refusal> {
        let words = Words::encode(item, bytes_of::<T>())?;
        self.send(patience, |me| Ok(self.ring.put_words(me, words.as_slice())?))
    }

    fn put_large(&self, item: &T, patience: Patience) -> Result<(), Refusal> {
        if self.plan.form == Form::Messages {
            return self.put_any_message(item, patience);
        }
        if matches!(patience, Patience::None) {
            // Not worth writing the item for.
            self.refuse_if_full()?;
        }
        let bytes = self.write_bytes(item)?;
        self.send(patience, |me| self.put_bytes(me, &bytes.0))
    }

    pub(crate) fn refuse_if_full(&self) -> Result<(), Refusal> {
        match self.ring.has_room() {
            Err(Refused::Full) if self.over => Ok(()),
            Err(Refused::Full) if now_and_then() && self.repair_tail() => Ok(()),
            answer => Ok(answer?),
        }
    }

    /// Makes attempts until one succeeds or the patience ends, then wakes a consumer.
    pub(crate) fn send(
        &self,
        patience: Patience,
        attempt: impl FnMut(MemberId) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.make_room(patience, attempt)?;
        self.ring.items().notify_one();
        Ok(())
    }

    /// Makes attempts until one succeeds or the patience ends. Wakes nobody.
    #[inline]
    pub(crate) fn make_room<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(MemberId) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        match attempt(self.me()) {
            Err(Refusal::Full) => self.make_room_slowly(patience, attempt),
            answer => answer,
        }
    }

    #[cold]
    fn make_room_slowly<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(MemberId) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        if self.over {
            match self.displace(&mut attempt) {
                // The oldest item is in somebody's hands.
                Err(Refusal::Full) => {}
                answer => return answer,
            }
        }
        if matches!(patience, Patience::None) {
            if self.linger_for_room() {
                let answer = attempt(self.me());
                self.producers.lingered(answer.is_ok() && self.ring.has_room().is_ok());
                if answer.is_ok() {
                    return answer;
                }
            }
            let again = now_and_then() && self.repair_tail();
            return if again { attempt(self.me()) } else { Err(Refusal::Full) };
        }
        let space = self.ring.header().space();
        let look = |look| {
            if look == Look::Repair {
                self.repair_tail();
            }
            let answer = match attempt(self.me()) {
                Err(Refusal::Full) if self.over => self.displace(&mut attempt),
                answer => answer,
            };
            (!matches!(answer, Err(Refusal::Full))).then_some(answer)
        };
        let deadline = patience.deadline();
        let lingered = self.linger_for_room();
        let answer = block_on(self.segment(), space, &self.producers, deadline, look);
        if lingered {
            self.producers.lingered(self.ring.has_room().is_ok());
        }
        if space.has_waiters() {
            self.ring.wake_next_producer();
        }
        answer.unwrap_or(Err(Refusal::Full))
    }
}

impl<T> Queue<T> {
    /// Ends the claim at this end if its owner is dead, and the leases of those who died before they
    /// freed the place, and closes the queue if the last counted handle of a side is gone; whether
    /// there was any of that.
    pub(crate) fn repair_tail(&self) -> bool {
        let (closed, leases) = (self.look_after_ends(), self.repair_leases());
        self.ring.repair_tail(|id| self.segment().alive(id)) || closed || leases
    }
}
