//! The first page of a segment: what it is, how large, and where its parts lie.
//!
//! # Layout
//!
//! | offset | size | field         | who writes                | values                           |
//! |-------:|-----:|---------------|---------------------------|----------------------------------|
//! |      0 |    8 | `magic`       | creator, before the name  | [`MAGIC`]                        |
//! |      8 |    4 | `version`     | creator                   | [`VERSION`]                      |
//! |     12 |    4 | `ready`       | creator, last             | 0, or 1: the header is whole     |
//! |     16 |   16 | `identity`    | creator                   | random, never two the same       |
//! |     32 |    8 | `size`        | creator                   | exact size of the file           |
//! |     40 |    4 | `chunk_shift` | creator                   | arena chunk size, log2           |
//! |     44 |    4 | `chunks`      | creator                   | arena chunks                     |
//! |     48 |    8 | `layout`      | creator                   | [`Parts::stamp`]                 |
//! |     64 |    4 | `next_id`     | `fetch_add` by joiners    | the member id given last         |
//!
//! The numbers are the machine's own: a segment never leaves it, and a foreign byte order shows as
//! a wrong magic.
//!
//! The parts follow in this order, each on a page of its own: header, member table, wait table,
//! directory of names, arena.
//!
//! # Deaths
//!
//! A segment has no name before its header is whole (`O_TMPFILE`, then `linkat`), and an
//! anonymous one is handed on only after that. A creator killed earlier leaves an unnamed file,
//! which the kernel removes.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::arena::{Arena, Geometry};
use crate::error::{Error, Result};
use crate::{member, names, wait};

/// `crossprc` in ASCII, read as a little-endian number.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"crossprc");

/// The format of segments. A change of any layout below raises it.
pub(crate) const VERSION: u32 = 2;

/// Segments larger than this are refused.
pub(crate) const MOST_BYTES: usize = 255 << 30;

const PAGE: usize = 4096;

/// The words of the first page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    magic: AtomicU64,
    version: AtomicU32,
    ready: AtomicU32,
    identity: [AtomicU64; 2],
    size: AtomicU64,
    chunk_shift: AtomicU32,
    chunks: AtomicU32,
    layout: AtomicU64,
    _reserved: u64,
    /// The member id given last; joiners add to it.
    pub(crate) next_id: AtomicU32,
}

const _: () = assert!(core::mem::offset_of!(Header, next_id) == 64 && size_of::<Header>() <= PAGE);

/// Tells one segment from every other, on this machine and for all time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub(crate) [u64; 2]);

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}{:016x}", self.0[0], self.0[1])
    }
}

/// Where the parts of a segment lie; follows from the arena's geometry alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) geometry: Geometry,
    pub(crate) members: usize,
    pub(crate) waits: usize,
    pub(crate) names: usize,
    pub(crate) arena: usize,
    pub(crate) size: usize,
}

const fn pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

impl Parts {
    /// The parts of a segment whose objects may use about `bytes`.
    pub(crate) fn for_bytes(bytes: usize) -> Result<Self> {
        if bytes == 0 || bytes > MOST_BYTES {
            return Err(Error::BadSize { asked: bytes, most: MOST_BYTES });
        }
        let chunk_shift = (bytes / 64).max(1).ilog2().clamp(12, 16);
        // Eight chunks more: each size class in use takes at least one.
        let chunks = bytes.div_ceil(1 << chunk_shift) + 8;
        u32::try_from(chunks)
            .ok()
            .and_then(|chunks| Self::new(Geometry::new(chunk_shift, chunks)?))
            .ok_or(Error::BadSize { asked: bytes, most: MOST_BYTES })
    }

    fn new(geometry: Geometry) -> Option<Self> {
        let members = PAGE;
        let waits = members + pages(size_of::<member::raw::Table>());
        let names = waits + pages(size_of::<wait::raw::Table>());
        let arena = names + pages(size_of::<names::Directory>());
        let size = arena.checked_add(usize::try_from(Arena::size_for(geometry)).ok()?)?;
        let size = size.checked_next_multiple_of(PAGE)?;
        Some(Self { geometry, members, waits, names, arena, size })
    }

    /// A number that differs when the sizes of the parts do, so that two builds that disagree
    /// refuse each other.
    fn stamp(&self) -> u64 {
        [self.waits, self.names, self.arena, self.size]
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, &part| {
                (hash ^ part as u64).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

impl Header {
    /// Fills the header of a new segment. Nobody else can reach it yet.
    pub(crate) fn init(&self, identity: Identity, parts: &Parts) {
        self.magic.store(MAGIC, Relaxed);
        self.version.store(VERSION, Relaxed);
        self.identity[0].store(identity.0[0], Relaxed);
        self.identity[1].store(identity.0[1], Relaxed);
        self.size.store(parts.size as u64, Relaxed);
        self.chunk_shift.store(parts.geometry.chunk_shift(), Relaxed);
        self.chunks.store(parts.geometry.chunks(), Relaxed);
        self.layout.store(parts.stamp(), Relaxed);
        // ORDERING: release side of *ready*: whoever reads 1 reads a whole header.
        self.ready.store(1, Release); // commit: the segment can be attached
    }

    /// Checks everything that attaching relies on, and says where the parts are.
    ///
    /// `what` names the segment in errors; `file_size` is the size of the file as the kernel says.
    pub(crate) fn check(&self, what: &str, file_size: u64) -> Result<(Identity, Parts)> {
        // ORDERING: acquire side of *ready*.
        let ready = self.ready.load(Acquire);
        let found = self.magic.load(Relaxed);
        if found != MAGIC {
            return Err(Error::Magic { what: what.to_owned(), expected: MAGIC, found });
        }
        let found = self.version.load(Relaxed);
        if found != VERSION {
            return Err(Error::Version { what: what.to_owned(), expected: VERSION, found });
        }
        let corrupt = |why| Error::Corrupt { what: what.to_owned(), why };
        if ready != 1 {
            return Err(corrupt("its header was never finished"));
        }
        let expected = self.size.load(Relaxed);
        if expected != file_size {
            return Err(Error::Size { what: what.to_owned(), expected, found: file_size });
        }
        let geometry = Geometry::new(self.chunk_shift.load(Relaxed), self.chunks.load(Relaxed));
        let parts = geometry
            .and_then(Parts::new)
            .filter(|parts| parts.size as u64 == expected)
            .ok_or_else(|| corrupt("the parts that its header names do not fit its size"))?;
        let (expected, found) = (parts.stamp(), self.layout.load(Relaxed));
        if found != expected {
            return Err(Error::Parts { what: what.to_owned(), expected, found });
        }
        let identity = [self.identity[0].load(Relaxed), self.identity[1].load(Relaxed)];
        Ok((Identity(identity), parts))
    }
}
