//! A memory barrier on all other processors, paid by the one who goes to sleep.
//!
//! Where a store must be seen before a load of another word on both sides, one side may do without
//! a fence if the other has the kernel put one in for it. Only processes that registered take part:
//! one that could not uses fences itself, and is not reached by the barriers of others.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const UNKNOWN: u32 = 0;
const REGISTERED: u32 = 1;
const REFUSED: u32 = 2;

/// Inherited by forked children like the registration itself, which belongs to the memory map.
static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);

/// Makes this process one that [`barrier`] reaches, once
/// (`membarrier(REGISTER_GLOBAL_EXPEDITED)`), and says whether it is.
///
/// The first call may take some milliseconds in a process with several threads. To call it again
/// costs a load. A forked child is registered as its parent was.
///
/// # Examples
///
/// ```
/// use crossproc_sys::membarrier;
///
/// if membarrier::register() {
///     assert!(membarrier::is_registered());
///     assert!(membarrier::barrier());
/// }
/// ```
pub fn register() -> bool {
    match STATE.load(Relaxed) {
        UNKNOWN => first_register(),
        state => state == REGISTERED,
    }
}

#[cold]
fn first_register() -> bool {
    let done = call(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
    STATE.store(if done { REGISTERED } else { REFUSED }, Relaxed);
    done
}

/// Whether [`register`] has succeeded in this process (one relaxed load, no call).
#[inline]
#[must_use]
pub fn is_registered() -> bool {
    STATE.load(Relaxed) == REGISTERED
}

/// Has every thread of every registered process that runs now pass a full memory barrier before
/// this returns, and passes one itself (`membarrier(GLOBAL_EXPEDITED)`).
///
/// Does not wait for threads to get a processor. `false` when the kernel refuses (a filter): then
/// nobody has passed anything.
pub fn barrier() -> bool {
    call(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

/// `membarrier(command, 0, 0)`.
fn call(command: libc::c_int) -> bool {
    // SAFETY: takes three integers and touches none of our memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
