//! Producers and consumers that live.

use std::collections::BTreeMap;

use crossproc::{JoinHandle, Queue, TryGetError, spawn};
use tests::outside::{go_on, stop, until_asleep};

use crate::items::{Block, Item};

fn produce<T: Item>(queue: Queue<T>, from: u32, count: u64) {
    for number in 0..count {
        queue.put(T::make(from, number)).unwrap();
    }
}

fn consume<T: Item>(queue: Queue<T>) -> Vec<(u32, u64)> {
    queue.iter().map(|item| item.unwrap().read()).collect()
}

/// Three processes put `count` items each, three take them.
fn each_arrives_once_and_in_order<T: Item>(capacity: usize, count: u64) {
    let queue = Queue::<T>::bounded(capacity).unwrap();
    let producers: Vec<_> =
        (0..3).map(|from| spawn((queue.clone(), from, count), produce::<T>).unwrap()).collect();
    let consumers: Vec<_> =
        (0..3).map(|_| spawn((queue.clone(),), consume::<T>).unwrap()).collect();
    for producer in producers {
        producer.join().unwrap();
    }
    queue.close();
    let mut all = Vec::new();
    for consumer in consumers {
        let got = consumer.join().unwrap();
        let mut last = BTreeMap::new();
        for &(from, number) in &got {
            let before = last.insert(from, number);
            assert!(before.is_none_or(|before| before < number), "{from}: {before:?}, {number}");
        }
        all.extend(got);
    }
    all.sort_unstable();
    let expected: Vec<_> = (0..3).flat_map(|from| (0..count).map(move |n| (from, n))).collect();
    assert!(all == expected, "{} of {} items", all.len(), expected.len());
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
}

#[test]
fn items_of_every_form_arrive_once_and_in_order() {
    each_arrives_once_and_in_order::<(u32, u64)>(7, 3000);
    each_arrives_once_and_in_order::<Block>(5, 1500);
    each_arrives_once_and_in_order::<String>(10, 1500);
    each_arrives_once_and_in_order::<(u32, u64)>(1, 500);
}

#[test]
fn two_hundred_processes_share_a_queue() {
    const PROCESSES: u64 = 200;
    let (there, back) = (Queue::bounded(16).unwrap(), Queue::bounded(16).unwrap());
    let processes: Vec<JoinHandle<u64>> = (0..PROCESSES)
        .map(|number| {
            spawn((number, there.clone(), back.clone()), |number, there: Queue<u64>, back| {
                there.put(number).unwrap();
                Queue::<u64>::get(&back).unwrap()
            })
            .unwrap()
        })
        .collect();
    let mut seen: Vec<u64> = (0..PROCESSES).map(|_| there.get().unwrap()).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..PROCESSES));
    // All of them wait now, and each gets one.
    assert!(there.is_empty());
    for number in 0..PROCESSES {
        back.put(number).unwrap();
    }
    let mut got: Vec<u64> = processes.into_iter().map(|process| process.join().unwrap()).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..PROCESSES));
}

#[test]
fn a_stopped_consumer_keeps_nobody_from_the_items() {
    let queue = Queue::<u64>::bounded(4).unwrap();
    let get = || spawn((queue.clone(),), |queue| queue.get().unwrap()).unwrap();
    let stopped = get();
    until_asleep(stopped.pid());
    stop(stopped.pid());
    // It may well be the one that is woken; the other ones see the items even so.
    let others = [get(), get()];
    for number in [1, 2] {
        queue.put(number).unwrap();
    }
    let mut got = others.map(|other| other.join().unwrap());
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
    go_on(stopped.pid());
    queue.put(3).unwrap();
    assert_eq!(stopped.join().unwrap(), 3);
}

#[test]
fn a_full_queue_holds_its_producers_until_there_is_room() {
    let queue = Queue::<u64>::bounded(3).unwrap();
    (0..3).for_each(|number| queue.put(number).unwrap());
    let producers: Vec<_> = (3..6)
        .map(|number| spawn((queue.clone(), number), |queue, number| queue.put(number).unwrap()))
        .map(Result::unwrap)
        .collect();
    producers.iter().for_each(|producer| until_asleep(producer.pid()));
    assert_eq!(queue.len(), 3);
    let mut got: Vec<u64> = (0..6).map(|_| queue.get().unwrap()).collect();
    assert_eq!(got[..3], [0, 1, 2]);
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4, 5]);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
}
