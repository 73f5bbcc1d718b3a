//! Meeting by a name: who gets in, who does not, and that nobody stops a listener.
#![cfg(not(crossproc_loom))]

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crossproc_pipe::{
    BindError, ConnectError, Connector, Listener, ListenerOptions, Peer, Pipe, PipeEnd, RecvError,
    WhyRefused,
};
use crossproc_sys::clock::Deadline;
use crossproc_sys::{memfd, poll, process, socket};

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

type Answer = Result<(), Box<dyn std::error::Error>>;

/// A directory of this test alone; when it goes, nothing may be left in it.
struct Room(PathBuf);

impl Room {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("crossproc-listener-{}-{number}", process::pid());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn listen(&self) -> ListenerOptions<u64, String> {
        Listener::options().directory(&self.0)
    }

    fn connector(&self) -> Connector<u64, String> {
        Connector::new("x").directory(&self.0)
    }

    /// One that speaks for itself.
    fn raw(&self) -> OwnedFd {
        socket::connect(&self.0.join("x.sock"), MINUTE).expect("somebody listens")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let left = fs::remove_dir(&self.0);
        assert!(thread::panicking() || left.is_ok(), "something is left in {:?}", self.0);
    }
}

/// Lets one more in, beside whatever else the listener is busy with.
fn connect(listener: &Listener<u64, String>, room: &Room) -> Answer {
    let connecting = thread::spawn({
        let connector = room.connector();
        move || connector.connect()
    });
    let here = listener.accept_timeout(MINUTE)?.ok_or("nobody came")?;
    let there = connecting.join().map_err(|_| "it panicked")??;
    here.send(&7)?;
    assert_eq!(there.recv()?, 7);
    there.send(&"seven".to_owned())?;
    assert_eq!(here.recv()?, "seven");
    Ok(())
}

#[test]
fn each_connection_is_a_pipe_of_its_own_with_whole_ends() -> Answer {
    let room = Room::new();
    let listener = room.listen().capacity(256).bind("x")?;
    let connector = room.connector();
    let connecting = thread::spawn(move || (connector.connect(), connector.connect()));
    let (a, b) = (listener.accept()?, listener.accept()?);
    let (c, d) = connecting.join().map_err(|_| "it panicked")?;
    let (c, d) = (c?, d?);
    drop(listener);
    assert_eq!(a.sender().capacity(), 256);
    assert_ne!(a.segment().identity(), b.segment().identity());
    a.send(&1)?;
    b.send(&2)?;
    assert_eq!((c.recv()?, d.recv()?), (1, 2));
    // Longer than the pipe.
    let long = "long ".repeat(1000);
    let text = long.clone();
    let sending = thread::spawn(move || c.send(&text).map(|()| c));
    assert_eq!(a.recv()?, long);
    let c = sending.join().map_err(|_| "it panicked")??;
    assert!(matches!(c.peer(), Peer::Present(_)));
    drop(a);
    assert!(matches!(c.recv(), Err(RecvError::Closed)));
    drop(d);
    assert!(matches!(b.recv(), Err(RecvError::Closed)));
    Ok(())
}

#[test]
fn a_name_has_one_listener_and_is_free_after_it() -> Answer {
    let room = Room::new();
    let first = room.listen().bind("x")?;
    let again = room.listen().bind("x").map(drop);
    assert!(matches!(again, Err(BindError::InUse { name }) if name == "x"));
    let other = room.listen().bind("y")?;
    connect(&first, &room)?;
    drop(first);
    let second = room.listen().bind("x")?;
    connect(&second, &room)?;
    drop(other);
    connect(&second, &room)
}

#[test]
fn names_follow_the_rules_and_find_nothing_outside() {
    let room = Room::new();
    let long = "x".repeat(65);
    for bad in ["", "a/b", "../x", "a\0b", &long] {
        let bound = room.listen().bind(bad).map(drop);
        assert!(matches!(bound, Err(BindError::BadName { .. })), "{bad:?}");
        let connected = Connector::<u8, u8>::new(bad).connect().map(drop);
        assert!(matches!(connected, Err(ConnectError::BadName { .. })), "{bad:?}");
    }
    for good in [".", "..", "a b.lock", &long[1..]] {
        assert!(room.listen().bind(good).is_ok(), "{good:?}");
    }
}

