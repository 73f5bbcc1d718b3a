//! The lock with many readers or one writer: forms, recursion, panics, room, and processes that die.
//!
//! Every wait of a test ends after a minute, so that a failure is a failed assertion and not a
//! test that hangs.
#![cfg(not(crossproc_loom))]

#[expect(dead_code, reason = "other tests have more roles")]
mod party;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_segment::{Error, Segment, Shape, transit};
use crossproc_sync::{
    Deadline, Lock, LockError, LockFailure, NotHeld, ReadGuard, Recover as _, RwLock, TryLockError,
    WriteGuard,
};

use party::{LONG, STOP, World};

const ROUNDS: u32 = 5_000;
const SHORT: Duration = Duration::from_millis(1);

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    let lock = RwLock::open(&world.segment, "table").unwrap();
    match role.as_str() {
        "read" => {
            let _guard = lock.read().unwrap();
            world.ready();
            world.sleep_on();
        }
        "write" => {
            let _guard = lock.write().unwrap();
            world.ready();
            world.sleep_on();
        }
        // Fills all places but one.
        "read in all places" => {
            let all: Vec<_> = (1..lock.readers()).map(|_| lock.clone()).collect();
            thread::scope(|scope| {
                for lock in &all {
                    scope.spawn(|| mem::forget(lock.read().unwrap()));
                }
            });
            world.ready();
            world.sleep_on();
        }
        // Waits behind its parent, and lives on.
        "wait to read" => {
            world.ready();
            let _guard = lock.read_timeout(LONG).or_recover(|_| {}).unwrap();
            world.sleep_on();
        }
        "wait to write" => {
            world.ready();
            let _guard = lock.write_timeout(LONG).or_recover(|_| {}).unwrap();
            world.sleep_on();
        }
        "leak a read" => {
            mem::forget(lock.read().unwrap());
            world.ready();
        }
        "count" => {
            world.ready();
            count(&world, &lock);
        }
        other => panic!("no such role: {other}"),
    }
}

/// A world and the lock `"table"` in it, with room for three readers.
fn new_world() -> (World, RwLock) {
    let world = World::new();
    let lock = RwLock::create_with_readers(&world.segment, "table", 3).expect("room for a lock");
    (world, lock)
}

/// Adds to a number in two steps, which only a writer may, and looks at it as a reader.
fn count(world: &World, lock: &RwLock) {
    let count = &world.flags().count;
    for _ in 0..ROUNDS {
        let writing = lock.write().expect("nobody dies");
        let before = count.load(Relaxed);
        count.store(before + 1, Relaxed);
        drop(writing);
        let _reading = lock.read().expect("nobody dies");
        assert_eq!(count.load(Relaxed), count.load(Relaxed));
    }
}

/// Reads with an end to the wait.
fn read(lock: &RwLock) -> Result<ReadGuard<'_>, TryLockError<ReadGuard<'_>>> {
    lock.read_timeout(LONG)
}

/// Writes with an end to the wait.
fn write(lock: &RwLock) -> Result<WriteGuard<'_>, TryLockError<WriteGuard<'_>>> {
    lock.write_timeout(LONG)
}

/// What another thread of this process finds.
fn elsewhere<R: Send>(look: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(look).join().expect("it only looks"))
}

fn reads_elsewhere(lock: &RwLock) -> bool {
    elsewhere(|| lock.try_read().is_ok())
}

fn writes_elsewhere(lock: &RwLock) -> bool {
    elsewhere(|| lock.try_write().is_ok())
}

/// Waits until the lock's state is shown so.
fn until_shown(lock: &RwLock, part: &str) {
    let end = Deadline::after(LONG);
    while !format!("{lock:?}").contains(part) {
        assert!(!end.has_passed(), "never {part}: {lock:?}");
        thread::yield_now();
    }
}

fn panics(f: impl FnOnce()) {
    assert!(panic::catch_unwind(AssertUnwindSafe(f)).is_err());
}

/// A panic that does not print.
fn quiet_panic() {
    panic::resume_unwind(Box::new("a panic of this test"));
}

#[test]
fn readers_share_and_a_writer_excludes() {
    let lock = RwLock::new().unwrap();
    let soon = Deadline::after(LONG);
    for guard in [
        lock.read().unwrap(),
        lock.try_read().unwrap(),
        lock.read_timeout(LONG).unwrap(),
        lock.read_deadline(soon).unwrap(),
    ] {
        assert!(reads_elsewhere(&lock) && !writes_elsewhere(&lock));
        assert_eq!(guard.unlock(), Ok(()));
    }
    drop((lock.write_timeout(LONG).unwrap(), ()));
    drop((lock.write_deadline(soon).unwrap(), ()));
    let guard = lock.try_write().unwrap();
    assert!(!reads_elsewhere(&lock) && !writes_elsewhere(&lock));
    assert_eq!(guard.unlock(), Ok(()));
    assert!(reads_elsewhere(&lock) && writes_elsewhere(&lock));
}

