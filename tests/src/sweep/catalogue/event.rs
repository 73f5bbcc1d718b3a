//! An event: a flag that processes wait for.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
