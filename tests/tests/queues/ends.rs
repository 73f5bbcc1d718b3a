//! Counted producers and consumers in several processes: the last one that is dropped or dies.

use std::time::Duration;

use crossproc::{
    Cause, Consumer, GetError, JoinError, JoinHandle, Producer, PutError, Queue, Segment,
    TryGetError, spawn,
};
use crossproc_sys::process;
use tests::dice::Dice;
use tests::forked::fork;
use tests::outside::{until, until_asleep};

/// Puts so many numbers, and is gone as told.
#[expect(clippy::exit, reason = "one of the ways to go")]
fn put_and_die(producer: Producer<u64>, count: u64, how: u8) {
    for number in 0..count {
        producer.put(number).unwrap();
    }
    match how {
        0 => drop(producer),
        1 => process::kill_self(9),
        2 => std::process::exit(0),
        3 => std::process::abort(),
        // Returns with the handle undropped.
        _ => std::mem::forget(producer),
    }
}

#[test]
fn all_that_a_producer_had_put_is_got_however_it_went() {
    for how in 0..5 {
        let queue = Queue::<u64>::bounded(64).unwrap();
        let producer = spawn((queue.producer().unwrap(), 50, how), put_and_die).unwrap();
        let got: Vec<u64> = queue.iter().map(Result::unwrap).collect();
        assert!(got.into_iter().eq(0..50), "way {how}");
        assert_eq!(queue.why_closed(), Some(Cause::NoProducers));
        let _ = producer.join();
    }
}

/// A process that has a counted producer, says so, and waits to be killed.
fn idle_producer(queue: &Queue<u64>) -> JoinHandle<()> {
    let ready = Queue::<()>::bounded(1).unwrap();
    let child = spawn((queue.producer().unwrap(), ready.clone()), |producer, ready| {
        ready.put(()).unwrap();
        loop {
            let _ = Queue::<()>::bounded(1).unwrap().get();
            let _ = &producer;
        }
    });
    ready.get().unwrap();
    child.unwrap()
}

fn kill<R: crossproc::Message + std::fmt::Debug>(child: JoinHandle<R>) {
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

fn ends(queue: &Queue<u64>) -> JoinHandle<String> {
    let child = spawn((queue.clone(),), |queue| format!("{:?}", queue.get()));
    let child = child.unwrap();
    until_asleep(child.pid());
    child
}

#[test]
fn consumers_that_sleep_are_told_when_the_last_producer_is_killed() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    let (first, last) = (idle_producer(&queue), idle_producer(&queue));
    let asleep = [ends(&queue), ends(&queue), ends(&queue)];
    kill(first);
    // One of two: nobody is told anything.
    assert!(matches!(queue.get_timeout(Duration::from_millis(200)), Err(TryGetError::Empty)));
    assert!(asleep.iter().all(JoinHandle::is_alive));
    kill(last);
    for consumer in asleep {
        assert_eq!(consumer.join().unwrap(), "Err(Closed)");
    }
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn producers_that_sleep_get_their_items_back_when_the_last_consumer_is_killed() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    let ready = Queue::<()>::bounded(1).unwrap();
    let consumer = spawn((queue.consumer().unwrap(), ready.clone()), |consumer, ready| {
        assert_eq!(consumer.get().unwrap(), 1);
        ready.put(()).unwrap();
        loop {
            let _ = Queue::<()>::bounded(1).unwrap().get();
            let _ = &consumer;
        }
    });
    queue.put(1).unwrap();
    ready.get().unwrap();
    queue.put(2).unwrap();
    let asleep = [3, 4].map(|item| {
        let child = spawn((queue.clone(), item), |queue, item| match queue.put(item) {
            Err(PutError::Closed(item)) => item,
            other => panic!("{other:?}"),
        });
        let child = child.unwrap();
        until_asleep(child.pid());
        child
    });
    kill::<()>(consumer.unwrap());
    assert_eq!(asleep.map(|producer| producer.join().unwrap()), [3, 4]);
    assert_eq!(queue.why_closed(), Some(Cause::NoConsumers));
    assert_eq!(queue.try_get().unwrap(), 2);
}

#[test]
fn one_who_only_ever_tries_is_told_too() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    kill(idle_producer(&queue));
    until("closed", || matches!(queue.try_get(), Err(TryGetError::Closed)));

    let queue = Queue::<u64>::bounded(1).unwrap();
    kill(idle_producer(&queue));
    let consumer = queue.consumer().unwrap();
    assert!(consumer.is_closed(), "asks at once");
}

#[test]
fn a_producer_that_execs_another_program_has_left() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    let child = spawn((queue.producer().unwrap(),), |producer| {
        producer.put(1).unwrap();
        let error = std::os::unix::process::CommandExt::exec(
            std::process::Command::new("/bin/sleep").arg("60"),
        );
        panic!("{error}");
    });
    let child: JoinHandle<()> = child.unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(child.is_alive());
    child.kill().unwrap();
    assert!(child.join().is_err());
}

