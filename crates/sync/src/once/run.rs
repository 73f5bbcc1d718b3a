//! Running something once: who is to run it, who waits, and how a run ends.
//!
//! The shape of the wait is the one of `crossproc_segment::wait`: try, spin a little with loads
//! only, mark the word, sleep on that exact word, look again; ask after the runner when a slice has
//! passed or a death was told.

use core::fmt;

use crossproc_segment::wait::{Blocker, Rest, Sleeper, Spin};
use crossproc_segment::{Me, Segment};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;

use super::error::OnceError;
use super::raw::{Accept, Claim, End, Ended, News, Once, Word};
use crate::raw::Holder;

/// What a runner is told about the one before it.
pub struct OnceState {
    news: News,
}

impl OnceState {
    /// Whether the last runner died in the middle.
    ///
    /// # Examples
    ///
    /// ```
    /// let once = crossproc_sync::Once::new().unwrap();
    /// once.call_once_force(|state| assert!(!state.runner_died()))?;
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[must_use]
    pub fn runner_died(&self) -> bool {
        self.news == News::Died
    }

    /// Whether the last runner panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    ///
    /// let once = crossproc_sync::Once::new().unwrap();
    /// let fails = AssertUnwindSafe(|| once.call_once(|| panic!("no luck")));
    /// assert!(catch_unwind(fails).is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()))?;
    /// assert!(once.is_completed());
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.news == News::Panicked
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState")
            .field("runner_died", &self.runner_died())
            .field("is_poisoned", &self.is_poisoned())
            .finish()
    }
}

/// A once of a segment, for a thread.
pub(super) struct Caller<'a> {
    pub(super) once: &'a Once,
    pub(super) segment: &'a Segment,
    pub(super) spin: &'a Spin,
    /// Who this process is, asked again when a run ends: it may have been forked.
    pub(super) process: Me,
    pub(super) me: Holder,
}

/// What a caller that need not wait any longer has before it.
enum Turn {
    Run(News),
    Done,
}

impl Caller<'_> {
    /// Runs `work`, or waits until another has: the inner error is that of `work`.
    pub(super) fn call<E>(
        &self,
        accept: Accept,
        deadline: impl FnOnce() -> Option<Deadline>,
        work: impl FnOnce(&OnceState) -> Result<(), E>,
    ) -> Result<Result<(), E>, OnceError> {
        let Turn::Run(news) = self.turn(accept, deadline)? else { return Ok(Ok(())) };
        let run = Run { caller: self };
        let worked = work(&OnceState { news });
        let end = if worked.is_ok() { End::Done } else { End::Undone(news) };
        core::mem::forget(run);
        self.end(end)?;
        Ok(worked)
    }

    /// Waits until it is done by others.
    pub(super) fn wait(
        &self,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<(), OnceError> {
        self.turn(Accept::Nothing, deadline).map(|_| ())
    }

    fn turn(
        &self,
        accept: Accept,
        deadline: impl FnOnce() -> Option<Deadline>,
    ) -> Result<Turn, OnceError> {
        let seen = match settle(self.once.claim(self.me, accept)) {
            Ok(settled) => return settled,
            Err(seen) => seen,
        };
        let deadline = deadline();
        // Loads only, until the word says something else.
        let _ = self.spin.until(|| (!self.once.word().says_as(seen)).then_some(()));
        self.sleep(accept, deadline)
    }

    fn sleep(&self, accept: Accept, deadline: Option<Deadline>) -> Result<Turn, OnceError> {
        let mut sleeper = Sleeper::new(self.segment, deadline);
        let mut rest = Rest::Look;
        loop {
            sleeper.arm(self.once.futex(), Blocker::Owner);
            let seen = match settle(self.once.claim(self.me, accept)) {
                Ok(settled) => return settled,
                Err(seen) => seen,
            };
            if sleeper.is_restless() {
                return Err(OnceError::Timeout);
            }
            if rest != Rest::Look && self.is_dead(seen) {
                match accept {
                    Accept::Any if self.once.take_over(seen, self.me) => {
                        return Ok(Turn::Run(News::Died));
                    }
                    Accept::Nothing | Accept::Fresh if self.once.bury(seen) => self.wake(),
                    _ => {}
                }
                continue;
            }
            let Some(word) = self.once.announce(seen) else { continue };
            if rest == Rest::TimedOut {
                return Err(OnceError::Timeout);
            }
            rest = sleeper.sleep(self.once.futex(), word.bits());
        }
    }

    fn is_dead(&self, seen: Word) -> bool {
        seen.runner().is_some_and(|runner| !self.segment.alive(runner))
    }

    fn end(&self, end: End) -> Result<(), OnceError> {
        if !self.me.is_of(self.process) {
            return Err(OnceError::NotRunner);
        }
        match self.once.end(self.me, end) {
            Ended::Quiet => Ok(()),
            Ended::Wake => {
                self.wake();
                Ok(())
            }
            Ended::NotMine(_) => Err(OnceError::NotRunner),
        }
    }

    fn wake(&self) {
        futex::wake(self.once.futex(), u32::MAX);
    }
}

/// What a claim means for the one who made it; the word if others have to act first.
fn settle(claim: Claim) -> Result<Result<Turn, OnceError>, Word> {
    Ok(match claim {
        Claim::Run(news) => Ok(Turn::Run(news)),
        Claim::Done => Ok(Turn::Done),
        Claim::Refused(News::Died) => Err(OnceError::RunnerDied),
        Claim::Refused(_) => Err(OnceError::Poisoned),
        Claim::Mine => Err(OnceError::Deadlock),
        Claim::Corrupt => Err(OnceError::Corrupt),
        Claim::Wait(word) => return Err(word),
    })
}

/// A run that ends by a panic unless it is forgotten.
struct Run<'c, 'a> {
    caller: &'c Caller<'a>,
}

impl Drop for Run<'_, '_> {
    fn drop(&mut self) {
        // A panic is under way; it tells more than this could.
        let _ = self.caller.end(End::Panicked);
    }
}
