//! A lock that its owner may lock again.

#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
mod guard;
#[cfg(not(crossproc_loom))]
mod handle;
#[cfg(not(crossproc_loom))]
mod levels;

#[cfg(not(crossproc_loom))]
pub use guard::RLockGuard;
#[cfg(not(crossproc_loom))]
pub use handle::RLock;
