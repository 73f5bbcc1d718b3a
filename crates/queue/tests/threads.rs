//! Many producers and many consumers, as threads.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;
use std::thread;

use crossproc_message::Message;
use crossproc_queue::{Queue, TryGetError, TryPutError};

const EACH: u32 = 4000;

/// Every item once, and those of one producer in order at each consumer.
fn all_arrive<T: Message>(
    capacity: usize,
    is_blocking: bool,
    make: impl Fn(u32, u32) -> T + Sync,
    read: impl Fn(T) -> (u32, u32) + Sync,
) {
    let queue = Queue::<T>::bounded(capacity).unwrap();
    let all = Mutex::new(Vec::new());
    let produce = |producer| {
        for number in 0..EACH {
            let mut item = make(producer, number);
            if is_blocking {
                queue.put(item).unwrap();
                continue;
            }
            while let Err(error) = queue.try_put(item) {
                assert!(matches!(error, TryPutError::Full(_)), "{error}");
                item = error.into_item();
                thread::yield_now();
            }
        }
    };
    let consume = || {
        let mut seen = Vec::new();
        loop {
            let item = if is_blocking { queue.get().map_err(Into::into) } else { queue.try_get() };
            match item {
                Ok(item) => seen.push(read(item)),
                Err(TryGetError::Closed) => break,
                Err(TryGetError::Empty) => thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
        for producer in 0..3 {
            assert!(seen.iter().filter(|(from, _)| *from == producer).is_sorted());
        }
        all.lock().unwrap().extend(seen);
    };
    thread::scope(|scope| {
        let producers: Vec<_> = (0..3).map(|n| scope.spawn(move || produce(n))).collect();
        for _ in 0..3 {
            scope.spawn(consume);
        }
        for producer in producers {
            producer.join().unwrap();
        }
        queue.close();
    });
    let mut all = all.into_inner().unwrap();
    all.sort_unstable();
    assert!(all.iter().copied().eq((0..3).flat_map(|p| (0..EACH).map(move |n| (p, n)))));
}

#[test]
fn small_items_arrive_once_and_in_order() {
    for capacity in [1, 3, 64] {
        for is_blocking in [true, false] {
            all_arrive(capacity, is_blocking, |p, n| (p, n), |item| item);
        }
    }
}

#[test]
fn large_items_arrive_once_and_in_order() {
    let make = |p, n| [[p, n]; 30];
    let read = |item: [[u32; 2]; 30]| {
        assert!(item.iter().all(|pair| *pair == item[0]), "torn");
        (item[0][0], item[0][1])
    };
    for (capacity, is_blocking) in [(1, true), (3, false), (64, true)] {
        all_arrive(capacity, is_blocking, make, read);
    }
}

#[test]
fn messages_arrive_once_and_in_order() {
    let make = |p: u32, n: u32| (p, n, "x".repeat(n as usize % 400));
    let read = |(p, n, text): (u32, u32, String)| {
        assert_eq!(text, "x".repeat(n as usize % 400));
        (p, n)
    };
    for (capacity, is_blocking) in [(1, true), (3, false), (64, true)] {
        all_arrive(capacity, is_blocking, make, read);
    }
}
