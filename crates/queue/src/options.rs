//! Sizes of a queue that is being made.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crossproc_message::Message;
use crossproc_segment::Segment;

use crate::error::Result;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::raw::{Geometry, Header, MAX_ENDS};

/// Places of a row unless the options say otherwise.
const ENDS: u32 = 64;

/// Sizes of a queue that is being made; from [`Queue::options`].
///
/// The bytes concern items without a fixed size, such as strings: for others the type says it all.
///
/// # Examples
///
/// ```
/// use crossproc_queue::{Queue, TryPutError};
///
/// let queue = Queue::<String>::options().inline_bytes(1000).max_message_bytes(1 << 20).bounded(16)?;
/// queue.put("x".repeat(900))?;
/// let refused = queue.try_put("x".repeat(1 << 21));
/// assert!(matches!(refused, Err(TryPutError::TooLarge { limit: 1048576, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "options make nothing by themselves"]
pub struct QueueOptions<T> {
    inline_bytes: Option<usize>,
    max_message_bytes: u64,
    ends: u32,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Message> QueueOptions<T> {
    pub(crate) fn new() -> Self {
        Self { inline_bytes: None, max_message_bytes: u64::MAX, ends: ENDS, item: PhantomData }
    }

    /// How many processes at a time can have counted handles, on each side; see
    /// [`Queue::producer`]. A handle on its way to another process counts as one. 64 unless said
    /// otherwise, 65,536 at most; each costs 16 bytes. With 0 nothing is ever counted.
    pub fn ends(mut self, processes: usize) -> Self {
        self.ends = u32::try_from(processes).map_or(MAX_ENDS, |places| places.min(MAX_ENDS));
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

    /// As [`Queue::bounded`].
    ///
    /// # Errors
    ///
    /// As [`Queue::bounded`].
    pub fn bounded(&self, capacity: usize) -> Result<Queue<T>> {
        let (geometry, bytes) = self.geometry(capacity)?;
        let segment = Segment::tree()?;
        Queue::attach(segment.construct(None, &Queue::<T>::shape(), bytes, init(geometry))?)
    }

    /// As [`Queue::create`].
    ///
    /// # Errors
    ///
    /// As [`Queue::create`].
    pub fn create(&self, segment: &Segment, name: &str, capacity: usize) -> Result<Queue<T>> {
        let (geometry, bytes) = self.geometry(capacity)?;
        Queue::attach(segment.construct(Some(name), &Queue::<T>::shape(), bytes, init(geometry))?)
    }

    /// As [`Queue::open_or_create`]; a queue that was there keeps its own sizes.
    ///
    /// # Errors
    ///
    /// As [`Queue::open_or_create`].
    pub fn open_or_create(
        &self,
        segment: &Segment,
        name: &str,
        capacity: usize,
    ) -> Result<Queue<T>> {
        let (geometry, bytes) = self.geometry(capacity)?;
        let shape = Queue::<T>::shape();
        let (object, _) = segment.find_or_construct(name, &shape, bytes, init(geometry))?;
        Queue::attach(object)
    }

    fn geometry(&self, capacity: usize) -> Result<(Geometry, usize)> {
        Plan::of::<T>(self.inline_bytes).geometry(capacity, self.max_message_bytes, self.ends)
    }
}

/// Fills the zeroed body of a new queue.
fn init(geometry: Geometry) -> impl FnOnce(NonNull<u8>) {
    move |body| {
        // SAFETY: the body is zeroed, aligned to 128, and larger than a header.
        unsafe { body.cast::<Header>().as_ref() }.init(geometry);
    }
}
