//! How long an operation may wait.

use std::cell::Cell;

use crossproc_sys::clock::{Deadline, now_ns};

/// How long an operation may wait. Made where waiting begins, as it may read the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Deadline),
    Endless,
}

impl Patience {
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::None | Self::Endless => None,
            Self::Until(deadline) => Some(deadline),
        }
    }

    pub(crate) fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

/// True once in some thousand calls, or some dozen that took a while: for callers who only ever
/// try, and so never come to sleep and look after the dead. Primes, so that a caller who goes round
/// several pipes looks at each.
#[cold]
pub(crate) fn now_and_then() -> bool {
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
