//! Items of all levels until the queue is closed and drained.

use std::iter::FusedIterator;

use crossproc_message::Message;

use super::handle::PriorityQueue;
use crate::error::GetError;
use crate::iter::step;

/// Items of a queue with levels until it is closed and drained; from [`PriorityQueue::iter`].
///
/// Each step is a [`PriorityQueue::get`]. An item that could not be read is an error and does not end
/// the loop; an item that this process cannot take, and a corrupt queue, do.
#[derive(Debug)]
pub struct PriorityIter<'q, T> {
    queue: &'q PriorityQueue<T>,
    done: bool,
}

impl<'q, T> PriorityIter<'q, T> {
    pub(super) fn new(queue: &'q PriorityQueue<T>) -> Self {
        Self { queue, done: false }
    }
}

impl<T: Message> Iterator for PriorityIter<'_, T> {
    type Item = Result<(usize, T), GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        step(&mut self.done, || self.queue.get())
    }
}

impl<T: Message> FusedIterator for PriorityIter<'_, T> {}

impl<'q, T: Message> IntoIterator for &'q PriorityQueue<T> {
    type Item = Result<(usize, T), GetError>;
    type IntoIter = PriorityIter<'q, T>;

    fn into_iter(self) -> PriorityIter<'q, T> {
        self.iter()
    }
}
