//! When those look after the dead who never wait.

use std::cell::Cell;

use crossproc_sys::clock::now_ns;

/// True once in some thousand calls, or some dozen that took a while.
///
/// For callers who only ever try, and so never come to sleep and look after the dead. Primes, so that
/// a caller who goes round several things looks at each.
///
/// # Examples
///
/// ```
/// let looks = (0..10_000).filter(|_| crossproc_segment::wait::now_and_then()).count();
/// assert!(looks >= 2);
/// ```
#[cold]
#[must_use]
pub fn now_and_then() -> bool {
    const EVERY: u32 = 4093;
    const CLOCK_EVERY: u32 = 31;
    const AWHILE_NS: u64 = 10_000_000;
    thread_local! {
        /// Failures since the last look, and when that was.
        static LAST: Cell<(u32, u64)> = const { Cell::new((0, 0)) };
    }
    LAST.with(|last| {
        let (failures, looked_ns) = last.get();
        let failures = failures + 1;
        if failures % CLOCK_EVERY != 0 && failures < EVERY {
            last.set((failures, looked_ns));
            return false;
        }
        let now_ns = now_ns();
        let look = failures >= EVERY || now_ns.saturating_sub(looked_ns) >= AWHILE_NS;
        last.set(if look { (0, now_ns) } else { (failures, looked_ns) });
        look
    })
}
