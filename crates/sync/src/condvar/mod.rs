//! A condition variable, beside a lock.

#[cfg(not(crossproc_loom))]
mod guard;
#[cfg(not(crossproc_loom))]
mod handle;
#[doc(hidden)]
pub mod raw;
#[cfg(not(crossproc_loom))]
mod wait;

#[cfg(not(crossproc_loom))]
pub use guard::CondvarGuard;
#[cfg(not(crossproc_loom))]
pub use handle::Condvar;
#[cfg(not(crossproc_loom))]
pub use wait::Waited;
