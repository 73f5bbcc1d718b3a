//! Handles on their way to another process.
//!
//! A handle serialises to a ticket only while a thread is inside [`sending`], and attaches only
//! inside [`receiving`]. Anywhere else (a file, a log, JSON) a ticket would be worthless, and the
//! attempt is an error that says so.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

use crate::error::Error;
use crate::segment::Segment;

/// The newtype name under which handles serialise; codecs know by it that a message holds one.
pub const HANDLE: &str = "$crossproc::Handle";

pub(crate) const OUTSIDE: &str = "a crossproc handle can only be serialised on its way to another \
    process (an argument, a result, a queue, a pipe), not to a file or another format";

/// What a message that was encoded inside [`sending`] refers to.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The segments whose handles are in the message, each once.
    pub segments: Vec<Segment>,
}

/// Which way the innermost scope of this thread goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nowhere,
    Sending,
    Receiving,
}

/// A scope without its segments: all that is touched for a message that holds no handle.
#[derive(Clone, Copy)]
struct Scope {
    way: Way,
    /// Whether `SEGMENTS` has any; if not, it is empty.
    has_segments: bool,
}

impl Scope {
    const NOWHERE: Self = Self { way: Way::Nowhere, has_segments: false };
}

thread_local! {
    /// The innermost scope.
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::NOWHERE) };
    /// Its segments: those sent so far, or those given.
    static SEGMENTS: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
    static FAILED: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// The scope around the innermost one. It comes back on drop, so also when the closure panics.
struct Around {
    scope: Scope,
    segments: Vec<Segment>,
}

impl Around {
    #[inline]
    fn enter(way: Way, given: Vec<Segment>) -> Self {
        let has_segments = !given.is_empty();
        let scope = SCOPE.replace(Scope { way, has_segments });
        let mixed = has_segments || scope.has_segments;
        Self { scope, segments: if mixed { SEGMENTS.replace(given) } else { Vec::new() } }
    }

    /// Goes back to the scope around; returns the segments of the inner one.
    #[inline]
    fn leave(self) -> Vec<Segment> {
        ManuallyDrop::new(self).restore()
    }

    #[inline]
    fn restore(&mut self) -> Vec<Segment> {
        let inner = SCOPE.replace(self.scope);
        let mixed = inner.has_segments || self.scope.has_segments;
        if mixed { SEGMENTS.replace(std::mem::take(&mut self.segments)) } else { Vec::new() }
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        drop(self.restore());
    }
}

/// Runs `encode`, in which handles may serialise, and tells which segments they belong to.
///
/// Scopes nest; the innermost counts.
#[inline]
pub fn sending<R>(encode: impl FnOnce() -> R) -> (R, Sent) {
    let around = Around::enter(Way::Sending, Vec::new());
    let result = encode();
    (result, Sent { segments: around.leave() })
}

/// Runs `decode`, in which tickets attach. `given` are segments that came along with the message.
///
/// If a ticket cannot be attached, [`unreachable_error`] has the reason afterwards.
#[inline]
pub fn receiving<R>(given: Vec<Segment>, decode: impl FnOnce() -> R) -> R {
    if HAS_FAILED.get() {
        drop(unreachable_error());
    }
    let around = Around::enter(Way::Receiving, given);
    let result = decode();
    drop(around.leave());
    result
}

/// Why a ticket could not be attached in this thread's last [`receiving`]; taken, so that a second
/// call says `None`.
#[must_use]
pub fn unreachable_error() -> Option<Error> {
    if HAS_FAILED.replace(false) { FAILED.take() } else { None }
}

/// Whether this thread is inside [`sending`].
pub(crate) fn is_sending() -> bool {
    SCOPE.get().way == Way::Sending
}

/// Notes that a handle of `segment` was serialised. False outside [`sending`].
pub(crate) fn note_sent(segment: &Segment) -> bool {
    if SCOPE.get().way != Way::Sending {
        return false;
    }
    SEGMENTS.with_borrow_mut(|segments| {
        if !segments.contains(segment) {
            segments.push(segment.clone());
        }
    });
    SCOPE.set(Scope { way: Way::Sending, has_segments: true });
    true
}

/// The segments given with the message; `None` outside [`receiving`].
pub(crate) fn given() -> Option<Vec<Segment>> {
    match SCOPE.get() {
        Scope { way: Way::Receiving, has_segments: true } => Some(SEGMENTS.with_borrow(Vec::clone)),
        Scope { way: Way::Receiving, has_segments: false } => Some(Vec::new()),
        _ => None,
    }
}

/// Notes why a ticket could not be attached.
pub(crate) fn note_failed(error: Error) {
    if SCOPE.get().way == Way::Receiving {
        FAILED.set(Some(error));
        HAS_FAILED.set(true);
    }
}
