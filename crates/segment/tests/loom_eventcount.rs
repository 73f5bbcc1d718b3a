//! Model checks of waiting: the eventcount, and the record by which a sleeper is kicked.
//!
//! Sleeping is the model's futex (`wait::port`), without slices and timeouts: a wake that is lost
//! shows as a deadlock.
//!
//! Each test was seen to fail, once, by hand, with the piece of protocol that it guards taken out:
//! - without the fence in `port::light_barrier`, or that in `prepare`, or with an epoch that does
//!   not move: `a_notify_is_not_missed` and most others;
//! - without the wake: the same;
//! - without `cancel`'s test of the epoch: `a_cancel_does_not_take_the_wake_of_another`;
//! - without the healing: `the_ghosts_of_killed_waiters_are_healed_and_cost_no_wake`;
//! - without the fence in `Record::arm` or in the burial, or with the question before `arm`:
//!   `a_death_is_not_missed`.
#![cfg(crossproc_loom)]

use crossproc_segment::wait::raw::{Record, Target};
use crossproc_segment::wait::{Blocker, EventCount, port};
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU32, fence};
use loom::thread;

#[derive(Default)]
struct Shared {
    items: AtomicU32,
    arrived: EventCount,
}

impl Shared {
    fn put(&self) {
        self.items.fetch_add(1, Release);
        self.arrived.notify_one();
    }

    fn try_get(&self) -> bool {
        self.items.fetch_update(Acquire, Acquire, |there| there.checked_sub(1)).is_ok()
    }

    /// The shape of `block_on`.
    fn get(&self) {
        loop {
            let epoch = self.arrived.prepare();
            if self.try_get() {
                return self.arrived.cancel(epoch);
            }
            if let Some(word) = self.arrived.still(epoch) {
                port::wait(self.arrived.word(), word);
            }
        }
    }
}

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(body);
}

#[test]
fn a_notify_is_not_missed() {
    model(|| {
        let shared = Arc::new(Shared::default());
        let putter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.put()
        });
        shared.get();
        putter.join().expect("the putter ends");
        assert!(!shared.arrived.has_waiters(), "nobody is left announced");
    });
}

#[test]
fn two_notifies_wake_two_waiters() {
    model(|| {
        let shared = Arc::new(Shared::default());
        let getter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.get()
        });
        let putter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.put();
                shared.put();
            }
        });
        shared.get();
        getter.join().expect("the getter ends");
        putter.join().expect("the putter ends");
    });
}

#[test]
fn one_notify_to_all_wakes_two_waiters() {
    model(|| {
        let shared = Arc::new(Shared::default());
        let getter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.get()
        });
        let putter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.items.fetch_add(2, Release);
                shared.arrived.notify_all();
            }
        });
        shared.get();
        getter.join().expect("the getter ends");
        putter.join().expect("the putter ends");
    });
}

#[test]
fn a_cancel_does_not_take_the_wake_of_another() {
    model(|| {
        let shared = Arc::new(Shared::default());
        let comes_and_goes = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let epoch = shared.arrived.prepare();
                shared.arrived.cancel(epoch);
            }
        });
        let putter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                // A wake without an item, so that the getter announces itself a second time.
                shared.arrived.notify_one();
                shared.put();
            }
        });
        shared.get();
        comes_and_goes.join().expect("the guest ends");
        putter.join().expect("the putter ends");
    });
}

#[test]
fn the_ghosts_of_killed_waiters_are_healed_and_cost_no_wake() {
    model(|| {
        let shared = Arc::new(Shared::default());
        // Two that were killed after their announcement.
        let _ = shared.arrived.prepare();
        let _ = shared.arrived.prepare();
        let putter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.put()
        });
        shared.get();
        putter.join().expect("the putter ends");
        // Wakes nobody.
        shared.arrived.notify_one();
        assert!(!shared.arrived.has_waiters(), "the ghosts are gone");
    });
}

/// The owner of a word dies; the look-out buries it while a waiter arms, asks and sleeps.
#[test]
fn a_death_is_not_missed() {
    model(|| {
        let record = Arc::new(Record::default());
        // What the kernel answers to `alive`.
        let is_dead = Arc::new(AtomicBool::new(false));
        let burier = thread::spawn({
            let (record, is_dead) = (Arc::clone(&record), Arc::clone(&is_dead));
            move || {
                is_dead.store(true, Relaxed);
                // Stands for `Table::begin_burial`.
                fence(SeqCst);
                if !record.target().is_none() {
                    record.kick();
                }
            }
        });
        let kicks = record.arm(Target::new(64, Blocker::Owner));
        if !is_dead.load(Relaxed) {
            port::wait(record.kicks(), kicks);
            assert!(is_dead.load(Acquire), "a kick means a death");
        }
        burier.join().expect("the burier ends");
    });
}
