//! A lock with readers and writers among other things that are waited for.

use core::fmt;
use core::sync::atomic::AtomicU32;

use crossproc_segment::wait::{self, Source, Waitable};

use super::handle::RwLock;
use super::raw::{PlaceWord, Word};

/// That a [`RwLock`] can be read, to be waited for with `wait_any`: made by [`RwLock::readable`].
///
/// Ready when there is no writer, or a dead one, or when the calling thread has the lock already. A
/// writer that leaves wakes the waiter. Whether a
/// place in the row is free is not looked at.
#[derive(Clone)]
pub struct Readable(RwLock);

/// That a [`RwLock`] can be written, to be waited for with `wait_any`: made by
/// [`RwLock::writable`].
///
/// Ready when there is neither a writer nor a reader, or only dead ones. Whoever leaves wakes the
/// waiter.
#[derive(Clone)]
pub struct Writable(RwLock);

impl RwLock {
    /// That the lock can be read, as something that `wait_any` can wait for.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::wait::wait_any;
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::new()?;
    /// let (readable, writable) = (lock.readable(), lock.writable());
    /// assert_eq!(wait_any(&[&readable, &writable], None)?, [0, 1]);
    /// let reader = lock.read().unwrap();
    /// let other = std::thread::spawn(move || wait_any(&[&readable, &writable], None));
    /// assert_eq!(other.join().unwrap()?, [0]);
    /// drop(reader);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn readable(&self) -> Readable {
        Readable(self.clone())
    }

    /// That the lock can be written, as something that `wait_any` can wait for.
    ///
    /// See [`readable`](Self::readable) for an example.
    #[must_use]
    pub fn writable(&self) -> Writable {
        Writable(self.clone())
    }

    /// Whether the calling thread reads or writes: a further call comes back at once, if only to
    /// refuse.
    fn is_mine(&self) -> bool {
        let me = self.me();
        self.raw().is_held_by(me) || self.row().iter().any(|place| place.is_held_by(me))
    }

    /// Whether no living writer is in the way; also where the word is none that a writer leaves.
    fn has_no_writer(&self, look: wait::Look) -> bool {
        let word = self.raw().word();
        match word.owner() {
            Some(owner) if word.is_valid() => {
                look == wait::Look::Repair && !self.segment().alive(owner)
            }
            _ => true,
        }
    }
}

impl Waitable for Readable {
    fn is_ready(&self, look: wait::Look) -> bool {
        self.0.has_no_writer(look) || self.0.is_mine()
    }

    fn source(&self) -> Source<'_> {
        Source::Word(self.0.segment(), self.0.raw().futex(), mark_writer)
    }
}

impl Waitable for Writable {
    fn is_ready(&self, look: wait::Look) -> bool {
        let lock = &self.0;
        let is_dead = |word: PlaceWord| {
            look == wait::Look::Repair && word.owner().is_some_and(|id| !lock.segment().alive(id))
        };
        let passes = |word: PlaceWord| word.lets_pass() || !word.is_valid() || is_dead(word);
        let mut words = lock.row().iter().map(|place| place.word());
        (lock.has_no_writer(look) && words.all(passes)) || lock.is_mine()
    }

    fn source(&self) -> Source<'_> {
        let lock = &self.0;
        let reader = lock.row().iter().find(|place| !place.word().lets_pass());
        match reader.filter(|_| lock.raw().word().owner().is_none()) {
            Some(place) => Source::Word(lock.segment(), place.futex(), mark_reader),
            None => Source::Word(lock.segment(), lock.raw().futex(), mark_writer),
        }
    }
}

/// Marks the word of a writer as slept on, if there is one.
fn mark_writer(word: &AtomicU32) -> Option<u32> {
    wait::mark(word, |seen| {
        let seen = Word(seen);
        seen.owner().map(|_| seen.with_waiters().bits())
    })
}

/// Marks the word of a reader that is in the way as slept on.
fn mark_reader(word: &AtomicU32) -> Option<u32> {
    wait::mark(word, |seen| {
        let seen = PlaceWord(seen);
        (!seen.lets_pass()).then(|| seen.slept_on().bits())
    })
}

impl fmt::Debug for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readable").field(&self.0).finish()
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writable").field(&self.0).finish()
    }
}
