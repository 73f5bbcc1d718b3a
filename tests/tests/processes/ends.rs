//! When a process ends, so do all that it started, whatever they are at.

use std::process::Stdio;
use std::thread;

use crossproc::{Lock, Queue, Segment, Value, spawn};
use tests::outside::{Seen, go_on, stop, until_asleep};
use tests::stage::{Stage, role};
use tests::traces::own_name;

/// Tells the other processes of a test where to report.
const SEGMENT: &str = "CROSSPROC_TEST_SEGMENT";

type Pids = Queue<u32>;

fn report(pids: &Pids) {
    pids.put(std::process::id()).unwrap();
}

/// Starts processes that wait for everything there is to wait for, and more below them.
fn start_all(pids: &Pids, levels: u32) {
    let lock = Lock::new().unwrap();
    let value = Value::new([0u64; 4]).unwrap();
    let owner = lock.lock().unwrap();
    let held = value.lock().unwrap();
    spawn((pids.clone(),), |pids| {
        report(&pids);
        Queue::<u8>::bounded(1).unwrap().get().unwrap();
    })
    .unwrap()
    .detach();
    spawn((pids.clone(), lock.clone()), |pids, lock| {
        report(&pids);
        drop(lock.lock());
    })
    .unwrap()
    .detach();
    spawn((pids.clone(), value.clone()), |pids, value| {
        report(&pids);
        value.update(|value| value[0] += 1).unwrap();
    })
    .unwrap()
    .detach();
    spawn((pids.clone(),), |pids| {
        report(&pids);
        let _never = spawn((), || -> () {
            loop {
                thread::park();
            }
        })
        .unwrap()
        .join();
    })
    .unwrap()
    .detach();
    if levels > 0 {
        spawn((pids.clone(), levels - 1), |pids, levels| start_all(&pids, levels))
            .unwrap()
            .detach();
    }
    report(pids);
    std::mem::forget((owner, held));
    loop {
        thread::park();
    }
}

#[test]
fn nothing_outlives_a_first_process_that_is_killed() {
    const LEVELS: u32 = 2;
    const EACH: u32 = 5;
    if role().is_some() {
        let segment = Segment::open(&std::env::var(SEGMENT).unwrap()).unwrap();
        return start_all(&Pids::open(&segment, "pids").unwrap(), LEVELS);
    }
    let name = own_name("tree");
    let segment = Segment::create(&name, 1 << 16).unwrap();
    let pids = Pids::create(&segment, "pids", 64).unwrap();
    let stage = Stage::new(tests::test_name!()).env(SEGMENT, &name);
    let mut first = stage.command().stdout(Stdio::null()).spawn().unwrap();
    let all: Vec<Seen> = (0..EACH * (LEVELS + 1)).map(|_| Seen::new(pids.get().unwrap())).collect();
    assert!(all.iter().all(|process| !process.has_ended()));
    first.kill().unwrap();
    first.wait().unwrap();
    all.iter().for_each(Seen::until_ended);
    Segment::unlink(&name).unwrap();
}

#[test]
fn nothing_outlives_a_process_that_panics_or_exits() {
    for way in ["panic", "exit", "abort", "exec"] {
        let (pids, go) = (Pids::bounded(4).unwrap(), Queue::<()>::bounded(1).unwrap());
        let parent = spawn((pids.clone(), go.clone(), way.to_owned()), |pids, go, way| -> () {
            for _ in 0..2 {
                let child = spawn((pids.clone(),), |pids| {
                    report(&pids);
                    Queue::<u8>::bounded(1).unwrap().get().unwrap();
                });
                child.unwrap().detach();
            }
            go.get().unwrap();
            go_away(&way);
        });
        let parent = parent.unwrap();
        let children = [Seen::new(pids.get().unwrap()), Seen::new(pids.get().unwrap())];
        assert!(children.iter().all(|child| !child.has_ended()));
        go.put(()).unwrap();
        children.iter().for_each(Seen::until_ended);
        // Ended, if it is not another program by now.
        parent.kill().unwrap();
        assert!(parent.join().is_err(), "{way}");
    }
}

#[expect(clippy::exit, reason = "this is what is tested")]
fn go_away(way: &str) {
    match way {
        "panic" => panic!("on purpose"),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        _ => {
            use std::os::unix::process::CommandExt;
            let error = std::process::Command::new("sleep").arg("600").exec();
            panic!("{error}")
        }
    }
}

#[test]
fn a_stopped_parent_is_not_gone() {
    let (there, back) = (Queue::<u32>::bounded(1).unwrap(), Queue::<u32>::bounded(1).unwrap());
    let parent = spawn((there.clone(), back.clone()), |there, back| {
        let child = spawn((there, back.clone()), |there, back| {
            for item in &there {
                back.put(item.unwrap() + 1).unwrap();
            }
        })
        .unwrap();
        back.put(0).unwrap();
        child.join().unwrap();
    })
    .unwrap();
    back.get().unwrap();
    until_asleep(parent.pid());
    stop(parent.pid());
    for number in 0..10 {
        there.put(number).unwrap();
        assert_eq!(back.get().unwrap(), number + 1);
    }
    there.close();
    go_on(parent.pid());
    parent.join().unwrap();
}