#[test]
fn other_types_are_refused_and_both_sides_say_which() -> Answer {
    let room = Room::new();
    let listener = room.listen().bind("x")?;
    let connector = Connector::<String, u64>::new("x").directory(&room.0);
    let connecting = thread::spawn(move || connector.connect());
    while listener.last_refusal().is_none() {
        assert!(listener.accept_timeout(Duration::from_millis(1))?.is_none());
    }
    let error = connecting.join().map_err(|_| "it panicked")?.map(drop);
    let Err(ConnectError::Types { expected, found, swapped: true, .. }) = &error else {
        return Err(format!("{error:?}").into());
    };
    assert_eq!(
        (expected.as_str(), found.as_str()),
        ("(alloc::string::String, u64)", "(u64, alloc::string::String)")
    );
    let text = error.map_err(|error| error.to_string()).err().unwrap_or_default();
    assert!(text.contains("of (u64, alloc") && text.contains("not of (alloc"), "{text}");
    let refusal = listener.last_refusal().ok_or("none")?;
    assert_eq!(refusal.peer.pid, process::pid());
    assert!(matches!(&refusal.why, WhyRefused::Types { found, .. } if found.starts_with("(alloc")));
    // It goes on.
    connect(&listener, &room)
}

#[test]
fn silent_and_babbling_connectors_stop_nobody() -> Answer {
    let room = Room::new();
    let listener = room.listen().backlog(1000).bind("x")?;
    // More than are talked to at once.
    let silent: Vec<OwnedFd> = (0..100).map(|_| room.raw()).collect();
    connect(&listener, &room)?;
    let babbling: Vec<OwnedFd> = (0..100).map(|_| room.raw()).collect();
    for socket in &babbling {
        socket::send_with_fds(socket, b"hello?", &[])?;
    }
    connect(&listener, &room)?;
    assert_eq!(socket::recv(&babbling[0], 64)?, b"", "it was shown the door");
    drop(silent);
    connect(&listener, &room)
}

#[test]
fn who_says_nothing_is_dropped_after_a_while() -> Answer {
    let room = Room::new();
    let listener = room.listen().handshake_timeout(Duration::from_millis(5)).bind("x")?;
    let silent = room.raw();
    while listener.last_refusal().is_none() {
        // It wakes up for that by itself.
        assert!(listener.accept_timeout(Duration::from_millis(20))?.is_none());
    }
    assert!(poll::readable(&silent, Some(Deadline::after(MINUTE)))?);
    assert_eq!(socket::recv(&silent, 64)?, b"");
    assert_eq!(listener.last_refusal().ok_or("none")?.why, WhyRefused::Silent);
    Ok(())
}

/// What a connector of these types says first, as it was heard on the way.
fn hello(room: &Room) -> Vec<u8> {
    // A listener of our own, so to speak.
    let listening = socket::bind(&room.0.join("y.sock")).expect("a socket");
    socket::listen(&listening, 1).expect("it listens");
    let connecting = Connector::<u64, String>::new("y").directory(&room.0);
    // Without a lock file it would be taken for dead.
    let lock = fs::File::create(room.0.join("y.lock")).expect("a file");
    assert!(crossproc_sys::lock::try_lock_byte(&lock, 0).expect("a lock"));
    let connecting = thread::spawn(move || connecting.connect());
    assert!(poll::readable(&listening, None).expect("it can be waited for"));
    let there = socket::accept(&listening).expect("accepted").expect("one");
    assert!(poll::readable(&there, None).expect("it can be waited for"));
    let said = socket::recv(&there, 10_000).expect("said");
    socket::send_with_fds(&there, b"what?", &[]).expect("sent");
    let answer = connecting.join().expect("no panic").map(drop);
    assert!(matches!(answer, Err(ConnectError::Garbage { .. })), "{answer:?}");
    fs::remove_file(room.0.join("y.sock")).expect("it is there");
    fs::remove_file(room.0.join("y.lock")).expect("it is there");
    said
}

/// A small generator: the same numbers each time.
fn dice(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 40).unwrap_or(0)
}