#[test]
fn waits_end_with_their_time_and_leave_nothing() {
    let lock = RwLock::new().unwrap();
    let reading = lock.read().unwrap();
    elsewhere(|| {
        assert!(matches!(lock.write_timeout(SHORT), Err(TryLockError::Timeout)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    });
    // The writer that gave up keeps nobody out.
    assert!(reads_elsewhere(&lock));
    drop(reading);
    let writing = lock.write().unwrap();
    elsewhere(|| {
        assert!(matches!(lock.read_timeout(SHORT), Err(TryLockError::Timeout)));
        assert!(matches!(lock.write_timeout(SHORT), Err(TryLockError::Timeout)));
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    });
    drop(writing);
    assert!(format!("{lock:?}").contains("reading: 0, asking: 0"), "{lock:?}");
    assert!(writes_elsewhere(&lock));
}

#[test]
fn a_thread_reads_again_while_a_writer_waits_for_it() {
    let lock = RwLock::new().unwrap();
    let outer = lock.read().unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock).is_ok());
        until_shown(&lock, "state: writer");
        // Nobody else comes in, and this thread does, in every form.
        assert!(!reads_elsewhere(&lock));
        let inner = [lock.read().unwrap(), lock.try_read().unwrap(), read(&lock).unwrap()];
        drop(outer);
        assert!(!writes_elsewhere(&lock));
        drop(inner);
        assert!(writer.join().unwrap());
    });
}

#[test]
fn a_thread_that_reads_and_wants_to_write_is_told_at_once() {
    let lock = RwLock::new().unwrap();
    let reading = lock.read().unwrap();
    assert!(matches!(lock.write(), Err(LockError::Deadlock)));
    assert!(matches!(lock.try_write(), Err(TryLockError::Deadlock)));
    assert!(matches!(lock.write_timeout(LONG), Err(TryLockError::Deadlock)));
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock).is_ok());
        until_shown(&lock, "state: writer");
        assert!(matches!(lock.write(), Err(LockError::Deadlock)));
        drop(reading);
        assert!(writer.join().unwrap());
    });
    assert!(lock.write().is_ok());
}

#[test]
fn a_writer_that_locks_again_is_told_at_once() {
    let lock = RwLock::new().unwrap();
    let _writing = lock.write().unwrap();
    assert!(matches!(lock.write(), Err(LockError::Deadlock)));
    assert!(matches!(lock.try_write(), Err(TryLockError::Deadlock)));
    assert!(matches!(lock.read(), Err(LockError::Deadlock)));
    assert!(matches!(lock.try_read(), Err(TryLockError::Deadlock)));
    assert!(matches!(lock.read_timeout(LONG), Err(TryLockError::Deadlock)));
}

#[test]
fn a_writers_panic_is_told_to_all_readers_until_the_next_writer() {
    let lock = RwLock::new().unwrap();
    panics(|| {
        let _writing = lock.write().unwrap();
        quiet_panic();
    });
    for _ in 0..2 {
        assert!(matches!(lock.read(), Err(LockError::Poisoned(_))));
        assert!(elsewhere(|| matches!(lock.try_read(), Err(TryLockError::Poisoned(_)))));
    }
    assert!(matches!(lock.write(), Err(LockError::Poisoned(_))));
    assert!(lock.read().is_ok());
    assert!(lock.write().is_ok());
}

#[test]
fn a_readers_panic_is_nobodys_business() {
    let lock = RwLock::new().unwrap();
    panics(|| {
        let _reading = lock.read().unwrap();
        quiet_panic();
    });
    assert!(lock.write().is_ok());
}

#[test]
fn a_panic_is_told_to_those_who_slept() {
    let lock = RwLock::new().unwrap();
    thread::scope(|scope| {
        let writing = lock.write().unwrap();
        let readers = [
            scope.spawn(|| matches!(read(&lock), Err(TryLockError::Poisoned(_)))),
            scope.spawn(|| matches!(read(&lock), Err(TryLockError::Poisoned(_)))),
        ];
        until_shown(&lock, "asking: 2");
        panics(move || {
            let _writing = writing;
            quiet_panic();
        });
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
    });
}

