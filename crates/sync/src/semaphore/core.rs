//! What `Semaphore` and `BoundedSemaphore` have in common: who waits, who wakes, who repairs.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};
use core::time::Duration;

use crossproc_segment::wait::{Look, Source, block_on};
use crossproc_segment::{Error, MemberId, Result, Segment, Shape};
use crossproc_sys::clock::{self, Deadline};
use serde::{Deserializer, Serializer};

use super::error::{NoPermit, ReleaseError};
use super::permit::{Home, Permit};
use super::raw::{self, Bounded, Hold, MAX_PERMITS, MOST, Refused};
use crate::shared::{Shared, Words};

/// The words of a kind of semaphore.
pub(super) trait Kind: Words {
    /// Whether the count stays within the limit that lies beside it.
    const BOUNDED: bool;

    fn words(&self) -> &raw::Semaphore;
}

// SAFETY: atomics only, aligned to 64 bytes.
unsafe impl Words for raw::Semaphore {
    const SHAPE: Shape = Shape::untyped("semaphore", 1);
}

impl Kind for raw::Semaphore {
    const BOUNDED: bool = false;

    #[inline]
    fn words(&self) -> &raw::Semaphore {
        self
    }
}

// SAFETY: as the words inside.
unsafe impl Words for Bounded {
    const SHAPE: Shape = Shape::untyped("bounded sem", 1);
}

impl Kind for Bounded {
    const BOUNDED: bool = true;

    #[inline]
    fn words(&self) -> &raw::Semaphore {
        self.words()
    }
}

/// A caller that only tries looks after the dead at most once in this time.
const PATROL_NS: u64 = 1_000_000;

/// How long a caller waits for a permit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    For(Duration),
    Until(Deadline),
    Endless,
}

/// A semaphore as one process has it.
pub(super) struct Core<K: Kind> {
    shared: Shared<K>,
    /// The most that the count may be, as it was when this handle was made.
    limit: u32,
    /// The entry to claim next: free as a rule.
    hint: AtomicU32,
    /// When a caller that only tried last looked after the dead.
    patrolled_ns: AtomicU64,
}

impl<K: Kind> Core<K> {
    pub(super) fn new_in(segment: &Segment, permits: u32) -> Result<Self> {
        let permits = checked(permits);
        Self::over(Shared::new_in(segment, 0, |words| init::<K>(words, permits))?)
    }

    pub(super) fn create(segment: &Segment, name: &str, permits: u32) -> Result<Self> {
        let permits = checked(permits);
        Self::over(Shared::create(segment, name, 0, |words| init::<K>(words, permits))?)
    }

