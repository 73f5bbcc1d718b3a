//! Waiting until a descriptor has something to read.

use std::ffi::c_short;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::ptr;

use crate::call;
use crate::clock::{self, Deadline};

/// Waits until `fd` can be read without blocking, or its other end is gone (`ppoll`).
///
/// `false` when the deadline passed first; without one it blocks for as long as it takes.
///
/// # Errors
///
/// The kernel's error.
pub fn readable(fd: impl AsFd, deadline: Option<Deadline>) -> io::Result<bool> {
    Ok(any_readable(&[fd.as_fd()], deadline)?.is_some())
}

/// Waits until one of `fds` can be read without blocking, or its other end is gone, and says which:
/// the first of them in the order given (`ppoll`).
///
/// `None` when the deadline passed first; without one it blocks for as long as it takes.
///
/// # Errors
///
/// The kernel's error.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{clock::Deadline, poll, socket};
/// use std::os::fd::AsFd;
///
/// let (a, b) = socket::pair()?;
/// assert_eq!(poll::any_readable(&[a.as_fd(), b.as_fd()], Some(Deadline::now()))?, None);
/// drop(a);
/// assert!(poll::readable(&b, None)?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn any_readable(
    fds: &[BorrowedFd<'_>],
    deadline: Option<Deadline>,
) -> io::Result<Option<usize>> {
    wait(fds.iter().map(|fd| entry(*fd, libc::POLLIN)).collect(), deadline)
}

/// Waits until `fd`, if there is one, can be read without blocking, or until the other end of `peer`
/// is gone, whatever that may have sent before (`ppoll`).
///
/// # Errors
///
/// The kernel's error.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{pidfd::PidFd, poll, process, socket};
/// use std::os::fd::AsFd;
///
/// let me = PidFd::open(process::pid())?;
/// let (a, b) = socket::pair()?;
/// socket::send_with_fds(&a, b"nobody reads this", &[])?;
/// drop(a);
/// poll::readable_or_gone(Some(me.as_fd()), b.as_fd())?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn readable_or_gone(fd: Option<BorrowedFd<'_>>, peer: BorrowedFd<'_>) -> io::Result<()> {
    // The end is always reported, without being asked for.
    let polled = std::iter::once(entry(peer, 0)).chain(fd.map(|fd| entry(fd, libc::POLLIN)));
    wait(polled.collect(), None)?;
    Ok(())
}

fn entry(fd: BorrowedFd<'_>, events: c_short) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }
}

fn wait(mut polled: Vec<libc::pollfd>, deadline: Option<Deadline>) -> io::Result<Option<usize>> {
    call::retry(|| {
        let left = deadline.map(|at| clock::timespec(remaining_ns(at)));
        // SAFETY: `polled` has as many entries as said; `left` is a timespec or nothing, and there
        // is no signal mask.
        unsafe {
            libc::ppoll(
                polled.as_mut_ptr(),
                polled.len() as libc::nfds_t,
                left.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null(),
            )
        }
    })?;
    Ok(polled.iter().position(|entry| entry.revents != 0))
}

fn remaining_ns(deadline: Deadline) -> u64 {
    deadline.as_nanos().saturating_sub(clock::now_ns())
}
