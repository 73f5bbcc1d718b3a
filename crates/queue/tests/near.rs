//! Lessees that leave `head` behind, over long ways: laps that begin again, threads that share a handle, and
//! all others beside them.
#![cfg(not(crossproc_loom))]

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossproc_queue::raw::{LAP_BITS, Position, SLOTS_OFFSET, Word};
use crossproc_queue::{GetError, Queue, TryGetError};
use crossproc_segment::{Object, Segment, Shape};

const CAPACITIES: [usize; 5] = [1, 2, 3, 16, 17];
const LAST_LAP: u64 = (1 << LAP_BITS) - 1;
const HEAD: usize = 0;
const TAIL: usize = 128;
const RETURNS: usize = 664;
/// Words of a slot of a `Queue<u64>`, in bytes.
const SLOT: usize = 16;

fn word(object: &Object, offset: usize) -> &AtomicU64 {
    // SAFETY: the header and the slots of these queues are longer.
    let word = unsafe { object.body().add(offset) };
    // SAFETY: an atomic word, which is only reached as one.
    unsafe { word.cast::<AtomicU64>().as_ref() }
}

/// An empty queue whose laps begin again after three more.
fn near_the_last_lap(capacity: usize) -> (Queue<u64>, Object) {
    let segment = Segment::anonymous(1 << 20).expect("room");
    let queue = Queue::<u64>::create(&segment, "q", capacity).expect("room");
    let object = segment.find("q", &Shape::of::<u64>("queue", 3)).expect("it is there");
    let start = (LAST_LAP - 3) * Position::A_LAP;
    for slot in 0..capacity {
        let free = Word::free(Position::from_bits(start).lap());
        word(&object, SLOTS_OFFSET + slot * SLOT).store(free.bits(), Relaxed);
    }
    word(&object, HEAD).store(start, Relaxed);
    word(&object, TAIL).store(start, Relaxed);
    (queue, object)
}

/// How far `head` is behind `tail`, in a queue with no item.
fn lag(capacity: usize, object: &Object) -> u32 {
    let [head, tail] = [HEAD, TAIL].map(|at| Position::from_bits(word(object, at).load(Relaxed)));
    tail.past(head, u32::try_from(capacity).expect("small"))
}

#[test]
fn head_is_left_behind_no_further_where_laps_begin_again() {
    for capacity in CAPACITIES {
        let (queue, object) = near_the_last_lap(capacity);
        for number in 0..300_000 {
            queue.put(number).unwrap();
            let lease = queue.lease().unwrap();
            assert_eq!(*lease, number);
            lease.ack().unwrap();
            assert!(lag(capacity, &object) < 16, "capacity {capacity}, item {number}");
        }
        assert!(matches!(queue.try_lease(), Err(TryGetError::Empty)));
        queue.put(7).unwrap();
        let other = queue.clone();
        assert_eq!((other.len(), other.peek().unwrap(), other.try_get().unwrap()), (1, 7, 7));
        let nothing = queue.get_timeout(Duration::from_millis(1));
        assert!(matches!(nothing, Err(TryGetError::Empty)));
    }
}

#[test]
fn what_came_back_is_found_however_often_that_was() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<u64>::create(&segment, "q", 4).unwrap();
    let object = segment.find("q", &Shape::of::<u64>("queue", 3)).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.lease().unwrap().nack();
    // As after 2^32 - 1 returns more.
    word(&object, RETURNS).store(u64::MAX << 32 | 1, Relaxed);
    for _ in 0..3 {
        assert_eq!(queue.peek().unwrap(), 1);
    }
    assert_eq!((queue.try_get().unwrap(), queue.try_get().unwrap()), (1, 2));
}

/// Two threads share a handle, one leases by its own, and one gets.
#[test]
fn each_item_comes_once_and_in_order_to_lessees_and_getters_together() {
    const ITEMS: u64 = 20_000;
    for capacity in CAPACITIES {
        let queue = Queue::<u64>::bounded(capacity).unwrap();
        let (shared, all) = (queue.clone(), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..ITEMS).for_each(|number| queue.put(number).unwrap());
                queue.close();
            });
            for kind in 0..4 {
                let (shared, all, own) = (&shared, &all, queue.clone());
                scope.spawn(move || {
                    let handle = if kind < 2 { shared } else { &own };
                    let next = || match kind {
                        3 => handle.get(),
                        _ => handle.lease().map(|lease| lease.ack().unwrap()),
                    };
                    let mut got = Vec::new();
                    let end = loop {
                        match next() {
                            Ok(item) => got.push(item),
                            Err(end) => break end,
                        }
                    };
                    assert!(matches!(end, GetError::Closed), "{end:?}");
                    assert!(got.is_sorted(), "capacity {capacity}");
                    all.lock().unwrap().extend(got);
                });
            }
        });
        let mut all = all.into_inner().unwrap();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..ITEMS), "capacity {capacity}");
    }
}
