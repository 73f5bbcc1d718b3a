//! How far apart the two sides of a stream keep.
//!
//! Where items come one after the other, both sides are the faster the fewer lines both of them want at the same
//! time. Three things keep them apart; each of them only pauses, where that paid off the last time ([`Spin`]),
//! and none waits for anybody:
//!
//! - who finds the ring empty comes back when several items are there;
//! - who finds it full comes back when a good part of it is free;
//! - who takes items of about a line each, and is found at the producers' heels, lets them get ahead. It may
//!   never find the ring empty: a line takes as long to come as the producer, who waits for the one after it,
//!   needs for an item. 64 bytes took 165 ns so where the processors are far from each other, and 50 with it.

use crossproc_segment::wait::Spin;

use crate::put::Patience;
use crate::queue::Queue;

/// Slots that nobody can empty within a pause.
const SLOTS_A_PAUSE: u32 = 4;
/// The part of a ring, a half, that is to be free before it is filled up again, or to be full before it is
/// emptied.
const ENOUGH: u32 = 2;
/// Pauses in which producers get ahead of one who takes items of about a line each: 6 us.
const WIDE_PAUSES: u32 = 256;

impl<T> Queue<T> {
    /// Pauses, where that seems worth it, while the consumers make room for a good part of a long ring. Who
    /// fills it up again as soon as there is a little room is at their heels each time, and asks ahead for the
    /// lines that they are about to free.
    pub(crate) fn linger_for_room(&self) -> bool {
        let capacity = self.ring.capacity();
        let enough = || self.ring.is_free_ahead(capacity / ENOUGH);
        self.producers.linger_long(capacity / SLOTS_A_PAUSE, enough)
    }

    /// Pauses, where that seems worth it, until the producers have put several items; not for longer than they
    /// need for a good part of a short ring.
    pub(crate) fn linger_for_items(&self, spin: &Spin) -> bool {
        let enough = || self.ring.is_full_ahead(self.ring.capacity() / ENOUGH);
        if self.ring.is_wide() {
            spin.linger_long(WIDE_PAUSES, enough)
        } else {
            spin.linger_until(enough)
        }
    }

    /// Whether so many items are there, after one was taken, that it was worth lingering.
    pub(crate) fn more_came(&self) -> bool {
        if self.ring.is_wide() { !self.ring.is_trailing() } else { self.ring.has_item().is_ok() }
    }

    /// Lets the producers get ahead, where this consumer is at their heels and may wait; whether it did.
    pub(crate) fn keep_distance(&self, patience: Patience) -> bool {
        let trails = !matches!(patience, Patience::None)
            && self.ring.is_wide()
            && self.ring.has_item().is_ok()
            && self.ring.is_trailing();
        let lingered = trails && self.linger_for_items(&self.consumers);
        if lingered {
            self.consumers.lingered(self.more_came());
        }
        lingered
    }
}
