//! A lock with many readers or one writer.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
