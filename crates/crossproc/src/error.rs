//! One error for programs that only pass errors on.

use std::io;

use crate::crates::queue::JoinError as QueueJoinError;
use crate::crates::sync::NotHeld;
use crate::{
    AcceptError, AckError, BindError, ConnectError, DecodeError, EncodeError, GetError, JoinError,
    LockError, LockFailure, OnceTryError, PutError, PutManyError, PutOverError, RecvError,
    ReleaseError, SemaphoreError, SendError, TaskDoneError, TooMany, TryAcquireError, TryGetError,
    TryLockError, TryPutError, TryRecvError, TrySendError,
};

/// Whatever crossproc can answer with: every error of its operations converts with `?`.
///
/// Where an error has something for the caller in it, an item that was not put or a lock that is
/// held, converting drops it: the item is lost, the lock is released. Match on the operation's own
/// error to keep it.
///
/// # Examples
///
/// ```
/// use crossproc::prelude::*;
///
/// fn first() -> crossproc::Result<u32> {
///     let queue = Queue::bounded(1)?;
///     queue.put(7)?;
///     Ok(queue.get()?)
/// }
/// assert_eq!(first()?, 7);
/// # Ok::<(), crossproc::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A segment, or an object in one, could not be made, found or attached.
    #[error(transparent)]
    Segment(#[from] crossproc_segment::Error),
    /// A queue could not be made or opened.
    #[error(transparent)]
    Queue(#[from] crossproc_queue::Error),
    /// An item was not put; it is gone.
    #[error(transparent)]
    Put(TryPutError<()>),
    /// Some of the items were put, and the rest was not.
    #[error(transparent)]
    PutMany(#[from] PutManyError),
    /// No item was got.
    #[error(transparent)]
    Get(TryGetError),
    /// A leased item was not acknowledged; it is delivered again, or was to another one who has done so.
    #[error(transparent)]
    Ack(#[from] AckError),
    /// No item was marked as done.
    #[error(transparent)]
    TaskDone(#[from] TaskDoneError),
    /// The items of a queue could not be waited for.
    #[error(transparent)]
    JoinQueue(#[from] QueueJoinError),
    /// A pipe could not be made or opened, or an end of it taken.
    #[error(transparent)]
    Pipe(#[from] crossproc_pipe::Error),
    /// An item was not sent.
    #[error(transparent)]
    Send(TrySendError),
    /// Nothing was received.
    #[error(transparent)]
    Recv(TryRecvError),
    /// A name could not be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No connection was accepted.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// No connection was made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A lock could not be had, or its last owner did not give it back.
    #[error(transparent)]
    Lock(#[from] LockFailure),
    /// A lock that this thread does not hold was to be released.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// No permit was had.
    #[error(transparent)]
    Acquire(#[from] TryAcquireError),
    /// No permit was given back.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A barrier was not passed.
    #[error(transparent)]
    Barrier(#[from] crate::BarrierError),
    /// What was to be done once is not done.
    #[error(transparent)]
    Once(#[from] crate::OnceError),
    /// Too many things were to be waited for.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A value could not be written as a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A message could not be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A process could not be started.
    #[error(transparent)]
    Process(#[from] crossproc_process::Error),
    /// A process gave no result.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A function in another process failed.
    #[error("{0}")]
    Failure(crate::Failure),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl<T> From<PutError<T>> for Error {
    fn from(error: PutError<T>) -> Self {
        Self::Put(TryPutError::from(error).without_item())
    }
}

impl<T> From<TryPutError<T>> for Error {
    fn from(error: TryPutError<T>) -> Self {
        Self::Put(error.without_item())
    }
}

impl<T> From<PutOverError<T>> for Error {
    fn from(error: PutOverError<T>) -> Self {
        Self::Put(error.error.without_item())
    }
}

impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        Self::Get(error.into())
    }
}

impl From<TryGetError> for Error {
    fn from(error: TryGetError) -> Self {
        Self::Get(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error.into())
    }
}

impl From<TrySendError> for Error {
    fn from(error: TrySendError) -> Self {
        Self::Send(error)
    }
}

impl From<RecvError> for Error {
    fn from(error: RecvError) -> Self {
        Self::Recv(error.into())
    }
}

impl From<TryRecvError> for Error {
    fn from(error: TryRecvError) -> Self {
        Self::Recv(error)
    }
}

impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Self {
        Self::Lock(error.into())
    }
}

impl<G> From<TryLockError<G>> for Error {
    fn from(error: TryLockError<G>) -> Self {
        Self::Lock(error.into())
    }
}

impl From<SemaphoreError> for Error {
    fn from(error: SemaphoreError) -> Self {
        Self::Acquire(error.into())
    }
}

impl<E> From<OnceTryError<E>> for Error
where
    Self: From<E>,
{
    fn from(error: OnceTryError<E>) -> Self {
        match error {
            OnceTryError::Failed(error) => error.into(),
            OnceTryError::Once(error) => error.into(),
        }
    }
}

impl From<crate::Failure> for Error {
    fn from(failure: crate::Failure) -> Self {
        Self::Failure(failure)
    }
}
