//! Every interleaving of the words of a once, with runners that stop for good.
//!
//! Weakened by hand, once each, and seen to fail: *done* and *hand-over* (each CAS of an end made
//! Relaxed; the load of the word made Relaxed), *hand-over* by a burial (its CAS without Release),
//! *succession* (the CAS of a claim without Release), a claim that does not keep `WAITERS`.
#![cfg(crossproc_loom)]

use crossproc_segment::MemberId;
use crossproc_sync::once::raw::{Accept, Claim, End, Ended, News, Once, Word};
use crossproc_sync::raw::Holder;
use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A once, what it makes, and the kernel: who is dead, and who sleeps.
struct Shared {
    once: Once,
    data: UnsafeCell<u32>,
    dead: [AtomicBool; 4],
    queue: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `data` is only written by the runner of `once`, and only read by others once it is done;
// that is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Ran(News),
    Done,
    Refused(News),
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            once: Once::new(),
            data: UnsafeCell::new(0),
            dead: core::array::from_fn(|_| AtomicBool::new(false)),
            queue: Mutex::new(()),
            wake: Condvar::new(),
        })
    }

    /// Comes to its turn as the handle does, without spinning and without slices.
    fn turn(&self, me: Holder, accept: Accept) -> Got {
        loop {
            let seen = match self.once.claim(me, accept) {
                Claim::Run(news) => return Got::Ran(news),
                Claim::Done => return Got::Done,
                Claim::Refused(news) => return Got::Refused(news),
                Claim::Wait(seen) => seen,
                other => panic!("{other:?}"),
            };
            if seen.runner().is_some_and(|id| !self.alive(id)) {
                match accept {
                    Accept::Any if self.once.take_over(seen, me) => return Got::Ran(News::Died),
                    Accept::Fresh | Accept::Nothing if self.once.bury(seen) => self.wake_all(),
                    _ => {}
                }
            } else if let Some(word) = self.once.announce(seen) {
                self.sleep(word);
            }
        }
    }

    fn end(&self, me: Holder, end: End) {
        match self.once.end(me, end) {
            Ended::Quiet => {}
            Ended::Wake => self.wake_all(),
            Ended::NotMine(word) => panic!("not mine: {word:?}"),
        }
    }

    /// Calls with a function that adds one.
    fn call(&self, me: Holder, accept: Accept) -> Got {
        let got = self.turn(me, accept);
        match got {
            Got::Ran(_) => {
                self.add();
                self.end(me, End::Done);
            }
            Got::Done => assert_ne!(self.read(), 0),
            Got::Refused(_) => {}
        }
        got
    }

    /// A futex that compares and queues in one step, and a watch that kicks at a death.
    fn sleep(&self, expected: Word) {
        let queue = self.queue.lock().unwrap();
        if self.once.word() == expected && expected.runner().is_none_or(|id| self.alive(id)) {
            drop(self.wake.wait(queue).unwrap());
        }
    }

    fn wake_all(&self) {
        drop(self.queue.lock().unwrap());
        self.wake.notify_all();
    }

    /// What the kernel does when `id` is gone, and what `alive` answers.
    fn die(&self, id: MemberId) {
        self.dead[id.get() as usize].store(true, Release);
        self.wake_all();
    }

    fn alive(&self, id: MemberId) -> bool {
        !self.dead[id.get() as usize].load(Acquire)
    }

    /// Fails the model if another thread is inside.
    fn add(&self) {
        // SAFETY: the caller runs the once.
        self.data.with_mut(|p| unsafe { *p += 1 });
    }

    /// Fails the model if a runner may still be writing.
    fn read(&self) -> u32 {
        // SAFETY: the once is done.
        self.data.with(|p| unsafe { *p })
    }
}

