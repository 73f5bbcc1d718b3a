//! A descriptor for something that can be waited for: for event loops that know `epoll` or `poll`.
//!
//! Futexes and descriptors are two worlds. Between them stands a thread of this process, the
//! `bridge`, which raises the descriptor (an `eventfd`) of what is ready.
//!
//! # States of a descriptor
//!
//! - *armed*: the bridge waits for it. The descriptor is down.
//! - *up*: the thing was ready. The bridge leaves it alone, so that a thing that stays ready costs
//!   nothing, until [`WaitFd::rearm`] takes the descriptor down and arms it again.
//!
//! The bridge disarms before it raises, and `rearm` takes down before it arms: so a descriptor is
//! never down and disarmed at rest. (It may be up and armed, after a race: a look in vain.)

use core::fmt;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crossproc_sys::eventfd::EventFd;
use crossproc_sys::fork;

use super::any::Waitable;
use super::bridge::{Bridge, Due};

/// A descriptor as its bridge sees it.
pub(super) struct Flag {
    item: Box<dyn Waitable + Send + Sync>,
    fd: EventFd,
    is_armed: AtomicBool,
}

/// A descriptor that can be read, as far as `epoll`, `poll` and `select` are concerned, while
/// something is ready. Made for one thing with [`WaitFd::new`].
///
/// It costs a descriptor, and the process one thread for up to 60 of them. Do not read from it:
/// when it is reported, do what it stands for by the `try_` form until that would block, then
/// [`rearm`](Self::rearm). A process needs no such thing: its handle has a descriptor of its own.
///
/// A forked child must not use its copy: the thread is the parent's.
///
/// # Examples
///
/// ```no_run
/// use crossproc_segment::wait::{WaitFd, Waitable};
///
/// fn event_loop(queue: impl Waitable + Send + Sync + 'static) -> std::io::Result<()> {
///     let fd = WaitFd::new(queue)?;
///     // Give `fd` to epoll, for input. When it is reported: take all that is there, then
///     fd.rearm();
///     Ok(())
/// }
/// ```
pub struct WaitFd {
    flag: Arc<Flag>,
    bridge: Arc<Bridge>,
    /// The process that made it, among its own forks.
    maker: u32,
}

impl WaitFd {
    /// A descriptor for `item`, armed: a clone of a handle, which it keeps.
    ///
    /// If the item panics as it is looked at, that counts as ready: who follows up sees what is wrong.
    ///
    /// # Errors
    ///
    /// No descriptors or threads left.
    pub fn new(item: impl Waitable + Send + Sync + 'static) -> io::Result<Self> {
        let flag = Arc::new(Flag {
            item: Box::new(item),
            fd: EventFd::new()?,
            is_armed: AtomicBool::new(true),
        });
        let bridge = Bridge::watch(Arc::clone(&flag))?;
        Ok(Self { flag, bridge, maker: fork::incarnation() })
    }

    /// Takes the descriptor down until the thing is ready again: at once if it still is. Never
    /// blocks. Does nothing in a forked child.
    pub fn rearm(&self) {
        if self.is_inherited() {
            return;
        }
        let _ = self.flag.fd.clear();
        // ORDERING: release side of the load in `due`; only the bridge looks.
        self.flag.is_armed.store(true, Release);
        self.bridge.change();
    }
}

impl WaitFd {
    /// Whether this is a forked copy, whose bridge is the parent's, perhaps caught with its list
    /// locked.
    fn is_inherited(&self) -> bool {
        self.maker != fork::incarnation()
    }
}

impl Drop for WaitFd {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        self.bridge.take_out(&self.flag);
    }
}

impl AsFd for WaitFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.flag.fd.as_fd()
    }
}

impl fmt::Debug for WaitFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFd")
            .field("fd", &self.flag.fd)
            .field("is_armed", &self.flag.is_armed.load(Relaxed))
            .finish_non_exhaustive()
    }
}

impl Flag {
    pub(super) fn item(&self) -> &dyn Waitable {
        &*self.item
    }

    pub(super) fn due(&self) -> Due {
        // ORDERING: acquire side of the store in `rearm`.
        if self.is_armed.load(Acquire) { Due::Now } else { Due::Later(None) }
    }

    pub(super) fn raise(&self) {
        // Before the flag goes up: a `rearm` in between would else be undone.
        self.is_armed.store(false, Relaxed);
        self.fd.raise();
    }
}
