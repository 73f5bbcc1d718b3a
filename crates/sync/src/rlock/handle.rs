//! The handle to a lock that its owner may lock again.

use core::fmt;
use core::time::Duration;

use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_segment::{Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::guard::RLockGuard;
use super::raw::{self, Levels};
use crate::acquire;
use crate::error::{LockError, LockFailure, TryLockError};
use crate::raw::{Holder, News};
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 8 bytes.
unsafe impl Words for raw::RLock {
    const SHAPE: Shape = Shape::untyped("rlock", 1);
}

/// A [`Lock`](crate::Lock) that the thread which holds it may lock again.
///
/// The owner is a thread of a process. Each `lock` of it succeeds at once and gives one more guard;
/// the lock is released when all guards are gone. Nobody can release what another holds: only a
/// guard does.
///
/// Everything else is as with [`Lock`](crate::Lock): when the owner is killed, at whatever depth, the
/// next owner is told once and begins at depth 1. An owner that is merely stopped keeps the lock.
///
/// # Examples
///
/// ```
/// use crossproc_sync::{LockFailure, RLock};
///
/// fn deposit(account: &RLock) -> Result<(), LockFailure> {
///     let _guard = account.lock()?;
///     // ..
///     Ok(())
/// }
///
/// let account = RLock::new().unwrap();
/// let _guard = account.lock().unwrap();
/// // With the lock in hand, call what locks it too.
/// deposit(&account)?;
/// # Ok::<(), LockFailure>(())
/// ```
#[derive(Clone)]
pub struct RLock {
    pub(super) shared: Shared<raw::RLock>,
}

impl RLock {
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
    /// let lock = crossproc_sync::RLock::new()?;
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
    /// use crossproc_sync::RLock;
    ///
    /// let lock = RLock::new_in(&Segment::anonymous(1 << 16)?)?;
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
    /// use crossproc_sync::RLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let lock = RLock::create(&segment, "door")?;
    /// let same = RLock::open(&segment, "door")?;
    /// let _guard = lock.lock().unwrap();
    /// assert_eq!(same.depth(), 1);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::create(segment, name, 0, |_| {})? })
    }

    /// Opens the lock called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no such lock, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::RLock::open(&segment, "door");
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
    /// As [`RLock::open`] and [`RLock::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = RLock::open_or_create(&segment, "door")?;
    /// let second = RLock::open_or_create(&segment, "door")?;
    /// let _guard = first.lock().unwrap();
    /// assert!(second.is_held_by_me());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open_or_create(segment, name, 0, |_| {})?.0 })
    }

    /// Acquires the lock, or one more level of it.
    ///
    /// Blocks while another thread of any process holds it; never if this one does. If the owner's
    /// process dies, the caller gets the lock, and the news.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], in which the caller holds the lock;
    /// [`LockError::Deadlock`] if this thread has it 2,147,483,647 times already, so that the count
    /// is full: guards were leaked; [`LockError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{LockError, RLock};
    ///
    /// let lock = RLock::new()?;
    /// let outer = match lock.lock() {
    ///     Ok(guard) => guard,
    ///     Err(LockError::OwnerDied(guard) | LockError::Poisoned(guard)) => {
    ///         // Bring what the lock guards into order.
    ///         guard
    ///     }
    ///     Err(error) => panic!("{error}"),
    /// };
    /// let inner = lock.lock().unwrap();
    /// assert_eq!(lock.depth(), 2);
    /// # drop((inner, outer));
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_>, LockError<RLockGuard<'_>>> {
        let me = self.me();
        match self.enter_or(me, || self.acquire(me, || None)) {
            Ok(News::Released) => Ok(RLockGuard::new(self, me)),
            Ok(News::Died) => Err(LockError::OwnerDied(RLockGuard::new(self, me))),
            Ok(News::Panicked) => Err(LockError::Poisoned(RLockGuard::new(self, me))),
            Err(LockFailure::Deadlock) => Err(LockError::Deadlock),
            // Without a deadline there is no other.
            Err(_) => Err(LockError::Corrupt),
        }
    }

    /// Acquires the lock, or one more level of it, if it is free, this thread's, or its owner dead.
    /// Never blocks.
    ///
    /// While another holds the lock, each call asks the kernel whether that process lives, in
    /// about 0.5 us.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or as [`RLock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{RLock, TryLockError};
    ///
    /// let lock = RLock::new()?;
    /// let guard = lock.try_lock().unwrap();
    /// assert!(lock.try_lock().is_ok());
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
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        let me = self.me();
        let claim = || acquire::try_acquire(self.raw().lock(), self.segment(), me);
        self.tried(me, self.enter_or(me, claim))
    }

    /// Acquires the lock, or one more level of it, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RLock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{RLock, TryLockError};
    ///
    /// let lock = RLock::new()?;
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
    ) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.lock_by(|| Deadline::after(timeout))
    }

    /// Acquires the lock, or one more level of it, waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RLock::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, RLock};
    ///
    /// let (lock, other) = (RLock::new()?, RLock::new()?);
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let both = (lock.lock_deadline(deadline), other.lock_deadline(deadline));
    /// assert!(both.0.is_ok() && both.1.is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn lock_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        self.lock_by(|| deadline)
    }

    /// How many levels of the lock the calling thread holds: 0 if it does not hold the lock.
    ///
    /// Exact, since nobody else can change it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RLock;
    ///
    /// let lock = RLock::new()?;
    /// let guards = (lock.lock(), lock.lock());
    /// assert_eq!(lock.depth(), 2);
    /// let other = lock.clone();
    /// assert_eq!(std::thread::spawn(move || other.depth()).join().unwrap(), 0);
    /// # drop(guards);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.raw().levels(self.me()).map_or(0, Levels::count)
    }

    /// Whether the calling thread holds the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RLock;
    ///
    /// let lock = RLock::new()?;
    /// assert!(!lock.is_held_by_me());
    /// let _guard = lock.lock().unwrap();
    /// assert!(lock.is_held_by_me());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn is_held_by_me(&self) -> bool {
        self.depth() != 0
    }

    /// The segment that the lock lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(RLock::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    #[inline]
    fn lock_by(
        &self,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        let me = self.me();
        self.tried(me, self.enter_or(me, || self.acquire(me, || Some(deadline()))))
    }

    #[inline]
    fn tried(
        &self,
        me: Holder,
        outcome: Result<News, LockFailure>,
    ) -> Result<RLockGuard<'_>, TryLockError<RLockGuard<'_>>> {
        match outcome {
            Ok(News::Released) => Ok(RLockGuard::new(self, me)),
            Ok(News::Died) => Err(TryLockError::OwnerDied(RLockGuard::new(self, me))),
            Ok(News::Panicked) => Err(TryLockError::Poisoned(RLockGuard::new(self, me))),
            Err(LockFailure::Deadlock) => Err(TryLockError::Deadlock),
            Err(LockFailure::WouldBlock) => Err(TryLockError::WouldBlock),
            Err(LockFailure::Timeout) => Err(TryLockError::Timeout),
            Err(_) => Err(TryLockError::Corrupt),
        }
    }

    #[inline]
    pub(super) fn me(&self) -> Holder {
        Holder::of(self.shared.me(), self.segment())
    }

    #[inline]
    pub(super) fn raw(&self) -> &raw::RLock {
        self.shared.words()
    }
}

/// Ready when the calling thread could lock it: it is free, its owner dead, or this thread itself. A
/// release wakes the waiter.
impl Waitable for RLock {
    fn is_ready(&self, look: Look) -> bool {
        acquire::is_ready(self.raw().lock(), self.segment(), self.shared.me(), look)
    }

    fn source(&self) -> Source<'_> {
        Source::Word(self.segment(), self.raw().lock().futex(), crate::raw::mark)
    }
}

impl Drop for RLock {
    /// As for [`Lock`](crate::Lock): a leaked guard keeps the segment until the process ends.
    fn drop(&mut self) {
        if acquire::is_held_here(self.raw().lock(), self.shared.me()) {
            self.shared.stay_if_last();
        }
    }
}

impl fmt::Debug for RLock {
    /// Shows by which member the lock is held and how deep, and whether somebody waits: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("name", &self.shared.name())
            .field("state", self.raw())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for RLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for RLock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { shared: Shared::deserialize(deserializer)? })
    }
}
