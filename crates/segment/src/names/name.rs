//! Names as they lie in an entry.

use core::fmt;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 95;
const NAME_BYTES: usize = MAX_NAME_BYTES + 1;
/// The words a name takes in an entry: a byte of length, then the bytes, then zeroes.
pub(super) const NAME_WORDS: usize = NAME_BYTES / 8;

/// A name of 1 to 95 bytes of UTF-8, with its hash.
///
/// # Invariants
///
/// `words` hold a length in `1..=MAX_NAME_BYTES`, so many bytes of UTF-8, and zeroes; `hash` is theirs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    pub(super) words: [u64; NAME_WORDS],
    pub(super) hash: u32,
}

impl Name {
    /// A name, or `None` if it is empty or longer than [`MAX_NAME_BYTES`].
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        let (len, rest) = bytes.split_first_mut()?;
        *len = u8::try_from(name.len()).ok().filter(|&len| len > 0)?;
        rest.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Self::from_bytes(bytes)
    }

    /// The name in words read from shared memory, if they are one.
    pub(super) fn from_words(words: [u64; NAME_WORDS]) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; NAME_BYTES]) -> Option<Self> {
        let (&len, rest) = bytes.split_first()?;
        let (name, zeroes) = rest.split_at_checked(len.into())?;
        if name.is_empty() || zeroes.iter().any(|&b| b != 0) {
            return None;
        }
        core::str::from_utf8(name).ok()?;
        let mut words = [0; NAME_WORDS];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(from.try_into().ok()?);
        }
        // INVARIANT: checked above.
        Some(Self { words, hash: hash(name) })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.words.map(u64::to_le_bytes);
        let (len, rest) = bytes.as_flattened().split_first().unwrap_or((&0, &[]));
        let name = rest.get(..usize::from(*len)).unwrap_or_default();
        f.write_str(core::str::from_utf8(name).unwrap_or_default())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// FNV-1a, 32 bits. Part of the layout: all processes must agree on it.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME_BYTES, Name};

    #[test]
    fn a_name_comes_back_from_its_words() {
        for text in ["a", "käse", "1234567", "12345678", &"x".repeat(MAX_NAME_BYTES)] {
            let name = Name::new(text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::from_words(name.words), Some(name));
        }
        assert_eq!(Name::new(""), None);
        assert_eq!(Name::new(&"x".repeat(MAX_NAME_BYTES + 1)), None);
    }

    #[test]
    fn words_that_are_no_name_are_refused() {
        let mut words = Name::new("abc").unwrap().words;
        words[5] = 1;
        assert_eq!(Name::from_words(words), None, "bytes after the end");
        assert_eq!(Name::from_words([u64::MAX; 12]), None, "too long");
        assert_eq!(Name::from_words([0; 12]), None, "empty");
        let mut words = [0; 12];
        words[0] = 0xff02;
        assert_eq!(Name::from_words(words), None, "not UTF-8");
    }
}
