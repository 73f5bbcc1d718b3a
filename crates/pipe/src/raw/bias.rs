//! Whose turn it is among the threads of one process: a lock that the thread which uses it alone
//! gets for a few plain stores.
//!
//! Not in shared memory, but a protocol of words like the others here. Beside it stands a mutex.
//!
//! # States
//!
//! - `thread == 0`: nobody came yet. Whoever holds the mutex may make it its own.
//! - `thread == t`: thread `t` goes in without the mutex, with `busy` up while it is in.
//! - `thread == SHARED`: everybody needs the mutex. Whoever holds it may make it its own again.
//!
//! # Operations
//!
//! Enter, by `t`: `busy` up; light barrier; `thread` still `t`? in. Leave: `busy` down.
//!
//! Revoke, with the mutex held: `thread` to SHARED; heavy barrier; wait until `busy` is down, which
//! takes no longer than an operation that never blocks.
//!
//! # Orderings
//!
//! - *enter / revoke*: two cases. Either the load of `thread` in enter comes after the heavy barrier
//!   and sees SHARED; or it comes before, and then so does the store of `busy`, which the revoker
//!   sees. A fence on both sides does it; so does `membarrier` by the revoker alone, which reaches
//!   every thread of a process that registered. One that did not has no such lock: it starts SHARED.
//! - *leave*: store of `busy` (Release) to its load by the revoker (Acquire).

use crate::atomic::AtomicU32;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};

/// Nobody came yet.
const NOBODY: u32 = 0;
/// Everybody needs the mutex.
const SHARED: u32 = u32::MAX;

/// The words of such a lock.
#[derive(Debug)]
pub struct Bias {
    thread: AtomicU32,
    busy: AtomicU32,
}

/// The thread is in; it leaves on drop.
#[derive(Debug)]
#[must_use = "dropping it leaves"]
pub struct Entry<'b>(&'b Bias);

impl Default for Bias {
    fn default() -> Self {
        Self::new()
    }
}

impl Bias {
    /// A lock that nobody has used.
    #[must_use]
    pub fn new() -> Self {
        let thread = if barrier::is_there() { NOBODY } else { SHARED };
        Self { thread: AtomicU32::new(thread), busy: AtomicU32::new(0) }
    }

    /// Goes in without the mutex, if the lock is the thread's own.
    #[inline(always)]
    pub fn enter(&self, thread: u32) -> Option<Entry<'_>> {
        if self.thread.load(Relaxed) != thread {
            return None;
        }
        self.busy.store(1, Relaxed);
        let entry = Entry(self);
        barrier::light();
        (self.thread.load(Relaxed) == thread).then_some(entry)
    }

    /// Makes sure that no thread goes in without the mutex but the calling one, which holds it.
    /// False if the kernel refuses the barrier that this takes.
    #[must_use]
    pub fn exclude_others(&self, thread: u32) -> bool {
        match self.thread.load(Relaxed) {
            NOBODY | SHARED => true,
            owner if owner == thread => true,
            owner => self.revoke(owner),
        }
    }

    /// Lets the calling thread, which holds the mutex and has excluded the others, go in without it
    /// from now on.
    pub fn make_own(&self, thread: u32) {
        if barrier::is_there() {
            self.thread.store(thread, Relaxed);
        }
    }

    /// Whether it is no thread's own.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        matches!(self.thread.load(Relaxed), NOBODY | SHARED)
    }

    #[cold]
    fn revoke(&self, owner: u32) -> bool {
        self.thread.store(SHARED, Relaxed);
        if !barrier::heavy() {
            self.thread.store(owner, Relaxed);
            return false;
        }
        // ORDERING: acquire side of *leave*.
        while self.busy.load(Acquire) != 0 {
            barrier::give_way();
        }
        true
    }
}

impl Drop for Entry<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // ORDERING: release side of *leave*.
        self.0.busy.store(0, Release);
    }
}

#[cfg(not(crossproc_loom))]
mod barrier {
    use core::sync::atomic::{Ordering::SeqCst, compiler_fence};

    use crossproc_sys::membarrier;

    pub(super) fn is_there() -> bool {
        membarrier::is_registered()
    }

    #[inline(always)]
    pub(super) fn light() {
        // ORDERING: the revoker's membarrier turns this into a full fence on this core.
        compiler_fence(SeqCst);
    }

    pub(super) fn heavy() -> bool {
        membarrier::barrier()
    }

    pub(super) fn give_way() {
        std::thread::yield_now();
    }
}

#[cfg(crossproc_loom)]
mod barrier {
    use crate::atomic::{Ordering::SeqCst, fence};

    pub(super) fn is_there() -> bool {
        true
    }

    pub(super) fn light() {
        // ORDERING: the fence that membarrier stands for.
        fence(SeqCst);
    }

    pub(super) fn heavy() -> bool {
        // ORDERING: as above.
        fence(SeqCst);
        true
    }

    pub(super) fn give_way() {
        loom::thread::yield_now();
    }
}
