//! Waiting at a barrier: arriving, being let go or completing the generation, leaving.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::wait::{Look, Spin, block_on};
use crossproc_segment::{Me, MemberId, Segment};
use crossproc_sys::clock::Deadline;

use super::error::{BarrierError, BreakCause};
use super::raw::{Arrival, Arrive, Barrier, Outcome, Phase, Place, State, Why};
use crate::raw::Holder;

/// That a thread has passed a barrier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BarrierWait {
    index: usize,
    is_leader: bool,
}

impl BarrierWait {
    /// A number from 0 to below the number of parties, which each of those who passed together has
    /// for itself. A thread that comes again has the same as a rule.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// assert_eq!(barrier.wait()?.index(), 0);
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// Whether this thread let the others go: one of those who passed together, the one that ran the
    /// action if there is one. None if that one was killed at this very moment.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// assert!(barrier.wait()?.is_leader());
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    #[must_use]
    pub fn is_leader(self) -> bool {
        self.is_leader
    }
}

impl fmt::Debug for BarrierWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait")
            .field("index", &self.index)
            .field("is_leader", &self.is_leader)
            .finish()
    }
}

/// A barrier of a segment, for a thread.
pub(super) struct Caller<'a> {
    pub(super) barrier: &'a Barrier,
    pub(super) row: &'a [Place],
    pub(super) segment: &'a Segment,
    pub(super) spin: &'a Spin,
    /// The place that a thread of this handle had last.
    pub(super) hint: &'a AtomicU32,
    /// Who this process is, asked again after the action: it may have been forked.
    pub(super) process: Me,
    pub(super) me: Holder,
}

/// How often a generation may change under one who breaks it: it can act, and be over.
const ROUNDS: u32 = 1000;

/// What one who has arrived is to do.
enum Turn {
    Complete,
    Go,
    Fail(BarrierError),
}

impl Caller<'_> {
    /// Waits until all have arrived; the last one runs the action first.
    pub(super) fn wait(
        &self,
        deadline: impl FnOnce() -> Option<Deadline>,
        action: Option<impl FnOnce()>,
    ) -> Result<BarrierWait, BarrierError> {
        // In its own action it would wait for itself, or after a reset in the next generation but one.
        if self.barrier.is_acting(self.me) {
            return Err(BarrierError::Deadlock);
        }
        match self.arrive() {
            Some(arrived) => self.pass(arrived?, deadline, action),
            None => {
                let deadline = deadline();
                let arrival = self.wait_for_room(deadline)?;
                self.pass(arrival, || deadline, action)
            }
        }
    }

    /// Arrives; `None` if there is no room.
    fn arrive(&self) -> Option<Result<Arrival, BarrierError>> {
        match self.barrier.arrive(self.row, self.me.id(), self.hint.load(Relaxed)) {
            Arrive::In(arrival) => {
                self.hint.store(arrival.hint(), Relaxed);
                Some(Ok(arrival))
            }
            Arrive::NoRoom => None,
            Arrive::Broken(why, id) => Some(Err(broken(why, id))),
            Arrive::Corrupt => Some(Err(BarrierError::Corrupt)),
        }
    }

    #[cold]
    fn wait_for_room(&self, deadline: Option<Deadline>) -> Result<Arrival, BarrierError> {
        let attempt = |look| {
            self.arrive().or_else(|| {
                if look == Look::Repair {
                    self.look_for_dead(self.barrier.state());
                }
                None
            })
        };
        let arrived = block_on(self.segment, self.barrier.room(), self.spin, deadline, attempt);
        arrived.unwrap_or(Err(BarrierError::Timeout))
    }

    fn pass(
        &self,
        arrival: Arrival,
        deadline: impl FnOnce() -> Option<Deadline>,
        action: Option<impl FnOnce()>,
    ) -> Result<BarrierWait, BarrierError> {
        let inside = Inside { caller: self, arrival, acts: Cell::new(false) };
        let is_leader = self.let_go(&inside, deadline, action)?;
        inside.leave()?;
        Ok(BarrierWait { index: arrival.place(), is_leader })
    }

    /// Waits until all are let go; tells whether by this thread.
    fn let_go<A: FnOnce()>(
        &self,
        inside: &Inside<'_, '_>,
        deadline: impl FnOnce() -> Option<Deadline>,
        action: Option<A>,
    ) -> Result<bool, BarrierError> {
        let arrival = inside.arrival;
        let acting = action.as_ref().map(|_| self.me);
        if self.barrier.all_arrived(self.row, arrival) && self.barrier.complete(arrival, acting) {
            return self.act(inside, action);
        }
        let deadline = deadline();
        loop {
            let attempt = |look| self.turn(arrival, look);
            let turn = block_on(self.segment, self.barrier.passed(), self.spin, deadline, attempt);
            match turn.unwrap_or_else(|| self.give_up(arrival)) {
                Turn::Go => return Ok(false),
                Turn::Fail(error) => return Err(error),
                // Whoever came last was killed, as a rule.
                Turn::Complete if self.barrier.complete(arrival, acting) => {
                    return self.act(inside, action);
                }
                Turn::Complete => {}
            }
        }
    }

    /// Runs the action, and lets all go.
    fn act(
        &self,
        inside: &Inside<'_, '_>,
        action: Option<impl FnOnce()>,
    ) -> Result<bool, BarrierError> {
        let Some(action) = action else {
            self.barrier.passed().notify_all();
            return Ok(true);
        };
        inside.acts.set(true);
        action();
        inside.acts.set(false);
        self.finish(inside.arrival)
    }

    fn finish(&self, arrival: Arrival) -> Result<bool, BarrierError> {
        if !self.me.is_of(self.process) {
            return Err(BarrierError::NotParticipant);
        }
        if self.barrier.finish(arrival) {
            self.barrier.passed().notify_all();
            return Ok(true);
        }
        match self.turn(arrival, Look::Quick) {
            Some(Turn::Fail(error)) => Err(error),
            _ => Err(BarrierError::Corrupt),
        }
    }

    /// What has become of the generation; with [`Look::Repair`] also what is to become of it.
    fn turn(&self, arrival: Arrival, look: Look) -> Option<Turn> {
        let state = match settled(self.barrier.outcome(arrival)) {
            Err(state) if look == Look::Repair => state,
            settled => return settled.ok(),
        };
        let gathering = state.phase() == Some(Phase::Gathering);
        if gathering && self.barrier.all_arrived(self.row, arrival) {
            return Some(Turn::Complete);
        }
        self.look_for_dead(state);
        settled(self.barrier.outcome(arrival)).ok()
    }

    /// The time is over: breaks the generation, unless something else has become of it.
    #[cold]
    fn give_up(&self, arrival: Arrival) -> Turn {
        for _ in 0..ROUNDS {
            match settled(self.barrier.outcome(arrival)) {
                Ok(turn) => return turn,
                Err(state) if self.break_up(state, Why::TimedOut, self.me.id()) => {
                    return Turn::Fail(BarrierError::Timeout);
                }
                Err(_) => {}
            }
        }
        // Somebody writes over the state all the time.
        Turn::Fail(BarrierError::Corrupt)
    }

    /// Breaks the generation in `state` if one that takes part in it has died; ends a reset that was
    /// begun by one who has.
    #[cold]
    fn look_for_dead(&self, state: State) {
        let is_dead = |id: &MemberId| *id != self.me.id() && !self.segment.alive(*id);
        let dead = match state.phase() {
            Some(Phase::Gathering) => Barrier::participants(self.row).find(is_dead),
            Some(Phase::Acting(id)) => Some(id).filter(is_dead),
            Some(Phase::Resetting(id)) if is_dead(&id) => {
                // Not broken: the reset has happened, but for what is left to do. What else is in the
                // state is told to whoever looks next.
                let _ = self.reset();
                None
            }
            Some(Phase::Resetting(_) | Phase::Broken(..)) | None => None,
        };
        if let Some(dead) = dead {
            self.break_up(state, Why::Died, dead);
        }
    }

    fn break_up(&self, state: State, why: Why, id: MemberId) -> bool {
        let broken = self.barrier.break_up(state, why, id);
        if broken {
            self.tell_all();
        }
        broken
    }

    fn tell_all(&self) {
        self.barrier.passed().notify_all();
        self.barrier.room().notify_all();
    }

    pub(super) fn abort(&self) -> Result<(), BarrierError> {
        for _ in 0..ROUNDS {
            let state = self.barrier.state();
            match state.phase() {
                None => return Err(BarrierError::Corrupt),
                Some(Phase::Broken(..)) => return Ok(()),
                Some(_) if self.break_up(state, Why::Aborted, self.me.id()) => return Ok(()),
                Some(_) => {}
            }
        }
        // As in `give_up`.
        Err(BarrierError::Corrupt)
    }

    pub(super) fn reset(&self) -> Result<(), BarrierError> {
        let alive = |id| id == self.me.id() || self.segment.alive(id);
        if self.barrier.reset(self.row, self.me.id(), alive).map_err(|_| BarrierError::Corrupt)? {
            self.tell_all();
        }
        Ok(())
    }
}

