//! Counted producers and consumers within one process: who counts, and what the last one does.
//!
//! The names follow the behaviours of disconnected channels of crossbeam-channel and std's mpsc.
#![cfg(not(crossproc_loom))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::thread;
use std::time::Duration;

use crossproc_message::{decode, encode};
use crossproc_queue::raw::{Gate, Gone, Place, Row};
use crossproc_queue::{
    Cause, Consumer, Error, GetError, Producer, PutError, Queue, TryGetError, TryPutError,
};
use crossproc_segment::wait::wait_any;
use crossproc_segment::{MemberId, Segment};
use crossproc_sys::clock::Deadline;

fn queue(capacity: usize) -> Queue<u64> {
    Queue::bounded(capacity).unwrap()
}

/// A message and back, in this process.
fn sent<T: crossproc_message::Message>(item: &T) -> T {
    let mut bytes = Vec::new();
    let sent = encode(item, &mut bytes).unwrap();
    decode(&bytes, sent.segments).unwrap()
}

/// Waits until `threads` of this process sleep.
fn until_waiting(queue: &Queue<u64>, threads: usize) {
    while crossproc_segment::wait::waiters(queue.segment()).len() < threads {
        thread::yield_now();
    }
}

#[test]
fn what_was_put_is_got_after_the_last_producer_is_dropped() {
    let queue = queue(4);
    let producer = queue.producer().unwrap();
    for item in 1..=3 {
        producer.put(item).unwrap();
    }
    assert!(!queue.is_closed());
    drop(producer);
    assert!(queue.is_closed());
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.try_get().unwrap(), 2);
    assert_eq!(queue.get_timeout(Duration::ZERO).unwrap(), 3);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.try_get(), Err(TryGetError::Closed)));
    assert!(matches!(queue.get_timeout(Duration::MAX), Err(TryGetError::Closed)));
    assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
}

#[test]
fn items_come_back_after_the_last_consumer_is_dropped() {
    let queue = queue(1);
    let producer = queue.producer().unwrap();
    let consumer = queue.consumer().unwrap();
    producer.put(1).unwrap();
    drop(consumer);
    assert!(matches!(producer.put(2), Err(PutError::Closed(2))));
    assert!(matches!(producer.try_put(3), Err(TryPutError::Closed(3))));
    assert!(matches!(producer.put_timeout(4, Duration::MAX), Err(TryPutError::Closed(4))));
    assert!(producer.is_closed());
    assert_eq!(queue.why_closed(), Some(Cause::NoConsumers));
    // Nobody took it, and whoever has a plain handle still can.
    assert_eq!(queue.close_now().into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_queue_of_which_nobody_is_counted_closes_by_close_alone() {
    let queue = queue(1);
    drop(queue.clone());
    queue.put(1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(!queue.is_closed());
    assert_eq!((queue.producers_counted(), queue.consumers_counted()), (0, 0));
    queue.close();
    assert_eq!(queue.why_closed(), Some(Cause::Called));
}

#[test]
fn each_side_is_counted_by_itself() {
    let queue = queue(1);
    let consumer = queue.consumer().unwrap();
    // No producer was ever counted: that there is none says nothing.
    queue.put(1).unwrap();
    assert_eq!(consumer.get().unwrap(), 1);
    assert!(matches!(consumer.get_timeout(Duration::from_millis(20)), Err(TryGetError::Empty)));
    assert!(!consumer.is_closed());
}

#[test]
fn clones_count() {
    let queue = queue(1);
    let first = queue.producer().unwrap();
    let clones: Vec<_> = (0..10).map(|_| first.clone()).collect();
    assert_eq!(queue.producers_counted(), 11);
    drop(first);
    for (left, clone) in (0..10).rev().zip(clones) {
        assert!(!queue.is_closed());
        drop(clone);
        assert_eq!(queue.producers_counted(), left);
    }
    assert!(queue.is_closed());
}

#[test]
fn consumers_count_as_producers_do() {
    let queue = queue(1);
    let first = queue.consumer().unwrap();
    let second = queue.consumer().unwrap();
    let third = second.clone();
    drop((first, second));
    assert!(!queue.is_closed());
    assert_eq!(queue.consumers_counted(), 1);
    drop(third);
    assert!(queue.is_closed());
}

#[test]
fn a_side_that_was_over_once_stays_over() {
    let queue = queue(1);
    drop(queue.producer().unwrap());
    let late = queue.producer().unwrap();
    assert!(matches!(late.put(1), Err(PutError::Closed(1))));
    assert_eq!(queue.producers_counted(), 0);
    let clone = late.clone();
    drop(late);
    assert!(matches!(clone.try_put(1), Err(TryPutError::Closed(1))));
}

#[test]
fn a_consumer_that_waits_is_told_of_the_last_producer_at_once() {
    let queue = queue(1);
    let (first, last) = (queue.producer().unwrap(), queue.producer().unwrap());
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.get())).collect();
        until_waiting(&queue, 3);
        drop(first);
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        drop(last);
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), Err(GetError::Closed)));
        }
    });
}

