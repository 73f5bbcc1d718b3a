//! Counted handles of queues with levels: what is swept of them is in [`ends`](super::super::ends).

use std::time::Duration;

use crossproc_queue::{
    Error, GetError, PriorityConsumer, PriorityProducer, PriorityQueue, PutError, TryGetError,
    TryPutError,
};
use crossproc_segment::Segment;

use super::super::Item as _;
use super::super::ends::Sided;
use super::{HIGH, LOW, Levels};

/// Odd numbers go to the high level.
fn level_of(number: u64) -> usize {
    if number % 2 == 1 { HIGH } else { LOW }
}

impl Sided for PriorityQueue<u64> {
    type Producer = PriorityProducer<u64>;
    type Consumer = PriorityConsumer<u64>;

    fn create(segment: &Segment, capacity: usize) -> Result<Self, Error> {
        Self::options().ends(2).create(segment, "queue", 2, capacity / 2)
    }

    fn producer(&self) -> Result<PriorityProducer<u64>, Error> {
        Self::producer(self)
    }

    fn consumer(&self) -> Result<PriorityConsumer<u64>, Error> {
        Self::consumer(self)
    }

    fn put_by(producer: &PriorityProducer<u64>, number: u64) -> Result<(), PutError<u64>> {
        producer.put(level_of(number), u64::new(number))
    }

    fn put(&self, number: u64) -> Result<(), PutError<u64>> {
        Self::put(self, level_of(number), u64::new(number))
    }

    fn put_timeout(&self, number: u64, timeout: Duration) -> Result<(), TryPutError<u64>> {
        Self::put_timeout(self, level_of(number), u64::new(number), timeout)
    }

    fn get(&self) -> Result<u64, GetError> {
        Self::get(self).map(|(_, item)| item)
    }

    fn get_timeout(&self, timeout: Duration) -> Result<u64, TryGetError> {
        Self::get_timeout(self, timeout).map(|(_, item)| item)
    }

    fn is_full(&self) -> bool {
        [HIGH, LOW].iter().all(|&level| Self::is_full(self, level))
    }

    fn check_closed(&self, segment: &Segment, items: &[u64]) -> Result<bool, String> {
        let (segment, queue) = (segment.clone(), self.clone());
        let (high, low): (Vec<u64>, Vec<u64>) =
            items.iter().partition(|&&number| level_of(number) == HIGH);
        Levels { segment, queue, high: [].into(), low: [].into() }.check_closed(&high, &low)
    }
}