#[test]
fn news_survive_a_writer_that_gives_up() {
    let lock = RwLock::new().unwrap();
    panics(|| {
        let _writing = lock.write().unwrap();
        quiet_panic();
    });
    let reading = lock.read().unwrap_err().into_guard();
    elsewhere(|| assert!(matches!(lock.write_timeout(SHORT), Err(TryLockError::Timeout))));
    assert!(matches!(lock.write(), Err(LockError::Deadlock)));
    drop(reading);
    assert!(matches!(lock.write(), Err(LockError::Poisoned(_))));
}

#[test]
fn a_writer_goes_on_reading_without_another_in_between() {
    let lock = RwLock::with_readers(1).unwrap();
    let writing = lock.write().unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock).is_ok());
        until_shown(&lock, "with waiters");
        let reading = writing.downgrade().unwrap();
        assert!(matches!(lock.write(), Err(LockError::Deadlock)));
        assert!(lock.read().is_ok());
        drop(reading);
        assert!(writer.join().unwrap());
    });
}

#[test]
fn a_writer_goes_on_reading_though_readers_that_wait_have_all_places() {
    let lock = RwLock::with_readers(1).unwrap();
    let writing = lock.write().unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(&lock).is_ok());
        until_shown(&lock, "asking: 1");
        drop(writing.downgrade().unwrap());
        assert!(reader.join().unwrap());
    });
}

#[test]
fn a_writer_goes_on_reading_though_readers_queue_for_the_one_place() {
    let lock = RwLock::with_readers(1).unwrap();
    for _ in 0..20 {
        let writing = lock.write().unwrap();
        thread::scope(|scope| {
            let readers = [(); 4].map(|()| scope.spawn(|| read(&lock).is_ok()));
            // One has the place; the others wait for it, and so does the writer soon.
            until_shown(&lock, "asking: 1");
            drop(writing.downgrade().unwrap());
            for reader in readers {
                assert!(reader.join().unwrap());
            }
        });
    }
}

#[test]
fn a_reader_that_writes_is_refused_though_another_reads_before_it() {
    let lock = RwLock::with_readers(2).unwrap();
    let lock = &lock;
    thread::scope(|scope| {
        let (enough, until) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let _reading = lock.read().unwrap();
            // Ends when the other side is dropped.
            let _ = until.recv();
        });
        until_shown(lock, "reading: 1");
        let _mine = lock.read().unwrap();
        assert!(matches!(lock.write(), Err(LockError::Deadlock)));
        assert!(matches!(lock.write_timeout(SHORT), Err(TryLockError::Deadlock)));
        drop(enough);
    });
}

#[test]
fn one_reader_more_than_there_are_places_waits() {
    let lock = RwLock::with_readers(2).unwrap();
    let lock = &lock;
    let first = lock.read().unwrap();
    thread::scope(|scope| {
        let (enough, until) = std::sync::mpsc::channel::<()>();
        let second = scope.spawn(move || {
            let _reading = lock.read().unwrap();
            // Ends when the other side is dropped.
            let _ = until.recv();
        });
        until_shown(lock, "reading: 2");
        elsewhere(|| {
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
            assert!(matches!(lock.read_timeout(SHORT), Err(TryLockError::Timeout)));
        });
        let third = scope.spawn(|| read(lock).is_ok());
        drop(first);
        assert!(third.join().unwrap());
        drop(enough);
        second.join().unwrap();
    });
    assert!(lock.write().is_ok());
}

#[test]
fn threads_and_processes_exclude_each_other() {
    let (world, lock) = new_world();
    let children = [world.child("count"), world.child("count")];
    thread::scope(|scope| {
        scope.spawn(|| count(&world, &lock));
        count(&world, &lock);
    });
    assert!(children.into_iter().all(party::Child::ends_well));
    assert_eq!(world.flags().count.load(Relaxed), 4 * ROUNDS);
}

#[test]
fn a_killed_reader_stops_nobody() {
    let (world, lock) = new_world();
    world.child("read").kill();
    assert!(write(&lock).is_ok());
    world.child("read").kill();
    assert!(lock.try_write().is_ok());
    world.child("read").kill();
    assert!(lock.read().is_ok());
}

#[test]
fn a_writer_that_sleeps_for_a_reader_goes_on_when_that_is_killed() {
    let (world, lock) = new_world();
    let reader = world.child("read");
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(&lock).is_ok());
        until_shown(&lock, "state: writer");
        reader.kill();
        assert!(writer.join().unwrap());
    });
}

#[test]
fn places_of_dead_readers_are_used_again() {
    let (world, lock) = new_world();
    world.child("read in all places").kill();
    let one = lock.read().unwrap();
    assert!(reads_elsewhere(&lock));
    drop(one);
    world.child("read in all places").kill();
    let _one = lock.read().unwrap();
    assert!(elsewhere(|| read(&lock).is_ok()));
}

