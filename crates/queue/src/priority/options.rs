//! Sizes of a queue with levels that is being made.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crossproc_message::Message;
use crossproc_segment::Segment;

use super::handle::PriorityQueue;
use crate::error::{Error, Result};
use crate::options::{ENDS, places_of};
use crate::plan::Plan;
use crate::raw::{Geometry, Header, MAX_LEVELS, size_for};

/// Sizes of a queue with levels that is being made; from [`PriorityQueue::options`].
///
/// The bytes concern items without a fixed size, such as strings: for others the type says it all.
///
/// # Examples
///
/// ```
/// use crossproc_queue::{PriorityQueue, TryPutError};
///
/// let options = PriorityQueue::<String>::options().inline_bytes(1000).max_message_bytes(1 << 20);
/// let queue = options.bounded(2, 16)?;
/// queue.put(0, "x".repeat(900))?;
/// let refused = queue.try_put(1, "x".repeat(1 << 21));
/// assert!(matches!(refused, Err(TryPutError::TooLarge { limit: 1048576, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "options make nothing by themselves"]
pub struct PriorityOptions<T> {
    inline_bytes: Option<usize>,
    max_message_bytes: u64,
    ends: u32,
    item: PhantomData<fn(T) -> T>,
}

/// What is made: rings of this geometry.
struct Sizes {
    geometry: Geometry,
    levels: u32,
    ring_bytes: usize,
    bytes: usize,
}

impl<T: Message> PriorityOptions<T> {
    pub(super) fn new() -> Self {
        let max_message_bytes = u64::MAX;
        Self { inline_bytes: None, max_message_bytes, ends: ENDS, item: PhantomData }
    }

    /// How many processes at a time can have counted handles, on each side, of all levels together; see
    /// [`PriorityQueue::producer`]. 64 unless said otherwise, 65,536 at most; each costs 16 bytes a
    /// level. With 0 nothing is ever counted.
    pub fn ends(mut self, processes: usize) -> Self {
        self.ends = places_of(processes);
        self
    }

    /// Messages up to this length lie in the queue itself; longer ones each in a block of the
    /// segment's memory. 104 bytes unless said otherwise; rounded up to whole cache lines.
    pub fn inline_bytes(mut self, bytes: usize) -> Self {
        self.inline_bytes = Some(bytes);
        self
    }

    /// Longer messages are refused. Without it only the segment's memory bounds them.
    pub fn max_message_bytes(mut self, bytes: u64) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// As [`PriorityQueue::bounded`].
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::bounded`].
    pub fn bounded(&self, levels: usize, capacity: usize) -> Result<PriorityQueue<T>> {
        // The sizes first: what cannot be made needs no segment.
        let sizes = self.sizes(levels, capacity)?;
        Self::make(&Segment::tree()?, None, &sizes)
    }

    /// As [`PriorityQueue::bounded_in`].
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::bounded_in`].
    pub fn bounded_in(
        &self,
        segment: &Segment,
        levels: usize,
        capacity: usize,
    ) -> Result<PriorityQueue<T>> {
        Self::make(segment, None, &self.sizes(levels, capacity)?)
    }

    /// As [`PriorityQueue::create`].
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::create`].
    pub fn create(
        &self,
        segment: &Segment,
        name: &str,
        levels: usize,
        capacity: usize,
    ) -> Result<PriorityQueue<T>> {
        Self::make(segment, Some(name), &self.sizes(levels, capacity)?)
    }

    /// As [`PriorityQueue::open_or_create`]; a queue that was there keeps its own sizes.
    ///
    /// # Errors
    ///
    /// As [`PriorityQueue::open_or_create`].
    pub fn open_or_create(
        &self,
        segment: &Segment,
        name: &str,
        levels: usize,
        capacity: usize,
    ) -> Result<PriorityQueue<T>> {
        let sizes = self.sizes(levels, capacity)?;
        let shape = PriorityQueue::<T>::shape();
        let (object, _) = segment.find_or_construct(name, &shape, sizes.bytes, init(&sizes))?;
        PriorityQueue::attach(object)
    }

    fn make(segment: &Segment, name: Option<&str>, sizes: &Sizes) -> Result<PriorityQueue<T>> {
        let shape = PriorityQueue::<T>::shape();
        PriorityQueue::attach(segment.construct(name, &shape, sizes.bytes, init(sizes))?)
    }

    fn sizes(&self, levels: usize, capacity: usize) -> Result<Sizes> {
        let count = u32::try_from(levels).ok().filter(|levels| (1..=MAX_LEVELS).contains(levels));
        let count = count.ok_or(Error::Levels { levels })?;
        let plan = Plan::of::<T>(self.inline_bytes);
        let (geometry, _) = plan.geometry(capacity, self.max_message_bytes, self.ends)?;
        let overflow = Error::SizeOverflow { capacity, slot_bytes: plan.bytes as u64 };
        let Some(ring_bytes) = ring_bytes(&geometry) else { return Err(overflow) };
        let bytes = ring_bytes.checked_mul(levels).filter(|&bytes| isize::try_from(bytes).is_ok());
        Ok(Sizes { geometry, levels: count, ring_bytes, bytes: bytes.ok_or(overflow)? })
    }
}

/// Bytes from one ring to the next.
pub(super) fn ring_bytes(geometry: &Geometry) -> Option<usize> {
    size_for(geometry)?.checked_next_multiple_of(align_of::<Header>())
}

/// Fills the zeroed body of a new queue.
fn init(sizes: &Sizes) -> impl FnOnce(NonNull<u8>) {
    let Sizes { geometry, levels, ring_bytes, .. } = *sizes;
    move |body| {
        for level in 0..levels as usize {
            // SAFETY: the body has `levels` times as many bytes.
            let ring = unsafe { body.add(level * ring_bytes) };
            // SAFETY: zeroed, aligned to 128, and larger than a header.
            let header = unsafe { ring.cast::<Header>().as_ref() };
            // Those of the first ring count for all.
            let ends = if level == 0 { geometry.ends } else { 0 };
            header.init(Geometry { ends, ..geometry });
        }
        // SAFETY: as above, for the first.
        unsafe { body.cast::<Header>().as_ref() }.init_levels(levels);
    }
}
