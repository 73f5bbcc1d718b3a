//! One wait for several things of several kinds, in several segments.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::fd::AsFd;
use std::time::Duration;

use crossproc::crates::segment::wait;
use crossproc::{
    Event, JoinHandle, Lock, LockError, Queue, RLock, RwLock, Segment, Semaphore, TryGetError,
    WaitFd, Waitable, spawn, wait_any,
};
use crossproc_sys::clock::Deadline;
use crossproc_sys::poll;

crossproc::test_init!();

const LONG: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::ZERO;

fn segment() -> Segment {
    Segment::anonymous(1 << 18).unwrap()
}

/// Returns once `count` threads sleep for long in `segment`.
fn until_asleep(segment: &Segment, count: usize) {
    while wait::waiters(segment).len() < count {
        std::thread::yield_now();
    }
}

/// A process that holds the lock until the queue says go.
fn holder(lock: &Lock, held: &Queue<u32>, go: &Queue<u32>) -> JoinHandle<()> {
    let process = spawn((lock.clone(), held.clone(), go.clone()), |lock, held, go| {
        let _guard = lock.lock().unwrap();
        held.put(1).unwrap();
        go.get().unwrap();
    });
    held.get().unwrap();
    process.unwrap()
}

#[test]
fn all_that_are_ready_are_told_and_none_after_the_timeout() {
    let (one, two) = (segment(), segment());
    let (a, b) = (Queue::<u32>::create(&one, "a", 2).unwrap(), Lock::new_in(&two).unwrap());
    let held = b.lock().unwrap();
    let guarded = Lock::new_in(&one).unwrap();
    assert_eq!(wait_any(&[&a], AT_ONCE).unwrap(), []);
    assert_eq!(wait_any(&[&a], Duration::from_millis(40)).unwrap(), []);
    assert_eq!(wait_any(&[&a, &guarded], None).unwrap(), [1]);
    // This very thread would be told of its own deadlock.
    assert_eq!(wait_any(&[&a, &b], None).unwrap(), [1]);
    drop(held);
    a.put(1).unwrap();
    assert_eq!(wait_any(&[&a, &b, &a.space()], None).unwrap(), [0, 1, 2]);
    a.put(2).unwrap();
    assert_eq!(wait_any(&[&a.space(), &a], None).unwrap(), [1]);
    a.close();
    assert_eq!(wait_any(&[&a.space(), &a], None).unwrap(), [0, 1]);
}

#[test]
fn each_kind_wakes_a_waiter_that_sleeps_on_all() {
    let (one, two) = (segment(), segment());
    let queue = Queue::<u32>::create(&one, "items", 1).unwrap();
    let full = Queue::<u32>::create(&two, "full", 1).unwrap();
    full.put(1).unwrap();
    let lock = Lock::new_in(&two).unwrap();
    let (held, go) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
    let process = holder(&lock, &held, &go);
    let asleep = |expected: &[usize], act: &dyn Fn()| {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let room = full.space();
                let items: [&dyn Waitable; 4] = [&queue, &room, &lock, &process];
                wait_any(&items, LONG).unwrap()
            });
            until_asleep(&one, 1);
            until_asleep(&two, 1);
            act();
            assert_eq!(waiter.join().unwrap(), expected);
        });
    };
    asleep(&[0], &|| queue.put(7).unwrap());
    queue.get().unwrap();
    asleep(&[1], &|| assert_eq!(full.get().unwrap(), 1));
    full.put(2).unwrap();
    // Killed, it is both: an owner that died, and a process that ended.
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue, &process], LONG).unwrap());
        until_asleep(&one, 1);
        process.kill().unwrap();
        assert_eq!(waiter.join().unwrap(), [1]);
    });
    assert_eq!(wait_any(&[&queue, &lock], LONG).unwrap(), [1]);
    assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_lock_that_is_released_wakes_who_waits_for_it_and_others() {
    let segment = segment();
    let lock = Lock::new_in(&segment).unwrap();
    let never = Queue::<u32>::create(&segment, "never", 1).unwrap();
    let (held, go) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
    let process = holder(&lock, &held, &go);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&never, &lock], LONG).unwrap());
        let locker = scope.spawn(|| drop(lock.lock().unwrap()));
        until_asleep(&segment, 2);
        go.put(1).unwrap();
        // Whoever of the two is woken, the other one goes on too.
        assert_eq!(waiter.join().unwrap(), [1]);
        locker.join().unwrap();
    });
    process.join().unwrap();
}

