//! Handles inside messages, inside structs, inside queues.

use crossproc::crates::segment::Error;
use crossproc::{Lock, Queue, Segment, Value, spawn};
use serde::{Deserialize, Serialize};
use tests::traces::{leaves_nothing, own_name};

type Nested = Queue<Queue<Value<[u32; 5]>>>;

#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Add { numbers: Vec<u64>, to: Value<u64>, tell: Option<Queue<String>> },
    Make { segment: Segment, name: String },
    Pass(Box<Task>, Queue<Task>),
    Guard(Lock, (u8, Vec<Nested>)),
}

/// Does tasks until there are no more.
fn serve(tasks: Queue<Task>) {
    for task in &tasks {
        match task.unwrap() {
            Task::Add { numbers, to, tell } => {
                let sum = numbers.iter().sum();
                to.fetch_add(sum);
                if let Some(tell) = tell {
                    tell.put(format!("added {sum}")).unwrap();
                }
            }
            Task::Make { segment, name } => drop(Value::create(&segment, &name, 41u64).unwrap()),
            Task::Pass(task, queue) => queue.put(*task).unwrap(),
            Task::Guard(lock, (count, queues)) => {
                let _guard = lock.lock().unwrap();
                for queue in queues {
                    let value = queue.get().unwrap().get().unwrap();
                    value
                        .update(|numbers| numbers.iter_mut().for_each(|n| *n += u32::from(count)))
                        .unwrap();
                }
            }
        }
    }
}

/// What is done with handles of objects in `segment`.
fn served_in(segment: &Segment) {
    let tasks = Queue::<Task>::create(segment, "tasks", 2).unwrap();
    // Begun before any of what it is sent exists.
    let server = spawn((tasks.clone(),), serve).unwrap();
    let (to, tell) = (Value::new_in(segment, 1).unwrap(), Queue::bounded(1).unwrap());
    let add = |numbers: &[u64], tell: Option<&Queue<String>>| Task::Add {
        numbers: numbers.to_vec(),
        to: to.clone(),
        tell: tell.cloned(),
    };
    tasks.put(add(&[1, 2, 3], Some(&tell))).unwrap();
    assert_eq!(tell.get().unwrap(), "added 6");

    let detour = Queue::<Task>::bounded(1).unwrap();
    let pass = Task::Pass(Box::new(add(&[10; 100], Some(&tell))), detour.clone());
    tasks.put(pass).unwrap();
    // Through this process and back, in a message too long to lie in the queue itself.
    tasks.put(detour.get().unwrap()).unwrap();
    assert_eq!(tell.get().unwrap(), "added 1000");
    assert_eq!(to.get(), 1007);

    let other = Segment::anonymous(1 << 16).unwrap();
    tasks.put(Task::Make { segment: other.clone(), name: "made".to_owned() }).unwrap();
    tasks.put(add(&[], Some(&tell))).unwrap();
    tell.get().unwrap();
    assert_eq!(Value::<u64>::open(&other, "made").unwrap().get(), 41);

    let value = Value::new_in(&other, [1u32, 2, 3, 4, 5]).unwrap();
    let queues: Vec<_> = (0..3)
        .map(|_| {
            let (outer, inner) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
            inner.put(value.clone()).unwrap();
            outer.put(inner).unwrap();
            outer
        })
        .collect();
    let lock = Lock::new_in(&other).unwrap();
    tasks.put(Task::Guard(lock.clone(), (2, queues))).unwrap();
    tasks.close();
    server.join().unwrap();
    assert_eq!(value.get(), [7, 8, 9, 10, 11]);
    assert!(lock.try_lock().is_ok());
    drop((value, lock));
}

#[test]
fn handles_work_wherever_their_segment_is() {
    spawn((), || {
        served_in(&Segment::tree().unwrap());
        leaves_nothing(|| served_in(&Segment::anonymous(1 << 20).unwrap()));
        leaves_nothing(|| {
            let name = own_name("handles");
            let segment = Segment::create(&name, 1 << 20).unwrap();
            served_in(&segment);
            Segment::unlink(&name).unwrap();
        });
        leaves_nothing(|| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("segment");
            served_in(&Segment::create_file(path, 1 << 20).unwrap());
        });
    })
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_queue_that_is_only_in_messages_lives_as_long_as_they_do() {
    let parcels = Queue::<Queue<u64>>::bounded(2).unwrap();
    let made = spawn((parcels.clone(),), |parcels| {
        let inner = Queue::bounded(3).unwrap();
        (1..=3).for_each(|number| inner.put(number).unwrap());
        parcels.put(inner).unwrap();
    });
    made.unwrap().join().unwrap();
    let got = spawn((parcels,), |parcels| {
        let inner = parcels.get().unwrap();
        (0..3).map(|_| inner.get().unwrap()).sum::<u64>()
    });
    assert_eq!(got.unwrap().join().unwrap(), 6);
}

#[test]
fn a_queue_sent_as_one_of_another_type_is_refused() {
    let wide = Queue::<Queue<u64>>::bounded(1).unwrap();
    let segment = Segment::anonymous(1 << 16).unwrap();
    let narrow = Queue::<u64>::create(&segment, "q", 1).unwrap();
    wide.put(narrow).unwrap();
    let taken = spawn((wide,), |wide| wide.get().unwrap().capacity());
    assert_eq!(taken.unwrap().join().unwrap(), 1);
    let error = Queue::<String>::open(&segment, "q").unwrap_err();
    let crossproc::crates::queue::Error::Segment(Error::Type { .. }) = error else {
        panic!("{error}")
    };
}
