//! The guard: a private copy of the value, written back when it is dropped.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::thread;

use crossproc_message::pod::Stored;

use crate::held::Held;

/// A private copy of a value, which becomes the value when this is dropped.
///
/// Writers wait meanwhile; readers ([`Value::get`](crate::Value::get)) do not, and see the value as
/// it was. The copy lies on the heap, so that a value of any size can be changed.
///
/// Nothing changes if a panic unwinds through it, if it is leaked or abandoned, if the process is
/// killed before the drop, or if it is dropped in a forked child, whose parent has the lock. A
/// leaked guard keeps writers out until the process ends.
#[must_use = "if it is dropped at once, the value is written back unchanged"]
pub struct ValueGuard<'a, T: Stored> {
    copy: Box<T>,
    /// Whether the thread was panicking already when the guard was made.
    panicking: bool,
    /// `None` once it was used up.
    held: Option<Held<'a, T>>,
}

impl<'a, T: Stored> ValueGuard<'a, T> {
    /// Wraps a copy of the value whose writers' lock is held.
    pub(crate) fn new(copy: Box<T>, held: Held<'a, T>) -> Self {
        Self { copy, panicking: thread::panicking(), held: Some(held) }
    }

    /// Drops the guard without writing anything back.
    ///
    /// # Examples
    ///
    /// ```
    /// # use crossproc_value::Value;
    /// let value = Value::new([1, 2])?;
    /// let mut guard = value.lock().unwrap();
    /// guard[0] = 7;
    /// guard.abandon();
    /// assert_eq!(value.get(), [1, 2]);
    /// # Ok::<(), crossproc_segment::Error>(())
    /// ```
    pub fn abandon(mut self) {
        drop(self.held.take());
    }
}

impl<T: Stored> Drop for ValueGuard<'_, T> {
    fn drop(&mut self) {
        let panicked = thread::panicking() && !self.panicking;
        if let (false, Some(held)) = (panicked, self.held.take()) {
            held.commit(&self.copy);
        }
    }
}

impl<T: Stored> Deref for ValueGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.copy
    }
}

impl<T: Stored> DerefMut for ValueGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.copy
    }
}

impl<T: Stored + fmt::Debug> fmt::Debug for ValueGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
