//! Waiting for many descriptors by one.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use crate::call;

/// A descriptor that can be read as long as one of those added to it can
/// (see [`poll`](crate::poll) to wait for it).
///
/// # Examples
///
/// ```
/// use crossproc_sys::{clock::Deadline, epoll::Epoll, poll, socket};
///
/// let (a, b) = socket::pair()?;
/// let all = Epoll::new()?;
/// all.add(&b)?;
/// assert!(!poll::readable(&all, Some(Deadline::now()))?);
/// socket::send_with_fds(&a, b"!", &[])?;
/// assert!(poll::readable(&all, None)?);
/// all.remove(&b);
/// assert!(!poll::readable(&all, Some(Deadline::now()))?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// One without members (`epoll_create1(EPOLL_CLOEXEC)`).
    ///
    /// # Errors
    ///
    /// The kernel's error: no descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes an integer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        // SAFETY: what epoll_create1 returns is ours.
        unsafe { call::own(fd) }.map(Self)
    }

    /// Adds `fd` (`epoll_ctl(EPOLL_CTL_ADD)`, `EPOLLIN`).
    ///
    /// # Errors
    ///
    /// The kernel's error: there already, or the user's limit.
    pub fn add(&self, fd: impl AsFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN.unsigned_abs(), u64: 0 };
        let (all, fd) = (self.0.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: two open descriptors, and an event that is only read.
        call::check(unsafe { libc::epoll_ctl(all, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Takes `fd` out again (`epoll_ctl(EPOLL_CTL_DEL)`): to be done before it is closed, as a forked
    /// child may have a copy, which would stay a member.
    pub fn remove(&self, fd: impl AsFd) {
        let (all, fd) = (self.0.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: two open descriptors. It fails if `fd` is no member.
        unsafe { libc::epoll_ctl(all, libc::EPOLL_CTL_DEL, fd, ptr::null_mut()) };
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
