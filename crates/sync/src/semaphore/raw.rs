//! A semaphore as it lies in shared memory: a log word that counts and names the last operation,
//! and entries that name who holds a permit.
//!
//! A permit in the hands of a process must come back exactly once when that process is killed. A
//! count alone cannot say whose the missing permits are, and a list of owners beside it would be
//! changed in a second store. So the count word also says which entry its last change concerned:
//! one compare-exchange counts and signs, and whoever comes next finishes the entry first.
//!
//! Source: the log word is ours; finishing the operation of another before one's own is the
//! helping of Herlihy's universal construction, cut down to a log of length one.
//!
//! # Layout
//!
//! | offset | size   | field     | who writes        | values                                      |
//! |-------:|-------:|-----------|-------------------|---------------------------------------------|
//! |      0 |      8 | `log`     | everybody, by CAS | `count:24`, `op:2`, `entry:10`, `seq:28`    |
//! |      8 |      4 | `freed`   | see `EventCount`  | who waits for a permit                      |
//! |     12 |      4 | `limit`   | the maker         | the most permits there can be; 0: no limit  |
//! |     16 |      4 | `used`    | claimers, max     | entries from here on were never claimed     |
//! |     64 | 8 each | `entries` | everybody, by CAS | `seq:28`, `state:4`, `owner:28`             |
//!
//! All zeroes is a semaphore without a permit, of which nobody holds one.
//!
//! # States
//!
//! Of the log, where `e` is the entry it names:
//! - `PLAIN`: the last operation took or added permits without an owner. It is complete.
//! - `HOLD e`: the owner of `e` got a permit. Until somebody has finished that, `e` is `CLAIMED`.
//! - `LET_GO e`: `e` was taken from its owner. Until somebody has finished that, `e` is `HELD`.
//!
//! Of an entry:
//! - `FREE`: anybody may claim it.
//! - `CLAIMED(owner)`: the owner is acquiring. Only its owner ends the claim, by an operation or by
//!   giving it back; or anybody once the owner is dead.
//! - `HELD(owner)`: a permit is out. Only its owner lets it go, or anybody once the owner is dead.
//!
//! The state of the named entry says whether the operation is finished, as long as the log still
//! names it; so an entry is judged between two readings of the same log word.
//!
//! # Operations
//!
//! *settle* comes first in all of them: read `log`; if its operation is unfinished and `log` is
//! still the same, CAS the entry from the exact word read to `HELD(owner)` or `FREE`, with `seq`.
//!
//! *acquire* ([`Semaphore::acquire`]):
//! 1. Settle. No permit: refused.
//! 2. Make `used` more than the entry's index; CAS a free entry to `CLAIMED(me)`.
//! 3. CAS `log` to `count - 1`, `HOLD e`, `seq + 1`: the commit. Lost: settle, again.
//! 4. Finish: CAS the entry to `HELD(me)`.
//!
//! *release* ([`Semaphore::release`]):
//! 1. Settle. The entry is not what it was when it was acquired: not held.
//! 2. CAS `log` to `count + 1`, `LET_GO e`, `seq + 1`: the commit. Lost: from 1 again.
//! 3. Finish: CAS the entry to `FREE`. 4. Notify `freed`.
//!
//! *forget* is a release that leaves `count` as it is. *take* and *add*: settle, CAS `log` to
//! another `count`, `PLAIN`, `seq + 1`. *add within a limit* counts the `HELD` entries between the
//! two: those that are out with an owner will come back. As an entry becomes or ceases to be `HELD`
//! only by an operation, and that of `log` is finished, the number is that of the very moment if
//! the CAS succeeds.
//!
//! *repair* ([`Semaphore::repair`]): settle; then for each entry before `used` whose owner is dead:
//! `HELD`: release, on its behalf. `CLAIMED`: settle, then CAS the exact word to `FREE`.
//!
//! # Orderings
//!
//! - **log**: the CAS of `log` (Release) to the load of it in *settle* (Acquire). Who sees an operation
//!   sees the entry as it was before, all earlier operations finished, and what whoever released
//!   or added a permit had done: that is also the hand-over to the one who gets the permit.
//! - **finish**: the CAS of an entry (Release) to the load of it in *settle* (Acquire). Who sees an
//!   entry sees `log` as it was when the entry was changed, or later. So if the entry was changed
//!   by a later operation than the one that is being finished, the second reading of `log` tells.
//!   (Without it a helper that was stopped takes a later claim of the entry for the one it read of,
//!   and makes it `HELD`.)
//! - `used` is Relaxed: it was made large enough before the claim, thus before the commit, and who
//!   repairs has seen the commit when it reads it.
//! - What a dead owner stored is seen by whoever has heard of its death, through the kernel: it
//!   ended before it let go of its byte lock, and `alive` asked afterwards. So a claim whose dead
//!   owner did commit is found committed by the settle that follows the question.
//!
//! # Deaths
//!
//! | killed                             | left behind            | seen by                          |
//! |------------------------------------|------------------------|----------------------------------|
//! | acquire, before 2                  | nothing                | -                                |
//! | acquire, between 2 and 3           | `CLAIMED(dead)`        | repair: free                     |
//! | acquire, between 3 and 4           | `HOLD e`, unfinished   | next operation; then as below    |
//! | holding, or in release before 2    | `HELD(dead)`           | repair: the permit comes back    |
//! | release, between 2 and 3           | `LET_GO e`, unfinished | next operation: free             |
//! | release or add, before the notify  | a permit, and sleepers | their next look                  |
//! | take, add, forget                  | done or not            | -                                |
//! | repair                             | as whom it repairs for | next repair                      |
//!
//! # Limits
//!
//! At most `N` permits can be out with an owner at a time, and as many acquisitions be in flight.
//! `seq` wraps after 2^28 operations. A process that is stopped between reading `log` and its CAS
//! for an exact multiple of that, with the same count and entry in the end, overwrites an operation
//! that it did not finish; that matters only if the one who made it is killed before it finishes
//! it itself. A helper stopped before its CAS of an entry is misled only if the same member has
//! claimed the same entry at the same `seq` by then. The semaphore is not fair.

