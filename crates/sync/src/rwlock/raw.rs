//! The lock with many readers or one writer, as it lies in shared memory: the writer's word, and
//! a row of places, one for each reader.
//!
//! A counter of readers could not say whose reads it counts, and so not outlive a dead one. Hence
//! each reader signs a place, and the writer walks along the row.
//!
//! # Layout
//!
//! | offset | size | field    | written by        | values                                        |
//! |-------:|-----:|----------|-------------------|-----------------------------------------------|
//! |      0 |    4 | `word`   | everybody, by CAS | `0`, `POISONED`, `DIED`, `id` with `WAITERS`, `ASKED` |
//! |      4 |    4 | `unused` | nobody            | 0                                             |
//! |      8 |    8 | `holder` | the writer        | 0, or `id << 32` with the thread's token      |
//! |     16 |    4 | `full`   | see `EventCount`  | readers that wait for a place                 |
//! |     64 |   64 each | `row` | see below       | as many [`Place`]s as readers have room       |
//!
//! | offset | size | field    | written by        | values                                        |
//! |-------:|-----:|----------|-------------------|-----------------------------------------------|
//! |      0 |    4 | `word`   | everybody, by CAS | `0`, `id` with `ASKS`, `SLEPT_ON`             |
//! |      4 |    4 | `more`   | the reader        | how often its thread has come in again        |
//! |      8 |    8 | `holder` | the reader        | 0, or `id << 32` with the thread's token: it is in |
//!
//! All zeroes is a valid, free lock.
//!
//! # States
//!
//! The writer's word:
//! - `0`: there is no writer. `POISONED`: the last one panicked; `DIED`: it was found dead by a
//!   reader, which cannot repair anything. Readers are told, and the next writer, which ends it.
//! - `id`: the lock is that writer's, once no place stands in its way. `WAITERS`: writers sleep on
//!   this word. `ASKED`: readers ask to be let in as it leaves.
//!
//! A place:
//! - `0`: free.
//! - `id`: its reader is in, or is about to look if it is; writers wait. `SLEPT_ON`: one sleeps on
//!   this word.
//! - `id` with `ASKS`: its reader waits, and stops no writer. `SLEPT_ON`: it sleeps on this word.
//!
//! # Operations
//!
//! Read:
//! 1. Claim a place: CAS `0` to `id`. 2. Load `word`. No writer: the reader is in; the claim was
//!    the commit. 3. Else CAS the place to `ASKS`, and wake whoever sleeps on it.
//! 4. The place is `id` again: a leaving writer has let the reader in. Or `word` has no writer:
//! CAS the place to `id`, and on with 2. Else look on for a while; CAS `word` to `ASKED`; look on;
//! CAS the place to `SLEPT_ON`; only then, if `word` still has a writer and `ASKED`, sleep.
//!
//! Leave: CAS the place to `0`: the commit. If it was slept on, wake; let `full` know.
//!
//! Write: 1. Claim or take over `word` as that of a [`Lock`](crate::raw::Lock). 2. For each place that
//! stands in the way: CAS to `SLEPT_ON`, sleep on it; clear it by CAS if its reader is dead.
//!
//! Leave, as writer: 1. `ASKED`: CAS it away, then CAS each place that asks to `id` (the grant) and
//! wake its reader; twice at most. Only after a release: a reader is not let in to what a panic
//! left without being told. 2. CAS `word` to `0` or what the next one is to be told: the commit.
//! 3. If it was `ASKED`, CAS `SLEPT_ON` away from each place that asks, and wake it. 4. If there
//! were waiters, wake one.
//!
//! Bury, by a reader that finds the writer dead: CAS its exact word to `DIED`: the commit; then as in
//! 3 and 4.
//!
//! The same thread again: `holder` of a place names it, so it is in. It adds 1 to `more`, and never
//! waits: a writer that waits for it would wait for ever.
//!
//! # Orderings
//!
//! - *claim / look*: a reader claims a place and then loads `word`, a writer claims `word` and then
//!   loads the places; all four SeqCst. Two cases. Either the reader's load comes after the
//!   writer's claim in the order of all SeqCst operations, and it sees the writer; or it comes
//!   before, then so does its claim, and the writer sees that.
//! - *ask / leave*: a reader asks in its place and then finds `ASKED` in `word`, a writer takes
//!   `ASKED` away (or leaves with it) and then loads the places: the same two cases.
//! - *hand-over*, *succession*: as in [`Lock`](crate::raw::Lock), from a writer to whoever loads or
//!   claims `word`.
//! - *grant*: the CAS of a grant (Release) to the reader's load of its place (Acquire): what the
//!   leaving writer did is visible.
//! - *drained*: the CAS of a reader that leaves (Release) to the writer's load of the place
//!   (Acquire). In between there are read-modify-writes only.
//! - `holder` and `more` are Relaxed, for the reason given in [`Lock`](crate::raw::Lock).
//!
//! # Deaths
//!
//! | killed | left behind | seen by |
//! |---|---|---|
//! | reader with a claim, in, or leaving before its CAS | place of a dead id | a draining writer; who finds no place |
//! | reader that asks | stops nobody; may still be let in, then as above | as above |
//! | reader after its CAS, before the wake | free place, a writer asleep on it | the writer's next look |
//! | writer draining, inside, or granting | `word` = dead id | a writer takes over, a reader buries; told |
//! | writer after its CAS, before the wakes | free word, sleepers | their next look |
//! | reader after a burial, before the wakes | `DIED`, sleepers | their next look |
//! | writer after a claim from `DIED` or a take-over | `word` = its dead id | as above: told again |
//!
//! Readers that were granted by a writer that then died are in by right: it had finished. A writer
//! that takes over sets `ASKED`, since the dead one may have taken it away and granted nothing.
//!
//! # Limits
//!
//! The row has a fixed length; one more reader waits for a place, as do those that ask. Writers are
//! not fair among each other, as in the lock. A reader waits for one writer at most once it asks;
//! a writer waits for the readers that came before it.

