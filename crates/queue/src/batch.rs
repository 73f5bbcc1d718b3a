//! Items by the dozen: one claim of `tail` or `head`, and one wake, for a run of them.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_message::words::{Words, bytes_of, small, words_of};
use crossproc_segment::MemberId;
use crossproc_sys::clock::Deadline;

use crate::error::{GetError, PutManyError, Refusal, TryGetError};
use crate::lease::Entry;
use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{MAX_RUN, NoItem, Ring};

/// Items claimed at once, at most: so many stay with a producer that is stopped in the middle.
const RUN: usize = MAX_RUN as usize;
/// Words copied at once, at most.
const RUN_WORDS: usize = 256;

impl<T: Message> Queue<T> {
    /// Puts all the items, in order. Blocks while the queue is full.
    ///
    /// Small items of a fixed size are put in runs of up to 64, which costs less than half of a
    /// [`put`](Self::put) each and wakes consumers once a run. A run comes whole, others' items only
    /// before or behind it; while its producer writes it, consumers wait for it. A process killed in
    /// it has put whole runs, a prefix of the items.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(100)?;
    /// queue.put_many(&[1, 2, 3])?;
    /// let mut got = Vec::new();
    /// assert_eq!(queue.get_many(&mut got, 64)?, 3);
    /// assert_eq!(got, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PutManyError`], which says how many items were put before the queue was closed, or an item
    /// was refused.
    pub fn put_many(&self, items: &[T]) -> Result<(), PutManyError> {
        self.put_many_within(items, Patience::Endless).map(|_| ())
    }

    /// Puts as many of the items as there is room for, in order, and tells how many. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(2)?;
    /// assert_eq!(queue.try_put_many(&[1, 2, 3])?, 2);
    /// assert_eq!(queue.try_put_many(&[3])?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    pub fn try_put_many(&self, items: &[T]) -> Result<usize, PutManyError> {
        self.put_many_within(items, Patience::None)
    }

    /// Puts the items, in order, and tells how many were put. Blocks while the queue is full, but in
    /// all no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    pub fn put_many_timeout(&self, items: &[T], timeout: Duration) -> Result<usize, PutManyError> {
        self.put_many_deadline(items, Deadline::after(timeout))
    }

    /// Puts the items, in order, and tells how many were put. Blocks while the queue is full, until
    /// `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    pub fn put_many_deadline(
        &self,
        items: &[T],
        deadline: Deadline,
    ) -> Result<usize, PutManyError> {
        self.put_many_within(items, Patience::Until(deadline))
    }

    /// Takes the first items, up to `most` of them, and appends them to `out`; tells how many.
    /// Blocks while the queue is empty, and then takes what is ready.
    ///
    /// Small items of a fixed size are taken in runs of up to 64; while a consumer reads one, others wait
    /// for it. A process killed in it has taken whole runs, a prefix of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(100)?;
    /// queue.put_many(&[1, 2, 3])?;
    /// let mut got = Vec::new();
    /// assert_eq!(queue.get_many(&mut got, 2)?, 2);
    /// assert_eq!(queue.get_many(&mut got, 2)?, 1);
    /// assert_eq!(got, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). Items taken before one that is malformed are in `out` then; an
    /// unreachable one, or the end of the queue, is told by the next call.
    pub fn get_many(&self, out: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(out, most, Patience::Endless).map_err(TryGetError::without_empty)
    }

    /// Takes the first items that are ready, up to `most` of them, and appends them to `out`; tells
    /// how many. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::TryGetError;
    ///
    /// let queue = crossproc_queue::Queue::<u32>::bounded(100)?;
    /// let nothing = queue.try_get_many(&mut Vec::new(), 10);
    /// assert!(matches!(nothing, Err(TryGetError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Empty`], or as [`get_many`](Self::get_many).
    pub fn try_get_many(&self, out: &mut Vec<T>, most: usize) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::None)
    }

    /// As [`get_many`](Self::get_many), but blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`try_get_many`](Self::try_get_many), [`TryGetError::Empty`] after the timeout.
    pub fn get_many_timeout(
        &self,
        out: &mut Vec<T>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::For(timeout))
    }

    /// As [`get_many`](Self::get_many), but blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`try_get_many`](Self::try_get_many), [`TryGetError::Empty`] after the deadline.
    pub fn get_many_deadline(
        &self,
        out: &mut Vec<T>,
        most: usize,
        deadline: Deadline,
    ) -> Result<usize, TryGetError> {
        self.get_many_within(out, most, Patience::Until(deadline))
    }

    pub(crate) fn put_many_within(
        &self,
        items: &[T],
        patience: Patience,
    ) -> Result<usize, PutManyError> {
        let mut put = 0;
        while let Some(left) = items.get(put..).filter(|left| !left.is_empty()) {
            let answer = match small::<T>() {
                Some(_) => self.put_run(left, patience),
                None => self.put_within(&left[0], patience).map(|()| 1),
            };
            match answer {
                Ok(more) => put += more,
                Err(Refusal::Full) => break,
                Err(refusal) => return Err(PutManyError { put, error: refusal.of_try_put(()) }),
            }
        }
        Ok(put)
    }

    /// Writes a run of items, and puts as many of them as there is room for.
    #[inline]
    fn put_run(&self, items: &[T], patience: Patience) -> Result<usize, Refusal> {
        let (bytes, words) = (bytes_of::<T>(), words_of(bytes_of::<T>()));
        let items = &items[..items.len().min(run_of(words))];
        let mut buffer = [const { MaybeUninit::<u64>::uninit() }; RUN_WORDS];
        let mut count = 0;
        let mut refused = None;
        for (item, room) in items.iter().zip(buffer.chunks_exact_mut(words.max(1))) {
            match Words::encode(item, bytes) {
                Ok(encoded) => {
                    for (to, &word) in room.iter_mut().zip(encoded.as_slice()) {
                        to.write(word);
                    }
                    count += 1;
                }
                // Those before it are put first.
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if let (0, Some(error)) = (count, refused) {
            return Err(error.into());
        }
        // SAFETY: `words` words of each of the first `count` items were written.
        let payloads = unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), count * words) };
        let count = u32::try_from(count).unwrap_or(0);
        // Asked for anew, so that the words of an item are a constant in there.
        let attempt = |me| Ok(self.ring.put_run(me, payloads, words_of(bytes_of::<T>()), count)?);
        let put = self.make_room(patience, attempt)?;
        self.ring.items().notify_many(put);
        Ok(put as usize)
    }

    fn get_many_within(
        &self,
        out: &mut Vec<T>,
        most: usize,
        patience: Patience,
    ) -> Result<usize, TryGetError> {
        gather(out, most, patience, |out, most, patience| match small::<T>() {
            // Beside leases each item has to be looked for anew.
            Some(_) if !self.ring.is_leased() => self.get_run(out, most, patience),
            _ => self.get_within(patience).map(|item| out.push(item)).map(|()| true),
        })
    }

    /// Takes a run of items, at least one; or none where the first lease was made meanwhile. Says whether
    /// more may be ready.
    #[inline]
    fn get_run(
        &self,
        out: &mut Vec<T>,
        most: usize,
        patience: Patience,
    ) -> Result<bool, TryGetError> {
        let mut run = Run::<T>::of_items(most);
        // Nothing of ours may fail between the commit and the last item's being handed out.
        out.reserve(run.most);
        let taken = self.receive(patience, Entry::ToOwe, |me| run.take(&self.ring, me))?;
        run.hand_out(taken, |item| out.push(item))?;
        Ok(taken == 0 || self.ring.is_busy_at_head())
    }
}

