//! One thread at a time, for what all threads of a process share of an end.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, fence};

use crossproc_segment::wait::{EventCount, thread_token};
use parking_lot::{Mutex, MutexGuard};

use crate::patience::Patience;
use crate::raw::{Bias, Entry, View};

/// After so many turns of one thread in a row the lock is made its own.
const ALONE: u32 = 64;

/// So often a thread that only looks tries again before it leaves it at that: others that only look
/// are quick.
const LOOKS: u32 = 16;

/// What one thread at a time has.
///
/// The thread that uses it alone gets in for a few plain stores; see [`Bias`].
///
/// A thread that sleeps on the eventcount and was woken may find the turn another's, and sleep again.
/// It notes that it missed a look, and whoever has the turn wakes it when the turn is over.
pub(crate) struct Turn<S> {
    bias: Bias,
    /// Who had the last turns, and how many in a row.
    mutex: Mutex<(u32, u32)>,
    missed: Missed,
    state: UnsafeCell<S>,
}

/// Whether a thread wanted to look while the turn was another's; and on what such threads sleep.
struct Missed {
    noted: AtomicBool,
    view: View,
    sleepers: fn(&View) -> &EventCount,
}

// SAFETY: the state is reached by one thread at a time, by the protocol of `Bias` and the mutex.
unsafe impl<S: Send> Sync for Turn<S> {}

/// The calling thread has its turn.
pub(crate) struct Held<'t, S> {
    turn: &'t Turn<S>,
    // Dropped in this order.
    _mutex: MutexGuard<'t, (u32, u32)>,
    _over: Over<'t>,
}

/// The calling thread has its turn, which is its own.
pub(crate) struct Own<'t, S> {
    turn: &'t Turn<S>,
    _entry: Entry<'t>,
}

/// Wakes those who missed a look, once the turn is over.
struct Over<'t>(&'t Missed);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        // ORDERING: with the fence in `Turn::look` and `Turn::is_free`: either that thread finds the turn
        // over, or its note is seen here.
        fence(SeqCst);
        if self.0.noted.load(Relaxed) {
            self.0.wake();
        }
    }
}

impl Missed {
    #[cold]
    fn wake(&self) {
        if self.noted.swap(false, Relaxed) {
            (self.sleepers)(&self.view).notify_all();
        }
    }
}

impl<S> Turn<S> {
    /// For threads that sleep on one of the eventcounts of `view`.
    pub(crate) fn new(state: S, view: View, sleepers: fn(&View) -> &EventCount) -> Self {
        Self {
            bias: Bias::new(),
            mutex: Mutex::new((0, 0)),
            missed: Missed { noted: AtomicBool::new(false), view, sleepers },
            state: UnsafeCell::new(state),
        }
    }

    /// The turn, if it is the calling thread's own anyway. Whoever has it must not block, nor run code
    /// of users.
    #[inline(always)]
    pub(crate) fn at_once(&self) -> Option<Own<'_, S>> {
        Some(Own { _entry: self.bias.enter(thread_token())?, turn: self })
    }

    /// Waits for the turn; `None` if that takes longer than the patience.
    pub(crate) fn hold(&self, patience: Patience) -> Option<Held<'_, S>> {
        let mutex = match patience {
            Patience::None => self.mutex.try_lock()?,
            Patience::Endless => self.mutex.lock(),
            Patience::Until(deadline) => self.mutex.try_lock_for(deadline.remaining())?,
        };
        self.begin(mutex)
    }

    /// As [`hold`](Self::hold) without patience, for a thread that will sleep if this gives `None`: it
    /// is woken when the turn is over.
    pub(crate) fn look(&self) -> Option<Held<'_, S>> {
        for _ in 0..LOOKS {
            if let Some(mutex) = self.mutex.try_lock() {
                return self.begin(mutex);
            }
            std::hint::spin_loop();
        }
        self.missed.noted.store(true, Relaxed);
        // ORDERING: see `Over`.
        fence(SeqCst);
        self.begin(self.mutex.try_lock()?)
    }

    /// Whether no thread has the turn for longer, as one that waits in it has. One that will sleep if
    /// this gives `false` is woken when the turn is over.
    ///
    /// It takes nothing: a thread whose own the turn is keeps it, and none is kept out meanwhile.
    pub(crate) fn is_free(&self) -> bool {
        for _ in 0..LOOKS {
            if !self.mutex.is_locked() {
                return true;
            }
            std::hint::spin_loop();
        }
        self.missed.noted.store(true, Relaxed);
        // ORDERING: see `Over`.
        fence(SeqCst);
        !self.mutex.is_locked()
    }

    fn begin<'t>(&'t self, mut mutex: MutexGuard<'t, (u32, u32)>) -> Option<Held<'t, S>> {
        let me = thread_token();
        if !self.bias.exclude_others(me) {
            // The kernel refuses what it allowed when the end was made: a filter was set since.
            return None;
        }
        let in_a_row = if mutex.0 == me { mutex.1.saturating_add(1) } else { 0 };
        let first = mutex.0 == 0;
        *mutex = (me, in_a_row);
        if first || in_a_row > ALONE {
            self.bias.make_own(me);
        }
        Some(Held { turn: self, _mutex: mutex, _over: Over(&self.missed) })
    }
}

