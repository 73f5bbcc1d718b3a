//! The model checker's words, with a remedy for what it overlooks: for the `raw` modules of all
//! crates.
//!
//! loom 0.7 switches threads where two accesses to an object conflict, and of each object it
//! remembers the last access only. So a thread that loads a word and then swaps it hides its swap
//! behind its own load: another thread's load of the word is never tried after the swap. Half of
//! what can happen would not be looked at.
//!
//! Hence each operation first *touches* a second object, always by a read-modify-write, so that any
//! two of them conflict. It is Relaxed and orders nothing. Relaxed loads and stores do without: they
//! are of payloads, or a glance before one that touches.
//!
//! That makes models some ten times as long. The rings of queues and pipes are always checked so. For
//! locks and members the usual run (`--cfg crossproc_loom`) does without, and `--cfg
//! crossproc_loom_deep` beside it is for whoever has changed a protocol.

use loom::sync::atomic::Ordering::{self, Relaxed};

macro_rules! word {
    ($name:ident, $int:ty, $inner:ty) => {
        /// A word that never hides a conflict.
        #[derive(Debug)]
        pub struct $name {
            word: $inner,
            touched: loom::sync::atomic::AtomicU32,
        }

        impl $name {
            /// A word with that value.
            #[must_use]
            pub fn new(value: $int) -> Self {
                Self { word: <$inner>::new(value), touched: 0.into() }
            }

            fn touch(&self, ordering: Ordering) {
                if ordering != Relaxed {
                    self.touched.fetch_add(1, Relaxed);
                }
            }

            /// As the real one.
            pub fn load(&self, ordering: Ordering) -> $int {
                self.touch(ordering);
                self.word.load(ordering)
            }

            /// As the real one.
            pub fn store(&self, value: $int, ordering: Ordering) {
                self.touch(ordering);
                self.word.store(value, ordering);
            }

            /// As the real one.
            pub fn swap(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.swap(value, ordering)
            }

            /// As the real one.
            pub fn fetch_add(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.fetch_add(value, ordering)
            }

            /// As the real one.
            pub fn fetch_sub(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.fetch_sub(value, ordering)
            }

            /// As the real one.
            pub fn fetch_or(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.fetch_or(value, ordering)
            }

            /// As the real one.
            pub fn fetch_and(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.fetch_and(value, ordering)
            }

            /// As the real one.
            pub fn fetch_max(&self, value: $int, ordering: Ordering) -> $int {
                self.touched.fetch_add(1, Relaxed);
                self.word.fetch_max(value, ordering)
            }

            /// As the real one.
            ///
            /// # Errors
            ///
            /// The value found.
            pub fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                // Touched whatever the ordering: a test of a weakened one must look as far.
                self.touched.fetch_add(1, Relaxed);
                self.word.compare_exchange(current, new, success, failure)
            }

            /// As the real one, which loom never has fail by itself.
            ///
            /// # Errors
            ///
            /// The value found.
            pub fn compare_exchange_weak(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                self.compare_exchange(current, new, success, failure)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        }
    };
}

word!(AtomicU32, u32, loom::sync::atomic::AtomicU32);
word!(AtomicU64, u64, loom::sync::atomic::AtomicU64);
