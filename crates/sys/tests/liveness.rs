//! Byte locks as signs of life: who holds them, and when they end.

mod child;

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use child::forked;
use crossproc_sys::inotify::CloseWatch;
use crossproc_sys::map::{Presence, WipedOnFork};
use crossproc_sys::memfd::{self, Pages};
use crossproc_sys::pidfd::Exit;
use crossproc_sys::{file, fork, futex, lock, map::Mapping};

/// Far beyond the end of the file.
const BYTE: u64 = 1 << 40 | 7;

fn memory() -> OwnedFd {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    file::set_len(&fd, 4096).expect("length");
    fd
}

/// Another description of the file, with the byte locked.
fn locked(fd: &OwnedFd) -> OwnedFd {
    let own = file::reopen(fd).expect("reopen");
    assert!(lock::try_lock_byte(&own, BYTE).expect("lock"));
    own
}

/// The byte locked by a mapping. No fork of another test may get the descriptor before.
fn present(fd: &OwnedFd) -> Presence {
    fork::without_fork(|| Presence::hold(locked(fd))).expect("hold")
}

/// A word that this process and its children share.
struct Gate(Mapping);

impl Gate {
    fn new() -> Self {
        Self(Mapping::shared(memory(), 4096).expect("map"))
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: a page that this struct keeps mapped, aligned, only touched by atomics.
        unsafe { self.0.as_ptr().cast::<AtomicU32>().as_ref() }
    }

    fn open(&self, step: u32) {
        self.word().store(step, Relaxed);
        futex::wake(self.word(), u32::MAX);
    }

    fn pass(&self, step: u32) {
        loop {
            match self.word().load(Relaxed) {
                seen if seen >= step => return,
                seen => drop(futex::wait(self.word(), seen, None)),
            }
        }
    }
}

#[test]
fn a_lock_is_one_byte_of_one_description() {
    let fd = memory();
    let own = locked(&fd);
    assert!(lock::is_locked(&fd, BYTE));
    assert!(!lock::is_locked(&fd, BYTE + 1) && !lock::is_locked(&fd, BYTE - 1));
    assert!(!lock::is_locked(&own, BYTE), "one's own lock does not stand in one's way");
    assert!(!lock::try_lock_byte(&fd, BYTE).expect("ask"));
    assert!(lock::try_lock_byte(&own, BYTE).expect("again"));
    lock::unlock_byte(&own, BYTE).expect("unlock");
    lock::unlock_byte(&own, BYTE).expect("nothing to unlock");
    assert!(lock::try_lock_byte(&fd, BYTE).expect("free"));
}

#[test]
fn a_question_that_fails_means_alive() {
    let fd = memory();
    assert!(lock::is_locked(&fd, u64::MAX));
    assert!(lock::try_lock_byte(&fd, u64::MAX).is_err());
    let (socket, _other) = crossproc_sys::socket::pair().expect("pair");
    assert!(lock::try_lock_byte(&socket, BYTE).is_ok() || lock::is_locked(&socket, BYTE));
}

#[test]
fn presence_needs_no_descriptor() {
    let fd = memory();
    let presence = present(&fd);
    assert!(lock::is_locked(&fd, BYTE));
    drop(presence);
    assert!(!lock::is_locked(&fd, BYTE));
}

#[test]
fn presence_in_an_empty_file() {
    let fd = memfd::create("sys-test", Pages::Normal).expect("memfd");
    let presence = present(&fd);
    assert!(lock::is_locked(&fd, BYTE));
    drop(presence);
    assert!(!lock::is_locked(&fd, BYTE));
}

#[test]
fn a_forked_child_does_not_keep_its_parents_presence() {
    let (fd, gate) = (memory(), Gate::new());
    let presence = present(&fd);
    let child = forked(|| {
        gate.pass(1);
        !lock::is_locked(&fd, BYTE)
    });
    assert!(lock::is_locked(&fd, BYTE));
    drop(presence);
    assert!(!lock::is_locked(&fd, BYTE), "though the child lives");
    gate.open(1);
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
}

#[test]
fn a_killed_process_is_heard_and_its_lock_is_free() {
    let (fd, gate) = (memory(), Gate::new());
    // No child of another test may get the descriptor, so nobody forks here but this.
    let (watch, child) = fork::without_fork(|| {
        let own = locked(&fd);
        let watch = CloseWatch::on(&fd).expect("watch");
        let child = forked(|| {
            // SAFETY: the child's own copy of the descriptor, used only here: it never returns.
            let own = unsafe { OwnedFd::from_raw_fd(own.as_raw_fd()) };
            let held = Presence::hold(own);
            gate.open(1);
            gate.pass(2);
            held.is_err()
        });
        (watch, child)
    });
    gate.pass(1);
    assert!(lock::is_locked(&fd, BYTE));
    assert!(!watch.drain(), "the description is still open in the child");
    child.signal(libc::SIGKILL).expect("kill");
    assert!(child.wait(None).expect("wait"));
    assert!(!lock::is_locked(&fd, BYTE), "a zombie is dead");
    assert!(watch.drain());
    assert!(!watch.drain(), "each is told once");
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Signal(libc::SIGKILL, false)));
}

#[test]
fn a_fork_wipes_the_page() {
    let page = WipedOnFork::new().expect("page");
    assert_eq!(page.words().len(), file::page_size() / 4);
    let (first, last) = (&page.words()[0], &page.words()[page.words().len() - 1]);
    first.store(7, Relaxed);
    last.store(9, Relaxed);
    let child = forked(|| {
        let is_wiped = first.load(Relaxed) == 0 && last.load(Relaxed) == 0;
        first.store(1, Relaxed);
        is_wiped && first.load(Relaxed) == 1
    });
    assert_eq!(child.reap(true).expect("a child"), Some(Exit::Code(0)));
    assert_eq!((first.load(Relaxed), last.load(Relaxed)), (7, 9));
}
