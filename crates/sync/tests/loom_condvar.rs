//! Every interleaving of the condition variable's word and the lock's, with waiters and notifiers
//! that stop for good.
//!
//! Sleeping is the model's futex (`wait::port`), without slices and timeouts: a wake that is lost
//! shows as a deadlock.
//!
//! Broken by hand, once each, and seen to fail: an announcement after the release of the lock, deaths
//! that nobody looks at, an epoch that does not move, a notification of two that wakes one.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_segment::wait::port;
use crossproc_sync::condvar::raw::Condvar;
use crossproc_sync::raw::{Claim, Holder, Lock, News, Released};
use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::{AtomicBool, AtomicU32};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// A lock, a condition variable, and what it tells of: items that are there.
struct Shared {
    lock: Lock,
    /// The lock's sleepers: the model's mutex instead of its futex, which the other word has.
    turn: Mutex<()>,
    condvar: Condvar,
    items: UnsafeCell<u32>,
    /// Burials, as the segment counts them.
    deaths: AtomicU32,
}

// SAFETY: `items` is only reached by the holder of `lock`; that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Woken,
    /// Took the announcement back before any notification.
    GaveUp,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lock: Lock::new(),
            turn: Mutex::new(()),
            condvar: Condvar::default(),
            items: UnsafeCell::new(0),
            deaths: AtomicU32::new(0),
        })
    }

    /// Does something with the lock held, and lets go of it as `leave` says.
    fn locked<R>(&self, me: u32, work: impl FnOnce(&Self) -> R) -> R {
        let turn = self.turn.lock().unwrap();
        self.claim(me);
        let done = work(self);
        self.release(me);
        drop(turn);
        done
    }

    fn claim(&self, me: u32) {
        assert_eq!(self.lock.claim(holder(me), false), Claim::Done(News::Released));
    }

    fn release(&self, me: u32) {
        assert_eq!(self.lock.release(holder(me), false), Released::Quiet);
    }

    /// Waits, as the handle does, until there is an item, and takes it.
    fn take(&self, me: u32) {
        loop {
            let turn = self.turn.lock().unwrap();
            self.claim(me);
            if self.try_take() {
                self.release(me);
                return;
            }
            let deaths = self.deaths.load(SeqCst);
            let epoch = self.condvar.announce();
            self.release(me);
            drop(turn);
            while let Some(word) = self.condvar.still(epoch) {
                if self.deaths.load(SeqCst) != deaths {
                    let _ = self.condvar.cancel(epoch);
                    break;
                }
                port::wait(self.condvar.count().word(), word);
            }
        }
    }

    /// Waits for no time at all.
    fn wait_no_time(&self, me: u32) -> End {
        let epoch = self.locked(me, |s| s.condvar.announce());
        if self.condvar.cancel(epoch) { End::GaveUp } else { End::Woken }
    }

    fn try_take(&self) -> bool {
        self.items.with_mut(|items| {
            // SAFETY: the caller holds the lock.
            let items = unsafe { &mut *items };
            let there = *items > 0;
            *items -= u32::from(there);
            there
        })
    }

    fn put(&self, count: u32) {
        // SAFETY: the caller holds the lock.
        self.items.with_mut(|items| unsafe { *items += count });
    }

    /// The death of somebody is told: all who sleep are kicked. In the kernel's form no kick falls
    /// between a look and a sleep; here they go on until `done`.
    fn tell_of_death(&self, done: &AtomicBool) {
        self.deaths.fetch_add(1, SeqCst);
        while !done.load(SeqCst) {
            port::wake(self.condvar.count().word(), u32::MAX);
            thread::yield_now();
        }
    }
}

fn holder(id: u32) -> Holder {
    Holder::new(MemberId::new(id).unwrap(), 1)
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 10_000;
    builder.check(f);
}

fn spawn<R: 'static>(
    shared: &Arc<Shared>,
    f: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || f(&shared))
}

#[test]
fn a_notification_within_the_lock_is_not_missed() {
    model(|| {
        let shared = Shared::new();
        let waiter = spawn(&shared, |s| s.take(1));
        shared.locked(2, |s| {
            s.put(1);
            s.condvar.notify(1);
        });
        waiter.join().unwrap();
        assert!(!shared.condvar.count().has_waiters(), "nobody is left announced");
    });
}

#[test]
fn a_notification_after_the_lock_is_not_missed() {
    model(|| {
        let shared = Shared::new();
        let waiter = spawn(&shared, |s| s.take(1));
        shared.locked(2, |s| s.put(1));
        shared.condvar.notify(1);
        waiter.join().unwrap();
    });
}

#[test]
fn two_waiters_are_woken_by_two_notifications_by_one_for_two_and_by_one_to_all() {
    let ways: [fn(&Shared); 3] = [
        |s| {
            s.condvar.notify(1);
            s.condvar.notify(1);
        },
        |s| s.condvar.notify(2),
        |s| s.condvar.notify_all(),
    ];
    for way in ways {
        model(move || {
            let shared = Shared::new();
            let waiters = [1, 2].map(|me| spawn(&shared, move |s| s.take(me)));
            shared.locked(3, |s| s.put(2));
            way(&shared);
            for waiter in waiters {
                waiter.join().unwrap();
            }
        });
    }
}

#[test]
fn a_waiter_whose_time_is_up_takes_nobodys_wake_with_it() {
    model(|| {
        let shared = Shared::new();
        let waiter = spawn(&shared, |s| s.take(1));
        let short = spawn(&shared, |s| s.wait_no_time(2));
        shared.locked(3, |s| s.put(1));
        shared.condvar.notify(1);
        // It leaves the item, whatever it is told.
        let _ = short.join().unwrap();
        waiter.join().unwrap();
    });
}

#[test]
fn a_waiter_that_gave_up_is_not_counted_any_more() {
    model(|| {
        let shared = Shared::new();
        let short = spawn(&shared, |s| s.wait_no_time(1));
        shared.condvar.notify(1);
        let _ = short.join().unwrap();
        assert!(!shared.condvar.count().has_waiters());
    });
}

#[test]
fn a_notifier_that_dies_before_it_notifies_leaves_nobody_asleep() {
    model(|| {
        let shared = Shared::new();
        let done = Arc::new(AtomicBool::new(false));
        let waiter = spawn(&shared, {
            let done = Arc::clone(&done);
            move |s| {
                s.take(1);
                done.store(true, SeqCst);
            }
        });
        shared.locked(2, |s| s.put(1));
        shared.tell_of_death(&done);
        waiter.join().unwrap();
    });
}

#[test]
fn a_woken_waiter_that_dies_leaves_nobody_asleep() {
    model(|| {
        let shared = Shared::new();
        let done = Arc::new(AtomicBool::new(false));
        // Announced, and then nothing more is heard of it: asleep, woken or not.
        let _ = shared.locked(1, |s| s.condvar.announce());
        let waiter = spawn(&shared, {
            let done = Arc::clone(&done);
            move |s| {
                s.take(2);
                done.store(true, SeqCst);
            }
        });
        shared.locked(3, |s| {
            s.put(1);
            s.condvar.notify(1);
        });
        shared.tell_of_death(&done);
        waiter.join().unwrap();
    });
}
