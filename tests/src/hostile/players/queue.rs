//! `Queue`: items as words, as bytes, and as messages in the slot and in blocks.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use crossproc::{Deadline, Message, Queue, Segment};
use serde::{Deserialize, Serialize};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

const CAPACITY: usize = 3;

pub(super) fn numbers() -> Primitive {
    Primitive { name: "queue u64", attach: attach::<u64>, die_in: None, keep: None }
}

pub(super) fn records() -> Primitive {
    Primitive { name: "queue struct", attach: attach::<Record>, die_in: None, keep: None }
}

pub(super) fn blobs() -> Primitive {
    Primitive { name: "queue 128 B", attach: attach::<[u64; 16]>, die_in: None, keep: None }
}

pub(super) fn texts() -> Primitive {
    Primitive { name: "queue String", attach: attach::<String>, die_in: None, keep: None }
}

/// What has bytes that are no value.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    at: u64,
    level: f32,
    letter: char,
    ready: bool,
}

/// What can be put.
pub(super) trait Item: Message {
    fn of(number: u64) -> Self;

    /// Whether its leases run out.
    const RUNS_OUT: bool = false;
}

impl Item for u64 {
    fn of(number: u64) -> Self {
        number
    }
}

impl Item for Record {
    const RUNS_OUT: bool = true;

    fn of(number: u64) -> Self {
        Self { at: number, level: 0.5, letter: 'x', ready: true }
    }
}

impl Item for [u64; 16] {
    fn of(number: u64) -> Self {
        [number; 16]
    }
}

impl Item for String {
    const RUNS_OUT: bool = true;

    /// Each second one is too long for the slot.
    fn of(number: u64) -> Self {
        "crossproc ".repeat(if number % 2 == 0 { 3 } else { 40 })
    }
}

struct Filled<T> {
    queue: Queue<T>,
    name: String,
}

fn attach<T: Item>(segment: &Segment) -> Result<Box<dyn Play>> {
    let name = format!("queue.{}", std::any::type_name::<T>().rsplit(':').next().unwrap_or("?"));
    // Of half of them leases run out, of some before they are ended.
    let mut options = Queue::<T>::options();
    if T::RUNS_OUT {
        options = options.lease_limit(Duration::from_millis(5));
    }
    let queue = options.open_or_create(segment, &name, CAPACITY)?;
    if queue.is_empty() {
        // Something that is there when a round begins.
        queue.try_put(T::of(0)).map_err(crossproc::TryPutError::without_item)?;
        queue.try_put(T::of(1)).map_err(crossproc::TryPutError::without_item)?;
    }
    Ok(Box::new(Filled { queue, name }))
}

impl<T: Item> Play for Filled<T> {
    fn play(&self, hand: &Hand<'_>) {
        self.take_and_fill(hand);
        self.look(hand);
        self.runs(hand);
        self.lease(hand);
        self.drain(hand);
        if hand.turn.is_last {
            self.close(hand);
        }
    }
}

impl<T: Item> Filled<T> {
    fn take_and_fill(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("try_get", || queue.try_get());
        hand.point();
        hand.timed("get_timeout", || queue.get_timeout(hand.patience()));
        for number in 0..CAPACITY as u64 {
            hand.timed("try_put", || queue.try_put(T::of(number)));
            if number == 1 {
                hand.point();
            }
        }
        hand.timed("put_timeout, full", || queue.put_timeout(T::of(1), hand.patience()));
        hand.timed("put_deadline, full", || {
            queue.put_deadline(T::of(0), Deadline::after(hand.patience()))
        });
        hand.timed("try_put, full", || queue.try_put(T::of(1)));
    }

    fn look(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("len, is_empty, is_full, is_closed", || {
            // Those that were given back take no place.
            let most = queue.capacity() + queue.max_leases();
            assert!(queue.len() <= most, "more items than places");
            assert!(queue.leased() <= queue.max_leases(), "more on lease than can be");
            black_box((queue.is_empty(), queue.is_full(), queue.is_closed()));
        });
        hand.timed("Debug", || drop(format!("{queue:?}")));
        hand.timed("open", || Queue::<T>::open(queue.segment(), &self.name));
        hand.waits("open_or_create", || {
            Queue::<T>::open_or_create(queue.segment(), &self.name, CAPACITY)
        });
        hand.timed("discard_unreachable", || queue.discard_unreachable());
    }

    fn runs(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("peek", || queue.peek());
        hand.timed("try_get_many", || queue.try_get_many(&mut Vec::new(), 2));
        hand.point();
        let items: Vec<T> = (0..5).map(T::of).collect();
        hand.timed("try_put_many", || queue.try_put_many(&items));
        hand.timed("put_many_timeout, full", || queue.put_many_timeout(&items, hand.patience()));
        hand.timed("put_over", || queue.put_over(T::of(3)).map_err(|refused| refused.error));
        hand.point();
        hand.timed("get_many_timeout", || {
            queue.get_many_timeout(&mut Vec::new(), 2, hand.patience())
        });
    }

    fn lease(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        let (mut first, mut second, mut again) = (None, None, None);
        hand.timed("try_lease", || queue.try_lease().map(|lease| first = Some(lease)));
        hand.point();
        hand.timed("lease_timeout", || {
            queue.lease_timeout(hand.patience()).map(|lease| second = Some(lease))
        });
        hand.timed("leased, max_leases", || {
            black_box((queue.leased(), queue.max_leases()));
        });
        hand.point();
        if let Some(lease) = first {
            black_box(lease.deliveries());
            hand.timed("nack", || lease.nack());
        }
        hand.timed("lease_deadline", || {
            let deadline = Deadline::after(hand.patience());
            queue.lease_deadline(deadline).map(|lease| again = Some(lease))
        });
        for mut lease in [second, again].into_iter().flatten() {
            hand.timed("extend, time_left", || {
                black_box(lease.time_left());
                lease.extend(hand.patience())
            });
            hand.point();
            hand.timed("ack", || lease.ack());
        }
        hand.timed("task_done", || queue.task_done());
        hand.timed("try_join", || queue.try_join());
        hand.timed("join_timeout", || queue.join_timeout(hand.patience()));
        hand.timed("try_put", || queue.try_put(T::of(0)));
    }

    fn drain(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        for _ in 0..=CAPACITY {
            hand.timed("try_get", || queue.try_get());
        }
        hand.timed("get_timeout, empty", || queue.get_timeout(hand.patience()));
        hand.timed("get_deadline, empty", || queue.get_deadline(Deadline::after(hand.patience())));
        hand.timed("put_timeout", || queue.put_timeout(T::of(1), hand.patience()));
    }

    fn close(&self, hand: &Hand<'_>) {
        let queue = &self.queue;
        hand.timed("close", || queue.close());
        hand.timed("try_put, closed", || queue.try_put(T::of(0)));
        hand.timed("put_timeout, closed", || queue.put_timeout(T::of(1), hand.patience()));
        // What is in comes out, then it says so.
        for _ in 0..3 {
            hand.timed("get_timeout, closed", || Answer::from(queue.get_timeout(hand.patience())));
        }
    }
}