#[test]
fn a_waiter_that_does_not_take_the_item_leaves_it_to_a_sleeping_consumer() {
    let segment = segment();
    let queue = Queue::<u32>::create(&segment, "items", 4).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue], LONG).unwrap());
        until_asleep(&segment, 1);
        let consumer = scope.spawn(|| queue.get().unwrap());
        until_asleep(&segment, 2);
        queue.put(1).unwrap();
        assert_eq!(consumer.join().unwrap(), 1);
        // It may have come too late for the item, and then for none.
        queue.put(2).unwrap();
        assert_eq!(waiter.join().unwrap(), [0]);
    });
}

#[test]
fn the_death_of_an_owner_wakes_who_waits_for_its_lock_and_more() {
    let segment = segment();
    let (queue, lock) =
        (Queue::<u32>::create(&segment, "q", 4).unwrap(), Lock::new_in(&segment).unwrap());
    let (held, go) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
    let process = holder(&lock, &held, &go);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&queue, &lock], LONG).unwrap());
        until_asleep(&segment, 1);
        process.kill().unwrap();
        // Its death wakes the waiter, though the word of the lock stays as it was.
        assert_eq!(waiter.join().unwrap(), [1]);
    });
    let _ = process.join();
}

#[test]
fn a_permit_wakes_whether_it_is_given_back_or_comes_from_the_dead() {
    let segment = segment();
    let never = Queue::<u32>::create(&segment, "never", 1).unwrap();
    let permits = Semaphore::new_in(&segment, 1).unwrap();
    let waiting = |act: &dyn Fn()| {
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_any(&[&never, &permits], LONG).unwrap());
            until_asleep(&segment, 1);
            act();
            assert_eq!(waiter.join().unwrap(), [1]);
        });
    };
    permits.take().unwrap();
    waiting(&|| permits.release(1).unwrap());
    let held = Queue::<u32>::bounded(1).unwrap();
    let holder = spawn((permits.clone(), held.clone()), |permits: Semaphore, held: Queue<u32>| {
        let _permit = permits.acquire().unwrap();
        held.put(1).unwrap();
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    held.get().unwrap();
    waiting(&|| holder.kill().unwrap());
    let _: Result<(), _> = holder.join();
}

/// Takes what is there from both queues until both are closed and drained.
fn take_from_both(a: Queue<u64>, b: Queue<u64>) -> u64 {
    let (mut sum, mut open) = (0, vec![a, b]);
    while !open.is_empty() {
        let items: Vec<&dyn Waitable> = open.iter().map(|queue| queue as &dyn Waitable).collect();
        let ready = wait_any(&items, None).unwrap();
        let mut closed = Vec::new();
        for at in ready {
            match open[at].try_get() {
                Ok(item) => sum += item,
                Err(TryGetError::Empty) => {}
                Err(TryGetError::Closed) => closed.push(at),
                Err(error) => panic!("{error}"),
            }
        }
        closed.into_iter().rev().for_each(|at| drop(open.remove(at)));
    }
    sum
}

#[test]
fn processes_that_wait_for_both_and_for_one_take_everything_once() {
    const ITEMS: u64 = 3000;
    let (a, b) = (Queue::<u64>::bounded(2).unwrap(), Queue::<u64>::bounded(3).unwrap());
    let both = [(); 2].map(|()| spawn((a.clone(), b.clone()), take_from_both).unwrap());
    let one = [&a, &b].map(|queue| {
        let sum = |queue: Queue<u64>| queue.iter().map(Result::unwrap).sum::<u64>();
        spawn((queue.clone(),), sum).unwrap()
    });
    let producers = [&a, &b].map(|queue| {
        let put = |queue: Queue<u64>| (1..=ITEMS).for_each(|item| queue.put(item).unwrap());
        spawn((queue.clone(),), put).unwrap()
    });
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    a.close();
    b.close();
    let sums = both.into_iter().chain(one).map(|process| process.join().unwrap());
    assert_eq!(sums.sum::<u64>(), ITEMS * (ITEMS + 1));
}

/// Waits for `item` and one that never comes; `act` is done when the waiter is asleep.
fn woken_by(segment: &Segment, item: &(dyn Waitable + Sync), act: impl FnOnce()) {
    let never = Queue::<u32>::create(segment, "never", 1).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&never, item], LONG).unwrap());
        until_asleep(segment, 1);
        act();
        assert_eq!(waiter.join().unwrap(), [1]);
    });
    segment.remove("never").unwrap();
}

