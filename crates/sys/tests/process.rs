//! Starting, waiting for, signalling and describing processes.

mod child;

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use child::forked;
use crossproc_sys::clock::Deadline;
use crossproc_sys::pidfd::{Exit, PidFd};
use crossproc_sys::process::{self, Spawn};
use crossproc_sys::socket;

/// Says to a test that it is the child of another, and is to do the child's part.
const ROLE: &str = "CROSSPROC_SYS_TEST_CHILD";

/// This test program, to run the one test `name` as a child.
fn child_of(name: &str) -> Spawn<'static> {
    let name = format!("the_child_{name}");
    Spawn::this_program().args(["--exact", &name, "--nocapture", "--test-threads=1"]).env(ROLE, "1")
}

fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

fn stream() -> (UnixStream, OwnedFd) {
    let (mine, its) = socket::stream_pair().expect("pair");
    (mine.into(), its)
}

fn read_all(mut from: UnixStream) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("read");
    text
}

/// Runs a shell script whose descriptor 3 is read.
fn shell(script: &str) -> String {
    let (mine, its) = stream();
    let shell = Spawn::new("/bin/sh").arg("-c").arg(script).fd(its.as_fd(), 3);
    let child = shell.start().expect("start");
    drop(its);
    let text = read_all(mine);
    assert_eq!(child.pidfd.reap(true).expect("a child"), Some(Exit::Code(0)));
    text
}

