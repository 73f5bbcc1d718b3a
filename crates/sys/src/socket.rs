//! Connected sockets that carry bytes and descriptors: pairs, and those that meet at a path.

mod named;

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use crate::call;

pub use named::{accept, bind, bind_abstract, connect, connect_abstract, listen, recv, shut_down};

/// How many descriptors one message can carry (the kernel's `SCM_MAX_FD`).
pub const MOST_FDS: usize = 253;

const FD_BYTES: usize = size_of::<RawFd>();

/// Who was at the other end when the pair was made, or the connection ([`peer_cred`]).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// The process, by its number here; 0 if it has none here.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Two sockets connected to each other, whose messages keep their borders
/// (`socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)`).
///
/// # Errors
///
/// The kernel's error: no descriptors left.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    connected(libc::SOCK_SEQPACKET)
}

/// Two sockets connected to each other that carry a stream of bytes
/// (`socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)`).
///
/// # Errors
///
/// The kernel's error: no descriptors left.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    connected(libc::SOCK_STREAM)
}

fn connected(kind: c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: `fds` has room for the two descriptors.
    call::check(unsafe {
        libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr())
    })?;
    // SAFETY: a descriptor that socketpair made for us.
    let first = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: the other one.
    let second = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((first, second))
}

/// Sends `bytes` and `fds` in one message, and says how many bytes went
/// (`sendmsg(MSG_NOSIGNAL)`, `SCM_RIGHTS`).
///
/// Blocks while the socket's buffer is full. On a stream fewer bytes than all may go, the
/// descriptors with the first of them. An empty message looks like the end to its receiver.
///
/// # Errors
///
/// `EPIPE` or `ECONNRESET` when the other end is gone, `EMSGSIZE` for a message larger than the
/// buffer, [`io::ErrorKind::InvalidInput`] for more than [`MOST_FDS`] descriptors or for
/// descriptors without a byte.
///
/// # Examples
///
/// ```
/// use crossproc_sys::{file, memfd, socket};
/// use std::os::fd::AsFd;
///
/// let (a, b) = socket::pair()?;
/// let sent = memfd::create("example", memfd::Pages::Normal)?;
/// file::set_len(&sent, 123)?;
/// socket::send_with_fds(&a, b"take this", &[sent.as_fd()])?;
/// let (bytes, fds) = socket::recv_with_fds(&b, 64)?;
/// assert_eq!(bytes, b"take this");
/// assert_eq!(file::stat(&fds[0])?.size, 123);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn send_with_fds(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MOST_FDS || (bytes.is_empty() && !fds.is_empty()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let socket = socket.as_fd().as_raw_fd();
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control::new(fds.len());
    let mut message = envelope(&mut part);
    if !fds.is_empty() {
        control.attach(&mut message);
        control.write(&message, fds);
    }
    // SAFETY: the message names one part and a control buffer, both alive and as long as it says,
    // and sendmsg only reads them.
    let sent =
        call::retry(|| unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) })?;
    Ok(sent.unsigned_abs())
}

/// Receives one message of at most `most` bytes and the descriptors that came with it, all of them
/// close-on-exec (`recvmsg(MSG_CMSG_CLOEXEC)`).
///
/// Blocks until there is one (see [`poll`](crate::poll) for a deadline). No bytes means that the
/// other end is gone; so does the error `ECONNRESET`, if it left messages unread.
///
/// # Errors
///
/// The kernel's error; [`io::ErrorKind::InvalidData`] for a message longer than `most`;
/// [`io::ErrorKind::Other`] if this process has no descriptors left for those of the message. The
/// message is then lost.
pub fn recv_with_fds(socket: impl AsFd, most: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let socket = socket.as_fd().as_raw_fd();
    let mut bytes = vec![0_u8; most];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: most };
    let mut control = Control::new(MOST_FDS);
    let mut message = envelope(&mut part);
    control.attach(&mut message);
    // SAFETY: the message names one part and a control buffer, both alive, ours alone and as long
    // as it says.
    let received =
        call::retry(|| unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    bytes.truncate(received.unsigned_abs());
    let fds = control.take(&message);
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        // There was room for as many as a message can carry.
        let text = "no descriptor is left for those that come with a message; raise the limit \
                    (`ulimit -n`) or close some";
        return Err(io::Error::other(text));
    }
    if message.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message came cut"));
    }
    Ok((bytes, fds))
}

