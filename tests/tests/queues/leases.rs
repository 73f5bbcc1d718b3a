//! Leases of processes that are killed while they have them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossproc::{
    AckError, GetError, JoinHandle, Message, Queue, Segment, TryGetError, TryPutError, spawn,
};
use tests::dice::Dice;
use tests::forked::fork;
use tests::outside::until_asleep;

use crate::items::{Block, Item};

const KILLS: usize = 40;

/// Leases an item, says so, and sleeps over it until it is killed.
fn hold<T: Message>(jobs: Queue<T>, told: Queue<u64>) {
    let lease = jobs.lease().unwrap();
    told.put(lease.deliveries().into()).unwrap();
    let never = Queue::<u64>::bounded(1).unwrap();
    never.get().unwrap();
    drop(lease);
}

/// A worker that has the first item on lease, for the `deliveries`th time.
fn holder<T: Message>(jobs: &Queue<T>, deliveries: u64) -> JoinHandle<()> {
    let told = Queue::bounded(1).unwrap();
    let worker = spawn((jobs.clone(), told.clone()), hold::<T>).unwrap();
    assert_eq!(told.get().unwrap(), deliveries);
    worker
}

fn kill(worker: JoinHandle<()>) {
    worker.kill().unwrap();
    assert!(worker.join().is_err());
}

#[test]
fn each_holder_that_is_killed_is_counted_and_the_item_comes_first() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let jobs = Queue::<String>::create(&segment, "jobs", 3).unwrap();
    jobs.put(String::make(1, 0)).unwrap();
    for deliveries in 1..6 {
        kill(holder(&jobs, deliveries));
    }
    // Who looks while nothing is there finds the dead.
    assert!(matches!(jobs.lease_timeout(Duration::ZERO), Ok(lease) if lease.deliveries() == 6));
    jobs.put(String::make(1, 1)).unwrap();
    let lease = jobs.lease().unwrap();
    assert_eq!((lease.read(), lease.deliveries()), ((1, 0), 7));
    lease.ack().unwrap();
    assert_eq!(jobs.get().unwrap().read(), (1, 1));
    assert_eq!(jobs.leased(), 0);
}

/// Leases an item, hangs over it until it is told to go on, and says what came of its ack.
fn hang(jobs: Queue<String>, told: Queue<bool>, go: Queue<()>) {
    let lease = jobs.lease().unwrap();
    told.put(false).unwrap();
    go.get().unwrap();
    told.put(lease.ack() == Err(AckError::Expired)).unwrap();
}

#[test]
fn a_holder_that_hangs_is_too_late_and_its_item_is_done_by_the_next() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    let options = Queue::options().lease_limit(Duration::from_millis(10));
    let jobs = options.create(&segment, "jobs", 3).unwrap();
    let (told, go) = (Queue::bounded(1).unwrap(), Queue::bounded(1).unwrap());
    jobs.put("x".repeat(500)).unwrap();
    let slow = spawn((jobs.clone(), told.clone(), go.clone()), hang).unwrap();
    assert!(!told.get().unwrap());
    let lease = jobs.lease().unwrap();
    assert_eq!((lease.len(), lease.deliveries()), (500, 2));
    lease.ack().unwrap();
    go.put(()).unwrap();
    assert!(told.get().unwrap());
    slow.join().unwrap();
    jobs.close();
    assert!(matches!(jobs.get(), Err(GetError::Closed)));
}

#[test]
fn a_killed_holder_is_noticed_long_before_its_lease_runs_out() {
    let options = Queue::options().lease_limit(Duration::from_secs(86_400));
    let jobs = options.bounded(3).unwrap();
    jobs.put(7).unwrap();
    kill(holder(&jobs, 1));
    let lease = jobs.lease().unwrap();
    assert_eq!((*lease, lease.deliveries()), (7, 2));
    lease.ack().unwrap();
}