#[test]
fn a_child_gets_the_descriptors_listed_and_no_others() {
    let (a, its_a) = stream();
    let (b, its_b) = stream();
    let (_leak, leaked) = stream();
    process::clear_cloexec(&leaked).expect("clear");
    // Numbers that may be those of other descriptors here, with a gap between them.
    let spawn = child_of("lists").fd(its_a.as_fd(), 9).fd(its_b.as_fd(), 5).null_stdin();
    let child = spawn.start().expect("start");
    process::set_cloexec(&leaked).expect("set");
    drop((its_a, its_b));
    assert_eq!(read_all(a), "0 1 2 5 9");
    assert_eq!(read_all(b), "/dev/null");
    assert_eq!(child.pidfd.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn the_child_lists() {
    if !is_child() {
        return;
    }
    let entries = fs::read_dir("/proc/self/fd").expect("proc");
    let mut open: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // Leaves out the descriptor of that reading, which is closed by now.
    open.retain(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok());
    open.sort_unstable();
    let open: Vec<String> = open.iter().map(i32::to_string).collect();
    // SAFETY: given to this process under that number, and used only here.
    let mut list = unsafe { UnixStream::from_raw_fd(9) };
    // SAFETY: as above.
    let mut stdin = unsafe { UnixStream::from_raw_fd(5) };
    let target = fs::read_link("/proc/self/fd/0").expect("stdin");
    write!(stdin, "{}", target.display()).expect("write");
    write!(list, "{}", open.join(" ")).expect("write");
}

#[test]
fn descriptors_can_trade_numbers() {
    let (a, its_a) = stream();
    let (b, its_b) = stream();
    // Each gets the number that the other one has here, where a shell knows such numbers.
    let (to_a, to_b) = match (its_b.as_raw_fd(), its_a.as_raw_fd()) {
        (a @ 3..10, b @ 3..10) => (a, b),
        _ => (4, 3),
    };
    let script = format!("echo a >&{to_a}; echo b >&{to_b}");
    let spawn = Spawn::new("/bin/sh").args(["-c", &script]);
    let spawn = spawn.fd(its_a.as_fd(), to_a).fd(its_b.as_fd(), to_b);
    let child = spawn.start().expect("start");
    drop((its_a, its_b));
    assert_eq!((read_all(a), read_all(b)), ("a\n".to_owned(), "b\n".to_owned()));
    assert_eq!(child.pidfd.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn a_standard_stream_can_be_given() {
    let (out, its_out) = stream();
    let spawn = Spawn::new("/bin/sh").args(["-c", "echo $0 $1", "x"]).arg("y");
    let child = spawn.fd(its_out.as_fd(), 1).start().expect("start");
    drop(its_out);
    assert_eq!(read_all(out), "x y\n");
    assert!(child.pidfd.reap(true).expect("a child").is_some_and(Exit::is_success));
}

#[test]
fn impossible_starts_leave_no_child() {
    let (_mine, its) = stream();
    let kind = |spawn: Spawn<'_>| spawn.start().expect_err("impossible").kind();
    let shell = || Spawn::new("/bin/sh");
    assert_eq!(kind(Spawn::new("/no/such/program")), ErrorKind::NotFound);
    assert_eq!(kind(Spawn::new("/dev/null")), ErrorKind::PermissionDenied);
    assert_eq!(kind(shell().arg("a\0b")), ErrorKind::InvalidInput);
    assert_eq!(kind(shell().env("a\0b", "")), ErrorKind::InvalidInput);
    assert_eq!(kind(shell().fd(its.as_fd(), 7).fd(its.as_fd(), 7)), ErrorKind::InvalidInput);
    assert_eq!(kind(shell().fd(its.as_fd(), -1)), ErrorKind::InvalidInput);
    assert_eq!(kind(shell().fd(its.as_fd(), i32::MAX)), ErrorKind::InvalidInput);
}

#[test]
fn the_environment_is_ours_with_changes() {
    let script = "echo \"$CROSSPROC_SYS_A,${CARGO_PKG_NAME-unset},${HOME+home}\" >&3";
    let (mine, its) = stream();
    let spawn = Spawn::new("/bin/sh").args(["-c", script]).fd(its.as_fd(), 3);
    let spawn = spawn.env("CROSSPROC_SYS_A", "1").env("CROSSPROC_SYS_A", "2").env("HOME", "/");
    let child = spawn.env_remove("CARGO_PKG_NAME").start().expect("start");
    drop(its);
    assert_eq!(read_all(mine), "2,unset,home\n");
    assert!(child.pidfd.reap(true).expect("a child").is_some_and(Exit::is_success));
}

#[test]
fn a_child_blocks_no_signal_and_gets_sigpipe_back() {
    process::ignore_sigpipe();
    let script = "while read name value; do case $name in Sig[BI]*) echo $name$value >&3;; esac; \
                  done < /proc/self/status";
    let text = thread::spawn(|| {
        // SAFETY: integers: zeroes are the empty set.
        let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: room for a set.
        unsafe { libc::sigfillset(&raw mut all) };
        // SAFETY: a set; only this thread, which ends with this test, is changed.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
        shell(script)
    });
    let text = text.join().expect("no panic");
    let mask = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        u64::from_str_radix(line, 16).expect("hexadecimal")
    };
    assert_eq!(mask("SigBlk:"), 0);
    assert_eq!(mask("SigIgn:") >> (libc::SIGPIPE - 1) & 1, 0);
}

#[test]
fn a_child_is_waited_for_signalled_and_reaped_once() {
    let (mine, its) = socket::pair().expect("pair");
    let child = forked(|| {
        let mut byte = 0_u8;
        // SAFETY: room for one byte, which never comes.
        let read = unsafe { libc::read(its.as_raw_fd(), (&raw mut byte).cast(), 1) };
        read == 1
    });
    assert!(!child.wait(Some(Deadline::now())).expect("wait"));
    assert_eq!(child.reap(false).expect("a child"), None);
    child.signal(0).expect("there");
    child.signal(libc::SIGTERM).expect("signal");
    assert!(child.wait(None).expect("wait"));
    assert_eq!(child.reap(false).expect("a child"), Some(Exit::Signal(libc::SIGTERM, false)));
    assert_eq!(child.reap(false).expect_err("reaped").raw_os_error(), Some(libc::ECHILD));
    assert_eq!(child.signal(0).expect_err("gone").raw_os_error(), Some(libc::ESRCH));
    drop(mine);
}

#[test]
fn a_process_that_is_no_child_cannot_be_reaped() {
    let me = PidFd::open(process::pid()).expect("open");
    assert_eq!(me.reap(false).expect_err("no child").raw_os_error(), Some(libc::ECHILD));
    assert!(PidFd::open(u32::MAX).is_err());
}

#[test]
fn a_process_can_end_itself_by_any_signal() {
    for signal in [libc::SIGKILL, libc::SIGPIPE] {
        let child = forked(|| process::kill_self(signal));
        assert_eq!(child.reap(true).expect("a child"), Some(Exit::Signal(signal, false)));
    }
    // One that does not end a process by default.
    let child = forked(|| process::kill_self(libc::SIGCHLD));
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Signal(libc::SIGKILL, false)));
}

#[test]
fn a_stopped_process_goes_on() {
    let child = forked(|| {
        process::stop_self();
        true
    });
    // Until it has stopped this does nothing; so often enough.
    while !child.wait(Some(Deadline::now())).expect("wait") {
        child.signal(libc::SIGCONT).expect("signal");
        thread::yield_now();
    }
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn a_child_started_later_is_younger() {
    let mine = process::start_time(process::pid()).expect("mine");
    let child = Spawn::new("/bin/sh").args(["-c", "exit 3"]).start().expect("start");
    assert!(process::start_time(child.pid).expect("its, even as a zombie") >= mine);
    assert_eq!(child.pidfd.reap(true).expect("a child"), Some(Exit::Code(3)));
    assert_eq!(process::start_time(u32::MAX).expect_err("nobody").kind(), ErrorKind::NotFound);
}

#[test]
fn threads_have_numbers_and_names() {
    let named = thread::spawn(|| {
        process::set_name("a name longer than the kernel keeps");
        (process::tid(), fs::read_to_string("/proc/thread-self/comm").expect("comm"))
    });
    let (tid, name) = named.join().expect("no panic");
    assert_ne!(tid, process::tid());
    assert_eq!(name, "a name longer t\n");
}

#[test]
fn a_pinned_thread_has_one_processor() {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.expect("a list").trim().split([',', '-']).next().expect("one");
    let first = first.parse().expect("a number");
    let pinned = thread::spawn(move || {
        process::pin(first).expect("pin");
        (process::affinity_count(), process::cpu_count())
    });
    assert_eq!(pinned.join().expect("no panic"), (1, 1));
    assert!(process::pin(usize::MAX).is_err());
    assert!(process::cpu_count() <= process::affinity_count());
}
