//! Holders that are dying and not gone: they hold until the kernel has let them go.

use std::fs;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossproc::{JoinError, Lock, Queue, spawn};
use tests::outside::until_asleep;

use crate::things::Thing;

/// A process that stops in the middle of its end, before the kernel takes anything from it.
struct Stopped {
    pid: libc::pid_t,
}

impl Stopped {
    /// Has the kernel stop `pid`, a child of this process, when it dies. The calling thread is the one
    /// that lets it go.
    fn when_it_dies(pid: u32) -> io::Result<Self> {
        let pid = libc::pid_t::try_from(pid).unwrap();
        // SAFETY: numbers only.
        let failed = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, libc::PTRACE_O_TRACEEXIT) };
        if failed == 0 { Ok(Self { pid }) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until it is dying.
    fn until_it_dies(&self) {
        // SAFETY: numbers only, of which all zeroes are some.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        let who = self.pid.unsigned_abs();
        // SAFETY: there is room for the answer.
        let failed = unsafe { libc::waitid(libc::P_PID, who, &raw mut info, libc::WSTOPPED) };
        assert_eq!(failed, 0, "{}", io::Error::last_os_error());
        // SAFETY: it is the answer of `waitid`.
        let status = unsafe { info.si_status() };
        assert_eq!(status, libc::SIGTRAP | libc::PTRACE_EVENT_EXIT << 8);
    }
}

impl Drop for Stopped {
    /// Lets it go on, to its end.
    fn drop(&mut self) {
        // SAFETY: numbers only.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.pid, 0, 0) };
    }
}

#[test]
fn who_is_dying_holds_until_the_kernel_has_let_it_go() {
    for thing in Thing::all() {
        let holder = thing.holder();
        let dying = match Stopped::when_it_dies(holder.pid()) {
            Ok(dying) => dying,
            Err(error) => {
                let why = format!("a child cannot be traced here: {error}");
                return tests::stage::skipped(tests::test_name!(), &why);
            }
        };
        let heirs = [thing.heir(), thing.heir()];
        heirs.iter().for_each(|heir| until_asleep(heir.pid()));
        holder.kill().unwrap();
        dying.until_it_dies();
        assert!(thing.is_held(), "{thing:?}");
        // Longer than the death of a holder goes unnoticed.
        thread::sleep(Duration::from_millis(300));
        assert!(thing.is_held() && heirs.iter().all(|heir| heir.is_alive()), "{thing:?}");
        drop(dying);
        assert!(matches!(holder.join(), Err(JoinError::Signalled { signal: 9, .. })));
        let told = heirs.map(|heir| u32::from(heir.join().unwrap())).iter().sum::<u32>();
        assert_eq!(told, u32::from(thing.tells()), "{thing:?}");
        assert_eq!(thing.changes(), 0, "{thing:?}");
    }
}

/// What makes the dump of its memory take a while.
const BALLAST: usize = 256 << 20;

/// Dies of an abort inside, in a directory to which its memory is written.
fn dump(lock: Lock, directory: PathBuf, inside: Queue<()>) {
    std::env::set_current_dir(directory).unwrap();
    let most = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // Fails where the limit is lower and may not be raised; then there may be no dump.
    // SAFETY: it only reads the limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const most) };
    let ballast = vec![0x5au8; BALLAST];
    let _guard = lock.lock().unwrap();
    inside.put(()).unwrap();
    std::hint::black_box(&ballast);
    std::process::abort()
}

fn is_dumping(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("CoreDumping:") && line.ends_with('1'))
}

#[test]
fn while_the_memory_of_the_dead_is_written_to_a_file_nobody_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let (lock, inside) = (Lock::new().unwrap(), Queue::<()>::bounded(1).unwrap());
    let arguments = (lock.clone(), directory.path().to_owned(), inside.clone());
    let holder = spawn(arguments, dump).unwrap();
    inside.get().unwrap();
    let thing = Thing::Lock(lock);
    let heir = thing.heir();
    let mut looks = 0;
    while holder.is_alive() {
        let (before, held, after) =
            (is_dumping(holder.pid()), thing.is_held(), is_dumping(holder.pid()));
        if before && after {
            looks += 1;
            assert!(held && heir.is_alive());
        }
    }
    assert!(matches!(holder.join(), Err(JoinError::Signalled { signal: 6, .. })));
    // Of the two that look, the one that came first was told.
    heir.join().unwrap();
    if looks == 0 {
        tests::stage::skipped(tests::test_name!(), "no process was seen writing its memory");
    }
}
