//! Tickets: handles inside messages, in a queue and by themselves.

use anyhow::Result;
use crossproc::{Lock, Queue, Segment, Value};
use crossproc_message::{decode, encode};
use serde::{Deserialize, Serialize};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn primitive() -> Primitive {
    Primitive { name: "ticket", attach, die_in: None, keep: None }
}

/// A message with handles inside.
#[derive(Serialize, Deserialize)]
struct Parcel {
    lock: Lock,
    values: Vec<Value<u64>>,
    note: String,
}

struct Tickets {
    queue: Queue<Parcel>,
    lock: Lock,
    value: Value<u64>,
}

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Tickets {
        queue: Queue::open_or_create(segment, "ticket.queue", 2)?,
        lock: Lock::open_or_create(segment, "ticket.lock")?,
        value: Value::open_or_create(segment, "ticket.value", 3)?,
    }))
}

impl Tickets {
    fn parcel(&self) -> Parcel {
        let values = vec![self.value.clone(); 2];
        Parcel { lock: self.lock.clone(), values, note: "handle with care".to_owned() }
    }
}

impl Play for Tickets {
    fn play(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("put", || queue.try_put(self.parcel()));
        hand.timed("put again", || queue.put_timeout(self.parcel(), hand.patience()));
        hand.point();
        hand.timed("get", || queue.try_get());
        hand.point();
        hand.timed("get again", || queue.get_timeout(hand.patience()));
        hand.timed("discard_unreachable", || queue.discard_unreachable());
        hand.timed("get, none", || queue.try_get());
        hand.timed("encode, decode", || {
            let mut bytes = Vec::new();
            match encode(&self.parcel(), &mut bytes) {
                Ok(sent) => {
                    hand.point();
                    Answer::from(decode::<Parcel>(&bytes, sent.segments))
                }
                Err(_) => Answer::Message,
            }
        });
        hand.timed("encode, decode a segment", || {
            let mut bytes = Vec::new();
            match encode(queue.segment(), &mut bytes) {
                Ok(_) => Answer::from(decode::<Segment>(&bytes, Vec::new())),
                Err(_) => Answer::Message,
            }
        });
    }
}
