//! Which signals this process and its threads take.

use std::mem::MaybeUninit;
use std::ptr;

/// Runs `f` with all signals blocked in the calling thread (`pthread_sigmask`). A thread that `f`
/// starts keeps them blocked, so that signals meant for the process go to its other threads.
///
/// # Examples
///
/// ```
/// use crossproc_sys::process;
///
/// let helper = process::without_signals(|| std::thread::spawn(|| 7));
/// assert_eq!(helper.join().unwrap(), 7);
/// ```
pub fn without_signals<R>(f: impl FnOnce() -> R) -> R {
    /// Puts the thread's own set back, also when `f` panics.
    struct Restore(libc::sigset_t);

    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: an initialised set, and the old one is not asked for.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
        }
    }

    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: room for a set.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a set that sigfillset has filled, and room for another.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: bits, zeroed at first: a value whatever the call wrote.
    let _restore = Restore(unsafe { before.assume_init() });
    f()
}

/// Has Ctrl-C on the terminal, and `SIGINT` from elsewhere, do nothing to this process
/// (`signal(SIGINT, SIG_IGN)`).
pub fn ignore_interrupt() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}
