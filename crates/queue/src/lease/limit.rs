//! Leases that run out, on the side of the handles.

use std::time::Duration;

use crossproc_segment::MemberId;
use crossproc_sys::clock::{Deadline, now_ns};

use crate::queue::Queue;
use crate::raw::{Kept, Tick};

/// Whoever waits looks at least so often whether a lease ran out: after an eighth of the limit, within
/// these bounds. Nobody is woken for it, as the one who has the lease may hang.
const LOOK_EVERY_NS: (u64, u64) = (60_000_000, 1_000_000_000);

/// Nanoseconds, as many as fit.
pub(crate) fn as_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl<T> Queue<T> {
    /// How long a lease lasts; `None` for as long as its holder has it. See
    /// [`QueueOptions::lease_limit`](crate::QueueOptions::lease_limit).
    #[must_use]
    pub fn lease_limit(&self) -> Option<Duration> {
        let limit_ns = self.ring.limit_ns();
        (limit_ns != 0).then(|| Duration::from_nanos(limit_ns))
    }

    /// Gives a lease its limit, from now on.
    #[cold]
    #[inline(never)]
    pub(super) fn limited(&self, kept: Kept, limit_ns: u64) -> Kept {
        // An item's own code may have forked: the lease is the parent's.
        if !kept.owner().is_some_and(|owner| self.is_still(owner)) {
            return kept;
        }
        // Before the lease can run out: its entry, and so its word, may then be another thread's.
        let due = self.clerk.due(kept);
        let limited = self.ring.limit_kept(kept, Tick::after(now_ns(), limit_ns));
        self.clerk.owe(limited, due);
        limited
    }

    /// Moves the end of a lease on; `None` if it is another's.
    pub(super) fn extended(&self, kept: Kept, time: Duration) -> Option<Kept> {
        let now_ns = now_ns();
        let until = Tick::after(now_ns, as_ns(time));
        let extended = self.ring.extend_kept(kept, until, Tick::at(now_ns))?;
        // The words of a lease with a limit do not come again while it lasts.
        self.clerk.owe(extended, self.clerk.due(kept));
        Some(extended)
    }

    /// Waits by the function, which gives up at a deadline after a thorough look; where leases run out, in
    /// parts.
    pub(crate) fn wait_beside_leases<R>(
        &self,
        deadline: Option<Deadline>,
        mut wait: impl FnMut(Option<Deadline>) -> Option<R>,
    ) -> Option<R> {
        let limit_ns = self.ring.limit_ns();
        if limit_ns == 0 {
            return wait(deadline);
        }
        let every = Duration::from_nanos((limit_ns / 8).clamp(LOOK_EVERY_NS.0, LOOK_EVERY_NS.1));
        loop {
            let look = Deadline::after(every);
            if deadline.is_some_and(|deadline| deadline.as_nanos() <= look.as_nanos()) {
                return wait(deadline);
            }
            if let Some(done) = wait(Some(look)) {
                return Some(done);
            }
        }
    }

    /// An item of a lease that ran out, taken back. For one who has found the queue at its end: own leases
    /// do not keep it open, unless they have run out.
    #[cold]
    #[inline(never)]
    pub(super) fn take_what_ran_out(&self, me: MemberId) -> Option<Kept> {
        if self.ring.limit_ns() == 0 {
            return None;
        }
        self.repair_leases();
        self.ring.take_back(me)
    }
}
