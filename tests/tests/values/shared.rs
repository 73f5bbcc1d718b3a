//! Writers and readers that live, or are stopped.

use std::cell::Cell;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crossproc::{LockFailure, Plain, Queue, Value, spawn};
use tests::forked::fork;
use tests::outside::{go_on, stop};

const PROCESSES: u64 = 4;
const ROUNDS: u64 = 5000;

#[test]
fn every_way_to_add_is_exact() {
    let one = Value::new(0u64).unwrap();
    let narrow = Value::new(0u8).unwrap();
    let pair = Value::new([0u64; 2]).unwrap();
    let wide = Value::new(Plain([0u64; 100])).unwrap();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let arguments = (one.clone(), narrow.clone(), pair.clone(), wide.clone());
            spawn(arguments, |one, narrow, pair, wide| {
                for round in 0..ROUNDS {
                    one.fetch_add(1);
                    one.update(|n| *n += 1).unwrap();
                    narrow.fetch_add(1);
                    pair.update(|pair| *pair = pair.map(|n| n + 1)).unwrap();
                    if round % 10 == 0 {
                        wide.lock().unwrap().0.iter_mut().for_each(|n| *n += 1);
                    }
                }
            })
            .unwrap()
        })
        .collect();
    processes.into_iter().for_each(|process| process.join().unwrap());
    let sum = PROCESSES * ROUNDS;
    assert_eq!(one.get(), 2 * sum);
    assert_eq!(u64::from(narrow.get()), sum % 256);
    assert_eq!(pair.get(), [sum; 2]);
    assert_eq!(wide.get().0, [sum / 10; 100]);
}

#[test]
fn readers_see_whole_values_that_only_grow() {
    let value = Value::new(Plain([0u64; 64])).unwrap();
    let writers: Vec<_> = (0..2)
        .map(|_| {
            spawn((value.clone(),), |value| {
                for _ in 0..ROUNDS {
                    value.update(|value| value.0.iter_mut().for_each(|n| *n += 1)).unwrap();
                }
            })
            .unwrap()
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            spawn((value.clone(),), |value| {
                let mut last = 0;
                while last < 2 * ROUNDS {
                    let Plain(seen) = value.get();
                    assert!(seen.iter().all(|&n| n == seen[0]), "torn: {seen:?}");
                    assert!(seen[0] >= last, "{} after {last}", seen[0]);
                    last = seen[0];
                }
            })
            .unwrap()
        })
        .collect();
    writers.into_iter().for_each(|process| process.join().unwrap());
    readers.into_iter().for_each(|process| process.join().unwrap());
}

#[test]
fn a_writer_that_is_stopped_keeps_no_reader_waiting() {
    let value = Value::new([1u64; 4]).unwrap();
    let (inside, go) = (Queue::<()>::bounded(1).unwrap(), Queue::<()>::bounded(1).unwrap());
    let writer = spawn((value.clone(), inside.clone(), go.clone()), |value, inside, go| {
        value
            .update(|value| {
                value[0] = 2;
                inside.put(()).unwrap();
                go.get().unwrap();
                *value = [2; 4];
            })
            .unwrap();
    })
    .unwrap();
    inside.get().unwrap();
    stop(writer.pid());
    let read = spawn((value.clone(),), |value| value.get());
    assert_eq!(read.unwrap().join().unwrap(), [1; 4]);
    // Writers wait for it: it lives.
    let waited = value.lock_timeout(Duration::from_millis(200));
    assert!(matches!(waited, Err(LockFailure::Timeout)));
    go.put(()).unwrap();
    go_on(writer.pid());
    writer.join().unwrap();
    assert_eq!(value.get(), [2; 4]);
    value.set([3; 4]).unwrap();
}

#[test]
fn a_panic_inside_changes_nothing_and_keeps_nobody_out() {
    let value = Value::new([1u64; 4]).unwrap();
    let in_update = spawn((value.clone(),), |value| {
        value
            .update(|value| -> () {
                value[0] = 9;
                panic!("in update, on purpose")
            })
            .unwrap();
    });
    assert!(in_update.unwrap().join().is_err());
    let in_guard = spawn((value.clone(),), |value| -> () {
        let mut guard = value.lock().unwrap();
        guard[1] = 9;
        panic!("with a guard, on purpose")
    });
    assert!(in_guard.unwrap().join().is_err());
    let abandoned = spawn((value.clone(),), |value| {
        let mut guard = value.lock().unwrap();
        guard[2] = 9;
        guard.abandon();
    });
    abandoned.unwrap().join().unwrap();
    assert_eq!(value.get(), [1; 4]);
    value.update(|value| value[3] = 2).unwrap();
    assert_eq!(value.get(), [1, 1, 1, 2]);
}

#[test]
fn a_forked_copy_of_a_guard_commits_nothing() {
    let seen = spawn((Value::new([1u64; 4]).unwrap(),), |value| {
        let mut guard = value.lock().unwrap();
        guard[0] = 2;
        let guard = Cell::new(Some(guard));
        let copy = fork(|| {
            let mut copy = guard.take().unwrap();
            copy[0] = 3;
            drop(copy);
            // The lock is its parent's, and so is the value.
            let out =
                matches!(value.lock_timeout(Duration::from_millis(50)), Err(LockFailure::Timeout));
            i32::from(!(out && value.get() == [1; 4]))
        });
        assert_eq!(copy.wait(), 0);
        drop(guard.take());
        let own = fork(|| {
            value.update(|value| value[1] = 4).unwrap();
            0
        });
        assert_eq!(own.wait(), 0);
        value.get()
    });
    assert_eq!(seen.unwrap().join().unwrap(), [2, 4, 1, 1]);
}

#[test]
fn a_holder_that_becomes_another_program_has_changed_nothing() {
    let value = Value::new([1u64; 4]).unwrap();
    let becomes = spawn((value.clone(),), |value| -> () {
        let mut guard = value.lock().unwrap();
        guard[0] = 2;
        let error = Command::new("true").exec();
        panic!("{error}")
    });
    let _ = becomes.unwrap().join();
    value.update(|value| value[1] = 5).unwrap();
    assert_eq!(value.get(), [1, 5, 1, 1]);
}
