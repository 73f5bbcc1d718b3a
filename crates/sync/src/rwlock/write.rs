//! Writing: the writer's word, and the wait until the readers are out.

use crossproc_segment::wait::{Blocker, Rest, Sleeper};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;

use super::handle::RwLock;
use super::raw::{Claim, Place, Released, Word};
use super::read;
use crate::error::{LockFailure, NotHeld};
use crate::raw::{Holder, News};

impl RwLock {
    /// Writes; the deadline is asked for only if that is not possible at once.
    #[inline]
    pub(super) fn write_with(
        &self,
        me: Holder,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<News, LockFailure> {
        if !self.raw().try_claim(me) {
            return self.write_slow(me, deadline());
        }
        if self.row().iter().all(|place| place.word().lets_pass()) {
            return Ok(News::Released);
        }
        self.drain(me, News::Released, deadline())
    }

    #[cold]
    #[inline(never)]
    fn write_slow(&self, me: Holder, deadline: Option<Deadline>) -> Result<News, LockFailure> {
        // The writer may be waiting for just this thread.
        self.refuse_reader(me)?;
        let news = match settle(self.raw().claim(me, false)) {
            Ok(settled) => settled?,
            Err(_) => match self.shared.spin().until(|| self.look_for_claim(me)) {
                Some(Ok(claimed)) => claimed?,
                Some(Err(Sleep)) | None => self.wait_for_claim(me, deadline)?,
            },
        };
        self.drain(me, news, deadline)
    }

    /// `Deadlock` if the calling thread reads: it would wait for itself.
    fn refuse_reader(&self, me: Holder) -> Result<(), LockFailure> {
        let reads = self.row().iter().any(|place| place.is_held_by(me));
        if reads { Err(LockFailure::Deadlock) } else { Ok(()) }
    }

    /// One turn of a spin. As in the lock: whoever is asleep came first.
    fn look_for_claim(&self, me: Holder) -> Option<Result<Result<News, LockFailure>, Sleep>> {
        let seen = self.raw().word();
        if seen.has_waiters() {
            return Some(Err(Sleep));
        }
        if seen.owner().is_some() {
            return None;
        }
        settle(self.raw().claim(me, false)).ok().map(Ok)
    }

    fn wait_for_claim(&self, me: Holder, deadline: Option<Deadline>) -> Result<News, LockFailure> {
        let mut sleeper = Sleeper::new(self.segment(), deadline);
        let mut rest = Rest::Look;
        loop {
            sleeper.arm(self.raw().futex(), Blocker::Owner);
            let seen = match settle(self.raw().claim(me, true)) {
                Ok(settled) => return settled,
                Err(seen) => seen,
            };
            if rest != Rest::Look && self.succeed(me, seen) {
                return Ok(News::Died);
            }
            // Also before leaving: the wake that came last may have been this thread's.
            let Some(word) = self.raw().announce(seen) else {
                if sleeper.is_restless() {
                    return Err(LockFailure::Timeout);
                }
                continue;
            };
            if rest == Rest::TimedOut {
                return Err(LockFailure::Timeout);
            }
            rest = sleeper.sleep(self.raw().futex(), word.bits());
        }
    }

    /// Takes the word over if the writer that `seen` names is dead.
    fn succeed(&self, me: Holder, seen: Word) -> bool {
        let is_dead = seen.owner().is_some_and(|writer| !self.segment().alive(writer));
        is_dead && self.raw().take_over(seen, me)
    }

    /// Waits until the readers are out. If that fails, the word is given back with its news.
    #[cold]
    #[inline(never)]
    fn drain(
        &self,
        me: Holder,
        news: News,
        deadline: Option<Deadline>,
    ) -> Result<News, LockFailure> {
        // First, as it may be another reader that would be waited for before this thread itself.
        let drained = self
            .refuse_reader(me)
            .and_then(|()| self.row().iter().try_for_each(|place| self.pass(place, deadline)));
        self.writer_if(drained, me, news)
    }

    fn writer_if(
        &self,
        drained: Result<(), LockFailure>,
        me: Holder,
        news: News,
    ) -> Result<News, LockFailure> {
        match drained {
            Ok(()) => Ok(news),
            Err(failure) => {
                // What matters is the failure.
                let _ = self.leave_writer(me, news);
                Err(failure)
            }
        }
    }

    /// Waits until `place` lets a writer pass.
    fn pass(&self, place: &Place, deadline: Option<Deadline>) -> Result<(), LockFailure> {
        if place.word().lets_pass() {
            return Ok(());
        }
        let passes = || place.word().lets_pass().then_some(());
        if self.shared.spin().until(passes).is_some() {
            return Ok(());
        }
        let mut sleeper = Sleeper::new(self.segment(), deadline);
        let mut rest = Rest::Look;
        loop {
            sleeper.arm(place.futex(), Blocker::Owner);
            if self.passes(place, rest != Rest::Look)? {
                return Ok(());
            }
            if rest == Rest::TimedOut {
                return Err(LockFailure::Timeout);
            }
            let seen = place.word();
            if seen.lets_pass() {
                return Ok(());
            }
            let Some(word) = place.mark(seen) else {
                if sleeper.is_restless() {
                    return Err(LockFailure::Timeout);
                }
                continue;
            };
            rest = sleeper.sleep(place.futex(), word.bits());
        }
    }

    /// Whether `place` lets a writer pass; with `ask` a dead reader is taken out.
    fn passes(&self, place: &Place, ask: bool) -> Result<bool, LockFailure> {
        let seen = place.word();
        if seen.lets_pass() {
            return Ok(true);
        }
        let Some(reader) = seen.owner().filter(|_| seen.is_valid()) else {
            return Err(LockFailure::Corrupt);
        };
        if !ask || self.segment().alive(reader) || !place.clear(seen) {
            return Ok(false);
        }
        self.raw().full().notify_one();
        Ok(true)
    }

    /// Writes if nobody living is in the way.
    pub(super) fn try_write_now(&self, me: Holder) -> Result<News, LockFailure> {
        if self.raw().is_held_by(me) {
            return Err(LockFailure::Deadlock);
        }
        self.refuse_reader(me)?;
        // Before the claim, which would keep readers out for nothing.
        self.all_pass()?;
        let news = match settle(self.raw().claim(me, false)) {
            Ok(settled) => settled?,
            Err(seen) if self.succeed(me, seen) => News::Died,
            Err(_) => return Err(LockFailure::WouldBlock),
        };
        self.writer_if(self.all_pass(), me, news)
    }

    fn all_pass(&self) -> Result<(), LockFailure> {
        for place in self.row() {
            if !self.passes(place, true)? {
                return Err(LockFailure::WouldBlock);
            }
        }
        Ok(())
    }

    /// Gives the writer's word back; the next ones are told what was `left`.
    #[inline]
    pub(super) fn leave_writer(&self, me: Holder, left: News) -> Result<(), NotHeld> {
        match self.raw().release(self.row(), me, left, read::wake) {
            Released::Quiet => Ok(()),
            Released::Wake => {
                self.wake_writer();
                Ok(())
            }
            Released::NotHeld(_) => Err(NotHeld),
        }
    }

    #[cold]
    fn wake_writer(&self) {
        futex::wake(self.raw().futex(), 1);
    }
}

/// It is of no use to spin on.
struct Sleep;

/// What a claim means for the one who made it; the word if another has it.
fn settle(claim: Claim) -> Result<Result<News, LockFailure>, Word> {
    match claim {
        Claim::Done(news) => Ok(Ok(news)),
        Claim::Mine => Ok(Err(LockFailure::Deadlock)),
        Claim::Corrupt => Ok(Err(LockFailure::Corrupt)),
        Claim::Held(word) => Err(word),
    }
}