mod repair;
pub mod word;

use core::array;
use core::fmt;

use crossproc_segment::MemberId;
use crossproc_segment::wait::EventCount;

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::atomic::{AtomicU32, AtomicU64};

pub use word::{Entry, Log, MOST, Op, State};

/// How many permits of a semaphore can be out with an owner at a time.
pub const GUARDS: usize = 1000;
/// The most permits that are added by name. Those that are out with an owner may come on top.
pub const MAX_PERMITS: u32 = MOST - 1000;

/// The words of a semaphore with `N` entries. They hold no pointer and are valid when zeroed.
#[repr(C)]
pub struct Semaphore<const N: usize = GUARDS> {
    head: Head,
    entries: [AtomicU64; N],
}

#[repr(C, align(64))]
struct Head {
    log: AtomicU64,
    freed: EventCount,
    limit: AtomicU32,
    used: AtomicU32,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Head, log) == 0 && offset_of!(Head, freed) == 8);
    assert!(offset_of!(Head, limit) == 12 && offset_of!(Head, used) == 16);
    assert!(size_of::<Head>() == 64);
    assert!(offset_of!(Semaphore, entries) == 64 && size_of::<Semaphore>() == 64 + 8 * GUARDS);
    assert!(MAX_PERMITS as usize + GUARDS == MOST as usize);
};

/// A semaphore whose count never goes above a limit: the same words, as objects of another kind.
#[repr(transparent)]
pub struct Bounded(Semaphore);

impl Bounded {
    /// The words.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &Semaphore {
        &self.0
    }
}

/// A permit that is out: which entry says so, and the exact word that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    index: u32,
    word: Entry,
}

impl Hold {
    /// The entry that says so.
    #[inline]
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// Whether the entry says that it is `id`'s.
    #[inline]
    #[must_use]
    pub fn is_of(self, id: MemberId) -> bool {
        self.word.is_held_by(id)
    }
}

/// An entry on the way to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    index: u32,
    word: Entry,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All are taken.
    Empty,
    /// There may be one, but no entry to say whose it is.
    NoEntry,
    /// The words are none that the protocol stores.
    Corrupt,
}

/// Why a permit could not be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreleased {
    /// The entry does not say any more that it is out.
    NotHeld,
    /// The words are none that the protocol stores.
    Corrupt,
}

/// Why permits could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unadded {
    /// There are so many already; they must not become more than the limit.
    Above(u32),
    /// The words are none that the protocol stores.
    Corrupt,
}

