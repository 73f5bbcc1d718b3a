//! What a semaphore answers when a permit cannot be had or given back.

use super::raw::{GUARDS, Refused, Unadded, Unreleased};

/// Why a permit could not be acquired, though there was time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SemaphoreError {
    /// 1,000 permits of the semaphore are out with guards of living processes: it can name no more
    /// holders. Permits that are taken without a guard have no such limit.
    #[error(
        "{GUARDS} permits of the semaphore are held by guards, and it can name no more holders: \
         take further ones without a guard"
    )]
    TooManyGuards,
    /// The semaphore's words are none that a semaphore stores: somebody wrote over it.
    #[error("the semaphore's words are none that it stores: somebody wrote over the shared memory")]
    Corrupt,
}

/// Why a permit could not be acquired at once, or in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// There is no permit now.
    #[error("the semaphore has no permit now")]
    WouldBlock,
    /// There was no permit before the deadline.
    #[error("the semaphore had no permit before the deadline")]
    Timeout,
    /// As [`SemaphoreError::TooManyGuards`].
    #[error(transparent)]
    Failed(#[from] SemaphoreError),
}

/// Why permits were not given back or added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There would be more permits than the semaphore may have. Nothing was added.
    #[error(
        "{added} permits more than the {count} that the semaphore has would exceed its limit \
         of {limit}: somebody releases what was not taken"
    )]
    AboveLimit {
        /// The most permits that it may have.
        limit: u32,
        /// The permits that it had; those of a bounded semaphore that guards hold are among them.
        count: u32,
        /// The permits that were to be added.
        added: u32,
    },
    /// The permit was not out any more, or is not this process's but its parent's.
    #[error(
        "the permit was not held any more when it was released: it was given back for a process \
         that was taken for dead, or it is the one of the parent process, or it was written over"
    )]
    NotHeld,
    /// The semaphore's words are none that a semaphore stores: somebody wrote over it.
    #[error("the semaphore's words are none that it stores: somebody wrote over the shared memory")]
    Corrupt,
}

/// Why there is no permit, as [`Core`](super::core::Core) tells it to every form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPermit {
    Empty,
    Failed(SemaphoreError),
}

impl NoPermit {
    /// For a form that waits for ever, and so is never told that there is none.
    pub(super) fn of_blocking(self) -> SemaphoreError {
        match self {
            Self::Failed(error) => error,
            Self::Empty => SemaphoreError::Corrupt,
        }
    }

    pub(super) fn of_try(self) -> TryAcquireError {
        match self {
            Self::Failed(error) => error.into(),
            Self::Empty => TryAcquireError::WouldBlock,
        }
    }

    pub(super) fn of_timed(self) -> TryAcquireError {
        match self {
            Self::Failed(error) => error.into(),
            Self::Empty => TryAcquireError::Timeout,
        }
    }
}

impl From<Refused> for NoPermit {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Empty => Self::Empty,
            Refused::NoEntry => Self::Failed(SemaphoreError::TooManyGuards),
            Refused::Corrupt => Self::Failed(SemaphoreError::Corrupt),
        }
    }
}

impl From<Unreleased> for ReleaseError {
    fn from(unreleased: Unreleased) -> Self {
        match unreleased {
            Unreleased::NotHeld => Self::NotHeld,
            Unreleased::Corrupt => Self::Corrupt,
        }
    }
}

impl ReleaseError {
    pub(super) fn unadded(unadded: Unadded, limit: u32, added: u32) -> Self {
        match unadded {
            Unadded::Above(count) => Self::AboveLimit { limit, count, added },
            Unadded::Corrupt => Self::Corrupt,
        }
    }
}
