//! Closing, as seen by other processes.

use crossproc::{GetError, JoinError, JoinHandle, PutError, Queue, TryPutError, spawn};
use crossproc_sys::process;
use tests::outside::{Seen, until_asleep};

fn consumer(queue: &Queue<u64>) -> JoinHandle<Result<u64, String>> {
    spawn((queue.clone(),), |queue| match queue.get() {
        Ok(item) => Ok(item),
        Err(GetError::Closed) => Err("closed".to_owned()),
        Err(error) => panic!("{error}"),
    })
    .unwrap()
}

#[test]
fn all_who_wait_are_told_by_whoever_closes() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    let consumers = [consumer(&queue), consumer(&queue), consumer(&queue)];
    consumers.iter().for_each(|consumer| until_asleep(consumer.pid()));
    // It closes, and is gone at once.
    let closer = spawn((queue.clone(),), |queue| -> () {
        queue.close();
        process::kill_self(9)
    });
    assert!(matches!(closer.unwrap().join(), Err(JoinError::Signalled { signal: 9, .. })));
    for consumer in consumers {
        assert_eq!(consumer.join().unwrap(), Err("closed".to_owned()));
    }
    assert!(queue.is_closed());
    assert!(matches!(queue.try_put(1), Err(TryPutError::Closed(1))));
}

#[test]
fn refused_items_come_back_and_accepted_ones_are_got_first() {
    let queue = Queue::<u64>::bounded(2).unwrap();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let producers = [3, 4].map(|item| {
        spawn((queue.clone(), item), |queue, item| match queue.put(item) {
            Err(PutError::Closed(item)) => item,
            other => panic!("{other:?}"),
        })
        .unwrap()
    });
    producers.iter().for_each(|producer| until_asleep(producer.pid()));
    queue.close();
    assert_eq!(producers.map(|producer| producer.join().unwrap()), [3, 4]);
    let got = spawn((queue.clone(),), |queue| queue.iter().map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(got.unwrap().join().unwrap(), [1, 2]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn no_accepted_item_is_lost_when_a_queue_is_closed_under_its_producers() {
    for round in 0..20 {
        let queue = Queue::<u64>::bounded(5).unwrap();
        let producers = [(); 2].map(|()| {
            spawn((queue.clone(),), |queue| {
                let mut accepted = 0u64;
                while queue.put(accepted).is_ok() {
                    accepted += 1;
                }
                accepted
            })
            .unwrap()
        });
        let mut got = 0;
        while got < round * 10 {
            queue.get().unwrap();
            got += 1;
        }
        queue.close();
        for item in &queue {
            item.unwrap();
            got += 1;
        }
        let accepted: u64 = producers.map(|producer| producer.join().unwrap()).iter().sum();
        // A consumer says Closed only when no producer can be inside any more.
        assert_eq!(got, accepted, "round {round}");
    }
}

#[test]
fn a_child_that_waits_for_an_item_ends_with_its_parent() {
    let pids = Queue::<u32>::bounded(4).unwrap();
    let parent = spawn((pids.clone(),), |pids| {
        let (empty, full) = (Queue::<u64>::bounded(1).unwrap(), Queue::<u64>::bounded(1).unwrap());
        full.put(1).unwrap();
        let get = spawn((empty,), |empty| empty.get().unwrap()).unwrap();
        let put = spawn((full,), |full| full.put(2).unwrap()).unwrap();
        pids.put(get.pid()).unwrap();
        pids.put(put.pid()).unwrap();
        get.join().unwrap()
    })
    .unwrap();
    let children = [Seen::new(pids.get().unwrap()), Seen::new(pids.get().unwrap())];
    assert!(children.iter().all(|child| !child.has_ended()));
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    children.iter().for_each(Seen::until_ended);
}
