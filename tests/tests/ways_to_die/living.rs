//! Holders that seem to be gone and live, and holders that seem to live and are gone.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crossproc::{JoinHandle, Lock, Queue, TryLockError, spawn};
use crossproc_sys::process::exit_now;
use tests::forked::{How, copy};
use tests::outside::{state, until, until_asleep};

use crate::things::Thing;

#[test]
fn a_holder_that_becomes_another_program_has_let_go() {
    for thing in Thing::all() {
        let inside = Queue::<()>::bounded(1).unwrap();
        let become_another = |thing: Thing, inside: Queue<()>| -> () {
            let exec = move || {
                inside.put(()).unwrap();
                panic!("{}", Command::new("sleep").arg("600").exec());
            };
            thing.inside(exec).unwrap();
        };
        let process = spawn((thing.clone(), inside.clone()), become_another).unwrap();
        inside.get().unwrap();
        assert_eq!(thing.inherit(), thing.tells(), "{thing:?}");
        assert_eq!(thing.changes(), 0, "{thing:?}");
        assert!(process.is_alive());
        end(process);
    }
}

fn end(process: JoinHandle<()>) {
    process.kill().unwrap();
    assert!(process.join().is_err());
}

#[test]
fn what_a_thread_held_that_has_ended_is_held_until_its_process_ends() {
    for thing in Thing::all() {
        let (inside, go) = (Queue::bounded(1).unwrap(), Queue::<()>::bounded(1).unwrap());
        let arguments = (thing.clone(), inside.clone(), go.clone());
        let process = spawn(arguments, |thing: Thing, inside: Queue<bool>, go: Queue<()>| {
            let held = thread::spawn(move || thing.leak().is_some()).join().unwrap();
            inside.put(held).unwrap();
            go.get().unwrap();
        })
        .unwrap();
        let held = inside.get().unwrap();
        assert_eq!(thing.is_held(), held, "{thing:?}");
        let heir = thing.heir();
        if held {
            until_asleep(heir.pid());
            // Longer than the death of a holder goes unnoticed.
            thread::sleep(Duration::from_millis(200));
            assert!(heir.is_alive(), "{thing:?}");
        }
        go.put(()).unwrap();
        process.join().unwrap();
        assert_eq!(heir.join().unwrap(), held && thing.tells(), "{thing:?}");
    }
}

/// Ends the first thread while another one holds.
fn end_the_first_thread(thing: Thing, inside: Queue<()>) {
    thread::spawn(|| thing.hold(inside));
    // SAFETY: the thread is gone, and with it whatever it had on its stack; nobody borrows from it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

#[test]
fn a_process_whose_first_thread_has_ended_lives() {
    for thing in Thing::all() {
        let inside = Queue::<()>::bounded(1).unwrap();
        let process = spawn((thing.clone(), inside.clone()), end_the_first_thread).unwrap();
        inside.get().unwrap();
        until("it looks like a zombie", || state(process.pid()) == Some('Z'));
        assert!(thing.is_held(), "{thing:?}");
        let heir = thing.heir();
        until_asleep(heir.pid());
        thread::sleep(Duration::from_millis(200));
        assert!(heir.is_alive() && process.is_alive(), "{thing:?}");
        end(process);
        assert_eq!(heir.join().unwrap(), thing.tells(), "{thing:?}");
    }
}

fn close_all() {
    // SAFETY: of this process, which uses none of them from here on.
    let failed = unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
    assert_eq!(failed, 0);
}

/// In a copy, which has no thread that needs a descriptor: closes all, inside, and says so; goes on
/// when it may.
fn close_inside(thing: Thing, inside: Queue<()>, go: Queue<()>, out: Queue<bool>) {
    let Some(copy) = copy(How::Fork).unwrap() else {
        // A member before, there too: without a descriptor it could not become one.
        let _ = inside.segment().me();
        let outcome = thing.inside(move || {
            close_all();
            inside.put(()).unwrap();
            go.get().unwrap();
        });
        out.put(outcome.is_ok()).unwrap();
        exit_now(0);
    };
    copy.wait();
}

#[test]
fn a_holder_that_closes_all_descriptors_holds_and_lets_go_and_its_death_is_told() {
    for lets_go in [true, false] {
        for thing in Thing::all() {
            let [inside, go] = [(); 2].map(|()| Queue::<()>::bounded(1).unwrap());
            let out = Queue::bounded(1).unwrap();
            let arguments = (thing.clone(), inside.clone(), go.clone(), out.clone());
            let process = spawn(arguments, close_inside).unwrap();
            inside.get().unwrap();
            assert!(thing.is_held(), "{thing:?}");
            let heir = thing.heir();
            until_asleep(heir.pid());
            thread::sleep(Duration::from_millis(200));
            assert!(heir.is_alive(), "{thing:?}");
            if lets_go {
                go.put(()).unwrap();
                // It goes on although it could not ask whether anybody lives.
                assert!(out.get().unwrap(), "{thing:?}");
                process.join().unwrap();
            } else {
                kill_children(process.pid());
                process.join().unwrap();
            }
            assert_eq!(heir.join().unwrap(), !lets_go && thing.tells(), "{thing:?}");
            let changed = thing.changed(u64::from(lets_go));
            assert_eq!(thing.changes(), changed, "{thing:?}");
        }
    }
}

/// Kills the children of the main thread of a process.
fn kill_children(pid: u32) {
    let children = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let children: Vec<_> = children.split_whitespace().collect();
    assert!(!children.is_empty());
    for child in children {
        tests::outside::Seen::new(child.parse().unwrap()).kill();
    }
}

/// In a copy: closes all, then waits for the lock.
fn close_and_wait(lock: Lock, closed: Queue<u32>) -> i32 {
    let Some(copy) = copy(How::Fork).unwrap() else {
        // A member before: without a descriptor it could not become one.
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        close_all();
        closed.put(std::process::id()).unwrap();
        exit_now(match lock.lock() {
            Ok(_) => 0,
            Err(crossproc::LockError::OwnerDied(_)) => 1,
            Err(_) => 2,
        })
    };
    copy.wait()
}

#[test]
fn a_waiter_that_closes_all_descriptors_goes_on_when_another_has_found_the_death() {
    let (lock, closed) = (Lock::new().unwrap(), Queue::bounded(1).unwrap());
    let holder = Thing::Lock(lock.clone()).holder();
    let blind = spawn((lock.clone(), closed.clone()), close_and_wait).unwrap();
    until_asleep(closed.get().unwrap());
    end(holder);
    // It cannot ask, so it leaves the lock to the dead until somebody else comes.
    let heir = Thing::Lock(lock).heir();
    assert!(heir.join().unwrap());
    assert_eq!(blind.join().unwrap(), 0);
}
