//! What parent and child say to each other, over the one socket between them.
//!
//! ```text
//! child                                     parent
//!   | <--------- starts it -------------------|    CROSSPROC_CHILD=<fd>:<inode>:<depth>
//!   |---------- hello: my identity ---------> |    the parent compares it with its own
//!   | <-------- call: function, arguments ----|    and the segments that go with them
//!   |  runs                                   |
//!   |---------- reply: result or panic -----> |    read after the child's end
//!   |  ends                                   |
//! ```
//!
//! The hello is plain bytes, as it may come from another program. Call and reply are *frames*: a
//! head and a body, with descriptors. All of a frame goes in one message of the socket if it is
//! small; head and body of a larger one go in a file in memory whose descriptor is sent. So a frame
//! always fits into the empty buffer of the socket, and sending never waits for the receiver: a child
//! ends although nobody takes its result, and the parent starts a child that is slow to listen.
//!
//! | offset | bytes | of the first message of a frame |
//! |---|---|---|
//! | 0 | 4 | length of the head |
//! | 4 | 4 | number of descriptors of the frame, those of further messages included |
//! | 8 | 1 | 1 if head and body are in the file of the first descriptor, else 0 |
//! | 9 | | head, body |
//!
//! More descriptors than one message can carry follow in further messages of one byte.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use crossproc_message::{self as message, Message};
use crossproc_segment::Segment;
use crossproc_sys::clock::Deadline;
use crossproc_sys::image::Identity;
use crossproc_sys::{file, memfd, poll, socket};
use serde::{Deserialize, Serialize};

use crate::current::Myself;
use crate::function::Function;

/// The largest first message. Well below any socket's buffer, so that it is sent at once.
const MOST_BYTES: usize = 32 << 10;

/// Descriptors in one message, a little below what the kernel allows.
const MOST_FDS: usize = 250;

const PREFIX_BYTES: usize = 9;

/// First bytes of a hello. The number changes with the protocol.
const HELLO: &[u8] = b"crossproc child 1\n";

/// Head of the frame that tells the child what to do; its body is the arguments. The first
/// descriptor is the tree's segment, the others are segments that the arguments refer to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) myself: Myself,
    pub(crate) is_orphan: bool,
    pub(crate) ignores_interrupt: bool,
}

/// Head of the frame that the child sends last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The function returned; the body is its result, the descriptors the segments it refers to.
    Returned,
    /// The function panicked.
    Panicked { message: String, location: Option<String> },
    /// The function was not called, for want of something the process needs.
    Unready(String),
    /// The arguments could not be read.
    Arguments(String),
    /// The result could not be sent.
    Result(String),
}

/// A frame as it arrived.
pub(crate) struct Incoming<H> {
    pub(crate) head: H,
    pub(crate) body: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Sends a child's hello: which binary it runs.
pub(crate) fn send_hello(socket: BorrowedFd<'_>, identity: &Identity) -> io::Result<()> {
    let bytes = [HELLO, &identity.to_bytes()].concat();
    socket::send_with_fds(socket, &bytes, &[]).map(drop)
}

/// Receives a child's hello. `None` if it is gone.
pub(crate) fn receive_hello(socket: BorrowedFd<'_>) -> io::Result<Option<Identity>> {
    let (bytes, _) = receive_message(socket)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let identity = bytes.strip_prefix(HELLO).and_then(Identity::from_bytes);
    identity.map(Some).ok_or_else(malformed)
}

/// Sends a frame. Does not wait for the receiver.
pub(crate) fn send<H: Message>(
    socket: BorrowedFd<'_>,
    head: &H,
    body: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut bytes = vec![0; PREFIX_BYTES];
    message::encode(head, &mut bytes).map_err(io::Error::other)?;
    let head_bytes = bytes.len() - PREFIX_BYTES;
    let is_inline = bytes.len() + body.len() <= MOST_BYTES;
    let file = if is_inline { None } else { Some(file_of(&bytes[PREFIX_BYTES..], body)?) };
    if is_inline {
        bytes.extend(body);
    } else {
        bytes.truncate(PREFIX_BYTES);
    }
    let all: Vec<BorrowedFd<'_>> =
        file.iter().map(AsFd::as_fd).chain(fds.iter().copied()).collect();
    bytes[..4].copy_from_slice(&length(head_bytes)?.to_le_bytes());
    bytes[4..8].copy_from_slice(&length(all.len())?.to_le_bytes());
    bytes[8] = u8::from(!is_inline);

    let (first, rest) = all.split_at(all.len().min(MOST_FDS));
    socket::send_with_fds(socket, &bytes, first)?;
    for fds in rest.chunks(MOST_FDS) {
        socket::send_with_fds(socket, &[0], fds)?;
    }
    Ok(())
}

/// Receives a frame, and blocks until there is one. `None` if the peer is gone.
pub(crate) fn receive<H: Message>(socket: BorrowedFd<'_>) -> io::Result<Option<Incoming<H>>> {
    let (bytes, mut fds) = receive_message(socket)?;
    let Some((prefix, content)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return if bytes.is_empty() { Ok(None) } else { Err(malformed()) };
    };
    let number = |at: usize| {
        let bytes = [prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]];
        usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| malformed())
    };
    let (head_bytes, expected) = (number(0)?, number(4)?);
    while fds.len() < expected {
        let (_, more) = receive_message(socket)?;
        if more.is_empty() {
            return Err(malformed());
        }
        fds.extend(more);
    }
    let content = match prefix[8] {
        0 => content.to_vec(),
        _ if fds.is_empty() => return Err(malformed()),
        _ => content_of(fds.remove(0))?,
    };
    let (head, body) = content.split_at_checked(head_bytes).ok_or_else(malformed)?;
    let head = message::decode(head, Vec::new()).map_err(io::Error::other)?;
    let body = body.to_vec();
    Ok(Some(Incoming { head, body, fds }))
}

