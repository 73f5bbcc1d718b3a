//! The atomics of this crate's `raw` modules: the real ones, or the model checker's.

#[cfg(all(crossproc_loom, crossproc_loom_deep))]
pub(crate) use crate::model::{AtomicU32, AtomicU64};
#[cfg(not(crossproc_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(all(crossproc_loom, not(crossproc_loom_deep)))]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(crossproc_loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};
