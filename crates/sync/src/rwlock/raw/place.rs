//! A reader's place in the row of a lock.

use core::fmt;

use super::edge;
use super::word::PlaceWord;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::raw::Holder;

/// The words of one reader: a cache line of its own, so that readers do not disturb each other.
#[repr(C, align(64))]
pub struct Place {
    word: AtomicU32,
    more: AtomicU32,
    holder: AtomicU64,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<Place>() == 64 && align_of::<Place>() == 64);
    assert!(core::mem::offset_of!(Place, word) == 0);
    assert!(core::mem::offset_of!(Place, holder) == 8);
};

/// What became of a reader that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// It still asks.
    Asks,
    /// A leaving writer has let it in.
    Granted,
    /// The place is not the caller's any more: it was cleared or written over.
    Lost,
}

/// What is left to do after a reader's word has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Left {
    /// Nothing.
    Quiet,
    /// Wake whoever sleeps on the place.
    Wake,
    /// The place was not the caller's any more. It was left as it is.
    NotHeld,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Makes a free place.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(0), more: AtomicU32::new(0), holder: AtomicU64::new(0) }
    }

    /// The word that is slept on.
    #[cfg(not(crossproc_loom))]
    #[must_use]
    pub const fn futex(&self) -> &AtomicU32 {
        &self.word
    }

    /// The word as it is now.
    #[must_use]
    #[inline]
    pub fn word(&self) -> PlaceWord {
        // ORDERING: acquire side of *drained* and *grant*; SeqCst for *claim / look* and *ask / leave*.
        PlaceWord(self.word.load(SeqCst))
    }

    /// Claims the place if it is free. Then the reader has to look at the writer's word.
    #[inline]
    #[must_use]
    pub fn try_claim(&self, me: Holder) -> bool {
        let mine = PlaceWord::of_reader(me.id());
        // ORDERING: SeqCst for *claim / look*.
        let claimed = self.word.compare_exchange(0, mine.0, SeqCst, Relaxed).is_ok(); // commit: unless a writer is seen
        edge();
        claimed
    }

    /// Notes that the calling thread is in.
    #[inline]
    pub fn settle(&self, me: Holder) {
        self.more.store(0, Relaxed);
        self.holder.store(me.packed(), Relaxed);
    }

    /// Whether `me`, the calling thread, is in by this place.
    #[must_use]
    #[inline]
    pub fn is_held_by(&self, me: Holder) -> bool {
        self.holder.load(Relaxed) == me.packed()
            && self.word().granted() == PlaceWord::of_reader(me.id())
    }

    /// Lets the calling thread, which is in by this place, in once more. `false` if it has been
    /// let in as often as can be counted.
    #[must_use]
    pub fn enter_again(&self) -> bool {
        let more = self.more.load(Relaxed);
        // commit: one read more.
        more.checked_add(1).inspect(|more| self.more.store(*more, Relaxed)).is_some()
    }

    /// Turns a claim into a question, since there is a writer. It may sleep on this place.
    pub(super) fn ask(&self, me: Holder) -> Left {
        let mine = PlaceWord::of_reader(me.id());
        let left = self.replace(mine, PlaceWord::asking);
        edge();
        left
    }

    /// Takes a question back and leaves the place; `Asks` says that this was done.
    pub fn withdraw(&self, me: Holder) -> Standing {
        let mine = PlaceWord::of_reader(me.id()).asking();
        match self.replace(mine, |_| PlaceWord::FREE) {
            Left::NotHeld => self.standing(me),
            Left::Quiet | Left::Wake => Standing::Asks,
        }
    }

    /// Turns a question into a claim, unless the answer is there.
    pub(super) fn claim_again(&self, me: Holder) -> Standing {
        let mine = PlaceWord::of_reader(me.id()).asking();
        match self.replace(mine, PlaceWord::granted) {
            Left::NotHeld => self.standing(me),
            Left::Quiet | Left::Wake => {
                edge();
                Standing::Asks
            }
        }
    }

    /// What has become of a question.
    pub(super) fn standing(&self, me: Holder) -> Standing {
        let mine = PlaceWord::of_reader(me.id());
        match self.word().awake() {
            word if word == mine.asking() => Standing::Asks,
            word if word == mine => Standing::Granted,
            _ => Standing::Lost,
        }
    }

    /// Marks a question as slept on: the word to sleep on, or `None` if the answer is there.
    pub(super) fn doze(&self, me: Holder) -> Option<PlaceWord> {
        let mine = PlaceWord::of_reader(me.id()).asking();
        match self.replace(mine, PlaceWord::slept_on) {
            Left::NotHeld => None,
            Left::Quiet | Left::Wake => {
                edge();
                Some(mine.slept_on())
            }
        }
    }

    /// Marks the place, whose word is `seen`, as slept on: the word to sleep on, or `None` if it
    /// has changed meanwhile.
    #[must_use]
    pub fn mark(&self, seen: PlaceWord) -> Option<PlaceWord> {
        let marked = seen.slept_on();
        // Relaxed: the mark publishes nothing, and the sleeper trusts the kernel's comparison.
        let mark = || self.word.compare_exchange(seen.0, marked.0, Relaxed, Relaxed).is_ok();
        (seen == marked || mark()).then_some(marked)
    }

    /// Lets a reader in that asks: the writer leaves. Says whether to wake it.
    pub(super) fn grant(&self) -> bool {
        self.answer(PlaceWord::granted)
    }

    /// Has a reader look again that asks and sleeps. Says whether to wake it.
    pub(super) fn rouse(&self) -> bool {
        self.word().is_slept_on() && self.answer(PlaceWord::awake)
    }

    fn answer(&self, answered: fn(PlaceWord) -> PlaceWord) -> bool {
        let mut seen = self.word();
        while seen.is_valid() && seen.asks() {
            // ORDERING: release side of *grant*.
            match self.word.compare_exchange(seen.0, answered(seen).0, AcqRel, Acquire) {
                Ok(_) => return seen.is_slept_on(),
                Err(found) => seen = PlaceWord(found),
            }
        }
        false
    }

    /// Leaves the place, or one of several reads.
    #[inline]
    pub fn release(&self, me: Holder) -> Left {
        let more = self.more.load(Relaxed);
        if more != 0 {
            return self.release_one(me, more);
        }
        self.holder.store(0, Relaxed);
        self.give_up(me)
    }

    #[cold]
    fn release_one(&self, me: Holder, more: u32) -> Left {
        if !self.is_held_by(me) {
            return Left::NotHeld;
        }
        self.more.store(more - 1, Relaxed); // commit: one read less
        Left::Quiet
    }

    /// Leaves a place that was claimed, and not entered.
    #[inline]
    pub fn give_up(&self, me: Holder) -> Left {
        let mine = PlaceWord::of_reader(me.id());
        // ORDERING: release side of *drained*.
        match self.word.compare_exchange(mine.0, 0, Release, Relaxed) /* commit: the reader is out */ {
            Ok(_) => Left::Quiet,
            Err(_) => self.replace(mine, |_| PlaceWord::FREE),
        }
    }

    /// Takes a place from `dead`, the word of a reader that is known to be dead.
    #[must_use]
    pub fn clear(&self, dead: PlaceWord) -> bool {
        // ORDERING: both sides of *drained*: the dead reader's claims end here.
        self.word.compare_exchange(dead.0, 0, AcqRel, Relaxed).is_ok() // commit: the dead reader is out
    }

    /// Replaces `mine`, whether slept on or not.
    fn replace(&self, mine: PlaceWord, new: fn(PlaceWord) -> PlaceWord) -> Left {
        let mut seen = mine;
        // It is marked or unmarked between two rounds, each time by one who has seen it.
        while seen.awake() == mine {
            // ORDERING: release side of *drained*, both sides of *grant*; SeqCst for *claim / look*
            // and *ask / leave*.
            match self.word.compare_exchange(seen.0, new(seen).0, SeqCst, Acquire) {
                Ok(_) if seen.is_slept_on() => return Left::Wake,
                Ok(_) => return Left::Quiet,
                Err(found) => seen = PlaceWord(found),
            }
        }
        Left::NotHeld
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.word()).finish()
    }
}
