//! A scalar as it lies in shared memory: the low bits of one atomic word.
//!
//! Whatever its width, the word is 64 bits: sums, differences and bit operations are right in their
//! low bits whatever stands above, so one instruction on the whole word does for all widths. The
//! bits above the scalar mean nothing and are cut off by every load.
//!
//! # Orderings
//!
//! - **publish**: each store and each change (Release) to each load and each change (Acquire). What
//!   a process did before it changed the word is visible to whoever sees the change.
//!
//! # Deaths
//!
//! Every operation is one instruction, or a loop that ends with one: killed, it has happened or not.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crossproc_message::pod::Stored;

/// Loads the scalar.
#[inline]
pub(crate) fn load<T: Stored>(word: &AtomicU64) -> T {
    // ORDERING: acquire side of *publish*.
    T::from_bits(word.load(Acquire))
}

/// Stores a scalar.
#[inline]
pub(crate) fn store<T: Stored>(word: &AtomicU64, value: T) {
    // ORDERING: release side of *publish*.
    word.store(value.to_bits(), Release); // commit: the value is the new one
}

/// Stores a scalar and returns the one before.
#[inline]
pub(crate) fn swap<T: Stored>(word: &AtomicU64, value: T) -> T {
    // ORDERING: both sides of *publish*.
    T::from_bits(word.swap(value.to_bits(), AcqRel)) // commit: the value is the new one
}

/// Changes the scalar by `change`, which is called again if another changed it meanwhile. Returns
/// the scalar before and what `change` returned last.
#[inline]
pub(crate) fn update<T: Stored, R>(
    word: &AtomicU64,
    mut change: impl FnMut(&mut T) -> R,
) -> (T, R) {
    // ORDERING: acquire side of *publish*.
    let mut seen = word.load(Acquire);
    loop {
        let before = T::from_bits(seen);
        let mut value = before;
        let result = change(&mut value);
        // ORDERING: both sides of *publish*.
        match word.compare_exchange_weak(seen, value.to_bits(), AcqRel, Acquire) /* commit: the value is the new one */ {
            Ok(_) => return (before, result),
            Err(now) => seen = now,
        }
    }
}

/// Stores `new` if the scalar has the bits of `current`. Returns the scalar before, as an error if
/// it was another.
#[inline]
pub(crate) fn compare_exchange<T: Stored>(word: &AtomicU64, current: T, new: T) -> Result<T, T> {
    let mut seen = current.to_bits();
    loop {
        // ORDERING: both sides of *publish*.
        match word.compare_exchange(seen, new.to_bits(), AcqRel, Acquire) /* commit: the value is the new one */ {
            Ok(before) => return Ok(T::from_bits(before)),
            Err(now) => {
                let found = T::from_bits(now);
                if found.to_bits() != current.to_bits() {
                    return Err(found);
                }
                // The same scalar below other bits that mean nothing.
                seen = now;
            }
        }
    }
}
