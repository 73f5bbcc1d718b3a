//! The locks behind the interface of the `lock_api` crate.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use crossproc::crates::sync::lock_api::{Mutex, RawLock, RawRwLock, RwLock};
use crossproc::{Lock, Queue, RwLock as Shared, Value, spawn};
use lock_api::{RawMutex, RawMutexTimed};

crossproc::test_init!();

const ROUNDS: u64 = 2000;

/// What somebody wrote who has never heard of processes.
fn add_in_two_steps<R: RawMutex>(door: &lock_api::Mutex<R, ()>, count: &Value<u64>) {
    for _ in 0..ROUNDS {
        let _guard = door.lock();
        let seen = count.get();
        count.set(seen + 1).unwrap();
    }
}

#[test]
fn generic_code_excludes_other_processes() {
    let (lock, count) = (Lock::new().unwrap(), Value::new(0_u64).unwrap());
    let processes = [(); 3].map(|()| {
        spawn((lock.clone(), count.clone()), |lock: Lock, count: Value<u64>| {
            add_in_two_steps(&Mutex::from_raw(RawLock::from(lock), ()), &count);
        })
        .unwrap()
    });
    processes.into_iter().for_each(|process| process.join().unwrap());
    assert_eq!(count.get(), 3 * ROUNDS);
}

#[test]
fn a_holder_that_is_killed_is_passed_over() {
    let (lock, held) = (Lock::new().unwrap(), Queue::<u32>::bounded(1).unwrap());
    let holder = spawn((lock.clone(), held.clone()), |lock: Lock, held: Queue<u32>| {
        let door = Mutex::from_raw(RawLock::from(lock), ());
        let _guard = door.lock();
        held.put(1).unwrap();
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    held.get().unwrap();
    let raw = RawLock::from(lock);
    assert!(raw.is_locked() && !raw.try_lock());
    assert!(!raw.try_lock_for(Duration::from_millis(1)));
    holder.kill().unwrap();
    let _: Result<(), _> = holder.join();
    let door = Mutex::from_raw(raw, 7);
    assert_eq!(*door.lock(), 7);
    assert_eq!(door.try_lock().as_deref(), Some(&7));
}

#[test]
fn readers_of_two_processes_see_what_a_writer_finished() {
    let (lock, count) = (Shared::new().unwrap(), Value::new([0_u64; 2]).unwrap());
    let table = RwLock::from_raw(RawRwLock::from(lock.clone()), ());
    let readers = [(); 2].map(|()| {
        spawn((lock.clone(), count.clone()), |lock: Shared, pair: Value<[u64; 2]>| {
            let table = RwLock::from_raw(RawRwLock::from(lock), ());
            loop {
                let _reader = table.read();
                let _again = table.read_recursive();
                let [a, b] = pair.get();
                assert_eq!(a, b);
                if a == ROUNDS {
                    return;
                }
            }
        })
        .unwrap()
    });
    for round in 1..=ROUNDS {
        let _writer = table.write();
        count.set([round, 0]).unwrap();
        count.set([round, round]).unwrap();
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert!(!table.is_locked());
    let reader = table.read();
    assert!(table.is_locked() && !table.is_locked_exclusive());
    drop(reader);
    assert!(table.try_write().is_some());
}

#[test]
fn one_that_is_made_empty_makes_its_own_lock() {
    static DOOR: Mutex<u32> = Mutex::new(0);
    let threads = [(); 4].map(|()| {
        std::thread::spawn(|| {
            for _ in 0..ROUNDS {
                *DOOR.lock() += 1;
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(u64::from(*DOOR.lock()), 4 * ROUNDS);
}
