//! The locks of this crate behind the interface of the `lock_api` crate: for code that is generic
//! over it.

mod mutex;

pub use mutex::{Mutex, RawLock};
