//! Writing messages.

use crossproc_segment::transit::{self, Sent};

use crate::{
    codec::{Slot, Tail, Writer, small_fixed_size},
    error::EncodeError,
    message::Message,
};

/// A message that was written to a slot.
#[derive(Debug)]
pub struct Encoded {
    /// Bytes written.
    pub len: usize,
    /// The segments whose handles are inside.
    pub sent: Sent,
}

/// Appends a message to `out`.
///
/// Returns the segments whose handles are inside; the receiver gives them to
/// [`decode`](crate::decode). Never blocks. On an error nothing is appended.
///
/// # Errors
///
/// [`EncodeError`], except that it is never `Full`.
///
/// # Examples
///
/// ```
/// let mut bytes = Vec::new();
/// crossproc_message::encode(&("warm".to_string(), 21.5f64), &mut bytes)?;
/// assert_eq!(bytes.len(), 8 + 4 + 8);
/// # Ok::<(), crossproc_message::EncodeError>(())
/// ```
#[inline]
pub fn encode<T: Message>(value: &T, out: &mut Vec<u8>) -> Result<Sent, EncodeError> {
    let mut writer = Writer::new(Tail::new(out));
    let (result, sent) = collecting::<T, _>(|| writer.value(value));
    match result.and_then(|()| check_size::<T>(writer.written())) {
        Ok(()) => Ok(sent),
        Err(error) => {
            sent.take_back();
            writer.into_sink().undo();
            Err(error)
        }
    }
}

/// Writes a message to the start of `out`.
///
/// For numbers, plain data and structs of them this is one check and a few moves. Never blocks.
/// On an error the bytes of `out` are unspecified.
///
/// # Errors
///
/// [`EncodeError::Full`] if `out` is too small, or any other [`EncodeError`].
///
/// # Examples
///
/// ```
/// use crossproc_message::{EncodeError, decode, encode_into};
///
/// let mut slot = [0; 64];
/// let encoded = encode_into(&String::from("frame"), &mut slot)?;
/// let read: String = decode(&slot[..encoded.len], encoded.sent.segments)?;
/// assert_eq!(read, "frame");
/// assert!(matches!(encode_into(&[0u64; 9], &mut slot), Err(EncodeError::Full { room: 64 })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn encode_into<T: Message>(value: &T, out: &mut [u8]) -> Result<Encoded, EncodeError> {
    if let Some(size) = small_fixed_size::<T>() {
        encode_fixed(value, size, out)?;
        return Ok(Encoded { len: size, sent: Sent::default() });
    }
    let mut writer = Writer::new(Slot::new(out));
    let (result, sent) = collecting::<T, _>(|| writer.value(value));
    if let Err(error) = result {
        sent.take_back();
        return Err(error);
    }
    Ok(Encoded { len: writer.written(), sent })
}

/// Writes a message of a fixed size, a constant: as [`encode_into`], but without anything beside it.
///
/// # Errors
///
/// As [`encode_into`].
#[inline(always)]
pub(crate) fn encode_fixed<T: Message>(
    value: &T,
    size: usize,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    let room = out.len();
    // Once the slot has the size of the message the compiler needs no further checks.
    let Some(slot) = out.get_mut(..size) else {
        return Err(EncodeError::Full { room });
    };
    let mut writer = Writer::new(Slot::new(slot));
    match writer.value(value) {
        Ok(()) => check_size::<T>(writer.written()),
        Err(EncodeError::Full { .. }) => Err(EncodeError::Uneven { expected: size }),
        Err(error) => Err(error),
    }
}

/// Holds the promise of [`fixed_size`](crate::fixed_size).
#[inline(always)]
fn check_size<T: Message>(written: usize) -> Result<(), EncodeError> {
    match small_fixed_size::<T>() {
        Some(expected) if expected != written => Err(EncodeError::Uneven { expected }),
        _ => Ok(()),
    }
}

/// Runs `write` and collects the segments of handles, where `T` can hold any.
#[inline(always)]
fn collecting<T, R>(write: impl FnOnce() -> R) -> (R, Sent) {
    // A handle owns its segment, so a type without anything to drop has none.
    if core::mem::needs_drop::<T>() { transit::sending(write) } else { (write(), Sent::default()) }
}