#[test]
fn bytes_of_any_kind_stop_no_listener() -> Answer {
    let room = Room::new();
    let hello = hello(&room);
    let listener = room.listen().backlog(1000).bind("x")?;
    let fd = memfd::create("test", memfd::Pages::Normal)?;
    let mut state = 5;
    for round in 0..300 {
        let raw = room.raw();
        // Rubbish; a hello with a wrong byte, cut short, or with something behind it; and some with
        // descriptors that nobody has asked for.
        let mut said = hello.clone();
        match round % 4 {
            0 => {
                let length = dice(&mut state) % 5000;
                said = (0..length).map(|_| dice(&mut state).to_ne_bytes()[0]).collect();
            }
            1 => {
                let at = dice(&mut state) % said.len();
                said[at] ^= 1 << (dice(&mut state) % 8);
            }
            2 => said.truncate(dice(&mut state) % said.len()),
            _ => said.extend((0..dice(&mut state) % 3000).map(|_| 0xff)),
        }
        said.push(0);
        let fds = vec![fd.as_fd(); dice(&mut state) % 3];
        socket::send_with_fds(&raw, &said, &fds)?;
        if round % 2 == 0 {
            socket::send_with_fds(&raw, b"and more", &[])?;
        }
        assert!(listener.try_accept()?.is_none(), "round {round}");
    }
    // A right hello, and then the wrong thing.
    for next in [b"".as_slice(), b"crossmet", &hello] {
        let raw = room.raw();
        socket::send_with_fds(&raw, &hello, &[])?;
        assert!(listener.try_accept()?.is_none());
        let (_, fds) = socket::recv_with_fds(&raw, 5000)?;
        assert_eq!(fds.len(), 1, "the segment");
        if !next.is_empty() {
            socket::send_with_fds(&raw, next, &[])?;
        }
        drop(raw);
        assert!(listener.try_accept()?.is_none());
    }
    connect(&listener, &room)
}

#[test]
fn two_connections_that_come_at_once_come_one_after_the_other_and_threads_share() -> Answer {
    const EACH: u64 = 20;
    let room = Room::new();
    let listener = room.listen().bind("x")?;
    thread::scope(|scope| {
        let accepting: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while let Ok(Some(end)) = listener.accept_timeout(MINUTE) {
                        let text = end.recv().expect("one");
                        if text == "stop" {
                            break;
                        }
                        end.send(&1).expect("it waits");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let connecting: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let end = room.connector().connect().expect("it listens");
                        end.send(&"go on".to_owned()).expect("it is there");
                        assert_eq!(end.recv().expect("an answer"), 1);
                    }
                })
            })
            .collect();
        connecting.into_iter().for_each(|thread| thread.join().expect("no panic"));
        for _ in 0..2 {
            let end = room.connector().connect().expect("it listens");
            end.send(&"stop".to_owned()).expect("it is there");
        }
        let counts = accepting.into_iter().map(|thread| thread.join().expect("no panic"));
        assert_eq!(counts.sum::<u64>(), 3 * EACH);
    });
    Ok(())
}

#[test]
fn one_form_waits_for_a_listener_and_the_other_does_not() -> Answer {
    let room = Room::new();
    assert!(room.connector().connect().is_err_and(|error| error.is_nobody()));
    assert!(room.connector().connect_timeout(NOW).is_err_and(|error| error.is_nobody()));
    let connector = room.connector();
    let connecting = thread::spawn(move || connector.connect_timeout(MINUTE));
    // Comes after some time, and goes again at once; the next is as good.
    drop(room.listen().bind("x")?);
    let listener = room.listen().bind("x")?;
    let end: PipeEnd<u64, String> = listener.accept_timeout(MINUTE)?.ok_or("nobody came")?;
    assert!(connecting.join().map_err(|_| "it panicked")?.is_ok());
    drop(end);
    // It listens, and does not accept.
    let late = room.connector().connect_timeout(Duration::from_millis(1));
    assert!(matches!(late, Err(ConnectError::TimedOut { .. })));
    // So it goes too when more wait than its backlog takes.
    let waiting: Vec<OwnedFd> = (0..128).map(|_| room.raw()).collect();
    let late = room.connector().connect_timeout(Duration::from_millis(1));
    assert!(matches!(late, Err(ConnectError::TimedOut { .. })), "{late:?}");
    drop(waiting);
    connect(&listener, &room)
}

