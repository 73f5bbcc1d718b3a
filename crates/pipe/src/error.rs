//! What can go wrong with a pipe, by operation.

use crossproc_message::{DecodeError, EncodeError};
use crossproc_segment::MemberId;

use crate::raw::{MAX_CAPACITY, NoRecord, Refused, Taken};

/// Why a pipe could not be made or opened, or an end of it taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No ring can have that capacity.
    #[error("a pipe of {capacity} bytes cannot be made; give at most {MAX_CAPACITY}")]
    Capacity {
        /// The capacity asked for.
        capacity: usize,
    },
    /// A living process has this end.
    #[error(
        "this end of the pipe belongs to {owner}, which lives; an end can be sent to another \
         process, or taken when it was closed or its process has died"
    )]
    Taken {
        /// Who has it.
        owner: MemberId,
    },
    /// The segment refused.
    #[error(transparent)]
    Segment(#[from] crossproc_segment::Error),
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Taken> for Error {
    fn from(Taken(owner): Taken) -> Self {
        Self::Taken { owner }
    }
}

const CLOSED: &str = "the other end of the pipe is closed, or its process has died";
const NOT_OWNED: &str = "this end of the pipe is not this process's any more: it was closed here, \
                         for sending at least, sent to another process, or inherited by a fork";
const CORRUPT: &str =
    "the pipe is corrupt: a process wrote where it should not; make the pipe anew";

/// Why [`Sender::send`](crate::Sender::send) did not send the item, which is still the caller's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other end was closed, or its process has died.
    #[error("{CLOSED}")]
    Closed,
    /// The item could not be written as a message.
    #[error("the item cannot be sent: {0}")]
    Encode(#[source] EncodeError),
    /// This end was closed here, sent to another process, or inherited by a fork.
    #[error("{NOT_OWNED}")]
    NotOwned,
    /// More bytes in one piece than half the pipe's capacity; only where a piece is asked for.
    #[error(
        "{bytes} bytes are more than the {limit} that the pipe has in one piece; make it larger"
    )]
    TooLong {
        /// Bytes asked for.
        bytes: u64,
        /// The most in one piece.
        limit: u64,
    },
    /// A word of the pipe has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why [`Sender::try_send`](crate::Sender::try_send) or a form with a deadline did not send the item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// There was no room, until the deadline if there was one.
    #[error("the pipe is full")]
    Full,
    /// The other end was closed, or its process has died.
    #[error("{CLOSED}")]
    Closed,
    /// The item could not be written as a message.
    #[error("the item cannot be sent: {0}")]
    Encode(#[source] EncodeError),
    /// This end was closed here, sent to another process, or inherited by a fork.
    #[error("{NOT_OWNED}")]
    NotOwned,
    /// Longer than what the pipe has in one piece, half its capacity: such a message goes in parts,
    /// for which one must wait.
    #[error(
        "a message of {bytes} bytes cannot be sent without waiting, only one of up to {limit}; use \
         a form that waits, or make the pipe larger"
    )]
    TooLong {
        /// Bytes of the message.
        bytes: u64,
        /// The most in one piece.
        limit: u64,
    },
    /// A word of the pipe has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

impl From<EncodeError> for TrySendError {
    #[cold]
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<Refused> for TrySendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Corrupt => Self::Corrupt,
        }
    }
}

impl From<SendError> for TrySendError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Closed,
            SendError::Encode(source) => Self::Encode(source),
            SendError::NotOwned => Self::NotOwned,
            SendError::TooLong { bytes, limit } => Self::TooLong { bytes, limit },
            SendError::Corrupt => Self::Corrupt,
        }
    }
}

impl TrySendError {
    /// The same for a caller who waits as long as it takes, and so never sees `Full`.
    #[cold]
    pub(crate) fn without_full(self) -> SendError {
        match self {
            Self::Closed => SendError::Closed,
            Self::Encode(source) => SendError::Encode(source),
            Self::NotOwned => SendError::NotOwned,
            Self::TooLong { bytes, limit } => SendError::TooLong { bytes, limit },
            Self::Full | Self::Corrupt => SendError::Corrupt,
        }
    }

    /// Tells whether there was just no room, and trying again may help.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

/// Why [`Receiver::recv`](crate::Receiver::recv) brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// All that was sent has been received, and the other end was closed, for sending at least, or its
    /// process has died.
    #[error("{CLOSED}")]
    Closed,
    /// The next message is no item of this type, or holds a handle that cannot be attached here. It
    /// is gone; the next call brings the next.
    #[error("a message was dropped: {0}")]
    Malformed(#[source] DecodeError),
    /// The next message was longer than [`set_max_len`](crate::Receiver::set_max_len) allows. It is
    /// gone; the next call brings the next.
    #[error("a message of {bytes} bytes was dropped: this end takes at most {limit}")]
    TooLong {
        /// Bytes of the message.
        bytes: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// The next message is longer than the buffer given to
    /// [`recv_into`](crate::Receiver::recv_into). It is still the next.
    #[error("the next message has {bytes} bytes, the buffer {room}; call again with a larger one")]
    BufferTooShort {
        /// Bytes of the message.
        bytes: usize,
        /// Bytes of the buffer.
        room: usize,
    },
    /// This end was closed here, sent to another process, or inherited by a fork.
    #[error("{NOT_OWNED}")]
    NotOwned,
    /// A word of the pipe has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why [`Receiver::try_recv`](crate::Receiver::try_recv) or a form with a deadline brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing was ready, until the deadline if there was one.
    #[error("the pipe is empty")]
    Empty,
    /// All that was sent has been received, and the other end was closed, for sending at least, or its
    /// process has died.
    #[error("{CLOSED}")]
    Closed,
    /// As [`RecvError::Malformed`].
    #[error("a message was dropped: {0}")]
    Malformed(#[source] DecodeError),
    /// As [`RecvError::TooLong`].
    #[error("a message of {bytes} bytes was dropped: this end takes at most {limit}")]
    TooLong {
        /// Bytes of the message.
        bytes: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// As [`RecvError::BufferTooShort`].
    #[error("the next message has {bytes} bytes, the buffer {room}; call again with a larger one")]
    BufferTooShort {
        /// Bytes of the message.
        bytes: usize,
        /// Bytes of the buffer.
        room: usize,
    },
    /// This end was closed here, sent to another process, or inherited by a fork.
    #[error("{NOT_OWNED}")]
    NotOwned,
    /// A word of the pipe has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

impl From<NoRecord> for TryRecvError {
    fn from(none: NoRecord) -> Self {
        match none {
            NoRecord::Empty => Self::Empty,
            NoRecord::Corrupt => Self::Corrupt,
        }
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Malformed(source) => Self::Malformed(source),
            RecvError::TooLong { bytes, limit } => Self::TooLong { bytes, limit },
            RecvError::BufferTooShort { bytes, room } => Self::BufferTooShort { bytes, room },
            RecvError::NotOwned => Self::NotOwned,
            RecvError::Corrupt => Self::Corrupt,
        }
    }
}

impl TryRecvError {
    /// The same for a caller who waits as long as it takes, and so never sees `Empty`.
    #[cold]
    pub(crate) fn without_empty(self) -> RecvError {
        match self {
            Self::Closed => RecvError::Closed,
            Self::Malformed(source) => RecvError::Malformed(source),
            Self::TooLong { bytes, limit } => RecvError::TooLong { bytes, limit },
            Self::BufferTooShort { bytes, room } => RecvError::BufferTooShort { bytes, room },
            Self::NotOwned => RecvError::NotOwned,
            Self::Empty | Self::Corrupt => RecvError::Corrupt,
        }
    }
}
