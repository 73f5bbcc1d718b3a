//! Items until the other end is gone and all was received.

use std::iter::FusedIterator;

use crossproc_message::Message;

use crate::error::RecvError;
use crate::pair::PipeEnd;
use crate::recv::Receiver;

/// Items of a pipe until nothing more can come; from [`Receiver::iter`].
///
/// Each step is a [`Receiver::recv`]. A message that was dropped is an error and does not end the
/// loop; an end that is not this process's, and a corrupt pipe, do.
#[derive(Debug)]
pub struct Iter<'p, T> {
    receiver: &'p Receiver<T>,
    done: bool,
}

impl<'p, T> Iter<'p, T> {
    pub(crate) fn new(receiver: &'p Receiver<T>) -> Self {
        Self { receiver, done: false }
    }
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.receiver.recv())
    }
}

impl<T: Message> FusedIterator for Iter<'_, T> {}

impl<'p, T: Message> IntoIterator for &'p Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'p, T>;

    fn into_iter(self) -> Iter<'p, T> {
        self.iter()
    }
}

/// Items of a pipe until nothing more can come; has the [`Receiver`], or the [`PipeEnd`], and closes it
/// when it is dropped.
#[derive(Debug)]
pub struct IntoIter<R> {
    end: R,
    done: bool,
}

impl<R> IntoIter<R> {
    fn new(end: R) -> Self {
        Self { end, done: false }
    }
}

impl<T: Message> Iterator for IntoIter<Receiver<T>> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.end.recv())
    }
}

impl<A, B: Message> Iterator for IntoIter<PipeEnd<A, B>> {
    type Item = Result<B, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.end.recv())
    }
}

impl<T: Message> FusedIterator for IntoIter<Receiver<T>> {}

impl<A, B: Message> FusedIterator for IntoIter<PipeEnd<A, B>> {}

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<Self>;

    fn into_iter(self) -> IntoIter<Self> {
        IntoIter::new(self)
    }
}

impl<A, B: Message> IntoIterator for PipeEnd<A, B> {
    type Item = Result<B, RecvError>;
    type IntoIter = IntoIter<Self>;

    fn into_iter(self) -> IntoIter<Self> {
        IntoIter::new(self)
    }
}

/// One step of a loop over what comes; `done` once no other is to be made.
fn step<T>(
    done: &mut bool,
    recv: impl FnOnce() -> Result<T, RecvError>,
) -> Option<Result<T, RecvError>> {
    if *done {
        return None;
    }
    let got = recv();
    *done = !matches!(got, Ok(_) | Err(RecvError::Malformed(_) | RecvError::TooLong { .. }));
    match got {
        Err(RecvError::Closed) => None,
        got => Some(got),
    }
}
