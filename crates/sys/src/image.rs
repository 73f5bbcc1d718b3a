//! The program that runs here: what it is, and where its code lies.
//!
//! Addresses differ between processes of one program; offsets from its base do not. Only the main
//! program counts, not the libraries loaded beside it.

use std::ffi::{c_int, c_void};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::{ptr, slice};

/// The longest build id that is kept whole.
const BUILD_ID_BYTES: usize = 32;

const NOTE_GNU_BUILD_ID: u32 = 3;

/// The build id that a linker put into a program.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct BuildId {
    len: u8,
    bytes: [u8; BUILD_ID_BYTES],
}

impl BuildId {
    fn new(id: &[u8]) -> Self {
        let kept = &id[..id.len().min(BUILD_ID_BYTES)];
        let mut bytes = [0; BUILD_ID_BYTES];
        bytes[..kept.len()].copy_from_slice(kept);
        Self { len: u8::try_from(kept.len()).unwrap_or(0), bytes }
    }

    /// Its bytes, the first 32 of a longer one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(BUILD_ID_BYTES)]
    }
}

/// What tells one program from another, on one machine: the file that runs here, and the build id
/// in its memory. Two processes with equal identities run the same code.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device of the program's file; 0 without `/proc`.
    pub dev: u64,
    /// Its number on that device.
    pub ino: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written to, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The build id, if the linker put one in.
    pub build_id: Option<BuildId>,
}

impl Identity {
    /// How many bytes [`to_bytes`](Self::to_bytes) gives.
    pub const BYTES: usize = 4 * 8 + 1 + BUILD_ID_BYTES;

    /// The bytes to send to another process of this machine.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::image::{self, Identity};
    ///
    /// let me = image::identity();
    /// assert_eq!(Identity::from_bytes(&me.to_bytes()), Some(me));
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let build_id = self.build_id.unwrap_or(BuildId::new(&[]));
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.dev.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ino.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[32] = build_id.len;
        bytes[33..].copy_from_slice(&build_id.bytes);
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) gave; `None` for any other bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| bytes[at..].first_chunk().copied();
        let id = bytes[33..].get(..usize::from(bytes[32]))?;
        let identity = Self {
            dev: u64::from_le_bytes(number(0)?),
            ino: u64::from_le_bytes(number(8)?),
            size: u64::from_le_bytes(number(16)?),
            mtime_ns: i64::from_le_bytes(number(24)?),
            build_id: (!id.is_empty()).then(|| BuildId::new(id)),
        };
        (identity.to_bytes() == *bytes).then_some(identity)
    }
}

/// What this program is (`stat("/proc/self/exe")`, [`build_id`]).
#[must_use]
pub fn identity() -> Identity {
    let file = fs::metadata("/proc/self/exe").ok();
    let number = |of: fn(&fs::Metadata) -> u64| file.as_ref().map_or(0, of);
    let mtime_ns = file.as_ref().map_or(0, |file| {
        file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec())
    });
    Identity {
        dev: number(fs::Metadata::dev),
        ino: number(fs::Metadata::ino),
        size: number(fs::Metadata::size),
        mtime_ns,
        build_id: build_id(),
    }
}

/// Where the main program was loaded: the address that all offsets count from
/// (`dl_iterate_phdr`, its first object).
#[must_use]
pub fn base() -> usize {
    program().base
}

/// The offset of a function of the main program; `None` for an address that does not lie in its
/// code (a shared library's, for one).
///
/// # Examples
///
/// ```
/// use crossproc_sys::image;
///
/// fn here() {}
/// let offset = image::offset_of(here as fn() as usize).expect("in the main program");
/// assert_eq!(image::addr_of(offset), Some(here as fn() as usize));
/// assert_eq!(image::offset_of(&raw const offset as usize), None);
/// ```
#[must_use]
pub fn offset_of(addr: usize) -> Option<u64> {
    let program = program();
    let offset = addr.checked_sub(program.base)?;
    program.is_code(offset).then_some(offset as u64)
}

/// The address of a function of the main program; `None` for an offset that does not lie in its
/// code.
#[must_use]
pub fn addr_of(offset: u64) -> Option<usize> {
    let program = program();
    let offset = usize::try_from(offset).ok()?;
    if program.is_code(offset) { program.base.checked_add(offset) } else { None }
}

