//! Tickets of segments that a process cannot reach. The item stays, for one who can.

use std::time::Duration;

use crossproc::crates::segment::Error;
use crossproc::{GetError, Lock, Queue, Segment, TryGetError, Value, spawn};
use serde::{Deserialize, Serialize};
use tests::scarce::become_nobody;
use tests::stage::is_root;
use tests::traces::{descriptors, leaves_nothing};

use crate::segments::Name;
use crate::{alone, says};

#[derive(Debug, Serialize, Deserialize)]
struct Job {
    number: u32,
    value: Value<u64>,
}

/// Makes an anonymous segment and sends a handle of it.
fn send(jobs: &Queue<Job>) -> Segment {
    let segment = Segment::anonymous(1 << 16).expect("there is room");
    let value = Value::new_in(&segment, 77).expect("there is room");
    jobs.put(Job { number: 1, value }).expect("there is room");
    segment
}

#[test]
fn a_ticket_of_a_dead_sender_says_what_to_do_and_stays() {
    alone(|| {
        leaves_nothing(|| {
            let jobs = Queue::bounded(2).unwrap();
            spawn((jobs.clone(),), |jobs| drop(send(&jobs))).unwrap().join().unwrap();
            // However often, and whoever asks.
            for _ in 0..3 {
                let error = jobs.get().unwrap_err();
                assert!(
                    matches!(error, GetError::Unreachable(Error::Unreachable { .. })),
                    "{error}"
                );
                says(
                    &error,
                    &["cannot be taken by this process", "has ended", "keep the sender alive"],
                );
                says(&error, &["an argument of spawn", "a named segment"]);
                let error = jobs.get_timeout(Duration::ZERO).unwrap_err();
                assert!(matches!(error, TryGetError::Unreachable(_)), "{error}");
                assert_eq!(jobs.len(), 1);
            }
            let told = spawn((jobs.clone(),), |jobs| jobs.try_get().unwrap_err().to_string());
            says(&told.unwrap().join().unwrap(), &["has ended"]);
            assert_eq!(jobs.len(), 1);
            let mut items = jobs.iter();
            assert!(items.next().unwrap().is_err());
            assert!(items.next().is_none(), "the loop does not spin on it");
            // The way past it, which takes nothing that could be taken.
            let value = Value::new(5).unwrap();
            jobs.put(Job { number: 2, value }).unwrap();
            assert!(jobs.discard_unreachable().unwrap());
            assert!(!jobs.discard_unreachable().unwrap());
            assert_eq!(jobs.get().unwrap().number, 2);
            assert!(!jobs.discard_unreachable().unwrap());
        });
    });
}

#[test]
fn a_segment_is_reached_through_any_process_of_the_tree_that_still_has_it() {
    alone(|| {
        let (jobs, held) = (Queue::bounded(2).unwrap(), Queue::bounded(1).unwrap());
        let go = Queue::<()>::bounded(1).unwrap();
        let arguments = (jobs.clone(), held.clone(), go.clone());
        let keeper = spawn(arguments, |jobs: Queue<Job>, held, go| {
            let job = jobs.get().unwrap();
            Queue::put(&held, ()).unwrap();
            go.get().unwrap();
            job.value.get()
        })
        .unwrap();
        let sender = spawn((jobs.clone(), held), |jobs, held| {
            let segment = send(&jobs);
            held.get().unwrap();
            let value = Value::new_in(&segment, 88).unwrap();
            jobs.put(Job { number: 2, value }).unwrap();
        });
        sender.unwrap().join().unwrap();
        let job = jobs.get().unwrap();
        assert_eq!((job.number, job.value.get()), (2, 88));
        go.put(()).unwrap();
        assert_eq!(keeper.join().unwrap(), 77);
    });
}

#[test]
fn another_user_is_told_and_the_item_stays() {
    if !is_root() {
        return;
    }
    alone(|| {
        let segment = Segment::anonymous(1 << 16).unwrap();
        let jobs = Queue::bounded(2).unwrap();
        let value = Value::new_in(&segment, 5).unwrap();
        jobs.put(Job { number: 2, value }).unwrap();
        let other = spawn((jobs.clone(),), |jobs: Queue<Job>| {
            become_nobody();
            let before = descriptors();
            let error = jobs.get().unwrap_err();
            assert!(matches!(error, GetError::Unreachable(Error::Unreachable { .. })), "{error}");
            assert_eq!(descriptors(), before);
            error.to_string()
        });
        let told = other.unwrap().join().unwrap();
        says(&told, &["Permission denied", "another user", "an argument of spawn"]);
        let job = jobs.get().unwrap();
        assert_eq!((job.number, job.value.get()), (2, 5));
    });
}

#[test]
fn a_ticket_of_a_named_segment_that_was_unlinked_says_so() {
    alone(|| {
        let name = Name::new("unlinked");
        let queue = Queue::bounded(2).unwrap();
        let send = |name: String, queue: Queue<Lock>| {
            let segment = Segment::create(&name, 1 << 16).unwrap();
            queue.put(Lock::create(&segment, "lock").unwrap()).unwrap();
            Segment::unlink(&name).unwrap();
        };
        spawn((name.0.clone(), queue.clone()), send).unwrap().join().unwrap();
        leaves_nothing(|| {
            let error = queue.get().unwrap_err();
            assert!(matches!(error, GetError::Unreachable(_)), "{error}");
            says(&error, &[&name.0, "cannot be opened", "was it unlinked?"]);
            // Nor is a new segment of that name taken for it.
            let _other = Segment::create(&name.0, 1 << 16).unwrap();
            says(&queue.get().unwrap_err(), &["is another segment"]);
            Segment::unlink(&name.0).unwrap();
        });
        assert_eq!(queue.len(), 1);
    });
}

#[test]
fn a_handle_whose_object_was_removed_says_gone() {
    alone(|| {
        let segment = Segment::anonymous(1 << 16).unwrap();
        let queue = Queue::bounded(2).unwrap();
        queue.put(Lock::create(&segment, "lock").unwrap()).unwrap();
        segment.remove("lock").unwrap();
        let error = queue.try_get().unwrap_err();
        says(&error, &["is gone", "was removed"]);
    });
}
