//! Semaphores: permits that come back when their holder dies.
//!
//! How far a victim got is read from the number of operations in the semaphore's log word; that
//! nothing is lost and nothing doubled, from what survivors can acquire.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{BoundedSemaphore, Permit, Semaphore};

use super::{Entry, text, view};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, Witness, keep, part};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("semaphore acquire + drop", "two permits", || passes::<Semaphore>(2, by_acquire)),
    Entry::new("semaphore acquire + drop", "two permits, others come", passes_by),
    Entry::new("semaphore take + release", "after a release, another comes", looks_back),
    Entry::new("semaphore acquire + drop", "last permit", || passes::<Semaphore>(1, by_acquire)),
    Entry::new("semaphore try_acquire + drop", "last permit", || {
        passes::<Semaphore>(1, Slots::try_acquire)
    }),
    Entry::new("semaphore acquire_timeout + drop", "last permit", || {
        passes::<Semaphore>(1, Slots::acquire_timeout)
    }),
    Entry::new("bounded semaphore acquire + drop", "last permit", || {
        passes::<BoundedSemaphore>(1, by_acquire)
    }),
    Entry::new("semaphore acquire + drop", "holder dead", || comes_after::<Semaphore>(by_acquire)),
    Entry::new("semaphore try_acquire + drop", "holder dead", || {
        comes_after::<Semaphore>(Slots::try_acquire)
    }),
    Entry::new("bounded semaphore acquire + drop", "holder dead", || {
        comes_after::<BoundedSemaphore>(by_acquire)
    }),
    Entry::new("semaphore drop", "two permits, one out", || given_back::<Semaphore>(2)),
    Entry::new("bounded semaphore drop", "last permit out", || given_back::<BoundedSemaphore>(1)),
    Entry::new("semaphore forget", "two permits, one out", forgotten::<Semaphore>),
    Entry::new("semaphore take", "two permits", taken::<Semaphore>),
    Entry::new("bounded semaphore take", "two permits", taken::<BoundedSemaphore>),
    Entry::new("semaphore release", "two more", added::<Semaphore>),
    Entry::new("bounded semaphore release", "two more", added::<BoundedSemaphore>),
    Entry::new("bounded semaphore release", "above the limit", || {
        in_vain::<BoundedSemaphore>(1, |slots| keep(slots.release(1)))
    }),
    Entry::new("bounded semaphore release", "above the limit, holder dead", release_for_dead),
    Entry::new("semaphore try_acquire", "no permit", || {
        in_vain::<Semaphore>(0, |slots| keep(slots.try_acquire()))
    }),
    Entry::new("semaphore take_timeout", "no permit, sleeps", || {
        in_vain::<Semaphore>(0, |slots| keep(slots.take_timeout(SHORTLY)))
    }),
    Entry::new("semaphore acquire + drop", "earlier death in the same", || {
        double(2, Deed::AcquireAndDrop, false)
    }),
    Entry::new("semaphore acquire + drop", "earlier death in the same, last permit", || {
        double(1, Deed::AcquireAndDrop, false)
    }),
    Entry::new("semaphore acquire + drop", "earlier death of one who repaired", || {
        double(1, Deed::AcquireAndDrop, true)
    }),
    Entry::new("semaphore take", "earlier death in acquire + drop", || {
        double(2, Deed::Take, false)
    }),
    Entry::new("semaphore forget", "earlier death in acquire + drop", || {
        double(3, Deed::Forget, false)
    }),
    Entry::new("semaphore drop", "waiter asleep", waiter_asleep::<Semaphore>),
    Entry::new("semaphore drop", "waiter asleep for long", || {
        waiter_asleep::<Semaphore>().map(Scenario::grown_old)
    }),
    Entry::new("bounded semaphore drop", "waiter asleep", waiter_asleep::<BoundedSemaphore>),
    Entry::new("semaphore release", "waiter asleep", waiter_to_be_told),
    Entry::new("semaphore release", "waiter asleep for long", || {
        waiter_to_be_told().map(Scenario::grown_old)
    }),
    Entry::new("semaphore acquire", "behind a living holder", || behind(|scenario, _| scenario)),
    Entry::new("semaphore acquire", "behind a living holder, waiter asleep", || {
        behind(|scenario, stage| scenario.with_waiter(move || stage.get()))
    }),
];

