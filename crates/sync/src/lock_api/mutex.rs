//! `Lock` as the raw part of a `lock_api::Mutex`.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use lock_api::{GuardNoSend, RawMutex, RawMutexTimed};

use super::{held, tried};
use crate::acquire;
use crate::lock::Lock;
use crate::raw::Holder;

/// A [`Lock`] behind the interface of the `lock_api` crate.
///
/// [`RawLock::from`] puts a lock of any segment behind it, for `lock_api::Mutex::from_raw`. Made as
/// `INIT` (`lock_api::Mutex::new`) it makes itself a lock in the segment of the process tree when
/// it is first used.
///
/// That interface knows no errors. A predecessor that died or panicked is passed over in silence,
/// as with `parking_lot`: whoever must know uses [`Lock`]. What it cannot pass over is a panic: a
/// thread that locks twice, an overwritten word, no memory for a lock.
///
/// # Examples
///
/// ```
/// use crossproc_sync::Lock;
/// use crossproc_sync::lock_api::{Mutex, RawLock};
///
/// let door = Lock::new()?;
/// let log = Mutex::from_raw(RawLock::from(door.clone()), Vec::new());
/// log.lock().push("only one process at a time gets here");
/// {
///     let _held = log.lock();
///     let elsewhere = std::thread::spawn(move || door.try_lock().is_err());
///     assert!(elsewhere.join().unwrap());
/// }
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Debug)]
pub struct RawLock {
    lock: OnceLock<Lock>,
}

/// A `lock_api::Mutex` over a [`Lock`].
pub type Mutex<T> = ::lock_api::Mutex<RawLock, T>;

impl RawLock {
    fn get(&self) -> &Lock {
        self.lock.get_or_init(|| match Lock::new() {
            Ok(lock) => lock,
            Err(error) => panic!("no memory for a lock: {error}"),
        })
    }
}

impl From<Lock> for RawLock {
    fn from(lock: Lock) -> Self {
        Self { lock: OnceLock::from(lock) }
    }
}

// SAFETY: a `Lock` excludes all other threads of all processes from when it is acquired until it is
// released.
unsafe impl RawMutex for RawLock {
    const INIT: Self = Self { lock: OnceLock::new() };

    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        held(self.get().lock());
    }

    fn try_lock(&self) -> bool {
        tried(self.get().try_lock())
    }

    unsafe fn unlock(&self) {
        let lock = self.get();
        // Not so in a forked child, whose copy of a guard must leave the parent's lock alone.
        if acquire::is_held_here(lock.raw(), lock.me()) {
            let _ = acquire::release(lock.raw(), Holder::of(lock.me(), lock.segment()), false);
        }
    }

    fn is_locked(&self) -> bool {
        self.get().raw().word().owner().is_some()
    }
}

// SAFETY: as above.
unsafe impl RawMutexTimed for RawLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> bool {
        held(self.get().lock_timeout(timeout))
    }

    fn try_lock_until(&self, deadline: Instant) -> bool {
        self.try_lock_for(deadline.saturating_duration_since(Instant::now()))
    }
}
