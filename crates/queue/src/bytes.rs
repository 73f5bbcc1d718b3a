//! Bytes between the process's own memory and a slot or a block: never by reference.
//!
//! A `&[u8]` over shared memory would promise that nobody changes it, which no process can promise
//! for another. So bytes are copied to a private buffer first, and only then looked at.

use std::ptr::{self, NonNull};

use crossproc_message::scratch::Scratch;
use crossproc_message::{EncodeError, Message, decode, encode};
use crossproc_segment::MemberId;

use crate::error::{Refusal, TryGetError};
use crate::queue::Queue;
use crate::raw::{Hold, NoItem};

/// Copies `bytes` to `to`.
///
/// # Safety
///
/// As many bytes from `to` on are mapped, and this thread has the only claim on them.
pub(crate) unsafe fn copy_in(bytes: &[u8], to: NonNull<u8>) {
    // SAFETY: `to` is valid by the contract, and private memory does not overlap shared memory.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
}

/// Copies `length` bytes from `from` into the empty buffer `out`.
///
/// # Safety
///
/// `length` bytes from `from` on are mapped, and no correct process writes to them now.
pub(crate) unsafe fn copy_out(from: NonNull<u8>, length: usize, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(length);
    // SAFETY: `from` is valid by the contract, and the buffer has room for `length` bytes.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), out.as_mut_ptr(), length) };
    // SAFETY: these bytes were just written.
    unsafe { out.set_len(length) };
}

/// Items of one larger size.
impl<T: Message> Queue<T> {
    pub(crate) fn write_bytes(&self, item: &T) -> Result<Scratch, Refusal> {
        let mut bytes = Scratch::new();
        encode(item, &mut bytes.0)?;
        if bytes.0.len() == self.plan.bytes {
            Ok(bytes)
        } else {
            Err(EncodeError::Uneven { expected: self.plan.bytes }.into())
        }
    }

    pub(crate) fn put_bytes(&self, me: MemberId, bytes: &[u8]) -> Result<(), Refusal> {
        let claim = self.ring.claim(me)?;
        debug_assert!(bytes.len() <= self.ring.payload_words() * size_of::<u64>());
        // SAFETY: the slot has room for an item, as checked when the handle was made, and is
        // claimed.
        unsafe { copy_in(bytes, claim.payload().cast()) };
        Ok(claim.commit()?)
    }

    pub(crate) fn get_bytes(&self, me: MemberId) -> Result<Result<T, TryGetError>, NoItem> {
        let (hold, bytes) = self.hold_bytes(me)?;
        hold.commit()?;
        self.ring.header().space().notify_one();
        Ok(decode(&bytes.0, Vec::new()).map_err(TryGetError::Malformed))
    }

    pub(crate) fn peek_bytes(&self, me: MemberId) -> Result<Result<T, TryGetError>, NoItem> {
        let (hold, bytes) = self.hold_bytes(me)?;
        drop(hold);
        Ok(decode(&bytes.0, Vec::new()).map_err(TryGetError::Malformed))
    }

    fn hold_bytes(&self, me: MemberId) -> Result<(Hold<'_>, Scratch), NoItem> {
        let hold = self.ring.hold(me)?;
        let mut bytes = Scratch::new();
        // SAFETY: the slot has an item's bytes, as checked when the handle was made, and is held.
        unsafe { copy_out(hold.payload().cast(), self.plan.bytes, &mut bytes.0) };
        Ok((hold, bytes))
    }
}