#[test]
fn a_listener_that_is_dropped_leaves_nobody_waiting() -> Answer {
    let room = Room::new();
    let listener = room.listen().bind("x")?;
    let connector = room.connector();
    let connecting = thread::spawn(move || connector.connect());
    assert!(poll::readable(&listener, None)?, "it is at the door");
    drop(listener);
    let answer = connecting.join().map_err(|_| "it panicked")?;
    assert!(answer.is_err_and(|error| error.is_nobody()));
    Ok(())
}

#[test]
fn its_descriptor_is_for_epoll() -> Answer {
    let room = Room::new();
    let listener = room.listen().bind("x")?;
    assert!(!poll::readable(listener.as_fd(), Some(Deadline::now()))?);
    let connector = room.connector();
    let connecting = thread::spawn(move || connector.connect());
    let end = loop {
        assert!(poll::readable(listener.as_fd(), Some(Deadline::after(MINUTE)))?);
        if let Some(end) = listener.try_accept()? {
            break end;
        }
    };
    assert!(!poll::readable(listener.as_fd(), Some(Deadline::now()))?);
    let there = connecting.join().map_err(|_| "it panicked")??;
    end.send(&1)?;
    assert_eq!(there.recv()?, 1);
    Ok(())
}

#[test]
fn what_the_two_share_lies_in_the_segment_of_their_pipe() -> Answer {
    let room = Room::new();
    let listener = Listener::<PipeEnd<u8, u8>, ()>::options().directory(&room.0).bind("x")?;
    let connector = Connector::<PipeEnd<u8, u8>, ()>::new("x").directory(&room.0);
    let connecting = thread::spawn(move || connector.connect());
    let here = listener.accept()?;
    let there = connecting.join().map_err(|_| "it panicked")??;
    let (a, b) = Pipe::<u8, u8>::new_in(here.segment())?;
    here.send(&b)?;
    let b = there.recv()?;
    a.send(&1)?;
    assert_eq!(b.recv()?, 1);
    Ok(())
}

#[test]
fn a_directory_where_others_could_meddle_is_refused() -> Answer {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    fs::set_permissions(&room.0, fs::Permissions::from_mode(0o777))?;
    let bound = room.listen().bind("x").map(drop);
    assert!(matches!(bound, Err(BindError::Unsafe { .. })), "{bound:?}");
    // Sticky, as `/tmp` is.
    fs::set_permissions(&room.0, fs::Permissions::from_mode(0o1777))?;
    let listener = room.listen().bind("x")?;
    connect(&listener, &room)?;
    drop(listener);
    // A link where the lock file should be leads nowhere.
    let aim = room.0.join("aim");
    std::os::unix::fs::symlink(&aim, room.0.join("x.lock"))?;
    assert!(room.listen().bind("x").is_err());
    assert!(!aim.exists());
    fs::remove_file(room.0.join("x.lock"))?;
    // And one where the socket should be is replaced.
    std::os::unix::fs::symlink(&aim, room.0.join("x.new"))?;
    std::os::unix::fs::symlink(&aim, room.0.join("x.sock"))?;
    let listener = room.listen().bind("x")?;
    assert!(!aim.exists());
    connect(&listener, &room)
}

#[test]
fn a_place_where_nothing_can_be_made_is_told_as_what_it_is() {
    let said = |path: &str| {
        let bound = Listener::<u8, u8>::options().directory(path).bind("x").map(drop);
        bound.map_or_else(|error| error.to_string(), |()| "bound".to_owned())
    };
    let no_place = said("/etc/passwd");
    assert!(no_place.contains("no directory; give one"), "{no_place}");
    let not_there = said("/nowhere/at/all");
    assert!(not_there.contains("cannot find"), "{not_there}");
    // Root's, who may make files in it, if it took any; no other user meets anybody there.
    let takes_no_files = said("/proc");
    assert!(takes_no_files.starts_with("cannot "), "{takes_no_files}");
}
