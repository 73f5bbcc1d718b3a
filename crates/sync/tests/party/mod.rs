//! The parties of a test: this process, and children that run a role on the same segment.

use std::env;
use std::fs::File;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{Deadline, Lock};
use crossproc_sys::futex;
use crossproc_sys::pidfd::Exit;
use crossproc_sys::process::{Spawn, Spawned};

pub(crate) const KILL: i32 = 9;
pub(crate) const STOP: i32 = 19;

/// Names the role of a child.
const ROLE: &str = "CROSSPROC_SYNC_ROLE";
/// The descriptor under which a child finds the segment.
const SEGMENT_FD: i32 = 3;
const FLAGS: Shape = Shape::untyped("flags", 1);

/// Ends a wait of a test that failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A segment with the lock `"door"` and some words.
pub(crate) struct World {
    pub(crate) segment: Segment,
    pub(crate) door: Lock,
    flags: Object,
}

/// Words that the parties share: zero at first.
#[repr(C)]
pub(crate) struct Flags {
    pub(crate) ready: AtomicU32,
    pub(crate) count: AtomicU32,
    never: AtomicU32,
}

impl World {
    pub(crate) fn new() -> Self {
        let segment = Segment::anonymous(1 << 16).expect("a segment");
        let flags = segment.construct(Some("flags"), &FLAGS, size_of::<Flags>(), |_| {});
        let flags = flags.expect("room for the flags");
        let door = Lock::create(&segment, "door").expect("room for a lock");
        Self { segment, door, flags }
    }

    /// The world and the role of this process, if it is a child.
    pub(crate) fn of_child() -> Option<(Self, String)> {
        let role = env::var(ROLE).ok()?;
        // SAFETY: the parent put the segment's descriptor under this number, for nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(SEGMENT_FD) };
        let segment = Segment::from_fd(fd).expect("the parent's segment");
        let flags = segment.find("flags", &FLAGS).expect("the parent's flags");
        let door = Lock::open(&segment, "door").expect("the parent's lock");
        Some((Self { segment, door, flags }, role))
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
        let end = Deadline::after(LONG);
        while self.flags().ready.swap(0, SeqCst) == 0 {
            assert!(!end.has_passed(), "the child never came");
            let _ = futex::wait(&self.flags().ready, 0, Some(end));
        }
        child
    }

    /// Says that this child has come to where its parent wants it.
    pub(crate) fn ready(&self) {
        self.flags().ready.store(1, SeqCst);
        futex::wake(&self.flags().ready, u32::MAX);
    }

    /// Sleeps until killed.
    pub(crate) fn sleep_on(&self) {
        let end = Deadline::after(LONG);
        while !end.has_passed() {
            let _ = futex::wait(&self.flags().never, 0, Some(end));
        }
    }

    pub(crate) fn flags(&self) -> &Flags {
        // SAFETY: the body is as large as the flags, zeroed, aligned, and only accessed atomically.
        unsafe { self.flags.body().cast::<Flags>().as_ref() }
    }
}

/// A child that is killed and reaped when this is dropped.
pub(crate) struct Child(pub(crate) Spawned);

impl Child {
    pub(crate) fn signal(&self, signal: i32) {
        self.0.pidfd.signal(signal).expect("the child is there");
    }

    /// Waits for its end, and tells whether its role was played well.
    pub(crate) fn ends_well(self) -> bool {
        self.0.pidfd.reap(true).expect("the child is ours") == Some(Exit::Code(0))
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
