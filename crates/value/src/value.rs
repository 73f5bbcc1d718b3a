//! The handle to a value.

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::time::Duration;

use crossproc_message::pod::Stored;
use crossproc_segment::wait::Spin;
use crossproc_segment::{Me, Object, Result, Segment};
use crossproc_sync::acquire;
use crossproc_sync::{Deadline, LockFailure};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::guard::ValueGuard;
use crate::held::Held;
use crate::word;

/// Larger values are copied through the heap, not the stack.
const STACK_BYTES: usize = 4096;

/// A value in shared memory that every process sees whole: before or after an update, never torn.
///
/// An update happens at one instruction. A process killed before it has changed nothing, and the
/// next writer goes on at once; there is nothing to recover and nobody needs to be told. Plain data
/// of any size will do ([`Stored`]).
///
/// **Integers, floats and `bool`** are one atomic word. `get`, `set` and `update` never block, and
/// there is arithmetic of one instruction ([`fetch_add`](Value::<u64>::fetch_add) and others).
/// There is no guard, as it could lose a concurrent `fetch_add`: `lock` does not compile. A change
/// makes visible what its process did before it (Release), to whoever sees it (Acquire).
///
/// **Everything else** has two copies (three above 64 bytes) that take turns. Readers take no lock
/// and stop nobody; writers take one, and wait for each other. A stopped writer keeps the others
/// waiting, but not the readers.
///
/// A handle is cheap to clone, and goes to other processes as an argument or in a message.
///
/// # Examples
///
/// ```
/// use crossproc_value::Value;
///
/// let hits = Value::new(0u64)?;
/// hits.fetch_add(1);
/// assert_eq!(hits.get(), 1);
///
/// let position = Value::new([0.0; 3])?;
/// position.update(|p| p[2] += 0.5).unwrap();
/// assert_eq!(position.get(), [0.0, 0.0, 0.5]);
/// # Ok::<(), crossproc_segment::Error>(())
/// ```
///
/// A scalar has no guard:
///
/// ```compile_fail,E0080
/// # use crossproc_value::Value;
/// let hits = Value::new(0u64).unwrap();
/// let _guard = hits.lock();
/// ```
///
/// # Invariants
///
/// `body` points to the body of `object`, which has the layout of `raw` or, for scalars, of `word`
/// for a `T`, is long enough, and stays mapped while `object` lives.
pub struct Value<T: Stored> {
    pub(crate) body: NonNull<u8>,
    pub(crate) me: Me,
    pub(crate) spin: Spin,
    pub(crate) object: Object,
    pub(crate) holds: PhantomData<fn(T) -> T>,
}

// SAFETY: the body is reached by atomics only, and `T` is plain data.
unsafe impl<T: Stored> Send for Value<T> {}
// SAFETY: as above.
unsafe impl<T: Stored> Sync for Value<T> {}

