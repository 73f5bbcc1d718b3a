//! What can go wrong with a queue, by operation. A refused item comes back in the error.

use std::error::Error as StdError;
use std::fmt;

use crossproc_message::{DecodeError, EncodeError};

use crate::raw::{MAX_CAPACITY, MAX_LEVELS, NoItem, Refused};

/// Why a queue could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A queue without places.
    #[error("a queue of capacity 0 can hold nothing; the capacity is between 1 and {MAX_CAPACITY}")]
    ZeroCapacity,
    /// More places than a queue can have.
    #[error(
        "a queue of capacity {capacity} cannot be made; the capacity is between 1 and {MAX_CAPACITY}"
    )]
    CapacityTooLarge {
        /// The capacity asked for.
        capacity: usize,
    },
    /// No levels, or more than a queue can have.
    #[error("a queue with {levels} levels cannot be made; there are between 1 and {MAX_LEVELS}")]
    Levels {
        /// The levels asked for.
        levels: usize,
    },
    /// More bytes than an address space has.
    #[error(
        "a queue of {capacity} places with {slot_bytes} bytes each is larger than memory can be; \
         ask for fewer places or smaller items"
    )]
    SizeOverflow {
        /// The capacity asked for.
        capacity: usize,
        /// Bytes of a place.
        slot_bytes: u64,
    },
    /// As many processes have counted handles of that side as the queue was made for.
    #[error(
        "all {places} places for processes with {side} are taken; make the queue with more: `ends` of \
         its options"
    )]
    NoPlace {
        /// Producers or consumers.
        side: &'static str,
        /// How many processes the queue counts.
        places: usize,
    },
    /// The segment refused.
    #[error(transparent)]
    Segment(#[from] crossproc_segment::Error),
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

const CLOSED: &str = "the queue is closed";
const FULL: &str = "the queue is full";
const EMPTY: &str = "the queue is empty";
const NO_LEASES: &str = "the queue has no leases; make it with some: `QueueOptions::leases`";
const CORRUPT: &str = "the queue is corrupt: a process wrote where it should not, or this process \
                       was taken for dead; make the queue anew";

/// Why [`Queue::put`](crate::Queue::put) did not put the item, which comes back.
#[non_exhaustive]
pub enum PutError<T> {
    /// The queue was closed.
    Closed(T),
    /// The item could not be written as a message.
    Encode {
        /// The item.
        item: T,
        /// Why not.
        source: EncodeError,
    },
    /// The message is longer than the queue allows.
    TooLarge {
        /// The item.
        item: T,
        /// Length of its message.
        bytes: u64,
        /// The longest that the queue was made for.
        limit: u64,
    },
    /// The segment has no room for a message of this length now.
    OutOfMemory {
        /// The item.
        item: T,
        /// Length of its message.
        bytes: u64,
    },
    /// A word of the queue has a value that no correct process writes.
    Corrupt(T),
}

/// Why [`Queue::try_put`](crate::Queue::try_put) or a form with a deadline did not put the item,
/// which comes back.
#[non_exhaustive]
pub enum TryPutError<T> {
    /// The queue was full, until the deadline if there was one.
    Full(T),
    /// The queue was closed.
    Closed(T),
    /// The item could not be written as a message.
    Encode {
        /// The item.
        item: T,
        /// Why not.
        source: EncodeError,
    },
    /// The message is longer than the queue allows.
    TooLarge {
        /// The item.
        item: T,
        /// Length of its message.
        bytes: u64,
        /// The longest that the queue was made for.
        limit: u64,
    },
    /// The segment has no room for a message of this length now.
    OutOfMemory {
        /// The item.
        item: T,
        /// Length of its message.
        bytes: u64,
    },
    /// A word of the queue has a value that no correct process writes.
    Corrupt(T),
}

/// Why [`Queue::put_many`](crate::Queue::put_many) did not put all the items.
#[derive(Debug, thiserror::Error)]
#[error("{put} items were put, the next was not: {error}")]
pub struct PutManyError {
    /// How many were put: the first ones, in order.
    pub put: usize,
    /// Why the next was not; never [`TryPutError::Full`].
    pub error: TryPutError<()>,
}

/// Why [`Queue::put_over`](crate::Queue::put_over) did not put the item, which comes back, as do the
/// items that had been taken out for it by then.
pub struct PutOverError<T> {
    /// What was taken out of the queue to no avail, oldest first: mostly nothing. They are the
    /// caller's now, and the queue's no longer.
    pub displaced: Vec<T>,
    /// Why the item was not put, with the item.
    pub error: TryPutError<T>,
}

impl<T> PutError<T> {
    /// The item that was not put.
    pub fn into_item(self) -> T {
        match self {
            Self::Closed(item)
            | Self::Encode { item, .. }
            | Self::TooLarge { item, .. }
            | Self::OutOfMemory { item, .. }
            | Self::Corrupt(item) => item,
        }
    }
}

impl<T> TryPutError<T> {
    /// The item that was not put.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item)
            | Self::Closed(item)
            | Self::Encode { item, .. }
            | Self::TooLarge { item, .. }
            | Self::OutOfMemory { item, .. }
            | Self::Corrupt(item) => item,
        }
    }

    /// The same error without the item, which is dropped: one type for errors of any queue.
    #[must_use]
    pub fn without_item(self) -> TryPutError<()> {
        match self {
            Self::Full(_) => TryPutError::Full(()),
            Self::Closed(_) => TryPutError::Closed(()),
            Self::Encode { source, .. } => TryPutError::Encode { item: (), source },
            Self::TooLarge { bytes, limit, .. } => TryPutError::TooLarge { item: (), bytes, limit },
            Self::OutOfMemory { bytes, .. } => TryPutError::OutOfMemory { item: (), bytes },
            Self::Corrupt(_) => TryPutError::Corrupt(()),
        }
    }

    /// Tells whether the queue was just full, and trying again may help.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<T> From<PutError<T>> for TryPutError<T> {
    fn from(error: PutError<T>) -> Self {
        match error {
            PutError::Closed(item) => Self::Closed(item),
            PutError::Encode { item, source } => Self::Encode { item, source },
            PutError::TooLarge { item, bytes, limit } => Self::TooLarge { item, bytes, limit },
            PutError::OutOfMemory { item, bytes } => Self::OutOfMemory { item, bytes },
            PutError::Corrupt(item) => Self::Corrupt(item),
        }
    }
}