/// Receives a frame if one has come. `None` if not, or if the peer is gone. Never blocks.
pub(crate) fn try_receive<H: Message>(socket: BorrowedFd<'_>) -> io::Result<Option<Incoming<H>>> {
    if poll::readable(socket, Some(Deadline::now()))? { receive(socket) } else { Ok(None) }
}

/// The segments behind descriptors that came with a frame.
pub(crate) fn attach(fds: Vec<OwnedFd>) -> Result<Vec<Segment>, crossproc_segment::Error> {
    fds.into_iter().map(Segment::from_fd).collect()
}

fn receive_message(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    match socket::recv_with_fds(socket, MOST_BYTES) {
        // The peer is gone and has not read all that we sent; what it sent comes after this news.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            socket::recv_with_fds(socket, MOST_BYTES)
        }
        received => received,
    }
}

/// A file in memory that holds `head` and `body`.
fn file_of(head: &[u8], body: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd::create("crossproc-message", memfd::Pages::Normal)?);
    file.write_all(head)?;
    file.write_all(body)?;
    Ok(file.into())
}

fn content_of(fd: OwnedFd) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(file::stat(&fd)?.size).map_err(|_| malformed())?;
    let mut content = vec![0; bytes];
    File::from(fd).read_exact_at(&mut content, 0)?;
    Ok(content)
}

fn length(count: usize) -> io::Result<u32> {
    u32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a message of this program's other process")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(body: &[u8], fds: usize) -> Incoming<String> {
        let (a, b) = socket::pair().expect("a pair of sockets");
        let fds: Vec<_> = (0..fds).map(|_| a.as_fd()).collect();
        send(a.as_fd(), &"head".to_owned(), body, &fds).expect("it is sent");
        drop(a);
        receive(b.as_fd()).expect("it is received").expect("there is one")
    }

    #[test]
    fn a_frame_of_any_size_arrives_whole_and_never_waits_for_its_receiver() {
        for bytes in [0, 1, MOST_BYTES - 64, MOST_BYTES, MOST_BYTES + 1, 5 << 20] {
            let body: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let Incoming { head, body: found, fds } = through(&body, 0);
            assert_eq!((head.as_str(), fds.len()), ("head", 0));
            assert!(found == body, "{bytes} bytes");
        }
    }

    #[test]
    fn a_head_of_any_size_arrives_whole() -> io::Result<()> {
        for bytes in [MOST_BYTES - 64, MOST_BYTES, 1 << 20] {
            let (a, b) = socket::pair()?;
            let head = "h".repeat(bytes);
            send(a.as_fd(), &head, b"body", &[b.as_fd()])?;
            let found = receive::<String>(b.as_fd())?.expect("it was sent");
            assert_eq!((found.body.as_slice(), found.fds.len()), (&b"body"[..], 1));
            assert!(found.head == head, "{bytes} bytes");
        }
        Ok(())
    }

    #[test]
    fn more_descriptors_than_a_message_carries_arrive() {
        for count in [1, MOST_FDS, MOST_FDS + 1] {
            assert_eq!(through(b"x", count).fds.len(), count);
        }
        assert_eq!(through(&vec![7; MOST_BYTES], MOST_FDS).fds.len(), MOST_FDS);
    }

    #[test]
    fn the_end_of_the_peer_is_no_frame() -> io::Result<()> {
        let (a, b) = socket::pair()?;
        assert!(try_receive::<String>(b.as_fd())?.is_none());
        send(b.as_fd(), &1u8, &[], &[])?;
        send(a.as_fd(), &"last".to_owned(), &[], &[])?;
        drop(a);
        let last = try_receive::<String>(b.as_fd())?.expect("it was sent before the end");
        assert_eq!(last.head, "last");
        assert!(try_receive::<String>(b.as_fd())?.is_none());
        Ok(())
    }

    #[test]
    fn what_another_program_says_is_not_taken_for_a_hello() -> io::Result<()> {
        let (a, b) = socket::pair()?;
        socket::send_with_fds(&a, b"HTTP/1.1 200 OK", &[])?;
        assert!(receive_hello(b.as_fd()).is_err());
        socket::send_with_fds(&a, &[HELLO, b"\0short"].concat(), &[])?;
        assert!(receive_hello(b.as_fd()).is_err());
        let me = crossproc_sys::image::identity();
        send_hello(a.as_fd(), &me)?;
        assert_eq!(receive_hello(b.as_fd())?, Some(me));
        Ok(())
    }
}
