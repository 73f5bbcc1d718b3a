//! The handle to a lock with many readers or one writer.

use core::fmt;
use core::time::Duration;

use crossproc_segment::{Error, Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::guard::{ReadGuard, WriteGuard};
use super::raw::{self, Place};
use super::read::Patience;
use super::row::Row;
use crate::error::{LockError, LockFailure, TryLockError};
use crate::raw::{Holder, News};
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 64 bytes.
unsafe impl Words for raw::RwLock {
    const SHAPE: Shape = Shape::untyped("rwlock", 1);
}

// SAFETY: atomics only, aligned to 64 bytes.
unsafe impl Words for Place {
    const SHAPE: Shape = Shape::untyped("rwlock place", 1);
}

/// A lock that many read at once or one writes, between threads of any processes, that survives the
/// death of each of them.
///
/// It works as `std::sync::RwLock<()>` does, and lies in shared memory.
///
/// - **A reader is killed**: nobody is told, since it changed nothing. A writer that waits for it
///   goes on within about 0.1 s after the kernel has let it go.
/// - **A writer is killed**: readers get [`LockError::OwnerDied`] with the guard inside, each of them,
///   until the next writer, which gets it last and decides what to do about the data. A panicking
///   writer is told in the same way, by `Poisoned`.
/// - **Neither side starves**: a writer keeps new readers out as soon as it waits, and lets in those
///   that have asked as it leaves. Among each other writers are not fair, as in [`Lock`](crate::Lock).
/// - **A thread that reads may read again**, also while a writer waits: it does not wait for that
///   one. If it wants to write, it gets `Deadlock`; so does the writer's thread in both cases.
///
/// Each reader has a *place*; how many there are is said when the lock is made, 16 without a word. One
/// more reader waits for a place, as do those that wait for a writer and so have places. Readers that
/// all have to be in at once need as many. A place is 64 bytes: readers on several cores do not
/// disturb each other, and a writer looks at each place.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_sync::RwLock;
///
/// let lock = RwLock::new()?;
/// {
///     let _one = lock.read().unwrap();
///     // Others may be reading, in any process. Nobody is writing.
/// }
/// let _all = lock.write().unwrap();
/// // Nobody else is here, in no process.
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone)]
pub struct RwLock {
    pub(super) shared: Shared<raw::RwLock>,
    row: Row,
}

