//! Process numbers: the same one again, and the same one elsewhere. None of them is asked for.

use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crossproc::{Queue, Segment, deadlocks};
use crossproc_sys::process::exit_now;
use tests::forked::{Forked, How, copy};
use tests::stage::{Stage, role};
use tests::traces::own_name;

use crate::things::Thing;

/// Tells the other processes of a test which segment it is about.
const SEGMENT: &str = "CROSSPROC_TEST_SEGMENT";

/// A number that is free in a pid namespace in which next to nobody is.
const NUMBER: i32 = 77;

#[test]
fn whoever_gets_the_number_of_a_dead_holder_is_not_taken_for_it() {
    if role().is_some() {
        return reused();
    }
    if let Some(stage) = Stage::new(tests::test_name!()).with_own_pids() {
        stage.play();
    }
}

/// The first process of its pid namespace.
fn reused() {
    assert_eq!(std::process::id(), 1);
    for thing in Thing::all() {
        let (inside, told) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
        let holder = numbered(|| thing.clone().hold(inside.clone()));
        inside.get().unwrap();
        // As a rule it waits by the time the holder dies; it would get it all the same.
        let heir = heir(&thing);
        thread::sleep(Duration::from_millis(60));
        holder.kill();
        assert_eq!(holder.wait(), -libc::SIGKILL);
        let successor = numbered(|| {
            // A member of its own, although of the same number.
            told.put(thing.inherit()).unwrap();
            thread::sleep(Duration::MAX);
        });
        let told = i32::from(told.get().unwrap()) + heir.wait();
        assert_eq!(told, i32::from(thing.tells()), "{thing:?}");
        assert_eq!(thing.changes(), 0, "{thing:?}");
        successor.kill();
        assert_eq!(successor.wait(), -libc::SIGKILL);
    }
}

/// A copy of this process with the number.
fn numbered(f: impl FnOnce()) -> Forked {
    let Some(copy) = copy(How::WithPid(NUMBER)).unwrap() else {
        assert_eq!(std::process::id(), NUMBER.unsigned_abs());
        f();
        exit_now(1)
    };
    copy
}

fn heir(thing: &Thing) -> Forked {
    let Some(copy) = copy(How::Clone).unwrap() else { exit_now(i32::from(thing.inherit())) };
    copy
}

#[test]
fn a_dead_holder_with_the_number_of_a_living_process_elsewhere_is_dead() {
    if let Some(role) = role() {
        return elsewhere(&role);
    }
    let name = own_name("same-pid");
    let Some(stage) = Stage::new(tests::test_name!()).env(SEGMENT, &name).with_own_pids() else {
        return;
    };
    let segment = Segment::create(&name, 1 << 20).unwrap();
    let pids = Queue::<u32>::create(&segment, "pids", 1).unwrap();
    let start =
        |role: &str| Ended(stage.again(role).command().stdout(Stdio::null()).spawn().unwrap());
    for (index, thing) in Thing::all_in(&segment).into_iter().enumerate() {
        let mut holder = start(&format!("hold {index}"));
        assert_eq!(pids.get().unwrap(), 1);
        assert!(thing.is_held(), "{thing:?}");
        let mut heir = start(&format!("inherit {index}"));
        // Its number is the holder's.
        assert_eq!(pids.get().unwrap(), 1);
        thread::sleep(Duration::from_millis(200));
        assert!(thing.is_held() && heir.0.try_wait().unwrap().is_none(), "{thing:?}");
        // Nor are the two taken for one, which would wait for itself.
        assert_eq!(deadlocks(&[&segment]), [], "{thing:?}");
        holder.0.kill().unwrap();
        holder.0.wait().unwrap();
        assert!(heir.0.wait().unwrap().success(), "{thing:?}");
        assert_eq!(thing.changes(), 0, "{thing:?}");
        assert!(!thing.is_held(), "{thing:?}");
    }
    Segment::unlink(&name).unwrap();
}

/// The first process of its pid namespace, which is one of two.
fn elsewhere(role: &str) {
    let segment = Segment::open(&std::env::var(SEGMENT).unwrap()).unwrap();
    let pids = Queue::<u32>::open(&segment, "pids").unwrap();
    let (role, index) = role.split_once(' ').unwrap();
    let thing = Thing::all_in(&segment).swap_remove(index.parse().unwrap());
    if role == "inherit" {
        pids.put(std::process::id()).unwrap();
        assert_eq!(thing.inherit(), thing.tells(), "{thing:?}");
        return;
    }
    let stay = move || {
        pids.put(std::process::id()).unwrap();
        thread::sleep(Duration::MAX);
    };
    thing.inside(stay).unwrap();
}

/// A process that is killed and reaped when the test is over, however it ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Both fail for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
