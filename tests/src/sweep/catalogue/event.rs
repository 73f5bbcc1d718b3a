//! The event: set, cleared, waited for, and pulsed.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::Event;

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("event set", "clear", setting),
    Entry::new("event set", "set", || alone(true, &["set"], Event::set)),
    Entry::new("event clear", "set", clearing),
    Entry::new("event clear", "clear", || alone(false, &["clear"], Event::clear)),
    Entry::new("event wait", "set", || alone(true, &["set"], Event::wait)),
    Entry::new("event wait_timeout", "clear, time runs out", || {
        alone(false, &["clear"], wait_shortly)
    }),
    Entry::new("event set", "earlier death in wait_timeout", after_waiter),
    Entry::new("event set", "waiter asleep", || waiter_asleep(Event::set)),
    Entry::new("event set", "waiter asleep for long", || {
        waiter_asleep(Event::set).map(Scenario::grown_old)
    }),
    Entry::new("event set + clear", "clear", pulsing),
    Entry::new("event set + clear", "waiter asleep", || waiter_asleep(pulse)),
    Entry::new("event set + clear", "waiter asleep for long", || {
        waiter_asleep(pulse).map(Scenario::grown_old)
    }),
    Entry::new("event wait", "clear, another comes to set it", behind_setter),
    Entry::new("event wait", "clear, another waits too", behind_setter_with_waiter),
    Entry::new("event wait", "clear, another sets it", waiting),
];

/// An event and its word.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    event: Event,
    object: Object,
}

fn pulse(event: &Event) {
    event.set();
    event.clear();
}

fn wait_shortly(event: &Event) {
    let _ = event.wait_timeout(Duration::from_millis(1));
}

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let event = Event::create(&segment, "event").map_err(text)?;
        let object = segment.find("event", &Shape::untyped("event", 1)).map_err(text)?;
        Ok((Self { segment, event, object }, memory))
    }

    /// How often the event was set while it was clear: as often as it was cleared, and now.
    fn times(&self) -> u32 {
        // SAFETY: the word is at the beginning of the body, which `self` keeps mapped.
        let word = unsafe { self.object.body().cast::<AtomicU32>().as_ref() };
        let word = word.load(SeqCst);
        (word & ((1 << 30) - 1)) + (word >> 31)
    }

    fn victim(&self, operate: fn(&Event)) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || operate(&stage.event)
        })
    }

    /// What is found; then the event works as a new one does.
    fn check(&self) -> Finding {
        let found = if self.event.is_set() { "set" } else { "clear" };
        if self.event.wait_timeout(Duration::ZERO) != (found == "set") {
            return Err(format!("a wait does not find it {found}"));
        }
        self.event.clear();
        let times = self.times();
        if self.event.is_set() || self.event.wait_timeout(Duration::from_millis(1)) {
            return Err("set after a clear".to_owned());
        }
        self.event.set();
        self.event.wait();
        if !self.event.is_set() || self.times() != times + 1 {
            return Err("clear after a set".to_owned());
        }
        self.event.clear();
        Ok(found)
    }
}

fn alone(
    set: bool,
    outcomes: &'static [&'static str],
    operate: fn(&Event),
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    if set {
        stage.event.set();
    }
    let victim = stage.victim(operate);
    Ok(Scenario::in_memory(memory, outcomes, victim, move |_: &_| stage.check()))
}

/// What another finds who waits beside the victim: how often the event was set, and if it was seen.
fn wait_beside(stage: &Stage) -> impl Fn(Duration) -> Result<u64, String> + use<> {
    let stage = stage.clone();
    move |patience| {
        let seen = stage.event.wait_timeout(patience);
        Ok(u64::from(stage.times()) * 2 + u64::from(seen))
    }
}

/// What another does to the event beside the victim.
fn beside(stage: &Stage, act: fn(&Event)) -> impl Fn(Duration) -> Result<u64, String> + use<> {
    let stage = stage.clone();
    move |_| {
        act(&stage.event);
        Ok(0)
    }
}

/// What is found, where the event must have been set so many times.
fn check_set(stage: &Stage, times: &'static [u32]) -> impl Fn(&Witness) -> Finding + use<> {
    let stage = stage.clone();
    move |_: &_| match stage.times() {
        found if times.contains(&found) => stage.check(),
        found => Err(format!("set {found} times, and not one of {times:?}")),
    }
}

fn setting() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, checked) = (stage.victim(Event::set), stage.clone());
    let seen = stage.clone();
    Ok(Scenario::in_memory(memory, &["clear", "set"], victim, move |_: &_| checked.check())
        .meanwhile(
            "clear",
            &["set", "clear"],
            beside(&stage, Event::clear),
            check_set(&stage, &[1]),
        )
        .meanwhile("set", &["set"], beside(&stage, Event::set), check_set(&stage, &[1]))
        .meanwhile("wait_timeout", &["not yet", "seen"], wait_beside(&stage), move |witness| {
            seen.check()?;
            match witness.meanwhile {
                Some(0) => Ok("not yet"),
                Some(3) => Ok("seen"),
                other => Err(format!("the other found {other:?}")),
            }
        }))
}