    pub(super) fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::over(Shared::open(segment, name)?)
    }

    pub(super) fn open_or_create(segment: &Segment, name: &str, permits: u32) -> Result<Self> {
        let permits = checked(permits);
        let init = |words: &K| init::<K>(words, permits);
        Self::over(Shared::open_or_create(segment, name, 0, init)?.0)
    }

    fn over(shared: Shared<K>) -> Result<Self> {
        let limit = shared.words().words().limit();
        if limit > MAX_PERMITS {
            let what = shared.name().unwrap_or("a semaphore without a name").to_owned();
            return Err(Error::Corrupt { what, why: "its limit is more than it can count" });
        }
        let limit = if K::BOUNDED { limit } else { MAX_PERMITS };
        Ok(Self { shared, limit, hint: AtomicU32::new(0), patrolled_ns: AtomicU64::new(0) })
    }

    #[inline]
    pub(super) fn acquire(&self, patience: Patience) -> Result<Permit<'_>, NoPermit> {
        let me = self.segment().me();
        let hold = match self.raw().acquire(me, self.hint()) {
            Ok(hold) => Ok(hold),
            Err(Refused::Corrupt) => Err(Refused::Corrupt.into()),
            Err(Refused::Empty | Refused::NoEntry) => {
                self.insist(patience, || self.acquire_once(me))
            }
        }?;
        self.hint.store(hold.index() + 1, Relaxed);
        let (raw, segment, hint) = (self.raw(), self.segment(), &self.hint);
        Ok(Permit::new(Home { raw, segment, hint, ceiling: self.ceiling() }, hold))
    }

    /// Makes one attempt; where no entry is free, those of the dead are made so first.
    fn acquire_once(&self, me: MemberId) -> Result<Hold, Refused> {
        match self.raw().acquire(me, self.hint()) {
            Err(Refused::NoEntry) => {
                self.repair();
                self.raw().acquire(me, self.hint())
            }
            answer => answer,
        }
    }

    #[inline]
    pub(super) fn take(&self, patience: Patience) -> Result<(), NoPermit> {
        match self.raw().take() {
            Ok(()) => Ok(()),
            Err(Refused::Empty) => self.insist(patience, || self.raw().take()),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Makes attempts until one does not come too early, or the patience ends.
    #[cold]
    fn insist<R>(
        &self,
        patience: Patience,
        attempt: impl Fn() -> Result<R, Refused>,
    ) -> Result<R, NoPermit> {
        let deadline = match patience {
            Patience::None => return Ok(self.try_again(attempt)?),
            // Only now: who succeeds at once never reads the clock.
            Patience::For(timeout) => Some(Deadline::after(timeout)),
            Patience::Until(deadline) => Some(deadline),
            Patience::Endless => None,
        };
        let look = |look| {
            if look == Look::Repair {
                self.repair();
            }
            match attempt() {
                Err(Refused::Empty) => None,
                answer => Some(answer),
            }
        };
        let freed = self.raw().freed();
        let answer = block_on(self.segment(), freed, self.shared.spin(), deadline, look);
        // The wake that ended this wait may have stood for more than one permit: one who adds or
        // repairs may have been killed before it woke the others.
        if freed.has_waiters() && self.raw().available() > 0 {
            freed.notify_one();
        }
        Ok(answer.unwrap_or(Err(Refused::Empty))?)
    }

    /// The last attempt of one who only tries: now and then, the dead are looked after before.
    fn try_again<R>(&self, attempt: impl Fn() -> Result<R, Refused>) -> Result<R, Refused> {
        match attempt() {
            Err(Refused::Empty) if self.is_patrol_due() && self.repair() > 0 => attempt(),
            answer => answer,
        }
    }

    fn is_patrol_due(&self) -> bool {
        let now_ns = clock::now_ns();
        let due = now_ns.saturating_sub(self.patrolled_ns.load(Relaxed)) >= PATROL_NS;
        if due {
            self.patrolled_ns.store(now_ns, Relaxed);
        }
        due
    }

    /// Takes back what the dead hold, and wakes as many waiters as permits came back.
    fn repair(&self) -> u32 {
        // One process as a rule holds several permits, in neighbouring entries.
        let mut last = None;
        let back = self.raw().repair(self.ceiling(), |id| match last {
            Some((asked, answer)) if asked == id => answer,
            _ => {
                let answer = self.segment().alive(id);
                last = Some((id, answer));
                answer
            }
        });
        self.wake(back);
        back
    }

    #[inline]
    pub(super) fn release(&self, permits: u32) -> Result<(), ReleaseError> {
        let added = match K::BOUNDED {
            true => self.raw().add_within(permits, self.limit),
            false => self.raw().add(permits),
        };
        added.map_err(|why| ReleaseError::unadded(why, self.limit, permits))?;
        self.wake(permits);
        Ok(())
    }

    #[inline]
    fn wake(&self, permits: u32) {
        let freed = self.raw().freed();
        for _ in 0..permits {
            freed.notify_one();
            if !freed.has_waiters() {
                return;
            }
        }
    }

    pub(super) fn available(&self) -> u32 {
        self.raw().available()
    }

    /// Whether a permit is there; with [`Look::Repair`] those of the dead come back first.
    pub(super) fn is_ready(&self, look: Look) -> bool {
        let is_corrupt = || self.raw().settled().is_err();
        self.available() > 0 || (look == Look::Repair && (self.repair() > 0 || is_corrupt()))
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source::EventCount(self.segment(), self.raw().freed())
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    #[inline]
    pub(super) fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    #[inline]
    fn raw(&self) -> &raw::Semaphore {
        self.shared.words().words()
    }

    #[inline]
    fn hint(&self) -> u32 {
        self.hint.load(Relaxed)
    }

    /// The most that the count is, unless somebody wrote over it.
    #[inline]
    fn ceiling(&self) -> u32 {
        // Without a limit of its own, what is out with owners comes on top of what was added.
        if K::BOUNDED { self.limit } else { MOST }
    }

    pub(super) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Self::over(Shared::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    pub(super) fn fmt(&self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners: Vec<MemberId> = self.raw().owners().collect();
        f.debug_struct(kind)
            .field("name", &self.shared.name())
            .field("available", &self.available())
            .field("held by", &owners)
            .field("waiters", &self.raw().freed().has_waiters())
            .finish()
    }
}

fn init<K: Kind>(words: &K, permits: u32) {
    words.words().init(permits, if K::BOUNDED { permits } else { 0 });
}

fn checked(permits: u32) -> u32 {
    assert!(permits <= MAX_PERMITS, "a semaphore has at most {MAX_PERMITS} permits");
    permits
}

impl<K: Kind> Clone for Core<K> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            limit: self.limit,
            hint: AtomicU32::new(self.hint.load(Relaxed)),
            patrolled_ns: AtomicU64::new(0),
        }
    }
}

impl<K: Kind> Drop for Core<K> {
    /// With the last handle the segment may go, and with it this process's membership: to all others
    /// it would be dead. So if a leaked guard holds a permit, the segment stays until the process
    /// ends.
    fn drop(&mut self) {
        let me = self.shared.me();
        if self.raw().owners().any(|owner| me.is_member(owner)) {
            self.shared.stay_if_last();
        }
    }
}
