//! Owners and waiters that are killed.

use crossproc::{JoinError, JoinHandle, Lock, LockError, Queue, TryLockError, Value, spawn};
use tests::dice::Dice;
use tests::outside::{LONG, until_asleep};

/// Locks, says so, and stays inside until it is killed.
fn own(lock: Lock, inside: Queue<()>) {
    let _guard = lock.lock().unwrap();
    inside.put(()).unwrap();
    loop {
        std::thread::park();
    }
}

/// A process that is inside.
pub(crate) fn owner(lock: &Lock) -> JoinHandle<()> {
    let inside = Queue::bounded(1).unwrap();
    let owner = spawn((lock.clone(), inside.clone()), own).unwrap();
    inside.get().unwrap();
    owner
}

pub(crate) fn kill(owner: JoinHandle<()>) {
    owner.kill().unwrap();
    assert!(matches!(owner.join(), Err(JoinError::Signalled { signal: 9, .. })));
}

/// Locks once; whether it was told that the last owner had died.
pub(crate) fn told(lock: Lock) -> bool {
    match lock.lock() {
        Ok(_) => false,
        Err(LockError::OwnerDied(_)) => true,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn one_of_several_waiters_is_told_and_all_of_them_go_on() {
    let lock = Lock::new().unwrap();
    for _ in 0..3 {
        let owner = owner(&lock);
        let waiters: Vec<_> = (0..5).map(|_| spawn((lock.clone(),), told).unwrap()).collect();
        waiters.iter().for_each(|waiter| until_asleep(waiter.pid()));
        kill(owner);
        let told = waiters.into_iter().map(|waiter| waiter.join().unwrap());
        assert_eq!(told.filter(|&told| told).count(), 1);
        assert!(lock.try_lock().is_ok());
    }
}

#[test]
fn the_death_is_told_once_by_every_form_of_locking() {
    let lock = Lock::new().unwrap();
    kill(owner(&lock));
    assert!(matches!(lock.try_lock(), Err(TryLockError::OwnerDied(_))));
    assert!(lock.try_lock().is_ok());
    kill(owner(&lock));
    assert!(matches!(lock.lock_timeout(LONG), Err(TryLockError::OwnerDied(_))));
    assert!(lock.lock_timeout(LONG).is_ok());
    kill(owner(&lock));
    assert!(told(lock.clone()));
    assert!(!told(lock));
}

#[test]
fn whoever_is_told_and_dies_of_it_leaves_the_news_to_the_next() {
    let lock = Lock::new().unwrap();
    kill(owner(&lock));
    let heir = spawn((lock.clone(),), |lock: Lock| -> () {
        let inside = lock.lock();
        assert!(matches!(inside, Err(LockError::OwnerDied(_))));
        crossproc_sys::process::kill_self(9)
    });
    assert!(matches!(heir.unwrap().join(), Err(JoinError::Signalled { signal: 9, .. })));
    assert!(told(lock.clone()));
    assert!(!told(lock));
}

#[test]
fn a_killed_waiter_keeps_nobody_from_the_lock() {
    let lock = Lock::new().unwrap();
    let mut dice = Dice::new(1);
    for _ in 0..10 {
        let guard = lock.lock().unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| spawn((lock.clone(),), told).unwrap()).collect();
        waiters.iter().for_each(|waiter| until_asleep(waiter.pid()));
        let unlucky = dice.index(&waiters);
        let unlucky = waiters.swap_remove(unlucky);
        // Before the lock is free, or just as the wake reaches it.
        if dice.roll(2) == 0 {
            unlucky.kill().unwrap();
            drop(guard);
        } else {
            drop(guard);
            dice.dither();
            unlucky.kill().unwrap();
        }
        let died_inside = unlucky.join().is_err();
        let told = waiters.into_iter().map(|waiter| waiter.join().unwrap());
        let told = told.filter(|&told| told).count();
        assert!(told <= usize::from(died_inside));
        // If it had got the lock, and the others had been before it, the news is still to come.
        drop(lock.lock());
    }
}

/// Goes in and out, and leaves a sign while it is inside.
fn come_and_go(lock: Lock, inside: Value<u64>, entered: Value<u64>, told: Value<u64>) {
    let me = u64::from(std::process::id());
    loop {
        let guard = match lock.lock() {
            Ok(guard) => {
                // Nobody died inside, or somebody was told of it.
                assert_eq!(inside.get(), 0);
                guard
            }
            Err(LockError::OwnerDied(guard)) => {
                told.fetch_add(1);
                guard
            }
            Err(error) => panic!("{error}"),
        };
        inside.set(me).unwrap();
        entered.fetch_add(1);
        assert_eq!(inside.get(), me);
        inside.set(0).unwrap();
        drop(guard);
    }
}

#[test]
fn owners_killed_at_any_moment_are_each_told_of_and_nobody_is_ever_inside_with_another() {
    const KILLS: u64 = 60;
    let mut dice = Dice::new(2);
    let lock = Lock::new().unwrap();
    let [inside, entered, told] = [(); 3].map(|()| Value::new(0u64).unwrap());
    let begin = || {
        let arguments = (lock.clone(), inside.clone(), entered.clone(), told.clone());
        spawn(arguments, come_and_go).unwrap()
    };
    let mut processes: Vec<_> = (0..3).map(|_| begin()).collect();
    for _ in 0..KILLS {
        let goal = entered.get() + 1 + dice.roll(50);
        tests::outside::until("they come and go", || entered.get() >= goal);
        dice.dither();
        let unlucky = dice.index(&processes);
        kill(processes.swap_remove(unlucky));
        processes.push(begin());
    }
    processes.into_iter().for_each(kill);
    let last = match lock.lock() {
        Ok(_) => 0,
        Err(LockError::OwnerDied(_)) => 1,
        Err(error) => panic!("{error}"),
    };
    let told = told.get() + last;
    assert!(told <= KILLS + 3, "{told}");
    assert!(lock.lock().is_ok());
}
