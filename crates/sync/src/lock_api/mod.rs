//! The locks of this crate behind the interface of the `lock_api` crate: for code that is generic
//! over it.

mod mutex;
mod rwlock;

pub use mutex::{Mutex, RawLock};
pub use rwlock::{RawRwLock, RwLock};

use crate::error::{LockFailure, Recover};

/// Holds on without a guard; `false` if the lock stays another's.
fn held<G>(result: impl Recover<G>) -> bool {
    match result.or_recover(|_| ()) {
        Ok(guard) => {
            core::mem::forget(guard);
            true
        }
        Err(LockFailure::WouldBlock | LockFailure::Timeout) => false,
        Err(failure) => panic!("{failure}"),
    }
}
