//! The handle of a queue with levels.

use std::fmt;

use crossproc_message::Message;
use crossproc_segment::wait::{Look, Source, Spin, Waitable};
use crossproc_segment::{Object, Segment, Shape};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::options::{PriorityOptions, ring_bytes};
use crate::error::Result;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::raw::{Header, Levels, MAX_LEVELS, NoItem, SLOTS_OFFSET};
use crate::waitable::Space;

const KIND: &str = "priority queue";
const LAYOUT_VERSION: u32 = 1;

/// A bounded queue whose items have one of a few levels, for any number of producers and consumers
/// in any number of processes: who takes gets the oldest item of the **highest** level that has one.
///
/// Levels count from 0, the lowest, as a `BinaryHeap`'s greatest comes first and as with POSIX message
/// queues. What holds of a [`Queue`] holds of each level: items of one level come out in the
/// order in which they were put, each once, whoever is killed at whatever instruction. A process that
/// dies, or is stopped, in the middle of a `put` or `get` at one level keeps no item of another back.
///
/// **Lower levels starve** while higher ones always have items: that is what levels are for. An item
/// that must not wait for ever goes to a queue of its own, or in at a higher level.
///
/// **Each level has its own places**, [`capacity`](Self::capacity) of them. So many items of a low
/// level never keep an item of a high level out, as they would in places that all levels share: the
/// producer of the urgent item would have to wait for the consumers to get to the others.
///
/// [`producer`](Self::producer) and [`consumer`](Self::consumer) make counted handles, of all levels
/// together: when the last one of a side is dropped or its process ends, the queue closes. A queue of
/// which nobody was counted closes only by [`close`](Self::close).
///
/// **Not here**, of what a [`Queue`] has: leases and `join`, places (`reserve`, `get_ref`), and rings that
/// overwrite (`put_over`).
///
/// The handle is cheap to clone and can be used by many threads at once. Sent to another process (as
/// an argument, inside a message) it is attached there.
///
/// # Examples
///
/// ```
/// use crossproc_queue::PriorityQueue;
///
/// let jobs = PriorityQueue::<String>::bounded(3, 100)?;
/// jobs.put(0, "tidy up".to_string())?;
/// jobs.put(1, "answer".to_string())?;
/// jobs.put(2, "put out the fire".to_string())?;
/// jobs.put(1, "answer again".to_string())?;
/// jobs.close();
/// let order: Vec<(usize, String)> = jobs.iter().collect::<Result<_, _>>()?;
/// let order: Vec<_> = order.iter().map(|(level, job)| (*level, job.as_str())).collect();
/// assert_eq!(order, [(2, "put out the fire"), (1, "answer"), (1, "answer again"), (0, "tidy up")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// `levels` has the rings of `queues`, all in one object.
pub struct PriorityQueue<T> {
    pub(super) levels: Levels,
    /// Of each level its ring, as if it were a queue.
    pub(super) queues: Box<[Queue<T>]>,
    pub(super) consumers: Spin,
}

