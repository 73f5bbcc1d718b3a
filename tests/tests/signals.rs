//! A signal that has a handler ends no wait: who waited goes on, and gets what it waited for.
//!
//! System calls come back from a signal with an error unless the handler was installed to have them
//! restarted, and some do then as well. Each wait here is a child's, which is sent many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{mem, ptr};

use crossproc::{
    Descriptor, Event, JoinHandle, Message, Pipe, PipeEnd, Queue, Receiver, Sender, spawn, wait_any,
};
use crossproc_pipe::{Connector, Listener};
use crossproc_sys::pidfd::PidFd;
use tests::outside::{LONG, until_asleep};

crossproc::test_init!();

const SIGNALS: u64 = 25;

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// In a child: has the signal handled, and says so.
fn listen(ready: &Queue<()>) {
    // SAFETY: zeroes are a valid, empty action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = (handle as *const ()).expose_provenance();
    // SAFETY: the action is whole, and its handler does only what is allowed in one.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) }, 0);
    ready.put(()).unwrap();
}

fn handled() -> u64 {
    HANDLED.load(Ordering::Relaxed)
}

/// Sends signals to a child that waits, then has its wait end; what it returned besides how many
/// signals it had.
fn pestered<R: Message>(child: JoinHandle<(R, u64)>, ready: &Queue<()>, end: impl FnOnce()) -> R {
    ready.get().unwrap();
    let process = PidFd::open(child.pid()).unwrap();
    for _ in 0..SIGNALS {
        until_asleep(child.pid());
        process.signal(libc::SIGUSR1).unwrap();
    }
    until_asleep(child.pid());
    end();
    let (result, handled) = child.join().unwrap();
    assert!(handled > 0, "no signal was handled");
    result
}

fn ready() -> Queue<()> {
    Queue::bounded(1).unwrap()
}

#[test]
fn waits_at_a_queue_go_on() {
    let (queue, ready) = (Queue::<u64>::bounded(1).unwrap(), ready());
    let wait = |wait: fn(Queue<u64>, Queue<()>) -> (u64, u64)| {
        spawn((queue.clone(), ready.clone()), wait).unwrap()
    };
    let child = wait(|queue, ready| {
        listen(&ready);
        (queue.get().unwrap(), handled())
    });
    assert_eq!(pestered(child, &ready, || queue.put(1).unwrap()), 1);

    let child = wait(|queue, ready| {
        listen(&ready);
        let mut got = Vec::new();
        queue.get_many(&mut got, 9).unwrap();
        (got[0], handled())
    });
    assert_eq!(pestered(child, &ready, || queue.put(2).unwrap()), 2);

    let child = wait(|queue, ready| {
        listen(&ready);
        (queue.lease().unwrap().ack().unwrap(), handled())
    });
    assert_eq!(pestered(child, &ready, || queue.put(3).unwrap()), 3);

    queue.put(4).unwrap();
    let child = wait(|queue, ready| {
        listen(&ready);
        queue.put(5).unwrap();
        (0, handled())
    });
    pestered(child, &ready, || assert_eq!(queue.get().unwrap(), 4));

    let child = wait(|queue, ready| {
        listen(&ready);
        (wait_any(&[&queue.space(), &Event::new().unwrap()], LONG).unwrap()[0] as u64, handled())
    });
    assert_eq!(pestered(child, &ready, || assert_eq!(queue.get().unwrap(), 5)), 0);
}

#[test]
fn a_join_goes_on() {
    let queue = Queue::<u64>::options().joinable().bounded(1).unwrap();
    let ready = ready();
    queue.put(1).unwrap();
    let child = spawn((queue.clone(), ready.clone()), |queue, ready| {
        listen(&ready);
        queue.join().unwrap();
        ((), handled())
    });
    pestered(child.unwrap(), &ready, || assert_eq!(queue.lease().unwrap().ack().unwrap(), 1));
}

/// One that has come to its end has not waited less for the signals.
#[test]
fn a_timeout_is_as_long() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let (queue, ready) = (Queue::<u64>::bounded(1).unwrap(), ready());
    let child = spawn((queue, ready.clone()), |queue, ready| {
        listen(&ready);
        let start = std::time::Instant::now();
        assert!(queue.get_timeout(TIMEOUT).is_err());
        assert!(start.elapsed() >= TIMEOUT);
        let start = std::time::Instant::now();
        assert!(wait_any(&[&queue], TIMEOUT).unwrap().is_empty());
        assert!(wait_any(&[], TIMEOUT).unwrap().is_empty());
        assert!(start.elapsed() >= 2 * TIMEOUT);
        ((), handled())
    });
    let child = child.unwrap();
    ready.get().unwrap();
    let process = PidFd::open(child.pid()).unwrap();
    // Until it is gone.
    while process.signal(libc::SIGUSR1).is_ok() && !process.wait(Some(soon())).unwrap() {}
    assert!(child.join().unwrap().1 > 0);
}

