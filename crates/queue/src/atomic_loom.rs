//! The model checker's words, with a remedy for what it overlooks.
//!
//! loom 0.7 switches threads where two accesses to an object conflict, and of each object it
//! remembers the last access only. So a thread that loads a word and then swaps it hides its swap
//! behind its own load: another thread's load of the word is never tried after the swap. Half of
//! what can happen to a ring would not be looked at.
//!
//! Hence each operation first *touches* a second object, always by a read-modify-write, so that any
//! two of them conflict. It is Relaxed and orders nothing. Relaxed loads and stores do without: they
//! are of payloads, or a glance before one that touches.

use loom::sync::atomic::Ordering::{self, Relaxed};

/// A word that never hides a conflict.
#[derive(Debug)]
pub struct AtomicU64 {
    word: loom::sync::atomic::AtomicU64,
    touched: loom::sync::atomic::AtomicU64,
}

impl AtomicU64 {
    /// A word with that value.
    #[must_use]
    pub fn new(value: u64) -> Self {
        let (word, touched) = (value.into(), 0.into());
        Self { word, touched }
    }

    fn touch(&self, ordering: Ordering) {
        if ordering != Relaxed {
            self.touched.fetch_add(1, Relaxed);
        }
    }

    /// As the real one.
    pub fn load(&self, ordering: Ordering) -> u64 {
        self.touch(ordering);
        self.word.load(ordering)
    }

    /// As the real one.
    pub fn store(&self, value: u64, ordering: Ordering) {
        self.touch(ordering);
        self.word.store(value, ordering);
    }

    /// As the real one.
    pub fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        self.touch(ordering);
        self.word.fetch_add(value, ordering)
    }

    /// As the real one.
    pub fn fetch_or(&self, value: u64, ordering: Ordering) -> u64 {
        self.touch(ordering);
        self.word.fetch_or(value, ordering)
    }

    /// As the real one.
    ///
    /// # Errors
    ///
    /// The value found.
    pub fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        // Touched whatever the ordering: a test of a weakened one must look as far.
        self.touched.fetch_add(1, Relaxed);
        self.word.compare_exchange(current, new, success, failure)
    }
}
