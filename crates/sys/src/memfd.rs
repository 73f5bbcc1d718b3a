//! Files that live in memory and have no name, and seals on their size.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use crate::call;

const FIXED: c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// Which pages a file in memory is made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Pages {
    /// The usual pages of 4 KiB.
    #[default]
    Normal,
    /// Huge pages of the system's default size, out of the pool that the administrator set aside.
    /// The file's length must be a multiple of that size.
    Huge,
}

/// A new empty file in memory that can be sealed (`memfd_create(MFD_CLOEXEC | MFD_ALLOW_SEALING)`).
///
/// `name` only shows up in `/proc`; it need not be unique.
///
/// # Errors
///
/// The kernel's error: no descriptors left, a name of more than 249 bytes or with a nul byte, no
/// huge pages configured.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{file, memfd::{self, Pages}};
/// use std::os::fd::AsFd;
///
/// let fd = memfd::create("example", Pages::Normal)?;
/// file::set_len(fd.as_fd(), 4096)?;
/// memfd::seal_size(&fd)?;
/// assert!(memfd::is_size_sealed(&fd)?);
/// assert!(file::set_len(fd.as_fd(), 0).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn create(name: &str, pages: Pages) -> io::Result<OwnedFd> {
    let name = call::c_string(name.as_bytes())?;
    let huge = match pages {
        Pages::Normal => 0,
        Pages::Huge => libc::MFD_HUGETLB,
    };
    // SAFETY: `name` is a C string.
    let fd = unsafe {
        libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | huge)
    };
    // SAFETY: what memfd_create returns is ours.
    unsafe { call::own(fd) }
}

/// Fixes the size of a file in memory for good, for every process
/// (`fcntl(F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)`).
///
/// After this no access inside the size can fault, whatever a peer does.
///
/// # Errors
///
/// `EINVAL` if the file cannot be sealed, `EPERM` if its seals are final already.
pub fn seal_size(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
    call::retry(|| unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, FIXED) })?;
    Ok(())
}

/// Whether the size is sealed, by [`seal_size`] here or elsewhere (`fcntl(F_GET_SEALS)`).
///
/// # Errors
///
/// `EINVAL` if it is no file that could be sealed.
pub fn is_size_sealed(fd: impl AsFd) -> io::Result<bool> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
    let seals = call::retry(|| unsafe { libc::fcntl(fd, libc::F_GET_SEALS) })?;
    Ok(seals & FIXED == FIXED)
}