#[test]
fn a_killed_writer_is_told_to_all_readers_until_the_next_writer() {
    let (world, lock) = new_world();
    world.child("write").kill();
    assert!(matches!(read(&lock), Err(TryLockError::OwnerDied(_))));
    assert!(matches!(lock.try_read(), Err(TryLockError::OwnerDied(_))));
    assert!(elsewhere(|| matches!(read(&lock), Err(TryLockError::OwnerDied(_)))));
    assert!(matches!(write(&lock), Err(TryLockError::OwnerDied(_))));
    assert!(lock.read().is_ok());
    assert!(lock.write().is_ok());
}

#[test]
fn the_forms_that_do_not_wait_see_a_writers_death_at_once() {
    let (world, lock) = new_world();
    let writer = world.child("write");
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    writer.kill();
    assert!(matches!(lock.try_write(), Err(TryLockError::OwnerDied(_))));
    world.child("write").kill();
    assert!(matches!(lock.try_read(), Err(TryLockError::OwnerDied(_))));
}

#[test]
fn all_who_sleep_go_on_when_the_writer_is_killed_and_one_writer_is_told() {
    let (world, lock) = new_world();
    let writer = world.child("write");
    let told: usize = thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(|| read(&lock).or_recover(|_| {}).is_ok()));
        let writers = [(); 2]
            .map(|()| scope.spawn(|| matches!(write(&lock), Err(TryLockError::OwnerDied(_)))));
        until_shown(&lock, "asking: 2");
        until_shown(&lock, "with waiters");
        writer.kill();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
        writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum()
    });
    assert_eq!(told, 1);
    assert!(lock.read().is_ok());
}

#[test]
fn those_who_are_killed_as_they_wait_keep_nobody_waiting() {
    let (world, lock) = new_world();
    let writing = lock.write().unwrap();
    let (reader, writer) = (world.child("wait to read"), world.child("wait to write"));
    until_shown(&lock, "asking: 1");
    until_shown(&lock, "with waiters");
    reader.kill();
    writer.kill();
    drop(writing);
    assert!(elsewhere(|| write(&lock).is_ok()));
    assert!(elsewhere(|| read(&lock).is_ok()));
}

#[test]
fn a_reader_that_waits_comes_in_as_the_writer_leaves_and_may_be_killed_then() {
    let (world, lock) = new_world();
    let writing = lock.write().unwrap();
    let reader = world.child("wait to read");
    until_shown(&lock, "asking: 1");
    drop(writing);
    until_shown(&lock, "reading: 1");
    assert!(!writes_elsewhere(&lock));
    reader.kill();
    assert!(write(&lock).is_ok());
}

#[test]
fn those_who_are_stopped_keep_the_lock() {
    let (world, lock) = new_world();
    let reader = world.child("read");
    reader.signal(STOP);
    let late = lock.write_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryLockError::Timeout)), "{late:?}");
    drop(reader);
    let writer = world.child("write");
    writer.signal(STOP);
    let late = lock.read_timeout(Duration::from_millis(30));
    assert!(matches!(late, Err(TryLockError::Timeout)), "{late:?}");
}

#[test]
fn a_leaked_read_keeps_writers_out_until_its_process_ends() {
    let (world, lock) = new_world();
    assert!(world.child("leak a read").ends_well());
    assert!(write(&lock).is_ok());
    mem::forget(lock.read().unwrap());
    assert!(!writes_elsewhere(&lock));
    // This thread reads still.
    assert!(lock.read().is_ok());
}

#[test]
fn a_forked_child_neither_has_nor_releases_what_its_parent_has() {
    let (_world, lock) = new_world();
    let reading = lock.read().unwrap();
    // SAFETY: the child asks and exits; whatever it allocates, glibc lets it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let before = matches!(lock.try_write(), Err(TryLockError::WouldBlock));
        let refused = reading.unlock().is_err();
        let after = matches!(lock.try_write(), Err(TryLockError::WouldBlock));
        let own = lock.try_read().is_ok();
        crossproc_sys::process::exit_now(i32::from(!(before && refused && after && own)));
    }
    let mut status = 0;
    // SAFETY: `status` lives as long as the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(reading.unlock(), Ok(()));
    assert!(lock.try_write().is_ok());
}