/// The build id of the main program, if the linker put one in (its `PT_NOTE`, read from memory).
#[must_use]
pub fn build_id() -> Option<BuildId> {
    let program = program();
    program.parts.iter().filter(|part| part.kind == libc::PT_NOTE).find_map(|part| {
        let first = ptr::with_exposed_provenance::<u8>(program.base.checked_add(part.start)?);
        // SAFETY: a part that the loader mapped for good, readable, this long, and never written.
        let notes = unsafe { slice::from_raw_parts(first, part.len) };
        build_id_in(notes, part.align)
    })
}

/// One entry of the program's header table.
#[derive(Copy, Clone)]
struct Part {
    kind: u32,
    is_executable: bool,
    start: usize,
    len: usize,
    align: usize,
}

/// The main program as the loader sees it.
#[derive(Default)]
struct Program {
    base: usize,
    parts: Vec<Part>,
}

impl Program {
    fn is_code(&self, offset: usize) -> bool {
        self.parts.iter().any(|part| {
            part.kind == libc::PT_LOAD
                && part.is_executable
                && offset.checked_sub(part.start).is_some_and(|inside| inside < part.len)
        })
    }
}

/// Asks the loader. Not kept: it costs little, and who asks is about to start a process.
fn program() -> Program {
    let mut program = Program::default();
    // SAFETY: `first_object` gets the pointer to `program`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first_object), (&raw mut program).cast()) };
    program
}

/// Copies the headers of the first object, the main program, and ends the iteration.
unsafe extern "C" fn first_object(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    program: *mut c_void,
) -> c_int {
    // SAFETY: the loader hands out a valid info for the time of this call.
    let info = unsafe { &*info };
    // SAFETY: what `program()` passed: a `Program` that nobody else refers to now.
    let program = unsafe { &mut *program.cast::<Program>() };
    // SAFETY: the loader says that this many headers lie there.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    program.base = size(info.dlpi_addr);
    program.parts = headers
        .iter()
        .map(|header| Part {
            kind: header.p_type,
            is_executable: header.p_flags & libc::PF_X != 0,
            start: size(header.p_vaddr),
            len: size(header.p_memsz),
            align: size(header.p_align),
        })
        .collect();
    1
}

/// A 64-bit number of the loader's on a 64-bit machine.
fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// Finds the build id among the notes of one part: each is three lengths and a type, a name and a
/// value, both padded.
fn build_id_in(mut notes: &[u8], align: usize) -> Option<BuildId> {
    let pad = if align == 8 { 8 } else { 4 };
    while notes.len() >= 12 {
        let number = |at: usize| Some(u32::from_ne_bytes(*notes[at..].first_chunk()?));
        let (name_len, value_len) = (number(0)? as usize, number(4)? as usize);
        let value_at = 12_usize.checked_add(name_len)?.checked_next_multiple_of(pad)?;
        let value_end = value_at.checked_add(value_len)?;
        let name = notes.get(12..12 + name_len)?;
        let value = notes.get(value_at..value_end)?;
        if number(8)? == NOTE_GNU_BUILD_ID && name == b"GNU\0" && !value.is_empty() {
            return Some(BuildId::new(value));
        }
        notes = notes.get(value_end.checked_next_multiple_of(pad)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_bytes_are_no_identity() {
        let mut bytes = identity().to_bytes();
        assert_eq!(Identity::from_bytes(&bytes[1..]), None);
        bytes[32] = 33;
        assert_eq!(Identity::from_bytes(&bytes), None);
    }

    #[test]
    fn a_build_id_is_found_behind_another_note() {
        let mut notes = Vec::new();
        for (name, kind, value) in [(&b"GNU\0"[..], 5_u32, &[9_u8; 8][..]), (b"GNU\0", 3, &[7; 20])]
        {
            notes.extend(u32::try_from(name.len()).expect("small").to_ne_bytes());
            notes.extend(u32::try_from(value.len()).expect("small").to_ne_bytes());
            notes.extend(kind.to_ne_bytes());
            notes.extend(name);
            notes.extend(value);
        }
        assert_eq!(build_id_in(&notes, 4).expect("there").as_bytes(), [7; 20]);
        assert_eq!(build_id_in(&notes[..40], 4), None);
        assert_eq!(build_id_in(&[255; 40], 4), None);
    }
}
