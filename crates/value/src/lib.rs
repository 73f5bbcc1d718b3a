#![doc = include_str!("../README.md")]

mod atomic;
#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
mod access;
#[cfg(not(crossproc_loom))]
mod bytes;
#[cfg(not(crossproc_loom))]
mod guard;
#[cfg(not(crossproc_loom))]
mod held;
#[cfg(not(crossproc_loom))]
mod scalar;
#[cfg(not(crossproc_loom))]
mod value;
#[cfg(not(crossproc_loom))]
mod word;

#[cfg(not(crossproc_loom))]
pub use crossproc_message::pod::Stored;
#[cfg(not(crossproc_loom))]
pub use crossproc_sync::{Deadline, LockFailure};
#[cfg(not(crossproc_loom))]
pub use guard::ValueGuard;
#[cfg(not(crossproc_loom))]
pub use value::Value;
