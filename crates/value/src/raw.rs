//! The value as it lies in shared memory: a version, and several copies that take turns.
//!
//! A writer fills the copy that no reader is sent to, then moves the version on: one store makes
//! the update happen. Readers take no lock; they copy, and look whether the version stood still.
//! (A seqlock whose writer never touches the current copy, so that a dead one leaves it whole.)
//!
//! # Layout
//!
//! | offset | size | field     | written by      | values                                  |
//! |-------:|-----:|-----------|-----------------|-----------------------------------------|
//! |      0 |   16 | `lock`    | writers         | see `crossproc_sync::raw`               |
//! |     16 |    8 | `version` | the lock holder | number of updates so far; no reader bounds an access by it |
//! |     64 |      | copies    | the lock holder | `K` times the bytes of the value, rounded up to words, each copy on cache lines of its own |
//!
//! `K` is 2 for values of up to 64 bytes and 3 above; both sides know it from the type. Copy
//! `v % K` holds version `v`. All zeroes is a valid value whose bytes are zero.
//!
//! # States
//!
//! - Lock free: copy `version % K` is the value. Nobody touches any copy but to read it.
//! - Lock held: the holder, and only it, may write copy `(version + 1) % K`.
//!
//! # Operations
//!
//! Read ([`Header::try_read`]):
//! 1. Load `version`, `v`.
//! 2. Copy the words of copy `v % K`.
//! 3. Load `version` again: the copy is whole if it moved by `K - 2` at most. For two copies this
//!    means not at all.
//!
//! Update, with the lock held:
//! 1. Load `version`, `v`; read copy `v % K` if the new value depends on the old.
//! 2. Write the words of copy `(v + 1) % K` ([`Header::stage`]).
//! 3. Store `v + 1` to `version` ([`Header::commit`]): the commit.
//!
//! # Orderings
//!
//! - **publish**: the version store of a commit (Release) to the first version load of a read
//!   (Acquire). The words of the copy that the version names are visible.
//! - **retire**: the fence of a stage (Release) to the fence of a read (Acquire). Copy `v % K` is
//!   written again by the update that makes `v + K`, which begins after the commit of
//!   `v + K - 1`. So a reader that saw any word of it sees `version` at `v + K - 1` or later in its
//!   second load, and throws the copy away. Hence `K - 2`, and not one more: after the commit of
//!   `v + K - 1` nobody can tell whether the next update has begun.
//! - The words are Relaxed; two writers are ordered by *hand-over* and *succession* of the lock,
//!   and so is the Relaxed load of `version` by the holder of the lock.
//!
//! # Deaths
//!
//! | killed                        | left behind                          | seen by                 |
//! |-------------------------------|--------------------------------------|-------------------------|
//! | update, before the commit     | dead id in `lock`, next copy half written | next writer: takes over, writes that copy anew; readers never look at it |
//! | update, after the commit      | dead id in `lock`                    | next writer; the update has happened |
//! | read                          | nothing                              | -                       |
//! | read that took the lock       | dead id in `lock`                    | next writer             |
//!
//! # Limits
//!
//! `version` does not come round in the life of a machine. A reader whose copying takes longer
//! than `K - 1` updates tries again; see the handle for when it takes the lock.

use core::fmt;

use crossproc_sync::raw::Lock;

use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::{AtomicU64, fence};

/// Where the first copy begins.
pub const COPIES_OFFSET: usize = 64;

const WORD_BYTES: usize = 8;
const LINE_WORDS: usize = 8;
/// Values of up to so many bytes have two copies.
const TWO_COPIES_BYTES: usize = 64;

/// The words of a value before its copies. They hold no pointer and are valid when zeroed.
#[repr(C)]
#[derive(Default)]
pub struct Header {
    lock: Lock,
    version: AtomicU64,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<Header>() == 24 && size_of::<Header>() <= COPIES_OFFSET);
    assert!(core::mem::offset_of!(Header, lock) == 0);
    assert!(core::mem::offset_of!(Header, version) == 16);
};

/// How many copies there are of a value, and how they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    copies: u64,
    words: usize,
    stride: usize,
}

