//! The small message that a handle becomes on its way to another process.
//!
//! A ticket names a segment by its identity, says by which ways it may be reached, and names an
//! object in it. The receiver tries, in this order: its own mapping; the segments that came with
//! the message; the name; the descriptor of the sender, or of any other process of the tree that
//! has the segment ([`holders`]), under `/proc`. Whatever it opens is taken only
//! if the identity in its header is the ticket's.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use crossproc_sys::{file, fork, process};
use parking_lot::Mutex;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, system};
use crate::header::Identity;
use crate::segment::Segment;
use crate::{holders, path, registry, transit};

/// A segment and an object in it, as they are sent. `object` 0 means the segment itself.
#[derive(Serialize, Deserialize)]
struct Wire {
    identity: [u64; 2],
    object: u64,
    pid: u32,
    fd: i32,
    start: u64,
    path: Option<String>,
}

/// Serialises a ticket for `object` in `segment`; an error outside a transit scope.
pub(crate) fn serialize<S: Serializer>(
    segment: &Segment,
    object: u64,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !transit::note_sent(segment) {
        return Err(S::Error::custom(transit::OUTSIDE));
    }
    holders::enter(segment);
    let pid = process::pid();
    let wire = Wire {
        identity: segment.identity().0,
        object,
        pid,
        fd: segment.as_fd().as_raw_fd(),
        start: own_start(pid),
        path: segment.path().and_then(Path::to_str).map(str::to_owned),
    };
    serializer.serialize_newtype_struct(transit::HANDLE, &wire)
}

/// The start time of this process, read once; again after a fork.
fn own_start(pid: u32) -> u64 {
    static KNOWN: Mutex<(u32, u64)> = Mutex::new((0, 0));
    fork::without_fork(|| {
        let mut known = KNOWN.lock();
        if known.0 != pid {
            *known = (pid, process::start_time(pid).unwrap_or(0));
        }
        known.1
    })
}

/// Reads a ticket and attaches to its segment; returns the object too.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(Segment, u64), D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Wire;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("the ticket of a crossproc handle")
        }
        fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Wire, D::Error> {
            Wire::deserialize(d)
        }
    }
    let Some(given) = transit::given() else { return Err(D::Error::custom(transit::OUTSIDE)) };
    let wire = deserializer.deserialize_newtype_struct(transit::HANDLE, Visitor)?;
    match reach(&wire, &given) {
        Ok(segment) => {
            if let Some(path) = &wire.path {
                segment.learn_path(Path::new(path));
            }
            holders::enter(&segment);
            Ok((segment, wire.object))
        }
        Err(error) => Err(fail::<D>(error)),
    }
}

/// Makes an attach error known to the receiver, beside serde's text.
pub(crate) fn fail<'de, D: Deserializer<'de>>(error: Error) -> D::Error {
    let text = D::Error::custom(&error);
    transit::note_failed(error);
    text
}

fn reach(wire: &Wire, given: &[Segment]) -> Result<Segment, Error> {
    let identity = Identity(wire.identity);
    if let Some(segment) = registry::get(identity) {
        return Ok(segment);
    }
    if let Some(segment) = given.iter().find(|segment| segment.identity() == identity) {
        return Ok(segment.clone());
    }
    let is_it = |segment: Segment| {
        let why = "what lies where the ticket points is another segment".to_owned();
        if segment.identity() == identity { Ok(segment) } else { Err(Error::Unreachable { why }) }
    };
    match &wire.path {
        // The name may be gone, or another's by now: its sender may still have it.
        Some(path) => by_path(Path::new(path))
            .and_then(is_it)
            .or_else(|error| by_descriptor(wire).and_then(is_it).map_err(|_| error)),
        None => {
            by_descriptor(wire).and_then(is_it).or_else(|error| by_another(identity).ok_or(error))
        }
    }
}

/// The segment from a process of the tree other than the sender.
fn by_another(identity: Identity) -> Option<Segment> {
    holders::paths(identity).iter().find_map(|path| {
        // By now the number may be a terminal's or a device's, which is not to be opened.
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).ok()?;
        Segment::from_fd(file.into()).ok().filter(|segment| segment.identity() == identity)
    })
}

fn by_path(path: &Path) -> Result<Segment, Error> {
    let shown = path::shown(path);
    let what = format!("segment {shown:?}");
    let refused = unreachable(format!("open {what}"), |error| {
        format!("{what} cannot be opened ({error}); was it unlinked?")
    });
    let fd = file::open(path).map_err(refused)?;
    Segment::attach(fd, &what, Some((path.to_owned(), shown)))
}

fn by_descriptor(wire: &Wire) -> Result<Segment, Error> {
    let Wire { pid, fd, .. } = wire;
    let ended = || {
        format!(
            "it is anonymous, its sender, process {pid}, has ended, and no other process of the tree \
             has it; keep the sender alive until the handle has arrived, send it as an argument of spawn, or use a named segment"
        )
    };
    let start = process::start_time(*pid)
        .map_err(unreachable(format!("look at process {pid}"), |_| ended()))?;
    if start != wire.start {
        return Err(Error::Unreachable { why: ended() });
    }
    let path = format!("/proc/{pid}/fd/{fd}");
    let refused = || {
        unreachable(format!("open {path}"), |error| match error.kind() {
            io::ErrorKind::NotFound => format!(
                "its sender, process {pid}, has closed it; keep a handle there until this one has \
                 arrived, send it as an argument of spawn, or use a named segment"
            ),
            _ => format!(
                "{path} cannot be opened ({error}); is the sender of another user, or undumpable? \
                 send the handle as an argument of spawn, or use a named segment"
            ),
        })
    };
    // By now the number may be a terminal's or a device's, which is not to be opened.
    let is_file = std::fs::metadata(&path).map_err(refused())?.is_file();
    if !is_file {
        return Err(refused()(io::ErrorKind::NotFound.into()));
    }
    let open = std::fs::OpenOptions::new().read(true).write(true).open(&path);
    Segment::from_fd(open.map_err(refused())?.into())
}

/// The error for a segment that could not be reached; another one if that was only for want of a
/// descriptor.
fn unreachable(
    doing: String,
    why: impl FnOnce(&io::Error) -> String,
) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let why = why(&source);
        match system(doing)(source) {
            error @ Error::Descriptors { .. } => error,
            _ => Error::Unreachable { why },
        }
    }
}

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, 0, serializer)
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(|(segment, _)| segment)
    }
}
