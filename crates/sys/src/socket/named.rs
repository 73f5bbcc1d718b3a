//! Sockets by which processes meet at a path.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;
use std::time::Duration;

use crate::call;

/// A socket bound to `path`, which is made and must not exist (`socket(AF_UNIX, SOCK_SEQPACKET |
/// SOCK_NONBLOCK | SOCK_CLOEXEC)`, `bind`). Nobody can connect before [`listen`].
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if something has that path, [`io::ErrorKind::InvalidInput`] for one of
/// more than 107 bytes, or as the kernel says.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{clock::Deadline, poll, socket};
/// use std::time::Duration;
///
/// let path = std::env::temp_dir().join(format!("sys-doc-named-{}", std::process::id()));
/// let listening = socket::bind(&path)?;
/// assert!(socket::connect(&path, Duration::MAX).is_err(), "it does not listen yet");
/// socket::listen(&listening, 8)?;
/// let here = socket::connect(&path, Duration::MAX)?;
/// let there = socket::accept(&listening)?.expect("one has connected");
/// assert!(socket::accept(&listening)?.is_none(), "one only");
/// socket::send_with_fds(&here, b"hello", &[])?;
/// assert_eq!(socket::recv(&there, 64)?, b"hello");
/// assert_eq!(socket::peer_cred(&there)?.pid, std::process::id());
/// socket::shut_down(&there);
/// assert_eq!(socket::recv(&here, 64)?, b"");
/// std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn bind(path: &Path) -> io::Result<OwnedFd> {
    bind_to(&address(path)?)
}

/// The same at a name that is no file: nobody else may have it, and it is gone with the last copy of
/// the socket. Who is in another network namespace does not find it, and any user can have any name.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if it is another's, or as [`bind`].
///
/// # Examples
///
/// ```
/// use crossproc_sys::socket;
/// use std::time::Duration;
///
/// let name = format!("sys-doc-abstract-{}", std::process::id());
/// let listening = socket::bind_abstract(&name)?;
/// socket::listen(&listening, 8)?;
/// assert!(socket::bind_abstract(&name).is_err());
/// let _here = socket::connect_abstract(&name, Duration::MAX)?;
/// assert!(socket::accept(&listening)?.is_some());
/// drop(listening);
/// assert!(socket::connect_abstract(&name, Duration::MAX).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn bind_abstract(name: &str) -> io::Result<OwnedFd> {
    bind_to(&abstract_address(name)?)
}

fn bind_to((address, length): &Address) -> io::Result<OwnedFd> {
    let socket = socket(libc::SOCK_NONBLOCK)?;
    // SAFETY: an open socket, and an address of as many bytes as said.
    call::check(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(address).cast(), *length) })?;
    Ok(socket)
}

/// Lets others connect, of whom up to `backlog` wait to be accepted (`listen`).
///
/// # Errors
///
/// The kernel's error: no bound socket.
pub fn listen(socket: impl AsFd, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    // SAFETY: an open descriptor.
    call::check(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) })?;
    Ok(())
}

/// Takes the next connection, if there is one (`accept4(SOCK_NONBLOCK | SOCK_CLOEXEC)`). Never blocks
/// on a socket of [`bind`].
///
/// # Errors
///
/// The kernel's error: no descriptors left.
pub fn accept(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let socket = socket.as_fd().as_raw_fd();
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (no_address, no_length) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: an open descriptor, and the address is not asked for.
    let made = call::retry(|| unsafe { libc::accept4(socket, no_address, no_length, flags) });
    match made {
        // SAFETY: what accept4 returns is ours.
        Ok(fd) => unsafe { call::own(fd) }.map(Some),
        Err(error) if is_none(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Nobody waits, or nobody any more.
fn is_none(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted)
}

/// Connects to the socket that listens at `path` (`connect`, on a socket that does not block
/// afterwards). Blocks while its backlog is full, for `patience` at most.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if the backlog was full all the time,
/// [`io::ErrorKind::ConnectionRefused`] if nobody listens there any more, or as the kernel says.
pub fn connect(path: &Path, patience: Duration) -> io::Result<OwnedFd> {
    connect_to(&address(path)?, patience)
}

/// The same to a name of [`bind_abstract`].
///
/// # Errors
///
/// As [`connect`].
pub fn connect_abstract(name: &str, patience: Duration) -> io::Result<OwnedFd> {
    connect_to(&abstract_address(name)?, patience)
}

fn connect_to((address, length): &Address, patience: Duration) -> io::Result<OwnedFd> {
    let socket = socket(0)?;
    set_send_timeout(&socket, patience)?;
    let fd = socket.as_raw_fd();
    // Interrupted, it has not connected, unlike a socket of another family.
    // SAFETY: an open socket, and an address of as many bytes as said.
    call::retry(|| unsafe { libc::connect(fd, ptr::from_ref(address).cast(), *length) })?;
    // SAFETY: an open descriptor and integers.
    call::check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(socket)
}

/// Ends the connection for all who have a copy of the descriptor, a forked child for one
/// (`shutdown(SHUT_RDWR)`).
pub fn shut_down(socket: impl AsFd) {
    // SAFETY: an open descriptor. It fails where nobody is connected.
    unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), libc::SHUT_RDWR) };
}

/// Receives one message, the descriptors in which are closed, and of which only the first `most` bytes
/// are kept (`recv`). No bytes means that the other end is gone.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if there is none and the socket does not block; or the kernel's error.
pub fn recv(socket: impl AsFd, most: usize) -> io::Result<Vec<u8>> {
    let socket = socket.as_fd().as_raw_fd();
    let mut bytes = vec![0_u8; most];
    // SAFETY: an open descriptor, and room for as many bytes as said.
    let received =
        call::retry(|| unsafe { libc::recv(socket, bytes.as_mut_ptr().cast(), most, 0) })?;
    bytes.truncate(received.unsigned_abs());
    Ok(bytes)
}

fn socket(flags: i32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags;
    // SAFETY: takes integers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    // SAFETY: what socket returns is ours.
    unsafe { call::own(fd) }
}

/// How long `connect` blocks (`setsockopt(SO_SNDTIMEO)`); zero would be for ever.
fn set_send_timeout(socket: &OwnedFd, patience: Duration) -> io::Result<()> {
    let micros = patience.subsec_micros() + u32::from(patience.as_micros() == 0);
    let time = libc::timeval {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_usec: i64::from(micros),
    };
    let length = libc::socklen_t::try_from(size_of::<libc::timeval>()).unwrap_or(0);
    // SAFETY: an open socket, and a value of as many bytes as said.
    call::check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const time).cast(),
            length,
        )
    })?;
    Ok(())
}

/// An address, and its length.
type Address = (libc::sockaddr_un, libc::socklen_t);

fn address(path: &Path) -> io::Result<Address> {
    fill(call::c_path(path)?.as_bytes_with_nul())
}

fn abstract_address(name: &str) -> io::Result<Address> {
    fill(&[b"\0", name.as_bytes()].concat())
}

fn fill(bytes: &[u8]) -> io::Result<Address> {
    // SAFETY: an address is plain bytes and integers, for which zeroes are a value.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(0);
    if bytes.len() > address.sun_path.len() {
        let text = "an address too long for a socket: at most 107 bytes";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    for (to, &from) in address.sun_path.iter_mut().zip(bytes) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let length = mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len();
    Ok((address, libc::socklen_t::try_from(length).unwrap_or(0)))
}
