//! Pipes as such: made, named, and their ends taken.

use std::fmt;
use std::marker::PhantomData;

use crossproc_message::Message;
use crossproc_segment::{Object, Segment, Shape};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::end::{End, Sizes};
use crate::error::Result;
use crate::options::{PipeOptions, check};
use crate::pair::PipeEnd;
use crate::raw::Side;
use crate::recv::Receiver;
use crate::send::Sender;
use crate::share::Share;

const LAYOUT_VERSION: u32 = 2;

/// A pipe between two processes: the first end sends items of type `A` and receives those of type
/// `B`, the second the other way round.
///
/// Most programs make both ends at once, with [`Pipe::new`] or [`Pipe::one_way`], and send one of
/// them to another process. A `Pipe` itself is the pipe apart from its ends: for processes that meet
/// by name, and to take the place of one that died. It can be cloned and sent to other processes as
/// any handle, and each end is taken by one of them.
///
/// # Examples
///
/// ```
/// use crossproc_pipe::Pipe;
///
/// let (a, b) = Pipe::<String, u32>::new()?;
/// a.send(&"what is six times seven?".to_string())?;
/// let question = b.recv()?;
/// b.send(&(question.len() as u32 + 18))?;
/// assert_eq!(a.recv()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipe<A = (), B = A> {
    object: Object,
    sizes: Sizes,
    items: PhantomData<fn(A) -> B>,
}

impl<A: Message, B: Message> Pipe<A, B> {
    /// Makes a pipe in the segment that the process tree shares, and takes both its ends.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error): no room in the segment.
    #[expect(
        clippy::new_ret_no_self,
        reason = "as `std::sync::mpsc::channel`: the ends are what is used"
    )]
    pub fn new() -> Result<(PipeEnd<A, B>, PipeEnd<B, A>)> {
        Self::options().pair()
    }

    /// Makes a pipe in `segment`, and takes both its ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Pipe;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let (a, b) = Pipe::<u64, u64>::new_in(&segment)?;
    /// a.send(&1)?;
    /// assert_eq!(b.recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn new_in(segment: &Segment) -> Result<(PipeEnd<A, B>, PipeEnd<B, A>)> {
        Self::options().pair_in(segment)
    }

    /// Makes a pipe in `segment` of which nobody has an end yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::{Error, Pipe};
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let pipe = Pipe::<u64, u64>::closed_in(&segment)?;
    /// let a = pipe.first()?;
    /// assert!(matches!(pipe.first(), Err(Error::Taken { .. })));
    /// drop(a);
    /// assert!(pipe.first().is_ok());
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn closed_in(segment: &Segment) -> Result<Self> {
        Self::options().closed_in(segment)
    }

    /// Makes a pipe in `segment`, under a name by which others open it. Nobody has an end of it yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_pipe::Pipe;
    /// use crossproc_segment::Segment;
    ///
    /// let segment = Segment::anonymous(1 << 20)?;
    /// let server = Pipe::<u64, String>::create(&segment, "ask")?.second()?;
    /// let client = Pipe::<u64, String>::open(&segment, "ask")?.first()?;
    /// client.send(&7)?;
    /// server.send(&server.recv()?.to_string())?;
    /// assert_eq!(client.recv()?, "7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if the name is taken or breaks the rules for names.
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Self::options().create(segment, name)
    }

    /// Opens the pipe that has that name in `segment`.
    ///
    /// # Errors
    ///
    /// If there is none, or what has the name is no pipe of these types.
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::attach(segment.find(name, &Self::shape())?)
    }

    /// Opens the pipe that has that name, or makes it; of several processes that do so at once one
    /// makes it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Self::options().open_or_create(segment, name)
    }

    /// Makes a pipe with another capacity than the usual one.
    pub fn options() -> PipeOptions<A, B> {
        PipeOptions::new()
    }

    /// Takes the first end: one that was never taken, was closed, or whose process has died. What was
    /// sent to it and not received is still there; what its predecessor had sent is still on its way.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`](crate::Error::Taken) by a living process.
    pub fn first(&self) -> Result<PipeEnd<A, B>> {
        Ok(PipeEnd::new(End::take(self.object.clone(), self.sizes, Side::First, None)?))
    }

    /// Takes the second end, as [`first`](Self::first) does the first.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`](crate::Error::Taken) by a living process.
    pub fn second(&self) -> Result<PipeEnd<B, A>> {
        Ok(PipeEnd::new(End::take(self.object.clone(), self.sizes, Side::Second, None)?))
    }

    pub(crate) fn shape() -> Shape {
        Shape::of::<(A, B)>("pipe", LAYOUT_VERSION)
    }

    pub(crate) fn attach(object: Object) -> Result<Self> {
        let sizes = check(&object, 2)?;
        Ok(Self { object, sizes, items: PhantomData })
    }
}

