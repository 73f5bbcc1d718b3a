//! Bytes and descriptors through pairs of sockets.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::thread;

use crossproc_sys::clock::Deadline;
use crossproc_sys::memfd::{self, Pages};
use crossproc_sys::socket::{self, MOST_FDS, recv_with_fds, send_with_fds};
use crossproc_sys::{file, poll, process};

fn memory(len: u64) -> OwnedFd {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::set_len(&fd, len).expect("length");
    fd
}

#[test]
fn descriptors_arrive_in_order_and_close_on_exec() {
    let (a, b) = socket::pair().expect("pair");
    let sent: Vec<_> = (1..=5).map(memory).collect();
    let borrowed: Vec<_> = sent.iter().map(|fd| fd.as_fd()).collect();
    assert_eq!(send_with_fds(&a, b"five", &borrowed).expect("send"), 4);
    let (bytes, got) = recv_with_fds(&b, 100).expect("receive");
    assert_eq!(bytes, b"five");
    let sizes: Vec<_> = got.iter().map(|fd| file::stat(fd).expect("stat").size).collect();
    assert_eq!(sizes, [1, 2, 3, 4, 5]);
    for fd in &got {
        // SAFETY: an open descriptor and no argument.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
    }
}

#[test]
fn messages_keep_their_borders_and_a_stream_does_not() {
    let (a, b) = socket::pair().expect("pair");
    let (c, d) = socket::stream_pair().expect("pair");
    for to in [&a, &c] {
        send_with_fds(to, b"one", &[]).expect("send");
        send_with_fds(to, b"two", &[]).expect("send");
    }
    assert_eq!(recv_with_fds(&b, 100).expect("receive").0, b"one");
    assert_eq!(recv_with_fds(&b, 100).expect("receive").0, b"two");
    assert_eq!(recv_with_fds(&d, 100).expect("receive").0, b"onetwo");
}

#[test]
fn a_message_that_does_not_fit_is_an_error() {
    let (a, b) = socket::pair().expect("pair");
    send_with_fds(&a, b"long", &[memory(1).as_fd()]).expect("send");
    send_with_fds(&a, b"next", &[]).expect("send");
    assert_eq!(recv_with_fds(&b, 3).expect_err("cut").kind(), ErrorKind::InvalidData);
    assert_eq!(recv_with_fds(&b, 4).expect("receive").0, b"next");
}

#[test]
fn as_many_descriptors_as_the_kernel_takes_and_no_more() {
    let (a, b) = socket::pair().expect("pair");
    let fd = memory(1);
    let many: Vec<BorrowedFd<'_>> = vec![fd.as_fd(); MOST_FDS + 1];
    let error = send_with_fds(&a, b"x", &many).expect_err("one too many");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        send_with_fds(&a, b"", &many[..1]).expect_err("no byte").kind(),
        ErrorKind::InvalidInput
    );
    send_with_fds(&a, b"x", &many[..MOST_FDS]).expect("send");
    assert_eq!(recv_with_fds(&b, 1).expect("receive").1.len(), MOST_FDS);
}

#[test]
fn the_end_is_told_to_both_sides() {
    for (a, b) in [socket::pair().expect("pair"), socket::stream_pair().expect("pair")] {
        drop(a);
        assert!(poll::readable(&b, None).expect("poll"));
        let (bytes, fds) = recv_with_fds(&b, 10).expect("receive");
        assert!(bytes.is_empty() && fds.is_empty());
        let error = send_with_fds(&b, b"x", &[]).expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn the_peer_is_who_the_kernel_says() {
    let (a, _b) = socket::pair().expect("pair");
    let peer = socket::peer_cred(&a).expect("ask");
    assert_eq!(peer.pid, process::pid());
    assert_eq!(peer.uid, file::stat(memory(1)).expect("stat").uid);
    assert!(socket::peer_cred(memory(1)).is_err());
}

#[test]
fn a_poll_names_the_first_that_is_ready() {
    let (a, b) = socket::pair().expect("pair");
    let (c, d) = socket::pair().expect("pair");
    let both = [b.as_fd(), d.as_fd()];
    let poll = |deadline| poll::any_readable(&both, deadline).expect("poll");
    assert_eq!(poll(Some(Deadline::now())), None);
    thread::scope(|scope| {
        scope.spawn(|| send_with_fds(&c, b"x", &[]).expect("send"));
        assert_eq!(poll(Some(Deadline::from_nanos(u64::MAX))), Some(1));
    });
    send_with_fds(&a, b"x", &[]).expect("send");
    assert_eq!(poll(None), Some(0));
    assert_eq!(poll::any_readable(&[], Some(Deadline::now())).expect("poll"), None);
}
