//! `RLock` and `RwLock`: free, held by a living process, held by a dead one.

use anyhow::{Error, Result};
use crossproc::{Deadline, RLock, RwLock, Segment};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn rlock() -> Primitive {
    let keep = |segment: &Segment| take_rlock(segment, "rlock.held");
    let die_in = |segment: &Segment| take_rlock(segment, "rlock.orphan");
    Primitive { name: "rlock", attach: attach_rlocks, die_in: Some(die_in), keep: Some(keep) }
}

pub(super) fn rwlock() -> Primitive {
    let keep = |segment: &Segment| take_rwlocks(segment, "read", "written");
    let die_in = |segment: &Segment| take_rwlocks(segment, "read.orphan", "written.orphan");
    Primitive { name: "rwlock", attach: attach_rwlocks, die_in: Some(die_in), keep: Some(keep) }
}

struct RLocks([RLock; 3]);

fn attach_rlocks(segment: &Segment) -> Result<Box<dyn Play>> {
    let open = |name| RLock::open_or_create(segment, name);
    Ok(Box::new(RLocks([open("rlock.free")?, open("rlock.held")?, open("rlock.orphan")?])))
}

fn take_rlock(segment: &Segment, name: &str) -> Result<()> {
    let lock = RLock::open(segment, name)?;
    let guard = lock.try_lock().map_err(|error| Error::msg(format!("{name}: {error}")))?;
    std::mem::forget(guard);
    Ok(())
}

impl Play for RLocks {
    fn play(&self, hand: &Hand<'_>) {
        for lock in &self.0 {
            hand.timed("try_lock, again, unlock", || match lock.try_lock() {
                Ok(_outer) => {
                    hand.point();
                    let _depth = (lock.depth(), lock.is_held_by_me());
                    Answer::from(lock.lock_timeout(hand.patience()))
                }
                Err(error) => error.into(),
            });
            hand.timed("lock_timeout", || lock.lock_timeout(hand.patience()));
            hand.timed("lock_deadline", || lock.lock_deadline(Deadline::after(hand.patience())));
            hand.timed("Debug", || drop(format!("{lock:?}")));
        }
        let segment = self.0[0].segment();
        hand.timed("open", || RLock::open(segment, "rlock.held"));
        hand.waits("open_or_create", || RLock::open_or_create(segment, "rlock.free"));
        hand.timed("new_in, drop", || RLock::new_in(segment));
    }
}

struct RwLocks(Vec<RwLock>);

/// Places for readers: few, so that they are soon taken.
const READERS: usize = 2;

fn attach_rwlocks(segment: &Segment) -> Result<Box<dyn Play>> {
    let names = ["free", "read", "written", "read.orphan", "written.orphan"];
    let open = |name: &str| {
        let name = format!("rwlock.{name}");
        match RwLock::create_with_readers(segment, &name, READERS) {
            Err(_) => RwLock::open(segment, &name),
            made => made,
        }
    };
    Ok(Box::new(RwLocks(names.into_iter().map(open).collect::<Result<_, _>>()?)))
}

fn take_rwlocks(segment: &Segment, read: &str, written: &str) -> Result<()> {
    let lock = RwLock::open(segment, &format!("rwlock.{read}"))?;
    let guard = lock.try_read().map_err(|error| Error::msg(format!("{read}: {error}")))?;
    std::mem::forget(guard);
    let lock = RwLock::open(segment, &format!("rwlock.{written}"))?;
    let guard = lock.try_write().map_err(|error| Error::msg(format!("{written}: {error}")))?;
    std::mem::forget(guard);
    Ok(())
}

impl Play for RwLocks {
    fn play(&self, hand: &Hand<'_>) {
        for lock in &self.0 {
            hand.timed("try_read, again, unlock", || match lock.try_read() {
                Ok(_outer) => {
                    hand.point();
                    Answer::from(lock.read_timeout(hand.patience()))
                }
                Err(error) => error.into(),
            });
            hand.timed("try_write, unlock", || {
                lock.try_write().map(|guard| {
                    hand.point();
                    drop(guard);
                })
            });
            hand.timed("read_timeout", || lock.read_timeout(hand.patience()));
            hand.timed("write_timeout, downgrade", || {
                lock.write_timeout(hand.patience()).map(|guard| drop(guard.downgrade()))
            });
            hand.timed("read_deadline, unlock", || {
                let deadline = Deadline::after(hand.patience());
                lock.read_deadline(deadline).map(|guard| guard.unlock().is_ok())
            });
            hand.timed("write_deadline, write", || {
                let deadline = Deadline::after(hand.patience());
                match lock.write_deadline(deadline) {
                    Ok(_guard) => Answer::from(lock.write_deadline(deadline)),
                    Err(error) => error.into(),
                }
            });
            hand.timed("Debug", || drop(format!("{lock:?}")));
        }
        let segment = self.0[0].segment();
        hand.timed("open", || RwLock::open(segment, "rwlock.read"));
        hand.waits("open_or_create", || RwLock::open_or_create(segment, "rwlock.free"));
        hand.timed("new_in, drop", || RwLock::with_readers_in(segment, READERS));
    }
}
