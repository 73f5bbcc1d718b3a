//! Copies of a process whose tasks wait.

use std::task::Poll;

use crossproc::{Queue, spawn};
use tests::forked::fork;

use crate::one_thread;
use crate::tasks::{Task, until};

/// Polls until the item is there.
fn get(task: &mut Task<'_, Result<u64, crossproc::GetError>>) -> u64 {
    let mut got = None;
    until(|| match task.poll() {
        Poll::Ready(item) => {
            got = Some(item.unwrap());
            true
        }
        Poll::Pending => false,
    });
    got.unwrap()
}

#[test]
fn a_copy_goes_on_with_its_futures_and_drops_them_without_harm() {
    spawn((), || {
        let queue = Queue::<u64>::bounded(4).unwrap();
        let mut kept = Task::new(queue.get_async());
        let mut dropped = Some(Task::new(queue.get_async()));
        assert!(kept.poll().is_pending());
        assert!(dropped.as_mut().unwrap().poll().is_pending());
        for _ in 0..20 {
            let copy = fork(|| {
                drop(dropped.take());
                assert!(kept.poll().is_pending());
                let rings = kept.bell.rings();
                queue.put(1).unwrap();
                // By a bridge of its own, or the parent's futures have been faster.
                until(|| kept.bell.rings() > rings || queue.is_empty());
                let _ = queue.try_get();
                0
            });
            assert_eq!(copy.wait(), 0);
            let _ = queue.try_get();
        }
        queue.put(2).unwrap();
        assert_eq!(get(&mut kept), 2);
        queue.put(3).unwrap();
        assert_eq!(get(dropped.as_mut().unwrap()), 3);
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_copy_waits_by_a_bridge_of_its_own() {
    spawn((), || {
        let queue = Queue::<u64>::bounded(4).unwrap();
        let other = Queue::<u64>::bounded(4).unwrap();
        let mut task = Task::new(queue.get_async());
        assert!(task.poll().is_pending());
        let copy = fork(|| {
            one_thread().block_on(async {
                let echo = other.get_async().await.unwrap();
                queue.put_async(echo + 1).await.unwrap();
            });
            0
        });
        other.put(6).unwrap();
        task.until_woken(1);
        assert_eq!(get(&mut task), 7);
        assert_eq!(copy.wait(), 0);
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_process_ends_while_its_tasks_wait() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let child = spawn((queue.clone(),), |queue| {
        let mut task = Task::new(queue.get_async());
        assert!(task.poll().is_pending());
        std::mem::forget(task);
        let queue = queue.clone();
        let runtime = one_thread();
        runtime.spawn(async move { queue.get_async().await.unwrap() });
        runtime.block_on(tokio::task::yield_now());
    });
    child.unwrap().join().unwrap();
    queue.put(1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
}
