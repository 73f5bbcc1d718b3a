//! How a handle reaches the words of its value in shared memory.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::AtomicU64;
use core::time::Duration;

use crossproc_message::pod::Stored;
use crossproc_segment::wait::Spin;
use crossproc_segment::{Error, Me, Object, Result, Shape};
use crossproc_sync::Deadline;

use crate::bytes;
use crate::held::Held;
use crate::raw::{COPIES_OFFSET, Copies, Geometry, Header};
use crate::value::Value;
use crate::word;

/// Reads without the lock before one with it.
const READS: u32 = 64;
/// In place of the number of lost reads: this thread has the lock.
const LOCKED: u32 = u32::MAX;
/// How long such a read waits before it tries without the lock again.
const READ_WAIT: Duration = Duration::from_millis(1);

impl<T: Stored> Value<T> {
    const GEOMETRY: Geometry = Geometry::of(size_of::<T>());
    pub(crate) const BODY_BYTES: usize =
        if T::SCALAR { size_of::<u64>() } else { Self::GEOMETRY.body_bytes() };

    pub(crate) fn shape() -> Shape {
        Shape::of::<T>("value", 1)
    }

    /// Writes the first value into the zeroed body of a new object.
    pub(crate) fn init(body: NonNull<u8>, value: &T) {
        if T::SCALAR {
            // SAFETY: the body has `BODY_BYTES`, is aligned, and nobody else knows it yet.
            let word = unsafe { word_at(body) };
            word::store(word, *value);
        } else {
            // SAFETY: as above.
            let copies = unsafe { copies_at(body, Self::GEOMETRY) };
            copies.init(|index| take(value, index));
        }
    }

    /// Wraps an object that was checked to be a value of this type.
    pub(crate) fn over(object: Object) -> Result<Self> {
        if object.body_bytes() < Self::BODY_BYTES {
            let what = format!("the value {}", object.name().unwrap_or("of a received handle"));
            return Err(Error::Corrupt { what, why: "its body is too short" });
        }
        // INVARIANT: the shape and the length were checked; whatever the bytes are is valid.
        let body = object.body();
        // SAFETY: the object keeps its segment mapped.
        let me = unsafe { Me::of(object.segment()) };
        Ok(Self { body, me, spin: Spin::new(), object, holds: PhantomData })
    }

    #[inline]
    pub(crate) fn spin(&self) -> &Spin {
        &self.spin
    }

    /// The word of a scalar.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU64 {
        debug_assert!(T::SCALAR, "only a scalar is a word");
        // SAFETY: by the type invariant.
        unsafe { word_at(self.body) }
    }

    /// The words before the copies of what is no scalar.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        debug_assert!(!T::SCALAR, "a scalar has no header");
        // SAFETY: by the type invariant; atomics only.
        unsafe { self.body.cast::<Header>().as_ref() }
    }

    #[inline]
    fn copies(&self) -> Copies<'_> {
        // SAFETY: by the type invariant.
        unsafe { copies_at(self.body, Self::GEOMETRY) }
    }

    /// Puts every byte of the value.
    ///
    /// `lost` counts tries. It is all that is kept between them, so that the words of a small value
    /// can stay in registers.
    #[inline]
    pub(crate) fn read(&self, out: &mut MaybeUninit<T>) {
        let mut lost = 0;
        while !self.header().try_read(self.copies(), |index, word| bytes::put(out, index, word)) {
            lost = self.after_lost_read(lost);
        }
        if lost == LOCKED {
            self.release_after_read();
        }
    }

    /// Takes the lock for the next read if too many were lost. Returns how many were lost.
    ///
    /// Not for long: a writer that is stopped, and so does not let go of the lock, does not move
    /// the version either; nor does this thread, should it be the writer.
    #[cold]
    #[inline(never)]
    fn after_lost_read(&self, lost: u32) -> u32 {
        core::hint::spin_loop();
        if lost == LOCKED || lost + 1 < READS {
            return lost.saturating_add(1);
        }
        match Held::wait(self, Some(Deadline::after(READ_WAIT))) {
            Ok(held) => {
                held.keep();
                LOCKED
            }
            Err(_) => 0,
        }
    }

    #[cold]
    #[inline(never)]
    fn release_after_read(&self) {
        drop(Held::kept(self));
    }

    /// Puts every byte of the value; this thread holds the lock.
    #[inline]
    pub(crate) fn read_locked<'c>(&self, out: &'c mut MaybeUninit<T>) -> &'c mut T {
        self.header().read_locked(self.copies(), |index, word| bytes::put(out, index, word));
        // SAFETY: every byte was put, and any bytes are a value.
        unsafe { out.assume_init_mut() }
    }

    /// The value, not by the stack; this thread holds the lock.
    pub(crate) fn read_locked_to_heap(&self) -> Box<T> {
        let mut copy = Box::new_uninit();
        self.read_locked(&mut copy);
        // SAFETY: every byte was put, and any bytes are a value.
        unsafe { copy.assume_init() }
    }

    /// Makes `new` the value; this thread holds the lock.
    #[inline]
    pub(crate) fn write_locked(&self, new: &T) {
        let staged = self.header().stage(self.copies(), |index| take(new, index));
        self.header().commit(staged);
    }
}

#[inline]
fn take<T: Stored>(value: &T, index: usize) -> u64 {
    // SAFETY: `Stored` promises that every byte is initialised.
    unsafe { bytes::take(value, index) }
}

/// The word of a scalar.
///
/// # Safety
///
/// `body` is aligned to 8 and has 8 bytes that live for `'a` and are only accessed atomically.
#[inline]
unsafe fn word_at<'a>(body: NonNull<u8>) -> &'a AtomicU64 {
    // SAFETY: by the contract.
    unsafe { body.cast::<AtomicU64>().as_ref() }
}

/// The copies behind the header of a value.
///
/// # Safety
///
/// `body` is aligned to 8 and has `geometry.body_bytes()` bytes that live for `'a` and are only
/// accessed atomically.
#[inline]
unsafe fn copies_at<'a>(body: NonNull<u8>, geometry: Geometry) -> Copies<'a> {
    // SAFETY: the body is longer than that.
    let first = unsafe { body.add(COPIES_OFFSET) };
    // SAFETY: by the contract, so many aligned words are behind it.
    let words = unsafe { slice::from_raw_parts(first.cast().as_ptr(), geometry.all_words()) };
    Copies::new(words, geometry)
}
