//! The atomics of this crate: the real ones, or the model checker's.

#[cfg(not(crossproc_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(all(crossproc_loom, crossproc_loom_deep))]
pub(crate) use crossproc_segment::model::{AtomicU32, AtomicU64};
#[cfg(all(crossproc_loom, not(crossproc_loom_deep)))]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(crossproc_loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};
