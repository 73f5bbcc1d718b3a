//! How far apart the two sides of a stream keep.
//!
//! Where items come one after the other, both sides are the faster the fewer lines both of them want at the same
//! time. Three things keep them apart; each of them only pauses, where that paid off the last time ([`Spin`]),
//! and none waits for anybody:
//!
//! - who finds the ring empty comes back when several items are there;
//! - who finds it full comes back when a good part of it is free;
//! - who takes items of about a line each, small ones by `get` or `lease` or short messages by `get`, and is found
//!   at the producers' heels, lets them get ahead. It may never find the ring empty: a line takes as long to come as the
//!   producer, who waits for the one after it, needs for an item. 64 bytes took 165 ns so where the processors are
//!   far from each other, and take 42 with it. It is asked once in [`DISTANCE`] places.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc_segment::wait::Spin;
use crossproc_sys::clock;

use crate::put::Patience;
use crate::queue::Queue;
use crate::raw::{DISTANCE, Near, Position};

/// Slots that nobody can empty within a pause.
const SLOTS_A_PAUSE: u32 = 4;
/// The most pauses of one who waits for room: some microseconds.
const ROOM_PAUSES: u32 = 256;
/// The part of a ring, a half, that is to be free before it is filled up again, or to be full before it is
/// emptied.
const ENOUGH: u32 = 2;
/// The most pauses in which producers get ahead: some 25 us, in which they fill a good part of a ring also where
/// each line is slow to come back to them.
const DISTANCE_PAUSES: u32 = 1024;
/// Who has less time does not pause for that.
const LONG_WAIT: Duration = Duration::from_millis(1);
/// Of how many times that it pays one is the last, by chance.
const TRY_WITHOUT_EVERY: u32 = 256;
/// Who takes [`DISTANCE`] items in more than that does something else.
const IDLE_NS: u32 = 100_000;
/// No item is left for trailing there.
const NOWHERE: u32 = u32::MAX;

/// Whether it pays to keep a distance, as one handle has found.
///
/// It does if the producers put items faster while they are left alone, compared with how long [`DISTANCE`] items
/// took without. Those of producers that do something else in between would all come late, and none the faster.
/// That a ring is to be longer than a few times the distance, and that several consumers see only some of the
/// places each, makes it pay less often, and nothing else. In few bytes, as each handle has it.
#[derive(Debug)]
pub(crate) struct Distance {
    spin: Spin,
    /// When an item was left last, the low half.
    left_ns: AtomicU32,
    /// What [`DISTANCE`] items took from one that was left to the next, a mean; 0 not known.
    pace_ns: AtomicU32,
    /// Where the next item is left if all producers stay as near.
    next: AtomicU32,
}

impl Distance {
    pub(crate) const fn new() -> Self {
        Self {
            spin: Spin::new(),
            left_ns: AtomicU32::new(0),
            pace_ns: AtomicU32::new(0),
            next: AtomicU32::new(NOWHERE),
        }
    }

    /// The item at `at` was left, the next one may be at `next`.
    fn left_at(&self, at: Position, next: Position) {
        let now_ns = now_ns();
        let took_ns = now_ns.wrapping_sub(self.left_ns.load(Relaxed));
        // One who was idle or held up meanwhile says little.
        if self.next.load(Relaxed) == low_half(at.bits()) && took_ns < IDLE_NS {
            let pace_ns = match self.pace_ns.load(Relaxed) {
                0 => took_ns,
                pace_ns => pace_ns - pace_ns / 8 + took_ns.min(2 * pace_ns) / 8,
            };
            self.pace_ns.store(pace_ns, Relaxed);
        }
        self.left_ns.store(now_ns, Relaxed);
        self.next.store(low_half(next.bits()), Relaxed);
    }

    /// So many items came since then.
    fn came(&self, items: u32) {
        let now_ns = now_ns();
        let took_ns = u64::from(now_ns.wrapping_sub(self.left_ns.load(Relaxed)));
        let without_ns = u64::from(self.pace_ns.load(Relaxed)) * u64::from(items);
        let much_faster = took_ns * u64::from(DISTANCE) < without_ns / 4 * 3;
        // What it is compared with gets old meanwhile.
        let is_tried_without = now_ns % TRY_WITHOUT_EVERY == 0;
        self.next.store(NOWHERE, Relaxed);
        self.spin.lingered(much_faster && !is_tried_without);
    }
}

fn now_ns() -> u32 {
    low_half(clock::now_ns())
}

/// Of a time, some seconds; of a place, its index and some laps.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn low_half(bits: u64) -> u32 {
    bits as u32
}

impl<T> Queue<T> {
    /// Pauses, where that seems worth it, while the consumers make room for a good part of a long ring. Who
    /// fills it up again as soon as there is a little room is at their heels each time, and asks ahead for the
    /// lines that they are about to free.
    pub(crate) fn linger_for_room(&self) -> bool {
        let capacity = self.ring.capacity();
        let enough = || self.ring.is_free_ahead(capacity / ENOUGH);
        self.producers.linger_long((capacity / SLOTS_A_PAUSE).min(ROOM_PAUSES), enough)
    }

    /// Pauses, where that seems worth it, until the producers have put several items; not for longer than they
    /// need for a good part of a short ring.
    pub(crate) fn linger_for_items(&self, spin: &Spin) -> bool {
        spin.linger_until(|| self.ring.is_full_ahead(self.ring.capacity() / ENOUGH))
    }

    /// Lets the producers get ahead, where an item was left because this consumer is at their heels, unless it
    /// may not wait for long; whether one was. Time goes by for `patience` meanwhile.
    pub(crate) fn keep_distance(&self, patience: &mut Patience, near: Option<&Near>) -> bool {
        let Some((at, next)) = self.ring.left_for_trailing(near) else { return false };
        *patience = patience.until();
        let has_time = !matches!(patience, Patience::None)
            && patience.deadline().is_none_or(|deadline| deadline.remaining() > LONG_WAIT);
        // Whoever does not wait for room would take out what is left.
        if has_time && !self.over {
            self.distance.left_at(at, next);
            let enough = || self.ring.is_full_after(at, self.ring.capacity() / ENOUGH);
            if self.distance.spin.linger_long(DISTANCE_PAUSES, enough) {
                self.distance.came(self.ring.came_after(at));
            }
        }
        true
    }
}
