//! Putting into a full queue, at the cost of the oldest item.

use std::hint;

use crossproc_message::Message;
use crossproc_message::words::Words;
use crossproc_segment::MemberId;

use crate::error::{PutOverError, Refusal, TryGetError};
use crate::queue::Queue;
use crate::raw::{Form, NoItem};

/// After so many attempts at a full queue whose oldest item cannot be taken out it stays full. An
/// operation that is under way there is over sooner, unless its process does not run.
const ATTEMPTS: u32 = 200;

impl<T: Message> Queue<T> {
    /// Puts an item at the end; if the queue is full, takes the oldest out to make room, and gives it
    /// back. Never blocks.
    ///
    /// Mostly nothing or one item comes back; more if other producers are faster to take the place.
    /// A process killed in it has taken out at most as many, and has put its own item or has not.
    /// Consumers see the items in order, without those that were taken out. An old item that no
    /// process can read is taken out and does not come back.
    ///
    /// Of a queue made with [`overwrite`](crate::QueueOptions::overwrite) each form of
    /// [`put`](Self::put) does so, and drops what it took out; where the oldest item is in another's hands
    /// they wait, if they may, as for room.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(2)?;
    /// assert_eq!(queue.put_over(1)?, []);
    /// assert_eq!(queue.put_over(2)?, []);
    /// assert_eq!(queue.put_over(3)?, [1]);
    /// assert_eq!((queue.get()?, queue.get()?), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutOverError`], which gives back the item and whatever was taken out for it in vain.
    /// [`Full`](crate::TryPutError::Full) if the oldest item is just being put or taken by a process that is
    /// stopped, or slow, or if others kept taking the place that was made. [`Closed`] also if that
    /// happened meanwhile. [`OutOfMemory`], though the old items would have made room: they are not
    /// touched before the message has its block.
    ///
    /// [`Closed`]: crate::TryPutError::Closed
    /// [`OutOfMemory`]: crate::TryPutError::OutOfMemory
    pub fn put_over(&self, item: T) -> Result<Vec<T>, PutOverError<T>> {
        let mut displaced = Vec::new();
        match self.put_displacing(&item, |oldest| displaced.extend(oldest)) {
            Ok(()) => Ok(displaced),
            Err(refusal) => Err(PutOverError { displaced, error: refusal.of_try_put(item) }),
        }
    }

    /// Writes the item before anything is taken out for it.
    fn put_displacing(&self, item: &T, out: impl FnMut(Option<T>)) -> Result<(), Refusal> {
        let take = |me| self.take_oldest(me);
        match self.plan.form {
            Form::Words => {
                let words = Words::encode(item, self.plan.bytes)?;
                let put = |me| Ok(self.ring.put_words(me, words.as_slice())?);
                self.displacing(put, take, out)
            }
            Form::Bytes => {
                let bytes = self.write_bytes(item)?;
                self.displacing(|me| self.put_bytes(me, &bytes.0), take, out)
            }
            Form::Messages => {
                let mut message = self.write_message(item)?;
                self.displacing(|me| self.put_message(me, &mut message), take, out)
            }
        }?;
        self.ring.header().items().notify_one();
        Ok(())
    }

    /// For puts of a queue that was made to overwrite: makes attempts, and drops the oldest items,
    /// until one succeeds.
    #[cold]
    pub(crate) fn displace<R>(
        &self,
        attempt: impl FnMut(MemberId) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.displacing(attempt, |me| self.drop_oldest(me), |()| self.ring.count_dropped())
    }

    fn displacing<R, O>(
        &self,
        mut attempt: impl FnMut(MemberId) -> Result<R, Refusal>,
        mut take: impl FnMut(MemberId) -> Result<O, NoItem>,
        mut out: impl FnMut(O),
    ) -> Result<R, Refusal> {
        let mut looked = false;
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            match attempt(self.me()) {
                Err(Refusal::Full) => {}
                answer => return answer,
            }
            match take(self.me()) {
                Ok(oldest) => {
                    out(oldest);
                    // It is done without an entry, and the put may yet be refused.
                    self.ring.desk().done().notify_all();
                }
                Err(NoItem::Corrupt) => return Err(Refusal::Corrupt),
                Err(_) if !looked => {
                    looked = true;
                    self.repair_head();
                    self.repair_tail();
                }
                Err(_) => hint::spin_loop(),
            }
            attempts += 1;
        }
        // The last place that was made may still be free.
        attempt(self.me())
    }

    /// Takes the oldest item; `None` for one that cannot be read, which is out as well.
    fn take_oldest(&self, me: MemberId) -> Result<Option<T>, NoItem> {
        let got = match self.plan.form {
            Form::Words => {
                let mut words = Words::empty(self.plan.bytes);
                self.ring.take_words(words.as_mut_slice())?;
                return Ok(words.decode().ok());
            }
            Form::Bytes => self.get_bytes(me)?,
            Form::Messages => self.get_message(me)?,
        };
        if matches!(got, Err(TryGetError::Unreachable(_))) {
            self.discard_message(me)?;
        }
        Ok(got.ok())
    }

    /// Takes the oldest item out unread.
    fn drop_oldest(&self, me: MemberId) -> Result<(), NoItem> {
        match self.plan.form {
            Form::Words => self.ring.take_words(&mut []),
            Form::Bytes => self.ring.hold(me)?.commit(),
            Form::Messages => self.drop_message(me),
        }
    }
}

impl<T> Queue<T> {
    /// How many items were dropped since a queue was made with
    /// [`overwrite`](crate::QueueOptions::overwrite), for want of a place. A producer that was killed
    /// may have dropped one that is not counted.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::Queue;
    ///
    /// let latest = Queue::<u32>::options().overwrite(true).bounded(2)?;
    /// for reading in 0..5 {
    ///     latest.put(reading)?;
    /// }
    /// assert_eq!(latest.overwritten(), 3);
    /// assert_eq!((latest.get()?, latest.get()?), (3, 4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn overwritten(&self) -> u64 {
        self.ring.dropped()
    }
}
