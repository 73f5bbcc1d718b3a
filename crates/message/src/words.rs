//! Items of a small fixed size, as the words that lie in shared memory. For the crates of crossproc.

use crate::codec::small_fixed_size;
use crate::encode::encode_fixed;
use crate::{DecodeError, EncodeError, Message, decode, encode_into, fixed_size};

/// Up to here, words copied one by one beat a claim and a copy of bytes.
const SMALL_BYTES: usize = 64;
const SMALL_WORDS: usize = SMALL_BYTES / WORD_BYTES;
/// Bytes of a word.
pub const WORD_BYTES: usize = size_of::<u64>();
/// Above this size of the type it is not worth asking on each operation.
const ASK_BYTES: usize = 256;

/// Bytes of every item of this type, if they are few. Folds to a constant.
#[inline(always)]
#[must_use]
pub fn small<T: Message>() -> Option<usize> {
    if size_of::<T>() > ASK_BYTES {
        return None;
    }
    fixed_size::<T>().filter(|&bytes| bytes <= SMALL_BYTES)
}

/// Bytes of every item of this type, for who knows that they are [`small`]: 0 where they are not. Folds to
/// a constant, also where a closure asks that is not inlined.
#[inline(always)]
#[must_use]
pub fn bytes_of<T: Message>() -> usize {
    small::<T>().unwrap_or(0)
}

/// Words in which so many bytes lie.
#[inline(always)]
#[must_use]
pub fn words_of(bytes: usize) -> usize {
    bytes.div_ceil(WORD_BYTES)
}

/// An item as words.
#[derive(Debug)]
pub struct Words {
    words: [u64; SMALL_WORDS],
    bytes: usize,
}

impl Words {
    /// Room for an item of `bytes`, at most as many as [`small`] allows.
    #[inline(always)]
    #[must_use]
    pub fn empty(bytes: usize) -> Self {
        Self { words: [0; SMALL_WORDS], bytes: bytes.min(SMALL_BYTES) }
    }

    /// The words of an item, which has `bytes` bytes.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    #[inline(always)]
    pub fn encode<T: Message>(item: &T, bytes: usize) -> Result<Self, EncodeError> {
        let mut new = Self::empty(bytes);
        let mut buffer = [0; SMALL_BYTES];
        let room = &mut buffer[..new.bytes];
        match small_fixed_size::<T>() {
            Some(size) => encode_fixed(item, size, room)?,
            None => drop(encode_into(item, room)?),
        }
        for (word, bytes) in new.words.iter_mut().zip(buffer.chunks_exact(WORD_BYTES)) {
            let mut whole = [0; WORD_BYTES];
            whole.copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        Ok(new)
    }

    /// The item.
    ///
    /// # Errors
    ///
    /// The words are none of its type.
    #[inline(always)]
    pub fn decode<T: Message>(&self) -> Result<T, DecodeError> {
        let mut buffer = [0; SMALL_BYTES];
        for (word, bytes) in self.words.iter().zip(buffer.chunks_exact_mut(WORD_BYTES)) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        decode(&buffer[..self.bytes], Vec::new())
    }

    /// The words in use.
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        self.of(self.bytes)
    }

    /// The words in use, to be filled.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [u64] {
        self.of_mut(self.bytes)
    }

    /// The words of an item of `bytes`, for who knows how many these are when it is compiled: then so are
    /// the words, and are copied one by one and by way of registers.
    ///
    /// # Panics
    ///
    /// If there is no room for as many.
    #[inline(always)]
    #[must_use]
    pub fn of(&self, bytes: usize) -> &[u64] {
        &self.words[..words_of(bytes)]
    }

    /// As [`of`](Self::of), to be filled.
    ///
    /// # Panics
    ///
    /// If there is no room for as many.
    #[inline(always)]
    pub fn of_mut(&mut self, bytes: usize) -> &mut [u64] {
        &mut self.words[..words_of(bytes)]
    }
}