#[test]
fn a_producer_that_waits_is_told_of_the_last_consumer_at_once() {
    let queue = queue(1);
    let consumer = queue.consumer().unwrap();
    queue.put(1).unwrap();
    thread::scope(|scope| {
        let waiting: Vec<_> = (2..5)
            .map(|item| {
                (
                    item,
                    scope.spawn({
                        let queue = &queue;
                        move || queue.put(item)
                    }),
                )
            })
            .collect();
        until_waiting(&queue, 3);
        drop(consumer);
        for (item, waiting) in waiting {
            let Err(PutError::Closed(back)) = waiting.join().unwrap() else { panic!() };
            assert_eq!(back, item);
        }
    });
}

#[test]
fn producers_drop_while_a_consumer_takes_and_nothing_is_lost() {
    let queue = queue(3);
    let consumer = queue.consumer().unwrap();
    let first = queue.producer().unwrap();
    thread::scope(|scope| {
        for from in 0..4u64 {
            let producer = first.clone();
            scope.spawn(move || {
                for number in 0..500 {
                    producer.put(from << 32 | number).unwrap();
                }
            });
        }
        drop(first);
        let mut next = [0; 4];
        for item in consumer {
            let item = item.unwrap();
            let next = &mut next[usize::try_from(item >> 32).unwrap()];
            assert_eq!(item & 0xffff_ffff, *next);
            *next += 1;
        }
        assert_eq!(next, [500; 4]);
    });
}

#[test]
fn joining_beside_the_last_that_leaves_is_counted_or_closed() {
    for _ in 0..300 {
        let queue = queue(1);
        let last = queue.producer().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || drop(last));
            let joined = queue.producer().unwrap();
            // If it counts, the queue is open for as long as it lives.
            if queue.producers_counted() > 0 && joined.put(1).is_ok() {
                assert_eq!(queue.get().unwrap(), 1);
                joined.put(2).unwrap();
                assert!(!queue.is_closed());
            }
            drop(joined);
        });
        assert!(queue.is_closed());
        assert_eq!(queue.producers_counted(), 0);
    }
}

#[test]
fn a_handle_that_was_sent_counts_on_its_way_and_where_it_arrives() {
    let queue = queue(1);
    let mail = Queue::<Producer<u64>>::bounded(2).unwrap();
    mail.put(queue.producer().unwrap()).unwrap();
    assert!(!queue.is_closed());
    assert_eq!(queue.producers_counted(), 1);
    let arrived = mail.get().unwrap();
    assert_eq!(queue.producers_counted(), 1);
    arrived.put(1).unwrap();
    drop(arrived);
    assert!(queue.is_closed());
}

#[test]
fn a_handle_that_is_sent_to_several_counts_until_the_last_has_it() {
    let queue = queue(1);
    let consumer = queue.consumer().unwrap();
    let (mut letters, mut segments) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut bytes = Vec::new();
        segments.push(encode(&consumer, &mut bytes).unwrap().segments);
        letters.push(bytes);
    }
    drop(consumer);
    for (bytes, segments) in letters.into_iter().zip(segments) {
        assert!(!queue.is_closed());
        drop(decode::<Consumer<u64>>(&bytes, segments).unwrap());
    }
    assert!(queue.is_closed());
}

