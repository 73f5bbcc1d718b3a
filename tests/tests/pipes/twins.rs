//! What users of Python's `multiprocessing` know of its connections, between processes.
//!
//! The behaviours of its tests of connections, `poll`, `wait` and listeners that other files do not show.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossproc::{
    Descriptor, JoinHandle, Pipe, PipeEnd, Queue, Receiver, RecvError, SendError, Sender, spawn,
    wait_any,
};
use crossproc_pipe::{Connector, Listener};
use tests::outside::LONG;

const SOON: Duration = Duration::from_millis(20);

fn echo(end: PipeEnd<(), ()>) {
    while let Ok(bytes) = end.recv_bytes() {
        if end.send_bytes(&bytes).is_err() {
            return;
        }
    }
}

#[test]
fn bytes_are_echoed_into_buffers_and_what_does_not_fit_stays() {
    let (here, there) = Pipe::<(), ()>::new().unwrap();
    let child = spawn((there,), echo).unwrap();
    here.send_bytes(b"hello, world").unwrap();
    assert_eq!(here.recv_bytes().unwrap(), b"hello, world");

    let numbers: Vec<u8> = (0..10u32).flat_map(u32::to_le_bytes).collect();
    let mut buffer = [0xff; 60];
    here.send_bytes(&numbers).unwrap();
    assert_eq!(here.recv_into(&mut buffer).unwrap(), 40);
    assert!(buffer[..40] == numbers && buffer[40..] == [0xff; 20]);
    // Behind the first three numbers, and a part of what there is.
    here.send_bytes(&numbers[4..16]).unwrap();
    assert_eq!(here.recv_into(&mut buffer[12..]).unwrap(), 12);
    assert!(buffer[..12] == numbers[..12] && buffer[12..24] == numbers[4..16]);

    let long = b"too long for the buffer ".repeat(20);
    here.send_bytes(&long).unwrap();
    let refused = here.recv_into(&mut buffer);
    assert!(matches!(refused, Err(RecvError::BufferTooShort { bytes: 480, room: 60 })));
    assert_eq!(here.recv_bytes().unwrap(), long);
    drop(here);
    child.join().unwrap();
}

#[test]
fn a_poll_waits_as_long_as_it_may_and_an_empty_message_is_one() {
    let (here, there) = Pipe::<(), ()>::new().unwrap();
    let child = spawn((there,), echo).unwrap();
    assert!(!here.poll(Duration::ZERO));
    let start = Instant::now();
    assert!(!here.poll(SOON));
    assert!(start.elapsed() >= SOON);
    here.send_bytes(b"").unwrap();
    assert!(here.poll(LONG) && here.poll(None) && here.poll(Duration::ZERO));
    assert_eq!(here.recv_bytes().unwrap(), b"");
    drop(here);
    child.join().unwrap();
}

#[test]
fn sixteen_mebibytes_are_echoed_and_then_the_end_is_seen_by_every_form() {
    let (here, there) = Pipe::<(), ()>::new().unwrap();
    let child = spawn((there,), echo).unwrap();
    let mut buffer = [0; 8];
    let large: Vec<u8> = (0..251).cycle().take(16 << 20).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| here.send_bytes(&large).unwrap());
        assert!(here.recv_bytes().unwrap() == large);
    });
    here.close_send();
    assert!(matches!(here.recv_bytes(), Err(RecvError::Closed)));
    assert!(matches!(here.recv_into(&mut buffer), Err(RecvError::Closed)));
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
    child.join().unwrap();
}

/// The halves go to different processes, by different ways, and this one has neither.
#[test]
fn a_reading_and_a_writing_end_go_to_third_processes() {
    let (writers, readers) =
        (Queue::bounded(1).unwrap(), Pipe::one_way::<Receiver<u64>>().unwrap());
    let writing = spawn((writers.clone(),), |writers: Queue<Sender<u64>>| {
        let tx = writers.get().unwrap();
        (0..100).for_each(|item| tx.send(&item).unwrap());
    });
    let reading = spawn((readers.1,), |readers: Receiver<Receiver<u64>>| {
        readers.recv().unwrap().iter().map(Result::unwrap).sum::<u64>()
    });
    let (tx, rx) = Pipe::one_way().unwrap();
    writers.put(tx).unwrap();
    readers.0.send(&rx).unwrap();
    assert!(!rx.is_owned());
    assert!(matches!(rx.recv(), Err(RecvError::NotOwned)));
    writing.unwrap().join().unwrap();
    assert_eq!(reading.unwrap().join().unwrap(), 4950);
}

