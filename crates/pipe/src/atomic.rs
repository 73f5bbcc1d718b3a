//! The atomics of this crate: the real ones, or the model checker's.

#[cfg(crossproc_loom)]
#[path = "atomic_loom.rs"]
mod model;

#[cfg(not(crossproc_loom))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(crossproc_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(crossproc_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};
#[cfg(crossproc_loom)]
pub use model::AtomicU64;