fn soon() -> crossproc::Deadline {
    crossproc::Deadline::after(Duration::from_millis(1))
}

#[test]
fn waits_at_a_pipe_go_on_in_the_midst_of_a_message_too() {
    let ready = ready();
    let (here, there) = Pipe::<Vec<u8>, Vec<u8>>::new().unwrap();
    let child = spawn((there, ready.clone()), |there: PipeEnd<Vec<u8>, Vec<u8>>, ready| {
        listen(&ready);
        assert!(there.poll(None));
        let got = there.recv().unwrap();
        let before = handled();
        ready.put(()).unwrap();
        // Much longer than the pipe.
        there.send(&got).unwrap();
        (got, handled().min(handled() - before))
    });
    let long: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
    let child = child.unwrap();
    ready.get().unwrap();
    let process = PidFd::open(child.pid()).unwrap();
    for _ in 0..SIGNALS {
        until_asleep(child.pid());
        process.signal(libc::SIGUSR1).unwrap();
    }
    here.send(&long).unwrap();
    let mut back = Vec::new();
    let sent = pestered(child, &ready, || back = here.recv().unwrap());
    assert!(sent == long && back == long);
}

#[test]
fn who_listens_and_who_connects_goes_on() {
    let (ready, room) = (ready(), tempfile::tempdir().unwrap());
    let path = || room.path().to_owned();
    let connector = || Connector::<u64, u64>::new("x").directory(room.path());
    let child = spawn((path(), ready.clone()), |room: PathBuf, ready| {
        let listener = Listener::<u64, u64>::options().directory(&room).bind("x").unwrap();
        listen(&ready);
        (listener.accept().unwrap().recv().unwrap(), handled())
    });
    let asked = pestered(child.unwrap(), &ready, || {
        connector().connect_timeout(LONG).unwrap().send(&7).unwrap();
    });
    assert_eq!(asked, 7);

    let child = spawn((path(), ready.clone()), |room: PathBuf, ready| {
        listen(&ready);
        let end = Connector::<u64, u64>::new("x").directory(room).connect_timeout(LONG).unwrap();
        (end.recv().unwrap(), handled())
    });
    let asked = pestered(child.unwrap(), &ready, || {
        let listener = Listener::<u64, u64>::options().directory(room.path()).bind("x").unwrap();
        listener.accept().unwrap().send(&8).unwrap();
    });
    assert_eq!(asked, 8);
}

#[test]
fn descriptors_come_all_the_same() {
    let ready = ready();
    let (tx, rx) = Pipe::one_way::<Descriptor>().unwrap();
    let child = spawn((rx, ready.clone()), |rx: Receiver<Descriptor>, ready| {
        listen(&ready);
        let fds: Vec<_> = rx.into_iter().map(|handle| handle.unwrap().into_fd().unwrap()).collect();
        (fds.len(), handled())
    });
    let child = child.unwrap();
    let process = PidFd::open(child.pid()).unwrap();
    let count = pestered(child, &ready, || send_ten(&process, tx));
    assert_eq!(count, 10);
}

fn send_ten(process: &PidFd, tx: Sender<Descriptor>) {
    for _ in 0..10 {
        tx.send(&Descriptor::new(File::open("/dev/null").unwrap())).unwrap();
        process.signal(libc::SIGUSR1).unwrap();
    }
    tests::outside::until("they are received", || Descriptor::kept() == 0);
}

#[test]
fn who_waits_for_a_child_goes_on() {
    let (ready, go) = (ready(), Queue::<u64>::bounded(1).unwrap());
    let child = spawn((go.clone(), ready.clone()), |go, ready| {
        let grandchild = spawn((go,), |go: Queue<u64>| go.get().unwrap()).unwrap();
        listen(&ready);
        (grandchild.join().unwrap(), handled())
    });
    assert_eq!(pestered(child.unwrap(), &ready, || go.put(9).unwrap()), 9);
}
