//! A descriptor that can be read, as far as `poll` is concerned, once it has been raised.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::call;

/// A flag that threads of this process poll for.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{clock::Deadline, eventfd::EventFd, poll};
///
/// let flag = EventFd::new()?;
/// assert!(!poll::readable(&flag, Some(Deadline::now()))?);
/// flag.raise();
/// assert!(poll::readable(&flag, None)?);
/// assert!(flag.clear());
/// assert!(!flag.clear());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A flag that is down (`eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)`).
    ///
    /// # Errors
    ///
    /// The kernel's error: no descriptors left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes two integers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        // SAFETY: what eventfd returns is ours.
        unsafe { call::own(fd) }.map(Self)
    }

    /// Raises it (`write`); does nothing if it is up. Never blocks.
    pub fn raise(&self) {
        let one = 1_u64.to_ne_bytes();
        // An error means that it has been raised 2^64 - 2 times: it is up.
        // SAFETY: an open descriptor, and eight bytes to read.
        let _ = call::retry(|| unsafe {
            libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len())
        });
    }

    /// Takes it down, and says whether it was up (`read`). Never blocks.
    #[must_use]
    pub fn clear(&self) -> bool {
        let mut count = [0_u8; 8];
        // SAFETY: an open descriptor, and room for eight bytes.
        let read = call::retry(|| unsafe {
            libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len())
        });
        read.is_ok()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
