//! Bytes between the process's own memory and the ring: never by reference.
//!
//! A `&[u8]` over shared memory would promise that nobody changes it, which no process can promise
//! for another. So bytes are copied to a private buffer first, and only then looked at.

use std::ptr::{self, NonNull};

use crate::raw::{Claim, Record};

/// Copies `bytes` to `offset` of the claimed payload.
///
/// # Panics
///
/// If they do not fit.
pub(crate) fn copy_in(bytes: &[u8], claim: &Claim<'_>, offset: usize) {
    let end = offset.checked_add(bytes.len());
    assert!(end.is_some_and(|end| end as u64 <= claim.bytes()), "more bytes than were claimed");
    // SAFETY: `offset` lies in the payload, or at its end.
    let to = unsafe { claim.payload().cast::<u8>().add(offset) };
    // SAFETY: so many bytes from there on are the claim's, and private memory does not overlap
    // shared memory.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
}

/// Copies as many bytes of the payload of a record, from `offset` on, as `out` has.
///
/// # Panics
///
/// If there are not so many.
pub(crate) fn copy_part(record: &Record<'_>, offset: usize, out: &mut [u8]) {
    let end = offset.checked_add(out.len());
    assert!(end.is_some_and(|end| end <= record.bytes()), "beyond the message");
    // SAFETY: `offset` is not beyond the payload, as was just checked.
    let from = unsafe { payload(record).add(offset) };
    // SAFETY: so many bytes from there on are the record's, which is not released yet.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), out.as_mut_ptr(), out.len()) };
}

/// Copies the payload of a record, from `offset` on, to the end of `out`.
///
/// # Panics
///
/// If `offset` is beyond the payload.
pub(crate) fn copy_out(record: &Record<'_>, offset: usize, out: &mut Vec<u8>) {
    assert!(offset <= record.bytes(), "beyond the record");
    let (length, old) = (record.bytes() - offset, out.len());
    out.reserve(length);
    // SAFETY: `offset` is not beyond the payload, as was just checked.
    let from = unsafe { payload(record).add(offset) };
    // SAFETY: the buffer was allocated with room behind its `old` bytes.
    let to = unsafe { out.as_mut_ptr().add(old) };
    // SAFETY: so many bytes from there on are the record's, which is not released yet.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, length) };
    // SAFETY: these bytes were just written.
    unsafe { out.set_len(old + length) };
}

fn payload(record: &Record<'_>) -> NonNull<u8> {
    record.payload().cast()
}
