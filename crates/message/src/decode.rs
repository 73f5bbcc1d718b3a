//! Reading messages.

use core::marker::PhantomData;

use crossproc_segment::{Segment, transit};

use crate::{
    codec::{Reader, small_fixed_size},
    error::{DecodeError, Fault},
    message::Message,
};

/// Reads a message, which must be all of `bytes`.
///
/// `given` are the segments that came with the message: those that [`encode`](crate::encode) said
/// to hold its handles, as far as the receiver was handed them. Handles are attached on the way;
/// that may open files, nothing else blocks. The bytes need no alignment and are not trusted: any
/// bytes give a value or an error.
///
/// # Errors
///
/// [`DecodeError::Malformed`] if the bytes are no `T`, [`DecodeError::Unreachable`] if a handle
/// cannot be attached here, [`DecodeError::SelfDescribing`] if no `T` can be sent at all, and
/// [`DecodeError::Refused`] if the type itself refuses.
///
/// # Examples
///
/// ```
/// use crossproc_message::{DecodeError, decode};
///
/// assert_eq!(decode::<u32>(&[1, 0, 0, 0], vec![])?, 1);
/// let error = decode::<u32>(&[1, 0, 0, 0, 9, 9], vec![]).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the message is malformed at byte 4: expected the end of the message, found 2 more bytes",
/// );
/// # Ok::<(), DecodeError>(())
/// ```
#[inline]
pub fn decode<T: Message>(bytes: &[u8], given: Vec<Segment>) -> Result<T, DecodeError> {
    if !core::mem::needs_drop::<T>() {
        discard(given);
        return match small_fixed_size::<T>() {
            Some(size) => read(with_size(bytes, size)?),
            None => read(bytes),
        };
    }
    match transit::receiving(given, || read(bytes)) {
        Err(DecodeError::Refused(reason)) => Err(unattached(reason)),
        result => result,
    }
}

/// Drops the segments. An empty `Vec` needs no drop, and so no call in the middle of the fast path.
#[inline(always)]
fn discard(given: Vec<Segment>) {
    if given.capacity() == 0 { core::mem::forget(given) } else { drop(given) }
}

/// A handle says through serde that it could not be attached; the reason lies beside.
#[cold]
fn unattached(reason: Box<str>) -> DecodeError {
    transit::unreachable_error().map_or(DecodeError::Refused(reason), DecodeError::Unreachable)
}

#[inline(always)]
fn read<T: Message>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(PhantomData::<T>)?;
    reader.finish()?;
    Ok(value)
}

/// The bytes, if they are as many as that. Once they are, the compiler needs no further checks.
#[inline(always)]
fn with_size(bytes: &[u8], size: usize) -> Result<&[u8], DecodeError> {
    let found = bytes.len();
    if found > size {
        let fault = Fault::Trailing { bytes: found - size };
        return Err(DecodeError::Malformed { at: size, fault });
    }
    let short = Fault::Short { expected: size, found };
    // Not a value made beforehand: it would be dropped at every item, by a call.
    match bytes.get(..size) {
        Some(bytes) => Ok(bytes),
        None => Err(DecodeError::Malformed { at: 0, fault: short }),
    }
}
