//! Processes that know nothing of each other but a name.

use std::process::Child;

use crossproc::crates::segment::Shape;
use crossproc::{Lock, Queue, Segment, Value, spawn};
use tests::stage::{Stage, role};
use tests::traces::{own_name, own_names};

/// Tells the other processes of a test which segment it is about.
const SEGMENT: &str = "CROSSPROC_TEST_SEGMENT";

const ROUNDS: u64 = 1000;

#[test]
fn unrelated_processes_meet_in_a_named_segment() {
    if role().is_some() {
        return meet();
    }
    let name = own_name("meeting");
    let stage = Stage::new(tests::test_name!()).env(SEGMENT, &name);
    // Whoever is first makes everything.
    let quiet = || stage.command().stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut processes: Vec<Child> = (0..4).map(|_| quiet()).collect();
    assert!(processes.iter_mut().all(|process| process.wait().unwrap().success()));
    // All of them are gone, and what they made is there.
    let segment = Segment::open(&name).unwrap();
    assert_eq!(Value::<u64>::open(&segment, "in two steps").unwrap().get(), 4 * ROUNDS);
    assert_eq!(Value::<u64>::open(&segment, "in one").unwrap().get(), 4 * ROUNDS);
    let reports = Queue::<String>::open(&segment, "reports").unwrap();
    reports.close();
    let mut pids: Vec<u32> = reports.iter().map(|pid| pid.unwrap().parse().unwrap()).collect();
    let mut expected: Vec<u32> = processes.iter().map(Child::id).collect();
    pids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(pids, expected);
    Segment::unlink(&name).unwrap();
    assert!(own_names().iter().all(|left| !left.contains("meeting")));
}

fn meet() {
    let name = std::env::var(SEGMENT).unwrap();
    let segment = Segment::open_or_create(&name, 1 << 20).unwrap();
    let lock = Lock::open_or_create(&segment, "lock").unwrap();
    let slow = Value::open_or_create(&segment, "in two steps", 0u64).unwrap();
    let fast = Value::open_or_create(&segment, "in one", 0u64).unwrap();
    for _ in 0..ROUNDS {
        let _guard = lock.lock().unwrap();
        let seen = slow.get();
        slow.set(seen + 1).unwrap();
        fast.fetch_add(1);
    }
    let reports = Queue::open_or_create(&segment, "reports", 16).unwrap();
    reports.put(std::process::id().to_string()).unwrap();
}

#[test]
fn of_many_makers_one_wins_and_all_get_the_same() {
    const NAMES: u64 = 30;
    let name = own_name("makers");
    let makers: Vec<_> = (0..4)
        .map(|_| {
            spawn((name.clone(),), |name| {
                let made = |n| Segment::open_or_create(&format!("{name}{n}"), 1 << 16).unwrap();
                (0..NAMES).map(|n| format!("{:?}", made(n).identity())).collect::<Vec<_>>()
            })
            .unwrap()
        })
        .collect();
    let mut made = makers.into_iter().map(|maker| maker.join().unwrap());
    let first = made.next().unwrap();
    assert!(made.all(|other| other == first));
    for n in 0..NAMES {
        Segment::unlink(&format!("{name}{n}")).unwrap();
    }
    assert!(own_names().iter().all(|left| !left.contains("makers")));
}

#[test]
fn of_many_makers_of_an_object_one_makes_it_and_all_find_it_whole() {
    const NAMES: u32 = 100;
    let segment = Segment::anonymous(1 << 20).unwrap();
    let makers: Vec<_> = (0..4)
        .map(|_| {
            spawn((segment.clone(),), |segment| {
                let shape = Shape::of::<u32>("test", 1);
                let mut made = 0;
                for n in 0..NAMES {
                    // SAFETY: the body has room for it, and is aligned to more.
                    let fill = |body: std::ptr::NonNull<u8>| unsafe { body.cast().write(n) };
                    let name = n.to_string();
                    let (object, new) = segment.find_or_construct(&name, &shape, 4, fill).unwrap();
                    // SAFETY: whoever made it wrote it before it had its name.
                    assert_eq!(unsafe { object.body().cast::<u32>().read() }, n);
                    made += u32::from(new);
                }
                made
            })
            .unwrap()
        })
        .collect();
    let made: u32 = makers.into_iter().map(|maker| maker.join().unwrap()).sum();
    assert_eq!((made, segment.objects().len()), (NAMES, 100));
}

#[test]
fn an_unlinked_segment_stays_for_those_who_have_it() {
    let name = own_name("unlinked");
    let segment = Segment::create(&name, 1 << 20).unwrap();
    let (there, back) =
        (Queue::create(&segment, "there", 1).unwrap(), Queue::create(&segment, "back", 1).unwrap());
    let other =
        spawn((name.clone(), there.clone(), back.clone()), |name, there: Queue<u8>, back| {
            let mine = Segment::open(&name).unwrap();
            Queue::<u8>::put(&back, 0).unwrap();
            there.get().unwrap();
            // The name is another segment's by now.
            let theirs = Segment::open(&name).unwrap();
            assert_ne!(theirs.identity(), mine.identity());
            assert!(Queue::<u8>::open(&theirs, "there").is_err());
            Queue::<u8>::open(&mine, "back").unwrap().put(9).unwrap();
        });
    let other = other.unwrap();
    back.get().unwrap();
    Segment::unlink(&name).unwrap();
    let _new = Segment::create(&name, 1 << 16).unwrap();
    there.put(1).unwrap();
    assert_eq!(back.get().unwrap(), 9);
    other.join().unwrap();
    Segment::unlink(&name).unwrap();
}