/// Room for a run of small items that are taken.
pub(crate) struct Run<T> {
    /// Items at most.
    pub(crate) most: usize,
    buffer: [u64; RUN_WORDS],
    of: PhantomData<T>,
}

impl<T: Message> Run<T> {
    /// Room for `most` items, or as many as one run has.
    #[inline(always)]
    pub(crate) fn of_items(most: usize) -> Self {
        let most = most.min(run_of(words_of(bytes_of::<T>())));
        Self { most, buffer: [0; RUN_WORDS], of: PhantomData }
    }

    /// Takes those that are ready, at least one, and wakes as many producers; tells how many. None
    /// where a lease was ever made.
    #[inline(always)]
    pub(crate) fn take(&mut self, ring: &Ring, me: MemberId) -> Result<u32, NoItem> {
        let words = words_of(bytes_of::<T>());
        let count = u32::try_from(self.most).unwrap_or(1);
        let taken = ring.take_run(me, &mut self.buffer[..self.most * words], words, count)?;
        ring.header().space().notify_many(taken);
        Ok(taken)
    }

    /// Hands out the items that were taken; says behind them if one was malformed.
    #[inline(always)]
    pub(crate) fn hand_out(&self, taken: u32, mut hand: impl FnMut(T)) -> Result<(), TryGetError> {
        let words = words_of(bytes_of::<T>());
        let mut malformed = None;
        for index in 0..taken as usize {
            let mut item = Words::empty(bytes_of::<T>());
            item.as_mut_slice().copy_from_slice(&self.buffer[index * words..][..words]);
            match item.decode() {
                Ok(item) => hand(item),
                Err(error) => malformed = Some(error),
            }
        }
        malformed.map_or(Ok(()), |error| Err(TryGetError::Malformed(error)))
    }
}

/// Appends to `out` what steps bring, up to `most` items, and tells how many. The first step waits, the
/// others take what is ready, until one says that no more is.
#[inline]
pub(crate) fn gather<R>(
    out: &mut Vec<R>,
    most: usize,
    patience: Patience,
    mut step: impl FnMut(&mut Vec<R>, usize, Patience) -> Result<bool, TryGetError>,
) -> Result<usize, TryGetError> {
    let before = out.len();
    let mut patience = patience.until();
    while out.len() - before < most {
        let most = most - (out.len() - before);
        match step(out, most, patience) {
            // Nothing yet where the first lease was made: then it is looked for beside those.
            Ok(_) if out.len() == before => {}
            Ok(true) => patience = Patience::None,
            Ok(false) => break,
            Err(TryGetError::Malformed(error)) => return Err(TryGetError::Malformed(error)),
            Err(_) if out.len() > before => break,
            Err(error) => return Err(error),
        }
    }
    Ok(out.len() - before)
}

/// Items of so many words in one run.
#[inline(always)]
fn run_of(words: usize) -> usize {
    RUN.min(RUN_WORDS / words.max(1))
}
