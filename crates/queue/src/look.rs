//! Looking at the first item, and taking all that are ready.

use std::iter::FusedIterator;

use crossproc_message::Message;
use crossproc_message::words::{Words, small};
use crossproc_segment::wait::now_and_then;

use crate::error::TryGetError;
use crate::queue::Queue;
use crate::raw::{Form, NoItem};

/// The items that are ready; from [`Queue::drain`].
#[derive(Debug)]
pub struct Drain<'q, T> {
    queue: &'q Queue<T>,
    done: bool,
}

impl<T: Message> Queue<T> {
    /// A copy of the first item, which stays there. Never blocks.
    ///
    /// Another consumer may take the item at once, and so it may differ from what the next
    /// [`get`](Self::get) brings. Larger items, runs of small ones, and those that were on lease and came back are
    /// held while they are copied: other consumers find nothing ready for that time, or the item behind.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<String>::bounded(4)?;
    /// queue.put("first".to_owned())?;
    /// assert_eq!(queue.peek()?, "first");
    /// assert_eq!(queue.get()?, "first");
    /// assert!(queue.peek().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_get`](Self::try_get); a malformed item stays in the queue.
    pub fn peek(&self) -> Result<T, TryGetError> {
        if let Some(item) = self.peek_back(self.me()) {
            return item;
        }
        match self.peek_once() {
            Err(NoItem::Empty | NoItem::Pending) if now_and_then() => {
                self.repair_head();
                self.peek_once()?
            }
            answer => answer?,
        }
    }

    /// One attempt at a copy of the first item.
    pub(crate) fn peek_once(&self) -> Result<Result<T, TryGetError>, NoItem> {
        if let Some(bytes) = small::<T>() {
            let mut words = Words::empty(bytes);
            self.ring.peek_words(words.as_mut_slice())?;
            return Ok(words.decode().map_err(TryGetError::Malformed));
        }
        match self.plan.form {
            Form::Words | Form::Bytes => self.peek_bytes(self.me()),
            Form::Messages => self.peek_message(self.me()),
        }
    }

    /// Takes the items that are ready, until none is: an iterator of what
    /// [`try_get`](Self::try_get) brings. Never blocks.
    ///
    /// It ends where the queue is empty or closed. Items that are put meanwhile are taken as well.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u64>::bounded(4)?;
    /// queue.put_many(&[1, 2, 3])?;
    /// let sum: u64 = queue.drain().sum::<Result<_, _>>()?;
    /// assert_eq!((sum, queue.len()), (6, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drain(&self) -> Drain<'_, T> {
        Drain { queue: self, done: false }
    }
}

impl<T: Message> Iterator for Drain<'_, T> {
    type Item = Result<T, TryGetError>;

    fn next(&mut self) -> Option<Self::Item> {
        drain_step(&mut self.done, || self.queue.try_get())
    }
}

impl<T: Message> FusedIterator for Drain<'_, T> {}

/// One step of a loop until nothing is ready; `done` once no other is to be made.
pub(crate) fn drain_step<R>(
    done: &mut bool,
    try_get: impl FnOnce() -> Result<R, TryGetError>,
) -> Option<Result<R, TryGetError>> {
    if *done {
        return None;
    }
    let got = try_get();
    *done = !matches!(got, Ok(_) | Err(TryGetError::Malformed(_)));
    match got {
        Err(TryGetError::Empty | TryGetError::Closed) => None,
        got => Some(got),
    }
}
