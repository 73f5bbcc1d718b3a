//! What can go wrong with a segment and the objects in it.

use std::io;

/// Why a segment or an object in it could not be made, found or attached.
///
/// Every text says what was expected, what was found and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a segment or an object breaks the rules for names.
    #[error("the name {name:?} {why}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// Which rule it breaks, and what to do.
        why: &'static str,
    },
    /// A segment or object of that name is there already.
    #[error("{what} {name:?} exists already; use open() to attach to it, or open_or_create()")]
    Exists {
        /// `segment` or the kind of the object.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Nothing has that name.
    #[error("no {what} is called {name:?}; create() makes one, open_or_create() either")]
    NotFound {
        /// `segment` or `object`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The size asked for is zero or more than a segment can have.
    #[error("a segment of {asked} bytes cannot be made: between 1 and {most} bytes are possible")]
    BadSize {
        /// Bytes asked for.
        asked: usize,
        /// The largest size.
        most: usize,
    },
    /// The file is not one of ours.
    #[error(
        "{what} is not a crossproc segment: expected it to begin with {expected:#018x}, found {found:#018x}"
    )]
    Magic {
        /// Which file.
        what: String,
        /// The magic number of segments.
        expected: u64,
        /// What the file begins with.
        found: u64,
    },
    /// The segment was made by a version of crossproc with another layout.
    #[error(
        "{what} has segment format {found}, this program reads format {expected}; use programs built with the same crossproc version, or remove the segment and make it anew"
    )]
    Version {
        /// Which segment.
        what: String,
        /// The format of this program.
        expected: u32,
        /// The format of the segment.
        found: u32,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{what} should have {expected} bytes but has {found}: the file was cut or is no segment; remove it and make it anew"
    )]
    Size {
        /// Which segment.
        what: String,
        /// The size that the header (or the smallest segment) calls for.
        expected: u64,
        /// The size of the file.
        found: u64,
    },
    /// A word in shared memory has a value that no correct process writes.
    #[error(
        "{what} is corrupt: {why}; a process wrote where it should not, remove the segment and make it anew"
    )]
    Corrupt {
        /// Which segment or object.
        what: String,
        /// What was found.
        why: &'static str,
    },
    /// The parts of the segment have other sizes than in this program.
    #[error(
        "{what} is laid out as {found:#018x}, by this program it would be {expected:#018x}; use programs built with the same crossproc version"
    )]
    Parts {
        /// Which segment.
        what: String,
        /// What this program makes of a segment of that size.
        expected: u64,
        /// What its header says.
        found: u64,
    },
    /// Memory without a name came from another process, which could cut it under this one.
    #[error(
        "{what} is memory that is not sealed, so that its sender could cut it under this process; send a segment that crossproc made"
    )]
    Unsealed {
        /// What was received.
        what: String,
    },
    /// The object is of another kind.
    #[error("{name:?} is a {found}, not a {expected}")]
    Kind {
        /// The object's name.
        name: String,
        /// The kind asked for.
        expected: &'static str,
        /// The kind found.
        found: String,
    },
    /// The object has a layout of another version.
    #[error(
        "{name:?} is a {kind} of layout {found}, this program knows layout {expected}; use programs built with the same crossproc version"
    )]
    Layout {
        /// The object's name.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// The layout version of this program.
        expected: u32,
        /// The layout version of the object.
        found: u32,
    },
    /// The object holds another type.
    #[error("{name:?} is a {kind} of {found}, not of {expected}")]
    Type {
        /// The object's name.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// The type asked for.
        expected: &'static str,
        /// The type it was made with.
        found: String,
    },
    /// The segment has no room left for the object.
    #[error(
        "no room for {bytes} bytes: the segment of {size} bytes is full; make a larger segment or remove objects"
    )]
    NoRoom {
        /// Bytes asked for.
        bytes: usize,
        /// Size of the segment's file.
        size: usize,
    },
    /// The memory of a new segment could not be reserved.
    #[error(
        "cannot reserve {bytes} bytes for {what}: there is not that much room (memory for anonymous segments, `df -h /dev/shm` for named ones; in a container raise its shm size)"
    )]
    NoSpace {
        /// Bytes that were to be reserved.
        bytes: u64,
        /// Which segment.
        what: String,
    },
    /// All entries of the segment's member table are taken by living processes.
    #[error(
        "{limit} processes are attached to this segment already, which is the most there can be"
    )]
    TooManyMembers {
        /// How many there can be.
        limit: usize,
    },
    /// The segment's directory has no place left.
    #[error(
        "the segment has {limit} named objects already, which is the most there can be; remove some, or make a second segment"
    )]
    TooManyNames {
        /// How many there can be.
        limit: usize,
    },
    /// All handles to named objects that a segment can count are open.
    #[error(
        "{limit} handles to named objects of this segment are open already, which is the most there can be; clone handles instead of opening a name again"
    )]
    TooManyHandles {
        /// How many there can be.
        limit: usize,
    },
    /// The file lies on a network file system, where locks and memory are not shared.
    #[error(
        "{path:?} lies on a network file system, where processes on two machines would not see each other; use a local file or a named segment"
    )]
    Network {
        /// The path.
        path: String,
    },
    /// The process may not open any more descriptors.
    #[error("cannot {what}: no descriptor is left; raise the limit (`ulimit -n`) or close some")]
    Descriptors {
        /// What was attempted, on what.
        what: String,
    },
    /// The user may not do that with the segment.
    #[error(
        "no permission to {what}: it belongs to another user or its mode forbids it (segments are made with mode 0600 unless .mode(..) says otherwise)"
    )]
    Permission {
        /// What was attempted, on what.
        what: String,
    },
    /// The kernel lacks what segments need.
    #[error(transparent)]
    Kernel(#[from] crossproc_sys::kernel::TooOld),
    /// A handle came from another process, but its segment cannot be reached from here.
    #[error("the segment of a received handle cannot be reached: {why}")]
    Unreachable {
        /// What was tried.
        why: String,
    },
    /// A handle came from another process, but its object has been removed meanwhile.
    #[error("the object of this handle is gone: it was removed before this process attached to it")]
    Gone,
    /// A system call failed in a way that has no sentence of its own.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// The system's word.
        source: io::Error,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Gives a failed system call the best sentence there is for it.
pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let what = what.into();
    move |source| match (source.kind(), source.raw_os_error()) {
        (_, Some(EMFILE | ENFILE)) => Error::Descriptors { what },
        (io::ErrorKind::PermissionDenied, _) => Error::Permission { what },
        _ => Error::Io { what, source },
    }
}
