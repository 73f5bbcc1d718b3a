//! One thread at a time, for what all threads of a process share of an end.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use crossproc_segment::wait::thread_token;
use parking_lot::{Mutex, MutexGuard};

use crate::patience::Patience;
use crate::raw::Bias;

/// After so many turns of one thread in a row the lock is made its own.
const ALONE: u32 = 64;

/// What one thread at a time has.
///
/// The thread that uses it alone gets in for a few plain stores; see [`Bias`].
pub(crate) struct Turn<S> {
    bias: Bias,
    /// Who had the last turns, and how many in a row.
    mutex: Mutex<(u32, u32)>,
    state: UnsafeCell<S>,
}

// SAFETY: the state is reached by one thread at a time, by the protocol of `Bias` and the mutex.
unsafe impl<S: Send> Sync for Turn<S> {}

/// The calling thread has its turn.
pub(crate) struct Held<'t, S> {
    turn: &'t Turn<S>,
    _mutex: MutexGuard<'t, (u32, u32)>,
}

impl<S> Turn<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { bias: Bias::new(), mutex: Mutex::new((0, 0)), state: UnsafeCell::new(state) }
    }

    /// Does `act` if the turn is the calling thread's own anyway. `act` must not block, nor run code
    /// of users.
    #[inline(always)]
    pub(crate) fn at_once<R>(&self, act: impl FnOnce(&mut S) -> R) -> Option<R> {
        let _entry = self.bias.enter(thread_token())?;
        // SAFETY: this thread is in, and others keep out until it leaves.
        let state = unsafe { &mut *self.state.get() };
        Some(act(state))
    }

    /// Waits for the turn; `None` if that takes longer than the patience.
    pub(crate) fn hold(&self, patience: Patience) -> Option<Held<'_, S>> {
        let mut mutex = match patience {
            Patience::None => self.mutex.try_lock()?,
            Patience::Endless => self.mutex.lock(),
            Patience::Until(deadline) => self.mutex.try_lock_for(deadline.remaining())?,
        };
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
        Some(Held { turn: self, _mutex: mutex })
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

impl<S> fmt::Debug for Held<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}
