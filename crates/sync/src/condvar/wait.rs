//! One wait at a condition variable: from the release of the lock to the return to it.

use core::time::Duration;

use crossproc_segment::Segment;
use crossproc_segment::wait::{Blocker, Epoch, Rest, Sleeper, Spin};
use crossproc_sys::clock::Deadline;

use super::raw::Condvar;

/// How long a waiter sleeps before it comes back without a wake and without a death: against what
/// nobody has thought of, such as an epoch that came back.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Why a wait with a time limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Waited {
    /// Woken, perhaps for nothing: look at the condition. After a wait for a condition: it came true.
    Woken,
    /// The time ran out.
    TimedOut,
}

impl Waited {
    /// Whether the time ran out.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Condvar, Lock};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let guard = lock.lock().unwrap();
    /// let (_guard, waited) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    /// assert!(waited.is_timed_out());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub const fn is_timed_out(self) -> bool {
        matches!(self, Self::TimedOut)
    }
}

/// An announced waiter.
pub(super) struct Wait<'a> {
    condvar: &'a Condvar,
    segment: &'a Segment,
    epoch: Epoch,
    /// How many had died when the condition was looked at.
    deaths: u32,
}

impl<'a> Wait<'a> {
    /// Announces the calling thread, which holds the lock.
    pub(super) fn announce(condvar: &'a Condvar, segment: &'a Segment) -> Self {
        // A process that dies after this had not died before the condition was looked at; one that
        // died before has left the lock to us with what it did, or was told of.
        let deaths = segment.deaths();
        Self { condvar, segment, epoch: condvar.announce(), deaths }
    }

    /// Takes the announcement back.
    pub(super) fn cancel(self) {
        self.condvar.cancel(self.epoch);
    }

    /// Sleeps until woken, or until somebody died who may have had the wake, or until `deadline`.
    /// The lock was released.
    pub(super) fn sleep(self, spin: &Spin, deadline: Option<Deadline>) -> Waited {
        let (condvar, epoch) = (self.condvar, self.epoch);
        if spin.until(|| condvar.still(epoch).is_none().then_some(())).is_some() {
            return Waited::Woken;
        }
        let futex = condvar.count().word();
        let looks = Deadline::after(LOOKS_EVERY);
        let mut sleeper = Sleeper::new(self.segment, deadline);
        loop {
            // Anyone: the word does not say who is going to notify.
            sleeper.arm(futex, Blocker::Anyone);
            let Some(word) = condvar.still(epoch) else { return Waited::Woken };
            match sleeper.sleep(futex, word) {
                Rest::TimedOut if condvar.cancel(epoch) => return Waited::TimedOut,
                Rest::TimedOut => return Waited::Woken,
                Rest::Ask if self.segment.deaths() != self.deaths || looks.has_passed() => {
                    condvar.cancel(epoch);
                    return Waited::Woken;
                }
                Rest::Ask | Rest::Look => {}
            }
        }
    }
}
