//! What stands before each object in shared memory.
//!
//! # Layout
//!
//! | offset | size | field         | who writes            | values                              |
//! |-------:|-----:|---------------|-----------------------|-------------------------------------|
//! |      0 |   16 | `kind`        | builder               | ASCII, padded with NUL              |
//! |     16 |    4 | `version`     | builder               | layout version of the kind          |
//! |     24 |    8 | `fingerprint` | builder               | [`Shape::fingerprint`]              |
//! |     32 |    8 | `body_bytes`  | builder               | bytes of the body                   |
//! |     40 |    8 | `place`       | publish, take         | an unnamed object's own reference   |
//! |     48 |   80 | `type_name`   | builder               | for errors, cut, padded with NUL    |
//!
//! The body follows at offset 128. The header is written before the object is published and never
//! again, but for `place`.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};

use super::Shape;
use crate::error::{Error, Result};

const KIND_WORDS: usize = 2;
const TYPE_WORDS: usize = 10;

/// Bytes before an object's body; also the alignment of the body.
pub(crate) const HEADER_BYTES: usize = 128;

#[derive(Debug)]
#[repr(C)]
pub(crate) struct ObjectHeader {
    kind: [AtomicU64; KIND_WORDS],
    version: AtomicU32,
    _reserved: u32,
    fingerprint: AtomicU64,
    body_bytes: AtomicU64,
    /// Holds the block's reference while an unnamed object lives.
    pub(crate) place: AtomicU64,
    type_name: [AtomicU64; TYPE_WORDS],
}

/// Offset of `place`.
pub(crate) const PLACE_OFFSET: usize = core::mem::offset_of!(ObjectHeader, place);

const _: () = assert!(size_of::<ObjectHeader>() == HEADER_BYTES && PLACE_OFFSET == 40);

impl ObjectHeader {
    /// Describes an object that nobody else can reach yet.
    pub(crate) fn init(&self, shape: &Shape, body_bytes: usize) {
        debug_assert!(shape.kind.len() <= KIND_WORDS * 8);
        write_text(&self.kind, shape.kind);
        self.version.store(shape.version, Relaxed);
        self.fingerprint.store(shape.fingerprint, Relaxed);
        self.body_bytes.store(body_bytes as u64, Relaxed);
        write_text(&self.type_name, shape.type_name);
    }

    /// The kind, as a tool shows it.
    pub(crate) fn kind(&self) -> String {
        read_text(&self.kind)
    }

    /// The type's name, as a tool shows it.
    pub(crate) fn type_name(&self) -> String {
        read_text(&self.type_name)
    }

    /// Bytes of the body, as the header says: to be bounded by the block.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Relaxed)
    }

    /// Checks that the object is of the expected shape; `name` names it in errors.
    pub(crate) fn check(&self, shape: &Shape, name: &str) -> Result<()> {
        let found = self.kind();
        let name = name.to_owned();
        if found != shape.kind {
            return Err(Error::Kind { name, expected: shape.kind, found });
        }
        let (kind, expected) = (shape.kind, shape.version);
        let found = self.version.load(Relaxed);
        if found != expected {
            return Err(Error::Layout { name, kind, expected, found });
        }
        if self.fingerprint.load(Relaxed) != shape.fingerprint {
            let found = self.type_name();
            return Err(Error::Type { name, kind, expected: shape.type_name, found });
        }
        Ok(())
    }
}

/// Writes as much of `text` as fits, padded with NUL. Long type names keep their end, where the
/// differences are.
fn write_text(words: &[AtomicU64], text: &str) {
    let room = words.len() * 8;
    let mut from = text.len().saturating_sub(room);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut bytes = text.as_bytes()[from..].iter().copied();
    for word in words {
        let eight = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        word.store(u64::from_ne_bytes(eight), Relaxed);
    }
}

fn read_text(words: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
