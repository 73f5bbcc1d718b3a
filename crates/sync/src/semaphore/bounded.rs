//! The handle to a bounded semaphore.

use core::fmt;
use core::time::Duration;

use crossproc_segment::wait::{Look, Source, Waitable};
use crossproc_segment::{Result, Segment};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::core::{Core, Patience};
use super::error::{NoPermit, ReleaseError, SemaphoreError, TryAcquireError};
use super::permit::Permit;
use super::raw;

/// A [`Semaphore`](crate::Semaphore) that never has more permits than it began with.
///
/// Whoever gives back what was not taken is told so with [`ReleaseError::AboveLimit`], and
/// nothing is added. All else is as for [`Semaphore`](crate::Semaphore): permits acquired as guards
/// come back when their process is killed, those that are [taken](Self::take) do not.
///
/// Permits that guards hold count as there, since they come back by themselves. So the release of a
/// permit that nobody took is told at once, also while others are inside, and never lets one more in.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_sync::{BoundedSemaphore, ReleaseError};
///
/// let slots = BoundedSemaphore::new(2)?;
/// slots.take()?;
/// slots.release(1)?;
/// let told = slots.release(1);
/// assert_eq!(told, Err(ReleaseError::AboveLimit { limit: 2, count: 2, added: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    core: Core<raw::Bounded>,
}

impl BoundedSemaphore {
    /// The most permits that a semaphore can be given.
    pub const MAX_PERMITS: u32 = raw::MAX_PERMITS;
    /// The most permits that can be out with guards at a time.
    pub const MAX_GUARDS: usize = raw::GUARDS;

