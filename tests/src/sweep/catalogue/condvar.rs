//! The condition variable: waited at, and notified, with a lock that the victim may die with.
//!
//! What is waited for is an item, put and taken with the lock held.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{Condvar, Deadline, Lock, LockError, LockGuard, Waited};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("condvar notify_one", "nobody waits", || notifying(put_notify_one)),
    Entry::new("condvar notify_one", "with the lock held", || notifying(put_notify_within)),
    Entry::new("condvar notify_all", "nobody waits", || notifying(put_notify_all)),
    Entry::new("condvar wait_timeout", "time runs out", || alone(wait_shortly)),
    Entry::new("condvar wait_timeout", "earlier death in it", || after_waiter(wait_shortly)),
    Entry::new("condvar notify_one", "earlier death in wait_timeout", || {
        after_waiter(put_notify_one)
    }),
    Entry::new("condvar notify_one", "waiter asleep", || waiter_asleep(put_notify_one)),
    Entry::new("condvar notify_one", "waiter asleep for long", || {
        waiter_asleep(put_notify_one).map(Scenario::grown_old)
    }),
    Entry::new("condvar notify_one", "with the lock held, waiter asleep", || {
        waiter_asleep(put_notify_within)
    }),
    Entry::new("condvar notify_n", "waiter asleep", || waiter_asleep(put_notify_n)),
    Entry::new("condvar notify_all", "waiter asleep", || waiter_asleep(put_notify_all)),
    Entry::new("condvar wait", "another waits too, one is notified", behind_notifier),
    Entry::new("condvar wait", "woken, another waits behind", woken_and_killed),
    Entry::new("condvar wait", "another puts and notifies", waiting),
];

const TOLD: u64 = 1;
const NOT_TOLD: u64 = 2;

/// A lock, a condition variable, and three words: the items that are there, who has taken one, and
/// whether a helper found one there.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    lock: Lock,
    condvar: Condvar,
    items: Object,
}

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let lock = Lock::new_in(&segment).map_err(text)?;
        let condvar = Condvar::new_in(&segment).map_err(text)?;
        let shape = Shape::untyped("sweep items", 1);
        let items = segment.construct(None, &shape, 24, |_| {}).map_err(text)?;
        Ok((Self { segment, lock, condvar, items }, memory))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < 3, "three words");
        // SAFETY: the body has three words, and stays mapped as long as `self` lives.
        let word = unsafe { self.items.body().cast::<AtomicU64>().add(at) };
        // SAFETY: aligned, and everybody reaches it by atomics only.
        unsafe { word.as_ref() }
    }

    fn there(&self) -> &AtomicU64 {
        self.word(0)
    }

    fn taken(&self) -> &AtomicU64 {
        self.word(1)
    }

    fn helper_found(&self) -> &AtomicU64 {
        self.word(2)
    }

    /// Puts an item for one who seems to wait in vain.
    fn help(&self) {
        let (guard, _) = self.enter();
        self.helper_found().store(self.there().load(Relaxed), Relaxed);
        drop(guard);
        put_notify_all(self);
    }

    /// Whether the waiter had to be helped, as it is right only where there was no item.
    fn was_helped(&self, witness: &Witness) -> Result<bool, String> {
        match self.helper_found().load(Relaxed) {
            0 => Ok(witness.helped),
            _ => Err("the waiter slept on with an item there".to_owned()),
        }
    }

    fn victim(&self, operate: fn(&Self)) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || operate(&stage)
        })
    }

    /// The lock, whoever died with it; and whether one had.
    fn enter(&self) -> (LockGuard<'_>, bool) {
        came_back(self.lock.lock())
    }

    /// Waits for an item, and says whether it was told of a death.
    fn await_item(&self) -> u64 {
        let (mut guard, mut told) = self.enter();
        while self.there().load(Relaxed) == 0 {
            let news;
            (guard, news) = came_back(self.condvar.wait(guard));
            told |= news;
        }
        drop(guard);
        if told { TOLD } else { NOT_TOLD }
    }

    /// Both work as new ones do.
    fn works(&self) -> Result<(), String> {
        let (guard, _) = self.enter();
        if !matches!(self.lock.lock(), Err(LockError::Deadlock)) {
            return Err("locked twice by one thread".to_owned());
        }
        let mut guard = Some(guard);
        // What dead waiters left may end the first waits for nothing.
        for _ in 0..8 {
            let Some(held) = guard.take() else { break };
            let shortly = Duration::from_millis(1);
            let (back, waited) = self.condvar.wait_timeout(held, shortly).map_err(text)?;
            if waited == Waited::Woken {
                guard = Some(back);
            }
        }
        if guard.is_some() {
            return Err("no wait comes to its end".to_owned());
        }
        self.condvar.notify_one();
        self.condvar.notify_n(2);
        self.condvar.notify_all();
        match self.lock.try_lock() {
            Ok(_) if format!("{:?}", self.condvar).contains("has_waiters: false") => Ok(()),
            Ok(_) => Err("waiters, and there is nobody".to_owned()),
            Err(error) => Err(format!("try_lock of a free lock: {error}")),
        }
    }
}

