//! Writers in other processes, some of which die or stop in the middle of an update.
#![cfg(not(crossproc_loom))]

mod party;

use std::mem;
use std::time::Duration;

use crossproc_value::LockFailure;

use party::{LONG, Row, STOP, World, until};

/// What a child does; this test does nothing when it is not one.
#[test]
fn child() {
    let Some((world, role)) = World::of_child() else { return };
    match role.as_str() {
        // Is in the middle of an update until it is killed.
        "hold" => {
            let mut guard = world.row.lock().unwrap();
            guard[0] = 7;
            world.ready();
            world.sleep_on();
        }
        // Never gives the lock back, and ends.
        "leak" => {
            mem::forget(world.row.lock().unwrap());
            world.ready();
        }
        // Writes and writes.
        "write" => {
            world.ready();
            loop {
                world.row.update(|row| *row = row.map(|n| n + 1)).unwrap();
                world.hits.fetch_add(1);
            }
        }
        other => panic!("no such role: {other}"),
    }
}

/// The number that every element is.
fn whole(row: Row) -> u64 {
    assert!(row.iter().all(|n| *n == row[0]), "torn: {row:?}");
    row[0]
}

#[test]
fn a_writer_killed_in_an_update_has_changed_nothing_and_keeps_nobody_waiting() {
    let world = World::new();
    let writer = world.child("hold");
    assert_eq!(whole(world.row.get()), 0);
    writer.kill();
    assert_eq!(whole(world.row.get()), 0);
    let guard = world.row.lock_timeout(LONG);
    assert_eq!(whole(*guard.unwrap()), 0);
    world.row.set([3; 20]).unwrap();
    assert_eq!(whole(world.row.get()), 3);
}

#[test]
fn a_stopped_writer_stops_writers_and_no_reader() {
    let world = World::new();
    let writer = world.child("hold");
    writer.signal(STOP);
    assert_eq!(whole(world.row.get()), 0);
    let late = world.row.lock_timeout(Duration::from_millis(20));
    assert_eq!(late.unwrap_err(), LockFailure::Timeout);
    writer.kill();
    assert!(world.row.lock_timeout(LONG).is_ok());
}

#[test]
fn a_leaked_guard_holds_until_its_process_ends() {
    let world = World::new();
    let _ended = world.child("leak");
    assert!(world.row.lock_timeout(LONG).is_ok());
}

#[test]
fn killed_writers_leave_whole_values_and_lose_at_most_the_count_of_their_last() {
    let world = World::new();
    let mut killed = 0;
    for _ in 0..10 {
        let writers = [world.child("write"), world.child("write")];
        let (hits, row) = (world.hits.get(), whole(world.row.get()));
        until(|| whole(world.row.get()) > row + 100 && world.hits.get() > hits + 100);
        killed += writers.len() as u64;
        writers.into_iter().for_each(party::Child::kill);
        let (hits, row) = (world.hits.get(), whole(world.row.get()));
        // Each may have been killed between its update and its count.
        assert!((hits..=hits + killed).contains(&row), "{hits} hits, {row} updates");
    }
}

#[test]
fn a_process_forked_in_an_update_neither_commits_nor_unlocks() {
    let world = World::new();
    let mut child = 0;
    let updated = world.row.update(|row| {
        // SAFETY: the child comes out of `update`, asks and exits; glibc lets it allocate.
        child = unsafe { libc::fork() };
        *row = if child == 0 { [1; 20] } else { [2; 20] };
        if child != 0 {
            let mut status = 0;
            // SAFETY: `status` lives as long as the call.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child saw another value, or got the lock");
        }
    });
    if child == 0 {
        let still_held = world.row.lock_timeout(Duration::ZERO).is_err();
        let well = updated.is_ok() && still_held && whole(world.row.get()) == 0;
        crossproc_sys::process::exit_now(i32::from(!well));
    }
    assert_eq!(whole(world.row.get()), 2);
}
