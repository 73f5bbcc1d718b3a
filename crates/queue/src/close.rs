//! Why a queue is closed, who is counted, and the end at once.

use std::fmt;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_sys::clock::Deadline;

use crate::consumer::Consumer;
use crate::error::{GetError, Result, TryGetError};
use crate::producer::Producer;
use crate::queue::Queue;
use crate::raw::Side;

/// Why a queue is closed; from [`Queue::why_closed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Somebody called [`Queue::close`], or a form of it.
    Called,
    /// The last counted producer was dropped, or its process ended.
    NoProducers,
    /// The last counted consumer was dropped, or its process ended.
    NoConsumers,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Called => "the queue was closed by a call",
            Self::NoProducers => "the last producer of the queue is gone",
            Self::NoConsumers => "the last consumer of the queue is gone",
        })
    }
}

impl<T> Queue<T> {
    /// Makes a counted handle of those who put. Never blocks.
    ///
    /// Once a producer was counted, the queue closes for ever when the last one is dropped **or its
    /// process ends**, however it does: consumers take what is in and then see
    /// [`GetError::Closed`], those that wait too. See [`Producer`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Cause, Queue};
    ///
    /// let queue = Queue::<u32>::bounded(4)?;
    /// let producer = queue.producer()?;
    /// producer.put(7)?;
    /// drop(producer);
    /// assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>()?, [7]);
    /// assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoPlace`](crate::Error::NoPlace): as many processes have producers as the queue was
    /// made for.
    pub fn producer(&self) -> Result<Producer<T>> {
        Producer::new(self.clone())
    }

    /// Makes a counted handle of those who take. Never blocks.
    ///
    /// Once a consumer was counted, the queue closes for ever when the last one is dropped or its
    /// process ends: producers get their items back in [`PutError::Closed`], those that wait too.
    /// See [`Consumer`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PutError, Queue};
    ///
    /// let queue = Queue::<u32>::bounded(4)?;
    /// let consumer = queue.consumer()?;
    /// queue.put(7)?;
    /// assert_eq!(consumer.get()?, 7);
    /// drop(consumer);
    /// assert!(matches!(queue.put(8), Err(PutError::Closed(8))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`producer`](Self::producer).
    ///
    /// [`PutError::Closed`]: crate::PutError::Closed
    pub fn consumer(&self) -> Result<Consumer<T>> {
        Consumer::new(self.clone())
    }

    /// Counted producers, at that moment: handles, with those on their way to another process and
    /// those of processes whose end nobody has noticed yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// let producer = queue.producer()?;
    /// let another = producer.clone();
    /// assert_eq!((queue.producers_counted(), queue.consumers_counted()), (2, 0));
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    #[must_use]
    pub fn producers_counted(&self) -> usize {
        self.handles(Side::Producers)
    }

    /// Counted consumers, as [`producers_counted`](Self::producers_counted).
    #[must_use]
    pub fn consumers_counted(&self) -> usize {
        self.handles(Side::Consumers)
    }

    fn handles(&self, side: Side) -> usize {
        usize::try_from(self.row(side).handles()).unwrap_or(usize::MAX)
    }

    /// Why the queue is closed, or `None` while it is open: a snapshot. If two causes met, one of
    /// them.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Cause, Queue};
    ///
    /// let queue = Queue::<u32>::bounded(4)?;
    /// assert_eq!(queue.why_closed(), None);
    /// queue.close();
    /// assert_eq!(queue.why_closed(), Some(Cause::Called));
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    #[must_use]
    pub fn why_closed(&self) -> Option<Cause> {
        if !self.is_closed() {
            return None;
        }
        Some(if self.row(Side::Producers).is_shut() {
            Cause::NoProducers
        } else if self.row(Side::Consumers).is_shut() {
            Cause::NoConsumers
        } else {
            Cause::Called
        })
    }

    /// Takes back the counts of handles that this process has sent and that have not arrived: for a
    /// process that knows that they never will, as the one they were sent to was killed on its way
    /// up. Never blocks.
    ///
    /// A handle that arrives nevertheless is counted then, unless its side is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Producer, Queue};
    ///
    /// let queue = Queue::<u32>::bounded(4)?;
    /// let mail = Queue::<Producer<u32>>::bounded(4)?;
    /// mail.put(queue.producer()?)?;
    /// assert!(!queue.is_closed());
    /// queue.recall();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recall(&self) {
        let (me, segment) = (self.me(), self.segment());
        let alive = |id| segment.alive(id);
        let over = [Side::Producers, Side::Consumers].map(|side| self.row(side).recall(me, alive));
        if over.contains(&true) {
            self.close();
        }
    }
}

impl<T: Message> Queue<T> {
    /// Closes the queue and takes out all that is in it, in order: what [`iter`](Queue::iter) would
    /// bring after [`close`](Queue::close). An item that cannot be read is an error in its place.
    ///
    /// Blocks as [`get`](Queue::get) does, which at a closed queue is as long as a process that
    /// lives is in the middle of putting or taking an item. Each item is taken once, whoever else
    /// takes or closes meanwhile. What other processes have on [lease](Queue::lease) may come back,
    /// and is waited for; [`join`](Queue::join) does not wait for what was dropped. If the process is
    /// killed in it, what it had taken is gone with it, and the rest can be taken by the consumers, or
    /// by another `close_now`.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// queue.put(1)?;
    /// queue.put(2)?;
    /// let dropped: Result<Vec<u32>, _> = queue.close_now().into_iter().collect();
    /// assert_eq!(dropped?, [1, 2]);
    /// assert!(queue.is_closed() && queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now(&self) -> Vec<Result<T, GetError>> {
        self.close();
        let all: Vec<_> = self.iter().take(self.most()).collect();
        all.iter().for_each(|got| self.drop_owed(got.is_ok()));
        all
    }

    /// As [`close_now`](Self::close_now), blocking until `deadline` at most. If it passes, the last
    /// of the results is [`TryGetError::Empty`], and the queue may still hold items.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::clock::Deadline;
    ///
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// queue.put(1)?;
    /// let dropped = queue.close_now_deadline(Deadline::from_nanos(1));
    /// assert!(matches!(dropped[..], [Ok(1)]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_now_deadline(&self, deadline: Deadline) -> Vec<Result<T, TryGetError>> {
        self.close();
        take_rest(self.most(), || {
            let got = self.get_deadline(deadline);
            self.drop_owed(got.is_ok());
            got
        })
    }

    /// As [`close_now_deadline`](Self::close_now_deadline), with a time from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = crossproc_queue::Queue::<u32>::bounded(4)?;
    /// assert!(queue.close_now_timeout(Duration::ZERO).is_empty());
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    pub fn close_now_timeout(&self, timeout: Duration) -> Vec<Result<T, TryGetError>> {
        self.close_now_deadline(Deadline::after(timeout))
    }

    /// Items that a closed queue can have, whatever a broken peer may write.
    fn most(&self) -> usize {
        self.capacity() + self.ring.leases() as usize
    }
}

/// Takes what is left in a closed queue, at most so many items, as long as something comes.
pub(crate) fn take_rest<R>(
    most: usize,
    mut get: impl FnMut() -> Result<R, TryGetError>,
) -> Vec<Result<R, TryGetError>> {
    let mut taken = Vec::new();
    for _ in 0..most {
        let got = get();
        if matches!(got, Err(TryGetError::Closed)) {
            break;
        }
        let goes_on = matches!(got, Ok(_) | Err(TryGetError::Malformed(_)));
        taken.push(got);
        if !goes_on {
            break;
        }
    }
    taken
}
