//! What tools show of the members of a segment.

use core::sync::atomic::Ordering::{Acquire, Relaxed};

use super::MemberId;
use crate::segment::Segment;

/// One process that is attached to a segment, as it described itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its id in the segment.
    pub id: MemberId,
    /// Its pid, in its own pid namespace.
    pub pid: u32,
    /// Its start time, in clock ticks after boot.
    pub start: u64,
    /// What the kernel called it when it joined.
    pub name: String,
    /// Whether it lives; asked while the list was made.
    pub alive: bool,
}

/// A snapshot of the member table. Dead members show until the look-out has buried them.
pub(crate) fn list(segment: &Segment) -> Vec<MemberInfo> {
    let rows = segment.member_table().entries.iter();
    rows.filter_map(|entry| {
        // ORDERING: acquire: feeds `alive`.
        let id = MemberId::new(entry.id.load(Acquire))?;
        Some(MemberInfo {
            id,
            pid: entry.pid.load(Relaxed),
            start: entry.start.load(Relaxed),
            name: entry.name(),
            alive: segment.alive(id),
        })
    })
    .collect()
}
