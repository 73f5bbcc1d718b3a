//! Descriptors in messages, within one process; between processes: `tests/tests/pipes/descriptors.rs`.
#![cfg(not(crossproc_loom))]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crossproc_message::{DecodeError, EncodeError, decode, encode};
use crossproc_pipe::{Descriptor, Pipe, RecvError, TrySendError};
use crossproc_sys::clock::Deadline;
use crossproc_sys::{file, memfd, poll, socket};

type Answer = Result<(), Box<dyn std::error::Error>>;

fn pair() -> Result<(UnixStream, Descriptor), std::io::Error> {
    let (here, there) = UnixStream::pair()?;
    Ok((here, Descriptor::new(there)))
}

/// What is kept is counted for the whole process: one test at a time.
static COUNTED: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn counted() -> std::sync::MutexGuard<'static, ()> {
    COUNTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn what_was_sent_is_kept_until_it_is_received() -> Answer {
    let _alone = counted();
    let (tx, rx) = Pipe::one_way::<(u32, Descriptor)>()?;
    let (mut here, there) = pair()?;
    tx.send(&(1, there.clone()))?;
    drop(there);
    assert_eq!(Descriptor::kept(), 1);
    let (number, got) = rx.recv()?;
    assert_eq!((number, Descriptor::kept()), (1, 0));
    UnixStream::from(got.into_fd()?).write_all(b"end")?;
    // Nobody has it any more.
    let mut text = String::new();
    here.read_to_string(&mut text)?;
    assert_eq!(text, "end");
    Ok(())
}

#[test]
fn what_was_refused_or_recalled_is_not_kept() -> Answer {
    let _alone = counted();
    let (tx, rx) = Pipe::<()>::options().capacity(1 << 10).one_way::<(u32, Descriptor)>()?;
    let (_here, there) = pair()?;
    let sent = (0..).take_while(|_| tx.try_send(&(2, there.clone())).is_ok()).count();
    assert!(matches!(tx.try_send(&(2, there.clone())), Err(TrySendError::Full)));
    assert_eq!(Descriptor::kept(), sent);
    rx.recv()?;
    assert_eq!(there.recall(), sent - 1);
    assert_eq!(Descriptor::kept(), 0);
    // These messages are worth nothing any more, and the next is as good as before.
    for _ in 1..sent {
        let error = rx.recv().map(drop);
        let Err(RecvError::Malformed(DecodeError::Refused(why))) = error else {
            return Err(format!("{error:?}").into());
        };
        assert!(why.contains("taken it back"), "{why}");
    }
    tx.send(&(3, there.clone()))?;
    assert_eq!(rx.recv()?.0, 3);
    drop(rx);
    assert!(tx.send(&(4, there)).is_err(), "the other end is gone");
    assert_eq!(Descriptor::kept(), 0);
    Ok(())
}

#[test]
fn a_message_is_received_once_and_half_of_one_leaves_nothing() -> Answer {
    let _alone = counted();
    let (_here, there) = pair()?;
    let mut bytes = Vec::new();
    let sent = encode(&there, &mut bytes)?;
    assert_eq!((sent.segments.len(), sent.loans.len()), (0, 1));
    drop(decode::<Descriptor>(&bytes, Vec::new())?);
    assert!(decode::<Descriptor>(&bytes, Vec::new()).is_err());
    sent.take_back();
    let broken = encode(&(there, Unsendable), &mut Vec::new());
    assert!(matches!(broken, Err(EncodeError::Refused(_))), "{broken:?}");
    assert_eq!(Descriptor::kept(), 0);
    Ok(())
}

#[derive(serde::Deserialize)]
struct Unsendable;

impl serde::Serialize for Unsendable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}

/// The name of this process's desk, as it stands in a message.
fn desk(bytes: &[u8]) -> String {
    let at = bytes.windows(10).position(|part| part == b"crossproc-").expect("it is there");
    String::from_utf8_lossy(&bytes[at..at + 10 + 32]).into_owned()
}

#[test]
fn bytes_of_any_kind_bring_nothing_out_of_the_desk() -> Answer {
    let _alone = counted();
    let fd = memfd::create("test", memfd::Pages::Normal)?;
    file::set_len(&fd, 5)?;
    let handle = Descriptor::new(fd);
    let mut bytes = Vec::new();
    let sent = encode(&handle, &mut bytes)?;
    let name = desk(&bytes);
    let patience = Duration::from_secs(60);
    // More silent ones than are waited for.
    let silent: Vec<OwnedFd> =
        (0..100).map(|_| socket::connect_abstract(&name, patience)).collect::<Result<_, _>>()?;
    let magic = u64::from_be_bytes(*b"crossfds").to_ne_bytes();
    for number in 0..200_u64 {
        let socket = socket::connect_abstract(&name, patience)?;
        let words = [number % 3, number, number.wrapping_mul(0x9e37_79b9_7f4a_7c15)];
        let mut said = magic.to_vec();
        said.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        said.truncate(usize::try_from(1 + number % 32)?);
        // It may have hung up already.
        let _ = socket::send_with_fds(&socket, &said, &[handle.as_fd()]);
        assert!(poll::readable(&socket, Some(Deadline::after(patience)))?);
        let answer = socket::recv_with_fds(&socket, 64);
        assert!(answer.is_ok_and(|(bytes, fds)| bytes.is_empty() && fds.is_empty()));
    }
    drop(silent);
    let got: Descriptor = decode(&bytes, Vec::new())?;
    assert_eq!(file::stat(&got)?.size, 5);
    drop(sent);
    Ok(())
}
