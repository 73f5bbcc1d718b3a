//! `RwLock` as the raw part of a `lock_api::RwLock`.

use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use lock_api::{GuardNoSend, RawRwLockRecursive, RawRwLockRecursiveTimed, RawRwLockTimed};

use super::{held, tried};
use crate::rwlock;

/// A [`RwLock`](rwlock::RwLock) of processes behind the interface of the `lock_api` crate.
///
/// As [`RawLock`](super::RawLock): [`from`](Self::from) puts a lock of any segment behind it, `INIT`
/// makes its own at first use, predecessors that died or panicked are passed over in silence, and
/// what cannot be passed over is a panic. A thread that reads may read again.
///
/// # Examples
///
/// ```
/// use crossproc_sync::RwLock as Shared;
/// use crossproc_sync::lock_api::{RawRwLock, RwLock};
///
/// let table = RwLock::from_raw(RawRwLock::from(Shared::new()?), vec![1, 2]);
/// assert_eq!(table.read().len(), 2);
/// table.write().push(3);
/// assert_eq!(*table.read(), [1, 2, 3]);
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Debug)]
pub struct RawRwLock {
    lock: OnceLock<rwlock::RwLock>,
}

/// A `lock_api::RwLock` over a [`RwLock`](rwlock::RwLock) of processes.
pub type RwLock<T> = ::lock_api::RwLock<RawRwLock, T>;

impl RawRwLock {
    fn get(&self) -> &rwlock::RwLock {
        self.lock.get_or_init(|| match rwlock::RwLock::new() {
            Ok(lock) => lock,
            Err(error) => panic!("no memory for a lock: {error}"),
        })
    }
}

impl From<rwlock::RwLock> for RawRwLock {
    fn from(lock: rwlock::RwLock) -> Self {
        Self { lock: OnceLock::from(lock) }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

// SAFETY: a `RwLock` excludes writers from all others, of all processes, until they leave.
unsafe impl ::lock_api::RawRwLock for RawRwLock {
    const INIT: Self = Self { lock: OnceLock::new() };

    type GuardMarker = GuardNoSend;

    fn lock_shared(&self) {
        held(self.get().read());
    }

    fn try_lock_shared(&self) -> bool {
        tried(self.get().try_read())
    }

    unsafe fn unlock_shared(&self) {
        // A forked child's copy of a guard finds the lock not its own.
        let _ = self.get().unlock_read();
    }

    fn lock_exclusive(&self) {
        held(self.get().write());
    }

    fn try_lock_exclusive(&self) -> bool {
        tried(self.get().try_write())
    }

    unsafe fn unlock_exclusive(&self) {
        // As above.
        let _ = self.get().unlock_write();
    }

    fn is_locked(&self) -> bool {
        self.get().occupied().1
    }

    fn is_locked_exclusive(&self) -> bool {
        self.get().occupied().0
    }
}

// SAFETY: as above.
unsafe impl RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        held(self.get().read_timeout(timeout))
    }

    fn try_lock_shared_until(&self, deadline: Instant) -> bool {
        self.try_lock_shared_for(left(deadline))
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        held(self.get().write_timeout(timeout))
    }

    fn try_lock_exclusive_until(&self, deadline: Instant) -> bool {
        self.try_lock_exclusive_for(left(deadline))
    }
}

// SAFETY: a thread that reads is let in again whoever waits.
unsafe impl RawRwLockRecursive for RawRwLock {
    fn lock_shared_recursive(&self) {
        held(self.get().read());
    }

    fn try_lock_shared_recursive(&self) -> bool {
        tried(self.get().try_read())
    }
}

// SAFETY: as above.
unsafe impl RawRwLockRecursiveTimed for RawRwLock {
    fn try_lock_shared_recursive_for(&self, timeout: Duration) -> bool {
        held(self.get().read_timeout(timeout))
    }

    fn try_lock_shared_recursive_until(&self, deadline: Instant) -> bool {
        self.try_lock_shared_recursive_for(left(deadline))
    }
}