impl Pipe<(), ()> {
    /// Makes a pipe of one direction in the segment that the process tree shares, and takes both its
    /// ends.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// tx.send(&1)?;
    /// assert_eq!(rx.recv()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn one_way<T: Message>() -> Result<(Sender<T>, Receiver<T>)> {
        Self::options().one_way()
    }

    /// Makes a pipe of one direction in `segment`, and takes both its ends.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn one_way_in<T: Message>(segment: &Segment) -> Result<(Sender<T>, Receiver<T>)> {
        Self::options().one_way_in(segment)
    }
}

impl<A, B> Pipe<A, B> {
    /// The segment in which the pipe lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }
}

/// A pipe of one direction apart from its ends, as [`Pipe`] is for two.
///
/// # Examples
///
/// ```
/// use crossproc_pipe::OneWay;
/// use crossproc_segment::Segment;
///
/// let segment = Segment::anonymous(1 << 20)?;
/// let rx = OneWay::<String>::create(&segment, "log")?.receiver()?;
/// let tx = OneWay::<String>::open(&segment, "log")?.sender()?;
/// tx.send(&"started".to_string())?;
/// assert_eq!(rx.recv()?, "started");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OneWay<T> {
    object: Object,
    sizes: Sizes,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Message> OneWay<T> {
    /// Makes a pipe in `segment` of which nobody has an end yet.
    ///
    /// # Errors
    ///
    /// As [`Pipe::new`].
    pub fn closed_in(segment: &Segment) -> Result<Self> {
        Pipe::<()>::options().one_way_closed_in(segment)
    }

    /// Makes a pipe in `segment`, under a name by which others open it.
    ///
    /// # Errors
    ///
    /// As [`Pipe::create`].
    pub fn create(segment: &Segment, name: &str) -> Result<Self> {
        Pipe::<()>::options().create_one_way(segment, name)
    }

    /// Opens the pipe that has that name in `segment`.
    ///
    /// # Errors
    ///
    /// As [`Pipe::open`].
    pub fn open(segment: &Segment, name: &str) -> Result<Self> {
        Self::attach(segment.find(name, &Self::shape())?)
    }

    /// Opens the pipe that has that name, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Pipe::open_or_create`].
    pub fn open_or_create(segment: &Segment, name: &str) -> Result<Self> {
        Pipe::<()>::options().open_or_create_one_way(segment, name)
    }

    /// Takes the sending end, as [`Pipe::first`].
    ///
    /// # Errors
    ///
    /// [`Error::Taken`](crate::Error::Taken) by a living process.
    pub fn sender(&self) -> Result<Sender<T>> {
        let end = End::take(self.object.clone(), self.sizes, Side::First, None)?;
        Ok(Sender::new(Share::new(end)))
    }

    /// Takes the receiving end, as [`Pipe::second`].
    ///
    /// # Errors
    ///
    /// [`Error::Taken`](crate::Error::Taken) by a living process.
    pub fn receiver(&self) -> Result<Receiver<T>> {
        let end = End::take(self.object.clone(), self.sizes, Side::Second, None)?;
        Ok(Receiver::new(Share::new(end)))
    }

    pub(crate) fn shape() -> Shape {
        Shape::of::<T>("pipe, one way", LAYOUT_VERSION)
    }

    pub(crate) fn attach(object: Object) -> Result<Self> {
        let sizes = check(&object, 1)?;
        Ok(Self { object, sizes, item: PhantomData })
    }
}

impl<T> OneWay<T> {
    /// The segment in which the pipe lives.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        self.object.segment()
    }
}

impl<A, B> Clone for Pipe<A, B> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), sizes: self.sizes, items: PhantomData }
    }
}

impl<T> Clone for OneWay<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), sizes: self.sizes, item: PhantomData }
    }
}

impl<A, B> fmt::Debug for Pipe<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("capacity", &self.sizes.capacity).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for OneWay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneWay").field("capacity", &self.sizes.capacity).finish_non_exhaustive()
    }
}

impl<A: Message, B: Message> Serialize for Pipe<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de, A: Message, B: Message> Deserialize<'de> for Pipe<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object::deserialize(&Self::shape(), deserializer)?;
        Self::attach(object).map_err(D::Error::custom)
    }
}

impl<T: Message> Serialize for OneWay<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de, T: Message> Deserialize<'de> for OneWay<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object::deserialize(&Self::shape(), deserializer)?;
        Self::attach(object).map_err(D::Error::custom)
    }
}
