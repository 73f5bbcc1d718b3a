//! Descriptors that go to other processes in messages.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crossproc::{DecodeError, Pipe, PipeEnd, Queue, Receiver, RecvError, Sender, Value, spawn};
use crossproc_pipe::{Connector, Descriptor, Listener};
use crossproc_sys::process;
use tests::forked::{How, copy};
use tests::outside::{self, until};
use tests::stage::{is_root, skipped};

/// Writes its name to whatever comes, and says how many came.
fn sign(rx: Receiver<Descriptor>) -> u32 {
    let mut count = 0;
    for handle in &rx {
        let fd = handle.unwrap().into_fd().unwrap();
        File::from(fd).write_all(b"signed").unwrap();
        count += 1;
    }
    count
}

#[test]
fn files_sockets_pipes_and_memory_go_to_a_child() {
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let child = spawn((rx,), sign).unwrap();
    let mut text = String::new();

    // A file: one and the same open file, with one position.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"it is ").unwrap();
    tx.send(&Descriptor::new(file.try_clone().unwrap())).unwrap();
    until("it has written", || file.stream_position().unwrap() == 12);
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "it is signed");

    // Sockets and a pipe, which end with the last copy: nobody keeps one.
    let (mut unix, far) = UnixStream::pair().unwrap();
    tx.send(&Descriptor::new(far)).unwrap();
    text.clear();
    unix.read_to_string(&mut text).unwrap();
    assert_eq!(text, "signed");

    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut near = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
    tx.send(&Descriptor::new(listening.accept().unwrap().0)).unwrap();
    text.clear();
    near.read_to_string(&mut text).unwrap();
    assert_eq!(text, "signed");

    let (mut reader, writer) = std::io::pipe().unwrap();
    tx.send(&Descriptor::new(writer)).unwrap();
    text.clear();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "signed");

    let memory = crossproc_sys::memfd::create("test", Default::default()).unwrap();
    tx.send(&Descriptor::new(memory.try_clone().unwrap())).unwrap();
    let mut memory = File::from(memory);
    until("it has written", || memory.metadata().unwrap().len() == 6);
    text.clear();
    memory.seek(SeekFrom::Start(0)).unwrap();
    memory.read_to_string(&mut text).unwrap();
    assert_eq!(text, "signed");

    drop(tx);
    assert_eq!(child.join().unwrap(), 5);
}

fn greet(there: Descriptor) -> Result<Descriptor, String> {
    let mut there = UnixStream::from(there.into_fd().unwrap());
    there.write_all(b"hello").unwrap();
    // As a result: its process must live until it was received.
    drop(there);
    Err("no more".to_owned())
}

#[test]
fn descriptors_are_arguments_too() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let child = spawn((Descriptor::new(there),), greet).unwrap();
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(child.join().unwrap().map(drop), Err("no more".to_owned()));
}

fn why(error: RecvError) -> String {
    match error {
        RecvError::Malformed(DecodeError::Refused(why)) => why.into(),
        other => panic!("{other:?}"),
    }
}

/// Sends one, and dies before anybody has received it.
fn send_and_die(tx: Sender<Descriptor>) {
    tx.send(&Descriptor::new(File::open("/dev/null").unwrap())).unwrap();
    process::kill_self(libc::SIGKILL);
}

#[test]
fn a_sender_that_has_ended_keeps_nothing_and_the_receiver_is_told() {
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let child = spawn((tx,), send_and_die).unwrap();
    assert!(child.join().is_err());
    let why = why(rx.recv().unwrap_err());
    assert!(why.contains("has ended"), "{why}");
    assert!(matches!(rx.recv(), Err(RecvError::Closed)));
}

/// As above, with a copy that has the socket and does not answer.
fn send_and_die_with_a_copy(tx: Sender<Descriptor>, copies: Value<u64>) {
    tx.send(&Descriptor::new(File::open("/dev/null").unwrap())).unwrap();
    let Some(_copy) = copy(How::Fork).unwrap() else {
        // It has a desk of its own.
        let (one, other) = Pipe::one_way::<Descriptor>().unwrap();
        one.send(&Descriptor::new(File::open("/dev/zero").unwrap())).unwrap();
        let works = other.recv().is_ok() && Descriptor::kept() == 0;
        copies.set(if works { u64::from(process::pid()) } else { u64::MAX }).unwrap();
        loop {
            std::thread::park();
        }
    };
    until("the copy has looked", || copies.get() != 0);
    process::kill_self(libc::SIGKILL);
}

