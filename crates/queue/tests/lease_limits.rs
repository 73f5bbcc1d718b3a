//! Leases that run out, and that are extended.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::thread;
use std::time::Duration;

use crossproc_message::Message;
use crossproc_queue::{AckError, GetError, Queue, TryGetError};
use crossproc_segment::Segment;
use crossproc_segment::wait::wait_any;

const LIMIT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(600);
const SURELY: Duration = Duration::from_secs(60);

fn queue<T: Message>(limit: Duration, capacity: usize) -> Queue<T> {
    let segment = Segment::anonymous(1 << 20).unwrap();
    Queue::options().lease_limit(limit).create(&segment, "q", capacity).unwrap()
}

/// The item is handed out again while its first holder lives, and the later one's ack counts.
fn runs_out<T: Message + PartialEq + std::fmt::Debug>(make: fn(u64) -> T) {
    let queue = queue::<T>(LIMIT, 4);
    queue.put(make(1)).unwrap();
    let slow = queue.lease().unwrap();
    let mut again = queue.lease_timeout(SURELY).unwrap();
    again.extend(LONG).unwrap();
    queue.put(make(2)).unwrap();
    let mut second = queue.lease().unwrap();
    second.extend(LONG).unwrap();
    assert_eq!((&*again, again.deliveries(), slow.deliveries()), (&make(1), 2, 1));
    assert_eq!((&*slow, &*second), (&make(1), &make(2)));
    assert_eq!(slow.ack().unwrap_err(), AckError::Expired);
    assert_eq!((queue.leased(), again.ack().unwrap(), queue.leased()), (2, make(1), 1));
    second.ack().unwrap();
    assert_eq!((queue.leased(), queue.len()), (0, 0));
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
}

#[test]
fn an_item_whose_lease_runs_out_is_handed_out_again_and_acknowledged_once() {
    runs_out::<u64>(|n| n);
    runs_out::<[u64; 20]>(|n| [n; 20]);
    runs_out::<String>(|n| n.to_string());
    runs_out::<String>(|n| format!("{n:0500}"));
}

#[test]
fn a_lease_that_ran_out_and_is_dropped_gives_nothing_back() {
    let queue = queue::<u64>(LIMIT, 2);
    queue.put(1).unwrap();
    let slow = queue.lease().unwrap();
    assert_eq!(queue.get_timeout(SURELY).unwrap(), 1);
    slow.nack();
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    assert_eq!(queue.leased(), 0);
}

#[test]
fn a_lease_that_ran_out_can_be_ended_or_extended_while_nobody_noticed() {
    let queue = queue::<u64>(LIMIT, 2);
    for number in 1..4 {
        queue.put(number).unwrap();
        let mut lease = queue.lease().unwrap();
        while lease.time_left() != Some(Duration::ZERO) {
            thread::yield_now();
        }
        match number {
            1 => assert_eq!(lease.ack(), Ok(1)),
            2 => {
                lease.nack();
                assert_eq!(queue.get().unwrap(), 2);
            }
            _ => {
                lease.extend(LONG).unwrap();
                assert!(lease.time_left().unwrap() > LONG / 2);
                assert_eq!(lease.ack(), Ok(3));
            }
        }
    }
}

#[test]
fn an_extended_lease_is_not_taken() {
    let queue = queue::<u64>(Duration::from_secs(1), 2);
    queue.put(1).unwrap();
    let mut lease = queue.lease().unwrap();
    lease.extend(LONG).unwrap();
    // Never shorter.
    lease.extend(Duration::ZERO).unwrap();
    assert!(lease.time_left().unwrap() > LONG / 2);
    // Its own end has passed by then.
    let nothing = queue.get_timeout(Duration::from_millis(1200));
    assert!(matches!(nothing, Err(TryGetError::Empty)));
    assert_eq!(lease.ack(), Ok(1));
}

#[test]
fn a_lease_that_is_anothers_cannot_be_extended() {
    let queue = queue::<u64>(LIMIT, 2);
    queue.put(1).unwrap();
    let mut slow = queue.lease().unwrap();
    let again = queue.lease_timeout(SURELY).unwrap();
    assert_eq!(slow.extend(LONG), Err(AckError::Expired));
    drop(again);
    assert_eq!(slow.ack(), Err(AckError::Expired));
    assert_eq!(queue.get().unwrap(), 1);
}

#[test]
fn a_lease_without_a_limit_lasts_and_extending_it_changes_nothing() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<u64>::create(&segment, "q", 2).unwrap();
    assert_eq!(queue.lease_limit(), None);
    queue.put(1).unwrap();
    let mut lease = queue.lease().unwrap();
    assert_eq!((lease.extend(Duration::ZERO), lease.time_left()), (Ok(()), None));
    assert_eq!(lease.ack(), Ok(1));
}

#[test]
fn the_limit_is_the_queues_and_kept_within_bounds() {
    for (asked, limit) in [
        (LIMIT, LIMIT),
        (Duration::ZERO, Duration::from_nanos(1)),
        (Duration::MAX, Duration::from_secs(100 * 86_400)),
    ] {
        let queue = queue::<u64>(asked, 2);
        let other = Queue::<u64>::open(queue.segment(), "q").unwrap();
        assert_eq!((queue.lease_limit(), other.lease_limit()), (Some(limit), Some(limit)));
        queue.put(1).unwrap();
        let mut lease = other.lease().unwrap();
        assert!(lease.time_left().unwrap() <= limit + Duration::from_millis(5));
        assert_eq!(lease.extend(Duration::MAX), Ok(()));
        assert_eq!(lease.ack(), Ok(1));
    }
}