/// The words of the lock called `name`: the writer's, then 16 for each line.
fn words_of(segment: &Segment, name: &str) -> &'static [AtomicU32] {
    let object = segment.find(name, &Shape::untyped("rwlock", 1)).expect("a lock");
    let (body, words) = (object.body().cast::<AtomicU32>(), object.body_bytes() / 4);
    // The test's segment stays mapped.
    mem::forget(object);
    // SAFETY: so many aligned words, mapped for good, and only accessed atomically.
    unsafe { core::slice::from_raw_parts(body.as_ptr(), words) }
}

#[test]
fn a_writers_word_that_was_written_over_is_reported_by_all() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let lock = RwLock::create(&segment, "table").unwrap();
    let word = &words_of(&segment, "table")[0];
    // Died and poisoned; a bit that has no meaning beside an id; waiters without an owner.
    for bad in [3 << 29, 1 << 29 | 5, 1 << 31, 1 << 28] {
        word.store(bad, Relaxed);
        assert!(matches!(lock.read(), Err(LockError::Corrupt)), "{bad:#x}");
        assert!(matches!(lock.write(), Err(LockError::Corrupt)), "{bad:#x}");
        assert!(matches!(lock.try_write(), Err(TryLockError::Corrupt)), "{bad:#x}");
        assert!(matches!(lock.read_timeout(LONG), Err(TryLockError::Corrupt)), "{bad:#x}");
        assert!(format!("{lock:?}").contains("corrupt"), "{lock:?}");
        assert!(format!("{lock:?}").contains("reading: 0, asking: 0"), "{lock:?}");
    }
    word.store(0, Relaxed);
    assert!(lock.write().is_ok());
}

#[test]
fn places_that_were_written_over_are_reported_by_those_who_need_them() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    let lock = RwLock::create_with_readers(&segment, "table", 2).unwrap();
    let words = words_of(&segment, "table");
    let reading = lock.read().unwrap();
    for bad in [1 << 28 | 9, 1 << 29 | 9, 1 << 30] {
        words[16].store(bad, Relaxed);
        words[32].store(bad, Relaxed);
        assert!(elsewhere(|| matches!(lock.write(), Err(LockError::Corrupt))), "{bad:#x}");
        let read = elsewhere(|| matches!(lock.read(), Err(LockError::Corrupt)));
        assert!(read || bad == 1 << 30, "{bad:#x}");
    }
    assert_eq!(reading.unlock(), Err(NotHeld));
}

#[test]
fn names_are_checked_for_kind() {
    let segment = Segment::anonymous(1 << 16).unwrap();
    Lock::create(&segment, "other").unwrap();
    RwLock::create(&segment, "table").unwrap();
    assert!(matches!(RwLock::create(&segment, "table"), Err(Error::Exists { .. })));
    assert!(matches!(RwLock::open(&segment, "chair"), Err(Error::NotFound { .. })));
    assert!(matches!(RwLock::open(&segment, "other"), Err(Error::Kind { .. })));
    let short = Shape::untyped("rwlock", 1);
    segment.construct(Some("short"), &short, 64, |_| {}).unwrap();
    let found = RwLock::open(&segment, "short");
    assert!(matches!(found, Err(Error::Corrupt { .. })) || found.is_ok_and(|l| l.readers() > 0));
    assert!(RwLock::with_readers_in(&segment, usize::MAX).is_err());
}

#[test]
fn a_ticket_leads_to_the_same_lock() {
    let lock = RwLock::new().unwrap();
    let (ticket, sent) = transit::sending(|| serde_json::to_string(&lock).unwrap());
    let same: RwLock = transit::receiving(sent.segments, || serde_json::from_str(&ticket).unwrap());
    let _writing = lock.write().unwrap();
    assert!(matches!(same.read(), Err(LockError::Deadlock)));
    assert!(serde_json::to_string(&lock).is_err());
}

#[test]
fn an_error_that_is_passed_on_releases_the_lock() {
    fn changed(lock: &RwLock) -> Result<(), Box<dyn std::error::Error>> {
        let _writing = lock.write().map_err(LockFailure::from)?;
        Ok(())
    }
    let lock = RwLock::new().unwrap();
    panics(|| {
        let _writing = lock.write().unwrap();
        quiet_panic();
    });
    assert!(changed(&lock).unwrap_err().to_string().contains("panicked"));
    assert!(changed(&lock).is_ok());
}

#[test]
fn debug_tells_the_state() {
    let lock = RwLock::create(&Segment::anonymous(1 << 16).unwrap(), "table").unwrap();
    let shown =
        r#"RwLock { name: Some("table"), state: no writer, reading: 0, asking: 0, places: 16 }"#;
    assert_eq!(format!("{lock:?}"), shown);
    let _writing = lock.write().unwrap();
    let held = format!("{lock:?}");
    assert!(held.contains(&format!("writer {:?}", lock.segment().me())), "{held}");
}
