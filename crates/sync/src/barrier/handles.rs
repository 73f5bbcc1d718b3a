//! How many handles to a barrier this process has: with the last one it takes part no more.
//!
//! Clones share an attachment, which can tell whether it has others; a handle that was opened or
//! received has an attachment of its own, which knows nothing of the first. Hence a count beside all
//! of them, in the memory of this process. A forked child inherits the handles, and the count with
//! them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crossproc_segment::Identity;
use crossproc_sys::fork;

/// A barrier: its segment, and where in it the words lie.
pub(super) type Key = (Identity, u64);

static HANDLES: Mutex<BTreeMap<Key, usize>> = Mutex::new(BTreeMap::new());

/// There is one more handle.
pub(super) fn add(barrier: Key) {
    with(|handles| *handles.entry(barrier).or_default() += 1);
}

/// There is one less. If it was the last, `leave` runs before another can be made.
pub(super) fn remove(barrier: Key, leave: impl FnOnce()) {
    with(|handles| {
        let Some(count) = handles.get_mut(&barrier) else { return };
        *count -= 1;
        if *count == 0 {
            handles.remove(&barrier);
            leave();
        }
    });
}

fn with<R>(f: impl FnOnce(&mut BTreeMap<Key, usize>) -> R) -> R {
    // A child that is forked meanwhile must not find the count locked.
    fork::without_fork(|| f(&mut HANDLES.lock().unwrap_or_else(PoisonError::into_inner)))
}
