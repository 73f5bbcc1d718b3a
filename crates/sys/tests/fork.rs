//! Forks: kept out, counted, and told apart.

mod child;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use child::forked;
use crossproc_sys::pidfd::{Exit, PidFd};
use crossproc_sys::{fork, membarrier, process};

/// Forks behind libc's back, as some runtimes do.
fn cloned(work: impl FnOnce() -> bool) -> PidFd {
    // SAFETY: like fork() without handlers; the child only does what is async-signal-safe.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        process::exit_now(i32::from(!work()));
    }
    PidFd::open(u32::try_from(pid).expect("cloned")).expect("a child not yet reaped")
}

fn succeeds(child: &PidFd) {
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn each_kind_of_child_is_another_incarnation() {
    let mine = fork::incarnation();
    let pid = process::pid();
    let is_new = || fork::incarnation() != mine && fork::incarnation() == fork::incarnation();
    succeeds(&forked(|| is_new() && process::pid() != pid && process::parent() == pid));
    succeeds(&cloned(|| is_new() && process::pid() != pid && process::parent() == pid));
    assert_eq!(fork::incarnation(), mine);
}

#[test]
fn a_grandchild_is_not_taken_for_its_grandparent() {
    let mine = fork::incarnation();
    succeeds(&forked(|| {
        let childs = fork::incarnation();
        let grandchild = cloned(|| ![mine, childs, 0].contains(&fork::incarnation()));
        grandchild.reap(true).is_ok_and(|exit| exit == Some(Exit::Code(0)))
    }));
}

#[test]
fn forks_are_counted() {
    let before = fork::forks();
    succeeds(&forked(|| fork::forks() > before));
    assert!(fork::forks() > before);
}

#[test]
fn a_fork_waits_for_the_steps_to_end() {
    const INSIDE: u32 = 1;
    const ABOUT_TO_FORK: u32 = 2;
    let stage = AtomicU32::new(0);
    let reach = |wanted| {
        while stage.load(Relaxed) < wanted {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let forker = scope.spawn(|| {
            reach(INSIDE);
            stage.store(ABOUT_TO_FORK, Relaxed);
            succeeds(&forked(|| true));
        });
        fork::without_fork(|| {
            let before = fork::forks();
            stage.store(INSIDE, Relaxed);
            reach(ABOUT_TO_FORK);
            // Turns in which the other thread could fork, if it were let.
            for _ in 0..100 {
                thread::yield_now();
            }
            assert_eq!(fork::forks(), before);
        });
        forker.join().expect("no panic");
    });
}

#[test]
fn a_fork_inside_the_steps_passes() {
    fork::without_fork(|| {
        succeeds(&forked(|| fork::without_fork(|| true)));
        fork::without_fork(|| succeeds(&forked(|| true)));
        succeeds(&cloned(|| fork::without_fork(|| true)));
    });
    succeeds(&forked(|| true));
}

#[test]
fn a_child_is_not_stopped_by_a_thread_it_does_not_have() {
    let stage = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            fork::without_fork(|| {
                stage.store(1, Relaxed);
                while stage.load(Relaxed) != 2 {
                    thread::yield_now();
                }
            });
        });
        while stage.load(Relaxed) != 1 {
            thread::yield_now();
        }
        succeeds(&cloned(|| fork::without_fork(|| true)));
        stage.store(2, Relaxed);
    });
}

#[test]
fn a_panic_lets_forks_go_on() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        fork::without_fork(|| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(panicked.is_err());
    thread::scope(|scope| {
        scope.spawn(|| succeeds(&forked(|| true)));
    });
}

#[test]
fn threads_take_turns() {
    const ROUNDS: u32 = 200;
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    fork::without_fork(|| {
                        let seen = count.load(Relaxed);
                        thread::yield_now();
                        count.store(seen + 1, Relaxed);
                    });
                }
            });
        }
        succeeds(&forked(|| fork::without_fork(|| true)));
    });
    assert_eq!(count.load(Relaxed), 4 * ROUNDS);
}

#[test]
fn a_child_is_registered_for_barriers_as_its_parent_was() {
    if !membarrier::register() {
        return;
    }
    succeeds(&forked(|| {
        let is_known = registrations()
            .is_none_or(|all| all & libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED != 0);
        is_known && membarrier::is_registered() && membarrier::barrier()
    }));
}

/// What the kernel says this process is registered for; `None` before Linux 6.3.
fn registrations() -> Option<i32> {
    const GET_REGISTRATIONS: i32 = 1 << 9;
    // SAFETY: takes three integers.
    let all = unsafe { libc::syscall(libc::SYS_membarrier, GET_REGISTRATIONS, 0, 0) };
    i32::try_from(all).ok().filter(|all| *all >= 0)
}
