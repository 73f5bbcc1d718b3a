//! The words of leases in the header.

use crossproc_segment::wait::EventCount;

use crate::atomic::Ordering::Relaxed;
use crate::atomic::{AtomicU32, AtomicU64};

const fn reserved(words: usize) -> usize {
    if cfg!(crossproc_loom) { 0 } else { words }
}

/// The part of the header that concerns leases.
#[derive(Debug)]
#[repr(C)]
pub struct Desk {
    pub(super) returns: AtomicU64,
    pub(in crate::raw) entries: AtomicU32,
    pub(in crate::raw) joinable: AtomicU32,
    looked_ns: AtomicU64,
    pub(in crate::raw) limit_ns: AtomicU64,
    reserved: [AtomicU64; reserved(9)],
    room: EventCount,
    done: EventCount,
    reserved_too: [AtomicU64; reserved(2)],
}

#[cfg(not(crossproc_loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Desk>() == 128 && offset_of!(Desk, returns) == 0);
    assert!(offset_of!(Desk, entries) == 8 && offset_of!(Desk, joinable) == 12);
    assert!(offset_of!(Desk, looked_ns) == 16 && offset_of!(Desk, limit_ns) == 24);
    assert!(offset_of!(Desk, room) == 104 && offset_of!(Desk, done) == 108);
};

impl Desk {
    pub(in crate::raw) fn new() -> Self {
        Self {
            returns: AtomicU64::new(0),
            entries: AtomicU32::new(0),
            joinable: AtomicU32::new(0),
            looked_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(0),
            reserved: core::array::from_fn(|_| AtomicU64::new(0)),
            room: EventCount::new(),
            done: EventCount::new(),
            reserved_too: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// What those sleep on who wait for an entry.
    #[must_use]
    #[inline]
    pub fn room(&self) -> &EventCount {
        &self.room
    }

    /// What those sleep on who wait until all is done.
    #[must_use]
    #[inline]
    pub fn done(&self) -> &EventCount {
        &self.done
    }

    /// True for one caller in each `every_ns`, which then looks after the dead.
    #[must_use]
    pub fn is_look_due(&self, now_ns: u64, every_ns: u64) -> bool {
        let last = self.looked_ns.load(Relaxed);
        // A time in the future nobody wrote; and clocks of one machine do not differ.
        (now_ns.wrapping_sub(last) >= every_ns)
            && self.looked_ns.compare_exchange(last, now_ns, Relaxed, Relaxed).is_ok()
    }
}
