//! Items of about a line each, whose consumers keep a distance: through rings that are shorter than that and
//! longer, taken in each way, by one and by several.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::thread;
use std::time::Duration;

use crossproc_queue::{GetError, Queue, TryGetError};

type Item = [u64; 8];

const CAPACITIES: [usize; 7] = [1, 2, 31, 32, 33, 64, 1000];
const ITEMS: u64 = 10_000;
const SECONDS: Duration = Duration::from_secs(60);

fn item(number: u64) -> Item {
    core::array::from_fn(|word| number + word as u64)
}

/// The ways to take one; `None` at the end.
type Way = fn(&Queue<Item>) -> Option<Item>;

const WAYS: [(&str, Way); 5] = [
    ("get", |queue| match queue.get() {
        Ok(item) => Some(item),
        Err(GetError::Closed) => None,
        Err(error) => panic!("{error}"),
    }),
    ("get_timeout", |queue| taken(queue.get_timeout(SECONDS))),
    ("try_get", |queue| trying(|| queue.try_get())),
    ("lease", |queue| match queue.lease() {
        Ok(lease) => Some(lease.ack().unwrap()),
        Err(GetError::Closed) => None,
        Err(error) => panic!("{error}"),
    }),
    ("try_lease", |queue| trying(|| queue.try_lease().map(|lease| lease.ack().unwrap()))),
];

fn taken(got: Result<Item, TryGetError>) -> Option<Item> {
    match got {
        Ok(item) => Some(item),
        Err(TryGetError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn trying(mut attempt: impl FnMut() -> Result<Item, TryGetError>) -> Option<Item> {
    loop {
        match attempt() {
            Err(TryGetError::Empty | TryGetError::AllLeased) => thread::yield_now(),
            got => return taken(got),
        }
    }
}

#[test]
fn one_takes_all_in_order() {
    for capacity in CAPACITIES {
        for (name, way) in WAYS {
            let queue = Queue::<Item>::bounded(capacity).unwrap();
            thread::scope(|scope| {
                let putting = queue.clone();
                scope.spawn(move || {
                    for number in 0..ITEMS {
                        putting.put(item(number)).unwrap();
                    }
                    putting.close();
                });
                for number in 0..ITEMS {
                    assert_eq!(way(&queue), Some(item(number)), "{name}, capacity {capacity}");
                }
                assert_eq!(way(&queue), None, "{name}, capacity {capacity}");
            });
        }
    }
}

#[test]
fn several_take_each_once() {
    for capacity in CAPACITIES {
        let queue = Queue::<Item>::bounded(capacity).unwrap();
        let mut numbers = thread::scope(|scope| {
            for producer in 0..2 {
                let putting = queue.clone().producer().unwrap();
                scope.spawn(move || {
                    for number in 0..ITEMS / 2 {
                        putting.put(item(2 * number + producer)).unwrap();
                    }
                });
            }
            let takers = WAYS.map(|(_, way)| {
                let queue = queue.clone();
                scope.spawn(move || {
                    let mut numbers = Vec::new();
                    while let Some(got) = way(&queue) {
                        assert_eq!(got, item(got[0]));
                        numbers.push(got[0]);
                    }
                    // Of each producer in order.
                    for parity in 0..2 {
                        assert!(numbers.iter().filter(|number| *number % 2 == parity).is_sorted());
                    }
                    numbers
                })
            });
            takers.map(|taker| taker.join().unwrap()).concat()
        });
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..ITEMS), "capacity {capacity}");
    }
}

/// What is there is taken, however few follow.
#[test]
fn few_items_are_all_had_at_once() {
    for (name, way) in WAYS {
        let queue = Queue::<Item>::bounded(100).unwrap();
        let mut next = 0;
        for few in (1..40).cycle().take(1000) {
            for number in next..next + few {
                queue.try_put(item(number)).unwrap();
            }
            for number in next..next + few {
                assert_eq!(way(&queue), Some(item(number)), "{name}, {few} in a row");
            }
            next += few;
        }
    }
}

#[test]
fn short_messages_keep_their_order() {
    for capacity in CAPACITIES {
        let queue = Queue::<String>::bounded(capacity).unwrap();
        thread::scope(|scope| {
            let putting = queue.clone();
            scope.spawn(move || {
                for number in 0..ITEMS {
                    putting.put(format!("{number:032}")).unwrap();
                }
                putting.close();
            });
            for number in 0..ITEMS {
                assert_eq!(queue.get().unwrap(), format!("{number:032}"), "capacity {capacity}");
            }
            assert!(matches!(queue.get(), Err(GetError::Closed)));
        });
    }
}
