//! `Semaphore`, `BoundedSemaphore`, `Barrier`.

use anyhow::{Error, Result};
use crossproc::{Barrier, BoundedSemaphore, Deadline, Segment, Semaphore};

use crate::hostile::answer::Answer;
use crate::hostile::hand::{Hand, Play, Primitive};

const PERMITS: u32 = 3;

pub(super) fn semaphore() -> Primitive {
    let take: crate::hostile::hand::Deed = take_permit;
    Primitive { name: "semaphore", attach: attach_semaphores, die_in: Some(take), keep: Some(take) }
}

pub(super) fn barrier() -> Primitive {
    Primitive { name: "barrier", attach: attach_barriers, die_in: Some(enrol), keep: None }
}

struct Semaphores {
    free: Semaphore,
    bounded: BoundedSemaphore,
}

fn attach_semaphores(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Semaphores {
        free: Semaphore::open_or_create(segment, "semaphore.free", PERMITS)?,
        bounded: BoundedSemaphore::open_or_create(segment, "semaphore.bounded", PERMITS)?,
    }))
}

/// Takes one of each and keeps it until the process ends.
fn take_permit(segment: &Segment) -> Result<()> {
    let free = Semaphore::open(segment, "semaphore.free")?;
    std::mem::forget(free.try_acquire().map_err(Error::msg)?);
    let bounded = BoundedSemaphore::open(segment, "semaphore.bounded")?;
    std::mem::forget(bounded.try_acquire().map_err(Error::msg)?);
    Ok(())
}

impl Play for Semaphores {
    fn play(&self, hand: &Hand<'_>) {
        let free = &self.free;
        hand.timed("try_acquire until none is left, drop", || {
            let held: Vec<_> = (0..=PERMITS).map_while(|_| free.try_acquire().ok()).collect();
            hand.point();
            let late = free.acquire_timeout(hand.patience());
            drop(held);
            Answer::from(late)
        });
        hand.timed("take_timeout, release", || {
            free.take_timeout(hand.patience()).map(|()| Answer::from(free.release(1)))
        });
        hand.timed("acquire_deadline", || free.acquire_deadline(Deadline::after(hand.patience())));
        hand.timed("release many", || free.release(u32::MAX / 2));
        hand.timed("try_take", || free.try_take());
        hand.timed("available, is_locked, Debug", || {
            drop(format!("{} {} {free:?}", free.available(), free.is_locked()));
        });
        let bounded = &self.bounded;
        hand.timed("bounded: try_acquire, acquire_timeout, drop", || {
            let held = (bounded.try_acquire(), bounded.try_acquire());
            hand.point();
            let late = bounded.acquire_timeout(hand.patience());
            drop(held);
            Answer::from(late)
        });
        hand.timed("bounded: take_deadline, release", || {
            let deadline = Deadline::after(hand.patience());
            bounded.take_deadline(deadline).map(|()| Answer::from(bounded.release(1)))
        });
        hand.timed("bounded: release too many", || bounded.release(PERMITS));
        hand.timed("bounded: limit, available, Debug", || {
            drop(format!("{} {} {bounded:?}", bounded.limit(), bounded.available()));
        });
        self.open(hand);
    }
}

impl Semaphores {
    fn open(&self, hand: &Hand<'_>) {
        let segment = self.free.segment();
        hand.timed("open", || Semaphore::open(segment, "semaphore.free"));
        hand.timed("bounded: open", || BoundedSemaphore::open(segment, "semaphore.bounded"));
        hand.waits("open_or_create", || Semaphore::open_or_create(segment, "semaphore.free", 1));
        hand.timed("new_in, drop", || Semaphore::new_in(segment, 1));
    }
}

struct Barriers {
    /// Of two parties, one of them dead or missing.
    two: Barrier,
    /// Of one party: everybody passes.
    one: Barrier,
}

fn attach_barriers(segment: &Segment) -> Result<Box<dyn Play>> {
    Ok(Box::new(Barriers {
        two: Barrier::open_or_create(segment, "barrier.two", 2)?,
        one: Barrier::open_or_create(segment, "barrier.one", 1)?,
    }))
}

fn enrol(segment: &Segment) -> Result<()> {
    let two = Barrier::open(segment, "barrier.two")?;
    two.enrol()?;
    // A dropped handle withdraws.
    std::mem::forget(two);
    Ok(())
}

impl Play for Barriers {
    fn play(&self, hand: &Hand<'_>) {
        for barrier in [&self.one, &self.two] {
            hand.timed("wait_timeout", || barrier.wait_timeout(hand.patience()));
            hand.timed("wait_with_deadline", || {
                let deadline = Deadline::after(hand.patience());
                barrier.wait_with_deadline(deadline, || hand.point())
            });
            hand.timed("reset", || barrier.reset());
            hand.timed("enrol", || barrier.enrol());
            hand.point();
            hand.timed("wait_deadline", || barrier.wait_deadline(Deadline::after(hand.patience())));
            hand.timed("parties, n_waiting, is_broken, Debug", || {
                let counts = (barrier.parties(), barrier.n_waiting(), barrier.is_broken());
                drop(format!("{counts:?} {barrier:?}"));
            });
            hand.timed("leave", || barrier.leave());
            hand.timed("abort", || barrier.abort());
            hand.timed("wait_timeout, broken", || barrier.wait_timeout(hand.patience()));
            hand.timed("reset again", || barrier.reset());
        }
        let segment = self.one.segment();
        hand.timed("open", || Barrier::open(segment, "barrier.two"));
        hand.waits("open_or_create", || Barrier::open_or_create(segment, "barrier.one", 3));
        hand.timed("new_in, drop", || Barrier::new_in(segment, 2));
    }
}