/// The words are none that the protocol stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl From<Corrupt> for Refused {
    fn from(Corrupt: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<Corrupt> for Unreleased {
    fn from(Corrupt: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<Corrupt> for Unadded {
    fn from(Corrupt: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl<const N: usize> Semaphore<N> {
    #[expect(clippy::cast_possible_truncation, reason = "asserted")]
    const COUNT: u32 = {
        assert!(N > 0 && N <= 1024, "a log word names an entry in 10 bits");
        N as u32
    };

    /// Makes a semaphore of `permits` permits, without a limit of its own.
    #[must_use]
    pub fn new(permits: u32) -> Self {
        let head = Head {
            log: AtomicU64::new(Log::first(permits).bits()),
            freed: EventCount::new(),
            limit: AtomicU32::new(0),
            used: AtomicU32::new(0),
        };
        Self { head, entries: array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Makes zeroed memory a semaphore of `permits` permits. Nobody else may know it yet.
    pub fn init(&self, permits: u32, limit: u32) {
        self.head.limit.store(limit, Relaxed);
        self.head.log.store(Log::first(permits).bits(), Relaxed);
    }

    /// The limit that it was made with. Read from shared memory: to be bounded.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.head.limit.load(Relaxed)
    }

    /// What waiters for a permit sleep on.
    #[must_use]
    pub fn freed(&self) -> &EventCount {
        &self.head.freed
    }

    /// Permits that may be taken at this moment.
    #[must_use]
    pub fn available(&self) -> u32 {
        Log::from_bits(self.head.log.load(Relaxed)).count()
    }

    /// Who holds permits, once for each: a snapshot.
    pub fn owners(&self) -> impl Iterator<Item = MemberId> + '_ {
        (0..self.used()).filter_map(|index| {
            match Entry::from_bits(self.entry(index).load(Relaxed)).state() {
                Some(State::Held(owner)) => Some(owner),
                _ => None,
            }
        })
    }

    /// Acquires a permit for `me`, if there is one. `hint` is an entry that is probably free.
    #[inline]
    pub fn acquire(&self, me: MemberId, hint: u32) -> Result<Hold, Refused> {
        let seen = self.settled()?;
        if seen.count() == 0 {
            return Err(Refused::Empty);
        }
        let claim = self.claim(me, hint).ok_or(Refused::NoEntry)?;
        let log = self.commit_hold(claim, seen)?;
        Ok(self.finish_hold(claim, log))
    }

    /// Step 2 of acquire: an entry becomes `me`'s, with no permit yet.
    #[inline]
    #[must_use]
    pub fn claim(&self, me: MemberId, hint: u32) -> Option<Claim> {
        let hint = hint % Self::COUNT;
        self.claim_at(hint, me).or_else(|| self.search(me, hint))
    }

    #[cold]
    fn search(&self, me: MemberId, hint: u32) -> Option<Claim> {
        (hint + 1..Self::COUNT).chain(0..hint).find_map(|index| self.claim_at(index, me))
    }

    #[inline]
    fn claim_at(&self, index: u32, me: MemberId) -> Option<Claim> {
        let seen = Entry::from_bits(self.entry(index).load(Relaxed));
        if !seen.is_free() {
            return None;
        }
        if self.head.used.load(Relaxed) <= index {
            // Relaxed: see the header. Before the claim: who repairs is to find it.
            self.head.used.fetch_max(index + 1, Relaxed);
        }
        let word = seen.claimed_by(me);
        self.replace(index, seen, word).then_some(Claim { index, word })
    }

    /// Step 3 of acquire: the log, last seen as `seen`, gives the claim's owner a permit. A claim
    /// that is refused is given back.
    #[inline]
    pub fn commit_hold(&self, claim: Claim, mut seen: Log) -> Result<Log, Refused> {
        loop {
            let Some(count) = seen.count().checked_sub(1) else {
                self.unclaim(claim);
                return Err(Refused::Empty);
            };
            let log = seen.then(count, Op::Hold(claim.index));
            if self.commit(seen, log) {
                return Ok(log);
            }
            seen = match self.settled() {
                Ok(seen) => seen,
                Err(Corrupt) => {
                    self.unclaim(claim);
                    return Err(Refused::Corrupt);
                }
            };
        }
    }

    /// Step 4 of acquire.
    #[inline]
    fn finish_hold(&self, claim: Claim, log: Log) -> Hold {
        let word = claim.word.held(log);
        // Fails if somebody else has finished it.
        let _ = self.replace(claim.index, claim.word, word);
        Hold { index: claim.index, word }
    }

    /// Ends a claim that came to no operation. Fails if the entry is another by now.
    fn unclaim(&self, claim: Claim) -> bool {
        self.replace(claim.index, claim.word, claim.word.unclaimed())
    }

    /// Gives a permit back. The count stays at `limit` if it is there already; whether it grew, as
    /// it always does unless somebody wrote over the words.
    #[inline]
    pub fn release(&self, hold: Hold, limit: u32) -> Result<bool, Unreleased> {
        let (log, grew) = self.commit_let_go(hold, limit)?;
        self.finish_let_go(hold, log);
        Ok(grew)
    }

    /// Ends a hold for good: the permit does not come back.
    pub fn forget(&self, hold: Hold) -> Result<(), Unreleased> {
        let (log, _) = self.commit_let_go(hold, 0)?;
        self.finish_let_go(hold, log);
        Ok(())
    }

    /// Step 2 of release. With a `limit` of 0 the count stays as it is.
    #[inline]
    pub fn commit_let_go(&self, hold: Hold, limit: u32) -> Result<(Log, bool), Unreleased> {
        loop {
            let seen = self.settled()?;
            // Settled, so an entry that was let go says so.
            if self.entry(hold.index).load(Relaxed) != hold.word.bits() {
                return Err(Unreleased::NotHeld);
            }
            let grows = seen.count() < limit;
            let log = seen.then(seen.count() + u32::from(grows), Op::LetGo(hold.index));
            if self.commit(seen, log) {
                return Ok((log, grows));
            }
        }
    }

    /// Step 3 of release.
    #[inline]
    fn finish_let_go(&self, hold: Hold, log: Log) {
        // Fails if somebody else has finished it.
        let _ = self.replace(hold.index, hold.word, Entry::free(log));
    }

    /// Takes a permit without an owner, if there is one.
    #[inline]
    pub fn take(&self) -> Result<(), Refused> {
        loop {
            let seen = self.settled()?;
            let count = seen.count().checked_sub(1).ok_or(Refused::Empty)?;
            if self.commit(seen, seen.then(count, Op::Plain)) {
                return Ok(());
            }
        }
    }

    /// Adds `permits` permits, all or none: none if more could be taken than [`MAX_PERMITS`].
    #[inline]
    pub fn add(&self, permits: u32) -> Result<(), Unadded> {
        self.add_beside(permits, MAX_PERMITS, |_| 0)
    }

    /// As [`add`](Self::add), within a limit to the permits that there are, those that are out with
    /// an owner among them.
    pub fn add_within(&self, permits: u32, limit: u32) -> Result<(), Unadded> {
        self.add_beside(permits, limit, |semaphore| semaphore.owners().map(|_| 1).sum())
    }

    #[inline]
    fn add_beside(
        &self,
        permits: u32,
        limit: u32,
        out: impl Fn(&Self) -> u32,
    ) -> Result<(), Unadded> {
        loop {
            let seen = self.settled()?;
            let there = seen.count() + out(self);
            if permits > limit.saturating_sub(there) {
                return Err(Unadded::Above(there));
            }
            if self.commit(seen, seen.then(seen.count() + permits, Op::Plain)) {
                return Ok(());
            }
        }
    }

    /// The log, after its operation was finished.
    #[inline]
    pub fn settled(&self) -> Result<Log, Corrupt> {
        // ORDERING: acquire side of *log*.
        let seen = Log::from_bits(self.head.log.load(Acquire));
        let (index, holds) = match seen.op().ok_or(Corrupt)? {
            Op::Plain => return Ok(seen),
            Op::Hold(index) => (index, true),
            Op::LetGo(index) => (index, false),
        };
        let entry = self.entries.get(index as usize).ok_or(Corrupt)?;
        // ORDERING: acquire side of *finish*.
        let word = Entry::from_bits(entry.load(Acquire));
        if word.is_held() != holds {
            self.finish(seen, index, holds, word)?;
        }
        Ok(seen)
    }

    /// Finishes the operation of `seen`, whose entry was read as `word` afterwards.
    #[cold]
    #[inline(never)]
    fn finish(&self, seen: Log, index: u32, holds: bool, word: Entry) -> Result<(), Corrupt> {
        // Relaxed: by *finish* this is not older than what changed the entry. Has the log moved on,
        // the operation is finished, and the entry may be in use again.
        if self.head.log.load(Relaxed) != seen.bits() {
            return Ok(());
        }
        let done = match (word.state(), holds) {
            (Some(State::Claimed(_)), true) => word.held(seen),
            (Some(State::Held(_)), false) => Entry::free(seen),
            _ => return Err(Corrupt),
        };
        // Fails if somebody else has finished it.
        let _ = self.replace(index, word, done);
        Ok(())
    }

    /// Entries from here on were never claimed.
    fn used(&self) -> u32 {
        self.head.used.load(Relaxed).min(Self::COUNT)
    }

    /// The entry at `index`, which this process has bounded.
    #[inline]
    fn entry(&self, index: u32) -> &AtomicU64 {
        &self.entries[index as usize]
    }

    #[inline]
    fn commit(&self, seen: Log, log: Log) -> bool {
        // ORDERING: both sides of *log*.
        self.head.log.compare_exchange(seen.bits(), log.bits(), AcqRel, Relaxed).is_ok() // commit: the operation has happened
    }

    #[inline]
    fn replace(&self, index: u32, seen: Entry, new: Entry) -> bool {
        // ORDERING: release side of *finish*; AcqRel as every claim and every end of one.
        self.entry(index).compare_exchange(seen.bits(), new.bits(), AcqRel, Relaxed).is_ok()
    }
}

impl<const N: usize> fmt::Debug for Semaphore<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = Log::from_bits(self.head.log.load(Relaxed));
        f.debug_tuple("Semaphore").field(&log).finish_non_exhaustive()
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bounded").field(&self.0).finish()
    }
}
