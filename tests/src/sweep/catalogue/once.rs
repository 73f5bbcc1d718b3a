//! Something that is done once.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[];
