//! The parties of the tests of waiting: this process, and children that run a role.

use std::env;
use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use crossproc_segment::wait::EventCount;
use crossproc_segment::{Object, Segment, Shape};
use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;
use crossproc_sys::pidfd::Exit;
use crossproc_sys::process::{Spawn, Spawned};

pub(crate) const STOP: i32 = 19;
pub(crate) const CONTINUE: i32 = 18;
const KILL: i32 = 9;

/// Names the role of a child.
const ROLE: &str = "CROSSPROC_WAIT_ROLE";
/// The descriptor under which a child finds the segment.
const SEGMENT_FD: i32 = 3;
const SHAPE: Shape = Shape::untyped("wait-test", 1);

/// The words that the parties share. All zeroes at first.
#[repr(C)]
pub(crate) struct Place {
    pub(crate) goes: EventCount,
    /// The id of the owner, where there is one.
    pub(crate) owned: AtomicU32,
    pub(crate) flag: AtomicU32,
    pub(crate) done: AtomicU32,
    /// Nobody ever writes here.
    pub(crate) nothing: AtomicU32,
}

impl Place {
    pub(crate) fn raise(&self, word: &AtomicU32) {
        word.store(1, SeqCst);
        self.wake(word);
    }

    #[expect(clippy::unused_self, reason = "reads as what it is about")]
    pub(crate) fn wake(&self, word: &AtomicU32) {
        futex::wake(word, u32::MAX);
    }

    #[expect(clippy::unused_self, reason = "reads as what it is about")]
    pub(crate) fn wait_for(&self, word: &AtomicU32, value: u32) {
        let end = Deadline::after(Duration::from_secs(60));
        loop {
            let seen = word.load(SeqCst);
            if seen == value {
                return;
            }
            assert!(!end.has_passed(), "the other party never came");
            let _ = futex::wait(word, seen, Some(end));
        }
    }
}

/// A segment with a [`Place`].
pub(crate) struct World {
    pub(crate) segment: Segment,
    pub(crate) place: Shared,
}

/// The place, in the object that holds it.
pub(crate) struct Shared(Object);

impl Deref for Shared {
    type Target = Place;

    fn deref(&self) -> &Place {
        // SAFETY: the body is as large as a place, zeroed, aligned, and only accessed atomically.
        unsafe { self.0.body().cast::<Place>().as_ref() }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let segment = Segment::anonymous(1 << 16).expect("a segment");
        let place = segment
            .construct(Some("place"), &SHAPE, size_of::<Place>(), |_| {})
            .expect("room for a place");
        Self { segment, place: Shared(place) }
    }
}

/// The world and the role of this process, if it is a child.
pub(crate) fn role() -> Option<(World, String)> {
    let role = env::var(ROLE).ok()?;
    // SAFETY: the parent put the segment's descriptor under this number, for nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(SEGMENT_FD) };
    let segment = Segment::from_fd(fd).expect("the parent's segment");
    let place = segment.find("place", &SHAPE).expect("the parent's place");
    Some((World { segment, place: Shared(place) }, role))
}

/// A child that is killed when this is dropped.
pub(crate) struct Child(Spawned);

impl Child {
    pub(crate) fn start(world: &World, role: &str) -> Self {
        let null = File::options().write(true).open("/dev/null").expect("/dev/null");
        let child = Spawn::this_program()
            .args(["child", "--exact", "--test-threads=1"])
            .env(ROLE, role)
            .fd(null.as_fd(), 1)
            .fd(world.segment.as_fd(), SEGMENT_FD)
            .start()
            .expect("this program runs again");
        Self(child)
    }

    pub(crate) fn signal(&self, signal: i32) {
        self.0.pidfd.signal(signal).expect("the child is there");
    }

    pub(crate) fn ends_well(&mut self) -> bool {
        self.0.pidfd.reap(true).expect("the child is ours") == Some(Exit::Code(0))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail for a child that was reaped.
        let _ = self.0.pidfd.signal(KILL);
        let _ = self.0.pidfd.reap(true);
    }
}
