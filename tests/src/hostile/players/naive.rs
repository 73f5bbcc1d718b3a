//! A structure that believes what it reads: the tool is tested by finding what is wrong with it.

use std::hint::black_box;

use anyhow::Result;
use crossproc::{Segment, Value};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn primitive() -> Primitive {
    Primitive { name: "naive", attach, die_in: None, keep: None }
}

/// Where its words are: an index, a length, a flag, a state.
const INDEX: usize = 0;
const LENGTH: usize = 1;
const BUSY: usize = 2;
const STATE: usize = 3;
const READY: u64 = 7;

struct Naive(Value<[u64; 8]>);

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    let words = [1, 16, 0, READY, 0, 0, 0, 0];
    Ok(Box::new(Naive(Value::open_or_create(segment, "naive", words)?)))
}

impl Play for Naive {
    fn play(&self, hand: &Hand<'_>) {
        hand.point();
        hand.timed("follow the index", || {
            let table = [0u8; 64];
            let index = usize::try_from(self.0.get()[INDEX]).unwrap_or(0);
            let at = table.as_ptr().wrapping_add(index);
            // SAFETY: none, and that is the point: the process is to end by it.
            black_box(unsafe { at.read_volatile() });
        });
        hand.timed("take memory for the length", || {
            let length = usize::try_from(self.0.get()[LENGTH]).unwrap_or(0);
            black_box(vec![1u8; length.min(1 << 40)]);
        });
        hand.timed("wait while it is busy", || {
            while self.0.get()[BUSY] != 0 {
                std::thread::yield_now();
            }
            Answer::Done
        });
        hand.timed("expect a state", || {
            assert_eq!(self.0.get()[STATE], READY, "it is always ready");
        });
    }
}
