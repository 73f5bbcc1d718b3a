//! The handle to a once.

use core::convert::Infallible;
use core::fmt;
use core::time::Duration;

use crossproc_segment::{Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{OnceError, OnceTryError};
use super::raw::{self, Accept};
use super::run::{Caller, OnceState};
use crate::raw::Holder;
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 8 bytes.
unsafe impl Words for raw::Once {
    const SHAPE: Shape = Shape::untyped("once", 1);
}

/// Something that is done once, by whichever thread of any process comes first, and is seen by all.
///
/// It works as `std::sync::Once` does, and lies in shared memory: whoever calls while another runs
/// the function waits until that one is done. Once it is done a call is a single load.
///
/// When the runner is killed in the middle, or panics, what it did may be half done. As with
/// std's, [`call_once`](Self::call_once) then refuses, with [`OnceError::RunnerDied`] or
/// [`OnceError::Poisoned`], until somebody calls [`call_once_force`](Self::call_once_force), which
/// is told and does it (again). A waiter notices the death within about 0.1 s after the kernel has
/// let the process go. A runner that is merely stopped is waited for.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_sync::Once;
///
/// let once = Once::new().unwrap();
/// let mut runs = 0;
/// for _ in 0..3 {
///     once.call_once(|| runs += 1)?;
/// }
/// assert_eq!(runs, 1);
/// # Ok::<(), crossproc_sync::OnceError>(())
/// ```
#[derive(Clone)]
pub struct Once {
    shared: Shared<raw::Once>,
}

impl Once {
    /// Makes a once in the segment of the process tree.
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
    /// let once = crossproc_sync::Once::new()?;
    /// assert!(!once.is_completed());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new() -> Result<Self> {
        Self::new_in(&Segment::tree()?)
    }

    /// Makes a once without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Once;
    ///
    /// let once = Once::new_in(&Segment::anonymous(1 << 16)?)?;
    /// assert!(once.call_once(|| {}).is_ok());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment) -> Result<Self> {
        Ok(Self { shared: Shared::new_in(segment, 0, |_| {})? })
    }

    /// Makes the once called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Once;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// Once::create(&segment, "set up")?.call_once(|| {}).unwrap();
    /// assert!(Once::open(&segment, "set up")?.is_completed());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::create(segment, name, 0, |_| {})? })
    }

    /// Opens the once called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no once, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::Once::open(&segment, "set up");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open(segment, name)? })
    }

    /// Opens the once called `name` in `segment`, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Once::open`] and [`Once::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// Each process that starts does this, and one of them sets up what all use:
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Once;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let once = Once::open_or_create(&segment, "set up")?;
    /// once.call_once(|| {
    ///     // Fill the tables.
    /// })
    /// .unwrap();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open_or_create(segment, name, 0, |_| {})?.0 })
    }

    /// Runs `f`, unless it is done already. When this returns `Ok`, it is done, by this thread or
    /// another one, and what that one did is seen.
    ///
    /// Blocks while another thread of any process runs it.
    ///
    /// # Errors
    ///
    /// [`OnceError::RunnerDied`] and [`OnceError::Poisoned`] if the last runner did not come to the
    /// end of it, without running `f`; [`OnceError::Deadlock`] when called by `f` itself;
    /// [`OnceError::NotRunner`], [`OnceError::Corrupt`].
    ///
    /// # Panics
    ///
    /// If `f` does; the once is then poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Once, OnceError};
    ///
    /// let once = Once::new().unwrap();
    /// once.call_once(|| assert_eq!(once.call_once(|| {}), Err(OnceError::Deadlock)))?;
    /// once.call_once(|| unreachable!("it is done"))?;
    /// # Ok::<(), OnceError>(())
    /// ```
    #[inline]
    pub fn call_once(&self, f: impl FnOnce()) -> Result<(), OnceError> {
        self.call(Accept::Fresh, || None, |_| f())
    }

    /// As [`call_once`](Self::call_once), waiting for another runner for at most `timeout`; with
    /// a timeout of zero it does not wait. How long `f` runs is not limited.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`], or as [`call_once`](Self::call_once).
    ///
    /// # Panics
    ///
    /// If `f` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Once, OnceError};
    ///
    /// let once = Once::new().unwrap();
    /// once.call_once(|| {
    ///     let late = std::thread::scope(|scope| {
    ///         scope.spawn(|| once.call_once_timeout(Duration::ZERO, || {})).join().unwrap()
    ///     });
    ///     assert_eq!(late, Err(OnceError::Timeout));
    /// })?;
    /// # Ok::<(), OnceError>(())
    /// ```
    #[inline]
    pub fn call_once_timeout(&self, timeout: Duration, f: impl FnOnce()) -> Result<(), OnceError> {
        self.call(Accept::Fresh, || Some(Deadline::after(timeout)), |_| f())
    }

    /// As [`call_once`](Self::call_once), waiting for another runner until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`], or as [`call_once`](Self::call_once).
    ///
    /// # Panics
    ///
    /// If `f` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, Once};
    ///
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// Once::new().unwrap().call_once_deadline(deadline, || {})?;
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[inline]
    pub fn call_once_deadline(
        &self,
        deadline: Deadline,
        f: impl FnOnce(),
    ) -> Result<(), OnceError> {
        self.call(Accept::Fresh, || Some(deadline), |_| f())
    }

    /// As [`call_once`](Self::call_once), also after a runner that died or panicked: `f` is told,
    /// and has to cope with what is half done.
    ///
    /// # Errors
    ///
    /// As [`call_once`](Self::call_once), without `RunnerDied` and `Poisoned`.
    ///
    /// # Panics
    ///
    /// If `f` does; the once is then poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// let once = crossproc_sync::Once::new().unwrap();
    /// once.call_once_force(|state| {
    ///     if state.runner_died() || state.is_poisoned() {
    ///         // Throw away what is there.
    ///     }
    ///     // Set up.
    /// })?;
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[inline]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) -> Result<(), OnceError> {
        self.call(Accept::Any, || None, f)
    }

    /// As [`call_once_force`](Self::call_once_force), waiting for another runner until `deadline`
    /// at most.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`], or as [`call_once_force`](Self::call_once_force).
    ///
    /// # Panics
    ///
    /// If `f` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, Once};
    ///
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// Once::new().unwrap().call_once_force_deadline(deadline, |_| {})?;
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[inline]
    pub fn call_once_force_deadline(
        &self,
        deadline: Deadline,
        f: impl FnOnce(&OnceState),
    ) -> Result<(), OnceError> {
        self.call(Accept::Any, || Some(deadline), f)
    }

    /// Runs `f`, which may fail, unless it is done already.
    ///
    /// If `f` returns an error, the once is as it was before, and the next caller runs its own
    /// function; if the one before had died or panicked, that caller is told in its turn. Like
    /// [`call_once_force`](Self::call_once_force) it runs after a runner that died or panicked.
    ///
    /// # Errors
    ///
    /// [`OnceTryError::Failed`] with the error of `f`, or [`OnceTryError::Once`] with one of
    /// [`call_once_force`](Self::call_once_force).
    ///
    /// # Panics
    ///
    /// If `f` does; the once is then poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Once, OnceTryError};
    ///
    /// let once = Once::new().unwrap();
    /// let parse = |text: &str| once.call_once_try(|_| text.parse::<u32>().map(|_| ()));
    /// assert!(matches!(parse("x"), Err(OnceTryError::Failed(_))));
    /// assert_eq!(parse("7"), Ok(()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn call_once_try<E>(
        &self,
        f: impl FnOnce(&OnceState) -> Result<(), E>,
    ) -> Result<(), OnceTryError<E>> {
        if self.is_completed() {
            return Ok(());
        }
        self.caller().call(Accept::Any, || None, f)?.map_err(OnceTryError::Failed)
    }

    #[inline]
    fn call(
        &self,
        accept: Accept,
        deadline: impl FnOnce() -> Option<Deadline>,
        f: impl FnOnce(&OnceState),
    ) -> Result<(), OnceError> {
        if self.is_completed() {
            return Ok(());
        }
        let worked = self.caller().call(accept, deadline, |state| {
            f(state);
            Ok::<(), Infallible>(())
        });
        worked.map(|Ok(())| ())
    }

    /// Whether it is done, and with that: what its runner did is seen. Never blocks; one load.
    ///
    /// # Examples
    ///
    /// ```
    /// let once = crossproc_sync::Once::new().unwrap();
    /// assert!(!once.is_completed());
    /// once.call_once(|| {})?;
    /// assert!(once.is_completed());
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.shared.words().is_done()
    }

    /// Waits until it is done, without doing it.
    ///
    /// Blocks also while nobody runs it.
    ///
    /// # Errors
    ///
    /// As [`call_once`](Self::call_once): also if the one who runs it dies or panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let once = crossproc_sync::Once::new().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| once.call_once(|| {}));
    ///     once.wait()
    /// })?;
    /// assert!(once.is_completed());
    /// # Ok::<(), crossproc_sync::OnceError>(())
    /// ```
    #[inline]
    pub fn wait(&self) -> Result<(), OnceError> {
        self.wait_by(|| None)
    }

    /// Waits until it is done, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`], or as [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Once, OnceError};
    ///
    /// let late = Once::new().unwrap().wait_timeout(Duration::from_millis(1));
    /// assert_eq!(late, Err(OnceError::Timeout));
    /// ```
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), OnceError> {
        self.wait_by(|| Some(Deadline::after(timeout)))
    }

    /// Waits until it is done, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// [`OnceError::Timeout`], or as [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::{Deadline, Once, OnceError};
    ///
    /// let past = Deadline::from_nanos(1);
    /// assert_eq!(Once::new().unwrap().wait_deadline(past), Err(OnceError::Timeout));
    /// ```
    #[inline]
    pub fn wait_deadline(&self, deadline: Deadline) -> Result<(), OnceError> {
        self.wait_by(|| Some(deadline))
    }

    #[inline]
    fn wait_by(&self, deadline: impl FnOnce() -> Option<Deadline>) -> Result<(), OnceError> {
        if self.is_completed() {
            return Ok(());
        }
        self.caller().wait(deadline)
    }

    fn caller(&self) -> Caller<'_> {
        let (segment, process) = (self.shared.segment(), self.shared.me());
        let (once, spin) = (self.shared.words(), self.shared.spin());
        Caller { once, segment, spin, process, me: Holder::of(process, segment) }
    }

    /// The segment that the once lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Once;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(Once::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }
}

impl fmt::Debug for Once {
    /// Shows how far it has come, which member runs it, and whether somebody waits: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("name", &self.shared.name())
            .field("state", &self.shared.words().word())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for Once {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { shared: Shared::deserialize(deserializer)? })
    }
}
