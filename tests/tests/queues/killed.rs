//! Processes that are killed in the middle of whatever they do with a queue.
//!
//! A get is at most once: an item that a consumer took and was killed with is gone. So as many items
//! may be missing as consumers were killed, none may come twice, and none may be torn.

use std::collections::BTreeSet;

use crossproc::{JoinError, JoinHandle, Queue, Segment, TryGetError, TryPutError, Value, spawn};
use tests::dice::Dice;
use tests::outside::until_asleep;

use crate::items::{Block, Item, Long};

const KILLS: usize = 40;

/// Takes items and puts them into another queue, until the first one is closed.
fn work<T: Item>(jobs: Queue<T>, results: Queue<T>) {
    for job in &jobs {
        results.put(job.unwrap()).unwrap();
    }
}

/// Kills a worker, which must have lived until now.
fn kill<R: crossproc::Message + std::fmt::Debug>(worker: JoinHandle<R>) {
    worker.kill().unwrap();
    assert!(matches!(worker.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

/// One party feeds workers and takes their results, and kills them now and then.
struct Foreman<T> {
    jobs: Queue<T>,
    results: Queue<T>,
    fed: u64,
    seen: BTreeSet<u64>,
}

impl<T: Item> Foreman<T> {
    fn new(segment: &Segment, name: &str) -> Self {
        let create = |what| Queue::create(segment, &format!("{name}-{what}"), 5).unwrap();
        Self { jobs: create("jobs"), results: create("results"), fed: 0, seen: BTreeSet::new() }
    }

    fn worker(&self) -> JoinHandle<()> {
        spawn((self.jobs.clone(), self.results.clone()), work::<T>).unwrap()
    }

    fn feed(&mut self) {
        loop {
            match self.jobs.try_put(T::make(1, self.fed)) {
                Ok(()) => self.fed += 1,
                Err(TryPutError::Full(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes the next result.
    fn take(&mut self) {
        let (_, number) = self.results.get().unwrap().read();
        assert!(self.seen.insert(number), "{number} came twice");
    }
}

/// Gives how many items went missing, of how many.
fn killed_workers<T: Item>(segment: &Segment, name: &str, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut foreman = Foreman::<T>::new(segment, name);
    let mut workers: Vec<_> = (0..3).map(|_| foreman.worker()).collect();
    for _ in 0..KILLS {
        foreman.feed();
        for _ in 0..dice.roll(30) {
            foreman.take();
            foreman.feed();
        }
        dice.dither();
        let unlucky = dice.index(&workers);
        kill(workers.swap_remove(unlucky));
        workers.push(foreman.worker());
    }
    foreman.jobs.close();
    while !workers.is_empty() {
        match foreman.results.try_get() {
            Ok(item) => assert!(foreman.seen.insert(item.read().1), "{} came twice", item.read().1),
            Err(TryGetError::Empty) => {
                std::thread::yield_now();
                workers.retain(JoinHandle::is_alive);
            }
            Err(error) => panic!("{error}"),
        }
    }
    while let Ok(item) = foreman.results.try_get() {
        assert!(foreman.seen.insert(item.read().1), "{} came twice", item.read().1);
    }
    assert!(matches!(foreman.jobs.try_get(), Err(TryGetError::Closed)));
    let missing: Vec<_> =
        (0..foreman.fed).filter(|number| !foreman.seen.contains(number)).collect();
    assert!(missing.len() <= KILLS, "{missing:?} of {}", foreman.fed);
    made_good::<T>(segment, name, &missing);
}

/// What went missing is done again, by workers that live: then each was done exactly once.
fn made_good<T: Item>(segment: &Segment, name: &str, missing: &[u64]) {
    let mut foreman = Foreman::<T>::new(segment, &format!("{name}-again"));
    let worker = foreman.worker();
    for &number in missing {
        foreman.jobs.put(T::make(2, number)).unwrap();
        foreman.take();
    }
    foreman.jobs.close();
    worker.join().unwrap();
    assert!(foreman.seen.into_iter().eq(missing.iter().copied()));
}

#[test]
fn killed_workers_lose_at_most_the_item_each_had_taken() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    killed_workers::<(u32, u64)>(&segment, "words", 1);
    killed_workers::<Block>(&segment, "bytes", 2);
    killed_workers::<String>(&segment, "messages", 3);
}

#[test]
fn the_memory_of_long_items_comes_back_from_killed_workers() {
    // Had each killed worker kept one, the segment would be full long before the end.
    let segment = Segment::anonymous(2 << 20).unwrap();
    killed_workers::<Long>(&segment, "long", 4);
}

/// Puts items for as long as it may, and counts those that are in for sure.
fn pour<T: Item>(queue: Queue<T>, from: u32, count: Value<u64>) {
    let mut number = 0;
    loop {
        match queue.put(T::make(from, number)) {
            Ok(()) => number += 1,
            Err(crossproc::PutError::Closed(_)) => return,
            Err(error) => panic!("{error}"),
        }
        count.set(number).unwrap();
    }
}

struct Producer {
    process: JoinHandle<()>,
    from: u32,
    count: Value<u64>,
}

fn killed_producers<T: Item>(seed: u64) {
    let mut dice = Dice::new(seed);
    let segment = Segment::anonymous(2 << 20).unwrap();
    let queue = Queue::<T>::create(&segment, "queue", 4).unwrap();
    let mut begun = 0;
    let mut begin = || {
        begun += 1;
        let (from, count) = (begun, Value::new_in(&segment, 0).unwrap());
        let process = spawn((queue.clone(), from, count.clone()), pour::<T>).unwrap();
        Producer { process, from, count }
    };
    let mut got = vec![0u64; KILLS + 4];
    let mut take = |item: T| {
        let (from, number) = item.read();
        let next = &mut got[from as usize];
        assert_eq!(number, *next, "the next one of {from}");
        *next += 1;
    };
    let mut producers: Vec<_> = (0..3).map(|_| begin()).collect();
    let mut ended = Vec::new();
    for _ in 0..KILLS {
        for _ in 0..dice.roll(30) {
            take(queue.get().unwrap());
        }
        dice.dither();
        let unlucky = dice.index(&producers);
        let Producer { process, from, count } = producers.swap_remove(unlucky);
        kill(process);
        ended.push((from, count, 1));
        producers.push(begin());
    }
    queue.close();
    queue.iter().for_each(|item| take(item.unwrap()));
    for Producer { process, from, count } in producers {
        process.join().unwrap();
        ended.push((from, count, 0));
    }
    for (from, count, slack) in ended {
        let (got, count) = (got[from as usize], count.get());
        // Killed between the put and the count, one more is in.
        assert!((count..=count + slack).contains(&got), "{from}: put {count}, got {got}");
    }
}

#[test]
fn what_a_killed_producer_had_put_arrives_whole_and_in_order_and_nothing_else() {
    killed_producers::<(u32, u64)>(5);
    killed_producers::<Block>(6);
    killed_producers::<String>(7);
    killed_producers::<Long>(8);
}

#[test]
fn a_producer_killed_while_it_waits_takes_no_place() {
    let queue = Queue::<u64>::bounded(3).unwrap();
    for round in 0..5 {
        (0..3).for_each(|number| queue.put(number).unwrap());
        let waiting = spawn((queue.clone(),), |queue| queue.put(77).unwrap()).unwrap();
        until_asleep(waiting.pid());
        kill(waiting);
        assert!(matches!(queue.try_put(4), Err(TryPutError::Full(4))), "round {round}");
        let got: Vec<u64> = (0..3).map(|_| queue.get().unwrap()).collect();
        assert_eq!(got, [0, 1, 2]);
        assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    }
}

#[test]
fn a_wake_that_dies_with_the_woken_is_made_good() {
    let mut dice = Dice::new(9);
    for _ in 0..20 {
        let queue = Queue::<u64>::bounded(2).unwrap();
        let get = || spawn((queue.clone(),), |queue| queue.get().unwrap()).unwrap();
        let (unlucky, other) = (get(), get());
        until_asleep(unlucky.pid());
        until_asleep(other.pid());
        queue.put(1).unwrap();
        dice.dither();
        unlucky.kill().unwrap();
        let taken = unlucky.join().is_ok();
        queue.put(2).unwrap();
        // Whichever item it is, there is one.
        let item = other.join().unwrap();
        assert!([1, 2].contains(&item) && !(taken && item == 1));
    }
}