/// What an outcome means for the one who waits for it; the state if there is none yet.
fn settled(outcome: Outcome) -> Result<Turn, State> {
    match outcome {
        Outcome::Open(state) => Err(state),
        Outcome::Passed => Ok(Turn::Go),
        Outcome::Broken(why, id) => Ok(Turn::Fail(broken(why, id))),
        Outcome::Reset => Ok(Turn::Fail(reset())),
        Outcome::Corrupt => Ok(Turn::Fail(BarrierError::Corrupt)),
    }
}

fn broken(why: Why, id: MemberId) -> BarrierError {
    BarrierError::Broken { cause: BreakCause::from(why), by: Some(id) }
}

fn reset() -> BarrierError {
    BarrierError::Broken { cause: BreakCause::Reset, by: None }
}

/// One who has arrived, and leaves when this is dropped.
struct Inside<'c, 'a> {
    caller: &'c Caller<'a>,
    arrival: Arrival,
    /// Whether the action is running: a panic then breaks the generation.
    acts: Cell<bool>,
}

impl Inside<'_, '_> {
    fn leave(self) -> Result<(), BarrierError> {
        let left = self.left();
        core::mem::forget(self);
        left
    }

    fn left(&self) -> Result<(), BarrierError> {
        let Caller { barrier, row, process, me, .. } = self.caller;
        if !me.is_of(*process) || !barrier.leave(row, self.arrival) {
            return Err(BarrierError::NotParticipant);
        }
        barrier.room().notify_all();
        Ok(())
    }
}

impl Drop for Inside<'_, '_> {
    fn drop(&mut self) {
        let Caller { barrier, process, me, .. } = self.caller;
        if self.acts.get() && me.is_of(*process) && barrier.fail(self.arrival) {
            self.caller.tell_all();
        }
        // The error or panic under way tells more than this could.
        let _ = self.left();
    }
}