impl<T: Message> PriorityQueue<T> {
    /// Makes a queue with `levels` levels of `capacity` places each, in the segment that the process
    /// tree shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u64>::bounded(2, 10)?;
    /// assert_eq!((queue.levels(), queue.capacity()), (2, 10));
    /// assert!(crossproc_queue::PriorityQueue::<u64>::bounded(9, 10).is_err());
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error): no levels or more than 8, a capacity of 0 or above 2^24, no room in the
    /// segment.
    pub fn bounded(levels: usize, capacity: usize) -> Result<Self> {
        Self::options().bounded(levels, capacity)
    }

    /// As [`bounded`](Self::bounded), in `segment` and without a name: others reach it by a handle
    /// that is sent to them.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::PriorityQueue;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let queue = PriorityQueue::<u64>::bounded_in(&segment, 2, 10)?;
    /// assert_eq!(queue.segment(), &segment);
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bounded`](Self::bounded).
    pub fn bounded_in(segment: &Segment, levels: usize, capacity: usize) -> Result<Self> {
        Self::options().bounded_in(segment, levels, capacity)
    }

    /// Makes a queue in `segment`, under a name by which others open it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{PriorityQueue, Queue};
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let queue = PriorityQueue::<u64>::create(&segment, "jobs", 2, 10)?;
    /// let other = PriorityQueue::<u64>::open(&segment, "jobs")?;
    /// queue.put(1, 7)?;
    /// assert_eq!(other.get()?, (1, 7));
    /// assert!(PriorityQueue::<u64>::create(&segment, "jobs", 2, 10).is_err());
    /// assert!(Queue::<u64>::open(&segment, "jobs").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bounded`](Self::bounded), and if the name is taken or breaks the rules for names.
    pub fn create(segment: &Segment, name: &str, levels: usize, capacity: usize) -> Result<Self> {
        Self::options().create(segment, name, levels, capacity)
    }

    /// Opens the queue that has that name in `segment`; [`levels`](Self::levels) tells how many it has.
    ///
    /// # Errors
    ///
    /// If there is none, or what has the name is no priority queue of `T`; see
    /// [`create`](Self::create).
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::attach(segment.find(name, &Self::shape())?)
    }

    /// Opens the queue that has that name, or makes it; of several processes that do so at once one
    /// makes it. A queue that was there keeps its own levels and capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::PriorityQueue;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let made = PriorityQueue::<u64>::open_or_create(&segment, "jobs", 4, 10)?;
    /// let found = PriorityQueue::<u64>::open_or_create(&segment, "jobs", 2, 5)?;
    /// assert_eq!((found.levels(), found.capacity()), (4, 10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(
        segment: &Segment,
        name: &str,
        levels: usize,
        capacity: usize,
    ) -> Result<Self> {
        Self::options().open_or_create(segment, name, levels, capacity)
    }

    /// Makes a queue with other sizes than the usual ones.
    pub fn options() -> PriorityOptions<T> {
        PriorityOptions::new()
    }

    pub(super) fn shape() -> Shape {
        Shape::of::<T>(KIND, LAYOUT_VERSION)
    }

    /// Makes the handle of a queue in `object`, after checking that it is one.
    pub(super) fn attach(object: Object) -> Result<Self> {
        let corrupt = || crossproc_segment::Error::Corrupt {
            what: object.name().map_or("a queue".to_owned(), |name| format!("queue {name:?}")),
            why: "its levels do not fit its memory",
        };
        if object.body_bytes() < SLOTS_OFFSET {
            return Err(corrupt().into());
        }
        // SAFETY: the body is mapped, aligned to 128, large enough, and only accessed atomically.
        let header = unsafe { object.body().cast::<Header>().as_ref() };
        let levels = Some(header.levels()).filter(|levels| (1..=MAX_LEVELS).contains(levels));
        let levels = levels.ok_or_else(corrupt)?;
        // Each ring is checked by itself, against its own share of the memory.
        let found = header.check(Plan::of::<T>(None).form, object.body_bytes());
        let bytes = found.as_ref().and_then(ring_bytes).ok_or_else(corrupt)?;
        let queues = (0..levels as usize).map(|level| {
            let offset = level.checked_mul(bytes).ok_or_else(corrupt)?;
            Queue::attach_part(object.clone(), offset, bytes)
        });
        let mut queues: Box<[Queue<T>]> = queues.collect::<Result<_>>()?;
        // INVARIANT: the rings of these queues.
        let levels = Levels::new(queues.iter().map(|queue| queue.ring).collect());
        queues.iter_mut().for_each(|queue| queue.levels = Some(levels.clone()));
        Ok(Self { levels, queues, consumers: Spin::new() })
    }
}