mod place;
mod word;

use core::fmt;

use crossproc_segment::MemberId;
use crossproc_segment::wait::EventCount;

pub use place::{Left, Place, Standing};
pub use word::{PlaceWord, Word};

use crate::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::raw::{Holder, News};

/// Times that a leaving writer looks for readers that ask.
const GRANTS: u32 = 2;

/// Stands where SeqCst operations order two words.
#[cfg(not(crossproc_loom))]
#[inline]
pub(super) fn edge() {}

/// The model checker takes SeqCst operations for AcqRel ones, and only its fences for SeqCst.
#[cfg(crossproc_loom)]
pub(super) fn edge() {
    // ORDERING: in the model, *claim / look* and *ask / leave*.
    loom::sync::atomic::fence(SeqCst);
}

/// The words before the row. Valid when zeroed.
#[repr(C, align(64))]
pub struct RwLock {
    word: AtomicU32,
    unused: AtomicU32,
    holder: AtomicU64,
    full: EventCount,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<RwLock>() == 64 && align_of::<RwLock>() == 64);
    assert!(core::mem::offset_of!(RwLock, word) == 0);
    assert!(core::mem::offset_of!(RwLock, holder) == 8);
    assert!(core::mem::offset_of!(RwLock, full) == 16);
};

/// What became of a writer's attempt to claim the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The word is the caller's. Readers may still be in.
    Done(News),
    /// Another thread has it; this is the word that says so.
    Held(Word),
    /// The calling thread has it already.
    Mine,
    /// The word is none that the protocol stores.
    Corrupt,
}

/// What a reader sees that has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// It is in, and this is what the last writer left.
    In(News),
    /// It asks; this is the word of the writer.
    Held(Word),
    /// A word is none that the protocol stores, or the place is not the reader's any more.
    Corrupt,
}

/// What is left to do after a writer has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// Nothing.
    Quiet,
    /// Wake one writer.
    Wake,
    /// The word was not the caller's any more. It was left as it is.
    NotHeld(Word),
}

impl Default for RwLock {
    fn default() -> Self {
        Self::new()
    }
}

impl RwLock {
    /// Makes a free lock.
    #[must_use]
    pub fn new() -> Self {
        let (word, unused) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { word, unused, holder: AtomicU64::new(0), full: EventCount::new() }
    }