    /// Makes a semaphore of `permits` permits in the segment of the process tree.
    ///
    /// It is reached by handing the handle on.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::tree`] and [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(1)?;
    /// assert!(semaphore.acquire().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new(permits: u32) -> Result<Self> {
        Self::new_in(&Segment::tree()?, permits)
    }

    /// Makes a semaphore of `permits` permits, without a name, in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// As [`BoundedSemaphore::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new_in(&Segment::anonymous(1 << 16)?, 1)?;
    /// # assert!(semaphore.acquire().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment, permits: u32) -> Result<Self> {
        Ok(Self { core: Core::new_in(segment, permits)? })
    }

    /// Makes the semaphore called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// As [`BoundedSemaphore::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::BoundedSemaphore;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let semaphore = BoundedSemaphore::create(&segment, "slots", 1)?;
    /// let same = BoundedSemaphore::open(&segment, "slots")?;
    /// let _permit = semaphore.acquire().unwrap();
    /// assert!(same.try_acquire().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str, permits: u32) -> Result<Self> {
        Ok(Self { core: Core::create(segment, name, permits)? })
    }

    /// Opens the semaphore called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no bounded semaphore, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::BoundedSemaphore::open(&segment, "slots");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { core: Core::open(segment, name)? })
    }

    /// Opens the semaphore called `name` in `segment`, or makes it. One that was there keeps its own
    /// count.
    ///
    /// # Errors
    ///
    /// As [`BoundedSemaphore::open`] and [`BoundedSemaphore::create`], without `NotFound` and `Exists`.
    ///
    /// # Panics
    ///
    /// As [`BoundedSemaphore::new`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::BoundedSemaphore;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = BoundedSemaphore::open_or_create(&segment, "slots", 3)?;
    /// let second = BoundedSemaphore::open_or_create(&segment, "slots", 8)?;
    /// assert_eq!(second.available(), 3);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str, permits: u32) -> Result<Self> {
        Ok(Self { core: Core::open_or_create(segment, name, permits)? })
    }

    /// Acquires a permit, as a guard.
    ///
    /// Blocks while there is none. If a process that holds one dies, its permit comes back, and a
    /// waiter gets it.
    ///
    /// # Errors
    ///
    /// [`SemaphoreError::TooManyGuards`], at once, if there is a permit but 1,000 guards are out;
    /// [`SemaphoreError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(1)?;
    /// let permit = semaphore.acquire()?;
    /// assert!(semaphore.is_locked());
    /// drop(permit);
    /// assert!(!semaphore.is_locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<Permit<'_>, SemaphoreError> {
        self.core.acquire(Patience::Endless).map_err(NoPermit::of_blocking)
    }

    /// Acquires a permit, as a guard, if there is one. Never blocks.
    ///
    /// Where there is none, a call asks at most once a millisecond whether those who hold permits
    /// live; one that asks takes a microsecond or so for each of them.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`], or as [`BoundedSemaphore::acquire`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{BoundedSemaphore, TryAcquireError};
    ///
    /// let semaphore = BoundedSemaphore::new(1)?;
    /// let permit = semaphore.try_acquire()?;
    /// assert!(matches!(semaphore.try_acquire(), Err(TryAcquireError::WouldBlock)));
    /// # drop(permit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.core.acquire(Patience::None).map_err(NoPermit::of_try)
    }

    /// Acquires a permit, as a guard, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Timeout`], or as [`BoundedSemaphore::acquire`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{BoundedSemaphore, TryAcquireError};
    ///
    /// let semaphore = BoundedSemaphore::new(1)?;
    /// let _permit = semaphore.acquire().unwrap();
    /// let late = semaphore.acquire_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(TryAcquireError::Timeout)));
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, TryAcquireError> {
        self.core.acquire(Patience::For(timeout)).map_err(NoPermit::of_timed)
    }

    /// Acquires a permit, as a guard, waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Timeout`], or as [`BoundedSemaphore::acquire`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, BoundedSemaphore};
    ///
    /// let (one, other) = (BoundedSemaphore::new(1)?, BoundedSemaphore::new(1)?);
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let both = (one.acquire_deadline(deadline)?, other.acquire_deadline(deadline)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn acquire_deadline(&self, deadline: Deadline) -> Result<Permit<'_>, TryAcquireError> {
        self.core.acquire(Patience::Until(deadline)).map_err(NoPermit::of_timed)
    }

    /// Takes a permit without a guard.
    ///
    /// Blocks while there is none. The permit does not come back by itself, not even if this process
    /// is killed: somebody has to [release](Self::release) one. A process that is killed in this
    /// call has taken one or has not.
    ///
    /// # Errors
    ///
    /// [`SemaphoreError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::BoundedSemaphore;
    ///
    /// let slots = BoundedSemaphore::new(1)?;
    /// slots.take()?;
    /// let there = slots.clone();
    /// let other = std::thread::spawn(move || there.release(1));
    /// slots.take()?;
    /// other.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn take(&self) -> Result<(), SemaphoreError> {
        self.core.take(Patience::Endless).map_err(NoPermit::of_blocking)
    }

    /// Takes a permit without a guard, if there is one. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::WouldBlock`], or as [`BoundedSemaphore::take`].
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(1)?;
    /// assert!(semaphore.try_take().is_ok());
    /// assert!(semaphore.try_take().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn try_take(&self) -> Result<(), TryAcquireError> {
        self.core.take(Patience::None).map_err(NoPermit::of_try)
    }

    /// Takes a permit without a guard, waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Timeout`], or as [`BoundedSemaphore::take`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(1)?;
    /// semaphore.take().unwrap();
    /// assert!(semaphore.take_timeout(Duration::from_millis(1)).is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn take_timeout(&self, timeout: Duration) -> Result<(), TryAcquireError> {
        self.core.take(Patience::For(timeout)).map_err(NoPermit::of_timed)
    }

    /// Takes a permit without a guard, waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Timeout`], or as [`BoundedSemaphore::take`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Deadline, BoundedSemaphore};
    ///
    /// let semaphore = BoundedSemaphore::new(1)?;
    /// assert!(semaphore.take_deadline(Deadline::now()).is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn take_deadline(&self, deadline: Deadline) -> Result<(), TryAcquireError> {
        self.core.take(Patience::Until(deadline)).map_err(NoPermit::of_timed)
    }

    /// Gives back `permits` permits that were taken without a guard, all at once, and wakes as many
    /// waiters. Never blocks.
    ///
    /// A process that is killed in this call has given back all of them or none; should it not have
    /// come to wake the waiters, they look by themselves.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::AboveLimit`] if there would be more than at the beginning, those that guards
    /// hold among them: none is given back;
    /// [`ReleaseError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(1)?;
    /// semaphore.take()?;
    /// assert!(semaphore.release(2).is_err());
    /// assert!(semaphore.release(1).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn release(&self, permits: u32) -> Result<(), ReleaseError> {
        self.core.release(permits)
    }

    /// The most permits that there can be: as many as it was made with.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc_sync::BoundedSemaphore::new(3)?.limit(), 3);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.core.limit()
    }

    /// The permits that could be had at this moment.
    ///
    /// Others may take them before the caller does. Those that a dead process held are counted as
    /// soon as somebody who needed one has got them back.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = crossproc_sync::BoundedSemaphore::new(2)?;
    /// let _permit = semaphore.acquire()?;
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn available(&self) -> u32 {
        self.core.available()
    }

    /// Whether there was no permit at this moment, so that [`acquire`](Self::acquire) would have
    /// blocked.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(crossproc_sync::BoundedSemaphore::new(0)?.is_locked());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.available() == 0
    }

    /// The segment that the semaphore lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::BoundedSemaphore;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(BoundedSemaphore::new_in(&segment, 1)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.core.segment()
    }
}

/// Ready when a permit is there. One that is given back, or comes back from the dead, wakes the waiter.
impl Waitable for BoundedSemaphore {
    fn is_ready(&self, look: Look) -> bool {
        self.core.is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        self.core.source()
    }
}

impl fmt::Debug for BoundedSemaphore {
    /// Shows how many permits there are, which members hold some, and whether somebody waits: a
    /// snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt("BoundedSemaphore", f)
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for BoundedSemaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.core.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for BoundedSemaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { core: Core::deserialize(deserializer)? })
    }
}