#[test]
fn an_event_and_locks_of_all_kinds_wake() {
    let segment = segment();
    let event = Event::new_in(&segment).unwrap();
    woken_by(&segment, &event, || event.set());

    let recursive = RLock::new_in(&segment).unwrap();
    let guard = recursive.lock().unwrap();
    assert_eq!(wait_any(&[&recursive], None).unwrap(), [0]);
    woken_by(&segment, &recursive, || drop(guard));

    let shared = RwLock::new_in(&segment).unwrap();
    let (readable, writable) = (shared.readable(), shared.writable());
    let writer = shared.write().unwrap();
    woken_by(&segment, &readable, || drop(writer));
    let writer = shared.write().unwrap();
    woken_by(&segment, &writable, || drop(writer));
    let reader = shared.read().unwrap();
    assert_eq!(wait_any(&[&readable], None).unwrap(), [0]);
    woken_by(&segment, &writable, || drop(reader));
}

#[test]
fn a_writer_that_becomes_a_reader_is_waited_for_all_the_same() {
    let segment = segment();
    let shared = RwLock::new_in(&segment).unwrap();
    let writer = shared.write().unwrap();
    woken_by(&segment, &shared.writable(), || {
        let reader = writer.downgrade().unwrap();
        // Other readers come and go before the last one leaves.
        std::thread::scope(|scope| scope.spawn(|| drop(shared.read().unwrap())).join()).unwrap();
        let elsewhere = || wait_any(&[&shared.writable()], AT_ONCE).unwrap();
        std::thread::scope(|scope| {
            assert_eq!(scope.spawn(elsewhere).join().unwrap(), []);
        });
        // This thread would be refused at once, and need not wait for that.
        assert_eq!(elsewhere(), [0]);
        drop(reader);
    });
}

#[test]
fn a_descriptor_follows_a_queue_and_costs_nothing_once_dropped() {
    let segment = segment();
    let queue = Queue::<u32>::create(&segment, "items", 4).unwrap();
    let now = || Some(Deadline::now());
    let fd = WaitFd::new(queue.clone()).unwrap();
    assert!(!poll::readable(fd.as_fd(), now()).unwrap());
    queue.put(1).unwrap();
    assert!(poll::readable(fd.as_fd(), Some(Deadline::after(LONG))).unwrap());
    // It stays up until it is armed again, and comes up again while there is an item.
    fd.rearm();
    assert!(poll::readable(fd.as_fd(), Some(Deadline::after(LONG))).unwrap());
    queue.get().unwrap();
    // A rearm can race with the bridge: look in vain at most once.
    loop {
        fd.rearm();
        if !poll::readable(fd.as_fd(), Some(Deadline::after(Duration::from_millis(30)))).unwrap() {
            break;
        }
    }
    let many: Vec<WaitFd> = (0..200).map(|_| WaitFd::new(queue.clone()).unwrap()).collect();
    queue.put(2).unwrap();
    for fd in many.iter().chain([&fd]) {
        assert!(poll::readable(fd.as_fd(), Some(Deadline::after(LONG))).unwrap());
    }
    drop(many);
    drop(fd);
    assert_eq!(queue.get().unwrap(), 2);
    await_no_bridge();
    // However far the bridge has come when its last descriptor goes.
    for spins in 0..1000 {
        let fd = WaitFd::new(queue.clone()).unwrap();
        (0..spins * 8).for_each(|_| std::hint::spin_loop());
        drop(fd);
        await_no_bridge();
    }
}

fn await_no_bridge() {
    while bridges() > 0 {
        std::thread::yield_now();
    }
}

/// Threads of this process that serve descriptors.
fn bridges() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.trim() == "crossproc-bridg").count()
}
