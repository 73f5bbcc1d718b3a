//! Processes that are killed while tasks here or there wait.

use std::collections::BTreeSet;
use std::task::Poll;

use crossproc::{Cause, GetError, JoinHandle, PutError, Queue, spawn};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tests::dice::Dice;
use tests::outside::until_asleep;

use crate::tasks::{Task, block_on};
use crate::{kill, one_thread, stand_still, threads};

const KILLS: usize = 40;

#[test]
fn a_stream_ends_when_the_last_producer_is_killed() {
    for runtime in [one_thread(), threads()] {
        let queue = Queue::<u64>::bounded(4).unwrap();
        let producer = spawn((queue.producer().unwrap(),), |producer| {
            producer.put(1).unwrap();
            stand_still();
        });
        let producer: JoinHandle<()> = producer.unwrap();
        let mut stream = queue.stream();
        let first = runtime.block_on(stream.next());
        assert_eq!(first.unwrap().unwrap(), 1);
        let rest = runtime.spawn(stream.try_collect::<Vec<u64>>());
        kill(producer);
        assert!(runtime.block_on(rest).unwrap().unwrap().is_empty());
        assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
        assert!(matches!(block_on(queue.get_async()), Err(GetError::Closed)));
    }
}

#[test]
fn a_put_that_waits_gives_its_item_back_when_the_last_consumer_is_killed() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    let ready = Queue::<()>::bounded(1).unwrap();
    let consumer = spawn((queue.consumer().unwrap(), ready.clone()), |_consumer, ready| {
        ready.put(()).unwrap();
        stand_still();
    });
    let consumer: JoinHandle<()> = consumer.unwrap();
    ready.get().unwrap();
    queue.put(1).unwrap();
    let mut put = Task::new(queue.put_async(2));
    assert!(put.poll().is_pending());
    kill(consumer);
    put.until_woken(1);
    assert!(matches!(put.poll(), Poll::Ready(Err(PutError::Closed(2)))));
}

#[test]
fn what_a_dead_process_left_half_done_is_repaired_for_a_task_that_waits() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let ready = Queue::<()>::bounded(1).unwrap();
    let holder = spawn((queue.clone(), ready.clone()), |queue, ready| {
        // Its place is the first, and nobody gets past it.
        let _place = queue.reserve().unwrap();
        ready.put(()).unwrap();
        stand_still();
    });
    let holder: JoinHandle<()> = holder.unwrap();
    ready.get().unwrap();
    let mut get = Task::new(queue.get_async());
    assert!(get.poll().is_pending());
    queue.put(7).unwrap();
    assert!(get.poll().is_pending());
    let woken = get.bell.rings();
    kill(holder);
    // Nothing happens but the death.
    get.until_woken(woken + 1);
    loop {
        if let Poll::Ready(got) = get.poll() {
            assert_eq!(got.unwrap(), 7);
            break;
        }
    }
}

#[test]
fn a_lease_of_the_dead_comes_to_a_task_that_waits() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let ready = Queue::<()>::bounded(1).unwrap();
    queue.put(7).unwrap();
    let holder = spawn((queue.clone(), ready.clone()), |queue, ready| {
        let _lease = queue.lease().unwrap();
        ready.put(()).unwrap();
        stand_still();
    });
    let holder: JoinHandle<()> = holder.unwrap();
    ready.get().unwrap();
    let mut lease = Task::new(queue.lease_async());
    assert!(lease.poll().is_pending());
    kill(holder);
    lease.until_woken(1);
    let Poll::Ready(Ok(lease)) = lease.poll() else { panic!("it came back") };
    assert_eq!((*lease, lease.deliveries()), (7, 2));
    lease.ack().unwrap();
}

#[test]
fn a_task_whose_process_is_killed_takes_no_wake_with_it() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    for round in 0..10 {
        let sleeper = spawn((queue.clone(),), |queue| {
            one_thread().block_on(queue.get_async()).unwrap();
        });
        let sleeper = sleeper.unwrap();
        until_asleep(sleeper.pid());
        kill(sleeper);
        let mut get = Task::new(queue.get_async());
        assert!(get.poll().is_pending());
        queue.put(round).unwrap();
        get.until_woken(1);
        assert!(matches!(get.poll(), Poll::Ready(Ok(got)) if got == round));
    }
}

/// Moves items from one queue to another by two tasks, until the first is closed.
fn work(jobs: Queue<(u64, String)>, results: Queue<(u64, String)>) {
    threads().block_on(async {
        let tasks = [(jobs.clone(), results.clone()), (jobs, results)].map(|(jobs, results)| {
            tokio::spawn(async move {
                let mut stream = jobs.stream();
                while let Some(job) = stream.next().await {
                    results.put_async(job.unwrap()).await.unwrap();
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn workers_whose_tasks_are_killed_lose_at_most_what_each_had_taken() {
    let jobs = Queue::<(u64, String)>::bounded(3).unwrap();
    let results = Queue::bounded(3).unwrap();
    let start = || spawn((jobs.clone(), results.clone()), work).unwrap();
    let mut workers = [start(), start()];
    let mut dice = Dice::new(11);
    let (mut fed, mut seen) = (0, BTreeSet::new());
    let feed = |fed: &mut usize| {
        while jobs.try_put((*fed as u64, "x".repeat(*fed % 300))).is_ok() {
            *fed += 1;
        }
    };
    let take = |seen: &mut BTreeSet<u64>, item: Result<(u64, String), GetError>| {
        let (number, text) = item.unwrap();
        assert_eq!(text.len() as u64, number % 300);
        assert!(seen.insert(number), "{number} came twice");
    };
    for _ in 0..KILLS {
        for _ in 0..dice.roll(30) {
            feed(&mut fed);
            take(&mut seen, block_on(results.get_async()));
        }
        dice.dither();
        let slot = dice.index(&workers);
        kill(std::mem::replace(&mut workers[slot], start()));
    }
    jobs.close();
    let rest = results.clone();
    let taking = std::thread::spawn(move || rest.iter().collect::<Vec<_>>());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    results.close();
    taking.join().unwrap().into_iter().for_each(|item| take(&mut seen, item));
    // Two tasks each.
    assert!(seen.len() + 2 * KILLS >= fed);
}
