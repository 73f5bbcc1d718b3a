//! Forks: keeping them out of a few steps, counting them, telling parent from child.
//!
//! # Layout
//! Three words in a page that reads 0 in a child made by any kind of fork:
//!
//! | word | holds | written by |
//! |---|---|---|
//! | `lock` | the holder's tid, and a flag while somebody sleeps; 0 = free | who takes and frees it |
//! | `depth` | how often the holder has taken it again | the holder |
//! | `incarnation` | this process's number among its forebears; 0 = not drawn yet | the first who asks |
//!
//! The lock is a word of our own and no `Mutex`, so that it is free in the child even if another
//! thread of the parent had it when `clone` was called behind libc's back. It can be taken again by
//! its holder, so that a fork *inside* [`without_fork`] passes instead of blocking for ever.
//!
//! # Orderings
//! **hand-over**: Release of `lock` in `release` -> Acquire in `acquire`; the holder before us is done.

use std::mem;
use std::ptr;
#[expect(clippy::disallowed_types, reason = "memory of this process alone, no shared word")]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::map::WipedOnFork;
use crate::{futex, process};

const FREE: u32 = 0;
const CONTENDED: u32 = 1 << 31;

static FORKS: AtomicU64 = AtomicU64::new(0);
static IS_REGISTERED: AtomicU32 = AtomicU32::new(0);
static LAST_INCARNATION: AtomicU32 = AtomicU32::new(0);

/// What lies at the start of the page.
#[repr(C)]
struct Words {
    lock: AtomicU32,
    depth: AtomicU32,
    incarnation: AtomicU32,
}

impl Words {
    const fn new() -> Self {
        Self {
            lock: AtomicU32::new(FREE),
            depth: AtomicU32::new(0),
            incarnation: AtomicU32::new(0),
        }
    }
}

/// Runs `f` while no thread of this process is inside `fork()`; a fork waits until `f` is done.
///
/// Blocks while another thread is in here or forks. For the few steps between opening a file and
/// closing it again, which a child must not inherit half done. A fork by `f` itself is let through.
/// Only libc's `fork()` is kept out (`pthread_atfork`), not a raw `clone`; `posix_spawn`, which
/// closes all in its child, is not either.
///
/// # Examples
///
/// ```
/// assert_eq!(crossproc_sys::fork::without_fork(|| 7), 7);
/// ```
pub fn without_fork<R>(f: impl FnOnce() -> R) -> R {
    acquire();
    let _held = Held;
    register();
    f()
}

/// How many times this process, and its forebears before it was forked, have called `fork()`.
///
/// Counted as a fork begins, so what is seen here is never less than what was begun. Counting
/// starts with the first use of this module.
///
/// # Examples
///
/// ```
/// use crossproc_sys::fork;
///
/// assert!(fork::forks() <= fork::forks());
/// ```
#[must_use]
pub fn forks() -> u64 {
    if IS_REGISTERED.load(Relaxed) == 0 {
        without_fork(|| ());
    }
    FORKS.load(Relaxed)
}

/// A number that stays the same in a process and differs from that of every process that it was
/// forked from, by whatever kind of fork. Never 0.
///
/// # Examples
///
/// ```
/// use crossproc_sys::fork;
///
/// assert_eq!(fork::incarnation(), fork::incarnation());
/// ```
#[must_use]
pub fn incarnation() -> u32 {
    let word = &words().incarnation;
    match word.load(Relaxed) {
        0 => draw(word),
        drawn => drawn,
    }
}

/// Draws a number. What an ancestor drew is in our copy of the counter, so it does not come again.
#[cold]
fn draw(word: &AtomicU32) -> u32 {
    let drawn = LAST_INCARNATION.fetch_add(1, Relaxed) + 1;
    match word.compare_exchange(0, drawn, Relaxed, Relaxed) {
        Ok(_) => drawn,
        Err(of_another_thread) => of_another_thread,
    }
}

/// Frees the lock, also when `f` panics.
struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        release();
    }
}

