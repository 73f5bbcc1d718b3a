//! The handle of a queue.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crossproc_message::Message;
use crossproc_message::words::WORD_BYTES;
use crossproc_segment::wait::Spin;
use crossproc_segment::{Me, MemberId, Object, Segment, Shape};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Result;
use crate::lease::Clerk;
use crate::options::QueueOptions;
use crate::plan::Plan;
use crate::raw::{Form, Header, Levels, Ring, Row, SLOTS_OFFSET, Side};
use crate::stream::Distance;

const KIND: &str = "queue";
const LAYOUT_VERSION: u32 = 3;

/// A bounded queue for any number of producers and consumers in any number of processes.
///
/// Items come out in the order in which they were put, each once, whoever is killed at whatever
/// instruction: a producer that dies in the middle of [`put`](Self::put) never put its item, a
/// consumer that dies in the middle of [`get`](Self::get) has taken it or has not.
///
/// The handle is cheap to clone and can be used by many threads at once. Sent to another process (as
/// an argument, inside a message) it is attached there. It keeps the segment mapped; the queue
/// itself lives as long as the segment, or until its name is removed and the last handle dropped.
///
/// Items of a few bytes and a size that their type fixes lie in the slots as they are, larger ones
/// are copied in and out, and those without a fixed size are messages: in the slot if they are
/// short, else in a block of the segment's memory.
///
/// A process that is *stopped* (not dead) in the middle of a `put` stops the consumers as soon as
/// its place comes up, since it may still go on.
///
/// # Examples
///
/// ```
/// use crossproc_queue::Queue;
///
/// let queue = Queue::<String>::bounded(8)?;
/// queue.put("first".to_string())?;
/// queue.put("second".to_string())?;
/// assert_eq!(queue.get()?, "first");
/// queue.close();
/// assert_eq!(queue.get()?, "second");
/// assert!(queue.get().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Invariants
///
/// `ring` views the body of `object`, whose geometry was checked; `me` is of its segment.
pub struct Queue<T> {
    pub(crate) object: Object,
    pub(crate) ring: Ring,
    /// Of which it is one, and which are closed and counted as a whole.
    pub(crate) levels: Option<Levels>,
    pub(crate) plan: Plan,
    pub(crate) max_bytes: u64,
    /// A put into a full queue takes the oldest item out.
    pub(crate) over: bool,
    pub(crate) producers: Spin,
    pub(crate) consumers: Spin,
    pub(crate) distance: Distance,
    pub(crate) clerk: Clerk,
    me: Me,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Message> Queue<T> {
    /// Makes a queue of `capacity` places in the segment that the process tree shares.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u64>::bounded(3)?;
    /// assert_eq!(queue.capacity(), 3);
    /// # Ok::<(), crossproc_queue::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error): a capacity of 0 or above 2^24, no room in the segment.
    pub fn bounded(capacity: usize) -> Result<Self> {
        Self::options().bounded(capacity)
    }

    /// Makes a queue of `capacity` places in `segment`, without a name: others get it in a message.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::Queue;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let queue = Queue::<u64>::bounded_in(&segment, 3)?;
    /// assert_eq!((queue.capacity(), queue.segment()), (3, &segment));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bounded`](Self::bounded).
    pub fn bounded_in(segment: &Segment, capacity: usize) -> Result<Self> {
        Self::options().bounded_in(segment, capacity)
    }

    /// Makes a queue of `capacity` places in `segment`, under a name by which others open it.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::Queue;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let queue = Queue::<u64>::create(&segment, "jobs", 100)?;
    /// let other = Queue::<u64>::open(&segment, "jobs")?;
    /// queue.put(7)?;
    /// assert_eq!(other.get()?, 7);
    /// assert!(Queue::<u64>::create(&segment, "jobs", 100).is_err());
    /// assert!(Queue::<f64>::open(&segment, "jobs").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`bounded`](Self::bounded), and if the name is taken or breaks the rules for names.
    pub fn create(segment: &Segment, name: &str, capacity: usize) -> Result<Self> {
        Self::options().create(segment, name, capacity)
    }

    /// Opens the queue that has that name in `segment`.
    ///
    /// # Errors
    ///
    /// If there is none, or what has the name is no queue of `T`; see [`create`](Self::create).
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::attach(segment.find(name, &Self::shape())?)
    }

