//! Closing, in a child about to be, all descriptors from a number on.

use std::ffi::c_int;
use std::io;

/// Adds that to `actions` (`posix_spawn_file_actions_addclosefrom_np`, glibc 2.34).
#[cfg(target_env = "gnu")]
pub(super) fn add(actions: &mut libc::posix_spawn_file_actions_t, from: c_int) -> io::Result<()> {
    // SAFETY: the actions are initialised.
    let error = unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut *actions, from) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Adds that to `actions`, one close for each descriptor open now (`/proc/self/fd`). One that
/// another thread opens meanwhile, and not close-on-exec, is missed.
#[cfg(not(target_env = "gnu"))]
pub(super) fn add(actions: &mut libc::posix_spawn_file_actions_t, from: c_int) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        let Some(fd) = number.filter(|fd| *fd >= from) else { continue };
        // SAFETY: the actions are initialised.
        let error = unsafe { libc::posix_spawn_file_actions_addclose(&raw mut *actions, fd) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
    }
    Ok(())
}
