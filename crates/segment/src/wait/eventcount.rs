//! An eventcount: lets a process sleep until "something may have changed", with a notify that is
//! one load when nobody sleeps.
//!
//! Source: the eventcount of Vyukov (Eigen) and of folly, cut down to one futex word.
//!
//! # Layout
//!
//! | offset | size | field  | who writes          | values                               |
//! |-------:|-----:|--------|---------------------|--------------------------------------|
//! |      0 |    4 | `word` | waiters, notifiers  | `epoch`: high 16, `waiters`: low 16  |
//!
//! All zeroes is an eventcount on which nobody waits.
//!
//! # States
//!
//! - `waiters == 0`: nobody has announced itself; notify does nothing.
//! - `waiters == n`: at most `n` processes sleep on the word or are about to.
//! - `waiters == 0xffff`: saturated, any number may; the next notify wakes all and begins anew.
//!
//! Invariant: sleepers <= waiters. The count may be too high, for ever if need be: after a killed
//! waiter, or after one whose slice ended as the epoch moved. Too high costs a system call.
//!
//! # Operations
//!
//! *wait* (the shape is [`block_on`](super::block_on)'s; nobody else needs to write it):
//! 1. `prepare`: CAS `waiters + 1`, then a SeqCst fence, and `membarrier` on the sleeper's side.
//! 2. Look at the condition. True: `cancel`, which takes the announcement back if the epoch is
//!    still that of step 1.
//! 3. `still`: the epoch moved? then look again. Else sleep on the exact word.
//!
//! *notify*, after the store that makes the condition true:
//! 1. Light barrier; load the word. No waiters: done.
//! 2. CAS `epoch + 1`, `waiters - 1`, or less as many as are to be woken: whoever has announced
//!    itself and does not sleep yet will not. `// commit:`
//! 3. `FUTEX_WAKE`. If it woke fewer though waiters are left, those are ghosts of killed ones:
//!    CAS that very word to no waiters. Whoever announced itself before step 2 and is not asleep
//!    sees the epoch moved, and whoever did after it has changed the word, so that the CAS fails.
//!
//! # Orderings
//!
//! - *announce / look again*: two cases. Either the load of notify step 1 comes after the
//!   waiter's barrier in the order of barriers, and sees the announcement; or it comes before, and
//!   then so does the store of the condition, which the waiter's look in step 2 sees. A SeqCst
//!   fence on both sides does it; so does `membarrier(GLOBAL_EXPEDITED)` by the waiter, which runs
//!   a full barrier on every core that runs a registered process, with a mere compiler fence in
//!   the notifier. A process that could not register uses the fence.
//! - *woken*: the CAS of notify step 2 (release) -> the load in `still` (acquire): who sees the
//!   epoch moved sees the condition.
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | waiter, after `prepare` | a ghost: count too high | the notify that wakes nobody heals it |
//! | notifier, before step 2 | the condition is true, sleepers sleep | their next slice |
//! | notifier, between 2 and 3 | a sleeper that is not counted | its next slice |
//! | woken waiter, before it acts | the wake is gone with it | the next slice of the others |
//!
//! # Limits
//!
//! The epoch wraps after 65,536 notifications. A waiter that is stopped between `prepare` and its
//! sleep for exactly that many misses one, and its next slice finds out.

use super::port;
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::atomic::{AtomicU32, fence};

/// The word of an eventcount as it was read once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u32);

impl State {
    const WAITERS: u32 = 0xffff;
    const SATURATED: u32 = 0xffff;

    fn epoch(self) -> Epoch {
        Epoch(self.0 >> 16)
    }

    #[inline]
    fn waiters(self) -> u32 {
        self.0 & Self::WAITERS
    }

    fn is_saturated(self) -> bool {
        self.waiters() == Self::SATURATED
    }

    /// The next epoch, with `waiters` of them.
    fn next(self, waiters: u32) -> Self {
        Self((self.epoch().0.wrapping_add(1) << 16) | waiters)
    }

    fn without_waiters(self) -> Self {
        Self(self.0 & !Self::WAITERS)
    }
}

/// The epoch at which a waiter announced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u32);

/// One word in shared memory on which processes sleep until a condition may have come true.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use crossproc_segment::wait::EventCount;
///
/// let items = AtomicU32::new(0);
/// let arrived = EventCount::new();
/// items.store(1, Ordering::Release);
/// arrived.notify_one(); // one load: nobody waits
/// assert!(!arrived.has_waiters());
/// ```
#[derive(Debug, Default)]
#[repr(C)]
pub struct EventCount {
    word: AtomicU32,
}

#[cfg(not(crossproc_loom))]
const _: () = assert!(size_of::<EventCount>() == 4 && align_of::<EventCount>() == 4);

