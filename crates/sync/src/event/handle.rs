//! The handle to an event.

use core::fmt;
use core::time::Duration;

use crossproc_segment::wait::{Blocker, Look, Rest, Sleeper, Source, Waitable};
use crossproc_segment::{Result, Segment, Shape};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw;
use crate::shared::{Shared, Words};

// SAFETY: atomics only, aligned to 4 bytes.
unsafe impl Words for raw::Event {
    const SHAPE: Shape = Shape::untyped("event", 1);
}

/// A flag that threads of any processes wait for: clear at first, set and cleared by anybody.
///
/// Setting it lets all through who wait, and everybody who comes until it is cleared. Whoever was
/// waiting at a set comes back, even if the event is cleared right after it and before that thread
/// has run. What a thread did before it set the event is visible to those who come back from
/// waiting for it; what it did before it cleared the event, to those who then find it clear.
///
/// Nobody holds an event, so a death leaves nothing to repair. A waiter whose setter was killed
/// between setting the event and waking anybody looks by itself, within about 0.1 s after the
/// kernel has let the setter go.
///
/// # In a signal handler
///
/// [`set`](Self::set), [`clear`](Self::clear) and [`is_set`](Self::is_set) are async-signal-safe:
/// no lock, no allocation, nothing of the thread's own memory, and `errno` stays as it was. A
/// handler may call them whatever it interrupts, be it `wait`, `set` or `clear` of the same event
/// in the same thread. It reaches the event through a handle that was made before, for example in
/// a `static`. Everything else, `wait` above all, is not for signal handlers.
///
/// # Examples
///
/// ```
/// use crossproc_sync::Event;
///
/// let ready = Event::new()?;
/// let other = ready.clone();
/// let waiter = std::thread::spawn(move || other.wait());
/// ready.set();
/// waiter.join().unwrap();
/// assert!(ready.is_set());
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    shared: Shared<raw::Event>,
}

impl Event {
    /// Makes an event in the segment of the process tree.
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
    /// let event = crossproc_sync::Event::new()?;
    /// assert!(!event.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new() -> Result<Self> {
        Self::new_in(&Segment::tree()?)
    }

    /// Makes an event without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Event;
    ///
    /// let event = Event::new_in(&Segment::anonymous(1 << 16)?)?;
    /// # assert!(!event.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment) -> Result<Self> {
        Ok(Self { shared: Shared::new_in(segment, 0, |_| {})? })
    }

    /// Makes the event called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Event;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let event = Event::create(&segment, "ready")?;
    /// Event::open(&segment, "ready")?.set();
    /// assert!(event.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::create(segment, name, 0, |_| {})? })
    }

    /// Opens the event called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no event, and those of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let none = crossproc_sync::Event::open(&segment, "ready");
    /// assert!(matches!(none, Err(Error::NotFound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open(segment, name)? })
    }

    /// Opens the event called `name` in `segment`, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Event::open`] and [`Event::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Event;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// let first = Event::open_or_create(&segment, "ready")?;
    /// let second = Event::open_or_create(&segment, "ready")?;
    /// first.set();
    /// assert!(second.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Ok(Self { shared: Shared::open_or_create(segment, name, 0, |_| {})?.0 })
    }

    /// Sets the event: all who wait come back, and whoever waits from now on does so at once.
    ///
    /// Never blocks. One compare-exchange, and a system call only if somebody may be asleep. May
    /// be called in a signal handler.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc_sync::Event::new()?;
    /// event.set();
    /// event.set();
    /// event.wait();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn set(&self) {
        if self.raw().set() {
            wake(self.raw());
        }
    }

    /// Clears the event: whoever waits from now on blocks until it is set again.
    ///
    /// Those who were waiting when it was set come back all the same. Never blocks: one
    /// read-modify-write. May be called in a signal handler.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc_sync::Event::new()?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.raw().clear();
    }

    /// Whether the event is set: a snapshot.
    ///
    /// One load. May be called in a signal handler.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = crossproc_sync::Event::new()?;
    /// assert!(!event.is_set());
    /// event.set();
    /// assert!(event.is_set());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn is_set(&self) -> bool {
        self.raw().word().is_set()
    }

    /// Blocks until the event is set, or comes back at once if it is.
    ///
    /// Whether it still is when this returns is another question: somebody may have cleared it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sync::Event;
    ///
    /// let (ready, done) = (Event::new()?, Event::new()?);
    /// let theirs = (ready.clone(), done.clone());
    /// let other = std::thread::spawn(move || {
    ///     theirs.0.wait();
    ///     theirs.1.set();
    /// });
    /// ready.set();
    /// done.wait();
    /// other.join().unwrap();
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn wait(&self) {
        self.wait_by(|| None);
    }

    /// Blocks until the event is set, for at most `timeout`. Returns whether it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = crossproc_sync::Event::new()?;
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::ZERO));
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use = "the time may have run out"]
    #[inline]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_by(|| Some(Deadline::after(timeout)))
    }

    /// Blocks until the event is set, until `deadline` at most. Returns whether it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_sync::{Deadline, Event};
    ///
    /// let (one, two) = (Event::new()?, Event::new()?);
    /// one.set();
    /// let deadline = Deadline::after(Duration::from_millis(1));
    /// assert!(one.wait_deadline(deadline));
    /// assert!(!two.wait_deadline(deadline));
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use = "the time may have run out"]
    #[inline]
    pub fn wait_deadline(&self, deadline: Deadline) -> bool {
        self.wait_by(|| Some(deadline))
    }

    #[inline]
    fn wait_by(&self, deadline: impl FnOnce() -> Option<Deadline>) -> bool {
        let before = self.raw().word();
        before.is_set() || self.sleep(before, deadline())
    }

    #[cold]
    #[inline(never)]
    fn sleep(&self, before: raw::Word, deadline: Option<Deadline>) -> bool {
        let has_come = || self.raw().word().has_come_since(before);
        if self.shared.spin().until(|| has_come().then_some(())).is_some() {
            return true;
        }
        let mut sleeper = Sleeper::new(self.segment(), deadline);
        loop {
            // Anyone: the word does not say who is going to set the event.
            sleeper.arm(self.raw().futex(), Blocker::Anyone);
            let Some(word) = self.raw().announce(before) else { return true };
            if sleeper.sleep(self.raw().futex(), word.bits()) == Rest::TimedOut {
                return has_come();
            }
        }
    }

    /// The segment that the event lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::Segment;
    /// use crossproc_sync::Event;
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// assert_eq!(Event::new_in(&segment)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }

    #[inline]
    fn raw(&self) -> &raw::Event {
        self.shared.words()
    }
}

/// Wakes all who sleep on the event.
#[cold]
fn wake(event: &raw::Event) {
    futex::wake(event.futex(), u32::MAX);
}

/// Ready when it is set. A set wakes the waiter; if the event is cleared again before that one looks,
/// it sleeps on, other than in [`Event::wait`].
impl Waitable for Event {
    fn is_ready(&self, _look: Look) -> bool {
        self.is_set()
    }

    fn source(&self) -> Source<'_> {
        Source::Word(self.segment(), self.shared.words().futex(), raw::mark)
    }
}

impl fmt::Debug for Event {
    /// Shows whether the event is set, and whether somebody waits: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.shared.name())
            .field("state", &self.raw().word())
            .finish()
    }
}

/// As a ticket, on the way to another process only.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { shared: Shared::deserialize(deserializer)? })
    }
}
