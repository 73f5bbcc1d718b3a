//! Processes that wait for each other in a ring, and who is told.

use crossproc::crates::segment::wait::{self, Owner};
use crossproc::{JoinError, JoinHandle, Lock, LockError, Queue, Segment, spawn};

fn world() -> Segment {
    let segment = Segment::anonymous(1 << 18).unwrap();
    for name in ["left", "middle", "right"] {
        // An object stays while it has a name.
        Lock::create(&segment, name).unwrap();
    }
    segment
}

/// Locks `first`, waits until all have theirs, and locks `second`; whether a death was told.
fn lock_both(first: Lock, second: Lock, ready: Queue<u32>, go: Queue<u32>) -> bool {
    let _first = first.lock().unwrap();
    ready.put(std::process::id()).unwrap();
    go.get().unwrap();
    match second.lock() {
        Ok(_) => false,
        Err(LockError::OwnerDied(_)) => true,
        Err(error) => panic!("{error}"),
    }
}

/// Processes that each hold the lock of their name and want that of the next.
fn ring(segment: &Segment, names: &[&str]) -> Vec<JoinHandle<bool>> {
    let (ready, go) = (Queue::bounded(4).unwrap(), Queue::bounded(4).unwrap());
    let lock = |name: &str| Lock::open(segment, name).unwrap();
    let next = names.iter().cycle().skip(1);
    let processes: Vec<_> = names
        .iter()
        .zip(next)
        .map(|(mine, next)| {
            spawn((lock(mine), lock(next), ready.clone(), go.clone()), lock_both).unwrap()
        })
        .collect();
    for _ in &processes {
        ready.get().unwrap();
    }
    for _ in &processes {
        go.put(0).unwrap();
    }
    processes
}

fn named(segment: &Segment) -> wait::Cycle {
    loop {
        if let Some(cycle) = wait::deadlocks(&[segment]).pop() {
            return cycle;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_deadlock_of_three_processes_is_named_and_ends_with_one_of_them() {
    let segment = world();
    let mut processes = ring(&segment, &["left", "middle", "right"]);
    let cycle = named(&segment);
    let pids: Vec<u32> = processes.iter().map(JoinHandle::pid).collect();
    assert_eq!(cycle.waiters().len(), 3, "{cycle}");
    for (at, waiter) in cycle.waiters().iter().enumerate() {
        let mine = pids.iter().position(|&pid| pid == waiter.who.pid).unwrap();
        let next = (mine + 1) % 3;
        assert_eq!(waiter.object.as_deref(), Some(["left", "middle", "right"][next]));
        let Some(Owner::Thread(owner)) = waiter.owner else { panic!("{waiter}") };
        assert_eq!(owner.pid, pids[next]);
        assert_eq!(owner.pid, cycle.waiters()[(at + 1) % 3].who.pid);
    }
    assert!(!cycle.is_mine(&segment));

    let victim = processes.remove(0);
    victim.kill().unwrap();
    assert!(matches!(victim.join(), Err(JoinError::Signalled { .. })));
    // The last one waited for the victim, the middle one for the last.
    let told: Vec<bool> = processes.into_iter().map(|process| process.join().unwrap()).collect();
    assert_eq!(told, [false, true]);
    assert!(wait::deadlocks(&[&segment]).is_empty());
}

#[test]
fn who_waits_behind_a_deadlock_or_for_a_living_owner_is_in_no_ring() {
    let segment = world();
    let processes = ring(&segment, &["left", "right"]);
    let cycle = named(&segment);
    let third = spawn((Lock::open(&segment, "left").unwrap(),), |lock: Lock| {
        matches!(lock.lock(), Err(LockError::OwnerDied(_)) | Ok(_))
    })
    .unwrap();
    while wait::waiters(&segment).len() < 3 {
        std::thread::yield_now();
    }
    let rings = wait::deadlocks(&[&segment]);
    assert_eq!(rings.len(), 1);
    assert_eq!(rings[0].waiters().len(), 2);
    assert_eq!(rings[0], cycle);
    let text = cycle.to_string();
    assert!(text.contains("waits for `left`") && text.contains("waits for `right`"), "{text}");
    for process in processes {
        process.kill().unwrap();
        let _ = process.join();
    }
    assert!(third.join().unwrap());
}