fn came_back<'l>(result: Result<LockGuard<'l>, LockError<LockGuard<'l>>>) -> (LockGuard<'l>, bool) {
    match result {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(guard)) => (guard, true),
        Err(error) => panic!("lock: {error}"),
    }
}

fn put(stage: &Stage) -> LockGuard<'_> {
    let (guard, _) = stage.enter();
    stage.there().store(1, Relaxed);
    guard
}

fn put_notify_one(stage: &Stage) {
    drop(put(stage));
    stage.condvar.notify_one();
}

fn put_notify_within(stage: &Stage) {
    let guard = put(stage);
    stage.condvar.notify_one();
    drop(guard);
}

fn put_notify_n(stage: &Stage) {
    drop(put(stage));
    stage.condvar.notify_n(3);
}

fn put_notify_all(stage: &Stage) {
    drop(put(stage));
    stage.condvar.notify_all();
}

fn wait_shortly(stage: &Stage) {
    let (guard, _) = stage.enter();
    // A guard in an error is dropped, too.
    let _ = stage.condvar.wait_deadline(guard, Deadline::after(Duration::from_millis(1)));
}

/// The lock's owner may have died, several times in turn; what must hold is that all goes on.
fn alone(operate: fn(&Stage)) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(operate);
    let check = move |_: &_| stage.works().map(|()| "works");
    Ok(Scenario::in_memory(memory, &["works"], victim, check))
}

/// Another comes to wait while the notifier stands still: it may not wait in vain.
fn notifying(operate: fn(&Stage)) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(operate);
    let (other, checked) = (stage.clone(), stage.clone());
    let check = move |_: &_| stage.works().map(|()| "works");
    Ok(Scenario::in_memory(memory, &["works"], victim, check).meanwhile_waiting(
        "wait",
        &["woken"],
        move || Ok(other.await_item()),
        move |witness| came_by_itself(&checked, witness.meanwhile, "woken"),
    ))
}

/// The item is there, and who waited for it heard of no death.
fn came_by_itself(stage: &Stage, told: Option<u64>, outcome: &'static str) -> Finding {
    match (told, stage.there().load(Relaxed)) {
        (Some(NOT_TOLD), 1) => stage.works().map(|()| outcome),
        found => Err(format!("the waiter came back with what it was told and items: {found:?}")),
    }
}

/// A way to put an item and to tell of it, and its name.
type Way = (&'static str, fn(&Stage));

/// Another puts and notifies while the one that begins to wait stands still.
fn waiting() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let waiting = stage.clone();
    let victim = telling(move || {
        let stage = waiting.clone();
        let _ = stage.segment.me();
        move || stage.await_item()
    });
    let checked = stage.clone();
    let check = move |_: &_| checked.works().map(|()| "works");
    let mut scenario = Scenario::in_memory(memory, &["works"], victim, check)
        .behind(WAITS_FOR, |stop| stop())
        .every_instruction_up_to(WAITS_FOR / 6);
    let ways: [Way; 3] = [
        ("put + notify_one", put_notify_one),
        ("notify_one with the lock held", put_notify_within),
        ("put + notify_all", put_notify_all),
    ];
    for (name, way) in ways {
        let (other, checked) = (stage.clone(), stage.clone());
        let act = move || {
            way(&other);
            Ok(0)
        };
        scenario = scenario.meanwhile_waiting(name, &["woken"], act, move |witness| {
            came_by_itself(&checked, witness.victim, "woken")
        });
    }
    Ok(scenario)
}

