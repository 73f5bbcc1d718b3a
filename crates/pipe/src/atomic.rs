//! The atomics of this crate: the real ones, or the model checker's.

#[cfg(not(crossproc_loom))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(crossproc_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering, fence};
#[cfg(crossproc_loom)]
pub use crossproc_segment::model::AtomicU64;
#[cfg(crossproc_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};
