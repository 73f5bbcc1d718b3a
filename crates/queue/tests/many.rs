//! Runs of items, looks at the first, and all that are ready.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{GetError, Queue, TryGetError, TryPutError};
use serde::{Deserialize, Serialize, Serializer};

const AT_ONCE: Duration = Duration::from_millis(1);

fn runs_go_through<T: Message + Clone + PartialEq + Sync + std::fmt::Debug>(items: &[T]) {
    for capacity in [1, 2, 3, 64, 200] {
        let queue = Queue::<T>::bounded(capacity).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| queue.put_many(items).unwrap());
            let mut got = Vec::new();
            while got.len() < items.len() {
                assert!(queue.get_many(&mut got, 7).unwrap() > 0);
            }
            assert_eq!(got, items);
        });
        assert!(queue.is_empty());
    }
}

#[test]
fn runs_of_every_form_go_through_in_order() {
    runs_go_through(&(0..500).collect::<Vec<u64>>());
    runs_go_through(&[(); 100]);
    runs_go_through(&(0..300).map(|n| [n; 8]).collect::<Vec<[u64; 8]>>());
    runs_go_through(&(0..100).map(|n| [n; 30]).collect::<Vec<[u64; 30]>>());
    runs_go_through(&(0..100).map(|n| "x".repeat(n * 5)).collect::<Vec<String>>());
}

#[test]
fn a_try_takes_what_there_is_and_puts_what_there_is_room_for() {
    let queue = Queue::<u32>::bounded(5).unwrap();
    assert_eq!(queue.try_put_many(&[]).unwrap(), 0);
    assert_eq!(queue.try_put_many(&[1, 2, 3]).unwrap(), 3);
    assert_eq!(queue.try_put_many(&[4, 5, 6]).unwrap(), 2);
    assert_eq!(queue.put_many_timeout(&[6, 7], AT_ONCE).unwrap(), 0);
    let mut got = Vec::new();
    assert_eq!(queue.try_get_many(&mut got, 0).unwrap(), 0);
    assert_eq!(queue.try_get_many(&mut got, 2).unwrap(), 2);
    assert_eq!(queue.get_many_timeout(&mut got, 9, AT_ONCE).unwrap(), 3);
    assert_eq!(got, [1, 2, 3, 4, 5]);
    assert!(matches!(queue.try_get_many(&mut got, 9), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_many_timeout(&mut got, 9, AT_ONCE), Err(TryGetError::Empty)));
}

#[test]
fn a_closed_queue_says_how_far_it_came() {
    let queue = Queue::<u32>::bounded(2).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| queue.put_many(&[1, 2, 3]).unwrap_err());
        while !queue.is_full() {
            thread::yield_now();
        }
        queue.close();
        let error = putter.join().unwrap();
        assert_eq!(error.put, 2);
        assert!(matches!(error.error, TryPutError::Closed(())));
    });
    let mut got = Vec::new();
    assert_eq!(queue.get_many(&mut got, 9).unwrap(), 2);
    assert!(matches!(queue.get_many(&mut got, 9), Err(GetError::Closed)));
}

/// Odd numbers cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 2 {
            0 => serializer.serialize_newtype_struct("Even", &self.0),
            _ => Err(serde::ser::Error::custom("odd")),
        }
    }
}

#[test]
fn an_item_that_cannot_be_written_ends_the_run_before_it() {
    let queue = Queue::<Even>::bounded(9).unwrap();
    let error = queue.put_many(&[0, 2, 4, 5, 6].map(Even)).unwrap_err();
    assert_eq!(error.put, 3);
    assert!(matches!(error.error, TryPutError::Encode { .. }), "{error}");
    let got: Vec<Even> = queue.drain().map(Result::unwrap).collect();
    assert_eq!(got, [0, 2, 4].map(Even));
}

#[test]
fn many_producers_and_consumers_of_runs_lose_and_double_nothing() {
    const OF_EACH: u64 = 20_000;
    let queue = Queue::<u64>::bounded(50).unwrap();
    let (sum, count) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let producers: Vec<_> = [(0, 1), (1, 31), (2, 100)]
            .map(|(producer, of_run)| {
                let queue = queue.clone();
                scope.spawn(move || {
                    let items: Vec<u64> = (0..OF_EACH).map(|n| n * 3 + producer).collect();
                    for items in items.chunks(of_run) {
                        queue.put_many(items).unwrap();
                    }
                })
            })
            .into();
        for most in [1, 10, 100] {
            let (queue, sum, count) = (queue.clone(), &sum, &count);
            scope.spawn(move || {
                let mut got = Vec::new();
                let mut last = [None; 3];
                while queue.get_many(&mut got, most).is_ok() {
                    for item in got.drain(..) {
                        let last = &mut last[(item % 3) as usize];
                        assert!(last.is_none_or(|last| last < item), "order of one producer");
                        *last = Some(item);
                        sum.fetch_add(item, SeqCst);
                        count.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        queue.close();
    });
    let all = OF_EACH * 3;
    assert_eq!((count.into_inner(), sum.into_inner()), (all, all * (all - 1) / 2));
}

#[test]
fn a_look_takes_nothing() {
    let queue = Queue::<String>::bounded(4).unwrap();
    assert!(matches!(queue.peek(), Err(TryGetError::Empty)));
    for text in ["short".to_owned(), "long".repeat(1000)] {
        queue.put(text.clone()).unwrap();
        assert_eq!((queue.peek().unwrap(), queue.peek().unwrap()), (text.clone(), text.clone()));
        assert_eq!(queue.get().unwrap(), text);
    }
    let (small, large) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
    small.put(7_u8).unwrap();
    large.put([7_u64; 20]).unwrap();
    assert_eq!((small.peek().unwrap(), large.peek().unwrap()), (7, [7; 20]));
    assert_eq!((small.len(), large.len()), (1, 1));
    small.close();
    assert_eq!(small.get().unwrap(), 7);
    assert!(matches!(small.peek(), Err(TryGetError::Closed)));
}

#[test]
fn whoever_drains_ends_where_nothing_is_ready() {
    let queue = Queue::<u8>::bounded(3).unwrap();
    assert_eq!(queue.drain().count(), 0);
    queue.put_many(&[1, 2, 3]).unwrap();
    queue.close();
    assert_eq!(queue.drain().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3]);
    assert_eq!(queue.drain().count(), 0);
}

/// Whether who waits sleeps by now or comes later: the item is on lease, then it is back.
fn gets_what_comes_back(get: impl Fn(&Queue<u32>) -> Vec<u32> + Sync) {
    let queue = Queue::<u32>::bounded(4).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| get(&queue));
        queue.put(7).unwrap();
        // Or the waiter was faster.
        if let Ok(lease) = queue.try_lease() {
            lease.nack();
        }
        assert_eq!(waiter.join().unwrap(), [7]);
    });
}

#[test]
fn who_slept_before_the_first_lease_gets_what_comes_back() {
    for _ in 0..100 {
        gets_what_comes_back(|queue| vec![queue.get().unwrap()]);
        gets_what_comes_back(|queue| vec![queue.get_timeout(Duration::from_secs(60)).unwrap()]);
        gets_what_comes_back(|queue| {
            let mut got = Vec::new();
            queue.get_many(&mut got, 9).unwrap();
            got
        });
    }
}