impl Geometry {
    /// The copies of a value of `bytes`.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        let words = bytes.div_ceil(WORD_BYTES);
        let stride = words.div_ceil(LINE_WORDS) * LINE_WORDS;
        let copies = if bytes <= TWO_COPIES_BYTES { 2 } else { 3 };
        Self { copies, words, stride }
    }

    /// Words of all copies, with the room between them.
    #[must_use]
    pub const fn all_words(self) -> usize {
        let copies = if self.copies == 2 { 2 } else { 3 };
        copies * self.stride
    }

    /// Bytes of the whole body.
    #[must_use]
    pub const fn body_bytes(self) -> usize {
        COPIES_OFFSET + self.all_words() * WORD_BYTES
    }

    /// The same copies with other numbers, for the model checker.
    #[cfg(crossproc_loom)]
    #[must_use]
    pub const fn small(copies: u64, words: usize, stride: usize) -> Self {
        Self { copies, words, stride }
    }
}

/// The copies of a value.
#[derive(Clone, Copy)]
pub struct Copies<'a> {
    words: &'a [AtomicU64],
    geometry: Geometry,
}

impl<'a> Copies<'a> {
    /// Wraps the words of all copies. If there are fewer than the geometry needs, their use panics.
    #[must_use]
    #[inline]
    pub const fn new(words: &'a [AtomicU64], geometry: Geometry) -> Self {
        Self { words, geometry }
    }

    /// Writes the first value, version 0, before anybody else knows of it.
    pub fn init(self, take: impl FnMut(usize) -> u64) {
        copy_in(self.of_version(0), take);
    }

    #[inline]
    fn of_version(self, version: u64) -> &'a [AtomicU64] {
        let Geometry { copies, words, stride } = self.geometry;
        #[expect(clippy::cast_possible_truncation, reason = "below the number of copies")]
        let start = (version % copies) as usize * stride;
        &self.words[start..start + words]
    }
}

impl fmt::Debug for Copies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.geometry.fmt(f)
    }
}

/// An update that is written but has not happened yet.
#[derive(Debug)]
#[must_use = "without a commit nothing happens"]
pub struct Staged {
    version: u64,
}

impl Header {
    /// Makes the header of a value at version 0.
    #[must_use]
    pub fn new() -> Self {
        Self { lock: Lock::new(), version: AtomicU64::new(0) }
    }

    /// The lock of the writers.
    #[must_use]
    #[inline]
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }

    /// How often the value was written, for the curious.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Gives the words of the value, with their index, to `put`. Returns whether they belong
    /// together; if not, they are to be thrown away.
    #[inline]
    #[must_use]
    pub fn try_read(&self, copies: Copies<'_>, put: impl FnMut(usize, u64)) -> bool {
        // ORDERING: acquire side of *publish*.
        let version = self.version.load(Acquire);
        copy_out(copies.of_version(version), put);
        // ORDERING: acquire side of *retire*.
        fence(Acquire);
        let moved = self.version.load(Relaxed).wrapping_sub(version);
        moved <= copies.geometry.copies - 2
    }

    /// Gives the words of the value to `put`. The caller holds the lock, so nothing moves.
    #[inline]
    pub fn read_locked(&self, copies: Copies<'_>, put: impl FnMut(usize, u64)) {
        copy_out(copies.of_version(self.version.load(Relaxed)), put);
    }

    /// Writes the next copy with the words that `take` gives for each index. The caller holds the
    /// lock.
    #[inline]
    pub fn stage(&self, copies: Copies<'_>, take: impl FnMut(usize) -> u64) -> Staged {
        let version = self.version.load(Relaxed).wrapping_add(1);
        // ORDERING: release side of *retire*.
        fence(Release);
        copy_in(copies.of_version(version), take);
        Staged { version }
    }

    /// Makes a staged update happen. The caller still holds the lock.
    #[inline]
    pub fn commit(&self, staged: Staged) {
        // ORDERING: release side of *publish*.
        self.version.store(staged.version, Release); // commit: the value is the new one
    }
}

#[inline]
fn copy_out(words: &[AtomicU64], mut put: impl FnMut(usize, u64)) {
    for (index, word) in words.iter().enumerate() {
        put(index, word.load(Relaxed));
    }
}

#[inline]
fn copy_in(words: &[AtomicU64], mut take: impl FnMut(usize) -> u64) {
    for (index, word) in words.iter().enumerate() {
        word.store(take(index), Relaxed);
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lock = self.lock.word();
        f.debug_struct("Header").field("version", &self.version()).field("lock", &lock).finish()
    }
}
