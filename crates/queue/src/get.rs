//! Getting items.

use std::hint;
use std::ops::ControlFlow;
use std::time::Duration;

use crossproc_message::words::{Words, bytes_of, small};
use crossproc_message::{DecodeError, Message};
use crossproc_segment::MemberId;
use crossproc_segment::wait::{Look, Spin, block_on, now_and_then};
use crossproc_sys::clock::Deadline;

use crate::error::{GetError, TryGetError};
use crate::iter::Iter;
use crate::lease::Entry;
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{Form, NoItem};

/// Looks in a row while spinning, of which the last is a whole attempt.
const ROW: u32 = 16;

impl<T: Message> Queue<T> {
    /// Takes the first item. Blocks while the queue is empty.
    ///
    /// While it waits it notices within 0.1 s if a process died in the middle of putting or taking
    /// the item it waits for.
    ///
    /// What was given back from a [`lease`](Self::lease) comes first. A closed queue is at its end when no
    /// other process has a lease either.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put(7)?;
    /// assert_eq!(queue.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GetError::Closed`] once the queue is closed and drained; see [`GetError`] for the rest.
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        // As in `get_within`, and not by way of what that returns.
        match self.get_at_once() {
            Some(Ok(item)) => Ok(item),
            Some(Err(error)) => Err(GetError::Malformed(error)),
            None => self.get_endless(),
        }
    }

    /// Takes the first item if there is one. Never blocks.
    ///
    /// An item that another process is just putting is not there yet, and neither are those behind
    /// it; nor is any while another is taking a run of them ([`get_many`](Self::get_many)), or a large one.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Queue, TryGetError};
    ///
    /// let queue = Queue::<u8>::bounded(1)?;
    /// assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    /// queue.put(1)?;
    /// assert_eq!(queue.try_get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`], or as [`get`](Self::get).
    #[inline]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.get_within(Patience::None)
    }

    /// Takes the first item. Blocks while the queue is empty, but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::{Queue, TryGetError};
    ///
    /// let queue = Queue::<u8>::bounded(1)?;
    /// let nothing = queue.get_timeout(Duration::from_millis(1));
    /// assert!(matches!(nothing, Err(TryGetError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the timeout.
    #[inline]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TryGetError> {
        self.get_within(Patience::For(timeout))
    }

    /// Takes the first item. Blocks while the queue is empty, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get), [`TryGetError::Empty`] after the deadline.
    #[inline]
    pub fn get_deadline(&self, deadline: Deadline) -> Result<T, TryGetError> {
        self.get_within(Patience::Until(deadline))
    }

    /// Takes items until the queue is closed and drained. Blocks while it is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put(1)?;
    /// queue.put(2)?;
    /// queue.close();
    /// let mut sum = 0;
    /// for item in queue.iter() {
    ///     sum += item?;
    /// }
    /// assert_eq!(sum, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// Each way makes its own result: where one memory takes that of both, an item is written there in words and
    /// read again by lines, which waits until all that was written is in the cache.
    #[inline(always)]
    pub(crate) fn get_within(&self, patience: Patience) -> Result<T, TryGetError> {
        match self.get_at_once() {
            Some(Ok(item)) => Ok(item),
            Some(Err(error)) => Err(TryGetError::Malformed(error)),
            None => self.get_otherwise(patience),
        }
    }

    /// Takes a small item if nothing stands in the way.
    #[inline(always)]
    fn get_at_once(&self) -> Option<Result<T, DecodeError>> {
        let bytes = small::<T>()?;
        let mut words = Words::empty(bytes);
        if !self.ring.take_words_at_once(words.of_mut(bytes)) {
            return None;
        }
        self.ring.header().space().notify_one();
        Some(words.decode())
    }

    #[inline(always)]
    fn get_endless(&self) -> Result<T, GetError> {
        if small::<T>().is_some() {
            return self.rarely_get_endless();
        }
        self.get_large(Patience::Endless).map_err(TryGetError::without_empty)
    }

    #[cold]
    #[inline(never)]
    fn rarely_get_endless(&self) -> Result<T, GetError> {
        self.get_small(Patience::Endless).map_err(TryGetError::without_empty)
    }

    #[inline(always)]
    fn get_otherwise(&self, patience: Patience) -> Result<T, TryGetError> {
        if small::<T>().is_some() {
            self.rarely_get_small(patience)
        } else {
            self.get_large(patience)
        }
    }

    /// Only says that it is rare: what is cold itself is made small, and not fast.
    #[cold]
    #[inline(never)]
    fn rarely_get_small(&self, patience: Patience) -> Result<T, TryGetError> {
        self.get_small(patience)
    }

    #[inline(never)]
    fn get_small(&self, patience: Patience) -> Result<T, TryGetError> {
        let mut patience = patience.until();
        // Nothing that the looks below could take.
        if self.ring.is_leased() {
            return self.get_small_beside(patience);
        }
        if matches!(patience, Patience::None) {
            return self.get_small_slowly(patience, &self.consumers);
        }
        let bytes = bytes_of::<T>();
        let mut words = Words::empty(bytes);
        let trailed = self.keep_distance(&mut patience, None)
            && matches!(self.ring.take_words_unless_leased(words.of_mut(bytes)), Ok(true));
        if !trailed && !self.spin_for(words.of_mut(bytes)) {
            return self.get_small_slowly(patience, &Spin::spent());
        }
        self.ring.header().space().notify_one();
        words.decode().map_err(TryGetError::Malformed)
    }

    #[cold]
    #[inline(never)]
    fn get_small_slowly(&self, patience: Patience, spin: &Spin) -> Result<T, TryGetError> {
        let mut words = Words::empty(bytes_of::<T>());
        let taken = self.receive_spinning(patience, Entry::ToOwe, spin, |_| {
            let taken = self.ring.take_words_unless_leased(words.as_mut_slice())?;
            self.ring.header().space().notify_one();
            Ok(taken)
        })?;
        if taken {
            words.decode().map_err(TryGetError::Malformed)
        } else {
            self.get_small_beside(patience)
        }
    }

    /// Spins for a small item with looks of a few loads each; whether it took one. Now and then a look is a
    /// whole attempt, which moves on what others have left behind and finds that waiting is of no use.
    #[inline(always)]
    fn spin_for(&self, words: &mut [u64]) -> bool {
        let lingered = self.linger_for_items(&self.consumers);
        let taken = self.consumers.until_break_in_rows(ROW, || {
            let mut watch = self.ring.watch_head();
            for _ in 1..ROW {
                if self.ring.take_words_watched(&mut watch, words) {
                    return ControlFlow::Break(Some(()));
                }
                hint::spin_loop();
            }
            match self.ring.take_words_unless_leased(words) {
                Ok(true) => ControlFlow::Break(Some(())),
                Err(NoItem::Empty | NoItem::Pending) => ControlFlow::Continue(()),
                Ok(false) | Err(_) => ControlFlow::Break(None),
            }
        });
        if lingered {
            self.consumers.lingered(self.ring.has_item().is_ok());
        }
        taken.is_some()
    }

    /// Where there were leases ever; apart, since whoever spins in [`get_small`](Self::get_small)
    /// notices an item the later the more there is to look at.
    #[cold]
    #[inline(never)]
    fn get_small_beside(&self, patience: Patience) -> Result<T, TryGetError> {
        let mut words = Words::empty(bytes_of::<T>());
        self.look_sometimes();
        if self.ring.take_words_beside(words.as_mut_slice()) {
            self.ring.header().space().notify_one();
            return words.decode().map_err(TryGetError::Malformed);
        }
        let mut take = |_| {
            self.ring.take_words(words.as_mut_slice())?;
            self.ring.header().space().notify_one();
            Ok(words.decode().map_err(TryGetError::Malformed))
        };
        self.receive(patience, Entry::ToOwe, |me| self.get_beside_leases(me, &mut take))?
    }

    /// One attempt at the first item, whatever its form; what was leased is not looked at.
    #[inline]
    pub(crate) fn take_once(&self, me: MemberId) -> Result<Result<T, TryGetError>, NoItem> {
        match (small::<T>(), self.plan.form) {
            (Some(bytes), _) => {
                let mut words = Words::empty(bytes);
                if !self.ring.take_words_at_once(words.as_mut_slice()) {
                    self.ring.take_words(words.as_mut_slice())?;
                }
                self.ring.header().space().notify_one();
                Ok(words.decode().map_err(TryGetError::Malformed))
            }
            (None, Form::Messages) => self.get_message(me),
            (None, Form::Words | Form::Bytes) => self.get_bytes(me),
        }
    }

    fn get_large(&self, mut patience: Patience) -> Result<T, TryGetError> {
        if self.plan.form == Form::Messages {
            if let Some(got) = self.take_short(true) {
                return got;
            }
            self.keep_distance(&mut patience, None);
        }
        let take = |me| match self.plan.form {
            Form::Words | Form::Bytes => self.get_bytes(me),
            Form::Messages => self.get_message(me),
        };
        self.receive(patience, Entry::ToOwe, |me| self.get_beside_leases(me, take))?
    }

    /// Makes attempts until one succeeds or the patience ends. An attempt that takes an item wakes a
    /// producer itself, as soon as its place is free. `entry` is what it waits for that says that all
    /// are leased.
    #[inline]
    pub(crate) fn receive<R>(
        &self,
        patience: Patience,
        entry: Entry,
        attempt: impl FnMut(MemberId) -> Result<R, NoItem>,
    ) -> Result<R, TryGetError> {
        self.receive_spinning(patience, entry, &self.consumers, attempt)
    }

    /// The same for one who may have spun already.
    #[inline]
    fn receive_spinning<R>(
        &self,
        patience: Patience,
        entry: Entry,
        spin: &Spin,
        mut attempt: impl FnMut(MemberId) -> Result<R, NoItem>,
    ) -> Result<R, TryGetError> {
        match attempt(self.me()) {
            Ok(got) => Ok(got),
            Err(none @ (NoItem::Empty | NoItem::Pending | NoItem::AllLeased)) => {
                self.receive_slow(patience, entry, none, spin, attempt)
            }
            Err(none) => Err(none.into()),
        }
    }

    #[cold]
    fn receive_slow<R>(
        &self,
        patience: Patience,
        entry: Entry,
        none: NoItem,
        spin: &Spin,
        mut attempt: impl FnMut(MemberId) -> Result<R, NoItem>,
    ) -> Result<R, TryGetError> {
        if matches!(patience, Patience::None) {
            if none != NoItem::AllLeased && self.linger_for_items(spin) {
                let answer = attempt(self.me());
                spin.lingered(answer.is_ok() && self.ring.has_item().is_ok());
                if answer.is_ok() {
                    return answer.map_err(TryGetError::from);
                }
            }
            let again = now_and_then() && self.repair_head();
            let answer = if again { attempt(self.me()) } else { Err(none) };
            return answer.map_err(TryGetError::from);
        }
        let deadline = patience.deadline();
        if none == NoItem::AllLeased && !self.wait_for_entry(entry, deadline) {
            return Err(TryGetError::AllLeased);
        }
        let lingered = none != NoItem::AllLeased && self.linger_for_items(spin);
        let answer = loop {
            match self.receive_item(deadline, spin, &mut attempt) {
                Err(NoItem::AllLeased) if self.wait_for_entry(entry, deadline) => {}
                answer => break answer.map_err(TryGetError::from),
            }
        };
        if lingered {
            spin.lingered(self.ring.has_item().is_ok());
        }
        answer
    }

    /// Waits for an item, and makes attempts until one succeeds or finds that all are leased.
    fn receive_item<R>(
        &self,
        deadline: Option<Deadline>,
        spin: &Spin,
        mut attempt: impl FnMut(MemberId) -> Result<R, NoItem>,
    ) -> Result<R, NoItem> {
        let items = self.ring.items();
        let mut look = |look| {
            // Claims of many dead in a row are ended in one look.
            for _ in 0..=self.capacity() {
                let again = look == Look::Repair && self.repair_head();
                match attempt(self.me()) {
                    Err(NoItem::Empty | NoItem::Pending | NoItem::AllLeased) if again => {}
                    Err(NoItem::Empty | NoItem::Pending) => return None,
                    answer => return Some(answer),
                }
            }
            None
        };
        let wait = |until| block_on(self.segment(), items, spin, until, &mut look);
        let answer = self.wait_beside_leases(deadline, wait);
        if items.has_waiters() {
            self.ring.wake_next_consumer();
        }
        answer.unwrap_or(Err(NoItem::Empty))
    }
}

impl<T> Queue<T> {
    /// Ends the claim at this end and the leases whose owners are dead, and closes the queue if the
    /// last counted handle of a side is gone; whether there was any of that.
    pub(crate) fn repair_head(&self) -> bool {
        let (closed, leases) = (self.look_after_ends(), self.repair_leases());
        self.ring.repair_head(|id| self.segment().alive(id)) || closed || leases
    }
}
