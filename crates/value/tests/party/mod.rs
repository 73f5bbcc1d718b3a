//! The parties of a test: this process, and children that run a role on the same segment.

use std::env;
use std::fs::File;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;

use crossproc_segment::Segment;
use crossproc_sys::futex;
use crossproc_sys::process::{Spawn, Spawned};
use crossproc_value::{Deadline, Value};

pub(crate) const KILL: i32 = 9;
pub(crate) const STOP: i32 = 19;

/// Names the role of a child.
const ROLE: &str = "CROSSPROC_VALUE_ROLE";
/// The descriptor under which a child finds the segment.
const SEGMENT_FD: i32 = 3;

/// Ends a wait of a test that failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What the parties share: every element is the same number.
pub(crate) type Row = [u64; 20];

/// A segment with a row and some numbers.
pub(crate) struct World {
    pub(crate) segment: Segment,
    pub(crate) row: Value<Row>,
    pub(crate) hits: Value<u64>,
    ready: Value<bool>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Segment::anonymous(1 << 16).expect("a segment"))
    }

    fn of(segment: Segment) -> Self {
        let row = Value::open_or_create(&segment, "row", [0; 20]).expect("a row");
        let hits = Value::open_or_create(&segment, "hits", 0).expect("a number");
        let ready = Value::open_or_create(&segment, "ready", false).expect("a flag");
        Self { segment, row, hits, ready }
    }

    /// The world and the role of this process, if it is a child.
    pub(crate) fn of_child() -> Option<(Self, String)> {
        let role = env::var(ROLE).ok()?;
        // SAFETY: the parent put the segment's descriptor under this number, for nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(SEGMENT_FD) };
        Some((Self::of(Segment::from_fd(fd).expect("the parent's segment")), role))
    }

    /// Starts a child in the role `role`, and waits until it says that it is ready.
    pub(crate) fn child(&self, role: &str) -> Child {
        let null = File::options().write(true).open("/dev/null").expect("/dev/null");
        let child = Spawn::this_program()
            .args(["child", "--exact", "--test-threads=1"])
            .env(ROLE, role)
            .fd(null.as_fd(), 1)
            .fd(self.segment.as_fd(), SEGMENT_FD)
            .start()
            .expect("this program runs again");
        let child = Child(child);
        until(|| self.ready.swap(false));
        child
    }

    /// Says that this child has come to where its parent wants it.
    pub(crate) fn ready(&self) {
        self.ready.swap(true);
    }

    /// Waits to be killed.
    pub(crate) fn sleep_on(&self) {
        let nobody_writes = AtomicU32::new(0);
        let _ = futex::wait(&nobody_writes, 0, Some(Deadline::after(LONG)));
    }
}

/// Waits for what another process does.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let end = Deadline::after(LONG);
    while !condition() {
        assert!(!end.has_passed(), "it never came true");
        thread::yield_now();
    }
}

/// A child that is killed and reaped when this is dropped.
pub(crate) struct Child(Spawned);

impl Child {
    pub(crate) fn signal(&self, signal: i32) {
        self.0.pidfd.signal(signal).expect("the child is there");
    }

    /// Kills it and waits until the kernel has let it go.
    pub(crate) fn kill(self) {
        self.signal(KILL);
        self.0.pidfd.reap(true).expect("the child is ours");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail for a child that was reaped.
        let _ = self.0.pidfd.signal(KILL);
        let _ = self.0.pidfd.reap(true);
    }
}
