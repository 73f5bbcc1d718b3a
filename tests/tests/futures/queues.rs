//! Tasks in one process, threads that block in others.

use std::task::Poll;

use crossproc::{Queue, spawn};
use futures_util::{SinkExt as _, TryStreamExt as _};
use tests::outside::until_asleep;

use crate::tasks::Task;
use crate::{one_thread, threads};

const EACH: u64 = 3000;

#[test]
fn processes_that_block_feed_a_task() {
    for runtime in [one_thread(), threads()] {
        let queue = Queue::<u64>::bounded(4).unwrap();
        let producers = [0, 1, 2].map(|first| {
            let producer = queue.producer().unwrap();
            spawn((producer, first), |producer, first| {
                (0..EACH).for_each(|item| producer.put(item * 3 + first).unwrap());
            })
            .unwrap()
        });
        let mut got: Vec<u64> = runtime.block_on(queue.stream().try_collect()).unwrap();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        got.sort_unstable();
        assert!(got.into_iter().eq(0..3 * EACH));
    }
}

#[test]
fn tasks_feed_processes_that_block() {
    for runtime in [one_thread(), threads()] {
        let queue = Queue::<String>::bounded(4).unwrap();
        let consumers = [0, 1].map(|_| {
            spawn((queue.consumer().unwrap(),), |consumer| {
                consumer.into_iter().map(|item| item.unwrap().parse::<u64>().unwrap()).collect()
            })
            .unwrap()
        });
        let feeding: Vec<_> = (0..3)
            .map(|first| {
                let mut sink = queue.producer().unwrap().sink();
                runtime.spawn(async move {
                    for item in 0..EACH {
                        sink.send((item * 3 + first).to_string()).await.unwrap();
                    }
                })
            })
            .collect();
        feeding.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        let got: [Vec<u64>; 2] = consumers.map(|consumer| consumer.join().unwrap());
        assert!(
            got.iter().all(|got| got.is_sorted_by_key(|item| (item % 3, 0)) || !got.is_empty())
        );
        let mut got = got.concat();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..3 * EACH));
    }
}

#[test]
fn a_wake_that_came_to_a_task_that_does_not_run_reaches_a_process_that_sleeps() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let mut task = Task::new(queue.get_async());
    assert!(task.poll().is_pending());
    let blocked = spawn((queue.clone(),), |queue| queue.get().unwrap()).unwrap();
    until_asleep(blocked.pid());
    queue.put(7).unwrap();
    // The task may have been woken first, and is not polled.
    assert_eq!(blocked.join().unwrap(), 7);
    assert!(task.poll().is_pending());
    queue.put(8).unwrap();
    loop {
        if let Poll::Ready(got) = task.poll() {
            assert_eq!(got.unwrap(), 8);
            break;
        }
    }
}
