//! What a once answers when it is not done.

/// Why something that is to be done once is not, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The last runner died in the middle, and what it did may be half done.
    #[error(
        "the process that ran it died in the middle: what it did may be half done; call_once_force() runs it again"
    )]
    RunnerDied,
    /// The last runner panicked, and what it did may be half done.
    #[error(
        "whoever ran it panicked in the middle: what it did may be half done; call_once_force() runs it again"
    )]
    Poisoned,
    /// This thread is running it right now, and would wait for itself.
    #[error("this thread is running it and would wait for itself; do not call it from within")]
    Deadlock,
    /// It ran, but by the end the run was not this process's any more: the process was forked from
    /// the runner meanwhile, or taken for dead.
    #[error("it ran, but the run was not this process's to end: another runs it, or has run it")]
    NotRunner,
    /// Nobody had done it before the deadline.
    #[error("it was not done before the deadline")]
    Timeout,
    /// The word is none that a once stores.
    #[error("its word is none that a once stores: somebody wrote over the shared memory")]
    Corrupt,
}

/// Why something fallible that is to be done once is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OnceTryError<E> {
    /// The function ran and failed; the next caller runs its own.
    #[error(transparent)]
    Failed(E),
    /// The function did not run, or its run did not count.
    #[error(transparent)]
    Once(#[from] OnceError),
}
