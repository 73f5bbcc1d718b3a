//! What stands beside others: `Condvar` beside a lock, and `wait_any` over everything.

use anyhow::Result;
use crossproc::{
    Condvar, Deadline, Event, Lock, Queue, RLock, RwLock, Segment, Semaphore, Waitable, deadlocks,
    wait_any, waiters,
};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

pub(super) fn condvar() -> Primitive {
    Primitive { name: "condvar", attach: attach_condvar, die_in: None, keep: None }
}

pub(super) fn any() -> Primitive {
    Primitive { name: "wait_any", attach: attach_any, die_in: None, keep: None }
}

struct Beside {
    condvar: Condvar,
    lock: Lock,
}

fn attach_condvar(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Beside {
        condvar: Condvar::open_or_create(segment, "condvar.one")?,
        lock: Lock::new_in(segment)?,
    }))
}

impl Play for Beside {
    fn play(&self, hand: &Hand<'_>) {
        let (condvar, lock) = (&self.condvar, &self.lock);
        hand.timed("notify_one, notify_n, notify_all", || {
            condvar.notify_one();
            condvar.notify_n(3);
            condvar.notify_all();
        });
        // The lock is taken again without a deadline, and may be a living process's by then.
        hand.waits("wait_timeout", || match lock.lock_timeout(hand.patience()) {
            Ok(guard) => Answer::from(condvar.wait_timeout(guard, hand.patience())),
            Err(error) => error.into(),
        });
        hand.point();
        hand.waits("wait_deadline_while", || match lock.lock_timeout(hand.patience()) {
            Ok(guard) => {
                let deadline = Deadline::after(hand.patience());
                Answer::from(condvar.wait_deadline_while(guard, deadline, || true))
            }
            Err(error) => error.into(),
        });
        hand.timed("Debug", || drop(format!("{condvar:?}")));
        hand.timed("open", || Condvar::open(condvar.segment(), "condvar.one"));
        hand.timed("new_in, drop", || Condvar::new_in(condvar.segment()));
    }
}

struct Any {
    segment: Segment,
    event: Event,
    lock: Lock,
    recursive: RLock,
    shared: RwLock,
    permits: Semaphore,
    queue: Queue<u64>,
}

fn attach_any(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Any {
        segment: segment.clone(),
        event: Event::open_or_create(segment, "any.event")?,
        lock: Lock::open_or_create(segment, "any.lock")?,
        recursive: RLock::open_or_create(segment, "any.rlock")?,
        shared: RwLock::open_or_create(segment, "any.rwlock")?,
        permits: Semaphore::open_or_create(segment, "any.permits", 0)?,
        queue: Queue::open_or_create(segment, "any.queue", 2)?,
    }))
}

impl Play for Any {
    fn play(&self, hand: &Hand<'_>) {
        let (readable, writable) = (self.shared.readable(), self.shared.writable());
        let space = self.queue.space();
        let each: [&dyn Waitable; 8] = [
            &self.event,
            &self.permits,
            &self.queue,
            &space,
            &self.lock,
            &self.recursive,
            &readable,
            &writable,
        ];
        let told = |ready: Vec<usize>| if ready.is_empty() { Answer::InTime } else { Answer::Done };
        hand.timed("those that do not come", || {
            wait_any(&each[..3], hand.patience()).map_or(Answer::Other, told)
        });
        hand.point();
        hand.timed("all", || wait_any(&each, hand.patience()).map_or(Answer::Other, told));
        for item in each {
            hand.timed("one", || wait_any(&[item], hand.patience()).map_or(Answer::Other, told));
        }
        hand.timed("waiters, deadlocks", || {
            drop(waiters(&self.segment));
            drop(deadlocks(&[&self.segment]));
        });
    }
}
