//! Whether the kernel is new enough.

use std::error::Error;
use std::ffi::CStr;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The oldest kernel that has all that is needed (`futex_waitv` came last).
const NEEDED: (u32, u32) = (5, 16);

const UNKNOWN: u32 = 0;
const NEW_ENOUGH: u32 = 1;

/// The kernel is older than 5.16.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooOld {
    /// The release that runs here, as `uname -r` prints it.
    pub found: String,
}

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = NEEDED;
        write!(f, "needs Linux {major}.{minor} or newer, but this is {}", self.found)
    }
}

impl Error for TooOld {}

/// Whether this is Linux 5.16 or newer (`uname`, once; a load from then on).
///
/// # Errors
///
/// [`TooOld`] with the release that was found.
///
/// # Examples
///
/// ```
/// assert!(crossproc_sys::kernel::check().is_ok());
/// ```
pub fn check() -> Result<(), TooOld> {
    static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);
    if STATE.load(Relaxed) == NEW_ENOUGH {
        return Ok(());
    }
    let found = release();
    if version(&found).is_some_and(|version| version < NEEDED) {
        return Err(TooOld { found });
    }
    STATE.store(NEW_ENOUGH, Relaxed);
    Ok(())
}

/// The kernel's release (`uname`).
fn release() -> String {
    let mut names = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `names` has room for what uname writes.
    unsafe { libc::uname(names.as_mut_ptr()) };
    // SAFETY: arrays of characters, zeroed at first: a value in any case.
    let names = unsafe { names.assume_init() };
    // SAFETY: uname ends each name with a nul byte; and zeroes are an empty one.
    let release = unsafe { CStr::from_ptr(names.release.as_ptr()) };
    release.to_string_lossy().into_owned()
}

/// The first two numbers of a release; nothing for one that does not begin with them, which is then
/// given the benefit of the doubt.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.15.0-91-generic"), Some((5, 15)));
        assert_eq!(version("5.16-rc1"), Some((5, 16)));
        assert_eq!(version("unknown"), None);
        assert!(version("5.4.0") < Some(NEEDED));
        assert!(version("10.0.1") > Some(NEEDED));
    }

    #[test]
    fn an_old_kernel_is_named() {
        let error = TooOld { found: "5.4.0-42".to_owned() };
        assert_eq!(error.to_string(), "needs Linux 5.16 or newer, but this is 5.4.0-42");
    }
}
