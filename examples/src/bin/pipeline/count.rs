//! Counting words: maximal runs of `[A-Za-z0-9_\x80-\xff]`, ASCII lower-cased.

use std::io::Read;

use rustc_hash::FxHashMap;

/// How often each word was seen.
pub(crate) type Words = FxHashMap<Vec<u8>, u64>;

/// How often each word was seen, and in how many bytes.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) words: Words,
    pub(crate) bytes: u64,
    /// The beginning of a word that went on past the end of a block.
    open: Vec<u8>,
}

impl Count {
    /// Counts everything that `source` gives; `progress` is told of each block.
    pub(crate) fn read(mut source: impl Read, progress: impl Fn(u64)) -> std::io::Result<Self> {
        let mut count = Self::default();
        let mut block = vec![0; 64 << 10];
        loop {
            match source.read(&mut block) {
                Ok(0) => break,
                Ok(n) => {
                    count.add(&mut block[..n]);
                    progress(n as u64);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        count.close_word();
        Ok(count)
    }

    fn add(&mut self, block: &mut [u8]) {
        self.bytes += block.len() as u64;
        block.make_ascii_lowercase();
        let mut rest = &*block;
        while let Some(end) = rest.iter().position(|&byte| !IN_WORD[byte as usize]) {
            let (word, tail) = rest.split_at(end);
            if !self.open.is_empty() {
                self.open.extend_from_slice(word);
                self.close_word();
            } else if !word.is_empty() {
                seen(&mut self.words, word);
            }
            rest = &tail[1..];
        }
        self.open.extend_from_slice(rest);
    }

    fn close_word(&mut self) {
        if !self.open.is_empty() {
            seen(&mut self.words, &self.open);
            self.open.clear();
        }
    }
}

fn seen(words: &mut Words, word: &[u8]) {
    if let Some(times) = words.get_mut(word) {
        *times += 1;
    } else {
        words.insert(word.to_owned(), 1);
    }
}

/// Which bytes are part of a word.
const IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_and_lower_cased_also_across_blocks() {
        let mut text = "Foo foo-BAR_1 \u{e9}t\u{e9}".as_bytes().to_vec();
        text.extend(vec![b'x'; 200_000]);
        let count = Count::read(text.as_slice(), |_| {}).unwrap();
        assert_eq!(count.words[b"foo".as_slice()], 2);
        assert_eq!(count.words[b"bar_1".as_slice()], 1);
        assert_eq!(count.words.len(), 3);
        assert_eq!(count.bytes, text.len() as u64);
    }
}
