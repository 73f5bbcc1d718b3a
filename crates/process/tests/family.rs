//! Parents that end, handles that are dropped, and what is left of either.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use crossproc_process::{Process, is_parent_alive, spawn};
use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::PidFd;
use crossproc_sys::poll;

crossproc_process::test_init!();

const LONG: Duration = Duration::from_secs(60);

fn forever() {
    loop {
        thread::park();
    }
}

/// Processes of any generation report here, under a name that leaves no file behind.
struct Reports {
    name: String,
    listener: UnixListener,
}

impl Reports {
    fn new(name: &str) -> Self {
        let name = format!("crossproc-test-{name}-{}", std::process::id());
        let listener = UnixListener::bind_addr(&address(&name)).expect("the name is free");
        Self { name, listener }
    }

    /// The next process that reports, and the stream to it.
    fn next(&self) -> (PidFd, BufReader<UnixStream>) {
        let mut stream = BufReader::new(self.listener.accept().expect("somebody reports").0);
        let process = PidFd::open(line(&mut stream).parse().expect("a pid"));
        (process.expect("it lives"), stream)
    }
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("a short name")
}

/// The next line; empty if there is none.
fn line(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    // A reset is an end as well.
    let _ = stream.read_line(&mut line);
    line.trim_end().to_owned()
}

/// Tells the test which process this is.
fn report(name: &str) -> UnixStream {
    let mut stream = UnixStream::connect_addr(&address(name)).expect("the test listens");
    writeln!(stream, "{}", std::process::id()).expect("the test listens");
    stream
}

fn report_and_stay(name: String) {
    let _stream = report(&name);
    forever();
}

/// Returns when the test closes the stream.
fn report_and_wait(name: &str) {
    line(&mut BufReader::new(report(name)));
}

#[test]
fn children_end_with_a_parent_that_is_killed() {
    let reports = Reports::new("killed");
    let parent = spawn((reports.name.clone(),), |name| {
        let usual = spawn((name.clone(),), report_and_stay).expect("it starts");
        let daemon = Process::builder().daemon(true).spawn((name,), report_and_stay);
        daemon.expect("it starts").detach();
        usual.join().expect("it never does");
    });
    let parent = parent.unwrap();
    let children = [reports.next(), reports.next()];
    for (child, _) in &children {
        assert!(!child.wait(Some(Deadline::now())).unwrap());
    }
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    for (child, _) in &children {
        assert!(child.wait(Some(Deadline::after(LONG))).unwrap(), "a child outlives its parent");
    }
}

#[test]
fn children_end_with_a_parent_whose_function_returns() {
    let reports = Reports::new("returns");
    let parent = spawn((reports.name.clone(),), |name| {
        spawn((name.clone(),), report_and_stay).expect("it starts").detach();
        report_and_wait(&name);
    });
    let parent = parent.unwrap();
    let (first, second) = (reports.next(), reports.next());
    let child = if first.0.wait(Some(Deadline::now())).unwrap() { second.0 } else { first.0 };
    drop((first.1, second.1));
    parent.join().unwrap();
    assert!(child.wait(Some(Deadline::after(LONG))).unwrap(), "a child outlives its parent");
}

#[test]
fn a_process_that_is_no_daemon_may_finish_what_it_does() {
    let reports = Reports::new("finishes");
    let finishes = || {
        let parent = spawn((reports.name.clone(),), |name| {
            let child = spawn((name,), |name| {
                let mut stream = report(&name);
                while is_parent_alive() {
                    thread::yield_now();
                }
                writeln!(stream, "done").expect("the test listens");
            });
            child.expect("it starts").detach();
            forever();
        });
        let parent = parent.unwrap();
        let (_, mut stream) = reports.next();
        parent.kill().unwrap();
        line(&mut stream) == "done"
    };
    // It has half a second, which a machine at its limits may not give it.
    assert!((0..10).any(|_| finishes()));
}

#[test]
fn an_orphan_lives_on() {
    let reports = Reports::new("orphan");
    let parent = spawn((reports.name.clone(),), |name| {
        let orphan = Process::builder().orphan(true).daemon(true);
        let orphan = orphan.spawn((name,), |name| {
            let mut stream = report(&name);
            // The watch ends without having ended this process.
            let is_alone = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count) == 1;
            while is_parent_alive() || !is_alone() {
                thread::yield_now();
            }
            writeln!(stream, "alone").expect("the test listens");
        });
        orphan.expect("it starts").detach();
        forever();
    });
    let parent = parent.unwrap();
    let (_, mut stream) = reports.next();
    parent.kill().unwrap();
    assert_eq!(line(&mut stream), "alone");
}

#[test]
fn a_dropped_handle_leaves_a_running_process_and_no_zombie() {
    let reports = Reports::new("dropped");
    let handle = spawn((reports.name.clone(),), report_and_stay).unwrap();
    let pid = handle.pid();
    drop(handle);
    let (process, _stream) = reports.next();
    assert!(!process.wait(Some(Deadline::now())).unwrap());
    process.signal(9).unwrap();
    assert!(process.wait(Some(Deadline::after(LONG))).unwrap());
    // It is reaped when processes are next started or joined; each time a few are looked at.
    while fs::exists(format!("/proc/{pid}")).unwrap() {
        spawn((), || ()).unwrap().join().unwrap();
    }
}

#[test]
fn the_descriptor_of_a_handle_becomes_readable_at_the_end() {
    let handle = spawn((), forever).unwrap();
    assert!(!poll::readable(handle.as_fd(), Some(Deadline::now())).unwrap());
    handle.kill().unwrap();
    assert!(poll::readable(handle.as_fd(), Some(Deadline::after(LONG))).unwrap());
}

#[test]
fn daemons_beget_daemons_unless_told_otherwise() {
    let parent = Process::builder().daemon(true).spawn((), || {
        let usual = spawn((), || ()).expect("it starts");
        let other = Process::builder().daemon(false).spawn((), || ()).expect("it starts");
        (usual.is_daemon(), other.is_daemon())
    });
    let parent = parent.unwrap();
    assert!(parent.is_daemon());
    assert_eq!(parent.join().unwrap(), (true, false));
}

#[test]
fn the_watch_takes_no_signals() {
    let blocked = spawn((), || {
        let main = std::process::id().to_string();
        let threads = fs::read_dir("/proc/self/task").expect("it can be listed");
        let blocked = threads.map(|thread| {
            let thread = thread.expect("it can be listed");
            let status = fs::read_to_string(thread.path().join("status")).expect("it lives");
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let set = u64::from_str_radix(line.expect("each has it").trim(), 16).expect("a set");
            // SIGTERM, for one.
            (thread.file_name().to_string_lossy() == main, set & (1 << 14) != 0)
        });
        blocked.collect::<Vec<_>>()
    });
    let mut blocked = blocked.unwrap().join().unwrap();
    blocked.sort_unstable();
    assert_eq!(blocked, [(false, true), (true, false)]);
}