#[test]
fn a_handle_that_never_arrives_counts_until_it_is_recalled() {
    let queue = queue(1);
    let producer = queue.producer().unwrap();
    let mut bytes = Vec::new();
    let segments = encode(&producer, &mut bytes).unwrap().segments;
    queue.recall();
    assert!(!queue.is_closed(), "the handle itself counts");
    drop(producer);
    assert!(queue.is_closed());
    // What arrives then is a handle all the same.
    let late: Producer<u64> = decode(&bytes, segments).unwrap();
    assert!(matches!(late.put(1), Err(PutError::Closed(1))));

    let queue = Queue::<u64>::bounded(1).unwrap();
    let _ = encode(&queue.producer().unwrap(), &mut Vec::new()).unwrap();
    assert!(!queue.is_closed());
    queue.recall();
    assert!(queue.is_closed());
}

#[test]
fn a_letter_that_is_read_twice_lets_go_of_one_loan_only() {
    let queue = queue(1);
    let (first, second) = (queue.producer().unwrap(), queue.producer().unwrap());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let segments = encode(&first, &mut one).unwrap().segments;
    let _ = encode(&second, &mut other).unwrap();
    drop((first, second));
    drop(decode::<Producer<u64>>(&one, segments.clone()).unwrap());
    drop(decode::<Producer<u64>>(&one, segments.clone()).unwrap());
    assert!(!queue.is_closed(), "the other letter is on its way");
    drop(decode::<Producer<u64>>(&other, segments).unwrap());
    assert!(queue.is_closed());
}

#[test]
fn a_handle_that_is_refused_is_not_on_its_way() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Broken(Producer<u64>, #[serde(serialize_with = "refuse")] u8);
    fn refuse<S: serde::Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
    let queue = queue(1);
    let mail = Queue::<Broken>::bounded(1).unwrap();
    let refused = mail.put(Broken(queue.producer().unwrap(), 1)).unwrap_err();
    assert!(matches!(refused, PutError::Encode { .. }));
    let Broken(producer, _) = refused.into_item();
    assert_eq!(queue.producers_counted(), 1);

    let mail = Queue::<Producer<u64>>::bounded(1).unwrap();
    mail.close();
    let producer = mail.put(producer).unwrap_err().into_item();
    let mail = Queue::<Producer<u64>>::options().max_message_bytes(1).bounded(1).unwrap();
    let producer = mail.put(producer).unwrap_err().into_item();
    let segment = Segment::anonymous(1 << 20).unwrap();
    let mail = Queue::<(Producer<u64>, String)>::create(&segment, "mail", 1).unwrap();
    let long = "x".repeat(1 << 21);
    let Err(PutError::OutOfMemory { item: (producer, _), .. }) = mail.put((producer, long)) else {
        panic!()
    };
    mail.put((producer.clone(), String::new())).unwrap();
    let late = mail.put_timeout((producer, String::new()), Duration::from_millis(1)).unwrap_err();
    assert!(late.is_full());
    drop(late);
    // The one that is in is on its way.
    assert_eq!(queue.producers_counted(), 1);
    drop(mail.get().unwrap());
    assert!(queue.is_closed());
}

#[test]
fn both_sides_go_to_another_owner_and_back() {
    let queue = queue(2);
    let pair = (queue.producer().unwrap(), queue.consumer().unwrap());
    let other = sent(&pair);
    drop(pair);
    other.0.put(5).unwrap();
    let back = sent(&other);
    drop(other);
    assert_eq!(back.1.get().unwrap(), 5);
    assert_eq!((queue.producers_counted(), queue.consumers_counted()), (1, 1));
    drop(back);
    assert!(queue.is_closed());
}

#[test]
fn a_process_takes_one_place_however_many_handles_it_has() {
    let queue = Queue::<u64>::options().ends(1).bounded(1).unwrap();
    let handles: Vec<_> = (0..100).map(|_| queue.producer().unwrap()).collect();
    assert_eq!(queue.producers_counted(), 100);
    drop(handles);
    assert!(queue.is_closed());
}

#[test]
fn a_row_without_a_place_is_an_error_that_says_so() {
    let queue = Queue::<u64>::options().ends(0).bounded(1).unwrap();
    let refused = queue.producer().unwrap_err();
    assert!(matches!(refused, Error::NoPlace { side: "producers", places: 0 }), "{refused}");
    let refused = queue.consumer().unwrap_err();
    assert!(refused.to_string().contains("ends"), "{refused}");
    assert!(!queue.is_closed());

    // The handle and the one on its way each take a place.
    let queue = Queue::<u64>::options().ends(1).bounded(1).unwrap();
    let producer = queue.producer().unwrap();
    let refused = encode(&producer, &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("ends"), "{refused}");
    drop(producer);
    assert!(queue.is_closed());
}

