//! An event: a flag that processes wait for.

#[cfg(not(crossproc_loom))]
mod handle;
#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
pub use handle::Event;
