//! `Value`: one word, two copies, three copies.

use std::hint::black_box;

use anyhow::Result;
use crossproc::{Segment, Value};

use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn scalar() -> Primitive {
    Primitive { name: "value 8 B", attach: attach_scalars, die_in: None, keep: None }
}

pub(super) fn small() -> Primitive {
    Primitive { name: "value 64 B", attach: attach::<8>, die_in: None, keep: None }
}

pub(super) fn large() -> Primitive {
    Primitive { name: "value 512 B", attach: attach::<64>, die_in: None, keep: None }
}

struct Scalars {
    number: Value<u64>,
    float: Value<f32>,
    flag: Value<bool>,
}

fn attach_scalars(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Scalars {
        number: Value::open_or_create(segment, "value.u64", 7)?,
        float: Value::open_or_create(segment, "value.f32", 1.5)?,
        flag: Value::open_or_create(segment, "value.bool", true)?,
    }))
}

impl Play for Scalars {
    fn play(&self, hand: &Hand<'_>) {
        let number = &self.number;
        hand.timed("set", || number.set(5));
        hand.timed("get, fetch_add, fetch_max, swap", || {
            let sum = number.get() ^ number.fetch_add(1) ^ number.fetch_max(9) ^ number.swap(3);
            black_box(sum);
        });
        hand.waits("update", || number.update(|n| *n = n.wrapping_add(1)));
        hand.waits("compare_exchange", || {
            // Either answer is one.
            let _ = black_box(number.compare_exchange(4, 6));
        });
        hand.timed("set f32", || self.float.set(2.5));
        hand.timed("get f32", || {
            black_box(self.float.get());
        });
        hand.waits("update bool", || self.flag.update(|flag| *flag = !*flag));
        hand.timed("get bool", || {
            assert!(black_box(u8::from(self.flag.get())) < 2, "a bool that is none");
        });
        hand.timed("Debug", || drop(format!("{number:?}")));
        hand.timed("open", || Value::<u64>::open(number.segment(), "value.u64"));
        hand.timed("open as f64", || Value::<f64>::open(number.segment(), "value.u64"));
        hand.waits("open_or_create", || {
            Value::open_or_create(number.segment(), "value.bool", false)
        });
        hand.timed("new_in, drop", || Value::new_in(number.segment(), 1u8));
    }
}

/// A value that has copies.
struct Copied<const WORDS: usize> {
    value: Value<[u64; WORDS]>,
    name: String,
}

fn attach<const WORDS: usize>(segment: &Segment) -> Result<Box<dyn Play>> {
    let name = format!("value.{WORDS}");
    let value = Value::open_or_create(segment, &name, [7; WORDS])?;
    Ok(Box::new(Copied { value, name }))
}

impl<const WORDS: usize> Play for Copied<WORDS> {
    fn play(&self, hand: &Hand<'_>) {
        let value = &self.value;
        // Without a deadline, since there can be no answer but the value.
        hand.waits("get", || {
            black_box(value.get());
        });
        hand.waits("get_into", || {
            let mut copy = [0; WORDS];
            value.get_into(&mut copy);
            black_box(copy);
        });
        hand.timed("lock_timeout, change, drop", || {
            value.lock_timeout(hand.patience()).map(|mut guard| {
                guard[WORDS - 1] = guard[0].wrapping_add(1);
                hand.point();
                drop(guard);
            })
        });
        hand.timed("lock_timeout, abandon", || {
            value.lock_timeout(hand.patience()).map(crossproc::ValueGuard::abandon)
        });
        hand.waits("update", || value.update(|copy| copy[0] = copy[WORDS - 1]));
        hand.waits("set", || value.set([3; WORDS]));
        hand.waits("Debug", || drop(format!("{value:?}")));
        hand.timed("open", || Value::<[u64; WORDS]>::open(value.segment(), &self.name));
        hand.waits("open_or_create", || {
            Value::open_or_create(value.segment(), &self.name, [1; WORDS])
        });
        hand.timed("new_in, drop", || Value::new_in(value.segment(), [2u64; WORDS]));
    }
}
