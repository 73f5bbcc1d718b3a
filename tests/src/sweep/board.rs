//! What the children of one sweep tell the harness: a page that all of them share.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::memory::Memory;

const OUTCOME: usize = 0;
const SURVIVOR_NS: usize = 1;
const WAITER: usize = 2;
const WAITER_AT_WORK: usize = 3;
const VICTIM: usize = 4;
const MEANWHILE: usize = 5;
const TEXT_BYTES: usize = 6;
const TEXT: usize = 7;
const WORDS: usize = 512;
const TEXT_MAX_BYTES: usize = (WORDS - TEXT) * 8;

/// A page shared with every child, wiped before each kill.
///
/// Each word has one writer at a time, and the harness reads it after it has reaped that writer,
/// which orders the two; so everything is Relaxed.
#[derive(Debug)]
pub(super) struct Board {
    page: Memory,
}

impl Board {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { page: Memory::anonymous(WORDS * 8)? })
    }

    pub(super) fn wipe(&self) {
        for word in self.page.words() {
            word.store(0, Relaxed);
        }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.page.words()[at]
    }

    pub(super) fn set_outcome(&self, index: usize, took_ns: u64) {
        self.word(OUTCOME).store(index as u64, Relaxed);
        self.word(SURVIVOR_NS).store(took_ns, Relaxed);
    }

    pub(super) fn outcome(&self) -> usize {
        usize::try_from(self.word(OUTCOME).load(Relaxed)).unwrap_or(usize::MAX)
    }

    pub(super) fn survivor_ns(&self) -> u64 {
        self.word(SURVIVOR_NS).load(Relaxed)
    }

    pub(super) fn set_waiter_at_work(&self) {
        self.word(WAITER_AT_WORK).store(1, Relaxed);
    }

    pub(super) fn is_waiter_at_work(&self) -> bool {
        self.word(WAITER_AT_WORK).load(Relaxed) == 1
    }

    pub(super) fn set_waiter(&self, value: u64) {
        self.word(WAITER).store(value, Relaxed);
    }

    pub(super) fn waiter(&self) -> u64 {
        self.word(WAITER).load(Relaxed)
    }

    /// `None` and a result of `u64::MAX` are one.
    pub(super) fn set_victim(&self, value: Option<u64>) {
        self.word(VICTIM).store(value.map_or(0, |value| value.wrapping_add(1)), Relaxed);
    }

    pub(super) fn victim(&self) -> Option<u64> {
        self.word(VICTIM).load(Relaxed).checked_sub(1)
    }

    pub(super) fn set_meanwhile(&self, value: u64) {
        self.word(MEANWHILE).store(value, Relaxed);
    }

    pub(super) fn meanwhile(&self) -> u64 {
        self.word(MEANWHILE).load(Relaxed)
    }

    /// Leaves a sentence for the harness, cut where the page ends.
    pub(super) fn write_text(&self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(TEXT_MAX_BYTES)];
        for (at, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(TEXT + at).store(u64::from_ne_bytes(word), Relaxed);
        }
        self.word(TEXT_BYTES).store(bytes.len() as u64, Relaxed);
    }

    pub(super) fn text(&self) -> String {
        let len = usize::try_from(self.word(TEXT_BYTES).load(Relaxed)).unwrap_or(0);
        let words = self.page.words()[TEXT..].iter();
        let bytes: Vec<u8> = words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        String::from_utf8_lossy(&bytes[..len.min(bytes.len())]).into_owned()
    }
}
