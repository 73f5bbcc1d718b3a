//! Files that segments are mapped from: their length, their space, their name.

mod room;

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::call;

/// How much space is asked for in one call, so that a process under frequent signals gets on.
const RESERVE_STEP_BYTES: u64 = 64 << 20;

/// What the kernel says about an open file ([`stat`]).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// The device that the file lives on.
    pub dev: u64,
    /// The file's number on that device.
    pub ino: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its permission bits (`0o7777`).
    pub mode: u32,
    /// The user that owns it.
    pub uid: u32,
    /// How many names it has; an anonymous file has none.
    pub links: u64,
    /// Whether it is a regular file, a file in memory included.
    pub is_file: bool,
    /// Whether it is a socket.
    pub is_socket: bool,
}

/// Sets the file's length (`ftruncate`). New bytes read as zero and take no space yet.
///
/// # Errors
///
/// The kernel's error: not open for writing, a sealed size (`EPERM`), a length beyond the limits.
pub fn set_len(fd: impl AsFd, len: u64) -> io::Result<()> {
    let (fd, len) = (fd.as_fd().as_raw_fd(), call::off(len)?);
    // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
    call::retry(|| unsafe { libc::ftruncate(fd, len) })?;
    Ok(())
}

/// Takes the space for the first `len` bytes now, so that a full disk or memory is an error here
/// and not a `SIGBUS` later (`fallocate`). Grows the file where it is shorter.
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::OutOfMemory`] when there is not that much: as
/// a rule found out beforehand (`fstatfs`, `/proc/meminfo`), since to fill the memory has the kernel
/// kill processes. [`io::ErrorKind::Unsupported`] on a file system that cannot reserve space. What
/// was taken so far stays with the file.
pub fn reserve(fd: impl AsFd, len: u64) -> io::Result<()> {
    check_room(&fd, len)?;
    let fd = fd.as_fd().as_raw_fd();
    let mut start = 0;
    while start < len {
        let step = RESERVE_STEP_BYTES.min(len - start);
        let (from, bytes) = (call::off(start)?, call::off(step)?);
        // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
        call::retry(|| unsafe { libc::fallocate(fd, 0, from, bytes) }).map_err(cannot_reserve)?;
        start += step;
    }
    Ok(())
}

/// Tells whether there is room for the first `len` bytes, without taking it: see [`reserve`].
///
/// # Errors
///
/// As [`reserve`].
pub fn check_room(fd: impl AsFd, len: u64) -> io::Result<()> {
    call::off(len)?;
    room::check(fd.as_fd(), len)
}

/// Says in words that the file system has no `fallocate`.
fn cannot_reserve(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => io::Error::new(
            io::ErrorKind::Unsupported,
            "this file system cannot reserve space (no fallocate)",
        ),
        _ => error,
    }
}

/// What kind of file it is, whose, and how long (`fstat`).
///
/// # Errors
///
/// The kernel's error, hardly possible on an open descriptor.
pub fn stat(fd: impl AsFd) -> io::Result<Stat> {
    Ok(Stat::from(&raw_stat(fd.as_fd())?))
}

impl From<&libc::stat> for Stat {
    fn from(found: &libc::stat) -> Self {
        let kind = found.st_mode & libc::S_IFMT;
        Self {
            dev: found.st_dev,
            ino: found.st_ino,
            size: u64::try_from(found.st_size).unwrap_or(0),
            mode: found.st_mode & 0o7777,
            uid: found.st_uid,
            #[expect(clippy::useless_conversion, reason = "32 bits on other machines than x86-64")]
            links: u64::from(found.st_nlink),
            is_file: kind == libc::S_IFREG,
            is_socket: kind == libc::S_IFSOCK,
        }
    }
}

/// `fstat`.
fn raw_stat(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the descriptor is open and `found` has room for a stat.
    call::check(unsafe { libc::fstat(fd.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has filled `found`.
    Ok(unsafe { found.assume_init() })
}

/// `fstatfs`.
fn file_system(fd: BorrowedFd<'_>) -> io::Result<libc::statfs> {
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open and `found` has room for a statfs.
    call::retry(|| unsafe { libc::fstatfs(fd.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: fstatfs succeeded, so it has filled `found`.
    Ok(unsafe { found.assume_init() })
}

/// Whether the file lives on a file system whose locks or memory another machine may serve: NFS,
/// SMB, Ceph, AFS, 9P, Lustre, GFS2, OCFS2, GPFS, or FUSE (`fstatfs`).
///
/// Byte locks prove nothing about a process's life there, so no segment may be made there.
///
/// # Errors
///
/// The kernel's error.
pub fn is_network_fs(fd: impl AsFd) -> io::Result<bool> {
    Ok(is_remote(&file_system(fd.as_fd())?))
}

/// As [`is_network_fs`], for the file system that `path` lies on (`statfs`). Opens nothing, so that
/// it also answers where the likes of an unnamed file are not to be had.
///
/// # Errors
///
/// The kernel's error: not there.
pub fn is_network_path(path: &Path) -> io::Result<bool> {
    let path = call::c_path(path)?;
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `path` is a C string and `found` has room for a statfs.
    call::retry(|| unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) })?;
    // SAFETY: statfs succeeded, so it has filled `found`.
    Ok(is_remote(&unsafe { found.assume_init() }))
}

fn is_remote(found: &libc::statfs) -> bool {
    const REMOTE: [i64; 15] = [
        0x6969,      // nfs
        0x517B,      // smb
        0xFF53_4D42, // cifs
        0xFE53_4D42, // smb2
        0x00C3_6400, // ceph
        0x5346_414F, // afs
        0x6B41_4653, // kafs
        0x7375_7245, // coda
        0x0102_1997, // 9p
        0x6573_5546, // fuse: no telling what is behind it
        0x0BD0_0BD0, // lustre
        0x0116_1970, // gfs2
        0x7461_636F, // ocfs2
        0x4750_4653, // gpfs
        0x0000_564C, // ncp
    ];
    REMOTE.contains(&found.f_type)
}

/// The size of the pages that a mapping of this file is made of: the system's, or a huge page's for
/// a file of huge pages (`fstatfs`).
///
/// # Errors
///
/// The kernel's error.
pub fn page_bytes(fd: impl AsFd) -> io::Result<usize> {
    let found = file_system(fd.as_fd())?;
    if found.f_type == libc::HUGETLBFS_MAGIC {
        Ok(usize::try_from(found.f_bsize).unwrap_or(0).max(page_size()))
    } else {
        Ok(page_size())
    }
}

/// The system's page size (`sysconf(_SC_PAGESIZE)`).
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: a question without arguments in memory.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A new file in `dir` that has no name yet ([`link`] gives it one, all finished)
/// (`open(O_TMPFILE | O_RDWR | O_CLOEXEC)`). It vanishes with its last descriptor and mapping.
///
/// `mode` is as for `open`, so the umask applies; [`set_mode`] sets it exactly.
///
/// # Errors
///
/// The kernel's error: no such directory, no right to write there, `EOPNOTSUPP` on a file system
/// without anonymous files.
///
/// # Examples
///
/// ```
/// use crossproc_sys::file;
/// use std::{env, io, process};
///
/// let path = env::temp_dir().join(format!("crossproc-example-{}", process::id()));
/// let fd = file::tmpfile(&env::temp_dir(), 0o600)?;
/// file::reserve(&fd, 4096)?;
/// file::link(&fd, &path)?;
/// assert_eq!(file::link(&fd, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
/// assert_eq!(file::stat(file::open(&path)?)?.size, 4096);
/// file::unlink(&path)?;
/// # Ok::<(), io::Error>(())
/// ```
pub fn tmpfile(dir: &Path, mode: u32) -> io::Result<OwnedFd> {
    open_with(&call::c_path(dir)?, libc::O_TMPFILE | libc::O_RDWR, mode)
}