const SHORTLY: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(60);
/// What a waiter says that got its permit.
const GOT: u64 = 1;

/// What both kinds can do.
trait Slots: Clone + Sized + 'static {
    const KIND: &'static str;

    fn make(segment: &Segment, permits: u32) -> crossproc_segment::Result<Self>;
    fn acquire(&self) -> Option<Permit<'_>>;
    fn try_acquire(&self) -> Option<Permit<'_>>;
    fn acquire_timeout(&self) -> Option<Permit<'_>>;
    fn take(&self) -> bool;
    fn release(&self, permits: u32) -> bool;
    fn available(&self) -> u32;
}

impl Slots for Semaphore {
    const KIND: &'static str = "semaphore";

    fn make(segment: &Segment, permits: u32) -> crossproc_segment::Result<Self> {
        Self::create(segment, "slots", permits)
    }

    fn acquire(&self) -> Option<Permit<'_>> {
        self.acquire().ok()
    }

    fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire().ok()
    }

    fn acquire_timeout(&self) -> Option<Permit<'_>> {
        self.acquire_timeout(LONG).ok()
    }

    fn take(&self) -> bool {
        self.take().is_ok()
    }

    fn release(&self, permits: u32) -> bool {
        self.release(permits).is_ok()
    }

    fn available(&self) -> u32 {
        self.available()
    }
}

impl Slots for BoundedSemaphore {
    const KIND: &'static str = "bounded sem";

    fn make(segment: &Segment, permits: u32) -> crossproc_segment::Result<Self> {
        Self::create(segment, "slots", permits)
    }

    fn acquire(&self) -> Option<Permit<'_>> {
        self.acquire().ok()
    }

    fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire().ok()
    }

    fn acquire_timeout(&self) -> Option<Permit<'_>> {
        self.acquire_timeout(LONG).ok()
    }

    fn take(&self) -> bool {
        self.take().is_ok()
    }

    fn release(&self, permits: u32) -> bool {
        self.release(permits).is_ok()
    }

    fn available(&self) -> u32 {
        self.available()
    }
}

/// How a victim acquires.
type Acquire<S> = for<'s> fn(&'s S) -> Option<Permit<'s>>;

fn by_acquire<S: Slots>(slots: &S) -> Option<Permit<'_>> {
    slots.acquire()
}

/// A semaphore, and a word that a victim marks.
#[derive(Clone, Debug)]
struct Stage<S> {
    segment: Segment,
    slots: S,
    log: Object,
    mark: Object,
    /// Operations that came before the victim.
    before: u64,
}

impl<S: Slots> Stage<S> {
    fn new(permits: u32) -> Result<(Self, Memory), String> {
        let segment = Segment::anonymous(64 << 10).map_err(text)?;
        let memory = view(&segment)?;
        let slots = S::make(&segment, permits).map_err(text)?;
        let log = segment.find("slots", &Shape::untyped(S::KIND, 1)).map_err(text)?;
        let shape = Shape::untyped("sweep mark", 1);
        let mark = segment.construct(None, &shape, 8, |_| {}).map_err(text)?;
        Ok((Self { segment, slots, log, mark, before: 0 }, memory))
    }