/// Waits in another process, which says what came of it.
fn wait_for_it(jobs: Queue<(u32, u64)>, told: Queue<(u64, u32)>) {
    let lease = jobs.lease().unwrap();
    told.put((lease.read().1, lease.deliveries())).unwrap();
    lease.ack().unwrap();
}

#[test]
fn one_who_waits_for_an_item_or_for_a_lease_gets_a_dead_holders() {
    for others in [0, 1] {
        let segment = Segment::anonymous(1 << 20).unwrap();
        // With another item there, what the waiter waits for is a lease.
        let options = Queue::<(u32, u64)>::options().leases(1);
        let jobs = options.create(&segment, "jobs", 3).unwrap();
        let told = Queue::create(&segment, "told", 1).unwrap();
        jobs.put(Item::make(1, 0)).unwrap();
        let victim = holder(&jobs, 1);
        for number in 0..others {
            jobs.put(Item::make(1, 1 + number)).unwrap();
        }
        let waiter = spawn((jobs.clone(), told.clone()), wait_for_it).unwrap();
        until_asleep(waiter.pid());
        kill(victim);
        assert_eq!(told.get().unwrap(), (0, 2));
        waiter.join().unwrap();
        assert_eq!(jobs.len() as u64, others);
    }
}

#[test]
fn a_dead_holder_is_noticed_in_a_queue_that_never_runs_empty() {
    for plain in [false, true] {
        let jobs = Queue::<u64>::bounded(4).unwrap();
        jobs.put(0).unwrap();
        kill(holder(&jobs, 1));
        let mut next = 1;
        let mut put = || {
            next += 1;
            jobs.put(next).unwrap();
        };
        put();
        put();
        // Nobody ever waits here; without a look at the clock this would not end.
        loop {
            put();
            let got =
                if plain { jobs.get().unwrap() } else { jobs.lease().unwrap().ack().unwrap() };
            if got == 0 {
                break;
            }
        }
    }
}

#[test]
fn a_closed_queue_ends_when_the_last_lease_of_another_does() {
    let jobs = Queue::<u64>::bounded(2).unwrap();
    jobs.put(7).unwrap();
    let victim = holder(&jobs, 1);
    jobs.close();
    assert!(matches!(jobs.try_get(), Err(TryGetError::Empty)));
    kill(victim);
    assert_eq!(jobs.get().unwrap(), 7);
    assert!(matches!(jobs.get(), Err(GetError::Closed)));
}

#[test]
fn join_waits_for_what_a_dead_holder_had_and_not_for_what_a_dead_getter_had() {
    let jobs = Queue::<u64>::options().joinable().bounded(2).unwrap();
    jobs.put(7).unwrap();
    kill(holder(&jobs, 1));
    assert!(jobs.try_join().is_err());
    jobs.lease().unwrap().ack().unwrap();
    jobs.join().unwrap();
    jobs.put(8).unwrap();
    let getter = spawn((jobs.clone(),), |jobs: Queue<u64>| {
        jobs.get().unwrap();
        let _ = jobs.get();
    });
    let getter = getter.unwrap();
    until_asleep(getter.pid());
    assert!(jobs.is_empty() && jobs.try_join().is_err());
    kill(getter);
    jobs.join().unwrap();
}

#[test]
fn the_copy_of_a_lease_in_a_forked_child_does_nothing() {
    let played = spawn((), || {
        let jobs = Queue::<String>::bounded(2).unwrap();
        jobs.put("mine".to_owned()).unwrap();
        let lease = jobs.lease().unwrap();
        // Moved into the child it is dropped there, and so is what was acknowledged.
        let child = fork(|| {
            let copy = &lease;
            // SAFETY: the child's own copy, which nobody else in the child uses.
            let copy = unsafe { std::ptr::read(copy) };
            drop(copy);
            i32::from(jobs.try_get().is_ok())
        });
        assert_eq!(child.wait(), 0);
        let child = fork(|| {
            // SAFETY: as above.
            let copy = unsafe { std::ptr::read(&raw const lease) };
            i32::from(copy.ack().is_ok())
        });
        assert_eq!(child.wait(), 0);
        assert_eq!(jobs.leased(), 1);
        assert_eq!(lease.ack().unwrap(), "mine");
    });
    played.unwrap().join().unwrap();
}

