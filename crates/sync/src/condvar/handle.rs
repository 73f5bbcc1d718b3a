//! The handle to a condition variable.

use core::fmt;
use core::time::Duration;

use crossproc_segment::{Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::guard::CondvarGuard;
use super::raw;
use super::wait::{Wait, Waited};
use crate::error::LockError;
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 4 bytes.
unsafe impl Words for raw::Condvar {
    const SHAPE: Shape = Shape::untyped("condvar", 1);
}

/// A place to wait until another thread of any process has changed something under a lock.
///
/// It works as `std::sync::Condvar` does, with the guard of a [`Lock`](crate::Lock) or an
/// [`RLock`](crate::RLock): a wait releases the lock, sleeps until it is notified, and locks again.
/// What is waited for is up to the program, lies in shared memory, and is looked at and changed
/// with the lock held. Of an `RLock` all levels are released, and come back.
///
/// Waits also end when nobody notified (*spurious wakes*): so look at the condition again, or use
/// [`wait_while`](Self::wait_while), which does.
///
/// # Deaths
///
/// Nothing in it belongs to anybody, and a notification never waits for the woken, so nobody who is
/// killed holds anybody up. Whoever sleeps is woken within about 0.1 s after the kernel has let go
/// a process that died meanwhile, since that one may have changed something and not told, or
/// have been told in a sleeper's place. Who locks again after an owner that died or panicked gets the
/// news with the guard, as from `lock`.
///
/// # Which lock
///
/// Each wait uses the lock whose guard it is given. All who wait at a condition variable and all who
/// notify it should use the same one: only that makes sure that a notification finds whoever looked
/// before the change. With guards of different locks nothing breaks, but a waiter may sleep through
/// a notification by somebody who held another lock than its own.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
///
/// use crossproc_sync::{Condvar, Lock};
///
/// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
/// // In a program of several processes: in shared memory.
/// let ready = AtomicBool::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let _guard = lock.lock().unwrap();
///         ready.store(true, Relaxed);
///         condvar.notify_one();
///     });
///     let guard = lock.lock().unwrap();
///     let _guard = condvar.wait_while(guard, || !ready.load(Relaxed)).unwrap();
///     assert!(ready.load(Relaxed));
/// });
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone)]
pub struct Condvar {
    shared: Shared<raw::Condvar>,
}

