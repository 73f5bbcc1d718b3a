//! What a lock answers when it cannot simply be had.

use core::fmt;

/// Why [`Lock::lock`](crate::Lock::lock) did not simply succeed.
///
/// In `OwnerDied` and `Poisoned` the caller *holds the lock*: the guard is inside. The news is told
/// once; whoever locks next sees `Ok`. Passing the error on with `?` drops the guard, which unlocks.
///
/// The guard borrows its lock, so this error does not fit into `Box<dyn Error>` or `anyhow::Error`.
/// [`LockFailure`] does: `lock.lock().map_err(LockFailure::from)?`.
pub enum LockError<G> {
    /// The last owner died while it held the lock. What it was changing may be half changed.
    OwnerDied(G),
    /// The last owner panicked while it held the lock. What it was changing may be half changed.
    Poisoned(G),
    /// This thread holds the lock already, or leaked its guard, and would wait for itself.
    Deadlock,
    /// The lock's word is none that a lock stores: somebody wrote over it.
    Corrupt,
}

/// Why a lock could not be had at once, or in time, or not simply.
///
/// As [`LockError`], with the two ways in which a lock can stay somebody else's.
pub enum TryLockError<G> {
    /// As [`LockError::OwnerDied`]: the caller holds the lock.
    OwnerDied(G),
    /// As [`LockError::Poisoned`]: the caller holds the lock.
    Poisoned(G),
    /// As [`LockError::Deadlock`].
    Deadlock,
    /// As [`LockError::Corrupt`].
    Corrupt,
    /// Another thread holds the lock.
    WouldBlock,
    /// The lock was not free before the deadline.
    Timeout,
}

/// Why a lock could not be had, without a guard: it fits into every error type.
///
/// Made from [`LockError`] and [`TryLockError`], which releases the lock if their guard held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LockFailure {
    /// The last owner died while it held the lock.
    #[error(
        "the last owner of the lock died while it held it: what the lock guards may be half changed"
    )]
    OwnerDied,
    /// The last owner panicked while it held the lock.
    #[error(
        "the last owner of the lock panicked while it held it: what the lock guards may be half changed"
    )]
    Poisoned,
    /// This thread holds the lock already.
    #[error("this thread holds the lock already and would wait for itself; drop its guard first")]
    Deadlock,
    /// The lock's word is none that a lock stores.
    #[error("the lock's word is none that a lock stores: somebody wrote over the shared memory")]
    Corrupt,
    /// Another thread holds the lock.
    #[error("the lock is held by another thread")]
    WouldBlock,
    /// The lock was not free before the deadline.
    #[error("the lock was not free before the deadline")]
    Timeout,
}

/// A lock was given back by one who did not hold it any more.
///
/// That cannot happen while the kernel tells the dead from the living and nobody writes over the
/// lock; then another process may have worked on the same data at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock was not held any more when it was released: it was taken over or written over")]
pub struct NotHeld;

impl<G> LockError<G> {
    /// The guard, if the caller holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Lock, LockError};
    ///
    /// let lock = Lock::new()?;
    /// let guard = match lock.lock() {
    ///     Ok(guard) => guard,
    ///     Err(error) => error.into_guard().expect("neither recursive nor overwritten"),
    /// };
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) | Self::Poisoned(guard) => Some(guard),
            Self::Deadlock | Self::Corrupt => None,
        }
    }

    /// The same without the guard.
    const fn failure(&self) -> LockFailure {
        match self {
            Self::OwnerDied(_) => LockFailure::OwnerDied,
            Self::Poisoned(_) => LockFailure::Poisoned,
            Self::Deadlock => LockFailure::Deadlock,
            Self::Corrupt => LockFailure::Corrupt,
        }
    }
}

impl<G> TryLockError<G> {
    /// The guard, if the caller holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::Lock;
    ///
    /// let lock = Lock::new()?;
    /// let guard = lock.try_lock().unwrap();
    /// assert!(lock.try_lock().unwrap_err().into_guard().is_none());
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) | Self::Poisoned(guard) => Some(guard),
            Self::Deadlock | Self::Corrupt | Self::WouldBlock | Self::Timeout => None,
        }
    }

    /// The same without the guard.
    const fn failure(&self) -> LockFailure {
        match self {
            Self::OwnerDied(_) => LockFailure::OwnerDied,
            Self::Poisoned(_) => LockFailure::Poisoned,
            Self::Deadlock => LockFailure::Deadlock,
            Self::Corrupt => LockFailure::Corrupt,
            Self::WouldBlock => LockFailure::WouldBlock,
            Self::Timeout => LockFailure::Timeout,
        }
    }
}

/// Going on after an owner that died or panicked.
pub trait Recover<G> {
    /// The guard, whatever became of the last owner: if it died or panicked, `repair` runs first.
    ///
    /// # Errors
    ///
    /// The failures in which there is no guard: [`LockFailure::Deadlock`], [`LockFailure::Corrupt`],
    /// and from the forms that do not wait for ever [`LockFailure::WouldBlock`] and
    /// [`LockFailure::Timeout`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Lock, LockFailure, Recover};
    ///
    /// let lock = Lock::new().unwrap();
    /// let guard = lock.lock().or_recover(|_guard| {
    ///     // Bring what the lock guards into order.
    /// })?;
    /// # drop(guard);
    /// # Ok::<(), LockFailure>(())
    /// ```
    fn or_recover(self, repair: impl FnOnce(&mut G)) -> Result<G, LockFailure>;
}

impl<G> Recover<G> for Result<G, LockError<G>> {
    fn or_recover(self, repair: impl FnOnce(&mut G)) -> Result<G, LockFailure> {
        self.or_else(|error| {
            let failure = error.failure();
            repaired(error.into_guard(), repair).ok_or(failure)
        })
    }
}

impl<G> Recover<G> for Result<G, TryLockError<G>> {
    fn or_recover(self, repair: impl FnOnce(&mut G)) -> Result<G, LockFailure> {
        self.or_else(|error| {
            let failure = error.failure();
            repaired(error.into_guard(), repair).ok_or(failure)
        })
    }
}

fn repaired<G>(guard: Option<G>, repair: impl FnOnce(&mut G)) -> Option<G> {
    guard.map(|mut guard| {
        repair(&mut guard);
        guard
    })
}

impl<G> From<LockError<G>> for LockFailure {
    fn from(error: LockError<G>) -> Self {
        error.failure()
    }
}

impl<G> From<TryLockError<G>> for LockFailure {
    fn from(error: TryLockError<G>) -> Self {
        error.failure()
    }
}

impl<G> std::error::Error for LockError<G> {}
impl<G> std::error::Error for TryLockError<G> {}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl<G> fmt::Display for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

/// The variant; the guard has nothing to show.
impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.failure(), f)
    }
}

/// The variant; the guard has nothing to show.
impl<G> fmt::Debug for TryLockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.failure(), f)
    }
}