#[test]
fn join_waits_for_the_item_of_a_lease_that_ran_out() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let options = Queue::<u64>::options().lease_limit(LIMIT).joinable();
    let queue = options.create(&segment, "q", 2).unwrap();
    queue.put(1).unwrap();
    let slow = queue.lease().unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            assert_eq!(queue.get_timeout(SURELY).unwrap(), 1);
            assert!(queue.try_join().is_err(), "owed");
            queue.task_done().unwrap();
        });
        queue.join().unwrap();
        worker.join().unwrap();
    });
    assert_eq!(slow.ack(), Err(AckError::Expired));
}

/// A counted handle in the item is on loan until the ack, and there again where the lease ran out.
#[test]
fn a_counted_handle_in_an_item_whose_lease_ran_out_comes_again() {
    let segment = Segment::anonymous(4 << 20).unwrap();
    let work = Queue::<u64>::create(&segment, "work", 4).unwrap();
    let options = Queue::options().lease_limit(LIMIT);
    let ends = options.create(&segment, "ends", 4).unwrap();
    ends.put(work.producer().unwrap()).unwrap();
    let slow = ends.lease().unwrap();
    slow.put(1).unwrap();
    let again = ends.lease_timeout(SURELY).unwrap();
    assert_eq!(slow.ack().map(drop), Err(AckError::Expired));
    again.put(2).unwrap();
    assert_eq!((work.get().unwrap(), work.get().unwrap(), work.is_closed()), (1, 2, false));
    drop(again.ack().unwrap());
    assert!(work.get().is_err(), "the last producer is gone");
}

/// A late holder drops its due, and one that extends keeps it.
#[test]
fn a_counted_handle_in_an_item_whose_lease_was_extended_counts_once_it_is_acknowledged() {
    let segment = Segment::anonymous(4 << 20).unwrap();
    let work = Queue::<u64>::create(&segment, "work", 4).unwrap();
    let ends = Queue::options().lease_limit(LONG).create(&segment, "ends", 4).unwrap();
    ends.put(work.producer().unwrap()).unwrap();
    let mut lease = ends.lease().unwrap();
    lease.extend(2 * LONG).unwrap();
    let producer = lease.ack().unwrap();
    producer.put(1).unwrap();
    assert_eq!((work.get().unwrap(), work.is_closed()), (1, false));
    drop(producer);
    assert!(matches!(work.get(), Err(GetError::Closed)), "it is counted here, and not on loan");
}

/// What this process has on lease itself does not keep a closed queue open, but what ran out does.
#[test]
fn a_closed_queue_is_not_at_its_end_while_an_own_lease_has_run_out() {
    let queue = queue::<u64>(LIMIT, 4);
    for number in 1..4 {
        queue.put(number).unwrap();
    }
    let (got, leased, left) = (queue.lease(), queue.lease(), queue.lease());
    queue.close();
    for lease in [&got, &leased, &left] {
        while lease.as_ref().unwrap().time_left() != Some(Duration::ZERO) {
            thread::yield_now();
        }
    }
    // Whenever the last look was.
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.lease().unwrap().ack(), Ok(2));
    assert_eq!(queue.try_get().unwrap(), 3);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    for lease in [got, leased, left] {
        assert_eq!(lease.unwrap().ack(), Err(AckError::Expired));
    }
}

#[test]
fn one_who_waits_for_an_entry_or_by_wait_any_hears_of_a_lease_that_ran_out() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let options = Queue::options().leases(1).lease_limit(LIMIT);
    let queue: Queue<u64> = options.create(&segment, "q", 4).unwrap();
    queue.put(1).unwrap();
    let slow = queue.lease().unwrap();
    // No entry is free, and there is an item that needs one.
    queue.put(2).unwrap();
    let again = queue.lease_timeout(SURELY).unwrap();
    assert_eq!(*again, 1);
    assert_eq!(queue.get_timeout(SURELY).unwrap(), 2);
    assert_eq!(wait_any(&[&queue], SURELY).unwrap(), [0]);
    assert_eq!(queue.try_get().unwrap(), 1);
    assert!([slow.ack(), again.ack()].iter().all(|ack| *ack == Err(AckError::Expired)));
}

/// Threads whose leases run out under them: every item is acknowledged by one of them.
#[test]
fn of_all_who_had_an_item_one_acknowledges_it() {
    const ITEMS: u64 = 300;
    let queue = queue::<u64>(Duration::from_nanos(1), 8);
    let acked: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut acked = Vec::new();
                    while let Ok(lease) = queue.lease() {
                        // Some are through before their end, and some are not.
                        for _ in 0..(*lease + u64::from(lease.deliveries())) % 3 * 40 {
                            thread::yield_now();
                        }
                        match lease.ack() {
                            Ok(number) => acked.push(number),
                            Err(error) => assert_eq!(error, AckError::Expired),
                        }
                    }
                    acked
                })
            })
            .collect();
        (0..ITEMS).for_each(|number| queue.put(number).unwrap());
        queue.close();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    // What ran out as the last worker of this process left is there for the next one.
    let left = std::iter::from_fn(|| queue.get_timeout(Duration::from_millis(150)).ok());
    let mut all: Vec<u64> = acked.into_iter().chain(left).collect();
    all.sort_unstable();
    assert_eq!(all, (0..ITEMS).collect::<Vec<_>>());
}