#[test]
fn a_forked_child_extends_nothing() {
    let played = spawn((), || {
        let options = Queue::<u64>::options().lease_limit(Duration::from_secs(60));
        let jobs = options.bounded(2).unwrap();
        jobs.put(1).unwrap();
        let mut lease = jobs.lease().unwrap();
        let child =
            fork(|| i32::from(lease.extend(Duration::from_secs(600)) != Err(AckError::Forked)));
        assert_eq!(child.wait(), 0);
        assert!(lease.time_left() <= Some(Duration::from_secs(61)));
        assert_eq!(lease.ack().unwrap(), 1);
    });
    played.unwrap().join().unwrap();
}

/// Does jobs until the queue is closed: each result is put before the lease is ended.
fn work<T: Item>(jobs: Queue<T>, results: Queue<(u64, u32)>) {
    while let Ok(lease) = jobs.lease() {
        results.put((lease.read().1, lease.deliveries())).unwrap();
        lease.ack().unwrap();
    }
}

/// What a foreman knows of its jobs.
struct Results {
    queue: Queue<(u64, u32)>,
    /// How often each came, and the highest count of deliveries with it.
    seen: BTreeMap<u64, (usize, u32)>,
}

impl Results {
    fn note(&mut self, (number, deliveries): (u64, u32)) {
        let seen = self.seen.entry(number).or_default();
        assert!(deliveries > seen.1, "{number} came again, and was not counted");
        *seen = (seen.0 + 1, deliveries);
    }

    fn drain(&mut self) {
        while let Ok(result) = self.queue.try_get() {
            self.note(result);
        }
    }
}

fn killed_workers<T: Item>(segment: &Segment, name: &str, seed: u64) {
    let mut dice = Dice::new(seed);
    let create = |what| Queue::<T>::create(segment, &format!("{name}-{what}"), 5).unwrap();
    let jobs = create("jobs");
    let queue = Queue::create(segment, &format!("{name}-results"), 5).unwrap();
    let mut results = Results { queue, seen: BTreeMap::new() };
    let worker = || spawn((jobs.clone(), results.queue.clone()), work::<T>).unwrap();
    let mut workers: Vec<_> = (0..3).map(|_| worker()).collect();
    let mut fed = 0;
    let feed = |fed: &mut u64| {
        loop {
            match jobs.try_put(T::make(1, *fed)) {
                Ok(()) => *fed += 1,
                Err(TryPutError::Full(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    for _ in 0..KILLS {
        feed(&mut fed);
        for _ in 0..dice.roll(30) {
            let result = results.queue.get().unwrap();
            results.note(result);
            feed(&mut fed);
        }
        dice.dither();
        let unlucky = dice.index(&workers);
        kill(workers.swap_remove(unlucky));
        workers.push(spawn((jobs.clone(), results.queue.clone()), work::<T>).unwrap());
    }
    jobs.close();
    while !workers.is_empty() {
        results.drain();
        std::thread::yield_now();
        workers.retain(JoinHandle::is_alive);
    }
    results.drain();
    assert!(matches!(jobs.try_get(), Err(TryGetError::Closed)));
    assert_eq!(jobs.leased(), 0);
    let numbers: BTreeSet<u64> = results.seen.keys().copied().collect();
    assert!(numbers.into_iter().eq(0..fed), "a job is missing of {fed}");
    let again: usize = results.seen.values().map(|(times, _)| times - 1).sum();
    assert!(again <= KILLS, "{again} came more than once, of {KILLS} killed");
}

#[test]
fn killed_workers_lose_nothing_and_repeat_at_most_the_item_each_had() {
    let segment = Segment::anonymous(1 << 20).unwrap();
    killed_workers::<(u32, u64)>(&segment, "words", 1);
    killed_workers::<Block>(&segment, "bytes", 2);
    killed_workers::<String>(&segment, "messages", 3);
}
