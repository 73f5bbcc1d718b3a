//! Handles on their way to another process.
//!
//! A handle serialises to a ticket only while a thread is inside [`sending`], and attaches only
//! inside [`receiving`]. Anywhere else (a file, a log, JSON) a ticket would be worthless, and the
//! attempt is an error that says so.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

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
    /// What the handles in the message have lent to whoever receives it.
    pub loans: Vec<Loan>,
}

impl Sent {
    const NOTHING: Self = Self { segments: Vec::new(), loans: Vec::new() };

    /// Tells whether no handle is in the message, and so nothing has to be done about it.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.loans.is_empty()
    }

    /// Drops it, without a call where nothing is in it: that is on the way of every message.
    #[inline(always)]
    pub fn discard(self) {
        if self.segments.capacity() == 0 && self.loans.capacity() == 0 {
            std::mem::forget(self);
        }
    }

    /// The message will not arrive: see [`Loan::take_back`].
    pub fn take_back(&self) {
        self.loans.iter().for_each(Loan::take_back);
    }
}

/// Something that a handle on its way stands for, until it arrives: that it is counted, say.
#[derive(Clone)]
pub struct Loan(Arc<dyn Fn() + Send + Sync>);

impl Loan {
    /// For the sender, if the message will not arrive: it was refused, or whoever it was for has
    /// ended. Does nothing if it has arrived, or was taken back already.
    pub fn take_back(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").finish_non_exhaustive()
    }
}

/// Which way the innermost scope of this thread goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Nowhere,
    Sending,
    Receiving,
}

/// A scope without its segments: all that is touched for a message that holds no handle.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scope {
    way: Way,
    /// Whether `SEGMENTS` may have any, or loans; if not, it is empty.
    has_segments: bool,
}

impl Scope {
    const NOWHERE: Self = Self { way: Way::Nowhere, has_segments: false };
}

thread_local! {
    /// The innermost scope.
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::NOWHERE) };
    /// Its segments: those sent so far, or those given.
    static SEGMENTS: RefCell<Sent> = const { RefCell::new(Sent::NOTHING) };
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
    static FAILED: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// The scope around the innermost one. It comes back on drop, so also when the closure panics.
struct Around {
    scope: Scope,
    segments: Sent,
}

impl Around {
    #[inline]
    fn enter(way: Way, given: Vec<Segment>) -> Self {
        let has_segments = !given.is_empty();
        let scope = SCOPE.replace(Scope { way, has_segments });
        let mixed = has_segments || scope.has_segments;
        let given = Sent { segments: given, loans: Vec::new() };
        if mixed {
            return Self { scope, segments: SEGMENTS.replace(given) };
        }
        given.discard();
        Self { scope, segments: Sent::NOTHING }
    }

    /// Goes back to the scope around; returns the segments of the inner one.
    #[inline]
    fn leave(self) -> Sent {
        ManuallyDrop::new(self).restore()
    }

    #[inline]
    fn restore(&mut self) -> Sent {
        let inner = SCOPE.replace(self.scope);
        let mixed = inner.has_segments || self.scope.has_segments;
        if mixed { SEGMENTS.replace(std::mem::take(&mut self.segments)) } else { Sent::NOTHING }
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        // A panic: nothing is sent.
        self.restore().take_back();
    }
}

/// Runs `encode`, in which handles may serialise, and tells which segments they belong to.
///
/// Scopes nest; the innermost counts.
#[inline]
pub fn sending<R>(encode: impl FnOnce() -> R) -> (R, Sent) {
    let around = Around::enter(Way::Sending, Vec::new());
    let result = encode();
    (result, around.leave())
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
    around.leave().discard();
    result
}

/// Why a ticket could not be attached in this thread's last [`receiving`]; taken, so that a second
/// call says `None`.
#[must_use]
pub fn unreachable_error() -> Option<Error> {
    if HAS_FAILED.replace(false) { FAILED.take() } else { None }
}

/// Whether this thread is inside [`sending`]; what is worth something only there asks first.
#[must_use]
pub fn is_sending() -> bool {
    SCOPE.get().way == Way::Sending
}

/// Whether this thread is inside [`receiving`].
#[must_use]
pub fn is_receiving() -> bool {
    SCOPE.get().way == Way::Receiving
}

/// Notes that a handle of `segment` was serialised. False outside [`sending`].
pub(crate) fn note_sent(segment: &Segment) -> bool {
    if SCOPE.get().way != Way::Sending {
        return false;
    }
    SEGMENTS.with_borrow_mut(|sent| {
        if !sent.segments.contains(segment) {
            sent.segments.push(segment.clone());
        }
    });
    SCOPE.set(Scope { way: Way::Sending, has_segments: true });
    true
}

/// Notes what a handle that was just serialised has lent to its receiver. Whoever sends the message
/// calls `take_back` if it will not arrive; it may be called more than once, and from any thread.
///
/// Outside [`sending`], where no handle serialises, nothing is noted.
pub fn note_loan(take_back: impl Fn() + Send + Sync + 'static) {
    if SCOPE.get().way == Way::Sending {
        SEGMENTS.with_borrow_mut(|sent| sent.loans.push(Loan(Arc::new(take_back))));
        SCOPE.set(Scope { way: Way::Sending, has_segments: true });
    }
}

/// What is due once a message that was read has been taken; from [`deferring`].
#[derive(Default)]
pub struct Arrivals(Vec<Box<dyn FnOnce() + Send>>);

impl Arrivals {
    /// Tells whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message is this process's: what its handles had on loan is not needed any more.
    pub fn settle(self) {
        self.0.into_iter().for_each(|due| due());
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Arrivals").field(&self.0.len()).finish()
    }
}

thread_local! {
    /// What the handles that arrive in the innermost [`deferring`] have due.
    static ARRIVALS: RefCell<Option<Arrivals>> = const { RefCell::new(None) };
}

/// Runs `read`, which reads a message before it is taken, and returns what its handles have due once
/// it is: if it is not, or this process dies before, they are still on loan.
pub fn deferring<R>(read: impl FnOnce() -> R) -> (R, Arrivals) {
    /// Goes back to what was around, also when the closure panics.
    struct Around(Option<Arrivals>);
    impl Drop for Around {
        fn drop(&mut self) {
            ARRIVALS.set(self.0.take());
        }
    }
    let around = Around(ARRIVALS.replace(Some(Arrivals::default())));
    let result = read();
    let arrivals = ARRIVALS.take().unwrap_or_default();
    drop(around);
    (result, arrivals)
}

/// For a handle that arrives: has `due` done when its message is taken, or at once where it is.
pub fn note_arrival(due: impl FnOnce() + Send + 'static) {
    let now = ARRIVALS.with_borrow_mut(|arrivals| match arrivals {
        Some(arrivals) => {
            arrivals.0.push(Box::new(due));
            None
        }
        None => Some(due),
    });
    if let Some(due) = now {
        due();
    }
}

/// The segments given with the message; `None` outside [`receiving`].
pub(crate) fn given() -> Option<Vec<Segment>> {
    match SCOPE.get() {
        Scope { way: Way::Receiving, has_segments: true } => {
            Some(SEGMENTS.with_borrow(|given| given.segments.clone()))
        }
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