#[test]
fn a_forked_child_of_a_dead_sender_keeps_nobody_waiting() {
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let copies = Value::new(0u64).unwrap();
    let child = spawn((tx, copies.clone()), send_and_die_with_a_copy).unwrap();
    assert!(child.join().is_err());
    let why = why(rx.recv().unwrap_err());
    assert!(why.contains("has ended"), "{why}");
    let copy = u32::try_from(copies.get()).expect("the copy sends for itself");
    outside::Seen::new(copy).kill();
}

#[test]
fn descriptors_go_through_queues_and_leases() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let queue = Queue::bounded(4).unwrap();
    let child = spawn((queue.clone(),), sign_leased).unwrap();
    queue.put(Descriptor::new(there)).unwrap();
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "signed");
    child.join().unwrap();
}

fn sign_leased(queue: Queue<Descriptor>) {
    let lease = queue.lease().unwrap();
    File::from(lease.as_fd().try_clone_to_owned().unwrap()).write_all(b"signed").unwrap();
    lease.ack().unwrap();
}

/// Writes to what it has leased, and then does as it is told.
fn sign_and(queue: Queue<(u32, Descriptor)>, end: End) {
    let lease = queue.lease().unwrap();
    let mut file = File::from(lease.1.as_fd().try_clone_to_owned().unwrap());
    file.write_all(&[b'0' + u8::try_from(lease.deliveries()).unwrap()]).unwrap();
    match end {
        End::Ack => drop(lease.ack().unwrap()),
        End::Nack => lease.nack(),
        End::Die => process::kill_self(libc::SIGKILL),
    }
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum End {
    Ack,
    Nack,
    Die,
}

#[test]
fn a_leased_item_that_comes_again_still_has_its_descriptor() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let queue = Queue::bounded(4).unwrap();
    queue.put((7, Descriptor::new(there))).unwrap();
    // To look at an item takes nothing from it.
    assert_eq!(queue.peek().unwrap().0, 7);
    // In the process that put it too.
    queue.lease().unwrap().nack();
    for end in [End::Nack, End::Die, End::Nack] {
        let child = spawn((queue.clone(), end), sign_and).unwrap();
        assert_eq!(child.join().is_ok(), matches!(end, End::Nack), "{end:?}");
    }
    let child = spawn((queue.clone(), End::Ack), sign_and).unwrap();
    child.join().unwrap();
    // Nobody keeps it now: neither its sender nor a lessee.
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "2345");
    // What came again can be got as well.
    let (mut here, there) = UnixStream::pair().unwrap();
    queue.put((8, Descriptor::new(there))).unwrap();
    queue.lease().unwrap().nack();
    let (_, got) = queue.get().unwrap();
    UnixStream::from(got.into_fd().unwrap()).write_all(b"got").unwrap();
    text.clear();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "got");
}

/// As another user: the kernel would not let it look into its parent either.
fn receive_as(rx: Receiver<Descriptor>, uid: u32) -> String {
    // SAFETY: a number only.
    assert_eq!(unsafe { libc::setresuid(uid, uid, uid) }, 0);
    why(rx.recv().unwrap_err())
}

#[test]
fn another_user_gets_none_and_is_told() {
    if !is_root() {
        skipped(tests::test_name!(), "only root can be another user");
        return;
    }
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let handle = Descriptor::new(File::open("/dev/null").unwrap());
    tx.send(&handle).unwrap();
    let child = spawn((rx, 65534), receive_as).unwrap();
    let why = child.join().unwrap();
    assert!(why.contains("of user 0"), "{why}");
    assert_eq!(handle.recall(), 1);
}

fn pass(room: std::path::PathBuf) {
    let connector = Connector::<Descriptor, u64>::new("x").directory(room);
    let end: PipeEnd<u64, Descriptor> = connector.connect().unwrap();
    let file = File::from(end.recv().unwrap().into_fd().unwrap());
    end.send(&file.metadata().unwrap().len()).unwrap();
}

#[test]
fn descriptors_go_to_strangers_that_have_connected() {
    let room = tempfile::tempdir().unwrap();
    let listener = Listener::options().directory(room.path()).bind("x").unwrap();
    let child = spawn((room.path().to_owned(),), pass).unwrap();
    let end: PipeEnd<Descriptor, u64> =
        listener.accept_timeout(Duration::from_secs(60)).unwrap().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0; 1234]).unwrap();
    end.send(&Descriptor::new(file)).unwrap();
    assert_eq!(end.recv().unwrap(), 1234);
    child.join().unwrap();
}

#[test]
fn a_descriptor_is_worth_nothing_outside_a_message() {
    let handle = Descriptor::new(File::open("/dev/null").unwrap());
    let error = serde_json::to_string(&handle).unwrap_err();
    assert!(error.to_string().contains("on its way to another process"), "{error}");
    assert!(serde_json::from_str::<Descriptor>("{}").is_err());
}
