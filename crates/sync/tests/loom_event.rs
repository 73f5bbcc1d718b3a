//! Every interleaving of the event's word, with setters that stop for good.
//!
//! Sleeping is the model's futex (`wait::port`), without slices and timeouts: a wake that is lost
//! shows as a deadlock.
//!
//! Weakened by hand, once each, and seen to fail: *news* (the set made Relaxed, or the load, or the
//! failing announcement, or the clear's acquire side), *receipt* (the clear's release side, or the
//! load), `times` that stays, a set that does nothing if it is set already, a set that wakes nobody.
#![cfg(crossproc_loom)]

use crossproc_segment::wait::port;
use crossproc_sync::event::raw::{Event, Word};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

/// An event, and what it tells of.
struct Shared {
    event: Event,
    news: [UnsafeCell<u32>; 2],
}

// SAFETY: `news` is written before a set and read after it was seen; that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { event: Event::new(), news: [UnsafeCell::new(0), UnsafeCell::new(0)] })
    }

    fn set(&self) {
        if self.event.set() {
            port::wake(self.event.futex(), u32::MAX);
        }
    }

    /// Waits as the handle does, without spinning and without slices.
    fn wait(&self) {
        self.wait_since(self.event.word());
    }

    fn wait_since(&self, before: Word) {
        if before.is_set() {
            return;
        }
        while let Some(word) = self.event.announce(before) {
            port::wait(self.event.futex(), word.bits());
        }
    }

    /// Fails the model if somebody reads it at the same time.
    fn tell(&self, which: usize) {
        self.news[which].with_mut(|news| {
            // SAFETY: nobody reads it before the set that follows.
            unsafe { *news += 1 };
        });
    }

    /// Fails the model if somebody writes it at the same time.
    fn heard(&self, which: usize) -> u32 {
        // SAFETY: nobody writes it after the set that was seen.
        self.news[which].with(|news| unsafe { *news })
    }
}

fn model(preemptions: Option<usize>, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
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
fn a_set_lets_all_through_with_the_news() {
    model(Some(3), || {
        let shared = Shared::new();
        let other = spawn(&shared, |s| {
            s.wait();
            s.heard(0)
        });
        let setter = spawn(&shared, |s| {
            s.tell(0);
            s.set();
        });
        shared.wait();
        assert_eq!(shared.heard(0), 1);
        assert_eq!(other.join().unwrap(), 1);
        setter.join().unwrap();
        assert!(shared.event.word().is_set());
    });
}

#[test]
fn a_clear_right_after_a_set_keeps_nobody_who_waited() {
    model(Some(3), || {
        let shared = Shared::new();
        let before = shared.event.word();
        let other = spawn(&shared, move |s| {
            s.wait_since(before);
            s.heard(0)
        });
        let setter = spawn(&shared, |s| {
            s.tell(0);
            s.set();
            s.event.clear();
        });
        shared.wait_since(before);
        assert_eq!(shared.heard(0), 1);
        assert_eq!(other.join().unwrap(), 1);
        setter.join().unwrap();
        assert!(!shared.event.word().is_set());
    });
}

#[test]
fn one_who_waits_and_clears_and_then_looks_misses_no_news() {
    model(Some(3), || {
        let shared = Shared::new();
        let news = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let setters = [0, 1].map(|which| {
            let news = Arc::clone(&news);
            spawn(&shared, move |s| {
                // Relaxed: the event has to make it visible.
                news[which].store(1, Relaxed);
                s.set();
            })
        });
        // Whoever missed any would wait for ever.
        while news.iter().any(|news| news.load(Relaxed) == 0) {
            shared.wait();
            shared.event.clear();
        }
        for setter in setters {
            setter.join().unwrap();
        }
    });
}

#[test]
fn whoever_finds_it_clear_again_sees_what_was_done_with_the_news() {
    model(None, || {
        let shared = Shared::new();
        shared.tell(0);
        shared.set();
        let consumer = spawn(&shared, |s| {
            // It came before this thread. Reads and writes it, and gives it back.
            s.tell(0);
            s.event.clear();
        });
        if !shared.event.word().is_set() {
            shared.tell(0);
            shared.set();
        }
        consumer.join().unwrap();
    });
}

#[test]
fn a_pulse_against_a_setter_that_comes_back_loses_nobody() {
    model(Some(3), || {
        let shared = Shared::new();
        let before = shared.event.word();
        let other = spawn(&shared, |s| {
            s.set();
            s.event.clear();
        });
        let waiter = spawn(&shared, move |s| s.wait_since(before));
        shared.set();
        shared.event.clear();
        other.join().unwrap();
        waiter.join().unwrap();
    });
}

/// The death of a setter before its wake; that death brings a look to all who sleep.
#[test]
fn a_setter_that_dies_before_its_wake_is_found_by_a_look() {
    model(Some(3), || {
        let shared = Shared::new();
        let before = shared.event.word();
        let victim = spawn(&shared, |s| {
            s.tell(0);
            let _ = s.event.set();
        });
        let waiter = spawn(&shared, move |s| {
            s.wait_since(before);
            s.heard(0)
        });
        victim.join().unwrap();
        // Others go on with the event before the death is known.
        shared.event.clear();
        let _ = shared.event.announce(shared.event.word());
        port::wake(shared.event.futex(), u32::MAX);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}
