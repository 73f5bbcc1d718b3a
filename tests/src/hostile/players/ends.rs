//! Counted producers and consumers of a queue.

use std::hint::black_box;

use anyhow::Result;
use crossproc::{Consumer, Producer, Queue, Segment};
use crossproc_message::{decode, encode};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

const CAPACITY: usize = 2;
const NAME: &str = "ends";
/// Few enough to be full now and then.
const PLACES: usize = 5;

pub(super) fn ends() -> Primitive {
    let count: crate::hostile::hand::Deed = count;
    Primitive { name: "queue ends", attach, die_in: Some(count), keep: Some(count) }
}

fn open(segment: &Segment) -> Result<Queue<u64>> {
    Ok(Queue::options().ends(PLACES).open_or_create(segment, NAME, CAPACITY)?)
}

/// Is counted on both sides until the process ends.
fn count(segment: &Segment) -> Result<()> {
    let queue = open(segment)?;
    std::mem::forget((queue.producer()?, queue.consumer()?));
    Ok(())
}

struct Ends(Queue<u64>);

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Ends(open(segment)?)))
}

impl Play for Ends {
    fn play(&self, hand: &Hand<'_>) {
        let queue = &self.0;
        let (mut producer, mut consumer) = (None, None);
        hand.timed("producer", || queue.producer().map(|made| producer = Some(made)));
        hand.timed("consumer", || queue.consumer().map(|made| consumer = Some(made)));
        hand.point();
        if let Some(producer) = &producer {
            put(producer, hand);
        }
        if let Some(consumer) = &consumer {
            get(consumer, hand);
        }
        hand.timed("recall", || queue.recall());
        hand.timed("counts, why_closed, Debug", || {
            black_box((queue.producers_counted(), queue.consumers_counted()));
            drop(format!("{queue:?} {:?}", queue.why_closed()));
        });
        hand.point();
        hand.timed("Producer drop", || drop(producer));
        hand.timed("Consumer drop", || drop(consumer));
        if hand.turn.is_last {
            hand.timed("close_now_timeout", || {
                assert!(queue.close_now_timeout(hand.patience()).len() < 1 << 20, "never ends");
            });
        }
    }
}

fn put(producer: &Producer<u64>, hand: &Hand<'_>) {
    let mut clone = None;
    hand.timed("Producer::clone", || clone = Some(producer.clone()));
    hand.timed("Producer::is_closed", || {
        black_box(producer.is_closed());
    });
    hand.point();
    for number in 0..=CAPACITY as u64 {
        hand.timed("Producer::put_timeout", || producer.put_timeout(number, hand.patience()));
    }
    hand.timed("Producer drop, not the last", || drop(clone));
}

fn get(consumer: &Consumer<u64>, hand: &Hand<'_>) {
    let (mut bytes, mut sent) = (Vec::new(), None);
    hand.timed("Consumer sent", || match encode(consumer, &mut bytes) {
        Ok(segments) => {
            sent = Some(segments);
            Answer::Done
        }
        Err(_) => Answer::NoRoom,
    });
    hand.point();
    if let Some(sent) = sent {
        hand.timed("Consumer received", || {
            match decode::<Consumer<u64>>(&bytes, sent.segments.clone()) {
                Ok(_) => Answer::Done,
                Err(_) => Answer::Message,
            }
        });
        hand.timed("take_back", || sent.take_back());
    }
    for _ in 0..=CAPACITY {
        hand.timed("Consumer::get_timeout", || consumer.get_timeout(hand.patience()));
    }
    hand.timed("Consumer::is_closed", || {
        black_box(consumer.is_closed());
    });
}
