//! Reports of closings of a segment's file, and the instances that wait to be closed.

use std::mem;
use std::os::fd::BorrowedFd;

use crossproc_sys::inotify::CloseWatch;
use crossproc_sys::{clock, fork};
use parking_lot::Mutex;

/// An instance that was told to stop so long ago closes at once.
const GRACE_NS: u64 = 100_000_000;

/// The instance that this process used last, if it is not closed yet. At most one: the kernel
/// allows some 128 to a user.
///
/// Only ever tried, never waited for: a forked child may find it locked for good.
static RETIRED: Mutex<Option<Retired>> = Mutex::new(None);

#[derive(Debug)]
struct Retired {
    _instance: CloseWatch,
    closes_ns: u64,
    incarnation: u32,
}

impl Retired {
    /// In a forked child the number is perhaps another file's by now: daemons close what they
    /// inherit.
    fn is_ours(&self) -> bool {
        self.incarnation == fork::incarnation()
    }
}

/// An inotify instance on the file of a segment.
#[derive(Debug)]
pub(crate) struct Events {
    instance: CloseWatch,
}

impl Events {
    /// Has closings of `fd`'s file reported from now on. `None` if the kernel has no instance left.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        CloseWatch::on(fd).ok().map(|instance| Self { instance })
    }

    /// Whether anything was closed since the last call.
    pub(crate) fn any(&self) -> bool {
        self.instance.drain()
    }

    /// Stops the reports, and leaves the instance to be closed when that does not take long.
    pub(crate) fn retire(self) {
        self.instance.stop();
        let closes_ns = clock::now_ns().saturating_add(GRACE_NS);
        let incarnation = fork::incarnation();
        let retired = Retired { _instance: self.instance, closes_ns, incarnation };
        // Locked by another thread: closed here, at a price.
        if let Some(mut last) = RETIRED.try_lock() {
            if let Some(inherited) = last.replace(retired).filter(|last| !last.is_ours()) {
                mem::forget(inherited);
            }
        }
    }
}

/// Closes the retired instance if that is quick by now. For a sleeper about to sleep long.
pub(crate) fn close_retired(now_ns: u64) {
    if let Some(mut last) = RETIRED.try_lock() {
        if last.as_ref().is_some_and(|last| last.is_ours() && last.closes_ns <= now_ns) {
            *last = None;
        }
    }
}