impl<T: Stored> Value<T> {
    /// Makes a value in the segment of the process tree.
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
    /// # use crossproc_value::Value;
    /// let ready = Value::new(false)?;
    /// let same = ready.clone();
    /// ready.set(true).unwrap();
    /// assert!(same.get());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self> {
        Self::new_in(&Segment::tree()?, value)
    }

    /// Makes a value without a name in `segment`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let segment = crossproc_segment::Segment::anonymous(1 << 16)?;
    /// assert_eq!(Value::new_in(&segment, 7u8)?.get(), 7);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn new_in(segment: &Segment, value: T) -> Result<Self> {
        segment
            .construct(None, &Self::shape(), Self::BODY_BYTES, |body| Self::init(body, &value))
            .and_then(Self::over)
    }

    /// Makes the value called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `Exists` if there is an object of that name, and those of [`Segment::construct`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let segment = crossproc_segment::Segment::anonymous(1 << 16)?;
    /// let pose = Value::create(&segment, "pose", [1.0, 2.0, 3.0])?;
    /// let same = Value::<[f64; 3]>::open(&segment, "pose")?;
    /// assert_eq!(same.get(), pose.get());
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn create(segment: &Segment, name: &str, value: T) -> Result<Self> {
        let init = |body| Self::init(body, &value);
        segment.construct(Some(name), &Self::shape(), Self::BODY_BYTES, init).and_then(Self::over)
    }

    /// Opens the value called `name` in `segment`.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Kind` if the object is no value, `Type` if it is one of another type, and those
    /// of [`Segment::find`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// use crossproc_segment::{Error, Segment};
    ///
    /// let segment = Segment::anonymous(1 << 16)?;
    /// Value::create(&segment, "hits", 0u64)?;
    /// assert!(matches!(Value::<f64>::open(&segment, "hits"), Err(Error::Type { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        segment.find(name, &Self::shape()).and_then(Self::over)
    }

    /// Opens the value called `name` in `segment`, or makes it with `value` in it.
    ///
    /// # Errors
    ///
    /// As [`Value::open`] and [`Value::create`], without `NotFound` and `Exists`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let segment = crossproc_segment::Segment::anonymous(1 << 16)?;
    /// Value::open_or_create(&segment, "hits", 0u64)?.fetch_add(1);
    /// Value::open_or_create(&segment, "hits", 0u64)?.fetch_add(1);
    /// assert_eq!(Value::<u64>::open(&segment, "hits")?.get(), 2);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn open_or_create(segment: &Segment, name: &str, value: T) -> Result<Self> {
        let init = |body| Self::init(body, &value);
        segment
            .find_or_construct(name, &Self::shape(), Self::BODY_BYTES, init)
            .and_then(|(object, _)| Self::over(object))
    }

    /// The value, whole.
    ///
    /// Takes no lock: copies, and copies again if it was overtaken by several updates meanwhile.
    /// Only a reader that lost 64 times in a row, as one of a large value may against writers that
    /// never pause, waits for its turn among them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let pose = Value::new([1.0, 2.0, 3.0])?;
    /// assert_eq!(pose.get(), [1.0, 2.0, 3.0]);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn get(&self) -> T {
        if T::SCALAR {
            return word::load(self.word());
        }
        let mut copy = MaybeUninit::uninit();
        self.read(&mut copy);
        // SAFETY: every byte was put, and any bytes are a value.
        unsafe { copy.assume_init() }
    }

    /// Copies the value, whole, to where the caller wants it: [`Value::get`] for large ones that
    /// should not come by the stack.
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let image = Value::new([7u8; 4000])?;
    /// let mut copy = Box::new([0; 4000]);
    /// image.get_into(&mut copy);
    /// assert_eq!(copy[3999], 7);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn get_into(&self, out: &mut T) {
        if T::SCALAR {
            *out = word::load(self.word());
            return;
        }
        // SAFETY: only bytes of values are put there, and any bytes are a value.
        self.read(unsafe { &mut *core::ptr::from_mut(out).cast::<MaybeUninit<T>>() });
    }

    /// Replaces the value.
    ///
    /// Killed at any instruction, the value is the old one or the new one. Blocks while another
    /// writes, unless it is a scalar.
    ///
    /// # Errors
    ///
    /// None for a scalar; else [`LockFailure::Deadlock`] if this thread has a [`ValueGuard`] of it or
    /// is inside of its [`Value::update`], and [`LockFailure::Corrupt`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let pose = Value::new([0.0; 3])?;
    /// pose.set([1.0, 2.0, 3.0]).unwrap();
    /// assert_eq!(pose.get(), [1.0, 2.0, 3.0]);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<(), LockFailure> {
        if T::SCALAR {
            word::store(self.word(), value);
            return Ok(());
        }
        Held::wait(self, None)?.commit_at_once(&value);
        Ok(())
    }

    /// Changes the value by `change`, which gets a private copy, and returns what that returns.
    ///
    /// The copy lies on the stack, above 4 KiB on the heap.
    ///
    /// If `change` panics, or the process is killed before the update is complete, nothing has
    /// happened. Blocks while another writes. A scalar is updated without a lock instead: `change` is
    /// called again if another changed the value meanwhile, so a `change` that itself changes this
    /// value never comes to an end.
    ///
    /// # Errors
    ///
    /// As [`Value::set`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let pose = Value::new([1.0, 2.0])?;
    /// let sum = pose.update(|p| {
    ///     p[0] += 1.0;
    ///     p[0] + p[1]
    /// });
    /// assert_eq!(sum, Ok(4.0));
    /// assert_eq!(pose.get(), [2.0, 2.0]);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[inline]
    pub fn update<R>(&self, change: impl FnMut(&mut T) -> R) -> Result<R, LockFailure> {
        if T::SCALAR {
            return Ok(word::update(self.word(), change).1);
        }
        let held = Held::wait(self, None)?;
        if size_of::<T>() > STACK_BYTES {
            Ok(self.update_on_heap(held, change))
        } else {
            Ok(self.update_on_stack(held, change))
        }
    }

    #[inline]
    fn update_on_stack<R>(&self, held: Held<'_, T>, mut change: impl FnMut(&mut T) -> R) -> R {
        let mut copy = MaybeUninit::uninit();
        let copy = self.read_locked(&mut copy);
        let result = change(copy);
        held.commit(copy);
        result
    }

    fn update_on_heap<R>(&self, held: Held<'_, T>, mut change: impl FnMut(&mut T) -> R) -> R {
        let mut copy = self.read_locked_to_heap();
        let result = change(&mut copy);
        held.commit(&copy);
        result
    }

    /// A private copy of the value, to be written back when the guard is dropped.
    ///
    /// Blocks while another writes. A scalar has no guard: this does not compile.
    ///
    /// # Errors
    ///
    /// As [`Value::set`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let pose = Value::new([0.0; 3])?;
    /// let mut guard = pose.lock().unwrap();
    /// guard[0] = 1.0;
    /// assert_eq!(pose.get(), [0.0; 3]);
    /// drop(guard);
    /// assert_eq!(pose.get(), [1.0, 0.0, 0.0]);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, LockFailure> {
        self.guard(None)
    }

    /// As [`Value::lock`], waiting for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`LockFailure::Timeout`], or as [`Value::set`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::{LockFailure, Value};
    /// # use std::time::Duration;
    /// let pose = Value::new([0.0; 3])?;
    /// let guard = pose.lock().unwrap();
    /// let other = pose.clone();
    /// std::thread::spawn(move || {
    ///     let late = other.lock_timeout(Duration::from_millis(1));
    ///     assert_eq!(late.unwrap_err(), LockFailure::Timeout);
    /// })
    /// .join()
    /// .unwrap();
    /// # drop(guard);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn lock_timeout(&self, timeout: Duration) -> Result<ValueGuard<'_, T>, LockFailure> {
        self.guard(Some(Deadline::after(timeout)))
    }

    fn guard(&self, deadline: Option<Deadline>) -> Result<ValueGuard<'_, T>, LockFailure> {
        const {
            assert!(
                !T::SCALAR,
                "integers, floats and bool have no guard, as it could lose a concurrent \
                 fetch_add: use update(), or fetch_add() and others"
            );
        }
        let held = Held::wait(self, deadline)?;
        Ok(ValueGuard::new(self.read_locked_to_heap(), held))
    }

    /// The segment that the value lies in.
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let segment = crossproc_segment::Segment::anonymous(1 << 16)?;
    /// assert_eq!(Value::new_in(&segment, 7)?.segment(), &segment);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }
}

impl<T: Stored> Clone for Value<T> {
    fn clone(&self) -> Self {
        // INVARIANT: the same object.
        let (body, me) = (self.body, self.me);
        Self { body, me, spin: Spin::new(), object: self.object.clone(), holds: PhantomData }
    }
}

impl<T: Stored> Drop for Value<T> {
    /// A leaked guard keeps writers out until this process ends, also after its last handle.
    fn drop(&mut self) {
        if !T::SCALAR {
            acquire::stay_if_held(self.header().lock(), self.me, &self.object);
        }
    }
}

impl<T: Stored + fmt::Debug> fmt::Debug for Value<T> {
    /// Shows the value, and who writes it: a snapshot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Value");
        shown.field("name", &self.object.name()).field("value", &self.get());
        if !T::SCALAR {
            shown.field("writers", &self.header().lock().word());
        }
        shown.finish()
    }
}

/// As a ticket, on the way to another process only.
impl<T: Stored> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

/// From a ticket, on the way from another process only.
impl<'de, T: Stored> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(&Self::shape(), deserializer)
            .and_then(|object| Self::over(object).map_err(serde::de::Error::custom))
    }
}
