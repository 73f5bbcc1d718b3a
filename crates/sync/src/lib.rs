#![doc = include_str!("../README.md")]

mod atomic;
#[doc(hidden)]
pub mod raw;

#[doc(hidden)]
pub mod barrier;
#[doc(hidden)]
pub mod condvar;
#[doc(hidden)]
pub mod event;
#[doc(hidden)]
pub mod once;
#[doc(hidden)]
pub mod rlock;
#[doc(hidden)]
pub mod rwlock;
#[doc(hidden)]
pub mod semaphore;

#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod acquire;
#[cfg(not(crossproc_loom))]
mod error;
#[cfg(not(crossproc_loom))]
mod guard;
#[cfg(not(crossproc_loom))]
mod lock;
#[cfg(all(feature = "lock_api", not(crossproc_loom)))]
pub mod lock_api;
#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod shared;

#[cfg(not(crossproc_loom))]
pub use barrier::{Barrier, BarrierError, BarrierWait, BreakCause};
#[cfg(not(crossproc_loom))]
pub use condvar::{Condvar, CondvarGuard, Waited};
#[cfg(not(crossproc_loom))]
pub use crossproc_sys::clock::Deadline;
#[cfg(not(crossproc_loom))]
pub use error::{LockError, LockFailure, NotHeld, Recover, TryLockError};
#[cfg(not(crossproc_loom))]
pub use event::Event;
#[cfg(not(crossproc_loom))]
pub use guard::LockGuard;
#[cfg(not(crossproc_loom))]
pub use lock::Lock;
#[cfg(not(crossproc_loom))]
pub use once::{Once, OnceError, OnceState, OnceTryError};
#[cfg(not(crossproc_loom))]
pub use rlock::{RLock, RLockGuard};
#[cfg(not(crossproc_loom))]
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
#[cfg(not(crossproc_loom))]
pub use semaphore::{
    BoundedSemaphore, Permit, ReleaseError, Semaphore, SemaphoreError, TryAcquireError,
};
