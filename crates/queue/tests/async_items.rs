//! Futures, streams and sinks in one process, alone and among threads that block.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tasks;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use crossproc_queue::{Cause, GetError, PriorityQueue, PutError, Queue};
use crossproc_segment::wait::waiters;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use tasks::{Task, block_on, until};

fn queue(capacity: usize) -> Queue<u64> {
    let segment = crossproc_segment::Segment::anonymous(1 << 20).unwrap();
    Queue::create(&segment, "queue", capacity).unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap()
}

/// Waits until `count` threads sleep at the queue.
fn until_asleep(queue: &Queue<u64>, count: usize) {
    until(|| waiters(queue.segment()).len() >= count);
}

/// Sends numbers there and back again through queues that are too small.
async fn there_and_back(there: Queue<u64>, back: Queue<u64>) {
    for number in 0..2000 {
        there.put_async(number).await.unwrap();
        if number % 3 != 0 {
            assert_eq!(back.get_async().await.unwrap(), number - number % 3);
        }
    }
}

/// The same by a thread that blocks.
fn echo(there: &Queue<u64>, back: &Queue<u64>) {
    for number in 0..2000 {
        let item = there.get().unwrap();
        if number % 3 != 0 {
            back.put(item - item % 3).unwrap();
        }
    }
}

#[test]
fn futures_and_threads_that_block_meet_under_any_executor() {
    for run in [
        |work| block_on(work),
        |work| one_thread().block_on(work),
        |work| threads().block_on(async { tokio::spawn(work).await.unwrap() }),
    ] as [fn(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>); 3]
    {
        let (there, back) = (queue(2), queue(1));
        thread::scope(|scope| {
            scope.spawn(|| echo(&there, &back));
            run(Box::pin(there_and_back(there.clone(), back.clone())));
        });
        assert!(there.is_empty() && back.is_empty());
    }
}

#[test]
fn two_tasks_of_one_thread_feed_each_other() {
    let runtime = one_thread();
    let (there, back) = (queue(1), queue(1));
    runtime.block_on(async {
        let echo = {
            let (there, back) = (there.clone(), back.clone());
            tokio::spawn(async move {
                for number in 0..2000 {
                    let item = there.get_async().await.unwrap();
                    if number % 3 != 0 {
                        back.put_async(item - item % 3).await.unwrap();
                    }
                }
            })
        };
        there_and_back(there, back).await;
        echo.await.unwrap();
    });
}

#[test]
fn each_item_is_got_once_among_tasks_and_threads() {
    const EACH: u64 = 3000;
    let queue = queue(5);
    let sum = AtomicU64::new(0);
    let count = AtomicU64::new(0);
    let runtime = threads();
    thread::scope(|scope| {
        let producers = [queue.producer().unwrap(), queue.producer().unwrap()];
        for producer in producers {
            scope.spawn(move || (0..EACH).for_each(|item| producer.put(item).unwrap()));
        }
        for _ in 0..2 {
            let mut sink = queue.producer().unwrap().sink();
            runtime.spawn(async move {
                for item in 0..EACH {
                    sink.send(item).await.unwrap();
                }
            });
        }
        let streams = (0..2).map(|_| queue.consumer().unwrap().stream());
        let tasks: Vec<_> = streams
            .map(|stream| {
                runtime.spawn(stream.try_fold((0, 0), |(sum, count), item| async move {
                    Ok((sum + item, count + 1))
                }))
            })
            .collect();
        for consumer in [queue.consumer().unwrap(), queue.consumer().unwrap()] {
            let (sum, count) = (&sum, &count);
            scope.spawn(move || {
                for item in consumer {
                    sum.fetch_add(item.unwrap(), SeqCst);
                    count.fetch_add(1, SeqCst);
                }
            });
        }
        for task in tasks {
            let (more, taken) = runtime.block_on(task).unwrap().unwrap();
            sum.fetch_add(more, SeqCst);
            count.fetch_add(taken, SeqCst);
        }
    });
    assert_eq!(count.into_inner(), 4 * EACH);
    assert_eq!(sum.into_inner(), 4 * EACH * (EACH - 1) / 2);
}