impl EventCount {
    /// An eventcount on which nobody waits; the same as zeroed memory.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0) }
    }

    /// Wakes one waiter. Never blocks; without waiters it is one load.
    ///
    /// To be called after the store that makes the condition true. A process killed between the
    /// two leaves the waiters to their next slice.
    #[inline]
    pub fn notify_one(&self) {
        port::light_barrier();
        let seen = State(self.word.load(Relaxed));
        if seen.waiters() != 0 {
            self.wake_some(seen, 1);
        }
    }

    /// Wakes up to `count` waiters, as [`notify_one`](Self::notify_one) does one.
    #[inline]
    pub fn notify_many(&self, count: u32) {
        port::light_barrier();
        let seen = State(self.word.load(Relaxed));
        if seen.waiters() != 0 && count != 0 {
            self.wake_some(seen, count);
        }
    }

    /// Wakes all waiters. Never blocks; without waiters it is one load.
    #[inline]
    pub fn notify_all(&self) {
        port::light_barrier();
        let seen = State(self.word.load(Relaxed));
        if seen.waiters() != 0 {
            self.wake_all(seen);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_some(&self, mut seen: State, count: u32) {
        while seen.waiters() != 0 {
            if seen.is_saturated() {
                return self.wake_all(seen);
            }
            let count = count.min(seen.waiters());
            let next = seen.next(seen.waiters() - count);
            // commit: whoever is announced and not asleep sees the epoch moved.
            // ORDERING: release side of *woken*; SeqCst as part of *announce / look again*.
            if let Err(found) = self.word.compare_exchange(seen.0, next.0, SeqCst, Relaxed) {
                seen = State(found);
                continue;
            }
            if port::wake(&self.word, count) < count && next.waiters() != 0 {
                let healed = next.without_waiters().0;
                // Relaxed: guards nothing; fails if anybody came or went.
                let _ = self.word.compare_exchange(next.0, healed, Relaxed, Relaxed);
            }
            return;
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_all(&self, mut seen: State) {
        while seen.waiters() != 0 {
            // commit: whoever is announced and not asleep sees the epoch moved.
            // ORDERING: release side of *woken*; SeqCst as part of *announce / look again*.
            match self.word.compare_exchange(seen.0, seen.next(0).0, SeqCst, Relaxed) {
                Err(found) => seen = State(found),
                Ok(_) => {
                    port::wake(&self.word, u32::MAX);
                    return;
                }
            }
        }
    }

    /// Announces a waiter: a notify from now on is not missed.
    ///
    /// The caller must look at its condition after this, and either [`cancel`](Self::cancel) or
    /// sleep on the value that [`still`](Self::still) returns. On the waiter's side stands the
    /// heavy barrier, see the header.
    #[must_use]
    pub fn prepare(&self) -> Epoch {
        let epoch = self.announce();
        Self::barrier();
        epoch
    }

    /// The first half of [`prepare`](Self::prepare): for a waiter that announces itself in several
    /// places, where `barrier` follows, once, before any look; and for one that does
    /// so within a lock, which orders it before a notifier that held the same lock later.
    #[must_use]
    pub fn announce(&self) -> Epoch {
        let mut seen = State(self.word.load(Relaxed));
        // A saturated count stands for any number.
        while !seen.is_saturated() {
            // ORDERING: SeqCst as part of *announce / look again*.
            match self.word.compare_exchange_weak(seen.0, seen.0 + 1, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(found) => seen = State(found),
            }
        }
        seen.epoch()
    }

    /// The second half of [`prepare`](Self::prepare).
    pub(super) fn barrier() {
        // ORDERING: the waiter's barrier of *announce / look again*.
        fence(SeqCst);
        port::heavy_barrier();
    }

    /// Takes an announcement back, unless a notify has done so already.
    pub fn cancel(&self, epoch: Epoch) {
        let mut seen = State(self.word.load(Relaxed));
        while seen.epoch() == epoch && seen.waiters() != 0 && !seen.is_saturated() {
            // Relaxed: only the count goes down; what it guards was read before.
            match self.word.compare_exchange_weak(seen.0, seen.0 - 1, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(found) => seen = State(found),
            }
        }
    }

    /// The value to sleep on, or `None` if a notify came after `epoch` was handed out.
    #[must_use]
    pub fn still(&self, epoch: Epoch) -> Option<u32> {
        // ORDERING: acquire side of *woken*.
        let seen = State(self.word.load(Acquire));
        (seen.epoch() == epoch).then_some(seen.0)
    }

    /// The futex word.
    #[must_use]
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Tells, after a store that may have made the condition true, whether anybody waits that did not
    /// see it: as a notify asks, for one who has more to look at before it notifies.
    #[must_use]
    #[inline]
    pub fn is_awaited(&self) -> bool {
        port::light_barrier();
        self.has_waiters()
    }

    /// Tells whether anybody has announced itself: a snapshot, and ghosts of the dead count.
    #[must_use]
    #[inline]
    pub fn has_waiters(&self) -> bool {
        State(self.word.load(Relaxed)).waiters() != 0
    }
}