fn clearing() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    stage.event.set();
    let (victim, checked) = (stage.victim(Event::clear), stage.clone());
    Ok(Scenario::in_memory(memory, &["set", "clear"], victim, move |_: &_| checked.check())
        .meanwhile("set", &["clear", "set"], beside(&stage, Event::set), check_set(&stage, &[1, 2]))
        .meanwhile("clear", &["clear"], beside(&stage, Event::clear), check_set(&stage, &[1])))
}

/// Who looks in between sees it set; who waits all the time is woken, though it is clear again.
fn pulsing() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, checked, seen) = (stage.victim(pulse), stage.clone(), stage.clone());
    let outcomes = &["clear", "set", "clear again"];
    let check = move |_: &_| match (checked.times(), checked.check()?) {
        (0, "clear") => Ok("clear"),
        (1, "set") => Ok("set"),
        (1, "clear") => Ok("clear again"),
        other => Err(format!("found {other:?}")),
    };
    let before = &["before", "between", "behind"];
    Ok(Scenario::in_memory(memory, outcomes, victim, check)
        .meanwhile("wait_timeout", before, wait_beside(&stage), move |witness| {
            seen.check()?;
            match witness.meanwhile {
                Some(0) => Ok("before"),
                Some(3) => Ok("between"),
                Some(2) => Ok("behind"),
                other => Err(format!("the other found {other:?}")),
            }
        })
        .meanwhile(
            "set",
            &["clear", "set"],
            beside(&stage, Event::set),
            check_set(&stage, &[1, 2]),
        ))
}

fn after_waiter() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.victim(wait_shortly), stage.victim(Event::set));
    let check = move |_: &_| stage.check();
    Ok(Scenario::in_memory(memory, &["clear", "set"], victim, check).after_death_of(earlier))
}

/// Whoever sleeps as the victim sets the event comes back by itself, though it may be clear by then.
fn waiter_asleep(operate: fn(&Event)) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(operate);
    let (waiting, helping) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| -> Finding {
        let times = stage.times();
        stage.check()?;
        match (times, witness.helped) {
            (1, true) => Ok("helped"),
            (1, false) => Ok("woken"),
            (0, _) => Err("the waiter came back from an event that was never set".to_owned()),
            _ => Err("the waiter slept on at an event that was set".to_owned()),
        }
    };
    let wait = move || {
        waiting.event.wait();
        0
    };
    let help = move || {
        if helping.times() != 0 {
            // Makes it twice, which the check tells.
            helping.event.clear();
        }
        helping.event.set();
    };
    Ok(Scenario::in_memory(memory, &["helped", "woken"], victim, check)
        .with_waiter_helped(wait, help))
}

/// Killed while it waits, and while it is the watch for all who wait.
const WAITS_FOR: u32 = 3000;

fn behind_setter() -> Result<Scenario, String> {
    behind(|scenario, _| scenario)
}

fn behind_setter_with_waiter() -> Result<Scenario, String> {
    behind(|scenario, stage| {
        scenario.with_waiter(move || {
            stage.event.wait();
            u64::from(stage.times())
        })
    })
}

/// The victim waits, and dies in it, or comes back once the other has set the event.
fn waiting() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(Event::wait);
    let setting = stage.clone();
    let set = move |stop: &dyn Fn()| {
        stop();
        setting.event.set();
    };
    Ok(Scenario::in_memory(memory, &["set"], victim, check_set(&stage, &[1]))
        .behind(WAITS_FOR, set)
        .every_instruction_up_to(WAITS_FOR / 6)
        .meanwhile_released(&["set"], check_set(&stage, &[1])))
}

/// The victim dies in `wait`; then the event is set and cleared again.
fn behind(cast: fn(Scenario, Stage) -> Scenario) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.victim(Event::wait);
    let (setting, checked) = (stage.clone(), stage.clone());
    let check = move |witness: &Witness| match (checked.times(), witness.waiter) {
        (1, None | Some(1)) => checked.check().map(|_| "waited"),
        (times, waiter) => Err(format!("set {times} times, and the waiter saw {waiter:?}")),
    };
    let set = move |stop: &dyn Fn()| {
        stop();
        pulse(&setting.event);
    };
    let scenario = Scenario::in_memory(memory, &["waited"], victim, check)
        .behind(WAITS_FOR, set)
        .every_instruction_up_to(WAITS_FOR / 6);
    Ok(cast(scenario, stage))
}