fn after_waiter(operate: fn(&Stage)) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(wait_shortly), stage.victim(operate));
    let check = move |_: &_| stage.works().map(|()| "works");
    Ok(Scenario::in_memory(memory, &["works"], victim, check).after_death_of(earlier))
}

/// Whoever sleeps as the victim puts an item comes back by itself, notified or not.
fn waiter_asleep(operate: fn(&Stage)) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(operate);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        stage.works()?;
        match (witness.waiter, stage.was_helped(witness)?) {
            (Some(_), true) => Ok("helped"),
            (Some(TOLD), false) => Ok("told of a death"),
            (Some(NOT_TOLD), false) => Ok("woken"),
            (other, _) => Err(format!("the waiter came back with {other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["helped", "told of a death", "woken"], victim, check)
        .with_waiter_helped(move || waiting.await_item(), move || helping.help()))
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

/// The victim dies in a wait beside another waiter; then one of them is notified.
fn behind_notifier() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(|stage| {
        let _ = stage.await_item();
    });
    let (waiting, notifying) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| match witness.waiter {
        Some(TOLD | NOT_TOLD) => stage.works().map(|()| "waited"),
        other => Err(format!("the waiter came back with {other:?}")),
    };
    let notify = move |stop: &dyn Fn()| {
        stop();
        put_notify_one(&notifying);
    };
    Ok(Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, notify)
        .every_instruction_up_to(WAITS_FOR / 6)
        .with_waiter(move || waiting.await_item()))
}

const VICTIM: u64 = 3;
const WAITER: u64 = 4;

/// The only item is taken by the victim, or, if it dies before, by another who waits too. That one
/// puts it once the victim has announced itself, and wakes one: the victim. At which instruction
/// the victim takes it hangs on how long it has spun by then, so who took it has no order over k.
fn woken_and_killed() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(|stage| {
        take(stage, VICTIM);
    });
    let (waiting, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| {
        checked.works()?;
        match (witness.waiter, checked.taken().load(Relaxed)) {
            (Some(WAITER), WAITER) if checked.was_helped(witness)? => Ok("never waited"),
            (Some(WAITER), WAITER) => Ok("taken once"),
            (Some(VICTIM), VICTIM) if !witness.helped => Ok("taken once"),
            found => Err(format!("{found:?} took it, helped: {}", witness.helped)),
        }
    };
    let wait = move || {
        while !format!("{:?}", waiting.condvar).contains("has_waiters: true")
            && waiting.there().load(Relaxed) == 0
        {
            thread::sleep(Duration::from_millis(1));
        }
        let guard = put(&waiting);
        waiting.condvar.notify_one();
        // It is the victim's turn.
        drop(came_back(waiting.condvar.wait(guard)));
        take(&waiting, WAITER)
    };
    let help = move || stage.help();
    let outcomes = &["never waited", "taken once"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check).with_waiter_helped(wait, help))
}

/// Takes the item, or learns who has taken it.
fn take(stage: &Stage, who: u64) -> u64 {
    let (mut guard, _) = stage.enter();
    while stage.there().load(Relaxed) == 0 && stage.taken().load(Relaxed) == 0 {
        (guard, _) = came_back(stage.condvar.wait(guard));
    }
    if stage.taken().load(Relaxed) == 0 {
        stage.taken().store(who, Relaxed);
    }
    let taker = stage.taken().load(Relaxed);
    drop(guard);
    stage.condvar.notify_all();
    taker
}