impl<T> PriorityQueue<T> {
    /// Items in the queue, those just being put or taken included: of each level at one moment of the
    /// call, of all levels together not at the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::PriorityQueue::<u8>::bounded(2, 1)?;
    /// queue.put(1, 1)?;
    /// assert_eq!((queue.len(), queue.level_len(0), queue.level_len(1)), (1, 0, 1));
    /// assert!(queue.is_full(1) && !queue.is_full(0) && !queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }

    /// Items of one level, at that moment.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[must_use]
    pub fn level_len(&self, level: usize) -> usize {
        self.level(level).len()
    }

    /// Tells whether no level held anything, each at its moment of the call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(Queue::is_empty)
    }

    /// Tells whether every place of a level was taken, at that moment.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[must_use]
    pub fn is_full(&self, level: usize) -> bool {
        self.level(level).is_full()
    }

    /// How many levels there are; they count from 0, the lowest.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.queues.len()
    }

    /// How many items each level can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queues[0].capacity()
    }

    /// The segment in which the queue lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.queues[0].segment()
    }

    /// That a level has room for an item, as something that `wait_any` can wait for; the queue itself
    /// stands for an item that is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_queue::PriorityQueue;
    /// use crossproc_segment::wait::wait_any;
    ///
    /// let queue = PriorityQueue::<u8>::bounded(2, 1)?;
    /// queue.put(0, 1)?;
    /// let (low, high) = (queue.space(0), queue.space(1));
    /// assert_eq!(wait_any(&[&low, &high, &queue], Duration::from_secs(1))?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such level.
    #[must_use]
    pub fn space(&self, level: usize) -> Space<T> {
        Space(self.level(level).clone())
    }

    pub(crate) fn level(&self, level: usize) -> &Queue<T> {
        let levels = self.queues.len();
        self.queues.get(level).unwrap_or_else(|| {
            panic!("level {level} of a queue that has {levels}, which count from 0")
        })
    }

    /// Items that can be in the queue at most.
    pub(super) fn places(&self) -> usize {
        self.queues.iter().map(Queue::capacity).sum()
    }

    /// What one who waits for an item does about the dead, at each level; whether it is worth
    /// looking again.
    pub(crate) fn repair(&self) -> bool {
        // Counted for all levels at once.
        let mut any = self.queues[0].look_after_ends();
        for queue in &self.queues {
            any |= queue.ring.repair_head(|id| self.segment().alive(id));
        }
        any
    }
}

/// Ready when [`get`](PriorityQueue::get) would not block: an item is there, or the queue is closed. A
/// `put` at any level and a `close` wake the waiter.
impl<T> Waitable for PriorityQueue<T> {
    fn is_ready(&self, look: Look) -> bool {
        // Claims of many dead in a row are ended in one look.
        for _ in 0..=self.places() {
            let again = look == Look::Repair && self.repair();
            match self.levels.take(|level| self.queues[level].ring.has_item()) {
                Err(NoItem::Empty | NoItem::Pending) if again => {}
                Err(NoItem::Empty | NoItem::Pending) => return false,
                _ => return true,
            }
        }
        false
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.segment(), self.levels.items())
    }
}

impl<T> Clone for PriorityQueue<T> {
    fn clone(&self) -> Self {
        let (levels, queues) = (self.levels.clone(), self.queues.clone());
        Self { levels, queues, consumers: Spin::new() }
    }
}

impl<T> fmt::Debug for PriorityQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens: Vec<usize> = self.queues.iter().map(Queue::len).collect();
        f.debug_struct("PriorityQueue")
            .field("lens", &lens)
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .field("producers", &self.producers_counted())
            .field("consumers", &self.consumers_counted())
            .finish_non_exhaustive()
    }
}

impl<T: Message> Serialize for PriorityQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.queues[0].object.serialize(serializer)
    }
}

impl<'de, T: Message> Deserialize<'de> for PriorityQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object::deserialize(&Self::shape(), deserializer)?;
        Self::attach(object).map_err(D::Error::custom)
    }
}
