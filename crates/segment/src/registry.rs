//! The segments that this process has mapped, so that each is mapped and joined once.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossproc_sys::fork;
use parking_lot::Mutex;

use crate::error::Result;
use crate::header::Identity;
use crate::segment::{FileId, Inner, Segment};

/// By file too: the copy of a file-backed segment has the identity of the original.
type Key = (Identity, FileId);

static MAPPED: Mutex<BTreeMap<Key, Weak<Inner>>> = Mutex::new(BTreeMap::new());

/// One that has lost its descriptor cannot be joined by a forked child, nor ask who lives.
fn usable(segment: &Weak<Inner>) -> Option<Arc<Inner>> {
    segment.upgrade().filter(|inner| inner.has_descriptor())
}

/// The segment, if this process has it mapped.
pub(crate) fn get(identity: Identity) -> Option<Segment> {
    // No fork while the table is locked: a child would find it locked for ever.
    let inner = fork::without_fork(|| {
        let mapped = MAPPED.lock();
        let from = mapped.range((identity, FileId::LEAST)..);
        from.take_while(|(key, _)| key.0 == identity).find_map(|(_, segment)| usable(segment))
    });
    inner.map(Segment::from_inner)
}

fn get_exactly(key: Key) -> Option<Segment> {
    let inner = fork::without_fork(|| MAPPED.lock().get(&key).and_then(usable));
    inner.map(Segment::from_inner)
}

/// The segment if it is mapped already, else the one that `make` maps; joined in either case.
pub(crate) fn get_or_insert(key: Key, make: impl FnOnce() -> Result<Inner>) -> Result<Segment> {
    if let Some(segment) = get_exactly(key) {
        segment.join()?;
        return Ok(segment);
    }
    let made = Arc::new(make()?);
    // Two threads may have mapped it at once: the first in the table stays.
    let inner = fork::without_fork(|| {
        let mut mapped = MAPPED.lock();
        mapped.retain(|_, segment| segment.strong_count() > 0);
        match mapped.get(&key).and_then(usable) {
            Some(first) => first,
            None => {
                mapped.insert(key, Arc::downgrade(&made));
                Arc::clone(&made)
            }
        }
    });
    let segment = Segment::from_inner(inner);
    segment.join()?;
    Ok(segment)
}
