//! Segments in arguments and results, through generations of processes.

use crossproc::{Lock, Queue, Segment, Value, spawn};
use serde::{Deserialize, Serialize};
use tests::forked::fork;
use tests::traces::{descriptors, leaves_nothing, own_name};

#[derive(Debug, Serialize, Deserialize)]
struct Estate {
    segment: Segment,
    value: Value<[u64; 3]>,
    queue: Queue<String>,
}

/// Makes a segment with things in it, some generations below.
fn make(levels: u32) -> Estate {
    if levels > 0 {
        let estate = spawn((levels - 1,), make).unwrap().join().unwrap();
        estate.queue.put(format!("level {levels}")).unwrap();
        estate.value.update(|value| value[1] += 1).unwrap();
        return estate;
    }
    let segment = Segment::anonymous(1 << 20).unwrap();
    let value = Value::create(&segment, "value", [1, 0, 0]).unwrap();
    let queue = Queue::create(&segment, "queue", 8).unwrap();
    queue.put("made".to_owned()).unwrap();
    Estate { segment, value, queue }
}

#[test]
fn what_a_process_made_outlives_it_in_its_result() {
    let estate = make(3);
    assert_eq!(estate.value.get(), [1, 3, 0]);
    let news: Vec<_> = (0..4).map(|_| estate.queue.get().unwrap()).collect();
    assert_eq!(news, ["made", "level 1", "level 2", "level 3"]);
    let again = Value::<[u64; 3]>::open(&estate.segment, "value").unwrap();
    assert_eq!(again.get(), [1, 3, 0]);
    // And on to others.
    let seen = spawn((estate,), |estate| {
        estate.value.update(|value| value[2] = 5).unwrap();
        estate.segment.objects().len()
    });
    assert_eq!(seen.unwrap().join().unwrap(), 2);
    assert_eq!(again.get(), [1, 3, 5]);
}

#[test]
fn more_segments_than_one_message_carries_are_handed_on() {
    spawn((), || {
        leaves_nothing(|| {
            let segments: Vec<Segment> =
                (0..300).map(|_| Segment::anonymous(4096).unwrap()).collect();
            let locks: Vec<Lock> =
                segments.iter().map(|segment| Lock::create(segment, "l").unwrap()).collect();
            let (back, count) = spawn((segments, locks), |mut segments, locks| {
                assert!(locks.iter().all(|lock| lock.try_lock().is_ok()));
                segments.extend((0..10).map(|_| Segment::anonymous(4096).unwrap()));
                let count = descriptors().len();
                (segments, count)
            })
            .unwrap()
            .join()
            .unwrap();
            assert_eq!(back.len(), 310);
            // One descriptor each, and a few for the process itself.
            assert!((310..330).contains(&count), "{count}");
            assert!(back[..300].iter().all(|segment| Lock::open(segment, "l").is_ok()));
        });
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn segments_of_every_sort_are_arguments() {
    let name = own_name("sorts");
    let directory = tempfile::tempdir().unwrap();
    let segments = [
        Segment::tree().unwrap(),
        Segment::anonymous(1 << 16).unwrap(),
        Segment::options().sparse(true).anonymous(1 << 30).unwrap(),
        Segment::options().huge_pages(true).anonymous(4 << 20).unwrap(),
        Segment::create(&name, 1 << 16).unwrap(),
        Segment::create_file(directory.path().join("file"), 1 << 16).unwrap(),
    ];
    for segment in segments {
        let identity = format!("{:?}", segment.identity());
        let value = Value::new_in(&segment, 1u64).unwrap();
        let seen = spawn((segment.clone(), value.clone()), |segment, value| {
            assert_eq!(value.segment(), &segment);
            value.fetch_add(1);
            format!("{:?}", segment.identity())
        });
        assert_eq!(seen.unwrap().join().unwrap(), identity);
        assert_eq!(value.get(), 2);
    }
    Segment::unlink(&name).unwrap();
}

#[test]
fn objects_of_the_tree_cost_no_descriptor() {
    spawn((), || {
        let _first = Lock::new().unwrap();
        let before = descriptors();
        let many: Vec<_> = (0..500)
            .map(|n| {
                (Lock::new().unwrap(), Value::new(n).unwrap(), Queue::<u8>::bounded(2).unwrap())
            })
            .collect();
        assert_eq!(descriptors(), before);
        let sum = spawn((many,), |many| many.iter().map(|(_, value, _)| value.get()).sum::<u64>());
        assert_eq!(sum.unwrap().join().unwrap(), 500 * 499 / 2);
        assert_eq!(descriptors(), before);
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_forked_child_uses_what_its_parent_had_and_hands_it_on() {
    let sum = spawn((), || {
        let segment = Segment::anonymous(1 << 20).unwrap();
        let (value, queue) = (Value::new_in(&segment, 0u64).unwrap(), Queue::bounded(4).unwrap());
        let copy = fork(|| {
            value.fetch_add(1);
            queue.put(Value::new_in(&segment, 5u64).unwrap()).unwrap();
            // From a forked process, too, others are started.
            spawn((value.clone(),), |value| value.fetch_add(10)).unwrap().join().unwrap();
            0
        });
        assert_eq!(copy.wait(), 0);
        value.get() + queue.get().unwrap().get()
    });
    assert_eq!(sum.unwrap().join().unwrap(), 16);
}
