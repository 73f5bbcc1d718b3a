//! Processes that live.

use crossproc::{Lock, LockError, Queue, Segment, TryLockError, Value, spawn};

const PROCESSES: u64 = 4;
const ROUNDS: u64 = 3000;

/// Adds in two steps, which only a lock makes one.
fn add_in_two_steps(lock: Lock, count: Value<u64>) {
    for _ in 0..ROUNDS {
        let _guard = lock.lock().unwrap();
        let seen = count.get();
        count.set(seen + 1).unwrap();
    }
}

fn exclude_each_other(segment: &Segment) {
    let (lock, count) = (Lock::new_in(segment).unwrap(), Value::new_in(segment, 0).unwrap());
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| spawn((lock.clone(), count.clone()), add_in_two_steps).unwrap())
        .collect();
    processes.into_iter().for_each(|process| process.join().unwrap());
    assert_eq!(count.get(), PROCESSES * ROUNDS);
}

#[test]
fn processes_exclude_each_other() {
    exclude_each_other(&Segment::tree().unwrap());
    exclude_each_other(&Segment::anonymous(1 << 16).unwrap());
}

#[test]
fn threads_of_several_processes_exclude_each_other() {
    let (lock, count) = (Lock::new().unwrap(), Value::new(0).unwrap());
    let processes = [(); 2].map(|()| {
        spawn((lock.clone(), count.clone()), |lock, count| {
            let threads = [(); 2].map(|()| {
                let (lock, count) = (lock.clone(), count.clone());
                std::thread::spawn(move || add_in_two_steps(lock, count))
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        })
        .unwrap()
    });
    processes.into_iter().for_each(|process| process.join().unwrap());
    assert_eq!(count.get(), 4 * ROUNDS);
}

#[test]
fn what_was_written_inside_is_seen_by_the_next_owner() {
    // Not by the lock's own word, but by a queue that is filled and emptied inside.
    let (lock, queue) = (Lock::new().unwrap(), Queue::<u64>::bounded(8).unwrap());
    let processes = [(); 3].map(|()| {
        spawn((lock.clone(), queue.clone()), |lock, queue| {
            for _ in 0..500 {
                let _guard = lock.lock().unwrap();
                assert!(queue.is_empty());
                (0..3).for_each(|number| queue.try_put(number).unwrap());
                assert_eq!(queue.len(), 3);
                (0..3).for_each(|number| assert_eq!(queue.try_get().unwrap(), number));
            }
        })
        .unwrap()
    });
    processes.into_iter().for_each(|process| process.join().unwrap());
}

#[test]
fn a_thread_that_would_wait_for_itself_is_told_in_any_process() {
    let told = spawn((Lock::new().unwrap(),), |lock| {
        let guard = lock.lock().unwrap();
        let again = matches!(lock.lock(), Err(LockError::Deadlock));
        let tried = matches!(lock.try_lock(), Err(TryLockError::Deadlock));
        let copy = lock.clone();
        let other =
            std::thread::spawn(move || matches!(copy.try_lock(), Err(TryLockError::WouldBlock)));
        let other = other.join().unwrap();
        drop(guard);
        (again, tried, other, lock.lock().is_ok())
    });
    assert_eq!(told.unwrap().join().unwrap(), (true, true, true, true));
}