    /// A stage of one permit, which a process has that is no more.
    fn with_dead_holder() -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new(1)?;
        crate::sweep::in_child(|| {
            keep(stage.slots.acquire());
            Ok(())
        })?;
        Ok((Self { before: stage.operations(), ..stage }, memory))
    }

    fn word(object: &Object) -> &AtomicU64 {
        // SAFETY: the body has a word, aligned, that everybody reaches by atomics only; it stays
        // mapped as long as `object` lives.
        unsafe { object.body().cast::<AtomicU64>().as_ref() }
    }

    /// How many operations there were on the semaphore.
    fn operations(&self) -> u64 {
        Self::word(&self.log).load(Relaxed) & ((1 << 28) - 1)
    }

    /// How many there were since the stage was set.
    fn commits(&self) -> usize {
        usize::try_from(self.operations() - self.before).unwrap_or(usize::MAX)
    }

    fn victim(&self, operate: impl Fn(&Self) + Clone + 'static) -> Part {
        let stage = self.clone();
        part(move || {
            let (stage, operate) = (stage.clone(), operate.clone());
            let _ = stage.segment.me();
            move || operate(&stage)
        })
    }

    /// A victim that has acquired a permit, and then does something with it.
    fn holder(&self, operate: fn(Permit<'static>)) -> Part {
        let stage = self.clone();
        Box::new(move || {
            // The permit borrows the semaphore, and both live until the victim's end.
            let slots: &'static S = Box::leak(Box::new(stage.slots.clone()));
            let mut permit = slots.acquire();
            Box::new(move || {
                if let Some(permit) = permit.take() {
                    operate(permit);
                }
            }) as Operate
        })
    }

    /// Exactly `permits` can be acquired, and come back.
    fn has(&self, permits: u32) -> Result<(), String> {
        let mut held = Vec::new();
        for _ in 0..permits {
            held.push(self.slots.acquire().ok_or("acquire failed")?);
        }
        if self.slots.try_acquire().is_some() {
            return Err(format!("a permit more than the {permits} there can be"));
        }
        drop(held);
        match self.slots.available() {
            found if found == permits => Ok(()),
            found => Err(format!("{found} permits of {permits} are there in the end")),
        }
    }

    /// What a third process does, asleep in it when the victim dies.
    fn get(&self) -> u64 {
        self.slots.acquire().map_or(0, |_permit| GOT)
    }
}

/// The name of how far the victim got.
fn named(outcomes: &'static [&'static str], commits: usize) -> Finding {
    outcomes.get(commits).copied().ok_or_else(|| format!("{commits} operations"))
}

/// The victim acquires one of `permits`, and drops it.
fn passes<S: Slots>(permits: u32, acquire: Acquire<S>) -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["untouched", "out", "back"];
    let (stage, memory) = Stage::<S>::new(permits)?;
    let victim = stage.victim(move |stage| drop(acquire(&stage.slots)));
    let check = move |_: &_| {
        let commits = stage.commits();
        let found = stage.slots.available();
        if found != permits - u32::from(commits == 1) {
            return Err(format!("{found} permits after {commits} operations"));
        }
        stage.has(permits)?;
        named(OUTCOMES, commits)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim acquires one of two permits, and drops it; meanwhile another does, and another dies
/// with one.
fn passes_by() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["untouched", "out", "back"];
    let (stage, memory) = Stage::<Semaphore>::new(2)?;
    let victim = stage.victim(|stage| drop(stage.slots.acquire()));
    let (passing, dying) = (stage.clone(), stage.clone());
    let [passed, died] = [(); 2].map(|()| whole(&stage, 2));
    let check = move |_: &_| {
        let commits = stage.commits();
        stage.has(2)?;
        named(OUTCOMES, commits)
    };
    let pass = move |long| match passing.slots.acquire_timeout(long) {
        Ok(permit) => permit.release().map(|()| GOT).map_err(text),
        Err(error) => Err(text(error)),
    };
    let die = move |long| ends_with_a_permit(&dying, long);
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check)
        .meanwhile("acquire + drop", WHOLE, pass, passed)
        .meanwhile("acquire, ends with it", WHOLE, die, died))
}

/// The victim finds the last operation, a release, finished. Meanwhile its entry comes to be in use
/// again: the victim must not take the release for unfinished.
fn looks_back() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["there", "taken", "back"];
    let (mut stage, memory) = Stage::<Semaphore>::new(2)?;
    drop(stage.slots.acquire());
    stage.before = stage.operations();
    let victim = stage.victim(|stage| {
        keep(stage.slots.take());
        keep(stage.slots.release(1));
    });
    let dying = stage.clone();
    let died = whole(&stage, 2);
    let check = move |_: &_| {
        let outcome = named(OUTCOMES, stage.commits())?;
        stage.has(if outcome == "taken" { 1 } else { 2 })?;
        Ok(outcome)
    };
    let die = move |long| ends_with_a_permit(&dying, long);
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check).meanwhile(
        "acquire, ends with it",
        WHOLE,
        die,
        died,
    ))
}

