//! Waiting until every item is done.

use std::time::Duration;

use crossproc_segment::wait::{Look, Spin, block_on};
use crossproc_sys::clock::Deadline;

use crate::put::Patience;
use crate::queue::Queue;

const NOT_JOINABLE: &str =
    "the queue does not know what is done; make it with `QueueOptions::joinable`";

/// Why [`Queue::task_done`] said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskDoneError {
    /// The queue was not made with [`joinable`](crate::QueueOptions::joinable).
    #[error("{NOT_JOINABLE}")]
    NotJoinable,
    /// This process has said of each item that it got that it is done.
    #[error("task_done was called more often than this process got an item")]
    TooMany,
}

/// Why [`Queue::join`] or a form with a deadline ended before all is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The queue was not made with [`joinable`](crate::QueueOptions::joinable).
    #[error("{NOT_JOINABLE}")]
    NotJoinable,
    /// Items were not done yet, until the deadline if there was one.
    #[error("not all items are done")]
    Unfinished,
}

impl<T> Queue<T> {
    /// Says that an item that this process got is done; for [`join`](Self::join). Any thread of the
    /// process may say so. Never blocks.
    ///
    /// For leases [`ack`](crate::Lease::ack) says it. What a process got and did not finish before it
    /// died is lost with it, and does not keep `join` waiting: it is leases that lose nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Queue, TaskDoneError};
    ///
    /// let queue = Queue::<u8>::options().joinable().bounded(2)?;
    /// queue.put(1)?;
    /// assert!(queue.try_join().is_err());
    /// queue.get()?;
    /// assert!(queue.try_join().is_err());
    /// queue.task_done()?;
    /// queue.join()?;
    /// assert_eq!(queue.task_done(), Err(TaskDoneError::TooMany));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskDoneError`]; nothing was said then.
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        if !self.ring.is_joinable() {
            return Err(TaskDoneError::NotJoinable);
        }
        if self.ring.pay(self.me()) { Ok(()) } else { Err(TaskDoneError::TooMany) }
    }

    /// Blocks until every item that was put is done: got and [`task_done`](Self::task_done), or
    /// leased and [acknowledged](crate::Lease::ack). That is a moment at which nothing is left; items
    /// may be put before this returns.
    ///
    /// If a process dies, what it leased is in the queue again, and so not done; what it got and had
    /// not finished is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u8>::options().joinable().bounded(2)?;
    /// queue.put(1)?;
    /// queue.lease()?.ack()?;
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError::NotJoinable`].
    pub fn join(&self) -> Result<(), JoinError> {
        self.join_within(Patience::Endless)
    }

    /// Tells whether every item is done, at that moment. Never blocks.
    ///
    /// # Errors
    ///
    /// [`JoinError::Unfinished`], or as [`join`](Self::join).
    pub fn try_join(&self) -> Result<(), JoinError> {
        self.join_within(Patience::None)
    }

    /// As [`join`](Self::join), but no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::JoinError;
    ///
    /// let queue = crossproc_queue::Queue::<u8>::options().joinable().bounded(2)?;
    /// queue.put(1)?;
    /// assert_eq!(queue.join_timeout(Duration::from_millis(1)), Err(JoinError::Unfinished));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JoinError::Unfinished`] after the timeout, or as [`join`](Self::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.join_within(Patience::For(timeout))
    }

    /// As [`join`](Self::join), until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`JoinError::Unfinished`] after the deadline, or as [`join`](Self::join).
    pub fn join_deadline(&self, deadline: Deadline) -> Result<(), JoinError> {
        self.join_within(Patience::Until(deadline))
    }

    /// An item that this process got and will not work on.
    pub(crate) fn drop_owed(&self, got: bool) {
        if got && self.ring.is_joinable() {
            self.ring.pay(self.me());
        }
    }

    fn join_within(&self, patience: Patience) -> Result<(), JoinError> {
        if !self.ring.is_joinable() {
            return Err(JoinError::NotJoinable);
        }
        if matches!(patience, Patience::None) {
            // Whoever only ever asks comes past the dead as well.
            let done = self.ring.is_done() || self.repair_head() && self.ring.is_done();
            return if done { Ok(()) } else { Err(JoinError::Unfinished) };
        }
        let look = |look| {
            for _ in 0..=self.capacity() {
                let again = look == Look::Repair && self.repair_head();
                if self.ring.is_done() {
                    return Some(());
                }
                if !again {
                    return None;
                }
            }
            None
        };
        let done = self.ring.desk().done();
        let deadline = patience.deadline();
        let wait = |until| block_on(self.segment(), done, &Spin::new(), until, look);
        self.wait_beside_leases(deadline, wait).ok_or(JoinError::Unfinished)
    }
}