impl<S> Deref for Own<'_, S> {
    type Target = S;

    #[inline(always)]
    fn deref(&self) -> &S {
        // SAFETY: this thread is in, and others keep out until it leaves.
        unsafe { &*self.turn.state.get() }
    }
}

impl<S> DerefMut for Own<'_, S> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: as above.
        unsafe { &mut *self.turn.state.get() }
    }
}

impl<S> Deref for Held<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        // SAFETY: the mutex is held and others were excluded; the own thread does not enter meanwhile.
        unsafe { &*self.turn.state.get() }
    }
}

impl<S> DerefMut for Held<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: as above.
        unsafe { &mut *self.turn.state.get() }
    }
}

impl<S> fmt::Debug for Turn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Own<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Held<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crossproc_segment::wait::Look;

    use super::Turn;
    use crate::hand::Taking;
    use crate::patience::Patience;

    #[test]
    fn who_missed_a_look_is_woken_when_the_turn_is_over() -> Result<(), crate::Error> {
        let (_tx, rx) = crate::Pipe::one_way::<u64>()?;
        let inlet = rx.inlet();
        let items = inlet.view.items();
        let turn = &inlet.turn;
        let looks: [fn(&Turn<Taking>) -> bool; 3] =
            [|_| true, |turn| turn.look().is_none(), |turn| !turn.is_free()];
        for (index, look) in looks.into_iter().enumerate() {
            let held = turn.hold(Patience::Endless);
            assert!(held.is_some());
            let _epoch = items.prepare();
            assert!(look(turn));
            drop(held);
            assert_eq!(items.has_waiters(), index == 0);
        }
        Ok(())
    }

    #[test]
    fn a_look_of_another_thread_leaves_the_turn_to_whose_own_it_is() -> Result<(), crate::Error> {
        use crossproc_segment::wait::Waitable as _;

        let (tx, rx) = crate::Pipe::one_way::<u64>()?;
        let (inlet, space) = (rx.inlet(), tx.space());
        drop((tx.outlet().turn.hold(Patience::None), inlet.turn.hold(Patience::None)));
        for sent in [false, true] {
            std::thread::scope(|scope| {
                let looked =
                    scope.spawn(|| (rx.is_ready(Look::Quick), space.is_ready(Look::Repair)));
                assert_eq!(looked.join().ok(), Some((sent, true)));
            });
            assert!(tx.outlet().turn.at_once().is_some() && inlet.turn.at_once().is_some());
            assert!(sent || tx.send(&1).is_ok());
        }
        Ok(())
    }

    #[test]
    fn a_message_whose_turn_is_anothers_is_not_there_for_a_look() -> Result<(), crate::Error> {
        use crossproc_segment::wait::Waitable as _;

        let (tx, rx) = crate::Pipe::one_way::<u64>()?;
        assert!(tx.send(&1).is_ok());
        let (inlet, space) = (rx.inlet(), tx.space());
        let held = (tx.outlet().turn.hold(Patience::None), inlet.turn.hold(Patience::None));
        assert!(!rx.is_ready(Look::Quick) && !space.is_ready(Look::Quick));
        drop(held);
        assert!(rx.is_ready(Look::Quick) && space.is_ready(Look::Quick));
        Ok(())
    }
}
