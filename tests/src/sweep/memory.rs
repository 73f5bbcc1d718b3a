//! The bytes that a victim changes, seen from outside: mapped, copied, compared, put back.
//!
//! Everything is read and written as relaxed 64-bit words, since a third process may be at work in
//! the same bytes while the harness looks.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const WORD_BYTES: usize = size_of::<u64>();

/// A shared mapping made by the harness itself; it is no member of any segment.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<AtomicU64>,
    words: usize,
}

impl Memory {
    /// Maps the first `bytes` bytes of the file behind `fd`, rounded down to whole words.
    ///
    /// # Errors
    /// What `mmap` reports.
    pub fn of_file(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::map(fd.as_raw_fd(), libc::MAP_SHARED, bytes)
    }

    /// Memory that this process shares with the children it forks later, and with nobody else.
    ///
    /// # Errors
    /// What `mmap` reports.
    pub fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::map(-1, libc::MAP_SHARED | libc::MAP_ANONYMOUS, bytes)
    }

    fn map(fd: libc::c_int, flags: libc::c_int, bytes: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                0,
            )
        };
        match NonNull::new(at.cast::<AtomicU64>()) {
            Some(base) if at != libc::MAP_FAILED => Ok(Self { base, words: bytes / WORD_BYTES }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The bytes as words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, holds `words` words, lives as long as `self`, and
        // all access to it from here goes through atomics.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }

    /// A copy of all words.
    pub(super) fn copy(&self) -> Vec<u64> {
        self.words().iter().map(|word| word.load(Relaxed)).collect()
    }

    /// Whether any word differs from `copy`; for after each single instruction, so by the C
    /// library's fast comparison.
    pub(super) fn differs(&self, copy: &[u64]) -> bool {
        let bytes = self.words.min(copy.len()) * WORD_BYTES;
        // SAFETY: both are `bytes` long. A third process may be writing to the mapping, which is
        // why no reference to its bytes is made here; a torn answer is mended at the next step.
        unsafe { libc::memcmp(self.base.as_ptr().cast(), copy.as_ptr().cast(), bytes) != 0 }
    }

    /// Makes the words `base` again, save for those of `image`.
    pub(super) fn restore(&self, base: &[u64], image: &Image) {
        // Only what differs is stored: a store would make a page of its own of each untouched one.
        for (word, &old) in self.words().iter().zip(base) {
            if word.load(Relaxed) != old {
                word.store(old, Relaxed);
            }
        }
        for &(at, new) in &image.0 {
            self.words()[at].store(new, Relaxed);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and no borrow outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.words * WORD_BYTES) };
    }
}

/// The words in which the memory differs from its state before the victim's first instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Image(Vec<(usize, u64)>);

impl Image {
    pub(super) fn between(base: &[u64], now: &[u64]) -> Self {
        let words = now.iter().zip(base).enumerate();
        Self(words.filter(|(_, (new, old))| new != old).map(|(at, (&new, _))| (at, new)).collect())
    }
}
