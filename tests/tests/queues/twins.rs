//! What users of Python's `multiprocessing` know of its queues, between processes.
//!
//! The behaviours of its tests `_TestQueue` and `TestSimpleQueue` that other files do not show.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crossproc::{Queue, TryGetError, TryPutError, Value, spawn};
use crossproc_sys::clock::Deadline;
use tests::outside::LONG;

const SOON: Duration = Duration::from_millis(20);

fn soon() -> Deadline {
    Deadline::after(SOON)
}

/// What does not wait does not, however long it may; what waits does so for as long as it may.
#[test]
fn every_form_of_put_fills_a_queue_that_a_child_empties() {
    let (queue, go) = (Queue::<u32>::bounded(6).unwrap(), Queue::bounded(1).unwrap());
    let child = spawn((queue.clone(), go.clone()), |queue, go| {
        Queue::<()>::get(&go).unwrap();
        let got: Vec<u32> = (0..6).map(|_| queue.get().unwrap()).collect();
        (got, queue.is_empty())
    });
    queue.put(1).unwrap();
    queue.try_put(2).unwrap();
    queue.put_timeout(3, Duration::ZERO).unwrap();
    queue.put_timeout(4, LONG).unwrap();
    queue.put_deadline(5, soon()).unwrap();
    queue.put_many(&[6]).unwrap();
    assert!(queue.is_full() && !queue.is_empty());
    assert!(matches!(queue.try_put(7), Err(TryPutError::Full(7))));
    assert!(matches!(queue.put_timeout(7, Duration::ZERO), Err(TryPutError::Full(7))));
    assert_eq!(queue.try_put_many(&[7]).unwrap(), 0);
    let start = Instant::now();
    assert!(matches!(queue.put_timeout(7, SOON), Err(TryPutError::Full(7))));
    assert!(matches!(queue.put_deadline(7, soon()), Err(TryPutError::Full(7))));
    assert_eq!(queue.put_many_timeout(&[7], SOON).unwrap(), 0);
    assert!(start.elapsed() >= 3 * SOON);
    go.put(()).unwrap();
    assert_eq!(child.unwrap().join().unwrap(), (vec![1, 2, 3, 4, 5, 6], true));
    assert!(queue.is_empty() && !queue.is_full());
}

#[test]
fn every_form_of_get_empties_a_queue_that_a_child_fills() {
    let queue = Queue::<u32>::bounded(6).unwrap();
    let child = spawn((queue.clone(),), |queue| (1..=6).for_each(|item| queue.put(item).unwrap()));
    child.unwrap().join().unwrap();
    let mut got = vec![queue.get().unwrap(), queue.try_get().unwrap()];
    got.push(queue.get_timeout(Duration::ZERO).unwrap());
    got.push(queue.get_timeout(LONG).unwrap());
    got.push(queue.get_deadline(soon()).unwrap());
    assert_eq!(queue.get_many(&mut got, 9).unwrap(), 1);
    assert_eq!(got, [1, 2, 3, 4, 5, 6]);
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_timeout(Duration::ZERO), Err(TryGetError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(SOON), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_deadline(soon()), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_many_timeout(&mut got, 9, SOON), Err(TryGetError::Empty)));
    assert!(start.elapsed() >= 3 * SOON);
}

#[test]
fn what_was_in_before_a_child_started_comes_before_what_it_puts() {
    let queue = Queue::<u32>::bounded(20).unwrap();
    (0..10).for_each(|item| queue.put(item).unwrap());
    let child = spawn((queue.clone(),), |queue| (10..20).for_each(|item| queue.put(item).unwrap()));
    let got: Vec<u32> = (0..20).map(|_| queue.get().unwrap()).collect();
    assert!(got.into_iter().eq(0..20));
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    child.unwrap().join().unwrap();
}

#[test]
fn every_process_sees_the_same_length() {
    fn ask(queue: &Queue<u32>, act: fn(&Queue<u32>)) -> usize {
        act(queue);
        let child = spawn((queue.clone(),), |queue| (queue.len(), queue.is_empty()));
        let seen = child.unwrap().join().unwrap();
        assert_eq!(seen, (queue.len(), queue.is_empty()));
        seen.0
    }
    let queue = Queue::bounded(2).unwrap();
    let lens = [
        ask(&queue, |_| ()),
        ask(&queue, |queue| queue.put(1).unwrap()),
        ask(&queue, |queue| queue.put(2).unwrap()),
        ask(&queue, |queue| assert_eq!(queue.get().unwrap(), 1)),
        ask(&queue, |queue| assert_eq!(queue.get().unwrap(), 2)),
        // Closed, it can still be asked.
        ask(&queue, Queue::close),
    ];
    assert_eq!(lens, [0, 1, 2, 1, 0, 0]);
}

#[test]
fn join_returns_when_four_children_have_done_ten_tasks() {
    let tasks = Queue::<u64>::options().joinable().bounded(10).unwrap();
    let done = Value::new(0u64).unwrap();
    let children = [(); 4].map(|()| {
        spawn((tasks.clone(), done.clone()), |tasks, done| {
            for task in &tasks {
                done.fetch_add(task.unwrap());
                tasks.task_done().unwrap();
            }
        })
        .unwrap()
    });
    (1..=10).for_each(|task| tasks.put(task).unwrap());
    tasks.join().unwrap();
    assert_eq!(done.get(), 55);
    tasks.close();
    children.into_iter().for_each(|child| child.join().unwrap());
    tasks.join().unwrap();
}

/// Python's queues had needed the lock under which modules are imported.
#[test]
fn a_get_gives_up_while_a_static_is_being_made() {
    static GOT: LazyLock<bool> = LazyLock::new(|| {
        let queue = Queue::<u32>::bounded(1).unwrap();
        let is_empty = matches!(queue.get_timeout(SOON), Err(TryGetError::Empty));
        is_empty && queue.put(1).is_ok() && queue.get_timeout(LONG).is_ok()
    });
    assert!(*GOT);
    assert!(spawn((), || *GOT).unwrap().join().unwrap());
}