/// Who was at the other end when the two were connected (`getsockopt(SO_PEERCRED)`). The kernel
/// says so, not the peer.
///
/// # Errors
///
/// The kernel's error: no such socket.
pub fn peer_cred(socket: impl AsFd) -> io::Result<PeerCred> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    // SAFETY: `found` has room for as many bytes as `len` says.
    call::check(unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    })?;
    Ok(PeerCred { pid: found.pid.unsigned_abs(), uid: found.uid, gid: found.gid })
}

/// A message of one part and no control data yet.
fn envelope(part: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: a msghdr is null pointers and zero lengths when zeroed: an empty message.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = ptr::from_mut(part);
    message.msg_iovlen = 1;
    message
}

/// Room for the descriptors of one message, aligned as control data must be.
struct Control {
    room: Vec<u64>,
    data_bytes: u32,
}

impl Control {
    fn new(fds: usize) -> Self {
        let data_bytes = u32::try_from(fds * FD_BYTES).unwrap_or(0);
        // SAFETY: arithmetic only.
        let bytes = unsafe { libc::CMSG_SPACE(data_bytes) } as usize;
        Self { room: vec![0; bytes.div_ceil(size_of::<u64>())], data_bytes }
    }

    fn attach(&mut self, message: &mut libc::msghdr) {
        message.msg_control = self.room.as_mut_ptr().cast();
        // SAFETY: arithmetic only.
        let bytes = unsafe { libc::CMSG_SPACE(self.data_bytes) };
        message.msg_controllen = fit(bytes);
    }

    /// Fills the room with `fds`, as many as it was made for.
    fn write(&mut self, message: &libc::msghdr, fds: &[BorrowedFd<'_>]) {
        debug_assert_eq!(fds.len() * FD_BYTES, self.data_bytes as usize);
        // SAFETY: the message's control pointer and length are those of `room`.
        let header = unsafe { libc::CMSG_FIRSTHDR(message) };
        // SAFETY: room for at least one header was made, aligned for it, and it is zeroed.
        let fields = unsafe { &mut *header };
        fields.cmsg_level = libc::SOL_SOCKET;
        fields.cmsg_type = libc::SCM_RIGHTS;
        // SAFETY: arithmetic only.
        fields.cmsg_len = fit(unsafe { libc::CMSG_LEN(self.data_bytes) });
        // SAFETY: the data of the first header, inside `room`.
        let data = unsafe { libc::CMSG_DATA(header) };
        let numbers: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let from = numbers.as_ptr().cast::<u8>();
        // SAFETY: `room` was made for this many bytes of data after the header.
        unsafe { ptr::copy_nonoverlapping(from, data, numbers.len() * FD_BYTES) };
    }

    /// Takes over all descriptors that came.
    fn take(&self, message: &libc::msghdr) -> Vec<OwnedFd> {
        let mut fds = Vec::new();
        // SAFETY: the message's control pointer is `room`, its length what the kernel filled.
        let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
        while !header.is_null() {
            // SAFETY: not null, so a whole header inside what the kernel filled.
            let fields = unsafe { *header };
            if (fields.cmsg_level, fields.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                // SAFETY: the data of this header.
                let data = unsafe { libc::CMSG_DATA(header) };
                take_fds(data, data_len(&fields) / FD_BYTES, &mut fds);
            }
            // SAFETY: `header` is one of this message's.
            header = unsafe { libc::CMSG_NXTHDR(message, header) };
        }
        debug_assert!(fds.len() <= self.data_bytes as usize / FD_BYTES);
        fds
    }
}

/// A length in the type that this libc gives its field.
fn fit<T: TryFrom<u32> + Default>(bytes: u32) -> T {
    T::try_from(bytes).unwrap_or_default()
}

fn data_len(header: &libc::cmsghdr) -> usize {
    // SAFETY: arithmetic only.
    let header_bytes = unsafe { libc::CMSG_LEN(0) } as usize;
    #[expect(clippy::useless_conversion, reason = "a u32 in musl")]
    let bytes = usize::try_from(header.cmsg_len).unwrap_or(0);
    bytes.saturating_sub(header_bytes)
}

fn take_fds(data: *const u8, count: usize, fds: &mut Vec<OwnedFd>) {
    for index in 0..count {
        // SAFETY: the kernel says that `count` descriptors lie here.
        let place = unsafe { data.add(index * FD_BYTES) };
        // SAFETY: as above; not aligned for sure.
        let fd = unsafe { place.cast::<RawFd>().read_unaligned() };
        // SAFETY: made for us by the kernel, and read only once.
        fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}