impl RwLock {
    /// How many readers have room in a lock that is made without saying.
    pub const READERS: usize = 16;

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
    /// let lock = crossproc_sync::RwLock::new()?;
    /// assert!(lock.read().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new() -> Result<Self> {
        Self::with_readers(Self::READERS)
    }

    /// Makes a lock with room for that many readers in the segment of the process tree.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::tree`] and [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `readers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = crossproc_sync::RwLock::with_readers(100)?;
    /// assert_eq!(lock.readers(), 100);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn with_readers(readers: usize) -> Result<Self> {
        Self::with_readers_in(&Segment::tree()?, readers)
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
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::new_in(&Segment::anonymous(1 << 16)?)?;
    /// # assert!(lock.read().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment) -> Result<Self> {
        Self::with_readers_in(segment, Self::READERS)
    }

    /// Makes a lock with room for that many readers, without a name, in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `readers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RwLock;
    ///
    /// let lock = RwLock::with_readers_in(&Segment::anonymous(1 << 16)?, 3)?;
    /// assert_eq!(lock.readers(), 3);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn with_readers_in(segment: &Segment, readers: usize) -> Result<Self> {
        Self::over(Shared::new_in(segment, row_bytes(readers), |_| {})?)
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
    /// use crossproc_sync::RwLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let lock = RwLock::create(&segment, "table")?;
    /// let same = RwLock::open(&segment, "table")?;
    /// let _guard = lock.write().unwrap();
    /// assert!(same.try_read().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Self::create_with_readers(segment, name, Self::READERS)
    }

    /// Makes the lock called `name` in `segment`, with room for that many readers.
    ///
    /// # Errors
    ///
    /// As [`RwLock::create`].
    ///
    /// # Panics
    ///
    /// If `readers` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RwLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let lock = RwLock::create_with_readers(&segment, "table", 40)?;
    /// assert_eq!(RwLock::open(&segment, "table")?.readers(), 40);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create_with_readers(segment: &Segment, name: &str, readers: usize) -> Result<Self> {
        Self::over(Shared::create(segment, name, row_bytes(readers), |_| {})?)
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
    /// let none = crossproc_sync::RwLock::open(&segment, "table");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::over(Shared::open(segment, name)?)
    }

    /// Opens the lock called `name` in `segment`, with whatever room it has, or makes it.
    ///
    /// # Errors
    ///
    /// As [`RwLock::open`] and [`RwLock::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RwLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = RwLock::open_or_create(&segment, "table")?;
    /// let second = RwLock::open_or_create(&segment, "table")?;
    /// let _guard = first.write().unwrap();
    /// assert!(second.try_read().is_err());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Self::over(Shared::open_or_create(segment, name, row_bytes(Self::READERS), |_| {})?.0)
    }

    /// Without a place, every reader would wait for ever.
    fn over(shared: Shared<raw::RwLock>) -> Result<Self> {
        // SAFETY: the two go together.
        let row = unsafe { Row::of(&shared) };
        if row.places().is_empty() {
            let what = shared.name().unwrap_or("the object of a received handle").to_owned();
            return Err(Error::Corrupt { what, why: "it has no room for a reader" });
        }
        Ok(Self { shared, row })
    }

    /// How many readers have room.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::RwLock;
    ///
    /// assert_eq!(RwLock::new()?.readers(), RwLock::READERS);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn readers(&self) -> usize {
        self.row().len()
    }

    /// Reads: until the guard is dropped there is no writer.
    ///
    /// Blocks while a thread of any process writes or waits to write, and while all places are
    /// taken. Never if this thread reads already. If the writer's process dies, the caller reads,
    /// and is told.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], in which the caller reads;
    /// [`LockError::Deadlock`] if this thread is the writer; [`LockError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{LockError, RwLock};
    ///
    /// let lock = RwLock::new()?;
    /// let guard = match lock.read() {
    ///     Ok(guard) => guard,
    ///     Err(LockError::OwnerDied(guard) | LockError::Poisoned(guard)) => {
    ///         // A writer left it half changed: look at it with care, or write and repair it.
    ///         guard
    ///     }
    ///     Err(error) => panic!("{error}"),
    /// };
    /// // Again, in the same thread.
    /// assert!(lock.read().is_ok());
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn read(&self) -> Result<ReadGuard<'_>, LockError<ReadGuard<'_>>> {
        let me = self.me();
        match self.read_at_once(me) {
            Ok(place) => Ok(ReadGuard::new(self, me, place)),
            Err(claimed) => self.read_later(me, claimed),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_later(
        &self,
        me: Holder,
        claimed: bool,
    ) -> Result<ReadGuard<'_>, LockError<ReadGuard<'_>>> {
        match self.read_after(me, claimed, Patience::Until(None)) {
            Ok(read) => match ReadGuard::of(self, me, read) {
                (guard, News::Released) => Ok(guard),
                (guard, News::Died) => Err(LockError::OwnerDied(guard)),
                (guard, News::Panicked) => Err(LockError::Poisoned(guard)),
            },
            Err(LockFailure::Deadlock) => Err(LockError::Deadlock),
            // Without a deadline there is no other.
            Err(_) => Err(LockError::Corrupt),
        }
    }

    /// Reads if no living process writes or waits to write, and there is a place. Never blocks.
    ///
    /// Otherwise each call asks the kernel whether those in the way live, in about 0.5 us each.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or as [`RwLock::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new()?;
    /// let guard = lock.write().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     assert!(matches!(other.try_read(), Err(TryLockError::WouldBlock)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn try_read(&self) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
        self.read_by(|| Patience::None)
    }

    /// As [`RwLock::read`], waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RwLock::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new()?;
    /// let guard = lock.write().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     let late = other.read_timeout(Duration::from_millis(1));
    ///     assert!(matches!(late, Err(TryLockError::Timeout)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
        self.read_by(|| Patience::Until(Some(Deadline::after(timeout))))
    }

    /// As [`RwLock::read`], waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RwLock::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, RwLock};
    ///
    /// let (lock, other) = (RwLock::new()?, RwLock::new()?);
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let both = (lock.read_deadline(deadline), other.read_deadline(deadline));
    /// assert!(both.0.is_ok() && both.1.is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn read_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
        self.read_by(|| Patience::Until(Some(deadline)))
    }

    #[inline]
    fn read_by(
        &self,
        patience: impl FnOnce() -> Patience,
    ) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
        let me = self.me();
        match self.read_at_once(me) {
            Ok(place) => Ok(ReadGuard::new(self, me, place)),
            Err(claimed) => self.read_tried(me, claimed, patience()),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_tried(
        &self,
        me: Holder,
        claimed: bool,
        patience: Patience,
    ) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
        match self.read_after(me, claimed, patience) {
            Ok(read) => match ReadGuard::of(self, me, read) {
                (guard, News::Released) => Ok(guard),
                (guard, News::Died) => Err(TryLockError::OwnerDied(guard)),
                (guard, News::Panicked) => Err(TryLockError::Poisoned(guard)),
            },
            Err(failure) => Err(failed(failure)),
        }
    }

    /// Writes: until the guard is dropped nobody else has the lock.
    ///
    /// Blocks while another thread of any process has it, to read or to write; new readers wait
    /// meanwhile. If those processes die, the caller gets the lock; of a writer's death it is told.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], in which the caller holds the lock;
    /// [`LockError::Deadlock`] if this thread reads or writes already; [`LockError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{LockError, Recover, RwLock};
    ///
    /// let lock = RwLock::new().unwrap();
    /// let guard = lock.write().or_recover(|_| {
    ///     // Bring what the lock guards into order.
    /// })?;
    /// assert!(matches!(lock.write(), Err(LockError::Deadlock)));
    /// # drop(guard);
    /// # Ok::<(), crossproc_sync::LockFailure>(())
    /// ```
    #[inline]
    pub fn write(&self) -> Result<WriteGuard<'_>, LockError<WriteGuard<'_>>> {
        let me = self.me();
        match self.write_with(me, || None) {
            Ok(News::Released) => Ok(WriteGuard::new(self, me)),
            Ok(News::Died) => Err(LockError::OwnerDied(WriteGuard::new(self, me))),
            Ok(News::Panicked) => Err(LockError::Poisoned(WriteGuard::new(self, me))),
            Err(LockFailure::Deadlock) => Err(LockError::Deadlock),
            // Without a deadline there is no other.
            Err(_) => Err(LockError::Corrupt),
        }
    }

    /// Writes if no living process reads or writes. Never blocks.
    ///
    /// Otherwise each call asks the kernel whether those in the way live, in about 0.5 us each.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`], or as [`RwLock::write`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new()?;
    /// let guard = lock.read().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     assert!(matches!(other.try_write(), Err(TryLockError::WouldBlock)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn try_write(&self) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
        let me = self.me();
        self.write_tried(me, self.try_write_now(me))
    }

    /// As [`RwLock::write`], waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RwLock::write`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{RwLock, TryLockError};
    ///
    /// let lock = RwLock::new()?;
    /// let guard = lock.read().unwrap();
    /// let other = lock.clone();
    /// std::thread::spawn(move || {
    ///     let late = other.write_timeout(Duration::from_millis(1));
    ///     assert!(matches!(late, Err(TryLockError::Timeout)));
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
        self.write_by(|| Deadline::after(timeout))
    }

    /// As [`RwLock::write`], waiting until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`TryLockError::Timeout`], or as [`RwLock::write`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, RwLock};
    ///
    /// let (lock, other) = (RwLock::new()?, RwLock::new()?);
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let both = (lock.write_deadline(deadline), other.write_deadline(deadline));
    /// assert!(both.0.is_ok() && both.1.is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn write_deadline(
        &self,
        deadline: Deadline,
    ) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
        self.write_by(|| deadline)
    }

    #[inline]
    fn write_by(
        &self,
        deadline: impl FnOnce() -> Deadline,
    ) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
        let me = self.me();
        self.write_tried(me, self.write_with(me, || Some(deadline())))
    }

    #[inline]
    fn write_tried(
        &self,
        me: Holder,
        outcome: Result<News, LockFailure>,
    ) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
        match outcome {
            Ok(News::Released) => Ok(WriteGuard::new(self, me)),
            Ok(News::Died) => Err(TryLockError::OwnerDied(WriteGuard::new(self, me))),
            Ok(News::Panicked) => Err(TryLockError::Poisoned(WriteGuard::new(self, me))),
            Err(failure) => Err(failed(failure)),
        }
    }

    /// The segment that the lock lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::RwLock;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(RwLock::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    /// Whether this process is the one of `holder`: false in its forked child.
    #[inline]
    pub(super) fn is_me(&self, holder: Holder) -> bool {
        holder.is_of(self.shared.me())
    }

    #[inline]
    pub(super) fn me(&self) -> Holder {
        Holder::of(self.shared.me(), self.segment())
    }

    #[inline]
    pub(super) fn raw(&self) -> &raw::RwLock {
        self.shared.words()
    }

    #[inline]
    pub(super) fn row(&self) -> &[Place] {
        self.row.places()
    }

    /// Whether a thread of this process reads or writes.
    fn is_held_here(&self) -> bool {
        let me = self.shared.me();
        let writer = self.raw().word().owner();
        let readers = self.row().iter().map(|place| place.word().owner());
        core::iter::once(writer).chain(readers).flatten().any(|owner| me.is_member(owner))
    }
}