/// Takes the lock, once more if this thread has it.
fn acquire() {
    let Words { lock, depth, .. } = words();
    let me = process::tid();
    if lock.load(Relaxed) & !CONTENDED == me {
        depth.fetch_add(1, Relaxed);
        return;
    }
    // ORDERING: acquire side of *hand-over*.
    if lock.compare_exchange(FREE, me, Acquire, Relaxed).is_err() {
        acquire_contended(lock, me);
    }
}

/// Sleeps until the lock is free. Who has slept takes it as contended, since others may sleep still.
#[cold]
fn acquire_contended(lock: &AtomicU32, me: u32) {
    loop {
        let seen = lock.load(Relaxed);
        if seen == FREE {
            // ORDERING: acquire side of *hand-over*.
            if lock.compare_exchange(FREE, me | CONTENDED, Acquire, Relaxed).is_ok() {
                return;
            }
        } else if seen & CONTENDED != 0
            || lock.compare_exchange(seen, seen | CONTENDED, Relaxed, Relaxed).is_ok()
        {
            let _look_again = futex::wait(lock, seen | CONTENDED, None);
        }
    }
}

/// Frees the lock, or undoes one taking again. Nothing in a child that was forked meanwhile: there
/// the lock was wiped, and may be somebody else's by now.
fn release() {
    let Words { lock, depth, .. } = words();
    if lock.load(Relaxed) & !CONTENDED != process::tid() {
        return;
    }
    if depth.load(Relaxed) > 0 {
        depth.fetch_sub(1, Relaxed);
        return;
    }
    // ORDERING: release side of *hand-over*.
    if lock.swap(FREE, Release) & CONTENDED != 0 {
        futex::wake(lock, 1);
    }
}

/// Has libc call us around each `fork()` (`pthread_atfork`), once. The caller holds the lock.
fn register() {
    if IS_REGISTERED.load(Relaxed) != 0 {
        return;
    }
    // SAFETY: the handlers are functions of this program that only use atomics and system calls.
    // Out of memory is the one error; then forks are not kept out, which nobody could mend.
    unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    IS_REGISTERED.store(1, Relaxed);
}

unsafe extern "C" fn before() {
    acquire();
    FORKS.fetch_add(1, Relaxed);
}

unsafe extern "C" fn after_in_parent() {
    release();
}

unsafe extern "C" fn after_in_child() {
    // Does nothing to a page that was wiped; the words beside it are for where there is none.
    let words = words();
    words.lock.store(FREE, Relaxed);
    words.depth.store(0, Relaxed);
    words.incarnation.store(0, Relaxed);
}

/// The words of this process, in a page made by the first who asks.
///
/// No `OnceLock`: a child forked while another thread fills it would wait for that thread for ever.
fn words() -> &'static Words {
    #[expect(clippy::disallowed_types, reason = "memory of this process alone, no shared word")]
    static WORDS: AtomicPtr<Words> = AtomicPtr::new(ptr::null_mut());
    /// For a process that gets no page: wiped by the handler, so by `fork()` only.
    static NO_PAGE: Words = Words::new();

    // ORDERING: acquire; pairs with the release in the exchange below, by whoever made the page.
    let known = WORDS.load(Acquire);
    // SAFETY: null, or one of the pointers stored below, which stay valid for good.
    if let Some(words) = unsafe { known.as_ref() } {
        return words;
    }
    let page = WipedOnFork::new();
    let fresh = page.as_ref().map_or(&raw const NO_PAGE, |page| page.words().as_ptr().cast());
    // ORDERING: release the page just mapped; acquire another thread's.
    match WORDS.compare_exchange(ptr::null_mut(), fresh.cast_mut(), AcqRel, Acquire) {
        Ok(_) => mem::forget(page),
        Err(_of_another_thread) => return words(),
    }
    // SAFETY: `NO_PAGE`, or a page of zeroes that was just forgotten, so is never unmapped.
    unsafe { &*fresh }
}