    /// Opens the queue that has that name, or makes it; of several processes that do so at once
    /// one makes it. A queue that was there keeps its own capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::Queue;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let made = Queue::<u64>::open_or_create(&segment, "jobs", 100)?;
    /// let found = Queue::<u64>::open_or_create(&segment, "jobs", 5)?;
    /// assert_eq!((made.capacity(), found.capacity()), (100, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(segment: &Segment, name: &str, capacity: usize) -> Result<Self> {
        Self::options().open_or_create(segment, name, capacity)
    }

    /// Makes a queue with other sizes than the usual ones.
    pub fn options() -> QueueOptions<T> {
        QueueOptions::new()
    }

    pub(crate) fn shape() -> Shape {
        Shape::of::<T>(KIND, LAYOUT_VERSION)
    }

    /// Makes the handle of a queue in `object`, after checking that it is one.
    pub(crate) fn attach(object: Object) -> Result<Self> {
        let bytes = object.body_bytes();
        Self::attach_part(object, 0, bytes)
    }

    /// Makes the handle of the ring that lies in `bytes` of `object` from `offset` on, after checking
    /// that it is one. Consumers of all rings of the object sleep on one word, that of the first.
    pub(crate) fn attach_part(object: Object, offset: usize, bytes: usize) -> Result<Self> {
        let plan = Plan::of::<T>(None);
        let corrupt = || crossproc_segment::Error::Corrupt {
            what: object.name().map_or("a queue".to_owned(), |name| format!("queue {name:?}")),
            why: "its capacity and sizes do not fit its type or its memory",
        };
        let fits = offset.checked_add(bytes).is_some_and(|end| end <= object.body_bytes());
        if !fits || bytes < SLOTS_OFFSET || offset % align_of::<Header>() != 0 {
            return Err(corrupt().into());
        }
        let base = object.body().cast::<Header>();
        // SAFETY: within the body, as checked.
        let body = unsafe { object.body().add(offset) };
        let header = body.cast::<Header>();
        // SAFETY: the body is mapped, aligned to 128, large enough, and only accessed atomically.
        let found = unsafe { header.as_ref() }.check(plan.form, bytes);
        let found = found.filter(|found| plan.accepts(found)).ok_or_else(corrupt)?;
        // SAFETY: `check` found that the slots lie in the body.
        let slots = unsafe { body.add(SLOTS_OFFSET) }.cast();
        // SAFETY: as above; the object, and with it the mapping, lives as long as this handle.
        let ring = unsafe { Ring::new(header, slots, found.capacity, found.stride) };
        // SAFETY: the first header of the object is at the start of its body.
        let ring = unsafe { ring.with_base(base) };
        // SAFETY: `check` found that the rows lie in the body, behind the slots.
        let ring = unsafe { ring.with_ends(found.ends) };
        let entries = found.entries_offset().ok_or_else(corrupt)?;
        // SAFETY: `check` found that the entries lie in the body.
        let entries = unsafe { body.add(entries) }.cast();
        // SAFETY: as above, and that there are not too many.
        let ring = unsafe { ring.with_leases(entries, found.leases) };
        let ring = ring.with_limit(found.limit_ns);
        let (max_bytes, over) = (found.max_bytes, found.over);
        // SAFETY: the object keeps the segment mapped, and lives as long as this handle.
        let me = unsafe { Me::of(object.segment()) };
        // INVARIANT: the ring is the object's, as checked.
        Ok(Self {
            object,
            ring,
            levels: None,
            plan,
            max_bytes,
            over,
            producers: Spin::new(),
            consumers: Spin::new(),
            distance: Distance::new(),
            clerk: Clerk::new(),
            me,
            item: PhantomData,
        })
    }
}

