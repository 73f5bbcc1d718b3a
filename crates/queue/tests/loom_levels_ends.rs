//! Every interleaving, and every reordering that the memory model allows, of two or three threads at
//! the real rings of a queue with two levels: those who are counted for both, and runs of items.
//!
//! The row itself is checked in `loom_ends`, runs at one ring in `loom`. A thread that "dies" returns
//! at a chosen point; whoever is dead counts no more.
//!
//! Weakened by hand, once each, and a test that then fails:
//!
//! | weakened                          | red                                        |
//! |-----------------------------------|--------------------------------------------|
//! | *last two* of `ends`: no fence    | of_two_who_leave_one_closes_both_levels    |
//! | a put does not look at `shut`     | the_last_consumer_refuses_at_both_levels   |
//!
#![cfg(crossproc_loom)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "loom/levels.rs"]
#[expect(dead_code, reason = "the other tests need the rest")]
mod levels;
#[path = "loom/shared.rs"]
#[expect(dead_code, reason = "the other tests need the rest")]
mod shared;

use crossproc_queue::raw::{NoItem, Refused, Seat, Side};

use levels::{HIGH, LOW, Queue, spawn};
use shared::{id, model_within};

impl Queue {
    fn join(&self, side: Side, me: u32) -> Seat {
        self.levels().row(side).join(id(me), |who| self.alive(who)).unwrap()
    }

    /// What the drop of a counted handle does.
    fn leave(&self, side: Side, seat: Seat) {
        let levels = self.levels();
        if levels.row(side).leave(seat, |who| self.alive(who)) {
            levels.close();
        }
    }

    /// What whoever waits at any level does about those who are counted.
    fn look_after_ends(&self) -> bool {
        let levels = self.levels();
        let over = |side| levels.row(side).shut_if_empty(|who| self.alive(who));
        let over = !levels.is_closed() && (over(Side::Producers) || over(Side::Consumers));
        if over {
            levels.close();
        }
        over
    }

    fn put_run(&self, me: u32, level: usize, items: [u64; 2]) -> Result<u32, Refused> {
        self.levels().admit()?;
        let ring = self.ring(level);
        let put = ring.put_run(id(me), &items, 1, 2)?;
        ring.items().notify_many(put);
        Ok(put)
    }

    /// Up to two items of the highest level that has one.
    fn try_get_run(&self) -> Result<(usize, Vec<u64>), NoItem> {
        self.levels().take(|level| {
            let mut items = [0; 2];
            let taken = self.ring(level).take_run(id(3), &mut items, 1, 2)?;
            Ok((level, items[..taken as usize].to_vec()))
        })
    }
}

/// The last producer puts at a level and leaves: whoever sleeps gets the item, and is then told.
fn the_last_producer_leaves(level: usize) {
    model_within(2, move || {
        let queue = Queue::with_ends(1, 1);
        let seat = queue.join(Side::Producers, 1);
        let consumer = spawn(&queue, |queue| [queue.get(), queue.get()]);
        queue.put(1, level, 7).unwrap();
        queue.leave(Side::Producers, seat);
        assert_eq!(consumer.join().unwrap(), [Some((level, 7)), None]);
    });
}

#[test]
fn the_last_producer_at_the_high_level_ends_both() {
    the_last_producer_leaves(HIGH);
}

#[test]
fn the_last_producer_at_the_low_level_ends_both() {
    the_last_producer_leaves(LOW);
}

/// Of two who leave one is the last, and closes both levels; accepted items come out.
#[test]
fn of_two_who_leave_one_closes_both_levels() {
    model_within(2, || {
        let queue = Queue::with_ends(1, 2);
        let seats = [1, 2].map(|me| queue.join(Side::Producers, me));
        let other = spawn(&queue, move |queue| {
            queue.put(2, HIGH, 20).unwrap();
            queue.leave(Side::Producers, seats[1]);
        });
        queue.put(1, LOW, 10).unwrap();
        queue.leave(Side::Producers, seats[0]);
        other.join().unwrap();
        assert!(queue.levels().is_closed());
        assert_eq!([LOW, HIGH].map(|level| queue.put(3, level, 1)), [Err(Refused::Closed); 2]);
        assert_eq!(queue.drain(), [(HIGH, 20), (LOW, 10)]);
        assert_eq!(queue.try_get(), Err(NoItem::Closed));
    });
}

