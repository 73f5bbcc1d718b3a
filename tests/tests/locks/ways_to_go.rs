//! Owners that panic, leak, end a thread, fork, become another program, or are merely stopped.

use std::cell::Cell;
use std::mem;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crossproc::{JoinError, JoinHandle, Lock, LockError, Queue, TryLockError, spawn};
use tests::forked::fork;
use tests::outside::{Seen, go_on, stop, until_asleep};

use crate::killed::{kill, owner, told};

fn is_held(lock: &Lock) -> bool {
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

#[test]
fn a_panic_inside_is_told_to_one_of_those_who_wait() {
    let (lock, go) = (Lock::new().unwrap(), Queue::<()>::bounded(1).unwrap());
    let inside = Queue::bounded(1).unwrap();
    let arguments = (lock.clone(), go.clone(), inside.clone());
    let panics = spawn(arguments, |lock, go, inside| {
        let _guard = lock.lock().unwrap();
        Queue::put(&inside, ()).unwrap();
        go.get().unwrap();
        panic!("inside, on purpose")
    });
    let panics: JoinHandle<()> = panics.unwrap();
    inside.get().unwrap();
    let poisoned = |lock: Lock| match lock.lock() {
        Ok(_) => false,
        Err(LockError::Poisoned(_)) => true,
        Err(error) => panic!("{error}"),
    };
    let waiters = [(); 3].map(|()| spawn((lock.clone(),), poisoned).unwrap());
    waiters.iter().for_each(|waiter| until_asleep(waiter.pid()));
    go.put(()).unwrap();
    match panics.join() {
        Err(JoinError::Panicked { message, .. }) => assert_eq!(message, "inside, on purpose"),
        other => panic!("{other:?}"),
    }
    let told = waiters.map(|waiter| waiter.join().unwrap());
    assert_eq!(told.iter().filter(|&&told| told).count(), 1);
    assert!(lock.lock().is_ok());
}

#[test]
fn an_end_inside_counts_as_a_death_whatever_the_exit_code() {
    let lock = Lock::new().unwrap();
    for code in [0, 3] {
        #[expect(clippy::exit, reason = "this is what is tested")]
        let ends = spawn((lock.clone(), code), |lock, code| -> () {
            let _guard = lock.lock().unwrap();
            std::process::exit(code)
        });
        assert!(matches!(ends.unwrap().join(), Err(JoinError::Exited { .. })));
        assert!(told(lock.clone()));
    }
    let leaks = spawn((lock.clone(),), |lock| mem::forget(lock.lock().unwrap()));
    leaks.unwrap().join().unwrap();
    assert!(told(lock.clone()));
    assert!(!told(lock));
}

#[test]
fn a_thread_that_ends_inside_leaves_the_lock_held_while_its_process_lives() {
    let (lock, go) = (Lock::new().unwrap(), Queue::<()>::bounded(1).unwrap());
    let inside = Queue::bounded(1).unwrap();
    let process = spawn((lock.clone(), go.clone(), inside.clone()), |lock, go, inside| {
        let copy = lock.clone();
        thread::spawn(move || mem::forget(copy.lock().unwrap())).join().unwrap();
        // Nor is a later thread taken for it.
        let copy = lock.clone();
        let other = thread::spawn(move || is_held(&copy)).join().unwrap();
        Queue::put(&inside, other && is_held(&lock)).unwrap();
        go.get().unwrap();
    })
    .unwrap();
    assert!(inside.get().unwrap());
    assert!(is_held(&lock));
    assert!(matches!(lock.lock_timeout(Duration::from_millis(150)), Err(TryLockError::Timeout)));
    go.put(()).unwrap();
    process.join().unwrap();
    assert!(told(lock));
}

#[test]
fn a_forked_copy_of_a_guard_neither_holds_nor_releases() {
    let outcome = spawn((Lock::new().unwrap(),), |lock| {
        let guard = Cell::new(Some(lock.lock().unwrap()));
        let dropped = fork(|| {
            drop(guard.take());
            i32::from(!is_held(&lock))
        });
        assert_eq!(dropped.wait(), 0);
        let unlocked = fork(|| {
            let refused = guard.take().unwrap().unlock().is_err();
            i32::from(!(refused && is_held(&lock)))
        });
        assert_eq!(unlocked.wait(), 0);
        let copy = lock.clone();
        assert!(thread::spawn(move || is_held(&copy)).join().unwrap());
        assert!(matches!(lock.try_lock(), Err(TryLockError::Deadlock)));
        guard.take().unwrap().unlock().is_ok() && lock.try_lock().is_ok()
    });
    assert!(outcome.unwrap().join().unwrap());
}

#[test]
fn a_forked_child_does_not_keep_its_dead_parent_alive() {
    let (lock, inside) = (Lock::new().unwrap(), Queue::<u32>::bounded(1).unwrap());
    let parent = spawn((lock.clone(), inside.clone()), |lock, inside| {
        let _guard = lock.lock().unwrap();
        let copy = fork(|| {
            inside.put(std::process::id()).unwrap();
            loop {
                thread::park();
            }
        });
        copy.wait();
    })
    .unwrap();
    let copy = Seen::new(inside.get().unwrap());
    kill(parent);
    // The copy dies with its parent, but that is not what is waited for: it may be first or last.
    assert!(told(lock.clone()));
    copy.until_ended();
    assert!(!told(lock));
}

#[test]
fn a_lock_taken_by_a_forked_child_is_the_childs() {
    let outcome = spawn((Lock::new().unwrap(),), |lock| {
        let copy = fork(|| {
            mem::forget(lock.lock().unwrap());
            i32::from(!matches!(lock.try_lock(), Err(TryLockError::Deadlock)))
        });
        assert_eq!(copy.wait(), 0);
        told(lock)
    });
    assert!(outcome.unwrap().join().unwrap());
}

#[test]
fn an_owner_that_becomes_another_program_counts_as_dead() {
    let lock = Lock::new().unwrap();
    let inside = Queue::<()>::bounded(1).unwrap();
    let becomes = spawn((lock.clone(), inside.clone()), |lock, inside| -> () {
        let _guard = lock.lock().unwrap();
        inside.put(()).unwrap();
        let error = Command::new("sleep").arg("600").exec();
        panic!("{error}")
    })
    .unwrap();
    inside.get().unwrap();
    assert!(told(lock));
    assert!(becomes.is_alive());
    kill(becomes);
}

#[test]
fn a_stopped_owner_is_not_dead() {
    let (lock, go) = (Lock::new().unwrap(), Queue::<()>::bounded(1).unwrap());
    let inside = Queue::bounded(1).unwrap();
    let owner = spawn((lock.clone(), go.clone(), inside.clone()), |lock, go, inside| {
        let _guard = lock.lock().unwrap();
        Queue::put(&inside, ()).unwrap();
        go.get().unwrap();
    })
    .unwrap();
    inside.get().unwrap();
    stop(owner.pid());
    assert!(is_held(&lock));
    // Longer than the death of an owner goes unnoticed.
    assert!(matches!(lock.lock_timeout(Duration::from_millis(300)), Err(TryLockError::Timeout)));
    let waiter = spawn((lock.clone(),), told).unwrap();
    until_asleep(waiter.pid());
    go.put(()).unwrap();
    go_on(owner.pid());
    owner.join().unwrap();
    assert!(!waiter.join().unwrap());
}

#[test]
fn children_that_wait_for_a_lock_end_with_their_parent() {
    let (lock, pids) = (Lock::new().unwrap(), Queue::<u32>::bounded(1).unwrap());
    let owner = owner(&lock);
    let parent = spawn((lock.clone(), pids.clone()), |lock, pids| {
        let child = spawn((lock,), told).unwrap();
        pids.put(child.pid()).unwrap();
        child.wait().unwrap();
    })
    .unwrap();
    let child = Seen::new(pids.get().unwrap());
    kill(parent);
    child.until_ended();
    kill(owner);
    assert!(told(lock));
}
