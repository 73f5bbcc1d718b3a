//! A lock with many readers or one writer.

#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
mod guard;
#[cfg(not(crossproc_loom))]
mod handle;
#[cfg(not(crossproc_loom))]
mod read;
#[cfg(not(crossproc_loom))]
mod row;
#[cfg(all(feature = "lock_api", not(crossproc_loom)))]
mod unguarded;
#[cfg(not(crossproc_loom))]
mod waitable;
#[cfg(not(crossproc_loom))]
mod write;

#[cfg(not(crossproc_loom))]
pub use guard::{ReadGuard, WriteGuard};
#[cfg(not(crossproc_loom))]
pub use handle::RwLock;
#[cfg(not(crossproc_loom))]
pub use waitable::{Readable, Writable};
