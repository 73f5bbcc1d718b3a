//! Messages that fit into their slot and hold no handles: written on the stack, and put and taken as
//! small items are, by one claim and one store or swap.
//!
//! All others go the long way of `messages`: with handles, in a block, in a queue with leases, or where
//! something has to be waited for.

use crossproc_message::pod::bytes_of_slice;
use crossproc_message::words::{WORD_BYTES, words_of};
use crossproc_message::{EncodeError, Message, decode, encode_into};
use crossproc_segment::transit::Sent;

use crate::error::{Refusal, TryGetError};
use crate::messages::{Meta, Outgoing};
use crate::plan::INLINE_BYTES;
use crate::put::Patience;
use crate::queue::Queue;

/// The longest message for which there is room on the stack: as long as fits into a slot, unless the
/// queue's options say otherwise.
const BYTES: usize = INLINE_BYTES.next_multiple_of(WORD_BYTES);
const WORDS: usize = BYTES / WORD_BYTES;

impl<T: Message> Queue<T> {
    /// Puts a message: at once if it is short and there is room.
    #[inline]
    pub(crate) fn put_any_message(&self, item: &T, patience: Patience) -> Result<(), Refusal> {
        let mut buffer = [0; BYTES];
        let encoded = match encode_into(item, &mut buffer[..self.short_bytes()]) {
            Ok(encoded) => encoded,
            Err(EncodeError::Full { .. }) => return self.put_long_message(item, patience),
            Err(error) => return Err(error.into()),
        };
        let length = encoded.len.min(BYTES);
        if !encoded.sent.is_empty() {
            return self.put_written(&buffer[..length], encoded.sent, patience);
        }
        encoded.sent.discard();
        let meta = Meta::new(length, false, false).bits();
        let whole = &buffer[..length.next_multiple_of(WORD_BYTES)];
        if !self.ring.put_short_at_once(self.me(), meta, whole) {
            return self.put_written(&buffer[..length], Sent::default(), patience);
        }
        self.ring.items().notify_one();
        Ok(())
    }

    /// Puts a message that was written already.
    #[cold]
    #[inline(never)]
    fn put_written(&self, bytes: &[u8], sent: Sent, patience: Patience) -> Result<(), Refusal> {
        let mut message = Outgoing::short(self, bytes, sent);
        if matches!(patience, Patience::None) {
            self.refuse_if_full()?;
        }
        self.send(patience, |me| self.put_message(me, &mut message))
    }

    #[inline(never)]
    fn put_long_message(&self, item: &T, patience: Patience) -> Result<(), Refusal> {
        if matches!(patience, Patience::None) {
            // Not worth writing the item for.
            self.refuse_if_full()?;
        }
        let mut message = self.write_message(item)?;
        self.send(patience, |me| self.put_message(me, &mut message))
    }

    /// Takes the first message if it is a short one and nothing stands in the way; who `asks`, not even that it
    /// is at the producers' heels.
    #[inline]
    pub(crate) fn take_short(&self, asks: bool) -> Option<Result<T, TryGetError>> {
        let mut words = [0u64; WORDS];
        let room = self.short_bytes();
        let words_of_meta = |bits| {
            let meta = Meta::from_bits(bits);
            let short = !meta.is_in_block() && !meta.has_handles() && meta.length() <= room;
            short.then(|| words_of(meta.length()))
        };
        let meta = self.ring.take_short_at_once(asks, words_of_meta, &mut words)?;
        self.ring.header().space().notify_one();
        let length = Meta::from_bits(meta).length().min(BYTES);
        let bytes = &bytes_of_slice(&words)[..length];
        Some(decode(bytes, Vec::new()).map_err(TryGetError::Malformed))
    }

    /// Up to here a message of this queue is short.
    #[inline]
    fn short_bytes(&self) -> usize {
        let limit = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        self.inline_bytes().min(BYTES).min(limit)
    }
}
