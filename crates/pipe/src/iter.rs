//! Items until the other end is gone and all was received.

use std::iter::FusedIterator;

use crossproc_message::Message;

use crate::error::RecvError;
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
        if self.done {
            return None;
        }
        let got = self.receiver.recv();
        let goes_on =
            matches!(got, Ok(_) | Err(RecvError::Malformed(_) | RecvError::TooLong { .. }));
        self.done = !goes_on;
        match got {
            Err(RecvError::Closed) => None,
            got => Some(got),
        }
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
