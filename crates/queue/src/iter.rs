//! Items until the queue is closed and drained.

use std::iter::FusedIterator;

use crossproc_message::Message;

use crate::error::GetError;
use crate::queue::Queue;

/// Items of a queue until it is closed and drained; from [`Queue::iter`].
///
/// Each step is a [`Queue::get`]. An item that could not be read is an error and does not end the
/// loop; an item that this process cannot take, and a corrupt queue, do.
#[derive(Debug)]
pub struct Iter<'q, T> {
    queue: &'q Queue<T>,
    done: bool,
}

impl<'q, T> Iter<'q, T> {
    pub(crate) fn new(queue: &'q Queue<T>) -> Self {
        Self { queue, done: false }
    }
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.queue.get())
    }
}

impl<T: Message> FusedIterator for Iter<'_, T> {}

impl<'q, T: Message> IntoIterator for &'q Queue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'q, T>;

    fn into_iter(self) -> Iter<'q, T> {
        self.iter()
    }
}

/// One step of a loop until a queue is closed and drained; `done` once no other is to be made.
pub(crate) fn step<R>(
    done: &mut bool,
    get: impl FnOnce() -> Result<R, GetError>,
) -> Option<Result<R, GetError>> {
    if *done {
        return None;
    }
    let got = get();
    *done = !matches!(got, Ok(_) | Err(GetError::Malformed(_)));
    match got {
        Err(GetError::Closed) => None,
        got => Some(got),
    }
}