fn holder(id: u32, thread: u32) -> Holder {
    Holder::new(MemberId::new(id).unwrap(), thread)
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
fn one_of_three_runs_and_the_others_see_what_it_did() {
    model(Some(2), || {
        let shared = Shared::new();
        // Two are threads of one member, so that neither may take the other's run for its own.
        let others = [holder(1, 2), holder(2, 1)];
        let others = others.map(|me| spawn(&shared, move |s| s.call(me, Accept::Fresh)));
        let mut got = vec![shared.call(holder(1, 1), Accept::Any)];
        got.extend(others.map(|other| other.join().unwrap()));
        assert_eq!(got.iter().filter(|got| **got == Got::Ran(News::Fresh)).count(), 1);
        assert_eq!(got.iter().filter(|got| **got == Got::Done).count(), 2);
        assert_eq!(shared.read(), 1);
    });
}

#[test]
fn whoever_only_waits_is_woken_without_any_slice() {
    model(Some(3), || {
        let shared = Shared::new();
        let others =
            [1, 2].map(|id| spawn(&shared, move |s| s.call(holder(id, 1), Accept::Nothing)));
        assert_eq!(shared.call(holder(3, 1), Accept::Fresh), Got::Ran(News::Fresh));
        for other in others {
            assert_eq!(other.join().unwrap(), Got::Done);
        }
    });
}

#[test]
fn a_failure_lets_a_sleeper_run() {
    model(Some(2), || {
        let shared = Shared::new();
        let failing = spawn(&shared, |s| {
            let me = holder(1, 1);
            match s.turn(me, Accept::Any) {
                Got::Ran(news) => {
                    s.add();
                    s.end(me, End::Undone(news));
                }
                got => assert_eq!(got, Got::Done),
            }
        });
        let waiting = spawn(&shared, |s| s.call(holder(2, 1), Accept::Nothing));
        let got = shared.call(holder(3, 1), Accept::Fresh);
        assert_eq!(got, Got::Ran(News::Fresh));
        failing.join().unwrap();
        assert_eq!(waiting.join().unwrap(), Got::Done);
        assert!((1..=2).contains(&shared.read()));
    });
}

#[test]
fn a_panic_is_told_until_it_is_run_again() {
    model(Some(2), || {
        let shared = Shared::new();
        let panicking = spawn(&shared, |s| {
            let me = holder(1, 1);
            if let Got::Ran(_) = s.turn(me, Accept::Fresh) {
                s.add();
                s.end(me, End::Panicked);
            }
        });
        let refused = spawn(&shared, |s| s.call(holder(2, 1), Accept::Fresh));
        let forced = shared.call(holder(3, 1), Accept::Any);
        panicking.join().unwrap();
        match (refused.join().unwrap(), forced) {
            (Got::Ran(News::Fresh), Got::Done) => assert_eq!(shared.read(), 1),
            (_, Got::Ran(News::Fresh)) => assert_eq!(shared.read(), 1),
            (Got::Refused(News::Panicked) | Got::Done, Got::Ran(News::Panicked)) => {
                assert_eq!(shared.read(), 2);
            }
            other => panic!("{other:?}"),
        }
    });
}

/// The runner stops for good after `steps` of: nothing, claim, work, end.
fn runner_stops(steps: usize, heir: Accept) {
    model(Some(2), move || {
        let shared = Shared::new();
        let victim = spawn(&shared, move |s| {
            let me = holder(1, 2);
            let ran = steps > 0 && matches!(s.turn(me, Accept::Any), Got::Ran(_));
            if ran && steps > 1 {
                s.add();
            }
            if ran && steps > 2 {
                s.end(me, End::Done);
            }
            s.die(me.id());
            ran
        });
        // The last two are threads of one member, and one bears the token of the dead runner.
        let heir = spawn(&shared, move |s| s.call(holder(2, 2), heir));
        let got = [shared.call(holder(2, 1), Accept::Any), heir.join().unwrap()];
        let ran = victim.join().unwrap();
        let worked = u32::from(ran && steps > 1);
        let told = got.iter().filter(|got| **got == Got::Ran(News::Died)).count();
        let refused = got.iter().filter(|got| **got == Got::Refused(News::Died)).count();
        if ran && steps < 3 {
            assert_eq!(told, 1, "{got:?}");
            assert!(refused <= 1);
            assert_eq!(shared.read(), worked + 1);
        } else {
            assert_eq!((told, refused), (0, 0), "{got:?}");
            assert_eq!(shared.read(), 1);
        }
        // It is done, whoever did it.
        assert_eq!(shared.call(holder(3, 1), Accept::Fresh), Got::Done);
    });
}

#[test]
fn a_runner_that_dies_before_its_claim_leaves_nothing() {
    runner_stops(0, Accept::Fresh);
}

#[test]
fn a_dead_runner_that_did_nothing_is_told_of() {
    runner_stops(1, Accept::Any);
    runner_stops(1, Accept::Fresh);
}

#[test]
fn a_dead_runner_is_taken_over_exactly_once_with_what_it_wrote() {
    runner_stops(2, Accept::Any);
    runner_stops(2, Accept::Fresh);
}

#[test]
fn a_runner_that_dies_after_its_end_is_not_told_of() {
    runner_stops(3, Accept::Any);
}

#[test]
fn a_burial_hands_on_what_the_dead_runner_had_seen() {
    model(Some(2), || {
        let shared = Shared::new();
        // The first fails, and hands what it wrote to one whose death tells nothing.
        let first = spawn(&shared, |s| {
            let me = holder(1, 1);
            if let Got::Ran(news) = s.turn(me, Accept::Any) {
                s.add();
                s.end(me, End::Undone(news));
            }
        });
        let victim = spawn(&shared, |s| {
            let _ = s.turn(holder(2, 1), Accept::Fresh);
            s.dead[2].store(true, Relaxed);
            s.wake_all();
        });
        let me = holder(3, 1);
        let mut got = shared.turn(me, Accept::Fresh);
        if got == Got::Refused(News::Died) {
            got = shared.turn(me, Accept::Any);
            assert_eq!(got, Got::Ran(News::Died));
        }
        if let Got::Ran(_) = got {
            shared.add();
            shared.end(me, End::Done);
        }
        first.join().unwrap();
        victim.join().unwrap();
    });
}

#[test]
fn whoever_takes_over_has_seen_what_the_dead_runner_did_before_its_claim() {
    model(Some(3), || {
        let shared = Shared::new();
        let victim = spawn(&shared, |s| {
            s.add();
            let _ = s.turn(holder(1, 1), Accept::Fresh);
            // A death that tells nothing.
            s.dead[1].store(true, Relaxed);
            s.wake_all();
        });
        let me = holder(2, 1);
        match shared.turn(me, Accept::Any) {
            Got::Ran(News::Died) => shared.add(),
            got => assert_eq!(got, Got::Ran(News::Fresh)),
        }
        shared.end(me, End::Done);
        victim.join().unwrap();
    });
}

#[test]
fn an_end_of_a_run_that_was_taken_over_touches_nothing() {
    model(None, || {
        let shared = Shared::new();
        let me = holder(1, 1);
        assert_eq!(shared.turn(me, Accept::Fresh), Got::Ran(News::Fresh));
        let heir = spawn(&shared, |s| {
            // Wrongly believed dead: a kernel that lost a byte lock.
            let seen = s.once.word();
            seen.runner().is_some() && s.once.take_over(seen, holder(2, 1))
        });
        let ended = shared.once.end(me, End::Done);
        if heir.join().unwrap() {
            assert!(matches!(ended, Ended::NotMine(_)), "{ended:?}");
            assert_eq!(shared.once.word().runner(), MemberId::new(2));
        } else {
            assert_eq!(ended, Ended::Quiet);
            assert!(shared.once.is_done());
        }
    });
}
