//! Locks on single bytes of a file, held by an open file description.
//!
//! Such a lock ends when its last descriptor *and* its last mapping are gone, at the latest with
//! the death of the process: it is how the house knows who is alive. It belongs to the description,
//! not to the process, so a question must come through another description than the holder's.

use std::ffi::{c_int, c_short};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use crate::call;

/// Takes the byte at `offset`, which may lie beyond the end of the file, for this open file
/// description (`fcntl(F_OFD_SETLK)`). Does not block: `false` when another description has it.
///
/// # Errors
///
/// The kernel's error: no memory for locks, a descriptor not open for writing, a file system
/// without locks, an offset beyond the largest.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{file, lock, memfd};
/// use std::os::fd::AsFd;
///
/// let fd = memfd::create("example", memfd::Pages::Normal)?;
/// let other = file::reopen(fd.as_fd())?;
/// assert!(lock::try_lock_byte(&other, 7)?);
/// assert!(lock::is_locked(&fd, 7));
/// assert!(!lock::try_lock_byte(&fd, 7)?);
/// drop(other);
/// assert!(!lock::is_locked(&fd, 7));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn try_lock_byte(fd: impl AsFd, offset: u64) -> io::Result<bool> {
    match control(fd.as_fd(), libc::F_OFD_SETLK, &mut byte(libc::F_WRLCK, offset)?) {
        Ok(()) => Ok(true),
        Err(error) if is_held(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives back the byte at `offset`, if this open file description has it (`fcntl(F_OFD_SETLK)`).
///
/// # Errors
///
/// The kernel's error; it is not an error when the byte was not locked.
pub fn unlock_byte(fd: impl AsFd, offset: u64) -> io::Result<()> {
    control(fd.as_fd(), libc::F_OFD_SETLK, &mut byte(libc::F_UNLCK, offset)?)
}

/// Whether another open file description than this one has the byte at `offset`
/// (`fcntl(F_OFD_GETLK)`).
///
/// A call that fails answers `true`: to believe a living process dead would be worse.
#[must_use]
pub fn is_locked(fd: impl AsFd, offset: u64) -> bool {
    let Ok(mut question) = byte(libc::F_WRLCK, offset) else { return true };
    match control(fd.as_fd(), libc::F_OFD_GETLK, &mut question) {
        Ok(()) => c_int::from(question.l_type) != libc::F_UNLCK,
        Err(_) => true,
    }
}

/// The lock on one byte, in the kernel's words.
fn byte(kind: c_int, offset: u64) -> io::Result<libc::flock> {
    // SAFETY: a flock is plain integers, for which zeroes are a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = c_short::try_from(kind).unwrap_or(0);
    lock.l_whence = c_short::try_from(libc::SEEK_SET).unwrap_or(0);
    lock.l_start = call::off(offset)?;
    lock.l_len = 1;
    Ok(lock)
}

/// One `fcntl` about a lock.
fn control(fd: BorrowedFd<'_>, command: c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is open and `lock` a flock that the call may write to.
    call::retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), command, &raw mut *lock) })?;
    Ok(())
}

/// Whether the error means that somebody else has the lock.
fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}
