//! Memory mappings: of a shared file, as a sign of life, and wiped by a fork.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU32;

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::{call, file, fork};

/// A file mapped for reading and writing, shared with all who map it; unmapped when dropped.
///
/// Hands out a raw pointer only: other processes write to these bytes at any time.
/// A forked child inherits the mapping.
#[derive(Debug)]
pub struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps the first `len` bytes (`mmap(PROT_READ | PROT_WRITE, MAP_SHARED)`).
    ///
    /// An access beyond the end of the file is a `SIGBUS`: check the size first, and have it sealed
    /// or trust all who may cut the file. A file of huge pages needs a multiple of its page as `len`.
    ///
    /// # Errors
    ///
    /// The kernel's error: a descriptor not open for both, no address space, no huge pages;
    /// [`io::ErrorKind::InvalidInput`] if `len` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::{file, map::Mapping, memfd};
    ///
    /// let fd = memfd::create("example", memfd::Pages::Normal)?;
    /// file::set_len(&fd, 4096)?;
    /// let (a, b) = (Mapping::shared(&fd, 4096)?, Mapping::shared(&fd, 4096)?);
    /// // SAFETY: inside both mappings, and nobody else knows this file.
    /// unsafe { a.as_ptr().write(7) };
    /// // SAFETY: as above.
    /// assert_eq!(unsafe { b.as_ptr().read() }, 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shared(fd: impl AsFd, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "nothing to map"));
        }
        let raw = MmapOptions::new().len(len).map_raw(fd.as_fd().as_raw_fd())?;
        Ok(Self { raw })
    }

    /// The first byte. Valid for reads and writes of [`len`](Self::len) bytes while this lives and
    /// the file is that long; aligned to a page.
    #[inline]
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        // SAFETY: mmap without MAP_FIXED never maps the page at null.
        unsafe { NonNull::new_unchecked(self.raw.as_mut_ptr()) }
    }

    /// How many bytes are mapped; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Leaves the mapping out of core dumps, which would keep a dying process alive for seconds
    /// (`madvise(MADV_DONTDUMP)`). Best effort.
    pub fn advise_no_dump(&self) {
        let _best_effort = self.raw.advise(Advice::DontDump);
    }

    /// Asks for huge pages where the kernel can give them (`madvise(MADV_HUGEPAGE)`). Best effort.
    pub fn advise_huge(&self) {
        let _best_effort = self.raw.advise(Advice::HugePage);
    }

    /// Takes all pages of the mapping now, as large as they were asked for
    /// (`madvise(MADV_POPULATE_WRITE)`).
    ///
    /// # Errors
    ///
    /// The kernel's error, where touching the pages would kill: no room, bad memory.
    pub fn populate(&self) -> io::Result<()> {
        self.raw.advise(Advice::PopulateWrite)
    }
}

/// Keeps an open file description, and so its byte locks, without a descriptor; ends when dropped.
///
/// A mapping holds its description open. It costs no descriptor, survives `closefrom` and
/// daemonising, and is not passed on to forked children, who would else keep their dead parent's
/// locks alive. Nothing is ever read or written through it.
#[derive(Debug)]
pub struct Presence {
    page: Option<MmapRaw>,
    incarnation: u32,
}

impl Presence {
    /// Moves the description behind `fd` into a mapping and closes `fd`
    /// (`mmap(PROT_READ, MAP_SHARED)`, `madvise(MADV_DONTFORK)`, `close`).
    ///
    /// A fork between the opening of `fd` and the end of this call would pass the description on
    /// to the child: do all of it inside [`fork::without_fork`].
    ///
    /// # Errors
    ///
    /// The kernel's error; the description is then closed and its locks are gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::{file, fork, lock, map::Presence, memfd};
    ///
    /// let fd = memfd::create("example", memfd::Pages::Normal)?;
    /// let presence = fork::without_fork(|| {
    ///     let own = file::reopen(&fd)?;
    ///     lock::try_lock_byte(&own, 7)?;
    ///     Presence::hold(own)
    /// })?;
    /// assert!(lock::is_locked(&fd, 7));
    /// drop(presence);
    /// assert!(!lock::is_locked(&fd, 7));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn hold(fd: OwnedFd) -> io::Result<Self> {
        // One page, though the file may be empty: the page is there to be mapped, not to be read.
        let len = file::page_bytes(&fd)?;
        let page = MmapOptions::new().len(len).map_raw_read_only(fd.as_raw_fd())?;
        page.advise(Advice::DontFork)?;
        Ok(Self { page: Some(page), incarnation: fork::incarnation() })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // A forked child has a copy of this struct, but not the mapping: by now something of its
        // own may lie at that address, which must not be unmapped.
        if self.incarnation != fork::incarnation() {
            std::mem::forget(self.page.take());
        }
    }
}

/// One page of words of this process alone, which read 0 in a forked child.
#[derive(Debug)]
pub struct WipedOnFork {
    page: MmapRaw,
}

impl WipedOnFork {
    /// A page of zeroes (`mmap(MAP_PRIVATE | MAP_ANONYMOUS)`, `madvise(MADV_WIPEONFORK)`).
    ///
    /// Wiped by every kind of fork that copies memory, handlers or none: `fork`, `clone`, `_Fork`.
    ///
    /// # Errors
    ///
    /// The kernel's error: no memory, or a kernel older than 4.14.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::map::WipedOnFork;
    /// use std::sync::atomic::Ordering::Relaxed;
    ///
    /// let page = WipedOnFork::new()?;
    /// page.words()[0].store(7, Relaxed);   // a forked child reads 0 here
    /// assert_eq!(page.words()[0].load(Relaxed), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapOptions::new().len(file::page_size()).map_anon()?);
        // SAFETY: exactly the private anonymous page mapped above, which nobody refers to yet.
        let advised =
            unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) };
        call::check(advised)?;
        Ok(Self { page })
    }

    /// The words of the page, zero at first.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &[AtomicU32] {
        #[expect(clippy::cast_ptr_alignment, reason = "a page is aligned for every word")]
        let first = self.page.as_ptr().cast::<AtomicU32>();
        // SAFETY: the mapping is page-aligned, this long, initialised by the kernel, lives as long
        // as `self`, and is only reached through these atomics.
        unsafe { slice::from_raw_parts(first, self.page.len() / size_of::<AtomicU32>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memfd::{self, Pages};
    use crate::pidfd::{Exit, PidFd};
    use crate::process;

    /// Maps a page of the child's own where the parent's presence is, and drops the copy of that.
    fn child_keeps_its_own_page(presence: Presence) -> bool {
        let Some(place) = presence.page.as_ref().map(MmapRaw::as_mut_ptr) else { return false };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: replaces nothing: fails if anything is mapped there.
        let own = unsafe { libc::mmap(place.cast(), file::page_size(), protection, flags, -1, 0) };
        if own != place.cast() {
            return false;
        }
        drop(presence);
        // SAFETY: mapped above; unmapped by the drop, if that were wrong, which is then seen.
        let word = unsafe { &*own.cast::<AtomicU32>() };
        word.swap(7, std::sync::atomic::Ordering::Relaxed) == 0
    }

    #[test]
    fn a_child_does_not_unmap_what_it_did_not_inherit() {
        let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
        let presence = Presence::hold(fd).expect("hold");
        // SAFETY: the child only makes system calls and ends.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            process::exit_now(i32::from(!child_keeps_its_own_page(presence)));
        }
        let child = PidFd::open(u32::try_from(pid).expect("forked")).expect("a child");
        assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
    }
}