/// What another does that ends before it has given its permit back.
fn ends_with_a_permit(stage: &Stage<Semaphore>, long: Duration) -> Result<u64, String> {
    keep(stage.slots.acquire_timeout(long).map_err(text)?);
    Ok(GOT)
}

const WHOLE: &[&str] = &["whole"];

/// All permits are there in the end, and the other got what it asked for.
fn whole(stage: &Stage<Semaphore>, permits: u32) -> impl Fn(&Witness) -> Finding + 'static {
    let stage = stage.clone();
    move |witness: &Witness| match witness.meanwhile {
        Some(GOT) => stage.has(permits).map(|()| "whole"),
        other => Err(format!("the other got {other:?}")),
    }
}

/// The victim gets the only permit back from a dead one, acquires it, and drops it.
fn comes_after<S: Slots>(acquire: Acquire<S>) -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["dead one's", "back", "out", "back again"];
    let (stage, memory) = Stage::<S>::with_dead_holder()?;
    let victim = stage.victim(move |stage| drop(acquire(&stage.slots)));
    let check = move |_: &_| {
        let commits = stage.commits();
        stage.has(1)?;
        named(OUTCOMES, commits)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim drops a guard.
fn given_back<S: Slots>(permits: u32) -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["out", "back"];
    let (stage, memory) = Stage::<S>::new(permits)?;
    let victim = stage.holder(drop);
    let check = move |_: &_| {
        let commits = stage.commits() - 1;
        stage.has(permits)?;
        named(OUTCOMES, commits)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim keeps a permit from coming back.
fn forgotten<S: Slots>() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["comes back", "gone"];
    let (stage, memory) = Stage::<S>::new(2)?;
    let victim = stage.holder(Permit::forget);
    let check = move |_: &_| {
        let outcome = named(OUTCOMES, stage.commits() - 1)?;
        stage.has(if outcome == "gone" { 1 } else { 2 })?;
        Ok(outcome)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim takes a permit without a guard.
fn taken<S: Slots>() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["there", "taken"];
    let (stage, memory) = Stage::<S>::new(2)?;
    let victim = stage.victim(|stage| keep(stage.slots.take()));
    let check = move |_: &_| {
        let outcome = named(OUTCOMES, stage.commits())?;
        stage.has(if outcome == "taken" { 1 } else { 2 })?;
        Ok(outcome)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim adds two permits to the one there is.
fn added<S: Slots>() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["absent", "added"];
    let (mut stage, memory) = Stage::<S>::new(3)?;
    for _ in 0..2 {
        stage.slots.take();
    }
    stage.before = stage.operations();
    let victim = stage.victim(|stage| keep(stage.slots.release(2)));
    let check = move |_: &_| {
        let outcome = named(OUTCOMES, stage.commits())?;
        stage.has(if outcome == "added" { 3 } else { 1 })?;
        Ok(outcome)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim asks for what is not to be had.
fn in_vain<S: Slots>(permits: u32, ask: fn(&S)) -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["unchanged"];
    let (stage, memory) = Stage::<S>::new(permits)?;
    let victim = stage.victim(move |stage| ask(&stage.slots));
    let check = move |_: &_| {
        let commits = stage.commits();
        stage.has(permits)?;
        named(OUTCOMES, commits)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// The victim releases a permit that a dead one has, and that will come back from there.
fn release_for_dead() -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["refused"];
    let (stage, memory) = Stage::<BoundedSemaphore>::with_dead_holder()?;
    let victim = stage.victim(|stage| keep(stage.slots.release(1)));
    let check = move |_: &_| {
        let commits = stage.commits();
        stage.has(1)?;
        named(OUTCOMES, commits)
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check))
}

/// What the second victim does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    AcquireAndDrop,
    Take,
    Forget,
}

/// A victim comes upon all that an earlier one can leave, who acquired and dropped, perhaps after
/// a dead one.
fn double(permits: u32, deed: Deed, holder_dead: bool) -> Result<Scenario, String> {
    const OUTCOMES: &[&str] = &["not done", "done"];
    let (stage, memory) =
        if holder_dead { Stage::<Semaphore>::with_dead_holder()? } else { Stage::new(permits)? };
    let earlier = stage.victim(|stage| drop(stage.slots.acquire()));
    let marks = |stage: &Stage<Semaphore>| Stage::<Semaphore>::word(&stage.mark).store(1, Relaxed);
    let victim = match deed {
        Deed::AcquireAndDrop => stage.victim(move |stage| {
            drop(stage.slots.acquire());
            marks(stage);
        }),
        Deed::Take => stage.victim(|stage| keep(stage.slots.take())),
        Deed::Forget => stage.holder(Permit::forget),
    };
    let check = move |_: &_| {
        // Those of the dead that will come back are not there yet, so the number of operations does
        // not tell a take from what the earlier one did; what can be had in the end does.
        let done = match deed {
            Deed::AcquireAndDrop => Stage::<Semaphore>::word(&stage.mark).load(Relaxed) == 1,
            Deed::Take | Deed::Forget => {
                // The first attempt that would fail gets those of the dead back.
                let mut held = Vec::new();
                while let Ok(permit) = stage.slots.try_acquire() {
                    held.push(permit);
                }
                held.len() + 1 == permits as usize
            }
        };
        let gone = u32::from(done && deed != Deed::AcquireAndDrop);
        stage.has(permits - gone)?;
        Ok(OUTCOMES[usize::from(done)])
    };
    Ok(Scenario::in_memory(memory, OUTCOMES, victim, check).after_death_of(earlier))
}

/// The victim drops the only permit, and somebody sleeps in acquire: it gets the permit, be it
/// given back by the victim or taken back from it.
fn waiter_asleep<S: Slots>() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<S>::new(1)?;
    let victim = stage.holder(drop);
    let waiting = stage.clone();
    let check = move |witness: &Witness| match witness.waiter {
        Some(GOT) => stage.has(1).map(|()| "got"),
        other => Err(format!("the waiter came back with {other:?}")),
    };
    Ok(Scenario::in_memory(memory, &["got"], victim, check).with_waiter(move || waiting.get()))
}

/// The victim adds a permit, and somebody sleeps in take.
fn waiter_to_be_told() -> Result<Scenario, String> {
    let (stage, memory) = Stage::<Semaphore>::new(0)?;
    let victim = stage.victim(|stage| keep(stage.slots.release(1)));
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| {
        // The helper's is there beside the victim's if the waiter slept on.
        match (witness.waiter, witness.helped, stage.slots.available()) {
            (Some(GOT), false, 0) => Ok("woken"),
            (Some(GOT), true, 0) => Ok("helped"),
            (Some(GOT), true, 1) => Err("the waiter slept on with a permit there".to_owned()),
            (waiter, _, left) => Err(format!("waiter {waiter:?}, and {left} are left")),
        }
    };
    let wait = move || u64::from(waiting.slots.take().is_ok());
    let help = move || keep(helping.slots.release(1));
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

/// The victim waits for a permit that a living process has, which gives it back when the victim is
/// dead: the wake may have been the dead one's.
fn behind(cast: fn(Scenario, Stage<Semaphore>) -> Scenario) -> Result<Scenario, String> {
    let (stage, memory) = Stage::<Semaphore>::new(1)?;
    let victim = stage.victim(|stage| keep(stage.slots.acquire()));
    let (holding, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| match witness.waiter {
        None | Some(GOT) => checked.has(1).map(|()| "waited"),
        waiter => Err(format!("the waiter has {waiter:?}")),
    };
    let hold = move |stop: &dyn Fn()| {
        let permit = holding.slots.acquire();
        stop();
        drop(permit);
    };
    let scenario = Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, hold)
        .every_instruction_up_to(WAITS_FOR / 6);
    Ok(cast(scenario, stage))
}
