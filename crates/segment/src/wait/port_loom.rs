//! The kernel's part in waking for the model checker: full fences, and one futex queue.
//!
//! Sleepers on all words share one queue and one condition variable, so that a model with several
//! words must wake all.

use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::fence;
use loom::sync::{Condvar, Mutex};

use crate::atomic::AtomicU32;

loom::lazy_static! {
    static ref ASLEEP: Mutex<u32> = Mutex::new(0);
    static ref WAKE: Condvar = Condvar::new();
}

/// The model has no membarrier: both sides use the fence that it stands for.
pub(crate) fn light_barrier() {
    // ORDERING: the notifier's half of *announce / look again*.
    fence(SeqCst);
}

/// See [`light_barrier`]; the waiter's fence stands in `prepare`.
pub(crate) fn heavy_barrier() {}

/// `FUTEX_WAKE`.
pub fn wake(_word: &AtomicU32, count: u32) -> u32 {
    let mut asleep = ASLEEP.lock().expect("no thread of a model panics and goes on");
    let woken = count.min(*asleep);
    // Here, not by the woken: until they run, a second wake must not count them again.
    *asleep -= woken;
    for _ in 0..woken {
        WAKE.notify_one();
    }
    woken
}

/// `FUTEX_WAIT` without a timeout: a wake that is lost shows as a deadlock of the model.
pub fn wait(word: &AtomicU32, expected: u32) {
    // ORDERING: the kernel runs a full barrier between queueing and reading the word.
    fence(SeqCst);
    let mut asleep = ASLEEP.lock().expect("no thread of a model panics and goes on");
    // ORDERING: the kernel's load, after its barrier.
    if word.load(SeqCst) != expected {
        return;
    }
    *asleep += 1;
    drop(WAKE.wait(asleep).expect("no thread of a model panics and goes on"));
}
