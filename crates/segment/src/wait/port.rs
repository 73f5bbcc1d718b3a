//! The kernel's part in waking, as the `raw` modules of waiting see it.

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, compiler_fence, fence};

use crossproc_sys::{futex, membarrier};

/// Orders the store that makes a condition true before the load that asks who waits, given that
/// waiters call [`heavy_barrier`] in between.
#[inline]
pub(crate) fn light_barrier() {
    if !membarrier::is_registered() {
        full_barrier();
    }
    // ORDERING: the waiter's membarrier turns this into a full fence on this core.
    compiler_fence(SeqCst);
}

#[cold]
#[inline(never)]
fn full_barrier() {
    // ORDERING: no membarrier reaches this process: the notifier's half of the pair.
    fence(SeqCst);
}

/// A full barrier on every core that runs a process with a [`light_barrier`].
///
/// Where the kernel refuses it, a wake can be missed, and costs its waiter a slice.
pub(crate) fn heavy_barrier() {
    let _ = membarrier::barrier();
}

/// Wakes up to `count` sleepers on `word`, in any process; returns how many.
pub fn wake(word: &AtomicU32, count: u32) -> u32 {
    futex::wake(word, count)
}