/// Why an item was not put, without the item.
#[derive(Debug)]
pub(crate) enum Refusal {
    Full,
    Closed,
    Encode(EncodeError),
    TooLarge { bytes: u64, limit: u64 },
    OutOfMemory { bytes: u64 },
    Corrupt,
}

impl From<EncodeError> for Refusal {
    #[cold]
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Closed => Self::Closed,
            Refused::Corrupt => Self::Corrupt,
        }
    }
}

impl Refusal {
    #[cold]
    pub(crate) fn of_put<T>(self, item: T) -> PutError<T> {
        match self {
            Self::Closed => PutError::Closed(item),
            Self::Encode(source) => PutError::Encode { item, source },
            Self::TooLarge { bytes, limit } => PutError::TooLarge { item, bytes, limit },
            Self::OutOfMemory { bytes } => PutError::OutOfMemory { item, bytes },
            // Without a deadline nobody gives up on a full queue.
            Self::Full | Self::Corrupt => PutError::Corrupt(item),
        }
    }

    #[inline]
    pub(crate) fn of_try_put<T>(self, item: T) -> TryPutError<T> {
        match self {
            Self::Full => TryPutError::Full(item),
            other => other.of_put(item).into(),
        }
    }
}

/// The sentence of a refusal, for both kinds of error.
enum Sentence<'e> {
    Plain(&'static str),
    Encode(&'e EncodeError),
    TooLarge(u64, u64),
    OutOfMemory(u64),
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(sentence) => f.write_str(sentence),
            Self::Encode(source) => write!(f, "the item cannot be put: {source}"),
            Self::TooLarge(bytes, limit) => write!(
                f,
                "the item's message of {bytes} bytes is longer than the {limit} bytes that the \
                 queue was made for; raise `max_message_bytes`"
            ),
            Self::OutOfMemory(bytes) => write!(
                f,
                "the segment has no room for a message of {bytes} bytes; make it larger, or take \
                 items out first"
            ),
        }
    }
}

impl<T> PutError<T> {
    fn sentence(&self) -> Sentence<'_> {
        match self {
            Self::Closed(_) => Sentence::Plain(CLOSED),
            Self::Encode { source, .. } => Sentence::Encode(source),
            Self::TooLarge { bytes, limit, .. } => Sentence::TooLarge(*bytes, *limit),
            Self::OutOfMemory { bytes, .. } => Sentence::OutOfMemory(*bytes),
            Self::Corrupt(_) => Sentence::Plain(CORRUPT),
        }
    }
}