/// The last consumer leaves while somebody puts at both levels: refused at one, refused at the other.
#[test]
fn the_last_consumer_refuses_at_both_levels() {
    model_within(2, || {
        let queue = Queue::with_ends(1, 1);
        let seat = queue.join(Side::Consumers, 1);
        let producer =
            spawn(&queue, |queue| [LOW, HIGH].map(|level| queue.put(2, level, 10).is_ok()));
        queue.leave(Side::Consumers, seat);
        let put = producer.join().unwrap();
        assert_ne!(put, [false, true], "closed at one level, open at another");
        assert_eq!(queue.drain().len(), put.into_iter().filter(|&put| put).count());
        assert_eq!(queue.try_get(), Err(NoItem::Closed));
    });
}

/// One who dies after it has left, or with its handle, is found by whoever waits at any level.
fn a_death_is_found(leaves: bool) {
    model_within(2, move || {
        let queue = Queue::with_ends(1, 1);
        let seat = queue.join(Side::Producers, 1);
        let victim = spawn(&queue, move |queue| {
            let accepted = queue.put(1, HIGH, 10);
            if leaves {
                queue.levels().row(Side::Producers).leave_commit_only(seat);
            }
            queue.die(id(1));
            accepted.unwrap();
        });
        let early = queue.look_after_ends();
        // Nobody is told before the item that was accepted is out.
        let first = queue.try_get();
        assert!(
            matches!(first, Ok((HIGH, 10)) | Err(NoItem::Empty | NoItem::Pending)),
            "{first:?}"
        );
        victim.join().unwrap();
        assert!(early || queue.look_after_ends());
        assert_eq!(queue.drain().len(), usize::from(first.is_err()));
        assert_eq!(queue.try_get(), Err(NoItem::Closed));
        assert_eq!(queue.put(2, LOW, 1), Err(Refused::Closed));
    });
}

#[test]
fn one_who_dies_as_it_leaves_is_found() {
    a_death_is_found(true);
}

#[test]
fn one_who_dies_with_its_handle_is_found() {
    a_death_is_found(false);
}

fn a_run_wakes_two(level: usize) {
    model_within(1, move || {
        let queue = Queue::new(2);
        let consumers = [(); 2].map(|()| spawn(&queue, Queue::get));
        assert_eq!(queue.put_run(1, level, [1, 2]), Ok(2));
        let mut got = consumers.map(|consumer| consumer.join().unwrap().unwrap());
        got.sort_unstable();
        assert_eq!(got, [(level, 1), (level, 2)]);
    });
}

#[test]
fn a_run_at_the_high_level_wakes_two() {
    a_run_wakes_two(HIGH);
}

#[test]
fn a_run_at_the_low_level_wakes_two() {
    a_run_wakes_two(LOW);
}

/// Who takes runs has the high level before the low one, each item once, beside one who puts at both.
#[test]
fn runs_are_taken_by_level() {
    model_within(2, || {
        let queue = Queue::new(2);
        queue.put(1, LOW, 1).unwrap();
        let producer = spawn(&queue, |queue| queue.put_run(2, HIGH, [10, 11]));
        let mut all = Vec::new();
        for _ in 0..2 {
            if let Ok((level, items)) = queue.try_get_run() {
                all.extend(items.into_iter().map(|item| (level, item)));
            }
        }
        assert_eq!(producer.join().unwrap(), Ok(2));
        all.extend(queue.drain());
        let high: Vec<u64> = all.iter().filter(|of| of.0 == HIGH).map(|of| of.1).collect();
        assert_eq!((high, all.len()), (vec![10, 11], 3), "{all:?}");
    });
}
