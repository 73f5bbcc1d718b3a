//! A barrier: processes that wait for each other.

#[cfg(not(crossproc_loom))]
mod error;
#[cfg(not(crossproc_loom))]
mod handle;
#[cfg(not(crossproc_loom))]
mod handles;
#[doc(hidden)]
pub mod raw;
#[cfg(not(crossproc_loom))]
mod wait;

#[cfg(not(crossproc_loom))]
pub use error::{BarrierError, BreakCause};
#[cfg(not(crossproc_loom))]
pub use handle::Barrier;
#[cfg(not(crossproc_loom))]
pub use wait::BarrierWait;
