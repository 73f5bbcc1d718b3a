//! Sizes of a queue that is being made.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_segment::Segment;

use crate::error::{Error, Result};
use crate::lease::as_ns;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::raw::{Geometry, Header, MAX_ENDS, MAX_LEASES, MAX_LIMIT_NS, entry_stride, size_for};

/// Places of a row unless the options say otherwise.
pub(crate) const ENDS: u32 = 64;
/// Items that can be leased at once, unless the options say otherwise or they are large.
const LEASES: u32 = 64;
/// Memory for leases that no queue is too small for.
const LEASE_BYTES: usize = 64 << 10;

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
    leases: Option<u32>,
    limit: Option<Duration>,
    joinable: bool,
    over: bool,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Message> QueueOptions<T> {
    pub(crate) fn new() -> Self {
        Self {
            inline_bytes: None,
            max_message_bytes: u64::MAX,
            ends: ENDS,
            leases: None,
            limit: None,
            joinable: false,
            over: false,
            item: PhantomData,
        }
    }

    /// How many processes at a time can have counted handles, on each side; see
    /// [`Queue::producer`]. A handle on its way to another process counts as one. 64 unless said
    /// otherwise, 65,536 at most; each costs 16 bytes. With 0 nothing is ever counted.
    pub fn ends(mut self, processes: usize) -> Self {
        self.ends = places_of(processes);
        self
    }

    /// How many items can be on lease at once, 65,536 at most; see [`Queue::lease`]. With 0 none can.
    ///
    /// Unless said otherwise as many as the queue has places, but no more than 64, and no more than
    /// fit into 64 KiB or an eighth of the queue's memory, but always one. Each takes about as much
    /// memory as a place.
    pub fn leases(mut self, items: usize) -> Self {
        self.leases = Some(u32::try_from(items).map_or(MAX_LEASES, |items| items.min(MAX_LEASES)));
        self
    }

    /// How long a lease lasts, from when it is handed out, unless it is extended: then its item goes to
    /// the next one, though its holder lives, and the holder's ack says so; see
    /// [`Lease::extend`](crate::Lease::extend). Without it as long as its holder has it.
    ///
    /// In steps of 4.2 ms, rounded up; 100 days at most. Whoever blocks in `lease`, `get` or `join` notices
    /// within 0.1 s that a lease ran out (on a machine that has time for it), or an eighth of the limit if that is longer, but within 1 s;
    /// who takes items all the time within some 50 ms or 32 items; `wait_any` and futures with their next look, which
    /// comes within 5 s at the latest. Until somebody has noticed, the late holder's ack succeeds. Anybody's
    /// look ends the lease, whether or not that one wants the item.
    ///
    /// The limit begins as the lease is handed out: an item's own code that hangs while it is read keeps
    /// the item. Own leases do not keep a closed queue open for their process, until they have run out.
    /// The end of a pipe in an item belongs to whoever read it first, and is lost to the next one while that one
    /// lives: such items do not go into a queue with a limit. The clock is the machine's monotonic one, which stands
    /// still while the machine sleeps, and which all processes have to share: not across time namespaces.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::{AckError, Queue};
    ///
    /// let queue = Queue::<u32>::options().lease_limit(Duration::from_millis(5)).bounded(4)?;
    /// queue.put(7)?;
    /// let slow = queue.lease()?;
    /// let next = queue.lease()?; // blocks until the first one ran out
    /// assert_eq!((*next, next.deliveries()), (7, 2));
    /// assert_eq!(slow.ack(), Err(AckError::Expired));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lease_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Has the queue know which items are not done yet, for [`Queue::join`]: an item that was got is
    /// done when the process that got it says so, with [`Queue::task_done`]. That makes `get` some
    /// nanoseconds slower, as it counts. An item that was read in place, with `get_ref`, is done when it
    /// is released. A process with items to be done uses one of the
    /// [`leases`](Self::leases), and one more for each item that it gets after that had come back.
    pub fn joinable(mut self) -> Self {
        self.joinable = true;
        self
    }

    /// Makes it a ring that keeps the newest items: each form of put into the full queue takes the
    /// oldest out and drops it, and so never blocks; see [`Queue::put_over`] and
    /// [`Queue::overwritten`].
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.over = overwrite;
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

    /// As [`Queue::bounded_in`].
    ///
    /// # Errors
    ///
    /// As [`Queue::bounded`].
    pub fn bounded_in(&self, segment: &Segment, capacity: usize) -> Result<Queue<T>> {
        let (geometry, bytes) = self.geometry(capacity)?;
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
        let plan = Plan::of::<T>(self.inline_bytes);
        let (mut geometry, bytes) = plan.geometry(capacity, self.max_message_bytes, self.ends)?;
        geometry.joinable = self.joinable;
        geometry.over = self.over;
        geometry.limit_ns = self.limit.map_or(0, |limit| as_ns(limit).clamp(1, MAX_LIMIT_NS));
        geometry.leases = self.leases.unwrap_or_else(|| default_leases(&geometry, bytes));
        if self.joinable {
            geometry.leases = geometry.leases.max(1);
        }
        let slot_bytes = plan.bytes as u64;
        let bytes = size_for(&geometry).ok_or(Error::SizeOverflow { capacity, slot_bytes })?;
        Ok((geometry, bytes))
    }
}

/// Entries that cost little beside the queue's other `bytes`.
fn default_leases(geometry: &Geometry, bytes: usize) -> u32 {
    let entry_bytes = entry_stride(geometry.stride) * size_of::<u64>();
    let afforded = (bytes / 8).max(LEASE_BYTES) / entry_bytes;
    let afforded = u32::try_from(afforded).unwrap_or(MAX_LEASES);
    geometry.capacity.min(LEASES).min(afforded).max(1)
}

/// Fills the zeroed body of a new queue.
fn init(geometry: Geometry) -> impl FnOnce(NonNull<u8>) {
    move |body| {
        // SAFETY: the body is zeroed, aligned to 128, and larger than a header.
        unsafe { body.cast::<Header>().as_ref() }.init(geometry);
    }
}

/// Places of a row for so many processes.
pub(crate) fn places_of(processes: usize) -> u32 {
    u32::try_from(processes).map_or(MAX_ENDS, |places| places.min(MAX_ENDS))
}
