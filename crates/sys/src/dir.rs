//! Directories that others may write to, reached by a descriptor and not by a path that may change.

use std::ffi::{CString, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::file::Stat;
use crate::{call, file};

/// A directory: the one that was opened, wherever its path leads by now.
///
/// # Examples
///
/// ```
/// use crossproc_sys::dir::Dir;
///
/// let path = std::env::temp_dir().join(format!("sys-doc-dir-{}", std::process::id()));
/// Dir::make(&path)?;
/// let dir = Dir::open(&path)?;
/// assert_eq!(dir.stat()?.mode, 0o700);
/// let file = dir.open_or_make("a", 0o600)?;
/// assert_eq!(dir.find("a")?.ino, crossproc_sys::file::stat(&file)?.ino);
/// dir.rename("a", "b")?;
/// assert!(dir.open_entry("a").is_err() && dir.open_entry("b").is_ok());
/// assert!(Dir::remove(&path).is_err(), "it is not empty");
/// dir.unlink("b")?;
/// Dir::remove(&path)?;
/// // No file can be made in a directory that was removed.
/// assert_eq!(dir.open_or_make("a", 0o600).unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Makes a directory that only its owner can use (`mkdir`, mode 0700).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`], or as the kernel says.
    pub fn make(path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(path)
    }

    /// Removes the directory of that path, if it is empty (`rmdir`).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::DirectoryNotEmpty`], or as the kernel says.
    pub fn remove(path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    /// Opens the directory of that path, but not through a symbolic link in its last part
    /// (`open(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)`).
    ///
    /// # Errors
    ///
    /// The kernel's error: none there, no directory, a symbolic link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = call::c_path(path)?;
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: `path` is a C string.
        let fd = call::retry(|| unsafe { libc::open(path.as_ptr(), flags) })?;
        // SAFETY: what open returns is ours.
        unsafe { call::own(fd) }.map(Self)
    }

    /// Whose it is, and with which mode (`fstat`).
    ///
    /// # Errors
    ///
    /// The kernel's error, hardly possible.
    pub fn stat(&self) -> io::Result<Stat> {
        file::stat(&self.0)
    }

    /// A path to the entry `name` that goes through the descriptor: short, whatever the directory's
    /// own path is. For calls that take nothing but a path; of use while `self` lives.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }

    /// Opens the file `name` for reading and writing, after making it if there is none; no symbolic
    /// link (`openat(O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)`).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn open_or_make(&self, name: &str, mode: u32) -> io::Result<OwnedFd> {
        self.open_at(name, libc::O_RDWR | libc::O_CREAT, mode)
    }

    /// Opens the file `name` for reading; no symbolic link
    /// (`openat(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)`).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn open_entry(&self, name: &str) -> io::Result<OwnedFd> {
        self.open_at(name, libc::O_RDONLY, 0)
    }

    fn open_at(&self, name: &str, flags: c_int, mode: u32) -> io::Result<OwnedFd> {
        let (fd, name) = (self.0.as_raw_fd(), entry(name)?);
        // A FIFO or a device of that name is not waited for.
        let flags = flags | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        // SAFETY: `name` is a C string.
        let opened = call::retry(|| unsafe { libc::openat(fd, name.as_ptr(), flags, mode) })?;
        // SAFETY: what openat returns is ours.
        unsafe { call::own(opened) }
    }

    /// What the entry `name` is; of a symbolic link, that one itself (`fstatat`).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn find(&self, name: &str) -> io::Result<Stat> {
        let (fd, name) = (self.0.as_raw_fd(), entry(name)?);
        let mut found = MaybeUninit::<libc::stat>::uninit();
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: `name` is a C string, and `found` has room for a stat.
        let done = unsafe { libc::fstatat(fd, name.as_ptr(), found.as_mut_ptr(), flags) };
        call::check(done)?;
        // SAFETY: fstatat succeeded, so it has filled `found`.
        Ok(Stat::from(&unsafe { found.assume_init() }))
    }

    /// Gives the entry `from` the name `to`, in place of what had it (`renameat`).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (fd, from, to) = (self.0.as_raw_fd(), entry(from)?, entry(to)?);
        // SAFETY: two C strings.
        call::check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) })?;
        Ok(())
    }

    /// Takes the name `name` away (`unlinkat`).
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn unlink(&self, name: &str) -> io::Result<()> {
        let (fd, name) = (self.0.as_raw_fd(), entry(name)?);
        // SAFETY: a C string.
        call::check(unsafe { libc::unlinkat(fd, name.as_ptr(), 0) })?;
        Ok(())
    }
}

/// A name in a directory, and not a path out of it.
fn entry(name: &str) -> io::Result<CString> {
    if name.contains('/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a slash inside a name"));
    }
    call::c_string(name.as_bytes())
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
