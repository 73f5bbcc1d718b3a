//! The member table as it lies in shared memory: who says that it is attached.
//!
//! The table serves limits, tools and the look-out. It is **not** what decides whether a member
//! lives: that is the lock on the member's byte (see [`super`]), which no word in shared memory
//! can forge.
//!
//! # Layout
//!
//! [`ENTRIES`] entries of 64 bytes:
//!
//! | offset | size | field   | who writes      | values                                    |
//! |-------:|-----:|---------|-----------------|-------------------------------------------|
//! |      0 |    4 | `id`    | CAS by anybody  | 0 vacant, or the id of the member         |
//! |      4 |    4 | `pid`   | the member      | its pid in its own pid namespace          |
//! |      8 |    8 | `start` | the member      | its start time in clock ticks after boot  |
//! |     16 |   48 | `name`  | the member      | process name, UTF-8, padded with NUL      |
//!
//! All zeroes is an empty table.
//!
//! # Deaths
//!
//! An entry whose id is dead is cleared by the look-out after the waiters of the dead have been
//! told (`wait`), or taken over by a joiner that finds the table full, who must tell them first.
//! The other three fields are hints for tools: a member killed while it writes them leaves those
//! of its predecessor behind.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};

/// How many processes can be attached to one segment at a time.
pub const ENTRIES: usize = 4096;

/// Words of a name.
const NAME_WORDS: usize = 6;

/// One row of the table.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// 0, or the id of the member that has the entry.
    pub id: AtomicU32,
    /// The member's pid, for tools.
    pub pid: AtomicU32,
    /// The member's start time, for tools.
    pub start: AtomicU64,
    name: [AtomicU64; NAME_WORDS],
}

/// The member table of a segment.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// The rows; the order means nothing.
    pub entries: [Entry; ENTRIES],
}

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<Table>() == 64 * ENTRIES);

impl Entry {
    /// Writes what tools show. Only the member that has the entry calls this.
    pub fn describe(&self, pid: u32, start: u64, name: &str) {
        self.pid.store(pid, Relaxed);
        self.start.store(start, Relaxed);
        let mut bytes = [0u8; NAME_WORDS * 8];
        let mut cut = name.len().min(bytes.len());
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        bytes[..cut].copy_from_slice(&name.as_bytes()[..cut]);
        for (word, chunk) in self.name.iter().zip(bytes.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(eight), Relaxed);
        }
    }

    /// The name, with anything that is not UTF-8 replaced.
    #[must_use]
    pub fn name(&self) -> String {
        let bytes: Vec<u8> = self.name.iter().flat_map(|w| w.load(Relaxed).to_ne_bytes()).collect();
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}