#[test]
fn a_future_that_is_dropped_at_any_moment_takes_nothing_with_it() {
    const ITEMS: u64 = 4000;
    let queue = queue(3);
    let runtime = threads();
    thread::scope(|scope| {
        scope.spawn(|| (0..ITEMS).for_each(|item| queue.put(item).unwrap()));
        let queue = queue.clone();
        let got = runtime.block_on(async move {
            let mut got = Vec::new();
            let mut micros = 0;
            while got.last() != Some(&(ITEMS - 1)) {
                micros = (micros + 7) % 130;
                let soon = Duration::from_micros(micros);
                // In one poll both may be ready: then `select!` drops one of them, at random.
                tokio::select! {
                    item = queue.get_async() => got.push(item.unwrap()),
                    item = queue.get_async() => got.push(item.unwrap()),
                    () = tokio::time::sleep(soon) => {}
                }
            }
            got
        });
        assert!(got.into_iter().eq(0..ITEMS));
    });
    assert!(queue.is_empty());
}

#[test]
fn a_put_that_is_dropped_was_not_made() {
    let queue = queue(1);
    queue.put(1).unwrap();
    let mut put = Task::new(queue.put_async(2));
    assert!(put.poll().is_pending());
    drop(put);
    assert_eq!(queue.get().unwrap(), 1);
    assert!(queue.is_empty());
}

#[test]
fn a_future_that_was_woken_and_is_dropped_leaves_its_wake_to_a_thread() {
    let queue = queue(4);
    for _ in 0..20 {
        let mut task = Task::new(queue.get_async());
        assert!(task.poll().is_pending());
        thread::scope(|scope| {
            let thread = scope.spawn(|| queue.get().unwrap());
            // The thread, or the bridge; that one sleeps for other tests too, and seldom for long.
            until_asleep(&queue, 1);
            queue.put(7).unwrap();
            // Woken or not, it is dropped without a poll.
            drop(task);
            assert_eq!(thread.join().unwrap(), 7);
        });
    }
}

#[test]
fn a_future_that_was_woken_and_is_dropped_leaves_its_turn_to_the_next() {
    let queue = queue(4);
    let mut tasks: Vec<_> = (0..20).map(|_| Task::new(queue.get_async())).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    queue.put(7).unwrap();
    for task in tasks.drain(..19) {
        task.until_woken(1);
    }
    let mut last = tasks.remove(0);
    last.until_woken(1);
    assert!(matches!(last.poll(), std::task::Poll::Ready(Ok(7))));
}

#[test]
fn a_future_that_found_its_item_gone_waits_on_and_is_the_first_again() {
    let queue = queue(4);
    let mut tasks = [Task::new(queue.get_async()), Task::new(queue.get_async())];
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()));
    queue.put(1).unwrap();
    tasks[0].until_woken(1);
    assert_eq!(queue.get().unwrap(), 1);
    assert!(tasks[0].poll().is_pending());
    queue.put(2).unwrap();
    // It may have been woken twice for the first.
    until(|| match tasks[0].poll() {
        std::task::Poll::Ready(got) => got.unwrap() == 2,
        std::task::Poll::Pending => false,
    });
}

#[test]
fn a_runtime_that_stands_still_does_not_hold_up_the_others() {
    let queue = queue(4);
    // Woken first, and never polled again.
    let mut stuck = Task::new(queue.get_async());
    assert!(stuck.poll().is_pending());
    let elsewhere = queue.clone();
    let other = thread::spawn(move || block_on(elsewhere.get_async()).unwrap());
    let mut third = Task::new(queue.get_async());
    assert!(third.poll().is_pending());
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    stuck.until_woken(1);
    let one = other.join().unwrap();
    third.until_woken(1);
    let std::task::Poll::Ready(Ok(two)) = third.poll() else { panic!("it was woken for an item") };
    assert_eq!(one + two, 3);
    assert!(stuck.poll().is_pending());
}

#[test]
fn a_close_ends_streams_and_gives_items_back() {
    let queue = queue(1);
    let runtime = threads();
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = queue.stream();
            runtime.spawn(async move {
                let ended = stream.next().await.is_none();
                ended && stream.next().await.is_none()
            })
        })
        .collect();
    until_asleep(&queue, 1);
    queue.close();
    for stream in streams {
        assert!(runtime.block_on(stream).unwrap());
    }
    assert!(matches!(block_on(queue.get_async()), Err(GetError::Closed)));
    assert!(matches!(block_on(queue.put_async(9)), Err(PutError::Closed(9))));
    assert!(matches!(block_on(queue.sink().send(8)), Err(PutError::Closed(8))));
}

