//! A condition variable, beside a lock.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
