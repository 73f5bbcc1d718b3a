//! Hearing that somebody has closed, or unmapped, a file.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::call;

/// Watches one file for the end of an open file description of it, that is its last descriptor and
/// last mapping: the end of a process that had it is one.
///
/// Events are only a hint to look sooner: they may be merged, and a forked child shares the queue
/// with its parent, so that each takes events away from the other.
#[derive(Debug)]
pub struct CloseWatch {
    queue: OwnedFd,
    watch: libc::c_int,
}

impl CloseWatch {
    /// Watches the file behind `fd` (`inotify_init1`, `inotify_add_watch("/proc/self/fd/N",
    /// IN_CLOSE_WRITE | IN_CLOSE_NOWRITE)`), also one without a name.
    ///
    /// # Errors
    ///
    /// The kernel's error: the user's limit of instances or watches, no `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::{file, inotify::CloseWatch, memfd};
    ///
    /// let fd = memfd::create("example", memfd::Pages::Normal)?;
    /// let other = file::reopen(&fd)?;
    /// let watch = CloseWatch::on(&fd)?;
    /// assert!(!watch.drain());
    /// drop(other);
    /// assert!(watch.drain());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(fd: impl AsFd) -> io::Result<Self> {
        Self::of(fd.as_fd(), libc::IN_CLOSE_WRITE | libc::IN_CLOSE_NOWRITE)
    }

    fn of(fd: BorrowedFd<'_>, events: u32) -> io::Result<Self> {
        let path = call::fd_path(fd)?;
        // SAFETY: takes an integer.
        let queue = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        // SAFETY: what inotify_init1 returns is ours.
        let queue = unsafe { call::own(queue) }?;
        // SAFETY: an open inotify descriptor and a C string.
        let added = unsafe { libc::inotify_add_watch(queue.as_raw_fd(), path.as_ptr(), events) };
        let watch = call::check(added)?;
        Ok(Self { queue, watch })
    }

    /// Takes all events there are, and says whether there were any (`read`, until `EAGAIN`). Never
    /// blocks.
    #[must_use]
    pub fn drain(&self) -> bool {
        let mut events = [0_u64; 512];
        let mut any = false;
        // SAFETY: an open descriptor, and room for as many bytes as said.
        while let Ok(1..) = call::retry(|| unsafe {
            libc::read(self.queue.as_raw_fd(), events.as_mut_ptr().cast(), size_of_val(&events))
        }) {
            any = true;
        }
        any
    }

    /// Stops watching (`inotify_rm_watch`); takes some 20 us.
    ///
    /// Dropping a `CloseWatch` that still watches, or did so a moment ago, blocks for an RCU grace
    /// period of 15 to 20 ms. One that was stopped some 10 ms before is dropped in 20 us.
    pub fn stop(&self) {
        // SAFETY: takes two integers. It fails if the watch is gone already.
        unsafe { libc::inotify_rm_watch(self.queue.as_raw_fd(), self.watch) };
    }
}

impl AsFd for CloseWatch {
    /// Readable while there are events: for a wait on several descriptors.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// Watches one directory for names that appear in it, and for its own end.
///
/// Events are only a hint to look, as those of [`CloseWatch`].
#[derive(Debug)]
pub struct NameWatch(CloseWatch);

impl NameWatch {
    /// Watches the directory `dir` (`inotify_init1`, `inotify_add_watch("/proc/self/fd/N", IN_CREATE |
    /// IN_MOVED_TO | IN_DELETE_SELF)`).
    ///
    /// # Errors
    ///
    /// The kernel's error: the user's limit of instances or watches, no `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_sys::dir::Dir;
    /// use crossproc_sys::inotify::NameWatch;
    ///
    /// let path = std::env::temp_dir().join(format!("sys-doc-names-{}", std::process::id()));
    /// Dir::make(&path)?;
    /// let dir = Dir::open(&path)?;
    /// let watch = NameWatch::on(&dir)?;
    /// assert!(!watch.drain());
    /// dir.open_or_make("new", 0o600)?;
    /// assert!(watch.drain());
    /// dir.unlink("new")?;
    /// Dir::remove(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on(dir: impl AsFd) -> io::Result<Self> {
        let events = libc::IN_CREATE | libc::IN_MOVED_TO | libc::IN_DELETE_SELF;
        CloseWatch::of(dir.as_fd(), events).map(Self)
    }

    /// Takes all events there are, and says whether there were any. Never blocks.
    #[must_use]
    pub fn drain(&self) -> bool {
        self.0.drain()
    }
}

impl AsFd for NameWatch {
    /// Readable while there are events.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