impl<T> Queue<T> {
    /// Refuses new items for ever, in all processes; items that are in can still be taken. Wakes
    /// all who wait. Closing again does nothing.
    ///
    /// Never blocks. A process killed in it has closed the queue or has not.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_queue::{Queue, TryGetError, TryPutError};
    ///
    /// let queue = Queue::<u32>::bounded(2)?;
    /// queue.put(1)?;
    /// queue.close();
    /// assert!(matches!(queue.try_put(2), Err(TryPutError::Closed(2))));
    /// assert_eq!(queue.try_get()?, 1);
    /// assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        match &self.levels {
            Some(levels) => levels.close(),
            None => self.ring.close(),
        };
    }

    /// Tells whether the queue was closed, at that moment. Items may still be in it.
    ///
    /// One load, which says nothing of deaths that nobody has noticed yet; [`Producer::is_closed`]
    /// and [`Consumer::is_closed`] look.
    ///
    /// [`Producer::is_closed`]: crate::Producer::is_closed
    /// [`Consumer::is_closed`]: crate::Consumer::is_closed
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.levels.as_ref().map_or_else(|| self.ring.is_closed(), Levels::is_closed)
    }

    /// Items in the queue, at that moment; those just being put or taken count, and so do those that
    /// were given back, which take no place. Those on lease do not.
    #[must_use]
    pub fn len(&self) -> usize {
        let back = if self.ring.is_leased() { self.ring.count_back() } else { 0 };
        self.ring.len() as usize + back as usize
    }

    /// Tells whether the queue held nothing, at that moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether every place was taken, at that moment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ring.len() as usize == self.capacity()
    }

    /// How many items the queue can hold.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<u8>::bounded(3)?;
    /// queue.put(1)?;
    /// assert_eq!((queue.len(), queue.capacity()), (1, 3));
    /// assert!(!queue.is_empty() && !queue.is_full() && !queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// The segment in which the queue lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }

    #[inline]
    pub(crate) fn me(&self) -> MemberId {
        self.me.id().unwrap_or_else(|| self.newly_me())
    }

    /// In a forked child.
    #[cold]
    #[inline(never)]
    fn newly_me(&self) -> MemberId {
        self.segment().me()
    }

    /// The id as [`Me::bits`] has it.
    #[inline(always)]
    pub(crate) fn my_bits(&self) -> u32 {
        self.me.bits()
    }

    /// Tells whether this process is `me` still, and not a child that it forked.
    #[inline]
    pub(crate) fn is_still(&self, me: MemberId) -> bool {
        self.me.is_member(me)
    }

    /// Those who are counted at that side.
    pub(crate) fn row(&self, side: Side) -> Row<'_> {
        self.levels.as_ref().map_or_else(|| self.ring.row(side), |levels| levels.row(side))
    }

    /// The offset in the segment of a word of the queue.
    pub(crate) fn offset_of<W>(&self, word: NonNull<W>) -> u64 {
        self.object.offset_of(word)
    }

    /// Bytes that a message may have in its slot.
    pub(crate) fn inline_bytes(&self) -> usize {
        debug_assert_eq!(self.plan.form, Form::Messages);
        (self.ring.payload_words() + 1 - crate::plan::MESSAGE_WORDS) * WORD_BYTES
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            object: self.object.clone(),
            ring: self.ring,
            levels: self.levels.clone(),
            plan: self.plan,
            max_bytes: self.max_bytes,
            over: self.over,
            producers: Spin::new(),
            consumers: Spin::new(),
            distance: Distance::new(),
            clerk: Clerk::new(),
            me: self.me,
            item: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .field("producers", &self.producers_counted())
            .field("consumers", &self.consumers_counted())
            .finish_non_exhaustive()
    }
}

impl<T: Message> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de, T: Message> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object::deserialize(&Self::shape(), deserializer)?;
        Self::attach(object).map_err(D::Error::custom)
    }
}
