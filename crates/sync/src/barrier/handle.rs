//! The handle to a barrier.

use core::fmt;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crossproc_segment::{Error, Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::BarrierError;
use super::handles;
use super::raw::{self, Enrol, Phase, Place};
use super::wait::{BarrierWait, Caller};
use crate::raw::Holder;
use crate::shared::{Shared, Words};

const SHAPE: Shape = Shape::untyped("barrier", 1);

// SAFETY: atomics only, aligned to 64 bytes.
unsafe impl Words for raw::Barrier {
    const SHAPE: Shape = SHAPE;
}

// SAFETY: one atomic.
unsafe impl Words for Place {
    const SHAPE: Shape = SHAPE;
}

/// A number of threads of any processes that wait for each other, again and again.
///
/// Each [`wait`](Self::wait) blocks until as many threads wait as the barrier has parties; then all
/// are let go, and the next generation begins. Who they are does not matter: threads of one process or
/// of several, the same ones each time or others.
///
/// A barrier *breaks* for all when the time of one who waits is over, when somebody calls
/// [`abort`](Self::abort), when the action panics, and **when a participant dies**:
/// everybody gets [`BarrierError::Broken`], which says who it was, instead of waiting for one who
/// never comes. It stays broken until [`reset`](Self::reset). A participant is a process that waits,
/// or has waited once and has a handle left, or has [enrolled](Self::enrol). One that drops its last
/// handle, or [leaves](Self::leave), is none any more; its place is free for another. A process that ends
/// with its handle undropped (as by `exit`) has died. Waiters notice a death within about 0.1 s
/// after the kernel has let the process go; a participant that is stopped is waited for.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_sync::Barrier;
///
/// let barrier = Barrier::new(2).unwrap();
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let (mine, other) = (barrier.wait()?, other.join().unwrap()?);
///     assert_ne!(mine.is_leader(), other.is_leader());
///     Ok::<(), crossproc_sync::BarrierError>(())
/// })?;
/// # Ok::<(), crossproc_sync::BarrierError>(())
/// ```
pub struct Barrier {
    shared: Shared<raw::Barrier>,
    /// Checked when the handle was made: no more than the row has places.
    parties: usize,
    hint: AtomicU32,
}

impl Barrier {
    /// Makes a barrier for `parties` threads in the segment of the process tree.
    ///
    /// It is reached by handing the handle on.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::tree`] and [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `parties` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(3)?;
    /// assert_eq!(barrier.parties(), 3);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new(parties: usize) -> Result<Self> {
        Self::new_in(&Segment::tree()?, parties)
    }

    /// Makes a barrier without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `parties` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Barrier;
    ///
    /// let barrier = Barrier::new_in(&Segment::anonymous(1 << 16)?, 1)?;
    /// assert!(barrier.wait().is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment, parties: usize) -> Result<Self> {
        let (bytes, init) = plan(segment, parties)?;
        Self::over(Shared::new_in(segment, bytes, init)?)
    }

    /// Makes the barrier called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Panics
    ///
    /// If `parties` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Barrier;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let made = Barrier::create(&segment, "start", 4)?;
    /// assert_eq!(Barrier::open(&segment, "start")?.parties(), 4);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str, parties: usize) -> Result<Self> {
        let (bytes, init) = plan(segment, parties)?;
        Self::over(Shared::create(segment, name, bytes, init)?)
    }

    /// Opens the barrier called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no barrier, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::Barrier::open(&segment, "start");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::over(Shared::open(segment, name)?)
    }

    /// Opens the barrier called `name` in `segment`, or makes it for `parties`; one that is there
    /// has the number of parties that it was made with.
    ///
    /// # Errors
    ///
    /// As [`Barrier::open`] and [`Barrier::create`], without `NotFound` and `Exists`.
    ///
    /// # Panics
    ///
    /// If `parties` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Barrier;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = Barrier::open_or_create(&segment, "start", 4)?;
    /// let second = Barrier::open_or_create(&segment, "start", 5)?;
    /// assert_eq!((first.parties(), second.parties()), (4, 4));
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str, parties: usize) -> Result<Self> {
        let (bytes, init) = plan(segment, parties)?;
        Self::over(Shared::open_or_create(segment, name, bytes, init)?.0)
    }

    fn over(shared: Shared<raw::Barrier>) -> Result<Self> {
        let places = shared.rest::<Place>().len();
        let Some(parties) = shared.words().check(places) else {
            let what = shared.name().unwrap_or("the barrier of a received handle").to_owned();
            return Err(Error::Corrupt { what, why: "its parties do not fit into its memory" });
        };
        Ok(Self::counted(shared, parties))
    }

    fn counted(shared: Shared<raw::Barrier>, parties: usize) -> Self {
        handles::add((shared.segment().identity(), shared.offset()));
        Self { shared, parties, hint: AtomicU32::new(u32::MAX) }
    }

    /// Waits until as many threads wait as the barrier has parties.
    ///
    /// Blocks, also while all places are taken by those of the generation before.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Broken`] if it is broken, or breaks or is reset meanwhile;
    /// [`BarrierError::Deadlock`] in the barrier's own action, [`BarrierError::NotParticipant`],
    /// [`BarrierError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// for _ in 0..3 {
    ///     assert!(barrier.wait()?.is_leader());
    /// }
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    pub fn wait(&self) -> Result<BarrierWait, BarrierError> {
        self.caller().wait(|| None, None::<fn()>)
    }

    /// Waits for at most `timeout`; with a timeout of zero, only if it is the last one.
    ///
    /// If the time is over the barrier breaks for all.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Timeout`], or as [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2).unwrap();
    /// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BarrierError::Timeout));
    /// assert!(barrier.is_broken());
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWait, BarrierError> {
        self.caller().wait(|| Some(Deadline::after(timeout)), None::<fn()>)
    }

    /// Waits until `deadline` at most, after which the barrier breaks for all.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Timeout`], or as [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Barrier, BarrierError, Deadline};
    ///
    /// let past = Deadline::from_nanos(1);
    /// assert!(Barrier::new(1).unwrap().wait_deadline(past).is_ok());
    /// assert_eq!(Barrier::new(2).unwrap().wait_deadline(past), Err(BarrierError::Timeout));
    /// ```
    pub fn wait_deadline(&self, deadline: Deadline) -> Result<BarrierWait, BarrierError> {
        self.caller().wait(|| Some(deadline), None::<fn()>)
    }

    /// As [`wait`](Self::wait); the last one to arrive runs `action` before anybody is let go.
    ///
    /// Give the same action wherever you wait: of those given in one generation exactly one runs,
    /// and none if the last one comes without. What all did before they waited is seen by the
    /// action, and what it does by all who pass. If it panics, or its process dies, the barrier breaks.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// If `action` does; the barrier is then broken.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// let mut rounds = 0;
    /// for _ in 0..3 {
    ///     barrier.wait_with(|| rounds += 1)?;
    /// }
    /// assert_eq!(rounds, 3);
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierWait, BarrierError> {
        self.caller().wait(|| None, Some(action))
    }

    /// As [`wait_with`](Self::wait_with), waiting until `deadline` at most; an action that has begun by then
    /// goes on, but nobody passes.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Timeout`], or as [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// If `action` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Barrier, BarrierError, Deadline};
    ///
    /// let barrier = Barrier::new(2).unwrap();
    /// let late = barrier.wait_with_deadline(Deadline::from_nanos(1), || unreachable!());
    /// assert_eq!(late, Err(BarrierError::Timeout));
    /// ```
    pub fn wait_with_deadline(
        &self,
        deadline: Deadline,
        action: impl FnOnce(),
    ) -> Result<BarrierWait, BarrierError> {
        self.caller().wait(|| Some(deadline), Some(action))
    }

    /// Makes this process a participant before it waits for the first time: from now on its death
    /// breaks the barrier. Once for each of its threads that will wait. Never blocks.
    ///
    /// # Errors
    ///
    /// [`BarrierError::NoPlace`] if there are as many participants as parties;
    /// [`BarrierError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(1).unwrap();
    /// barrier.enrol()?;
    /// assert_eq!(barrier.enrol(), Err(BarrierError::NoPlace));
    /// barrier.wait()?;
    /// # Ok::<(), BarrierError>(())
    /// ```
    pub fn enrol(&self) -> Result<(), BarrierError> {
        match self.shared.words().enrol(self.row(), self.shared.segment().me()) {
            Enrol::Done => Ok(()),
            Enrol::NoPlace => Err(BarrierError::NoPlace),
            Enrol::Corrupt => Err(BarrierError::Corrupt),
        }
    }

    /// Gives up the places of this process, but for those at which its threads wait right now. Its
    /// death does not concern the others any more, who wait for somebody else to come. Never blocks.
    ///
    /// Dropping the last handle does the same.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// barrier.enrol()?;
    /// barrier.leave();
    /// barrier.enrol()?;
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    pub fn leave(&self) {
        let me = self.shared.me();
        self.shared.words().withdraw(self.row(), |id| me.is_member(id));
    }

    /// Breaks the barrier for all who wait, and for all who come before the next
    /// [`reset`](Self::reset). Never blocks.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Barrier, BarrierError, BreakCause};
    ///
    /// let barrier = Barrier::new(1).unwrap();
    /// barrier.abort()?;
    /// let broken = barrier.wait();
    /// assert!(matches!(broken, Err(BarrierError::Broken { cause: BreakCause::Aborted, .. })));
    /// # Ok::<(), BarrierError>(())
    /// ```
    pub fn abort(&self) -> Result<(), BarrierError> {
        self.caller().abort()
    }

    /// Makes the barrier as it was at first, also if it is broken: those who wait get
    /// [`BarrierError::Broken`], dead participants lose their places, living ones keep them. Never
    /// blocks.
    ///
    /// While a living process runs the action nothing happens: all have arrived, and are let go
    /// when it is done.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = crossproc_sync::Barrier::new(1).unwrap();
    /// barrier.abort()?;
    /// barrier.reset()?;
    /// assert!(barrier.wait().is_ok());
    /// # Ok::<(), crossproc_sync::BarrierError>(())
    /// ```
    pub fn reset(&self) -> Result<(), BarrierError> {
        self.caller().reset()
    }

    /// How many threads have to wait for all to be let go.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc_sync::Barrier::new(5)?.parties(), 5);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many threads wait: a snapshot. None at a broken barrier.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(crossproc_sync::Barrier::new(5)?.n_waiting(), 0);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.shared.words().arrived(self.row())
    }

    /// Whether it is broken: a snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!crossproc_sync::Barrier::new(5)?.is_broken());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.shared.words().state().phase(), Some(Phase::Broken(..)))
    }

    /// The segment that the barrier lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Barrier;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(Barrier::new_in(&segment, 2)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    fn row(&self) -> &[Place] {
        // As many as there were when the handle was made: the object's size is kept by it.
        self.shared.rest().get(..self.parties).unwrap_or_default()
    }

    fn caller(&self) -> Caller<'_> {
        let (segment, process) = (self.shared.segment(), self.shared.me());
        Caller {
            barrier: self.shared.words(),
            row: self.row(),
            segment,
            spin: self.shared.spin(),
            hint: &self.hint,
            process,
            me: Holder::of(process, segment),
        }
    }
}

/// The bytes of the row, and what makes the words before it.
fn plan(segment: &Segment, parties: usize) -> Result<(usize, impl FnOnce(&raw::Barrier))> {
    assert!(parties > 0, "a barrier has at least one party");
    let bytes = parties.saturating_mul(size_of::<Place>());
    let no_room = Error::NoRoom { bytes, size: segment.size() };
    let count = u32::try_from(parties).map_err(|_| no_room)?;
    Ok((bytes, move |words: &raw::Barrier| words.init(count)))
}

impl Clone for Barrier {
    fn clone(&self) -> Self {
        Self::counted(self.shared.clone(), self.parties)
    }
}

impl Drop for Barrier {
    /// With the last handle this process is no participant any more.
    fn drop(&mut self) {
        let barrier = (self.shared.segment().identity(), self.shared.offset());
        handles::remove(barrier, || self.leave());
    }
}

impl fmt::Debug for Barrier {
    /// Shows how far the present generation has come, who broke it, and how many wait: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("name", &self.shared.name())
            .field("parties", &self.parties)
            .field("waiting", &self.n_waiting())
            .field("state", &self.shared.words().state())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer)?;
        Self::over(shared).map_err(serde::de::Error::custom)
    }
}