/// The bytes of a row for so many readers.
fn row_bytes(readers: usize) -> usize {
    assert!(readers > 0, "a lock needs room for one reader at least");
    // What cannot be had is refused by the segment.
    readers.saturating_mul(size_of::<Place>())
}

fn failed<G>(failure: LockFailure) -> TryLockError<G> {
    match failure {
        LockFailure::Deadlock => TryLockError::Deadlock,
        LockFailure::WouldBlock => TryLockError::WouldBlock,
        LockFailure::Timeout => TryLockError::Timeout,
        _ => TryLockError::Corrupt,
    }
}

impl Drop for RwLock {
    /// As for [`Lock`](crate::Lock): a leaked guard keeps the segment until the process ends.
    fn drop(&mut self) {
        if self.is_held_here() {
            self.shared.stay_if_last();
        }
    }
}

impl fmt::Debug for RwLock {
    /// Shows the writer, whether somebody waits, and how many read or ask to: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.row().iter().map(Place::word).filter(|word| word.owner().is_some());
        let (asking, reading): (Vec<_>, Vec<_>) = words.partition(|word| word.asks());
        f.debug_struct("RwLock")
            .field("name", &self.shared.name())
            .field("state", &self.raw().word())
            .field("reading", &reading.len())
            .field("asking", &asking.len())
            .field("places", &self.readers())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for RwLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for RwLock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::over(Shared::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
