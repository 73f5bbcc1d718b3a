//! How many processors this process may use, and which.

use std::io;
use std::mem::MaybeUninit;
use std::thread;

use crate::call;

/// How many threads can run at the same time here, at least 1.
///
/// These are the processors that this thread may run on (`sched_getaffinity`), and no more than the
/// cgroup's share of time (`cpu.max` of this process's cgroup and those above it, or version 1's
/// `cpu.cfs_quota_us`). Reads files: ask once and keep the answer.
///
/// # Examples
///
/// ```
/// use crossproc_sys::process;
///
/// assert!((1..=process::affinity_count()).contains(&process::cpu_count()));
/// ```
#[must_use]
pub fn cpu_count() -> usize {
    // std reads all of these.
    thread::available_parallelism().map_or_else(|_| affinity_count(), usize::from)
}

/// How many processors this thread may run on (`sched_getaffinity`). At least 1.
#[must_use]
pub fn affinity_count() -> usize {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: `set` has room for as many bytes as said.
    let found = call::check(unsafe {
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr())
    });
    // SAFETY: an array of bits, zeroed at first: a value in any case.
    let set = unsafe { set.assume_init() };
    match found {
        // SAFETY: an initialised set.
        Ok(_) => usize::try_from(unsafe { libc::CPU_COUNT(&set) }).unwrap_or(0).max(1),
        // A machine with more processors than the set has bits.
        Err(_) => thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Has the calling thread, and the threads and processes that it starts from now on, run on
/// processor `cpu` only (`sched_setaffinity`).
///
/// # Errors
///
/// `EINVAL` if there is no such processor, or this process may not run on it.
///
/// # Panics
///
/// Does not: a number too large for a set is `EINVAL` as well.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= size_of::<libc::cpu_set_t>() * 8 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: an array of bits: all zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: `cpu` is inside the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is as long as said, and only read.
    call::check(unsafe {
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    })?;
    Ok(())
}
