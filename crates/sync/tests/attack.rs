//! What must hold though a program does its worst.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::mem;
use std::os::fd::AsFd as _;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

use crossproc_segment::{Object, Shape};
use crossproc_sync::{Deadline, TryLockError};
use crossproc_sys::futex;
use crossproc_sys::map::Mapping;

use party::{LONG, World};

const SIGNAL: Shape = Shape::untyped("signal", 1);

fn signal(object: &Object) -> &AtomicU32 {
    // SAFETY: four zeroed bytes, aligned, only accessed atomically, mapped while `object` lives.
    unsafe { object.body().cast::<AtomicU32>().as_ref() }
}

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    assert_eq!(role, "leak and let go");
    world.ready();
    let object = world.segment.find("signal", &SIGNAL).unwrap();
    let offset = usize::try_from(object.offset_of(object.body())).unwrap();
    let (file, bytes) = (world.segment.as_fd().try_clone_to_owned().unwrap(), world.segment.size());
    mem::forget(world.door.lock().unwrap());
    drop((object, world));

    let own = Mapping::shared(file.as_fd(), bytes).unwrap();
    // SAFETY: the offset of four bytes within the mapping.
    let word = unsafe { own.as_ptr().add(offset) };
    // SAFETY: aligned, and only accessed atomically.
    let word = unsafe { word.cast::<AtomicU32>().as_ref() };
    word.store(1, SeqCst);
    futex::wake(word, u32::MAX);
    let end = Deadline::after(LONG);
    while !end.has_passed() {
        let _ = futex::wait(word, 1, Some(end));
    }
}

#[test]
fn a_leaked_guard_holds_though_all_handles_are_gone() {
    let world = World::new();
    let object = world.segment.construct(Some("signal"), &SIGNAL, 4, |_| {}).unwrap();
    let child = world.child("leak and let go");
    let end = Deadline::after(LONG);
    while signal(&object).load(SeqCst) == 0 {
        assert!(!end.has_passed(), "the child never came");
        let _ = futex::wait(signal(&object), 0, Some(end));
    }
    assert!(matches!(world.door.try_lock(), Err(TryLockError::WouldBlock)));
    child.kill();
    assert!(matches!(world.door.try_lock(), Err(TryLockError::OwnerDied(_))));
}
