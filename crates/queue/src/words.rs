//! Items of a small fixed size: words in the slot, read by take.

use crossproc_message::{DecodeError, EncodeError, Message, decode, encode_into};

use crate::plan::{SMALL_BYTES, SMALL_WORDS, WORD_BYTES, words_of};

/// An item as the words that lie in its slot.
#[derive(Debug)]
pub(crate) struct Words {
    words: [u64; SMALL_WORDS],
    bytes: usize,
}

impl Words {
    /// Room for an item of `bytes`, at most [`SMALL_BYTES`].
    #[inline(always)]
    pub(crate) fn empty(bytes: usize) -> Self {
        Self { words: [0; SMALL_WORDS], bytes: bytes.min(SMALL_BYTES) }
    }

    #[inline(always)]
    pub(crate) fn encode<T: Message>(item: &T, bytes: usize) -> Result<Self, EncodeError> {
        let mut new = Self::empty(bytes);
        let mut buffer = [0; SMALL_BYTES];
        encode_into(item, &mut buffer[..new.bytes])?;
        for (word, bytes) in new.words.iter_mut().zip(buffer.chunks_exact(WORD_BYTES)) {
            let mut whole = [0; WORD_BYTES];
            whole.copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        Ok(new)
    }

    #[inline(always)]
    pub(crate) fn decode<T: Message>(&self) -> Result<T, DecodeError> {
        let mut buffer = [0; SMALL_BYTES];
        for (word, bytes) in self.words.iter().zip(buffer.chunks_exact_mut(WORD_BYTES)) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        decode(&buffer[..self.bytes], Vec::new())
    }

    /// The words in use.
    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.words[..words_of(self.bytes)]
    }

    /// The words in use, to be filled.
    #[inline(always)]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u64] {
        &mut self.words[..words_of(self.bytes)]
    }
}
