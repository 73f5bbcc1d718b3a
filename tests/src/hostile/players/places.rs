//! `Queue`: items and bytes written and read where they lie.

use anyhow::Result;
use crossproc::{Deadline, Queue, Segment};

use crate::hostile::hand::{Hand, Play, Primitive};

const CAPACITY: usize = 3;
/// Bytes for the slot, and for a block.
const LENGTHS: [usize; 2] = [40, 2000];

pub(super) fn places() -> Primitive {
    Primitive { name: "queue places", attach, die_in: None, keep: None }
}

struct Places {
    frames: Queue<[u64; 16]>,
    bytes: Queue<Vec<u8>>,
}

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    let frames = Queue::open_or_create(segment, "places.frames", CAPACITY)?;
    let bytes = Queue::<Vec<u8>>::open_or_create(segment, "places.bytes", CAPACITY)?;
    if bytes.is_empty() {
        // Something that is there when a round begins.
        frames.try_put([7; 16]).map_err(crossproc::TryPutError::without_item)?;
        bytes.try_put(vec![7; LENGTHS[1]]).map_err(crossproc::TryPutError::without_item)?;
    }
    Ok(Box::new(Places { frames, bytes }))
}

impl Play for Places {
    fn play(&self, hand: &Hand<'_>) {
        self.frames(hand);
        for len in LENGTHS {
            self.bytes(hand, len);
        }
    }
}

impl Places {
    fn frames(&self, hand: &Hand<'_>) {
        let (queue, mut place, mut item) = (&self.frames, None, None);
        hand.timed("reserve_timeout", || {
            queue.reserve_timeout(hand.patience()).map(|new| place = Some(new))
        });
        hand.point();
        if let Some(mut place) = place {
            place.write(&[1; 16]);
            hand.timed("commit", || place.commit());
        }
        hand.timed("try_reserve, drop", || queue.try_reserve().map(drop));
        hand.timed("get_ref_timeout", || {
            queue.get_ref_timeout(hand.patience()).map(|held| item = Some(held))
        });
        hand.point();
        if let Some(item) = item {
            std::hint::black_box(item.read());
            hand.timed("release", || item.release());
        }
        hand.timed("try_get_ref, drop", || queue.try_get_ref().map(drop));
    }

    fn bytes(&self, hand: &Hand<'_>, len: usize) {
        let (queue, mut room, mut item) = (&self.bytes, None, None);
        let deadline = || Deadline::after(hand.patience());
        hand.timed("reserve_bytes_deadline", || {
            queue.reserve_bytes_deadline(len, deadline()).map(|new| room = Some(new))
        });
        hand.point();
        if let Some(mut room) = room {
            room.write_at(len / 2, &[1; 10]);
            hand.timed("commit_first", || room.commit_first(len - 1));
        }
        hand.timed("try_reserve_bytes, drop", || queue.try_reserve_bytes(len).map(drop));
        hand.timed("get_bytes_ref_deadline", || {
            queue.get_bytes_ref_deadline(deadline()).map(|held| item = Some(held))
        });
        hand.point();
        if let Some(item) = item {
            std::hint::black_box(item.to_vec());
            hand.timed("release, bytes", || item.release());
        }
        hand.timed("try_get_bytes_ref, drop", || queue.try_get_bytes_ref().map(drop));
    }
}
