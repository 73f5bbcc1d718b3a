//! Semaphores: permits that come back when their holder dies.
//!
//! | file | what it holds |
//! |---|---|
//! | `raw` | the protocol, in shared memory |
//! | `core` | acquiring and giving back, for both handles: who waits, who wakes, who repairs |
//! | `handle` | `Semaphore` |
//! | `bounded` | `BoundedSemaphore` |
//! | `permit` | the guard |
//! | `error` | what they answer |

#[cfg(not(crossproc_loom))]
mod bounded;
#[cfg(not(crossproc_loom))]
mod core;
#[cfg(not(crossproc_loom))]
mod error;
#[cfg(not(crossproc_loom))]
mod handle;
#[cfg(not(crossproc_loom))]
mod permit;
#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
pub use bounded::BoundedSemaphore;
#[cfg(not(crossproc_loom))]
pub use error::{ReleaseError, SemaphoreError, TryAcquireError};
#[cfg(not(crossproc_loom))]
pub use handle::Semaphore;
#[cfg(not(crossproc_loom))]
pub use permit::Permit;