#[test]
fn puts_that_wait_get_their_items_back_at_a_close() {
    let queue = queue(1);
    queue.put(0).unwrap();
    let mut puts: Vec<_> = (1..4).map(|item| Task::new(queue.put_async(item))).collect();
    assert!(puts.iter_mut().all(|put| put.poll().is_pending()));
    queue.close();
    for (item, mut put) in (1..).zip(puts) {
        put.until_woken(1);
        match put.poll() {
            std::task::Poll::Ready(Err(PutError::Closed(back))) => assert_eq!(back, item),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn counted_ends_are_streams_and_sinks_that_count() {
    let queue = queue(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (mut sink, stream) = (producer.sink(), consumer.stream());
    drop((producer, consumer));
    let runtime = one_thread();
    runtime.block_on(async {
        let got = tokio::spawn(stream.try_collect::<Vec<_>>());
        for item in 0..10 {
            sink.feed(item).await.unwrap();
        }
        assert!(!queue.is_closed());
        sink.close().await.unwrap();
        assert!(queue.is_closed());
        assert!(got.await.unwrap().unwrap().into_iter().eq(0..10));
        assert!(matches!(sink.send(1).await, Err(PutError::Closed(1))));
    });
    assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
}

#[test]
fn a_runtime_that_is_dropped_leaves_no_one_behind() {
    let queue = queue(2);
    for runtime in [one_thread(), threads()] {
        for _ in 0..50 {
            let queue = queue.clone();
            runtime.spawn(async move { queue.get_async().await.unwrap() });
        }
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        queue.put(1).unwrap();
        assert_eq!(block_on(queue.get_async()).unwrap(), 1);
    }
}

#[test]
fn a_lease_waits_for_an_item_and_for_an_entry() {
    let queue: Queue<u64> = Queue::options().leases(1).bounded(4).unwrap();
    let mut first = Task::new(queue.lease_async());
    assert!(first.poll().is_pending());
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    first.until_woken(1);
    let std::task::Poll::Ready(Ok(lease)) = first.poll() else {
        panic!("it was woken for an item")
    };
    let mut second = Task::new(queue.lease_async());
    assert!(second.poll().is_pending());
    lease.ack().unwrap();
    second.until_woken(1);
    let std::task::Poll::Ready(Ok(lease)) = second.poll() else { panic!("an entry was free") };
    assert_eq!(*lease, 2);
    // Given back, it wakes whoever waits for an item.
    let mut get = Task::new(queue.get_async());
    assert!(get.poll().is_pending());
    drop(lease);
    get.until_woken(1);
    assert!(matches!(get.poll(), std::task::Poll::Ready(Ok(2))));
}

#[test]
fn an_item_of_a_joinable_queue_waits_for_an_entry_to_owe_in() {
    let queue: Queue<u64> = Queue::options().leases(1).joinable().bounded(4).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let lease = queue.lease().unwrap();
    let mut get = Task::new(queue.get_async());
    assert!(get.poll().is_pending());
    lease.ack().unwrap();
    get.until_woken(1);
    assert!(matches!(get.poll(), std::task::Poll::Ready(Ok(2))));
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn a_timeout_leaves_the_queue_as_it_was() {
    let queue = queue(1);
    one_thread().block_on(async {
        let nothing = timeout(Duration::from_millis(1), queue.get_async()).await;
        assert!(nothing.is_err());
        queue.put_async(1).await.unwrap();
        let full = timeout(Duration::from_millis(1), queue.put_async(2)).await;
        assert!(full.is_err());
        assert_eq!(queue.get_async().await.unwrap(), 1);
        assert!(queue.is_empty());
    });
}

#[test]
fn a_task_waits_for_the_highest_level_of_a_priority_queue_and_for_room_at_one() {
    let queue = PriorityQueue::<u64>::bounded(3, 1).unwrap();
    let mut get = Task::new(queue.get_async());
    assert!(get.poll().is_pending());
    queue.put(1, 7).unwrap();
    get.until_woken(1);
    assert!(matches!(get.poll(), std::task::Poll::Ready(Ok((1, 7)))));
    queue.put(0, 1).unwrap();
    let mut put = Task::new(queue.put_async(0, 2));
    assert!(put.poll().is_pending());
    block_on(queue.put_async(2, 3)).unwrap();
    assert_eq!(block_on(queue.get_async()).unwrap(), (2, 3));
    assert_eq!(block_on(queue.get_async()).unwrap(), (0, 1));
    put.until_woken(1);
    assert!(matches!(put.poll(), std::task::Poll::Ready(Ok(()))));
    queue.close();
    assert_eq!(block_on(queue.get_async()).unwrap(), (0, 2));
    assert!(matches!(block_on(queue.get_async()), Err(GetError::Closed)));
}
