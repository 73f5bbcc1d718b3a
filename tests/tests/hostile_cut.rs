//! Segments whose file is cut while it is in use: what is refused, what a process dies of, and that
//! nobody else does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use crossproc::crates::segment::Error;
use crossproc::{Lock, LockError, Segment, Value, spawn};
use tests::forked::fork;
use tests::traces::own_name;

crossproc::test_init!();

/// Runs in a process of its own, which may fork.
fn alone(f: fn()) {
    spawn((), f).unwrap().join().unwrap();
}

/// A named segment; its name is gone at the end.
struct Cut {
    name: String,
    segment: Segment,
}

impl Cut {
    fn new() -> Self {
        let name = own_name("cut");
        let segment = Segment::create(&name, 1 << 16).unwrap();
        Self { name, segment }
    }

    fn file(&self) -> File {
        let path = PathBuf::from(format!("/dev/shm/crossproc.{}", self.name));
        OpenOptions::new().write(true).open(path).unwrap()
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.name);
    }
}

#[test]
fn an_anonymous_segment_cannot_be_cut() {
    alone(|| {
        let segment = Segment::anonymous(1 << 16).unwrap();
        let path = format!("/proc/self/fd/{}", segment.as_fd().as_raw_fd());
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let error = file.set_len(4096).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
    });
}

#[test]
fn who_touches_what_was_cut_off_dies_as_by_any_signal_and_nobody_else_does() {
    alone(|| {
        let cut = Cut::new();
        let value = Value::create(&cut.segment, "value", [7u64; 100]).unwrap();
        let whole = Segment::anonymous(1 << 16).unwrap();
        let lock = Lock::new_in(&whole).unwrap();
        let file = cut.file();
        let child = fork(|| {
            let _guard = lock.lock().unwrap();
            file.set_len(4096).unwrap();
            // The blocks lie at the end.
            i32::try_from(value.get()[0]).unwrap()
        });
        assert_eq!(child.wait(), -libc::SIGBUS);
        // What it held elsewhere is told to the next one, as after any death.
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
        assert!(matches!(Segment::open(&cut.name), Err(Error::Size { found: 4096, .. })));
        // This process has it mapped, and is well as long as it does not touch it: its handles
        // would, in giving back what they hold.
        Segment::unlink(&cut.name).unwrap();
        std::mem::forget((value, cut));
    });
}

#[test]
fn what_was_cut_off_and_comes_back_as_zeroes_gives_errors() {
    alone(|| {
        let cut = Cut::new();
        let size = cut.segment.size() as u64;
        let lock = Lock::create(&cut.segment, "lock").unwrap();
        let value = Value::create(&cut.segment, "value", [7u64; 100]).unwrap();
        let file = cut.file();
        file.set_len(4096).unwrap();
        file.set_len(size).unwrap();
        assert_eq!(value.get(), [0; 100]);
        drop(lock.try_lock());
        assert!(matches!(Lock::open(&cut.segment, "lock"), Err(Error::NotFound { .. })));
        assert!(Value::create(&cut.segment, "value", 1u64).is_ok());
        // The header too: whoever comes new is refused, those who are there go on.
        file.set_len(0).unwrap();
        file.set_len(size).unwrap();
        assert!(Value::create(&cut.segment, "again", 1u64).is_ok());
        let seen = fork(|| {
            let path = format!("/dev/shm/crossproc.{}", cut.name);
            let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
            match Segment::from_fd(file.into()) {
                Err(Error::Magic { found: 0, .. }) => 0,
                _ => 1,
            }
        });
        assert_eq!(seen.wait(), 0);
    });
}
