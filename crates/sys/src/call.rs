//! From what C functions return to what Rust functions return.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The error in `errno` where `result` is -1.
pub(crate) fn check<T: PartialEq + From<i8>>(result: T) -> io::Result<T> {
    if result == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Like [`check`], and calls again for as long as a signal interrupted the call.
pub(crate) fn retry<T: PartialEq + From<i8>>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Takes over the new descriptor that a call returned.
///
/// # Safety
///
/// `result` is -1, or a descriptor that the caller owns and hands over.
pub(crate) unsafe fn own<T: PartialEq + From<i8> + TryInto<i32>>(result: T) -> io::Result<OwnedFd> {
    let Ok(fd) = check(result)?.try_into() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    // SAFETY: the caller owns this descriptor and hands it over; it is not -1.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The path as the C string that calls take.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    c_string(path.as_os_str().as_bytes())
}

/// The bytes as the C string that calls take.
pub(crate) fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a nul byte inside a string"))
}

/// The name under which the kernel shows a descriptor of this process.
pub(crate) fn fd_path(fd: BorrowedFd<'_>) -> io::Result<CString> {
    c_string(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_bytes())
}

/// A length or an offset as the kernel counts them.
pub(crate) fn off(value: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(value)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "beyond the largest file offset"))
}
