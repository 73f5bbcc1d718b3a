//! Forked children of a test. The test process has several threads, so a child may only do what is
//! async-signal-safe: words, futexes, raw calls, no allocation, no panic.

use crossproc_sys::pidfd::PidFd;
use crossproc_sys::process;

/// Forks; the child runs `work` and exits with 0 if that is true, else with 1.
///
/// It dies with the test that made it, so that a test that fails leaves nothing behind.
pub(crate) fn forked(work: impl FnOnce() -> bool) -> PidFd {
    let parent = process::pid();
    // SAFETY: the child only does what the module's head allows.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: takes two numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            process::exit_now(i32::from(process::parent() != parent || !work()));
        }
        pid => PidFd::open(u32::try_from(pid).expect("forked")).expect("a child not yet reaped"),
    }
}
