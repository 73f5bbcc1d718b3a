//! Every interleaving of a reader with writers that stop for good at each step.
//!
//! Weakened by hand, once each, and seen to fail: the commit store made Relaxed (*publish*), either
//! fence left out (*retire*), a reader that lets the version move by one more, a commit before the
//! words are written.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_sync::raw::{Claim, Holder};
use crossproc_value::raw::{Copies, Geometry, Header};
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

const WORDS: usize = 2;

struct Shared {
    header: Header,
    words: Vec<AtomicU64>,
    copies: u64,
}

impl Shared {
    fn new(copies: u64) -> Arc<Self> {
        let words = (0..copies * WORDS as u64).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { header: Header::new(), words, copies })
    }

    /// The copies, of which only the first `words` words are looked at.
    fn copies(&self, words: usize) -> Copies<'_> {
        Copies::new(&self.words, Geometry::small(self.copies, words, WORDS))
    }

    /// Writes `number` into every word.
    fn set(&self, number: u64) {
        let staged = self.header.stage(self.copies(WORDS), |_| number);
        self.header.commit(staged);
    }

    /// An update that stops for good after it has written `words` words.
    fn stop_in_set(&self, number: u64, words: usize) {
        let _ = self.header.stage(self.copies(words), |_| number);
    }

    /// A read that succeeded, if one did.
    fn get(&self) -> Option<u64> {
        let mut seen = [u64::MAX; WORDS];
        let whole = self.header.try_read(self.copies(WORDS), |index, word| seen[index] = word);
        whole.then(|| {
            assert_eq!(seen[0], seen[1], "torn");
            seen[0]
        })
    }
}

/// A writer that makes 1, stops in making 2 after `stopped` words, is succeeded by another that
/// makes 3 (and 4 and 5): what a reader sees is whole, never made by the one that stopped, and never goes back.
///
/// One thread plays all writers: the lock lets one in at a time, and the kernel orders the end of
/// one before the next.
fn reader_and_writers(copies: u64, stopped: usize, last: u64) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(move || {
        let shared = Shared::new(copies);
        let writers = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.set(1);
                shared.stop_in_set(2, stopped);
                (3..=last).for_each(|number| shared.set(number));
            })
        };
        let first = shared.get();
        let second = shared.get();
        for seen in [first, second].into_iter().flatten() {
            assert!(seen != 2, "an update that did not happen");
        }
        if let (Some(first), Some(second)) = (first, second) {
            assert!(first <= second, "went back from {first} to {second}");
        }
        writers.join().unwrap();
        assert_eq!(shared.get(), Some(last));
    });
}

#[test]
fn two_copies_are_read_whole_whoever_stops() {
    for stopped in 0..=WORDS {
        reader_and_writers(2, stopped, 3);
    }
}

#[test]
fn three_copies_are_read_whole_whoever_stops() {
    for stopped in 0..=WORDS {
        reader_and_writers(3, stopped, 4);
    }
}

#[test]
fn two_writers_lose_no_update() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(|| {
        let shared = Shared::new(2);
        let add = |shared: &Shared, id| {
            let me = Holder::new(MemberId::new(id).unwrap(), 1);
            while !matches!(shared.header.lock().claim(me, false), Claim::Done(_)) {
                thread::yield_now();
            }
            let mut old = [0; WORDS];
            shared.header.read_locked(shared.copies(WORDS), |index, word| old[index] = word);
            assert_eq!(old[0], old[1], "torn under the lock");
            let staged = shared.header.stage(shared.copies(WORDS), |index| old[index] + 1);
            shared.header.commit(staged);
            let _ = shared.header.lock().release(me, false);
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || add(&shared, 1))
        };
        add(&shared, 2);
        other.join().unwrap();
        assert_eq!(shared.get(), Some(2));
    });
}
