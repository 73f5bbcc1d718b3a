//! Sleeping on a 32-bit word, and waking those who sleep on it.
//!
//! All calls are for words that other processes may share (no `FUTEX_PRIVATE_FLAG`): a sleeper and
//! its waker meet through the memory behind the word, whatever address each has mapped it at.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;

/// How many words [`wait_many`] can sleep on at once.
pub const MOST_WORDS: usize = 128;

const ANY_WAKER: u32 = u32::MAX;
const SIZE_U32: u32 = 2;

/// Why a sleep ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Somebody called [`wake`], or something looked like it: look again.
    Woken,
    /// A word no longer had the expected value, so nobody slept.
    Changed,
    /// The deadline has passed.
    TimedOut,
    /// A signal was handled, or the kernel refused to sleep on this word: look again.
    Interrupted,
}

/// Sleeps until `word` is woken, unless it no longer holds `expected`
/// (`futex(FUTEX_WAIT_BITSET)`, absolute `CLOCK_MONOTONIC` time).
///
/// Blocks until a [`wake`], a signal or the deadline, for ever without one. The death of another
/// process wakes nobody: callers sleep in slices, and look between them.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{clock::Deadline, futex};
/// use std::{sync::atomic::AtomicU32, time::Duration};
///
/// let word = AtomicU32::new(1);
/// assert_eq!(futex::wait(&word, 0, None), futex::Wait::Changed);
/// let soon = Deadline::after(Duration::from_millis(1));
/// assert_eq!(futex::wait(&word, 1, Some(soon)), futex::Wait::TimedOut);
/// ```
#[must_use]
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Deadline>) -> Wait {
    let until = deadline.map(Deadline::timespec);
    // SAFETY: `word` is a live, aligned u32 and `until` a timespec or nothing, for all of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            until.as_ref().map_or(ptr::null(), ptr::from_ref),
            ptr::null::<u32>(),
            ANY_WAKER,
        )
    };
    if result == 0 { Wait::Woken } else { refused(deadline) }
}

/// Wakes at most `count` of those who sleep on `word`, and says how many woke
/// (`futex(FUTEX_WAKE)`). `u32::MAX` wakes all. Never blocks.
///
/// Leaves `errno` as it was, so that a signal handler may call it.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// assert_eq!(crossproc_sys::futex::wake(&AtomicU32::new(0), u32::MAX), 0);
/// ```
pub fn wake(word: &AtomicU32, count: u32) -> u32 {
    let most = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: the calling thread's own, always there.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; nobody else reaches it.
    let before = unsafe { errno.read() };
    // SAFETY: `word` is a live, aligned u32; the kernel only takes its address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
    if woken < 0 {
        // A filter forbids the call. The sleepers' slices end by themselves.
        // SAFETY: as above.
        unsafe { errno.write(before) };
    }
    u32::try_from(woken).unwrap_or(0)
}

/// One word that `futex_waitv` sleeps on, as the kernel lays it out.
#[derive(Copy, Clone)]
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Waiter>() == 24);

/// Sleeps until one of `words` is woken, unless one no longer holds the value beside it
/// (`futex_waitv`, absolute `CLOCK_MONOTONIC` time).
///
/// Also says which word it was: an index into `words` when woken or changed, 0 otherwise. Blocks
/// like [`wait`].
///
/// # Panics
///
/// If `words` is empty or longer than [`MOST_WORDS`].
///
/// # Examples
///
/// ```
/// use crossproc_sys::futex::{Wait, wait_many};
/// use std::sync::atomic::AtomicU32;
///
/// let (a, b) = (AtomicU32::new(1), AtomicU32::new(2));
/// assert_eq!(wait_many(&[(&a, 1), (&b, 7)], None), (Wait::Changed, 1));
/// ```
#[must_use]
pub fn wait_many(words: &[(&AtomicU32, u32)], deadline: Option<Deadline>) -> (Wait, usize) {
    assert!(!words.is_empty() && words.len() <= MOST_WORDS, "1 to {MOST_WORDS} words to sleep on");
    let mut waiters =
        [Waiter { expected: 0, address: 0, flags: SIZE_U32, reserved: 0 }; MOST_WORDS];
    for (waiter, (word, expected)) in waiters.iter_mut().zip(words) {
        waiter.expected = u64::from(*expected);
        waiter.address = word.as_ptr().expose_provenance() as u64;
    }
    let until = deadline.map(Deadline::timespec);
    // SAFETY: the waiters name live, aligned u32s, as many as are said to be there, and `until` is a
    // timespec or nothing, for all of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            words.len(),
            0,
            until.as_ref().map_or(ptr::null(), ptr::from_ref),
            libc::CLOCK_MONOTONIC,
        )
    };
    match usize::try_from(result) {
        Ok(index) => (Wait::Woken, index),
        Err(_) => match refused(deadline) {
            Wait::Changed => (Wait::Changed, first_changed(words)),
            other => (other, 0),
        },
    }
}

/// Which word differs. Relaxed: only a hint where to look, and the caller looks with its own order.
fn first_changed(words: &[(&AtomicU32, u32)]) -> usize {
    words.iter().position(|(word, expected)| word.load(Relaxed) != *expected).unwrap_or(0)
}

/// What the error of a wait means.
fn refused(deadline: Option<Deadline>) -> Wait {
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Wait::Changed,
        Some(libc::ETIMEDOUT) => Wait::TimedOut,
        Some(libc::EINTR) => Wait::Interrupted,
        _ => unable(deadline),
    }
}

/// The kernel cannot sleep on this word at all: a filter forbids the call, or the file behind the
/// mapping was cut. Callers look in a loop, which must then not burn a core.
#[cold]
fn unable(deadline: Option<Deadline>) -> Wait {
    const NAP: Duration = Duration::from_millis(1);
    if deadline.is_some_and(Deadline::has_passed) {
        return Wait::TimedOut;
    }
    thread::sleep(deadline.map_or(NAP, |deadline| deadline.remaining().min(NAP)));
    Wait::Interrupted
}