impl<T> TryPutError<T> {
    fn sentence(&self) -> Sentence<'_> {
        match self {
            Self::Full(_) => Sentence::Plain(FULL),
            Self::Closed(_) => Sentence::Plain(CLOSED),
            Self::Encode { source, .. } => Sentence::Encode(source),
            Self::TooLarge { bytes, limit, .. } => Sentence::TooLarge(*bytes, *limit),
            Self::OutOfMemory { bytes, .. } => Sentence::OutOfMemory(*bytes),
            Self::Corrupt(_) => Sentence::Plain(CORRUPT),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

// Without the item, so that any error can be unwrapped and boxed.
impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PutError({})", self.sentence())
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TryPutError({})", self.sentence())
    }
}

impl<T> fmt::Display for PutOverError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.displaced.len() {
            0 => self.error.fmt(f),
            taken => write!(f, "{} ({taken} items were taken out for it)", self.error),
        }
    }
}

impl<T> fmt::Debug for PutOverError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PutOverError({self})")
    }
}

impl<T> StdError for PutOverError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl<T> StdError for PutError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.sentence() {
            Sentence::Encode(source) => Some(source),
            _ => None,
        }
    }
}

impl<T> StdError for TryPutError<T> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.sentence() {
            Sentence::Encode(source) => Some(source),
            _ => None,
        }
    }
}

/// Why [`Queue::get`](crate::Queue::get) brought no item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The queue was closed, and nothing is left in it.
    #[error("{CLOSED}")]
    Closed,
    /// The next message is no item of this type, or holds a handle of something that is gone. It
    /// was taken out; the next call brings the next.
    #[error("an item was dropped: {0}")]
    Malformed(DecodeError),
    /// The next item holds a handle that cannot be attached here. It is still first in the queue,
    /// for a process that can; [`Queue::discard_unreachable`](crate::Queue::discard_unreachable) drops it.
    #[error("the next item cannot be taken by this process: {0}")]
    Unreachable(crossproc_segment::Error),
    /// The queue was made without leases.
    #[error("{NO_LEASES}")]
    NoLeases,
    /// A word of the queue has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

/// Why [`Queue::try_get`](crate::Queue::try_get) or a form with a deadline brought no item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TryGetError {
    /// Nothing was ready, until the deadline if there was one.
    #[error("{EMPTY}")]
    Empty,
    /// The queue was closed, and nothing is left in it.
    #[error("{CLOSED}")]
    Closed,
    /// The next message is no item of this type, or holds a handle of something that is gone. It
    /// was taken out; the next call brings the next.
    #[error("an item was dropped: {0}")]
    Malformed(DecodeError),
    /// The next item holds a handle that cannot be attached here. It is still first in the queue,
    /// for a process that can; [`Queue::discard_unreachable`](crate::Queue::discard_unreachable) drops it.
    #[error("the next item cannot be taken by this process: {0}")]
    Unreachable(crossproc_segment::Error),
    /// As many items are on lease as can be at once, until the deadline if there was one.
    #[error("all leases are taken; end some, or make the queue with more: `QueueOptions::leases`")]
    AllLeased,
    /// The queue was made without leases.
    #[error("{NO_LEASES}")]
    NoLeases,
    /// A word of the queue has a value that no correct process writes.
    #[error("{CORRUPT}")]
    Corrupt,
}

impl From<GetError> for TryGetError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Closed => Self::Closed,
            GetError::Malformed(error) => Self::Malformed(error),
            GetError::Unreachable(error) => Self::Unreachable(error),
            GetError::NoLeases => Self::NoLeases,
            GetError::Corrupt => Self::Corrupt,
        }
    }
}

impl TryGetError {
    /// The same for a caller who waits as long as it takes, and so never sees `Empty`.
    pub(crate) fn without_empty(self) -> GetError {
        match self {
            Self::Closed => GetError::Closed,
            Self::Malformed(error) => GetError::Malformed(error),
            Self::Unreachable(error) => GetError::Unreachable(error),
            Self::NoLeases => GetError::NoLeases,
            Self::Empty | Self::AllLeased | Self::Corrupt => GetError::Corrupt,
        }
    }
}

impl From<NoItem> for TryGetError {
    fn from(none: NoItem) -> Self {
        match none {
            NoItem::Empty | NoItem::Pending => Self::Empty,
            NoItem::Closed => Self::Closed,
            NoItem::AllLeased => Self::AllLeased,
            NoItem::Corrupt => Self::Corrupt,
        }
    }
}
