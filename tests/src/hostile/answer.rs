//! What calls answer, in kinds that can be counted.

use crossproc::{
    BarrierError, DecodeError, GetError, LockError, LockFailure, OnceError, PutError, ReleaseError,
    SemaphoreError, TryAcquireError, TryGetError, TryLockError, TryPutError, TryRecvError,
    TrySendError,
};
use crossproc_pipe::Error as PipeError;
use crossproc_queue::{AckError, Error as QueueError, JoinError, PutManyError, TaskDoneError};
use crossproc_segment::Error as SegmentError;

/// How many kinds of answers there are.
pub(super) const KINDS: usize = 10;

/// The kinds, as they head the columns of the table.
pub(super) const HEADS: [&str; KINDS] = [
    "done", "corrupt", "closed", "in time", "news", "deadlock", "gone", "other", "no room",
    "message",
];

/// What a call answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What was asked for.
    Done,
    /// The memory holds what no correct process writes.
    Corrupt,
    /// The queue is closed.
    Closed,
    /// Not now, or not before the deadline.
    InTime,
    /// Done, and somebody died or panicked before.
    News,
    /// This thread would wait for itself.
    Deadlock,
    /// Nothing there, or there already.
    Gone,
    /// Another kind, type or layout; a segment that is none; something the system refused.
    Other,
    /// The segment, or one of its tables, is full.
    NoRoom,
    /// A message that is none of its type, or whose handles cannot be attached.
    Message,
}

impl<T, E> From<Result<T, E>> for Answer
where
    Self: From<E>,
{
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(Self::from, |_| Self::Done)
    }
}

impl From<AckError> for Answer {
    fn from(error: AckError) -> Self {
        match error {
            AckError::Corrupt => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

impl From<TaskDoneError> for Answer {
    fn from(error: TaskDoneError) -> Self {
        match error {
            TaskDoneError::TooMany => Self::Gone,
            _ => Self::Other,
        }
    }
}

impl From<JoinError> for Answer {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Unfinished => Self::InTime,
            _ => Self::Other,
        }
    }
}

impl From<LockFailure> for Answer {
    fn from(failure: LockFailure) -> Self {
        match failure {
            LockFailure::OwnerDied | LockFailure::Poisoned => Self::News,
            LockFailure::Deadlock => Self::Deadlock,
            LockFailure::Corrupt => Self::Corrupt,
            LockFailure::WouldBlock | LockFailure::Timeout => Self::InTime,
            _ => Self::Other,
        }
    }
}

impl<G> From<LockError<G>> for Answer {
    fn from(error: LockError<G>) -> Self {
        LockFailure::from(error).into()
    }
}

impl<G> From<TryLockError<G>> for Answer {
    fn from(error: TryLockError<G>) -> Self {
        LockFailure::from(error).into()
    }
}

impl From<SemaphoreError> for Answer {
    fn from(error: SemaphoreError) -> Self {
        match error {
            SemaphoreError::Corrupt => Self::Corrupt,
            SemaphoreError::TooManyGuards => Self::NoRoom,
            _ => Self::Other,
        }
    }
}

impl From<TryAcquireError> for Answer {
    fn from(error: TryAcquireError) -> Self {
        match error {
            TryAcquireError::Failed(error) => error.into(),
            _ => Self::InTime,
        }
    }
}

impl From<ReleaseError> for Answer {
    fn from(error: ReleaseError) -> Self {
        if error == ReleaseError::Corrupt { Self::Corrupt } else { Self::Other }
    }
}

impl From<BarrierError> for Answer {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Broken { .. } => Self::News,
            BarrierError::Timeout => Self::InTime,
            BarrierError::NoPlace => Self::NoRoom,
            BarrierError::Deadlock => Self::Deadlock,
            BarrierError::Corrupt => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

impl From<OnceError> for Answer {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::RunnerDied | OnceError::Poisoned => Self::News,
            OnceError::Deadlock => Self::Deadlock,
            OnceError::Timeout => Self::InTime,
            OnceError::Corrupt => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

impl From<SegmentError> for Answer {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Corrupt { .. } => Self::Corrupt,
            SegmentError::Exists { .. } | SegmentError::NotFound { .. } | SegmentError::Gone => {
                Self::Gone
            }
            SegmentError::NoRoom { .. }
            | SegmentError::TooManyMembers { .. }
            | SegmentError::TooManyNames { .. }
            | SegmentError::TooManyHandles { .. } => Self::NoRoom,
            SegmentError::Unreachable { .. } => Self::Message,
            _ => Self::Other,
        }
    }
}

impl From<PutManyError> for Answer {
    fn from(error: PutManyError) -> Self {
        Self::from(error.error)
    }
}

impl<T> From<PutError<T>> for Answer {
    fn from(error: PutError<T>) -> Self {
        Self::from(TryPutError::from(error))
    }
}

impl From<GetError> for Answer {
    fn from(error: GetError) -> Self {
        Self::from(TryGetError::from(error))
    }
}

impl From<QueueError> for Answer {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Segment(error) => error.into(),
            QueueError::NoPlace { .. } => Self::NoRoom,
            _ => Self::Other,
        }
    }
}

impl From<PipeError> for Answer {
    fn from(error: PipeError) -> Self {
        match error {
            PipeError::Segment(error) => error.into(),
            PipeError::Taken { .. } => Self::InTime,
            _ => Self::Other,
        }
    }
}

impl From<TrySendError> for Answer {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Self::InTime,
            TrySendError::Closed => Self::Closed,
            TrySendError::Corrupt => Self::Corrupt,
            TrySendError::Encode(_) => Self::Message,
            _ => Self::Other,
        }
    }
}

impl From<TryRecvError> for Answer {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Empty => Self::InTime,
            TryRecvError::Closed => Self::Closed,
            TryRecvError::Corrupt => Self::Corrupt,
            TryRecvError::Malformed(_) => Self::Message,
            _ => Self::Other,
        }
    }
}

impl<T> From<TryPutError<T>> for Answer {
    fn from(error: TryPutError<T>) -> Self {
        match error {
            TryPutError::Full(_) => Self::InTime,
            TryPutError::Closed(_) => Self::Closed,
            TryPutError::Corrupt(_) => Self::Corrupt,
            TryPutError::OutOfMemory { .. } => Self::NoRoom,
            TryPutError::Encode { .. } => Self::Message,
            _ => Self::Other,
        }
    }
}

impl From<TryGetError> for Answer {
    fn from(error: TryGetError) -> Self {
        match error {
            TryGetError::Empty | TryGetError::AllLeased => Self::InTime,
            TryGetError::Closed => Self::Closed,
            TryGetError::Corrupt => Self::Corrupt,
            TryGetError::Malformed(_) | TryGetError::Unreachable(_) => Self::Message,
            _ => Self::Other,
        }
    }
}

impl From<DecodeError> for Answer {
    fn from(_: DecodeError) -> Self {
        Self::Message
    }
}

impl From<anyhow::Error> for Answer {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<SegmentError>() {
            Ok(error) => error.into(),
            Err(error) => match error.downcast::<QueueError>() {
                Ok(error) => error.into(),
                Err(error) => error.downcast::<PipeError>().map_or(Self::Other, Self::from),
            },
        }
    }
}
