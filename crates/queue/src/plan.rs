//! How items of a type lie in the slots.

use crossproc_message::words::{small, words_of};
use crossproc_message::{Message, fixed_size};

use crate::error::{Error, Result};
use crate::raw::{Form, Geometry, MAX_CAPACITY, size_for};

/// Words before the inline bytes of a message: the slot's own, the place, the meta word.
pub(crate) const MESSAGE_WORDS: usize = 3;

/// Bytes that a message may have without a block of its own, unless the options say otherwise.
pub(crate) const INLINE_BYTES: usize = 104;
/// Larger slots begin on a cache line of their own.
const LINE_WORDS: u64 = 8;

/// How items of a type lie in the slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) form: Form,
    /// Bytes of each item, or inline bytes of messages.
    pub(crate) bytes: usize,
}

impl Plan {
    pub(crate) fn of<T: Message>(inline_bytes: Option<usize>) -> Self {
        if let Some(bytes) = small::<T>() {
            return Self { form: Form::Words, bytes };
        }
        match fixed_size::<T>() {
            Some(bytes) => Self { form: Form::Bytes, bytes },
            None => Self { form: Form::Messages, bytes: inline_bytes.unwrap_or(INLINE_BYTES) },
        }
    }

    /// Words of a slot; `None` where they are too many.
    fn stride(self) -> Option<u32> {
        let words = u64::try_from(words_of(self.bytes)).ok()?;
        let stride = match self.form {
            Form::Words => words.max(1) + 1,
            Form::Bytes => (words + 1).next_multiple_of(LINE_WORDS),
            Form::Messages => (words + MESSAGE_WORDS as u64).next_multiple_of(LINE_WORDS),
        };
        u32::try_from(stride).ok()
    }

    /// The geometry of a queue of `capacity` places, and its bytes.
    pub(crate) fn geometry(
        self,
        capacity: usize,
        max_bytes: u64,
        ends: u32,
    ) -> Result<(Geometry, usize)> {
        if capacity == 0 {
            return Err(Error::ZeroCapacity);
        }
        let places = u32::try_from(capacity).ok().filter(|&places| places <= MAX_CAPACITY);
        let places = places.ok_or(Error::CapacityTooLarge { capacity })?;
        let overflow = Error::SizeOverflow { capacity, slot_bytes: self.bytes as u64 };
        let Some(stride) = self.stride() else { return Err(overflow) };
        let geometry = Geometry {
            capacity: places,
            stride,
            form: self.form,
            max_bytes,
            ends,
            leases: 0,
            limit_ns: 0,
            joinable: false,
            over: false,
        };
        let bytes = size_for(&geometry).ok_or(overflow)?;
        Ok((geometry, bytes))
    }

    /// Tells whether a queue that was found lies as this type needs it.
    pub(crate) fn accepts(self, found: &Geometry) -> bool {
        match self.form {
            Form::Words | Form::Bytes => self.stride() == Some(found.stride),
            Form::Messages => found.stride as usize > MESSAGE_WORDS,
        }
    }
}
