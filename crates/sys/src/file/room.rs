//! Whether there is room for what is about to be reserved.
//!
//! Asked before, because to find out by filling is worse than an error: memory that runs full has
//! the kernel kill processes, ours or others, and a disk that runs full stops its other users.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

/// What `stat` counts blocks in, whatever the file system's blocks are.
const STAT_BLOCK_BYTES: u64 = 512;

/// Refuses a length for which there cannot be room now (`fstatfs`, and `/proc/meminfo` for a file in
/// memory). Only a snapshot, and blind for a cgroup's limit.
pub(super) fn check(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let taken = super::raw_stat(fd)?.st_blocks.unsigned_abs().saturating_mul(STAT_BLOCK_BYTES);
    let wanted = len.saturating_sub(taken);
    let system = super::file_system(fd)?;
    // A file system without a limit of its own says that it has no blocks at all.
    let free = system.f_bavail.saturating_mul(system.f_bsize.unsigned_abs());
    if system.f_blocks > 0 && wanted > free {
        return Err(too_much(io::ErrorKind::StorageFull, wanted, free));
    }
    match available_memory() {
        Some(free) if system.f_type == libc::TMPFS_MAGIC && wanted > free => {
            Err(too_much(io::ErrorKind::OutOfMemory, wanted, free))
        }
        _ => Ok(()),
    }
}

fn too_much(kind: io::ErrorKind, wanted: u64, free: u64) -> io::Error {
    io::Error::new(kind, format!("no room for {wanted} more bytes, only {free} are free"))
}

/// How much memory can still be had, swap included; `None` without `/proc`.
fn available_memory() -> Option<u64> {
    available_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn available_in(meminfo: &str) -> Option<u64> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some((kib("MemAvailable:")? + kib("SwapFree:").unwrap_or(0)) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_swap_are_added_up() {
        let text = "MemTotal:  100 kB\nMemAvailable:      60 kB\nSwapFree:   4 kB\n";
        assert_eq!(available_in(text), Some(64 * 1024));
        assert_eq!(available_in("MemTotal: 100 kB\n"), None);
        assert!(available_memory().is_some());
    }
}
