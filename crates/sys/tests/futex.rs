//! Sleeping and waking, across threads and processes.

mod child;

use std::ffi::c_int;
use std::os::fd::OwnedFd;
use std::os::unix::thread::JoinHandleExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use child::forked;
use crossproc_sys::clock::Deadline;
use crossproc_sys::file;
use crossproc_sys::futex::{MOST_WORDS, Wait, wait, wait_many, wake};
use crossproc_sys::map::Mapping;
use crossproc_sys::memfd::{self, Pages};
use crossproc_sys::pidfd::Exit;

const PAGE: usize = 4096;

/// A file of `pages` pages in memory.
fn memory(pages: usize) -> OwnedFd {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::set_len(&fd, (pages * PAGE) as u64).expect("length");
    fd
}

/// The word at byte `at` of a mapping.
fn word(mapping: &Mapping, at: usize) -> &AtomicU32 {
    assert!(at % 4 == 0 && at < mapping.len());
    // SAFETY: inside the mapping, as asserted.
    let place = unsafe { mapping.as_ptr().add(at) };
    // SAFETY: aligned, mapped for as long as the mapping is borrowed, only touched by atomics.
    unsafe { place.cast::<AtomicU32>().as_ref() }
}

/// Wakes until `sleepers` have been woken in all, so returns only when all of them slept.
fn wake_all_of(word: &AtomicU32, sleepers: u32) {
    let mut woken = 0;
    while woken < sleepers {
        woken += wake(word, u32::MAX);
        thread::yield_now();
    }
    assert_eq!(woken, sleepers);
}

#[test]
fn a_changed_word_is_not_slept_on() {
    let word = AtomicU32::new(1);
    assert_eq!(wait(&word, 0, None), Wait::Changed);
    assert_eq!(wait_many(&[(&word, 1), (&word, 0)], None), (Wait::Changed, 1));
}

#[test]
fn a_passed_deadline_ends_the_wait() {
    let word = AtomicU32::new(0);
    for deadline in [Deadline::from_nanos(0), Deadline::after(Duration::from_millis(2))] {
        assert_eq!(wait(&word, 0, Some(deadline)), Wait::TimedOut);
        assert!(deadline.has_passed());
    }
    for deadline in [Deadline::from_nanos(0), Deadline::after(Duration::from_millis(2))] {
        assert_eq!(wait_many(&[(&word, 0)], Some(deadline)), (Wait::TimedOut, 0));
        assert!(deadline.has_passed());
    }
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait(&word, 0, Some(Deadline::from_nanos(u64::MAX))));
        wake_all_of(&word, 1);
        assert_eq!(sleeper.join().expect("no panic"), Wait::Woken);
    });
}

#[test]
fn threads_are_woken_and_counted() {
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        let sleepers: Vec<_> = (0..3).map(|_| scope.spawn(|| wait(&word, 0, None))).collect();
        wake_all_of(&word, 3);
        for sleeper in sleepers {
            assert_eq!(sleeper.join().expect("no panic"), Wait::Woken);
        }
    });
    assert_eq!(wake(&word, u32::MAX), 0);
}

#[test]
fn the_woken_one_of_many_words_is_named() {
    let words = [const { AtomicU32::new(7) }; MOST_WORDS];
    let pairs: Vec<_> = words.iter().map(|word| (word, 7)).collect();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait_many(&pairs, None));
        wake_all_of(&words[MOST_WORDS - 1], 1);
        assert_eq!(sleeper.join().expect("no panic"), (Wait::Woken, MOST_WORDS - 1));
    });
}

#[test]
fn a_process_is_woken_through_another_mapping() {
    let fd = memory(1);
    let here = Mapping::shared(&fd, PAGE).expect("map");
    let there = Mapping::shared(&fd, PAGE).expect("map");
    let (mine, its) = (word(&here, 64), word(&there, 64));
    let child = forked(|| wait(its, 0, None) == Wait::Woken);
    wake_all_of(mine, 1);
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));

    let child = forked(|| wait_many(&[(word(&there, 0), 0), (its, 0)], None) == (Wait::Woken, 1));
    wake_all_of(mine, 1);
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn a_signal_ends_the_wait() {
    extern "C" fn nothing(_signal: c_int) {}
    // SAFETY: integers and a null handler: a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(c_int) as libc::sighandler_t;
    // SAFETY: a handler that does nothing is async-signal-safe; the old one is not asked for.
    unsafe { libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()) };

    let many: fn(&AtomicU32) -> Wait = |word| wait_many(&[(word, 0)], None).0;
    for sleep in [|word: &AtomicU32| wait(word, 0, None), many] {
        let shared = Arc::new(AtomicU32::new(0));
        let sleeper = thread::spawn({
            let word = Arc::clone(&shared);
            move || sleep(&word)
        });
        while !sleeper.is_finished() {
            // SAFETY: the thread has not been joined, so its number is still its own.
            unsafe { libc::pthread_kill(sleeper.as_pthread_t(), libc::SIGUSR2) };
            thread::yield_now();
        }
        assert_eq!(sleeper.join().expect("no panic"), Wait::Interrupted);
    }
}

#[test]
fn a_word_in_a_cut_file_cannot_be_slept_on() {
    let fd = memory(2);
    let mapping = Mapping::shared(&fd, 2 * PAGE).expect("map");
    file::set_len(&fd, PAGE as u64).expect("cut");
    let lost = word(&mapping, PAGE);
    assert_eq!(wait(lost, 0, None), Wait::Interrupted);
    assert_eq!(wait(lost, 0, Some(Deadline::now())), Wait::TimedOut);
    assert_eq!(wake(lost, 1), 0);
}

#[test]
#[should_panic(expected = "1 to 128 words")]
fn no_words_are_a_mistake() {
    let _nothing = wait_many(&[], None);
}

#[test]
fn a_handed_over_value_is_seen() {
    const ROUNDS: u32 = 100;
    let ball = AtomicU32::new(0);
    let play = |mine: u32| {
        for round in (mine..2 * ROUNDS).step_by(2) {
            while ball.load(Relaxed) != round {
                let _look_again = wait(&ball, round.wrapping_sub(1), None);
            }
            ball.store(round + 1, Relaxed);
            wake(&ball, 1);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| play(1));
        play(0);
    });
    assert_eq!(ball.load(Relaxed), 2 * ROUNDS);
}
