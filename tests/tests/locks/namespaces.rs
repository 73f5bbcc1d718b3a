//! Processes whose pids mean nothing to each other.

use std::process::Stdio;
use std::time::Duration;

use crossproc::{Lock, LockError, Queue, Segment, TryLockError, spawn};
use tests::stage::{Stage, role};
use tests::traces::own_name;

/// Tells the other processes of the test which segment it is about.
const SEGMENT: &str = "CROSSPROC_TEST_SEGMENT";

#[test]
fn owners_in_another_pid_namespace_are_alive_until_they_die() {
    if let Some(role) = role() {
        return inside(&role);
    }
    let name = own_name("pids");
    let Some(stage) = Stage::new(tests::test_name!()).env(SEGMENT, &name).with_own_pids() else {
        return;
    };
    let segment = Segment::create(&name, 1 << 20).unwrap();
    let lock = Lock::create(&segment, "lock").unwrap();
    let news = Queue::<String>::create(&segment, "news", 4).unwrap();
    for role in ["owner", "parent of an owner"] {
        let mut process = stage.again(role).command().stdout(Stdio::null()).spawn().unwrap();
        assert_eq!(news.get().unwrap(), "inside");
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)), "{role}");
        let timeout = Duration::from_millis(200);
        assert!(matches!(lock.lock_timeout(timeout), Err(TryLockError::Timeout)), "{role}");
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))), "{role}");
    }
    // And the other way round: it waits for one out here.
    let guard = lock.lock().unwrap();
    let mut waiter = stage.again("waiter").command().stdout(Stdio::null()).spawn().unwrap();
    assert_eq!(news.get().unwrap(), "about to wait");
    drop(guard);
    assert_eq!(news.get().unwrap(), "got it");
    assert!(waiter.wait().unwrap().success());
    Segment::unlink(&name).unwrap();
}

fn inside(role: &str) {
    let segment = Segment::open(&std::env::var(SEGMENT).unwrap()).unwrap();
    let lock = Lock::open(&segment, "lock").unwrap();
    let news = Queue::<String>::open(&segment, "news").unwrap();
    match role {
        "owner" => own(lock, news),
        "parent of an owner" => spawn((lock, news), own).unwrap().join().unwrap(),
        _ => {
            news.put("about to wait".to_owned()).unwrap();
            drop(lock.lock().unwrap());
            news.put("got it".to_owned()).unwrap();
        }
    }
}

fn own(lock: Lock, news: Queue<String>) {
    let _guard = lock.lock().unwrap();
    news.put("inside".to_owned()).unwrap();
    loop {
        std::thread::park();
    }
}