#[test]
fn what_a_parent_counted_is_not_its_forked_childs() {
    spawn((), || {
        let queue = Queue::<u64>::bounded(4).unwrap();
        // In the parent, `fork` drops its copy at once, and the other one stays.
        let (producer, stays) = (queue.producer().unwrap(), queue.producer().unwrap());
        let copy = fork(|| {
            // A copy works and counts for nothing; a clone of it is the child's.
            producer.put(1).unwrap();
            let clone = producer.clone();
            assert!(queue.producers_counted() >= 2);
            drop((producer, clone));
            until("only the other one is left", || queue.producers_counted() == 1);
            0
        });
        until("the copy here is dropped", || queue.producers_counted() < 3);
        assert_eq!(copy.wait(), 0);
        assert_eq!(queue.producers_counted(), 1);
        stays.put(2).unwrap();
        drop(stays);
        assert!(queue.is_closed());
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_forked_child_keeps_open_what_it_cloned_until_it_is_killed() {
    spawn((), || {
        let queue = Queue::<u64>::bounded(4).unwrap();
        let producer = queue.producer().unwrap();
        let copy = fork(|| {
            let clone = producer.clone();
            clone.put(1).unwrap();
            process::kill_self(9)
        });
        assert_eq!(queue.get().unwrap(), 1);
        drop(producer);
        assert!(matches!(queue.get(), Err(GetError::Closed)));
        let _ = copy.wait();
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_handle_killed_on_its_way_counts_for_its_sender_alone() {
    let queue = Queue::<u64>::bounded(1).unwrap();
    // The letter is never read, and its sender is killed.
    let mail = Queue::<Producer<u64>>::bounded(1).unwrap();
    let sender = spawn((queue.clone(), mail.clone()), |queue, mail| {
        mail.put(queue.producer().unwrap()).unwrap();
        queue.get().unwrap()
    })
    .unwrap();
    until("sent", || !mail.is_empty());
    until_asleep(sender.pid());
    assert!(matches!(queue.get_timeout(Duration::from_millis(100)), Err(TryGetError::Empty)));
    kill(sender);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    // It can still be read, and says what is so.
    assert!(matches!(mail.get().unwrap().put(1), Err(PutError::Closed(1))));
}

#[test]
fn a_child_killed_on_its_way_up_keeps_nothing_open() {
    let mut dice = Dice::new(12);
    for round in 0..12 {
        let queue = Queue::<u64>::bounded(1000).unwrap();
        let child = spawn((queue.producer().unwrap(), vec![0u64; 500]), |producer, numbers| {
            numbers.into_iter().for_each(|number| producer.put(number).unwrap());
            loop {
                let _ = Queue::<()>::bounded(1).unwrap().get();
                let _ = &producer;
            }
        });
        let child: JoinHandle<()> = child.unwrap();
        if round % 3 > 0 {
            dice.dither();
        }
        child.kill().unwrap();
        if round % 2 == 0 {
            assert!(child.join().is_err());
        } else {
            // Nobody asks for its end.
            std::mem::forget(child);
        }
        assert!(queue.iter().all(|item| item.is_ok()));
        assert_eq!(queue.producers_counted(), 0, "round {round}");
    }
}

/// Takes until it is told that nothing more comes.
fn take(consumer: Consumer<u64>, told: Queue<u64>) {
    for item in consumer {
        told.put(item.unwrap()).unwrap();
    }
}

#[test]
fn workers_end_by_themselves_whoever_of_their_feeders_is_killed() {
    let mut dice = Dice::new(11);
    for round in 0..6 {
        let segment = Segment::anonymous(4 << 20).unwrap();
        let queue = Queue::<u64>::create(&segment, "queue", 5).unwrap();
        let told = Queue::<u64>::create(&segment, "told", 1 << 14).unwrap();
        let first = queue.producer().unwrap();
        let consumers =
            [(); 2].map(|()| spawn((queue.consumer().unwrap(), told.clone()), take).unwrap());
        let mut feeders: Vec<_> = (0..4u64)
            .map(|from| {
                spawn((first.clone(), from), |producer, from| {
                    for number in 0..1000 {
                        producer.put(from << 32 | number).unwrap();
                    }
                })
                .unwrap()
            })
            .collect();
        drop(first);
        let mut unlucky = Vec::new();
        for _ in 0..2 {
            dice.dither();
            let feeder = feeders.swap_remove(dice.index(&feeders));
            feeder.kill().unwrap();
            unlucky.push(feeder.join().is_err());
        }
        feeders.into_iter().for_each(|feeder| feeder.join().unwrap());
        // Nobody closed anything.
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        assert!(queue.is_closed() && queue.is_empty());
        let mut got = [0u64; 4];
        let mut seen = std::collections::BTreeSet::new();
        while let Ok(item) = told.try_get() {
            assert!(seen.insert(item), "{item:x} came twice");
            got[usize::try_from(item >> 32).unwrap()] += 1;
        }
        let whole = got.iter().filter(|&&count| count == 1000).count();
        assert!(whole >= 2, "round {round}: {got:?}");
        for (from, count) in (0u64..).zip(got) {
            let last = (0..count).all(|number| seen.contains(&(from << 32 | number)));
            assert!(last, "what {from} had put came out without a gap");
        }
    }
}