impl Condvar {
    /// Makes a condition variable in the segment of the process tree.
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
    /// let condvar = crossproc_sync::Condvar::new()?;
    /// condvar.notify_all();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new() -> Result<Self> {
        Self::new_in(&Segment::tree()?)
    }

    /// Makes a condition variable without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Condvar;
    ///
    /// let condvar = Condvar::new_in(&Segment::anonymous(1 << 16)?)?;
    /// # condvar.notify_one();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment) -> Result<Self> {
        Ok(Self { shared: Shared::new_in(segment, 0, |_| {})? })
    }

    /// Makes the condition variable called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Condvar;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let condvar = Condvar::create(&segment, "changed")?;
    /// let same = Condvar::open(&segment, "changed")?;
    /// # same.notify_one();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::create(segment, name, 0, |_| {})? })
    }

    /// Opens the condition variable called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no condition variable, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::Condvar::open(&segment, "changed");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open(segment, name)? })
    }

    /// Opens the condition variable called `name` in `segment`, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Condvar::open`] and [`Condvar::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Condvar;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = Condvar::open_or_create(&segment, "changed")?;
    /// let second = Condvar::open_or_create(&segment, "changed")?;
    /// # second.notify_one();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open_or_create(segment, name, 0, |_| {})?.0 })
    }

    /// Releases the lock, waits for a notification, and locks again.
    ///
    /// Blocks until notified, until a process died that may have been to notify, and then for the
    /// lock; now and then it returns for nothing. In a forked child, whose parent holds the lock, it
    /// waits for the lock only.
    ///
    /// # Errors
    ///
    /// What [`Lock::lock`](crate::Lock::lock) has to tell when it locks again: `OwnerDied` and
    /// `Poisoned` with the guard, and `Corrupt`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// use crossproc_sync::{Condvar, Lock};
    ///
    /// let (lock, condvar, items) = (Lock::new()?, Condvar::new()?, AtomicU32::new(0));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let mut guard = lock.lock().unwrap();
    ///         while items.load(Relaxed) == 0 {
    ///             guard = condvar.wait(guard).unwrap();
    ///         }
    ///     });
    ///     let guard = lock.lock().unwrap();
    ///     items.store(1, Relaxed);
    ///     drop(guard);
    ///     condvar.notify_one();
    /// });
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait<G: CondvarGuard>(&self, guard: G) -> Result<G, LockError<G>> {
        self.released(guard, None).1
    }

    /// Waits as long as `condition` is true. It is looked at with the lock held, first of all
    /// before any wait.
    ///
    /// A panic of `condition` releases the lock and poisons it, as one between locking and unlocking
    /// does.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait`], at once: the condition may be true or false then.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Condvar, RLock};
    ///
    /// let (lock, condvar) = (RLock::new()?, Condvar::new()?);
    /// let guard = lock.lock().unwrap();
    /// let mut looks = 0;
    /// let _guard = condvar.wait_while(guard, || {
    ///     looks += 1;
    ///     false
    /// });
    /// assert_eq!(looks, 1);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait_while<G: CondvarGuard>(
        &self,
        mut guard: G,
        mut condition: impl FnMut() -> bool,
    ) -> Result<G, LockError<G>> {
        while condition() {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`Condvar::wait`], for at most `timeout`; tells whether that ran out.
    ///
    /// The lock is waited for after that, however long it takes.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Condvar, Lock, Waited};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let guard = lock.lock().unwrap();
    /// let (guard, waited) = condvar.wait_timeout(guard, Duration::from_millis(1)).unwrap();
    /// assert_eq!(waited, Waited::TimedOut);
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait_timeout<G: CondvarGuard>(
        &self,
        guard: G,
        timeout: Duration,
    ) -> Result<(G, Waited), LockError<(G, Waited)>> {
        self.wait_deadline(guard, Deadline::after(timeout))
    }

    /// As [`Condvar::wait`], until `deadline` at most; tells whether that passed.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Condvar, Deadline, Lock};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let deadline = Deadline::after(Duration::from_millis(1));
    /// let mut guard = lock.lock().unwrap();
    /// loop {
    ///     let (back, waited) = condvar.wait_deadline(guard, deadline).unwrap();
    ///     guard = back;
    ///     if waited.is_timed_out() {
    ///         break;
    ///     }
    /// }
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait_deadline<G: CondvarGuard>(
        &self,
        guard: G,
        deadline: Deadline,
    ) -> Result<(G, Waited), LockError<(G, Waited)>> {
        let (waited, locked) = self.released(guard, Some(deadline));
        match locked {
            Ok(guard) => Ok((guard, waited)),
            Err(LockError::OwnerDied(guard)) => Err(LockError::OwnerDied((guard, waited))),
            Err(LockError::Poisoned(guard)) => Err(LockError::Poisoned((guard, waited))),
            Err(LockError::Deadlock) => Err(LockError::Deadlock),
            Err(LockError::Corrupt) => Err(LockError::Corrupt),
        }
    }

    /// As [`Condvar::wait_while`], for at most `timeout`: `TimedOut` if `condition` is still true
    /// then.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait_while`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Condvar, Lock};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let guard = lock.lock().unwrap();
    /// let soon = Duration::from_millis(1);
    /// let (guard, waited) = condvar.wait_timeout_while(guard, soon, || true).unwrap();
    /// assert!(waited.is_timed_out());
    /// let (_guard, waited) = condvar.wait_timeout_while(guard, soon, || false).unwrap();
    /// assert!(!waited.is_timed_out());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait_timeout_while<G: CondvarGuard>(
        &self,
        guard: G,
        timeout: Duration,
        condition: impl FnMut() -> bool,
    ) -> Result<(G, Waited), LockError<(G, Waited)>> {
        self.wait_deadline_while(guard, Deadline::after(timeout), condition)
    }

    /// As [`Condvar::wait_while`], until `deadline` at most: `TimedOut` if `condition` is still true
    /// then.
    ///
    /// # Errors
    ///
    /// As [`Condvar::wait_while`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Condvar, Deadline, Lock, Waited};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let past = Deadline::from_nanos(1);
    /// let guard = lock.lock().unwrap();
    /// let (_guard, waited) = condvar.wait_deadline_while(guard, past, || true).unwrap();
    /// assert_eq!(waited, Waited::TimedOut);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn wait_deadline_while<G: CondvarGuard>(
        &self,
        mut guard: G,
        deadline: Deadline,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(G, Waited), LockError<(G, Waited)>> {
        let mut waited = Waited::Woken;
        while condition() {
            if waited.is_timed_out() {
                return Ok((guard, waited));
            }
            (guard, waited) = self.wait_deadline(guard, deadline)?;
        }
        Ok((guard, Waited::Woken))
    }

    /// Wakes one of those who wait.
    ///
    /// Never blocks, and does not wait for the woken: one load if nobody waits. To be called after
    /// the condition was changed, with the lock held or after it was released.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc_sync::Condvar::new()?.notify_one();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.raw().notify(1);
    }

    /// Wakes `count` of those who wait, or all if they are fewer.
    ///
    /// As [`Condvar::notify_one`] otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc_sync::Condvar::new()?.notify_n(3);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn notify_n(&self, count: usize) {
        self.raw().notify(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Wakes all who wait.
    ///
    /// As [`Condvar::notify_one`] otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// crossproc_sync::Condvar::new()?.notify_all();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn notify_all(&self) {
        self.raw().notify_all();
    }

    /// Waits once, with the lock released.
    fn released<G: CondvarGuard>(
        &self,
        guard: G,
        deadline: Option<Deadline>,
    ) -> (Waited, Result<G, LockError<G>>) {
        let wait = Wait::announce(self.raw(), self.segment());
        let (way, was_held) = guard.release();
        let waited = if was_held {
            wait.sleep(self.shared.spin(), deadline)
        } else {
            wait.cancel();
            Waited::Woken
        };
        (waited, G::lock_again(way))
    }

    /// The segment that the condition variable lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Condvar;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(Condvar::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    #[inline]
    fn raw(&self) -> &raw::Condvar {
        self.shared.words()
    }
}

impl fmt::Debug for Condvar {
    /// Shows whether somebody waits: a snapshot, in which the dead may count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar")
            .field("name", &self.shared.name())
            .field("has_waiters", &self.raw().count().has_waiters())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for Condvar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for Condvar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { shared: Shared::deserialize(deserializer)? })
    }
}
