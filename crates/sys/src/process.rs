//! This process: its numbers, its name, its end, the processors it may use; and new ones.

mod closefrom;
mod cpu;
mod signals;
mod spawn;

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::process as std_process;

use crate::call;

pub use cpu::{affinity_count, cpu_count, pin};
pub use signals::{ignore_interrupt, without_signals};
pub use spawn::{Spawn, Spawned};

/// The longest name of a thread that the kernel keeps.
const NAME_BYTES: usize = 15;

/// This process's number (`getpid`, each time: right after any kind of fork).
#[must_use]
pub fn pid() -> u32 {
    std_process::id()
}

/// The effective user of this process (`geteuid`): whose rights it has.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// This thread's number, unique in this pid namespace (`gettid`, each time).
#[must_use]
pub fn tid() -> u32 {
    // SAFETY: a question without arguments.
    unsafe { libc::gettid() }.unsigned_abs()
}

/// The parent's number; 0 if it lives in another pid namespace, another process's number once the
/// parent has died (`getppid`).
#[must_use]
pub fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// When the process `pid` was started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] if there is no such process, or no `/proc`.
///
/// # Examples
///
/// ```
/// use crossproc_sys::process;
///
/// assert!(process::start_time(process::pid())? > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start_time(pid: u32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    start_in(&String::from_utf8_lossy(&stat)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// When this process was started, as [`start_time`] tells of others. Right also where `/proc` is that
/// of another pid namespace, in which this process's number is another's.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] if there is no `/proc`.
///
/// # Examples
///
/// ```
/// use crossproc_sys::process;
///
/// assert_eq!(process::own_start_time()?, process::start_time(process::pid())?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn own_start_time() -> io::Result<u64> {
    let stat = fs::read("/proc/self/stat")?;
    start_in(&String::from_utf8_lossy(&stat)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Field 22. The name before it stands in parentheses and may hold anything, parentheses too.
fn start_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Names the calling thread; in the main thread this is the process's name in `ps` and `top`
/// (`prctl(PR_SET_NAME)`). Cut to 15 bytes, and at a nul byte.
pub fn set_name(name: &str) {
    let mut bytes = [0_u8; NAME_BYTES + 1];
    for (to, from) in bytes[..NAME_BYTES].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: 16 bytes, the last of them nul, which the kernel only reads.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// Ends this process at once: no destructors, no `atexit`, nothing flushed (`_exit`).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(code) }
}

/// Ends this process by a signal, as if it had been sent by another (`kill(getpid(), ..)`).
///
/// A signal that is blocked, ignored or handled is set to its default first; one that by default
/// does not end a process ends this one by `SIGKILL`.
pub fn kill_self(signal: i32) -> ! {
    // SAFETY: a number, and the default action is always allowed.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    unblock(signal);
    send_self(signal);
    send_self(libc::SIGKILL);
    // SIGKILL is taken before the call returns to this thread.
    exit_now(128 + signal)
}

/// Stops this process until somebody sends `SIGCONT` (`kill(getpid(), SIGSTOP)`).
pub fn stop_self() {
    send_self(libc::SIGSTOP);
}

/// `kill` of this process.
fn send_self(signal: c_int) {
    let Ok(pid) = libc::pid_t::try_from(pid()) else { return };
    // SAFETY: two numbers.
    unsafe { libc::kill(pid, signal) };
}

/// Lets this thread take `signal` (`pthread_sigmask(SIG_UNBLOCK)`).
fn unblock(signal: c_int) {
    let set = spawn::signals(&[signal]);
    // SAFETY: `set` is an initialised set, and the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Has writes to a closed pipe or socket fail with `EPIPE` instead of ending the process
/// (`signal(SIGPIPE, SIG_IGN)`), as std does before `main`.
pub fn ignore_sigpipe() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Has programs started from this process not inherit `fd` (`fcntl(F_SETFD)`).
///
/// # Errors
///
/// The kernel's error, hardly possible on an open descriptor.
pub fn set_cloexec(fd: impl AsFd) -> io::Result<()> {
    set_fd_flags(fd, libc::FD_CLOEXEC)
}

/// Has programs started from this process inherit `fd` (`fcntl(F_SETFD)`): every program that any
/// thread starts. [`Spawn::fd`] gives a descriptor to one program alone.
///
/// # Errors
///
/// The kernel's error, hardly possible on an open descriptor.
pub fn clear_cloexec(fd: impl AsFd) -> io::Result<()> {
    set_fd_flags(fd, 0)
}

/// `fcntl(F_SETFD)`; close-on-exec is the only flag there is.
fn set_fd_flags(fd: impl AsFd, flags: c_int) -> io::Result<()> {
    // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
    call::retry(|| unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFD, flags) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let fields: Vec<String> = (3..53).map(|field| field.to_string()).collect();
        assert_eq!(start_in(&format!("7 (a) b (c)) {}", fields.join(" "))), Some(22));
        assert_eq!(start_in("7 (a) S 1"), None);
    }
}
