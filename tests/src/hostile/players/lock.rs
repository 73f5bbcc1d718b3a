//! `Lock`: one that is free, one held by a living process, one whose holder is dead.

use anyhow::{Error, Result};
use crossproc::{Deadline, Lock, Segment};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

const FREE: &str = "lock.free";
const HELD: &str = "lock.held";
const ORPHAN: &str = "lock.orphan";

pub(super) fn primitive() -> Primitive {
    Primitive { name: "lock", attach, die_in: Some(die_in), keep: Some(keep) }
}

struct Locks {
    free: Lock,
    held: Lock,
    orphan: Lock,
    unnamed: Lock,
}

fn attach(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Locks {
        free: Lock::open_or_create(segment, FREE)?,
        held: Lock::open_or_create(segment, HELD)?,
        orphan: Lock::open_or_create(segment, ORPHAN)?,
        unnamed: Lock::new_in(segment)?,
    }))
}

fn take_for_good(segment: &Segment, name: &str) -> Result<()> {
    let lock = Lock::open(segment, name)?;
    let guard = lock.try_lock().map_err(|error| Error::msg(format!("{name}: {error}")))?;
    std::mem::forget(guard);
    Ok(())
}

fn die_in(segment: &Segment) -> Result<()> {
    take_for_good(segment, ORPHAN)
}

fn keep(segment: &Segment) -> Result<()> {
    take_for_good(segment, HELD)
}

impl Play for Locks {
    fn play(&self, hand: &Hand<'_>) {
        let segment = self.free.segment();
        for lock in [&self.free, &self.unnamed] {
            hand.timed("try_lock, unlock", || {
                lock.try_lock().map(|guard| {
                    hand.point();
                    drop(guard);
                })
            });
            hand.timed("lock_timeout, again, unlock", || {
                match lock.lock_timeout(hand.patience()) {
                    Ok(_guard) => Answer::from(lock.lock_timeout(hand.patience())),
                    Err(error) => error.into(),
                }
            });
        }
        for lock in [&self.held, &self.orphan] {
            hand.timed("try_lock", || lock.try_lock());
            hand.timed("lock_timeout", || lock.lock_timeout(hand.patience()));
            hand.timed("lock_deadline", || lock.lock_deadline(Deadline::after(hand.patience())));
            hand.timed("Debug", || drop(format!("{lock:?}")));
        }
        hand.timed("open", || Lock::open(segment, FREE));
        hand.waits("open_or_create", || Lock::open_or_create(segment, HELD));
        hand.waits("create", || Lock::create(segment, FREE));
        hand.timed("new_in, drop", || Lock::new_in(segment));
    }
}
