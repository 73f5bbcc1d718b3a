//! What waiting by futures costs: threads of this process. One test at a time, as they count them.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crossproc_queue::Queue;

use tasks::{Task, block_on, until};

/// Futures of one side that wait at once.
const MANY: u32 = 10_000;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    until(|| bridges() == 0);
    alone
}

/// Threads of this process that wait for others.
fn bridges() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.trim() == "crossproc-bridg").count()
}

#[test]
fn who_need_not_wait_starts_no_thread() {
    let _alone = alone();
    let queue = Queue::<u64>::bounded(4).unwrap();
    for item in 0..1000 {
        block_on(queue.put_async(item)).unwrap();
        assert_eq!(block_on(queue.get_async()).unwrap(), item);
    }
    assert_eq!(bridges(), 0);
}

#[test]
fn ten_thousand_futures_at_one_queue_cost_one_thread_and_each_gets_an_item() {
    let _alone = alone();
    let queue = Queue::<u32>::bounded(10_000).unwrap();
    let mut tasks: Vec<_> = (0..MANY).map(|_| Task::new(queue.get_async())).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    until(|| bridges() == 1);
    // By another thread, while they are woken one after the other.
    let producer = queue.clone();
    let putting = std::thread::spawn(move || (0..MANY).for_each(|i| producer.put(i).unwrap()));
    let mut got = Vec::new();
    for task in &mut tasks {
        task.until_woken(1);
        match task.poll() {
            Poll::Ready(item) => got.push(item.unwrap()),
            Poll::Pending => panic!("woken for nothing, though there is an item for each"),
        }
    }
    putting.join().unwrap();
    assert!(got.into_iter().eq(0..MANY));
    until(|| bridges() == 1);
    drop(tasks);
    until(|| bridges() == 0);
}

#[test]
fn ten_thousand_futures_are_dropped_without_a_trace() {
    let _alone = alone();
    let queue = Queue::<u32>::bounded(1).unwrap();
    queue.put(0).unwrap();
    let mut tasks: Vec<_> = (0..MANY).map(|item| Task::new(queue.put_async(item))).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    until(|| bridges() == 1);
    drop(tasks);
    until(|| bridges() == 0);
    assert_eq!(queue.get().unwrap(), 0);
    assert!(queue.is_empty());
}

#[test]
fn a_hundred_queues_cost_two_threads() {
    let _alone = alone();
    let queues: Vec<_> = (0..100).map(|_| Queue::<u64>::bounded(1).unwrap()).collect();
    let mut tasks: Vec<_> = queues.iter().map(|queue| Task::new(queue.get_async())).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    until(|| bridges() == 2);
    for (item, queue) in (0..).zip(&queues) {
        queue.put(item).unwrap();
    }
    for (item, task) in (0..).zip(&mut tasks) {
        task.until_woken(1);
        assert!(matches!(task.poll(), Poll::Ready(Ok(got)) if got == item));
    }
    drop(tasks);
    until(|| bridges() == 0);
}

#[test]
fn a_future_that_is_forgotten_keeps_the_thread_until_its_item_has_come() {
    let _alone = alone();
    let queue = Queue::<u64>::bounded(1).unwrap();
    let mut task = Task::new(queue.get_async());
    assert!(task.poll().is_pending());
    let bell = Arc::clone(&task.bell);
    std::mem::forget(task);
    queue.put(1).unwrap();
    until(|| bell.rings() == 1);
    until(|| bridges() == 0);
    assert_eq!(queue.get().unwrap(), 1);
}