#[test]
fn what_arrives_where_no_place_is_left_takes_that_of_its_loan() {
    let (gate, places) = (Gate::default(), [Place::default(), Place::default()]);
    let row = Row::new(&gate, &places);
    let [sender, receiver, other] = [1, 2, 3].map(|id| MemberId::new(id).unwrap());
    let living = |_| true;
    let sent = row.join(sender, living).unwrap();
    let loan = row.lend(sender, 7, living).unwrap();
    assert!(!row.leave(sent, living));
    let taken = row.join(other, living).unwrap();
    assert_eq!(row.join(receiver, living), Err(Gone::Full));
    let seat = row.take_over(loan, receiver).unwrap();
    assert_eq!(row.take_over(loan, receiver), None);
    assert!(!row.leave(taken, living));
    assert!(row.leave(seat, living));
}

#[test]
fn a_leaked_handle_counts_as_long_as_its_process() {
    let queue = queue(1);
    std::mem::forget(queue.producer().unwrap());
    drop(queue.producer().unwrap());
    assert!(!queue.is_closed());
}

#[test]
fn wait_any_tells_of_the_last_of_the_other_side() {
    let (left, right) = (queue(1), queue(1));
    let (consumers, last) =
        ((left.consumer().unwrap(), right.consumer().unwrap()), right.producer());
    let none = wait_any(&[&consumers.0, &consumers.1], Duration::from_millis(1)).unwrap();
    assert!(none.is_empty());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait_any(&[&consumers.0, &consumers.1], None).unwrap());
        drop(last);
        assert_eq!(waiting.join().unwrap(), [1]);
    });
}

#[test]
fn counted_handles_know_every_form_of_runs_and_looks() {
    let queue = queue(8);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let deadline = || Deadline::after(Duration::from_millis(1));
    assert_eq!(producer.try_put_many(&[1, 2]).unwrap(), 2);
    assert_eq!(producer.put_many_timeout(&[3; 5], Duration::ZERO).unwrap(), 5);
    assert_eq!(producer.put_many_deadline(&[8, 9], deadline()).unwrap(), 1);
    assert_eq!(consumer.peek().unwrap(), 1);
    let mut got = Vec::new();
    assert_eq!(consumer.try_get_many(&mut got, 1).unwrap(), 1);
    assert_eq!(consumer.get_many_timeout(&mut got, 1, Duration::ZERO).unwrap(), 1);
    assert_eq!(consumer.get_many_deadline(&mut got, 1, deadline()).unwrap(), 1);
    got.extend(consumer.drain().map(Result::unwrap));
    assert_eq!(got, [1, 2, 3, 3, 3, 3, 3, 8]);
    drop(producer);
    assert!(matches!(consumer.try_get_many(&mut got, 1), Err(TryGetError::Closed)));
}

#[test]
fn a_dropped_queue_handle_does_not_matter_to_its_producers() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let queue = Queue::<String>::create(&segment, "queue", 2).unwrap();
    let producer = queue.producer().unwrap();
    drop(queue);
    producer.put("still there".to_owned()).unwrap();
    let queue = Queue::<String>::open(&segment, "queue").unwrap();
    assert_eq!(queue.producers_counted(), 1);
    drop(producer);
    assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["still there"]);
}

#[test]
fn close_now_takes_each_item_once_whoever_else_does() {
    for _ in 0..50 {
        let queue = queue(64);
        (0..64).for_each(|item| queue.put(item).unwrap());
        let mut all: Vec<u64> = thread::scope(|scope| {
            let closers: Vec<_> = (0..3)
                .map(|which| {
                    let queue = &queue;
                    scope.spawn(move || -> Vec<u64> {
                        if which == 0 {
                            return queue.iter().map(Result::unwrap).collect();
                        }
                        queue.close_now().into_iter().map(Result::unwrap).collect()
                    })
                })
                .collect();
            closers.into_iter().flat_map(|closer| closer.join().unwrap()).collect()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
        assert!(matches!(queue.put(1), Err(PutError::Closed(1))));
    }
}

#[test]
fn debug_shows_who_is_counted() {
    let queue = queue(1);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let another = producer.clone();
    let shown = format!("{consumer:?} {producer:?}");
    assert!(shown.contains("producers: 2") && shown.contains("consumers: 1"), "{shown}");
    drop(another);
}
