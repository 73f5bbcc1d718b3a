//! `PriorityQueue`: items as words, and as messages in the slot and in blocks.

use std::hint::black_box;

use anyhow::{Result, ensure};
use crossproc::{Deadline, PriorityProducer, PriorityQueue, Segment, TryPutError, wait_any};
use crossproc_message::{decode, encode};

use super::queue::Item;
use crate::hostile::answer::Answer;
use crate::hostile::hand::{Deed, Hand, Play, Primitive};

const LEVELS: usize = 3;
const CAPACITY: usize = 2;
/// Few enough to be full now and then.
const PLACES: usize = 5;
/// More than all levels have places.
const MOST: usize = LEVELS * CAPACITY + 1;

pub(super) fn numbers() -> Primitive {
    primitive::<u64>("levels u64")
}

pub(super) fn texts() -> Primitive {
    primitive::<String>("levels String")
}

fn primitive<T: Item>(name: &'static str) -> Primitive {
    let count: Deed = count_for_good::<T>;
    Primitive { name, attach: attach::<T>, die_in: Some(count), keep: Some(count) }
}

struct Levels<T> {
    queue: PriorityQueue<T>,
    name: String,
}

fn open<T: Item>(segment: &Segment) -> Result<(PriorityQueue<T>, String)> {
    let name = format!("levels.{}", std::any::type_name::<T>().rsplit(':').next().unwrap_or("?"));
    let options = PriorityQueue::<T>::options().ends(PLACES);
    Ok((options.open_or_create(segment, &name, LEVELS, CAPACITY)?, name))
}

/// Is counted on both sides until the process ends.
fn count_for_good<T: Item>(segment: &Segment) -> Result<()> {
    let (queue, _) = open::<T>(segment)?;
    std::mem::forget((queue.producer()?, queue.consumer()?));
    Ok(())
}

fn attach<T: Item>(segment: &Segment) -> Result<Box<dyn Play>> {
    let (queue, name) = open::<T>(segment)?;
    // To put at a level that a queue does not say it has is the caller's mistake.
    ensure!(queue.levels() == LEVELS, "found with {} levels", queue.levels());
    if queue.is_empty() {
        // Something that is there when a round begins.
        for level in [0, LEVELS - 1] {
            queue.try_put(level, T::of(level as u64)).map_err(TryPutError::without_item)?;
        }
    }
    Ok(Box::new(Levels { queue, name }))
}

impl<T: Item> Play for Levels<T> {
    fn play(&self, hand: &Hand<'_>) {
        self.take_and_fill(hand);
        self.look(hand);
        self.runs(hand);
        self.count(hand);
        self.drain(hand);
        if hand.turn.is_last {
            self.close(hand);
        }
    }
}

impl<T: Item> Levels<T> {
    /// Whatever the words say, an item comes from a level that the handle knows.
    fn is_there(level: usize) {
        assert!(level < LEVELS, "an item of a level that is not there");
    }

    fn take_and_fill(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("try_get", || queue.try_get().map(|(level, _)| Self::is_there(level)));
        hand.point();
        hand.timed("get_timeout", || {
            queue.get_timeout(hand.patience()).map(|(level, _)| Self::is_there(level))
        });
        for level in (0..LEVELS).rev() {
            for number in 0..CAPACITY as u64 {
                hand.timed("try_put", || queue.try_put(level, T::of(number)));
            }
            hand.point();
        }
        hand.timed("put_timeout, full", || queue.put_timeout(1, T::of(1), hand.patience()));
        hand.timed("put_deadline, full", || {
            queue.put_deadline(0, T::of(0), Deadline::after(hand.patience()))
        });
    }

