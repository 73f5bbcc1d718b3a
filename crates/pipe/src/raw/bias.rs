//! Whose turn it is among the threads of one process: a lock that the thread which uses it alone
//! gets for a few plain stores.
//!
//! Not in shared memory, but a protocol of words like the others here. Beside it stands a mutex.
//!
//! # States
//!
//! The word says whose the lock is: `thread:32 | reign:32`. Each reign of a thread has a word `busy`
//! of its own.
//!
//! - thread 0: nobody came yet. Whoever holds the mutex may begin the next reign.
//! - thread `t`: `t` goes in without the mutex, with `busy` of its reign up while it is in.
//! - thread SHARED: everybody needs the mutex. Whoever holds it may begin the next reign, unless all
//!   are over.
//!
//! # Operations
//!
//! Enter, by `t`: read the word; `busy` of that reign up; light barrier; the word still the same?
//! in. Leave: `busy` down.
//!
//! Revoke, with the mutex held: SHARED; heavy barrier; wait until `busy` of that reign is down,
//! which takes no longer than an operation that never blocks.
//!
//! A thread that was stopped within enter, after its first look, raises and lowers `busy` of a reign
//! that is over, where nobody looks any more. With one `busy` for all it would lower that of its
//! successor, who is in.
//!
//! # Orderings
//!
//! - *enter / revoke*: two cases. Either the second look at the word in enter comes after the heavy
//!   barrier and sees it changed; or it comes before, and then so does the store of `busy`, which
//!   the revoker sees. A fence on both sides does it; so does `membarrier` by the revoker alone,
//!   which reaches every thread of a process that registered. One that did not has no such lock: it
//!   starts SHARED.
//! - *leave*: store of `busy` (Release) to its load by the revoker (Acquire).
//! - The mutex orders all else.

use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64};

/// In place of a thread: everybody needs the mutex.
const SHARED: u32 = u32::MAX;
/// As many reigns there are.
const REIGNS: usize = if cfg!(crossproc_loom) { 3 } else { 6 };

/// The words of such a lock.
#[derive(Debug)]
pub struct Bias {
    word: AtomicU64,
    busy: [AtomicU32; REIGNS],
}

/// The thread is in; it leaves on drop.
#[derive(Debug)]
#[must_use = "dropping it leaves"]
pub struct Entry<'b>(&'b AtomicU32);

/// The word, read once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owner(u64);

impl Owner {
    fn new(thread: u32, reign: usize) -> Self {
        Self((reign as u64) << 32 | u64::from(thread))
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low half")]
    fn thread(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    fn reign(self) -> usize {
        (self.0 >> 32) as usize
    }

    fn is_nobody(self) -> bool {
        matches!(self.thread(), 0 | SHARED)
    }
}

impl Default for Bias {
    fn default() -> Self {
        Self::new()
    }
}

impl Bias {
    /// A lock that nobody has used.
    #[must_use]
    pub fn new() -> Self {
        let owner = if barrier::is_there() { Owner::new(0, 0) } else { Owner::new(SHARED, REIGNS) };
        let busy = core::array::from_fn(|_| AtomicU32::new(0));
        Self { word: AtomicU64::new(owner.0), busy }
    }

    #[inline(always)]
    fn owner(&self) -> Owner {
        Owner(self.word.load(Relaxed))
    }

    /// Goes in without the mutex, if the lock is the thread's own.
    #[inline(always)]
    pub fn enter(&self, thread: u32) -> Option<Entry<'_>> {
        let owner = self.owner();
        if owner.thread() != thread {
            return None;
        }
        let busy = self.busy.get(owner.reign())?;
        busy.store(1, Relaxed);
        let entry = Entry(busy);
        barrier::light();
        (self.owner() == owner).then_some(entry)
    }

    /// Makes sure that no thread goes in without the mutex but the calling one, which holds it.
    /// False if the kernel refuses the barrier that this takes.
    #[must_use]
    pub fn exclude_others(&self, thread: u32) -> bool {
        let owner = self.owner();
        owner.is_nobody() || owner.thread() == thread || self.revoke(owner)
    }

    /// Begins a reign of the calling thread, which holds the mutex and has excluded the others, if
    /// the lock is nobody's and there is a reign left.
    pub fn make_own(&self, thread: u32) {
        let owner = self.owner();
        let reign = if owner.thread() == SHARED { owner.reign() + 1 } else { 0 };
        if owner.is_nobody() && reign < REIGNS {
            self.word.store(Owner::new(thread, reign).0, Relaxed);
        }
    }

    #[cold]
    fn revoke(&self, owner: Owner) -> bool {
        self.word.store(Owner::new(SHARED, owner.reign()).0, Relaxed);
        if !barrier::heavy() {
            self.word.store(owner.0, Relaxed);
            return false;
        }
        let Some(busy) = self.busy.get(owner.reign()) else { return true };
        // ORDERING: acquire side of *leave*.
        while busy.load(Acquire) != 0 {
            barrier::give_way();
        }
        true
    }
}

impl Drop for Entry<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // ORDERING: release side of *leave*.
        self.0.store(0, Release);
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