    /// The word on which writers sleep.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    pub const fn futex(&self) -> &AtomicU32 {
        &self.word
    }

    /// Tells of places that have become free.
    #[must_use]
    #[inline]
    pub const fn full(&self) -> &EventCount {
        &self.full
    }

    /// The writer's word as it is now.
    #[must_use]
    #[inline]
    pub fn word(&self) -> Word {
        // ORDERING: acquire side of *hand-over*; SeqCst for *claim / look* and *ask / leave*.
        Word(self.word.load(SeqCst))
    }

    /// Whether `me`, the calling thread, is the writer.
    #[must_use]
    pub fn is_held_by(&self, me: Holder) -> bool {
        self.holder.load(Relaxed) == me.packed()
    }

    /// Reads if there is no writer and the last one left properly: the fast path. `place` is free
    /// or somebody's. `None` if it is somebody's; `Some(false)` if it is the caller's now, who is
    /// not in.
    #[inline]
    #[must_use]
    pub fn try_read(&self, place: &Place, me: Holder) -> Option<bool> {
        if !place.try_claim(me) {
            return None;
        }
        let is_in = self.word() == Word::FREE;
        if is_in {
            place.settle(me);
        }
        Some(is_in)
    }

    /// Looks whether a reader that has just claimed `place` is in. If not, it asks from now on.
    pub fn arrive(&self, place: &Place, me: Holder, wake: impl FnOnce(&Place)) -> Look {
        let seen = self.word();
        if !seen.is_valid() {
            return Look::Corrupt;
        }
        if seen.owner().is_none() {
            place.settle(me);
            return Look::In(seen.left());
        }
        match place.ask(me) {
            Left::Quiet => {}
            Left::Wake => wake(place),
            Left::NotHeld => return Look::Corrupt,
        }
        Look::Held(seen)
    }

    /// Looks whether a reader that asks is in by now.
    pub fn look(&self, place: &Place, me: Holder, wake: impl FnOnce(&Place)) -> Look {
        let standing = match place.standing(me) {
            Standing::Asks => {
                let seen = self.word();
                if !seen.is_valid() {
                    return Look::Corrupt;
                }
                if seen.owner().is_some() {
                    return Look::Held(seen);
                }
                place.claim_again(me)
            }
            other => other,
        };
        match standing {
            Standing::Asks => self.arrive(place, me, wake),
            Standing::Granted => {
                place.settle(me);
                Look::In(News::Released)
            }
            Standing::Lost => Look::Corrupt,
        }
    }

    /// Prepares a reader that asks for sleep: the word of its place to sleep on, or `None` if it is
    /// to look again.
    #[must_use]
    pub fn doze(&self, place: &Place, me: Holder) -> Option<PlaceWord> {
        let word = place.doze(me)?;
        // Only now: who leaves after this sees the place slept on.
        let seen = self.word();
        (seen.owner().is_some() && self.ask(seen)).then_some(word)
    }

    /// Asks the writer that `seen` names to let readers in as it leaves. `false` if the word has
    /// changed meanwhile.
    #[must_use]
    pub fn ask(&self, seen: Word) -> bool {
        // ORDERING: release side of *hand-over* towards the writer, for the place that asks.
        seen.is_asked() || self.replace(seen, seen.with_asked(), Release)
    }

    /// Leaves the news of its death in place of the writer that `dead` names. `false` if the word
    /// has changed meanwhile. Then [`RwLock::rouse`], and wake a writer if there are waiters.
    #[must_use]
    pub fn bury(&self, dead: Word) -> bool {
        debug_assert!(dead.owner().is_some(), "nobody is dead");
        // ORDERING: acquire side of *succession*, release side of *hand-over*.
        let buried = self.replace(dead, Word::free(News::Died), AcqRel); // commit: there is no writer
        edge();
        buried
    }

    /// Claims the word if there is no writer and the last one left properly: the fast path.
    #[inline]
    #[must_use]
    pub fn try_claim(&self, me: Holder) -> bool {
        self.take(Word::FREE, Word::of_writer(me.id(), false), me)
    }

    /// Claims the word if there is no writer, or tells what stands in the way.
    ///
    /// Whoever has slept on the word says `slept`: others may still sleep there.
    pub fn claim(&self, me: Holder, slept: bool) -> Claim {
        loop {
            let seen = self.word();
            if !seen.is_valid() {
                return Claim::Corrupt;
            }
            if seen.owner().is_some() {
                return if self.is_held_by(me) { Claim::Mine } else { Claim::Held(seen) };
            }
            if self.take(seen, Word::of_writer(me.id(), slept), me) {
                return Claim::Done(seen.left());
            }
        }
    }

    /// Takes the word from `dead`, the word of a writer that is known to be dead. Fails if the word
    /// has changed meanwhile.
    #[must_use]
    pub fn take_over(&self, dead: Word, me: Holder) -> bool {
        debug_assert!(dead.owner().is_some(), "only a held lock can be taken over");
        self.take(dead, Word::of_writer(me.id(), true).with_asked(), me)
    }

    #[inline]
    fn take(&self, seen: Word, new: Word, me: Holder) -> bool {
        // ORDERING: acquire side of *hand-over* or *succession*, release side of *succession*;
        // SeqCst for *claim / look*.
        let taken = self.replace(seen, new, SeqCst); // commit: no reader comes in any more
        if taken {
            self.holder.store(me.packed(), Relaxed);
        }
        edge();
        taken
    }

    #[inline]
    fn replace(&self, seen: Word, new: Word, success: crate::atomic::Ordering) -> bool {
        self.word.compare_exchange(seen.0, new.0, success, Relaxed).is_ok()
    }

    /// Marks the word `seen` of a writer as slept on by another one. Returns the word to sleep on,
    /// or `None` if it has changed meanwhile.
    #[must_use]
    pub fn announce(&self, seen: Word) -> Option<Word> {
        debug_assert!(seen.owner().is_some(), "nobody waits for a free lock");
        let announced = seen.with_waiters();
        // Relaxed: the mark publishes nothing, and the sleeper trusts the kernel's comparison.
        (seen == announced || self.replace(seen, announced, Relaxed)).then_some(announced)
    }

    /// Gives the word back, and tells the next ones what was `left`. Lets in who asks, through
    /// `wake`.
    #[inline]
    pub fn release(
        &self,
        row: &[Place],
        me: Holder,
        left: News,
        wake: impl FnMut(&Place),
    ) -> Released {
        self.holder.store(0, Relaxed);
        // ORDERING: release side of *hand-over*.
        if self.replace(Word::of_writer(me.id(), false), Word::free(left), Release)
        /* commit: the writer is out */
        {
            return Released::Quiet;
        }
        self.release_announced(row, me.id(), left, wake)
    }

    #[cold]
    fn release_announced(
        &self,
        row: &[Place],
        me: MemberId,
        left: News,
        mut wake: impl FnMut(&Place),
    ) -> Released {
        let mut grants = if left == News::Released { GRANTS } else { 0 };
        loop {
            let seen = self.word();
            if seen.owner() != Some(me) {
                return Released::NotHeld(seen);
            }
            if seen.is_asked() && grants > 0 {
                // ORDERING: acquire side of *hand-over* from who asks; SeqCst for *ask / leave*.
                if self.replace(seen, seen.without_asked(), SeqCst) {
                    edge();
                    grants -= 1;
                    self.grant(row, &mut wake);
                }
                continue;
            }
            // ORDERING: release side of *hand-over*; SeqCst for *ask / leave*.
            if self.replace(seen, Word::free(left), SeqCst)
            /* commit: the writer is out */
            {
                edge();
                if seen.is_asked() {
                    self.rouse(row, wake);
                }
                return if seen.has_waiters() { Released::Wake } else { Released::Quiet };
            }
        }
    }

    /// Lets in who asks, before the writer leaves: it only reads from now on.
    pub fn grant(&self, row: &[Place], wake: impl FnMut(&Place)) {
        row.iter().filter(|place| place.grant()).for_each(wake);
    }

    /// Has the readers look again that ask and sleep.
    pub fn rouse(&self, row: &[Place], wake: impl FnMut(&Place)) {
        row.iter().filter(|place| place.rouse()).for_each(wake);
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RwLock").field(&self.word()).finish()
    }
}
