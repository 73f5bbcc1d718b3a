//! The handle to a lock.

use core::fmt;
use core::time::Duration;

use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_segment::{Me, Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::acquire;
use crate::error::{LockError, LockFailure, TryLockError};
use crate::guard::LockGuard;
use crate::raw::{self, Holder, News};
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 8 bytes.
unsafe impl Words for raw::Lock {
    const SHAPE: Shape = Shape::untyped("lock", 1);
}

/// A lock between threads of any processes, that survives the death of its owner.
///
/// It works as `std::sync::Mutex<()>` does, and lies in shared memory. When a process is killed
/// while it holds the lock, the next owner gets [`LockError::OwnerDied`] with the guard inside, once,
/// and decides what to do about the data. An owner that is merely stopped keeps the lock.
///
/// A waiter notices the death of the owner within about 0.1 s after the kernel has let it go; the
/// kernel first tears down the dead process's memory, some 0.1 s for each GiB. An uncontended lock
/// and unlock is one compare-exchange each; nobody makes a system call unless somebody sleeps.
/// The lock is not fair: a running thread may be faster than one that was just woken.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_sync::Lock;
///
/// let lock = Lock::new()?;
/// {
///     let _guard = lock.lock().unwrap();
///     // Nobody else is here, in no process.
/// }
/// assert!(lock.try_lock().is_ok());
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone)]
pub struct Lock {
    shared: Shared<raw::Lock>,
}

impl Lock {
    /// Makes a lock in the segment of the process tree.
    ///
    /// It is reached by handing the handle on.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::tree`] and [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc_sync::Lock::new()?;
    /// assert!(lock.lock().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new() -> Result<Self> {
        Self::new_in(&Segment::tree()?)
    }

    /// Makes a lock without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Lock;
    ///
    /// let lock = Lock::new_in(&Segment::anonymous(1 << 16)?)?;
    /// # assert!(lock.lock().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment) -> Result<Self> {
        Ok(Self { shared: Shared::new_in(segment, 0, |_| {})? })
    }

    /// Makes the lock called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Lock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let lock = Lock::create(&segment, "door")?;
    /// let same = Lock::open(&segment, "door")?;
    /// let _guard = lock.lock().unwrap();
    /// assert!(same.try_lock().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::create(segment, name, 0, |_| {})? })
    }

    /// Opens the lock called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no lock, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::Lock::open(&segment, "door");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open(segment, name)? })
    }

    /// Opens the lock called `name` in `segment`, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Lock::open`] and [`Lock::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Lock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = Lock::open_or_create(&segment, "door")?;
    /// let second = Lock::open_or_create(&segment, "door")?;
    /// let _guard = first.lock().unwrap();
    /// assert!(second.try_lock().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open_or_create(segment, name, 0, |_| {})?.0 })
    }

    /// Acquires the lock.
    ///
    /// Blocks while another thread of any process holds it. If that process dies, the caller gets
    /// the lock, and the news.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], in which the caller holds the lock;
    /// [`LockError::Deadlock`] if this thread holds it already; [`LockError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Lock, LockError};
    ///
    /// let lock = Lock::new()?;
    /// let guard = match lock.lock() {
    ///     Ok(guard) => guard,
    ///     Err(LockError::OwnerDied(guard) | LockError::Poisoned(guard)) => {
    ///         // Bring what the lock guards into order.
    ///         guard
    ///     }
    ///     Err(error) => panic!("{error}"),
    /// };
    /// assert!(matches!(lock.lock(), Err(LockError::Deadlock)));
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> {
        let me = Holder::of(self.me(), self.segment());
        match acquire::acquire(self.raw(), self.segment(), self.shared.spin(), me, None) {
            Ok(News::Released) => Ok(LockGuard::new(self, me)),
            Ok(News::Died) => Err(LockError::OwnerDied(LockGuard::new(self, me))),
            Ok(News::Panicked) => Err(LockError::Poisoned(LockGuard::new(self, me))),
            Err(LockFailure::Deadlock) => Err(LockError::Deadlock),
            // Without a deadline there is no other.
            Err(_) => Err(LockError::Corrupt),
        }
    }

    /// Acquires the lock if it is free or its owner dead. Never blocks.
    ///
    /// While another holds the lock, each call asks the kernel whether that process lives, in
    /// about 0.5 us.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or as [`Lock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Lock, TryLockError};
    ///
    /// let lock = Lock::new()?;
    /// let guard = lock.try_lock().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        let me = Holder::of(self.me(), self.segment());
        self.tried(me, acquire::try_acquire(self.raw(), self.segment(), me))
    }

    /// Acquires the lock, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`Lock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Lock, TryLockError};
    ///
    /// let lock = Lock::new()?;
    /// let guard = lock.lock().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     let late = other.lock_timeout(Duration::from_millis(1));
    ///     assert!(matches!(late, Err(TryLockError::Timeout)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.lock_by(|| Deadline::after(timeout))
    }

    /// Acquires the lock, waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`Lock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, Lock};
    ///
    /// let (lock, other) = (Lock::new()?, Lock::new()?);
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let both = (lock.lock_deadline(deadline), other.lock_deadline(deadline));
    /// assert!(both.0.is_ok() && both.1.is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn lock_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        self.lock_by(|| deadline)
    }

    #[inline]
    fn lock_by(
        &self,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        let me = Holder::of(self.me(), self.segment());
        let (raw, segment, spin) = (self.raw(), self.segment(), self.shared.spin());
        self.tried(me, acquire::acquire_by(raw, segment, spin, me, || Some(deadline())))
    }

    #[inline]
    fn tried(
        &self,
        me: raw::Holder,
        outcome: Result<News, LockFailure>,
    ) -> Result<LockGuard<'_>, TryLockError<LockGuard<'_>>> {
        match outcome {
            Ok(News::Released) => Ok(LockGuard::new(self, me)),
            Ok(News::Died) => Err(TryLockError::OwnerDied(LockGuard::new(self, me))),
            Ok(News::Panicked) => Err(TryLockError::Poisoned(LockGuard::new(self, me))),
            Err(LockFailure::Deadlock) => Err(TryLockError::Deadlock),
            Err(LockFailure::WouldBlock) => Err(TryLockError::WouldBlock),
            Err(LockFailure::Timeout) => Err(TryLockError::Timeout),
            Err(_) => Err(TryLockError::Corrupt),
        }
    }

    /// The segment that the lock lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Lock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(Lock::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    #[inline]
    pub(crate) fn me(&self) -> Me {
        self.shared.me()
    }

    #[inline]
    pub(crate) fn raw(&self) -> &raw::Lock {
        self.shared.words()
    }
}

/// Ready when it is free or its owner dead; also where locking fails at once: held by this very
/// process's calling thread, or overwritten. A release wakes the waiter.
impl Waitable for Lock {
    fn is_ready(&self, look: Look) -> bool {
        acquire::is_ready(self.raw(), self.segment(), self.me(), look)
    }

    fn source(&self) -> Source<'_> {
        Source::Word(self.segment(), self.raw().futex(), raw::mark)
    }
}

impl Drop for Lock {
    /// With the last handle the segment may go, and with it this process's membership: to all others
    /// it would be dead. So if a leaked guard holds the lock, the segment stays until the process ends.
    fn drop(&mut self) {
        if acquire::is_held_here(self.raw(), self.me()) {
            self.shared.stay_if_last();
        }
    }
}

impl fmt::Debug for Lock {
    /// Shows whether the lock is free, by which member it is held, and whether somebody waits: a
    /// snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.shared.name())
            .field("state", &self.raw().word())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { shared: Shared::deserialize(deserializer)? })
    }
}
