//! Why a message could not be written or read.

use std::fmt;

use serde::{de, ser};

/// How deep values may be nested. Each struct, tuple, enum, option, sequence and map is a level.
pub(crate) const MAX_DEPTH: u32 = 256;

/// Why a value could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message is larger than the place for it.
    #[error("the message does not fit into {room} bytes")]
    Full {
        /// Bytes of the place.
        room: usize,
    },
    /// A field was left out, which the reader could not know.
    #[error(
        "field `{field}` was left out by `#[serde(skip_serializing_if)]`; remove that attribute \
         from types that are sent to other processes, whose format has no field names"
    )]
    SkippedField {
        /// The field.
        field: &'static str,
    },
    /// The value is nested too deep, as a long chain of `Box`es is.
    #[error("the value is nested deeper than {MAX_DEPTH} levels; send a `Vec` instead of a chain")]
    TooDeep,
    /// What `Serialize` writes is not what `Deserialize` reads.
    #[error(
        "`Serialize` of this type does not write the {expected} bytes that its `Deserialize` \
         reads; the two must treat the same fields in the same order"
    )]
    Uneven {
        /// Bytes that `Deserialize` reads.
        expected: usize,
    },
    /// The `Serialize` of the type refused, for the reason it gave.
    #[error("{0}")]
    Refused(Box<str>),
}

/// Why bytes could not be read as a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no message of this type.
    #[error("the message is malformed at byte {at}: {fault}")]
    Malformed {
        /// Where in the message.
        at: usize,
        /// What is wrong there.
        fault: Fault,
    },
    /// The type wants to be told what comes next.
    #[error(
        "this type cannot be sent to another process: it asks the format what comes next \
         (`#[serde(untagged)]`, `#[serde(tag)]`, `#[serde(flatten)]` and types such as \
         `serde_json::Value` do), and messages carry no description of themselves; use serde's \
         default representation"
    )]
    SelfDescribing,
    /// The message holds a handle of a segment that cannot be reached from here.
    #[error("a handle in the message could not be attached: {0}")]
    Unreachable(crossproc_segment::Error),
    /// The `Deserialize` of the type refused, for the reason it gave.
    #[error("the message was refused by its type: {0}")]
    Refused(Box<str>),
}

/// What is wrong with the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The message ends too early.
    Short {
        /// Bytes expected.
        expected: usize,
        /// Bytes left.
        found: usize,
    },
    /// Bytes are left over after the value.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A byte that should be 0 or 1 is not.
    Bool(u8),
    /// A number that should be a Unicode scalar value is none.
    Char(u32),
    /// Text is not UTF-8.
    Utf8,
    /// A sequence claims more elements than the bytes left could hold.
    Length {
        /// The claim.
        claimed: u64,
        /// Bytes left.
        left: usize,
    },
    /// Values are nested too deep.
    TooDeep,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { expected, found } => {
                write!(f, "expected {expected} more bytes, found {found}")
            }
            Self::Trailing { bytes } => {
                write!(f, "expected the end of the message, found {bytes} more bytes")
            }
            Self::Bool(found) => write!(f, "expected 0 or 1, found {found}"),
            Self::Char(found) => write!(f, "expected a character, found {found:#x}"),
            Self::Utf8 => f.write_str("expected text in UTF-8"),
            Self::Length { claimed, left } => {
                write!(f, "a length of {claimed} is more than the {left} bytes left can hold")
            }
            Self::TooDeep => write!(f, "values are nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

impl ser::Error for EncodeError {
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Refused(reason.to_string().into())
    }
}

impl de::Error for DecodeError {
    #[cold]
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Refused(reason.to_string().into())
    }
}