/// Gives an open file the name `path`, at once and only if there is none yet
/// (`linkat("/proc/self/fd/N", AT_SYMLINK_FOLLOW)`).
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if the name is taken; `ENOENT` for a file that had a name and
/// lost it, or without `/proc`; `EXDEV` across file systems.
pub fn link(fd: impl AsFd, path: &Path) -> io::Result<()> {
    let (from, to) = (call::fd_path(fd.as_fd())?, call::c_path(path)?);
    // SAFETY: both paths are C strings.
    call::retry(|| unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    })?;
    Ok(())
}

/// Opens an existing file for reading and writing (`open(O_RDWR | O_CLOEXEC | O_NOFOLLOW |
/// O_NOCTTY | O_NONBLOCK)`). Neither blocks nor has effects on what is no regular file.
///
/// # Errors
///
/// The kernel's error: not there, no right to write, `ELOOP` if the last part is a symbolic link.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    open_with(&call::c_path(path)?, flags, 0)
}

/// Opens the same file once more, so that there is an open file description of its own, with its
/// own locks (`open("/proc/self/fd/N", O_RDWR | O_CLOEXEC)`).
///
/// # Errors
///
/// `EACCES` if this process, by now, may not open the file for writing; `ENOENT` without `/proc`.
pub fn reopen(fd: impl AsFd) -> io::Result<OwnedFd> {
    open_with(&call::fd_path(fd.as_fd())?, libc::O_RDWR, 0)
}

/// `open`, close-on-exec.
fn open_with(path: &CStr, flags: c_int, mode: u32) -> io::Result<OwnedFd> {
    // SAFETY: `path` is a C string.
    let fd = call::retry(|| unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: what open returns is ours.
    unsafe { call::own(fd) }
}

/// Takes the name away (`unlink`). Who has the file open or mapped keeps it.
///
/// # Errors
///
/// The kernel's error: not there, no right to.
pub fn unlink(path: &Path) -> io::Result<()> {
    let path = call::c_path(path)?;
    // SAFETY: `path` is a C string.
    call::retry(|| unsafe { libc::unlink(path.as_ptr()) })?;
    Ok(())
}

/// Sets the permission bits, whatever the umask (`fchmod`).
///
/// # Errors
///
/// The kernel's error: somebody else's file.
pub fn set_mode(fd: impl AsFd, mode: u32) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: a call on a borrowed, hence open, descriptor that touches none of our memory.
    call::retry(|| unsafe { libc::fchmod(fd, mode) })?;
    Ok(())
}
