//! What every handle of this crate has: words in a segment, and the object that keeps them there.

use core::fmt;
use core::mem;
use core::ptr::NonNull;

use crossproc_segment::wait::Spin;
use crossproc_segment::{Error, Me, Object, Result, Segment, Shape};
use serde::{Deserializer, Serializer};

/// The words of a primitive, at the beginning of its object's body.
///
/// # Safety
///
/// The type consists of atomics only, so that any bytes are a valid value and all processes may
/// reach it at once. It is aligned to 128 bytes at most.
pub unsafe trait Words: Sized + 'static {
    /// Kind and layout version of the objects that hold it.
    const SHAPE: Shape;
    /// Bytes of a body that holds it, without what may follow.
    const BYTES: usize = size_of::<Self>();
}

/// A primitive of a segment as one process has it: the inside of every handle.
///
/// # Invariants
///
/// `words` points to the beginning of the body of `object`, which is at least as long as `W`, and
/// stays mapped while `object` lives.
pub struct Shared<W> {
    words: NonNull<W>,
    me: Me,
    spin: Spin,
    object: Object,
}

// SAFETY: the words are reached by shared reference and are atomics only, by the contract of
// `Words`; the rest is `Send` and `Sync`.
unsafe impl<W: Words> Send for Shared<W> {}
// SAFETY: as above.
unsafe impl<W: Words> Sync for Shared<W> {}

impl<W: Words> Shared<W> {
    /// Makes one without a name in `segment`. `bytes` of the body follow the words; all are
    /// zeroed before `init`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    pub fn new_in(segment: &Segment, bytes: usize, init: impl FnOnce(&W)) -> Result<Self> {
        let bytes = Self::total(segment, bytes)?;
        segment.construct(None, &W::SHAPE, bytes, Self::filled(init)).and_then(Self::over)
    }

    /// As [`Shared::new_in`], with a name.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::construct`].
    pub fn create(
        segment: &Segment,
        name: &str,
        bytes: usize,
        init: impl FnOnce(&W),
    ) -> Result<Self> {
        let bytes = Self::total(segment, bytes)?;
        segment.construct(Some(name), &W::SHAPE, bytes, Self::filled(init)).and_then(Self::over)
    }

    /// Opens the one called `name`.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::find`].
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        segment.find(name, &W::SHAPE).and_then(Self::over)
    }

    /// Opens the one called `name`, or makes it; the flag says that it was made.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::find_or_construct`].
    pub fn open_or_create(
        segment: &Segment,
        name: &str,
        bytes: usize,
        init: impl FnOnce(&W),
    ) -> Result<(Self, bool)> {
        let bytes = Self::total(segment, bytes)?;
        let found = segment.find_or_construct(name, &W::SHAPE, bytes, Self::filled(init))?;
        Ok((Self::over(found.0)?, found.1))
    }

    fn total(segment: &Segment, bytes: usize) -> Result<usize> {
        let no_room = Error::NoRoom { bytes, size: segment.size() };
        W::BYTES.checked_add(bytes).ok_or(no_room)
    }

    fn filled(init: impl FnOnce(&W)) -> impl FnOnce(NonNull<u8>) {
        // SAFETY: the body was made for the words, is aligned to 128 bytes and zeroed.
        |body| init(unsafe { body.cast::<W>().as_ref() })
    }

    /// Wraps an object that was checked to be of the shape.
    fn over(object: Object) -> Result<Self> {
        if object.body_bytes() < W::BYTES {
            let what = object.name().unwrap_or("the object of a received handle").to_owned();
            return Err(Error::Corrupt { what, why: "its body is too short for its kind" });
        }
        // SAFETY: the object keeps its segment mapped.
        let me = unsafe { Me::of(object.segment()) };
        // INVARIANT: long enough, as was just checked.
        Ok(Self { words: object.body().cast(), me, spin: Spin::new(), object })
    }

    /// The words.
    #[inline]
    pub fn words(&self) -> &W {
        // SAFETY: by the type invariant; any bytes are a valid `W`.
        unsafe { self.words.as_ref() }
    }

    /// What follows the words in the body, as whole `T`s.
    pub fn rest<T: Words>(&self) -> &[T] {
        let offset = W::BYTES.next_multiple_of(align_of::<T>());
        let count = self.object.body_bytes().saturating_sub(offset) / size_of::<T>();
        if count == 0 {
            return &[];
        }
        // SAFETY: `offset` lies inside the body, since something follows it there.
        let first = unsafe { self.object.body().add(offset) }.cast::<T>();
        // SAFETY: `count` of them fit into the body behind it; any bytes are a valid `T`, and the
        // object lives as long as `self`.
        unsafe { core::slice::from_raw_parts(first.as_ptr(), count) }
    }

    /// Who this process is in the segment.
    #[inline]
    pub fn me(&self) -> Me {
        self.me
    }

    /// How long this handle spins before it sleeps.
    #[inline]
    pub fn spin(&self) -> &Spin {
        &self.spin
    }

    /// The segment that it lies in.
    #[inline]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.object.name()
    }

    /// Where in the segment the words lie: the same for every handle to them.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.object.offset_of(self.words)
    }

    /// Keeps this process a member of the segment until it ends, if this is the last handle: for
    /// a claim that outlives its handle, such as a leaked guard. Without members its owner would
    /// be dead to all others.
    pub fn stay_if_last(&self) {
        if self.object.is_last() {
            mem::forget(self.object.segment().clone());
        }
    }

    /// As a ticket, on the way to another process only.
    ///
    /// # Errors
    ///
    /// Those of the object.
    pub fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }

    /// From a ticket, on the way from another process only.
    ///
    /// # Errors
    ///
    /// Those of the object.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(&W::SHAPE, deserializer)
            .and_then(|object| Self::over(object).map_err(serde::de::Error::custom))
    }
}

impl<W> Clone for Shared<W> {
    fn clone(&self) -> Self {
        // INVARIANT: the same object.
        Self { words: self.words, me: self.me, spin: Spin::new(), object: self.object.clone() }
    }
}

impl<W> fmt::Debug for Shared<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("object", &self.object).finish_non_exhaustive()
    }
}
