//! Reading: a place in the row, and the wait until the writer leaves.

use core::cell::Cell;

use crossproc_segment::MemberId;
use crossproc_segment::wait::{self, Blocker, Rest, Sleeper};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;

use super::handle::RwLock;
use super::raw::{Left, Look, Place, Standing};
use crate::error::{LockFailure, NotHeld};
use crate::raw::{Holder, News};

/// Looks of a reader before it asks the writer to let it in: each grant costs both sides more than
/// a writer that leaves for good does.
const LOOKS: u32 = 100;

/// A reader that is in: by which place, and what the last writer left.
pub(super) struct Read<'l> {
    pub(super) place: &'l Place,
    pub(super) news: News,
}

/// Until when a reader waits.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until the deadline, if there is one.
    Until(Option<Deadline>),
}

thread_local! {
    /// The place that this thread had last, in whichever lock: free, most likely.
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Where in a row of `len` places `me` begins to look.
fn hint(me: Holder, len: usize) -> usize {
    let last = PLACE.get();
    // Processes that are made one after the other get places one after the other.
    let hint = if last == usize::MAX { me.spread() as usize } else { last };
    hint.checked_rem(len).unwrap_or(0)
}

impl RwLock {
    /// Reads by the place that this thread had last, if that is free and there is no writer. Else
    /// says whether that place is claimed now.
    #[inline]
    pub(super) fn read_at_once(&self, me: Holder) -> Result<&Place, bool> {
        match self.row().get(PLACE.get()) {
            Some(place) => match self.raw().try_read(place, me) {
                Some(true) => Ok(place),
                claimed => Err(claimed.is_some()),
            },
            None => Err(false),
        }
    }

    /// Reads after [`RwLock::read_at_once`] has failed, and has `claimed` the place or not.
    pub(super) fn read_after(
        &self,
        me: Holder,
        claimed: bool,
        patience: Patience,
    ) -> Result<Read<'_>, LockFailure> {
        let hint = hint(me, self.row().len());
        let claimed = claimed.then_some(hint);
        if let Some(again) = self.read_again(me) {
            self.give_up(me, claimed);
            return again;
        }
        if self.raw().is_held_by(me) {
            self.give_up(me, claimed);
            return Err(LockFailure::Deadlock);
        }
        let at = match claimed {
            Some(at) => at,
            None => self.find_place(me, hint, patience)?,
        };
        let place = &self.row()[at];
        let news = match patience {
            Patience::None => self.arrive_or_leave(place, me),
            Patience::Until(deadline) => self.arrive_or_wait(place, me, deadline),
        };
        match news {
            Ok(news) => {
                PLACE.set(at);
                Ok(Read { place, news })
            }
            Err(failure) => {
                self.full_no_more();
                Err(failure)
            }
        }
    }

    /// Comes in once more, if the calling thread is in already.
    fn read_again(&self, me: Holder) -> Option<Result<Read<'_>, LockFailure>> {
        let place = self.row().iter().find(|place| place.is_held_by(me))?;
        let entered = place.enter_again();
        let read = Read { place, news: self.raw().word().left() };
        Some(entered.then_some(read).ok_or(LockFailure::Deadlock))
    }

    fn give_up(&self, me: Holder, claimed: Option<usize>) {
        if let Some(place) = claimed.and_then(|at| self.row().get(at)) {
            // Nobody else takes a place from a living reader.
            if place.give_up(me) == Left::Wake {
                wake(place);
            }
            self.full_no_more();
        }
    }

    /// Claims a place, from `hint` on; waits if all are taken.
    fn find_place(
        &self,
        me: Holder,
        hint: usize,
        patience: Patience,
    ) -> Result<usize, LockFailure> {
        let deadline = match patience {
            Patience::None => {
                let found = self.try_place(me, hint, wait::Look::Repair);
                return found.unwrap_or(Err(LockFailure::WouldBlock));
            }
            Patience::Until(deadline) => deadline,
        };
        let attempt = |look| self.try_place(me, hint, look);
        let spin = self.shared.spin();
        wait::block_on(self.segment(), self.raw().full(), spin, deadline, attempt)
            .unwrap_or(Err(LockFailure::Timeout))
    }

    fn try_place(
        &self,
        me: Holder,
        hint: usize,
        look: wait::Look,
    ) -> Option<Result<usize, LockFailure>> {
        if look == wait::Look::Repair && !self.has_free_place() {
            self.clear_dead();
        }
        let row = self.row();
        let claim = |at: &usize| row[*at].word().owner().is_none() && row[*at].try_claim(me);
        let found = (hint..row.len()).chain(0..hint.min(row.len())).find(claim);
        if found.is_none() && row.iter().any(|place| !place.word().is_valid()) {
            return Some(Err(LockFailure::Corrupt));
        }
        found.map(Ok)
    }

    fn has_free_place(&self) -> bool {
        self.row().iter().any(|place| place.word().owner().is_none())
    }

    /// Takes the places of dead readers from them.
    fn clear_dead(&self) {
        for place in self.row() {
            let seen = place.word();
            if seen.owner().is_some_and(|owner| !self.segment().alive(owner)) && place.clear(seen) {
                self.full_no_more();
            }
        }
    }

    /// A place has become free.
    #[inline]
    fn full_no_more(&self) {
        self.raw().full().notify_one();
    }

    /// Goes in if there is no writer, or a dead one; else leaves the place.
    fn arrive_or_leave(&self, place: &Place, me: Holder) -> Result<News, LockFailure> {
        // Before it would ask: a writer may be waiting for just this place.
        let seen = self.raw().word();
        if let Some(writer) = seen.owner() {
            if self.segment().alive(writer) {
                self.give_up_place(place, me);
                return Err(LockFailure::WouldBlock);
            }
            // Should another have been faster, the next look tells.
            let _ = self.bury(seen);
        }
        match self.raw().arrive(place, me, wake) {
            Look::In(news) => Ok(news),
            // It asks now. It may be let in all the same.
            Look::Held(_) => self.settle_or(place, me, LockFailure::WouldBlock),
            Look::Corrupt => self.abandon(place, me),
        }
    }

    fn arrive_or_wait(
        &self,
        place: &Place,
        me: Holder,
        deadline: Option<Deadline>,
    ) -> Result<News, LockFailure> {
        match self.raw().arrive(place, me, wake) {
            Look::In(news) => return Ok(news),
            Look::Corrupt => return self.abandon(place, me),
            Look::Held(_) => {}
        }
        // The writer may be waiting for a place, to become a reader: it lets in who asks.
        self.full_no_more();
        let mut looks = 0;
        let spun = self.shared.spin().until(|| {
            looks += 1;
            let seen = match self.raw().look(place, me, wake) {
                Look::Held(seen) => seen,
                settled => return Some(settled),
            };
            if looks == LOOKS {
                // Should it fail, then for a change that the next look sees.
                let _ = self.raw().ask(seen);
            }
            None
        });
        match spun {
            Some(Look::In(news)) => Ok(news),
            Some(_) => self.abandon(place, me),
            None => self.sleep_until_in(place, me, deadline),
        }
    }

    fn sleep_until_in(
        &self,
        place: &Place,
        me: Holder,
        deadline: Option<Deadline>,
    ) -> Result<News, LockFailure> {
        let mut sleeper = Sleeper::new(self.segment(), deadline);
        let mut rest = Rest::Look;
        loop {
            // Sleeps on its place, and is concerned by the writer's death.
            sleeper.arm(self.raw().futex(), Blocker::Owner);
            let seen = match self.raw().look(place, me, wake) {
                Look::In(news) => return Ok(news),
                Look::Corrupt => return self.abandon(place, me),
                Look::Held(seen) => seen,
            };
            let is_dead = |writer: MemberId| !self.segment().alive(writer);
            if rest != Rest::Look && seen.owner().is_some_and(is_dead) {
                let _ = self.bury(seen);
                rest = Rest::Look;
                continue;
            }
            if rest == Rest::TimedOut {
                return self.settle_or(place, me, LockFailure::Timeout);
            }
            let Some(word) = self.raw().doze(place, me) else {
                if sleeper.is_restless() {
                    return self.settle_or(place, me, LockFailure::Timeout);
                }
                continue;
            };
            rest = sleeper.sleep(place.futex(), word.bits());
        }
    }

    /// Leaves the word of a dead writer as that of one that died, and has everybody look.
    fn bury(&self, dead: super::raw::Word) -> bool {
        let buried = self.raw().bury(dead);
        if buried {
            self.raw().rouse(self.row(), wake);
            if dead.has_waiters() {
                futex::wake(self.raw().futex(), 1);
            }
        }
        buried
    }

    /// Takes the question back, unless it was granted meanwhile.
    fn settle_or(
        &self,
        place: &Place,
        me: Holder,
        failure: LockFailure,
    ) -> Result<News, LockFailure> {
        match place.withdraw(me) {
            Standing::Asks => Err(failure),
            Standing::Granted => match self.raw().look(place, me, wake) {
                Look::In(news) => Ok(news),
                Look::Held(_) | Look::Corrupt => self.abandon(place, me),
            },
            Standing::Lost => Err(LockFailure::Corrupt),
        }
    }

    /// Leaves the place, if it is still the caller's, since a word was written over.
    fn abandon(&self, place: &Place, me: Holder) -> Result<News, LockFailure> {
        if place.withdraw(me) == Standing::Granted {
            self.give_up_place(place, me);
        }
        Err(LockFailure::Corrupt)
    }

    fn give_up_place(&self, place: &Place, me: Holder) {
        if place.give_up(me) == Left::Wake {
            wake(place);
        }
    }

    /// Leaves the place: one read less.
    #[inline]
    pub(super) fn leave(&self, place: &Place, me: Holder) -> Result<(), NotHeld> {
        let left = place.release(me);
        if left != Left::Quiet {
            self.left_otherwise(place, left)?;
        }
        self.full_no_more();
        Ok(())
    }

    #[cold]
    fn left_otherwise(&self, place: &Place, left: Left) -> Result<(), NotHeld> {
        match left {
            Left::NotHeld => Err(NotHeld),
            Left::Quiet | Left::Wake => {
                wake(place);
                Ok(())
            }
        }
    }

    /// Claims a place for the writer, so that it reads from then on. Readers that ask, and so have
    /// places, are let in if there is no other.
    pub(super) fn place_of_writer(&self, me: Holder) -> Result<&Place, LockFailure> {
        let hint = hint(me, self.row().len());
        let at = match self.try_place(me, hint, wait::Look::Quick) {
            Some(found) => found?,
            None => self.place_among_askers(me, hint)?,
        };
        let place = &self.row()[at];
        place.settle(me);
        Ok(place)
    }

    /// Lets those in who ask, until one of them has left a place. Others may be faster to get it and
    /// ask in turn: they too are let in, as nobody else would do it.
    #[cold]
    fn place_among_askers(&self, me: Holder, hint: usize) -> Result<usize, LockFailure> {
        let attempt = |look| {
            let found = self.try_place(me, hint, look);
            if found.is_none() {
                self.raw().grant(self.row(), wake);
            }
            found
        };
        let spin = self.shared.spin();
        wait::block_on(self.segment(), self.raw().full(), spin, None, attempt)
            .unwrap_or(Err(LockFailure::Timeout))
    }
}

#[cold]
pub(super) fn wake(place: &Place) {
    // All: the next reader of the place may sleep there beside the one that this is for.
    futex::wake(place.futex(), u32::MAX);
}
