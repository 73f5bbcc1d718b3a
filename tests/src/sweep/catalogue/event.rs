//! The event: set, cleared, waited for, and pulsed.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::Event;

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Part, Scenario, Witness, part};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("event set", "clear", || alone(false, &["clear", "set"], Event::set)),
    Entry::new("event set", "set", || alone(true, &["set"], Event::set)),
    Entry::new("event clear", "set", || alone(true, &["set", "clear"], Event::clear)),
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
    Entry::new("event set + clear", "waiter asleep", || waiter_asleep(pulse)),
    Entry::new("event set + clear", "waiter asleep for long", || {
        waiter_asleep(pulse).map(Scenario::grown_old)
    }),
    Entry::new("event wait", "clear, another comes to set it", behind_setter),
    Entry::new("event wait", "clear, another waits too", behind_setter_with_waiter),
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
