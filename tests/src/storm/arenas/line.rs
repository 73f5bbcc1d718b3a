//! Queues as the arenas of queues see them: with levels, or with one.

use std::fmt::Debug;
use std::time::Duration;

use crossproc::crates::queue::Result;
use crossproc::{
    Cause, Consumer, GetError, PriorityConsumer, PriorityProducer, PriorityQueue, Producer,
    PutError, PutManyError, Queue, Segment, TryGetError, TryPutError,
};

use super::items::Item;

/// A queue of either kind.
pub(super) trait Line: Debug + Sized {
    type Item: Item;
    /// A counted handle of those who put.
    type Producer;
    /// A counted handle of those who take.
    type Consumer: Clone;

    /// How many levels it has.
    const LEVELS: usize;

    /// Makes one that counts the handles of `ends` processes a side.
    fn create(segment: &Segment, capacity: usize, ends: u32) -> Result<Self>;

    fn producer(&self) -> Result<Self::Producer>;
    fn consumer(&self) -> Result<Self::Consumer>;

    fn put(&self, level: usize, item: Self::Item) -> Result<(), PutError<Self::Item>>;
    fn try_put(&self, level: usize, item: Self::Item) -> Result<(), TryPutError<Self::Item>>;
    fn put_timeout(
        &self,
        level: usize,
        item: Self::Item,
        timeout: Duration,
    ) -> Result<(), TryPutError<Self::Item>>;

    fn get(&self) -> Result<(usize, Self::Item), GetError>;
    fn try_get(&self) -> Result<(usize, Self::Item), TryGetError>;
    fn get_timeout(&self, timeout: Duration) -> Result<(usize, Self::Item), TryGetError>;

    /// Puts as many of a run as it can; without waiting, or all of them.
    fn put_many(
        &self,
        level: usize,
        items: &[Self::Item],
        waits: bool,
    ) -> Result<usize, PutManyError>;
    fn get_many(&self, out: &mut Vec<(usize, Self::Item)>, most: usize) -> Result<usize, GetError>;
    fn peek(&self) -> Result<(usize, Self::Item), TryGetError>;
    /// Takes up to `most` items that are ready.
    fn drain(&self, most: usize) -> Result<Vec<(usize, Self::Item)>, TryGetError>;

    fn close(&self);
    fn why_closed(&self) -> Option<Cause>;
    fn is_empty(&self) -> bool;
}

impl<T: Item> Line for Queue<T> {
    type Item = T;
    type Producer = Producer<T>;
    type Consumer = Consumer<T>;

    const LEVELS: usize = 1;

    fn create(segment: &Segment, capacity: usize, ends: u32) -> Result<Self> {
        Self::options().ends(ends as usize).create(segment, "flow", capacity)
    }

    fn producer(&self) -> Result<Producer<T>> {
        Self::producer(self)
    }

    fn consumer(&self) -> Result<Consumer<T>> {
        Self::consumer(self)
    }

    fn put(&self, _: usize, item: T) -> Result<(), PutError<T>> {
        Self::put(self, item)
    }

    fn try_put(&self, _: usize, item: T) -> Result<(), TryPutError<T>> {
        Self::try_put(self, item)
    }

    fn put_timeout(&self, _: usize, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        Self::put_timeout(self, item, timeout)
    }

    fn get(&self) -> Result<(usize, T), GetError> {
        Self::get(self).map(|item| (0, item))
    }

    fn try_get(&self) -> Result<(usize, T), TryGetError> {
        Self::try_get(self).map(|item| (0, item))
    }

    fn get_timeout(&self, timeout: Duration) -> Result<(usize, T), TryGetError> {
        Self::get_timeout(self, timeout).map(|item| (0, item))
    }

    fn put_many(&self, _: usize, items: &[T], waits: bool) -> Result<usize, PutManyError> {
        match waits {
            true => Self::put_many(self, items).map(|()| items.len()),
            false => Self::try_put_many(self, items),
        }
    }

    fn get_many(&self, out: &mut Vec<(usize, T)>, most: usize) -> Result<usize, GetError> {
        let mut items = Vec::new();
        let got = Self::get_many(self, &mut items, most);
        out.extend(items.into_iter().map(|item| (0, item)));
        got
    }

    fn peek(&self) -> Result<(usize, T), TryGetError> {
        Self::peek(self).map(|item| (0, item))
    }

    fn drain(&self, most: usize) -> Result<Vec<(usize, T)>, TryGetError> {
        Self::drain(self).take(most).map(|item| Ok((0, item?))).collect()
    }

    fn close(&self) {
        Self::close(self);
    }

    fn why_closed(&self) -> Option<Cause> {
        Self::why_closed(self)
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<T: Item> Line for PriorityQueue<T> {
    type Item = T;
    type Producer = PriorityProducer<T>;
    type Consumer = PriorityConsumer<T>;

    const LEVELS: usize = 3;

    fn create(segment: &Segment, capacity: usize, ends: u32) -> Result<Self> {
        Self::options().ends(ends as usize).create(segment, "flow", Self::LEVELS, capacity)
    }

    fn producer(&self) -> Result<PriorityProducer<T>> {
        Self::producer(self)
    }

    fn consumer(&self) -> Result<PriorityConsumer<T>> {
        Self::consumer(self)
    }

    fn put(&self, level: usize, item: T) -> Result<(), PutError<T>> {
        Self::put(self, level, item)
    }

    fn try_put(&self, level: usize, item: T) -> Result<(), TryPutError<T>> {
        Self::try_put(self, level, item)
    }

    fn put_timeout(&self, level: usize, item: T, timeout: Duration) -> Result<(), TryPutError<T>> {
        Self::put_timeout(self, level, item, timeout)
    }

    fn get(&self) -> Result<(usize, T), GetError> {
        Self::get(self)
    }

    fn try_get(&self) -> Result<(usize, T), TryGetError> {
        Self::try_get(self)
    }

    fn get_timeout(&self, timeout: Duration) -> Result<(usize, T), TryGetError> {
        Self::get_timeout(self, timeout)
    }

    fn put_many(&self, level: usize, items: &[T], waits: bool) -> Result<usize, PutManyError> {
        match waits {
            true => Self::put_many(self, level, items).map(|()| items.len()),
            false => Self::try_put_many(self, level, items),
        }
    }

    fn get_many(&self, out: &mut Vec<(usize, T)>, most: usize) -> Result<usize, GetError> {
        Self::get_many(self, out, most)
    }

    fn peek(&self) -> Result<(usize, T), TryGetError> {
        Self::peek(self)
    }

    fn drain(&self, most: usize) -> Result<Vec<(usize, T)>, TryGetError> {
        Self::drain(self).take(most).collect()
    }

    fn close(&self) {
        Self::close(self);
    }

    fn why_closed(&self) -> Option<Cause> {
        Self::why_closed(self)
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}