    fn look(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("len, level_len, is_empty, is_full, is_closed", || {
            assert!(queue.len() < MOST, "more items than places");
            assert!((0..LEVELS).all(|level| queue.level_len(level) <= CAPACITY), "more at a level");
            black_box((queue.is_empty(), queue.is_full(1), queue.is_closed()));
        });
        hand.timed("Debug", || drop(format!("{queue:?}")));
        hand.timed("open", || PriorityQueue::<T>::open(queue.segment(), &self.name));
        hand.waits("open_or_create", || {
            PriorityQueue::<T>::open_or_create(queue.segment(), &self.name, LEVELS, CAPACITY)
        });
        hand.timed("discard_unreachable", || queue.discard_unreachable());
        let (low, high) = (queue.space(0), queue.space(LEVELS - 1));
        hand.timed("wait_any", || match wait_any(&[queue, &low, &high], hand.patience()) {
            Ok(ready) if ready.is_empty() => Answer::InTime,
            Ok(_) => Answer::Done,
            Err(_) => Answer::Other,
        });
    }

    fn runs(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("peek", || queue.peek().map(|(level, _)| Self::is_there(level)));
        hand.timed("try_get_many", || queue.try_get_many(&mut Vec::new(), MOST));
        hand.point();
        let items: Vec<T> = (0..MOST as u64).map(T::of).collect();
        hand.timed("try_put_many", || queue.try_put_many(2, &items));
        hand.timed("put_many_timeout, full", || queue.put_many_timeout(0, &items, hand.patience()));
        hand.point();
        hand.timed("get_many_timeout", || {
            let mut got = Vec::new();
            let told = queue.get_many_timeout(&mut got, MOST, hand.patience());
            got.iter().for_each(|(level, _)| Self::is_there(*level));
            told
        });
        hand.timed("drain", || {
            // Another player may put all the time, and a broken peer as well.
            queue.drain().take(MOST).for_each(drop);
        });
    }

    fn count(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        let (mut producer, mut consumer, mut sent) = (None, None, None);
        let mut bytes = Vec::new();
        hand.timed("producer", || queue.producer().map(|made| producer = Some(made)));
        hand.timed("consumer", || queue.consumer().map(|made| consumer = Some(made)));
        hand.point();
        if let Some(producer) = &producer {
            hand.timed("Producer::clone, drop", || drop(producer.clone()));
            hand.timed("Producer::put_timeout", || {
                producer.put_timeout(1, T::of(1), hand.patience())
            });
            hand.timed("Producer sent", || match encode(producer, &mut bytes) {
                Ok(tickets) => {
                    sent = Some(tickets);
                    Answer::Done
                }
                Err(_) => Answer::NoRoom,
            });
        }
        hand.point();
        if let Some(sent) = sent {
            hand.timed("Producer received", || {
                decode::<PriorityProducer<T>>(&bytes, sent.segments.clone()).map(drop)
            });
            hand.timed("take_back", || sent.take_back());
        }
        if let Some(consumer) = &consumer {
            hand.timed("Consumer::get_timeout", || consumer.get_timeout(hand.patience()));
            hand.timed("Consumer::is_closed", || {
                black_box(consumer.is_closed());
            });
        }
        hand.timed("recall, counts, why_closed", || {
            queue.recall();
            black_box((queue.producers_counted(), queue.consumers_counted(), queue.why_closed()));
        });
        hand.point();
        hand.timed("Producer drop", || drop(producer));
        hand.timed("Consumer drop", || drop(consumer));
    }

    fn drain(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        for _ in 0..MOST {
            hand.timed("try_get", || queue.try_get().map(|(level, _)| Self::is_there(level)));
        }
        hand.point();
        hand.timed("get_timeout, empty", || queue.get_timeout(hand.patience()));
        hand.timed("get_deadline, empty", || queue.get_deadline(Deadline::after(hand.patience())));
        hand.timed("put_timeout", || queue.put_timeout(LEVELS - 1, T::of(1), hand.patience()));
    }

    fn close(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("put_timeout", || queue.put_timeout(0, T::of(1), hand.patience()));
        hand.timed("close", || queue.close());
        for level in 0..LEVELS {
            hand.timed("try_put, closed", || queue.try_put(level, T::of(0)));
        }
        // What is in comes out, then it says so.
        hand.timed("get_timeout, closed", || Answer::from(queue.get_timeout(hand.patience())));
        hand.timed("close_now_timeout", || {
            assert!(queue.close_now_timeout(hand.patience()).len() < MOST, "never ends");
        });
        hand.timed("get_timeout, drained", || Answer::from(queue.get_timeout(hand.patience())));
    }
}
