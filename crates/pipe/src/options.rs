//! Sizes of a pipe that is being made.

use std::marker::PhantomData;

use crossproc_message::Message;
use crossproc_segment::{Object, Segment, Shape};

use crate::end::Sizes;
use crate::error::{Error, Result};
use crate::pair::PipeEnd;
use crate::pipe::{OneWay, Pipe};
use crate::raw::{Header, MIN_CAPACITY, size_for};
use crate::recv::Receiver;
use crate::send::Sender;

/// Bytes of a ring unless the options say otherwise.
const CAPACITY: usize = 64 << 10;

/// Sizes of a pipe that is being made; from [`Pipe::options`].
///
/// # Examples
///
/// ```
/// use crossproc_pipe::Pipe;
///
/// let (a, b) = Pipe::<String, u64>::options().capacity(1 << 20).pair()?;
/// a.send(&"length?".to_string())?;
/// b.send(&(b.recv()?.len() as u64))?;
/// assert_eq!(a.recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "options make nothing by themselves"]
pub struct PipeOptions<A, B> {
    capacity: usize,
    items: PhantomData<fn(A) -> B>,
}

impl<A: Message, B: Message> PipeOptions<A, B> {
    pub(crate) fn new() -> Self {
        Self { capacity: CAPACITY, items: PhantomData }
    }

    /// Bytes of the ring of each direction: what can be on its way without the sender having to wait.
    /// 64 KiB unless said otherwise; rounded up to a power of two. A message of up to half of it goes
    /// in one piece, a longer one in parts.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// As [`Pipe::new`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::new`].
    pub fn pair(&self) -> Result<(PipeEnd<A, B>, PipeEnd<B, A>)> {
        self.pair_in(&Segment::tree()?)
    }

    /// As [`Pipe::new_in`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::new_in`].
    pub fn pair_in(&self, segment: &Segment) -> Result<(PipeEnd<A, B>, PipeEnd<B, A>)> {
        let pipe = self.closed_in(segment)?;
        Ok((pipe.first()?, pipe.second()?))
    }

    /// As [`Pipe::closed_in`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::closed_in`].
    pub fn closed_in(&self, segment: &Segment) -> Result<Pipe<A, B>> {
        Pipe::attach(self.construct(segment, None, &Pipe::<A, B>::shape(), 2)?)
    }

    /// As [`Pipe::create`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::create`].
    pub fn create(&self, segment: &Segment, name: &str) -> Result<Pipe<A, B>> {
        Pipe::attach(self.construct(segment, Some(name), &Pipe::<A, B>::shape(), 2)?)
    }

    /// As [`Pipe::open_or_create`]; a pipe that was there keeps its own sizes.
    ///
    /// # Errors
    ///
    /// As [`Pipe::open_or_create`].
    pub fn open_or_create(&self, segment: &Segment, name: &str) -> Result<Pipe<A, B>> {
        Pipe::attach(self.find_or_construct(segment, name, &Pipe::<A, B>::shape(), 2)?)
    }

    /// As [`Pipe::one_way`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::one_way`].
    pub fn one_way<T: Message>(&self) -> Result<(Sender<T>, Receiver<T>)> {
        self.one_way_in(&Segment::tree()?)
    }

    /// As [`Pipe::one_way_in`].
    ///
    /// # Errors
    ///
    /// As [`Pipe::one_way_in`].
    pub fn one_way_in<T: Message>(&self, segment: &Segment) -> Result<(Sender<T>, Receiver<T>)> {
        let pipe = self.one_way_closed_in::<T>(segment)?;
        Ok((pipe.sender()?, pipe.receiver()?))
    }

    /// As [`OneWay::closed_in`].
    ///
    /// # Errors
    ///
    /// As [`OneWay::closed_in`].
    pub fn one_way_closed_in<T: Message>(&self, segment: &Segment) -> Result<OneWay<T>> {
        OneWay::attach(self.construct(segment, None, &OneWay::<T>::shape(), 1)?)
    }

    /// As [`OneWay::create`].
    ///
    /// # Errors
    ///
    /// As [`OneWay::create`].
    pub fn create_one_way<T: Message>(&self, segment: &Segment, name: &str) -> Result<OneWay<T>> {
        OneWay::attach(self.construct(segment, Some(name), &OneWay::<T>::shape(), 1)?)
    }

    /// As [`OneWay::open_or_create`]; a pipe that was there keeps its own sizes.
    ///
    /// # Errors
    ///
    /// As [`OneWay::open_or_create`].
    pub fn open_or_create_one_way<T: Message>(
        &self,
        segment: &Segment,
        name: &str,
    ) -> Result<OneWay<T>> {
        OneWay::attach(self.find_or_construct(segment, name, &OneWay::<T>::shape(), 1)?)
    }

    fn construct(
        &self,
        segment: &Segment,
        name: Option<&str>,
        shape: &Shape,
        lanes: u32,
    ) -> Result<Object> {
        let (capacity, bytes) = self.sizes(lanes)?;
        Ok(segment.construct(name, shape, bytes, |body| {
            // SAFETY: the body is zeroed, aligned to 128, and larger than a header.
            unsafe { body.cast::<Header>().as_ref() }.init(capacity, lanes);
        })?)
    }

    fn find_or_construct(
        &self,
        segment: &Segment,
        name: &str,
        shape: &Shape,
        lanes: u32,
    ) -> Result<Object> {
        let (capacity, bytes) = self.sizes(lanes)?;
        let (object, _) = segment.find_or_construct(name, shape, bytes, |body| {
            // SAFETY: the body is zeroed, aligned to 128, and larger than a header.
            unsafe { body.cast::<Header>().as_ref() }.init(capacity, lanes);
        })?;
        Ok(object)
    }

    /// Tells whether pipes of this capacity can be made.
    pub(crate) fn check_capacity(&self) -> Result<()> {
        self.bytes().map(drop)
    }

    /// Bytes of a pipe of two directions.
    pub(crate) fn bytes(&self) -> Result<usize> {
        self.sizes(2).map(|(_, bytes)| bytes)
    }

    fn sizes(&self, lanes: u32) -> Result<(u64, usize)> {
        let least = usize::try_from(MIN_CAPACITY).unwrap_or(usize::MAX);
        let capacity = self.capacity.max(least).checked_next_power_of_two();
        let sizes = capacity.map(|capacity| capacity as u64);
        let sizes = sizes.and_then(|capacity| Some((capacity, size_for(capacity, lanes)?)));
        sizes.ok_or(Error::Capacity { capacity: self.capacity })
    }
}

/// The sizes of the pipe in `object`, after checking that it is one of so many lanes.
pub(crate) fn check(object: &Object, lanes: u32) -> Result<Sizes> {
    let corrupt = || crossproc_segment::Error::Corrupt {
        what: object.name().map_or("a pipe".to_owned(), |name| format!("pipe {name:?}")),
        why: "its capacity does not fit its type or its memory",
    };
    if object.body_bytes() < size_of::<Header>() {
        return Err(corrupt().into());
    }
    // SAFETY: the body is mapped, aligned to 128, large enough, and only accessed atomically.
    let header = unsafe { object.body().cast::<Header>().as_ref() };
    let capacity = header.check(lanes, object.body_bytes()).ok_or_else(corrupt)?;
    Ok(Sizes { capacity, lanes })
}
