//! The locks of this crate behind the interface of the `lock_api` crate: for code that is generic
//! over it.

mod mutex;
mod rwlock;

pub use mutex::{Mutex, RawLock};
pub use rwlock::{RawRwLock, RwLock};

use crate::error::{LockFailure, Recover};

/// Holds on without a guard; `false` if the lock stays another's.
fn held<G>(result: impl Recover<G>) -> bool {
    match attempt(result) {
        Ok(()) => true,
        Err(LockFailure::WouldBlock | LockFailure::Timeout) => false,
        Err(failure) => panic!("{failure}"),
    }
}

/// As [`held`]; `false` also if the lock is the calling thread's already.
fn tried<G>(result: impl Recover<G>) -> bool {
    match attempt(result) {
        Ok(()) => true,
        Err(LockFailure::WouldBlock | LockFailure::Deadlock) => false,
        Err(failure) => panic!("{failure}"),
    }
}

fn attempt<G>(result: impl Recover<G>) -> Result<(), LockFailure> {
    result.or_recover(|_| ()).map(core::mem::forget)
}