#[test]
fn descriptors_of_high_numbers_go_to_a_child() {
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let child = spawn((rx,), |rx: Receiver<Descriptor>| {
        let mut text = String::new();
        let fd = rx.recv().unwrap().into_fd().unwrap();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    });
    let (reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: a question and a duplicate of a descriptor that is open.
    let high = unsafe { libc::fcntl(reader.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 257) };
    assert!(high > 256, "{}", std::io::Error::last_os_error());
    // SAFETY: it was just made, and is nobody else's.
    tx.send(&Descriptor::new(unsafe { OwnedFd::from_raw_fd(high) })).unwrap();
    drop(reader);
    std::io::Write::write_all(&mut writer, b"through").unwrap();
    drop(writer);
    assert_eq!(child.unwrap().join().unwrap(), "through");
}

#[test]
fn a_process_and_pipes_are_waited_for_together() {
    let (a, there_a) = Pipe::<u64, u64>::new().unwrap();
    let (b, there_b) = Pipe::<u64, u64>::new().unwrap();
    let child = spawn((there_a,), |end: PipeEnd<u64, u64>| end.recv().unwrap()).unwrap();
    let ready = |child: &JoinHandle<u64>, patience| wait_any(&[&a, child, &b], patience).unwrap();
    let start = Instant::now();
    assert!(ready(&child, SOON).is_empty());
    assert!(wait_any(&[], SOON).unwrap().is_empty());
    assert!(start.elapsed() >= 2 * SOON);
    assert!(ready(&child, Duration::ZERO).is_empty());
    there_b.send(&1).unwrap();
    assert_eq!(ready(&child, LONG), [2]);
    assert_eq!(b.recv().unwrap(), 1);
    a.send(&7).unwrap();
    // It ends, and the end that it had is closed by then.
    while ready(&child, LONG) != [0, 1] {}
    there_b.send(&2).unwrap();
    assert_eq!(ready(&child, LONG), [0, 1, 2]);
    assert!(matches!(a.recv(), Err(RecvError::Closed)));
    assert!(matches!(a.send(&8), Err(SendError::Closed)));
    assert_eq!(child.join().unwrap(), 7);
}

/// The other has sent, closed, and ended, before anybody looks at the connection.
#[test]
fn what_a_connector_sent_before_it_ended_is_received_after_the_accept() {
    let room = tempfile::tempdir().unwrap();
    let listener = Listener::<String, String>::options().directory(room.path()).bind("x").unwrap();
    let child = spawn((room.path().to_owned(),), |room: PathBuf| {
        let end = Connector::<String, String>::new("x").directory(room).connect().unwrap();
        end.send(&"hello".to_owned()).unwrap();
        end.close();
    });
    let end = listener.accept().unwrap();
    child.unwrap().join().unwrap();
    assert!(end.poll(Duration::ZERO));
    assert_eq!(end.recv().unwrap(), "hello");
    assert!(end.poll(Duration::ZERO), "nothing can come any more");
    assert!(matches!(end.recv(), Err(RecvError::Closed)));
    assert!(matches!(end.send(&"you".to_owned()), Err(SendError::Closed)));
}

#[test]
fn an_accepted_end_is_polled_as_any_other() {
    let room = tempfile::tempdir().unwrap();
    let listener = Listener::<String, String>::options().directory(room.path()).bind("x").unwrap();
    let (go, path) = (Queue::<()>::bounded(1).unwrap(), room.path().to_owned());
    let child = spawn((path, go.clone()), |room: PathBuf, go| {
        let end = Connector::<String, String>::new("x").directory(room).connect().unwrap();
        go.get().unwrap();
        end.send(&"hello".to_owned()).unwrap();
        end.recv().map_err(|error| error.to_string())
    });
    let end = listener.accept().unwrap();
    assert!(!end.poll(Duration::ZERO));
    go.put(()).unwrap();
    assert!(end.poll(LONG));
    assert_eq!(end.recv().unwrap(), "hello");
    end.send(&"you".to_owned()).unwrap();
    assert_eq!(child.unwrap().join().unwrap(), Ok("you".to_owned()));
}
