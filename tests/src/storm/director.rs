//! One slice: the director starts a cast, kills and replaces, watches, winds down, accounts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::Segment;

use super::arenas::{Arena, Setting};
use super::cast::{Cast, note_panics, noted_panic};
use super::ledger::Ledger;
use super::report::Row;
use super::scene::Scene;
use super::schedule::mix;
use super::{Fault, Kind};
use crate::dice::Dice;
use crate::traces::Traces;

/// In which somebody has to finish something, where each process has a processor; longer in
/// proportion where they have to share.
const HANG: Duration = Duration::from_secs(10);

/// How often the director looks at everybody's progress.
const LOOK: Duration = Duration::from_millis(2);

/// Has a slice of `arena` played; whatever is wrong is in the row.
///
/// The calling process must have no threads and no children.
#[must_use]
pub fn direct(arena: &Arena, round: u64, seed: u64, time: Duration) -> Row {
    note_panics();
    let mut row = Row { arena: arena.name.to_owned(), round, seed, ..Row::default() };
    // What is made once and kept is there before.
    drop(crossproc::Lock::new());
    let before = Traces::now();
    let start = Instant::now();
    let played = catch_unwind(AssertUnwindSafe(|| slice(arena, seed, time, &mut row)));
    let played = played.unwrap_or_else(|_| Err(Fault::new(Kind::Wrong, noted_panic())));
    if let Err(fault) = played {
        row.faults.push(fault);
    }
    row.seconds = start.elapsed().as_secs_f64();
    if Traces::now() != before {
        let text =
            format!("descriptors, mappings, names: {before:?} before, {:?} after", Traces::now());
        row.faults.push(Fault::new(Kind::Leftover, text));
    }
    row
}

fn slice(arena: &Arena, seed: u64, time: Duration, row: &mut Row) -> Result<(), Fault> {
    let ledger = Ledger::new(arena.extra_words).map_err(|e| Fault::wrong("the ledger", e))?;
    let setting = Setting::new(arena, seed)?;
    let scene = (arena.build)(&setting)?;
    let (room, objects) = (Room::of(&setting.segment), setting.segment.objects());
    let mut storm =
        Storm::new(Cast::start(&*scene, &ledger, mix(seed, 1)), &ledger, scene.pace(), seed);
    let played = storm.play(time, |part| scene.mourn(part, &ledger));
    let played = played.and_then(|()| storm.wind_down(&*scene));
    row.take(&storm, &ledger);
    if let Err(mut fault) = played {
        if fault.kind == Kind::Hang {
            fault.text += &format!(": {}; {}", storm.cast.describe(), scene.describe());
        }
        return Err(fault);
    }
    drop(storm);
    row.note = scene.account(&ledger)?;
    if let Some(fault) = ledger.fault() {
        return Err(fault);
    }
    if setting.segment.objects() != objects {
        let text = format!("objects: {objects:?} before, {:?} after", setting.segment.objects());
        return Err(Fault::new(Kind::Leftover, text));
    }
    let after = Room::of(&setting.segment);
    if after != room {
        return Err(Fault::new(
            Kind::Leftover,
            format!("room for {room:?} before, {after:?} after"),
        ));
    }
    Ok(())
}

/// How many blocks of some sizes the segment has room for.
#[derive(Debug, PartialEq, Eq)]
struct Room([usize; 3]);

impl Room {
    fn of(segment: &Segment) -> Self {
        Self([64, 1024, 1 << 16].map(|bytes| {
            let blocks = segment.blocks();
            let all: Vec<_> = std::iter::from_fn(|| blocks.alloc(bytes)).collect();
            let count = all.len();
            for block in all {
                blocks.free(block);
            }
            count
        }))
    }
}

/// A cast in a storm.
#[derive(Debug)]
pub struct Storm<'a> {
    cast: Cast<'a>,
    ledger: &'a Ledger,
    dice: Dice,
    watch: Watch,
    pace: u64,
    /// Killed so far.
    pub kills: u64,
    /// Stopped and let go on so far.
    pub stops: u64,
}

impl<'a> Storm<'a> {
    fn new(cast: Cast<'a>, ledger: &'a Ledger, pace: u64, seed: u64) -> Self {
        let watch = Watch::new(cast.len());
        Self { cast, ledger, dice: Dice::new(mix(seed, 2)), watch, pace, kills: 0, stops: 0 }
    }

    /// The longest time in which nothing was finished by anybody, or by one who was left alone.
    #[must_use]
    pub fn stall(&self) -> Duration {
        self.watch.longest
    }

    fn play(
        &mut self,
        time: Duration,
        mourn: impl Fn(usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let start = Instant::now();
        let mortals = self.cast.parts(|role| role.mortal);
        let stoppable = self.cast.parts(|role| role.stoppable);
        while start.elapsed() < time {
            self.rest()?;
            match self.dice.roll(20) {
                0..=13 if !mortals.is_empty() => {
                    let victim = mortals[self.dice.index(&mortals)];
                    self.strike(&[victim], &mourn)?;
                }
                14 if !mortals.is_empty() => {
                    let some: Vec<usize> =
                        mortals.iter().copied().filter(|_| self.dice.roll(3) > 0).collect();
                    self.strike(&some, &mourn)?;
                }
                15..=17 if !stoppable.is_empty() => {
                    let part = stoppable[self.dice.index(&stoppable)];
                    if !self.cast.is_stopped(part) {
                        self.stops += 1;
                        self.cast.stop(part, Duration::from_micros(self.dice.roll(15_000)));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets some milliseconds pass; now and then some time of calm, in which sleepers fall asleep
    /// for long.
    fn rest(&mut self) -> Result<(), Fault> {
        let calm = self.dice.roll(60) == 0;
        let most = self.pace * if calm { 200_000 } else { 6_000 };
        let end = Instant::now() + Duration::from_micros(self.dice.roll(most));
        loop {
            let left = end.saturating_duration_since(Instant::now());
            thread::sleep(left.min(LOOK));
            self.look(0)?;
            if left <= LOOK {
                return Ok(());
            }
        }
    }

    /// Kills, mourns and replaces.
    fn strike(
        &mut self,
        victims: &[usize],
        mourn: impl Fn(usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.cast.kill(victims)?;
        self.kills += victims.len() as u64;
        for &part in victims {
            mourn(part)?;
            self.cast.enter(part);
            self.watch.forget(part);
        }
        Ok(())
    }

    fn look(&mut self, stage: u64) -> Result<(), Fault> {
        for part in self.cast.go_on(false) {
            self.watch.forget(part);
        }
        if let Some(fault) = self.ledger.fault() {
            // It says who noted it when the end of that member is found.
            thread::sleep(Duration::from_millis(20));
            self.cast.reap(stage)?;
            return Err(fault);
        }
        self.cast.reap(stage)?;
        self.watch.look(&self.cast, self.ledger)
    }

    /// Has all leave, stage by stage.
    fn wind_down(&mut self, scene: &dyn Scene) -> Result<(), Fault> {
        self.cast.go_on(true);
        let all = 0..self.cast.len();
        all.clone().for_each(|part| self.watch.forget(part));
        let last = all.clone().map(|part| self.cast.role(part).leaves).max().unwrap_or(0);
        for stage in 1..=last {
            self.ledger.set_stage(stage);
            scene.stage(stage);
            let leaving = self.cast.parts(|role| role.leaves == stage);
            while leaving.iter().any(|&part| self.cast.is_on(part)) {
                thread::sleep(Duration::from_micros(200));
                scene.nudge(stage);
                self.look(stage)?;
            }
        }
        Ok(())
    }
}

/// How many runnable processes there were for each processor in the last minute; between 1 and 6.
fn crowding() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|load| load.parse::<f64>().ok()).unwrap_or(1.0);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    #[expect(clippy::cast_precision_loss, reason = "some processors")]
    let processors = processors as f64;
    (load / processors).clamp(1.0, 6.0)
}

/// Measures how long nothing was finished.
#[derive(Debug)]
struct Watch {
    parts: Vec<Seen>,
    all: Seen,
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    progress: u64,
    at: Instant,
}

impl Seen {
    fn update(&mut self, progress: u64) -> Duration {
        let now = Instant::now();
        let stall = now - self.at;
        if self.progress != progress {
            *self = Self { progress, at: now };
        }
        stall
    }
}

impl Watch {
    fn new(parts: usize) -> Self {
        let seen = Seen { progress: 0, at: Instant::now() };
        Self { parts: vec![seen; parts], all: seen, longest: Duration::ZERO }
    }

    /// Begins anew for one who was killed, or stopped.
    fn forget(&mut self, part: usize) {
        self.parts[part].at = Instant::now();
    }

    fn look(&mut self, cast: &Cast<'_>, ledger: &Ledger) -> Result<(), Fault> {
        let mut sum = 0;
        for part in 0..cast.len() {
            let progress = ledger.part(part).progress();
            sum += progress;
            if cast.is_on(part) && !cast.is_stopped(part) {
                let stall = self.parts[part].update(progress);
                self.note(stall, &format!("{} {part}", cast.role(part).name))?;
            }
        }
        let stall = self.all.update(sum);
        self.note(stall, "everybody")
    }

    fn note(&mut self, stall: Duration, who: &str) -> Result<(), Fault> {
        self.longest = self.longest.max(stall);
        if stall < HANG || stall < HANG.mul_f64(crowding()) {
            return Ok(());
        }
        Err(Fault::new(Kind::Hang, format!("{who} finished nothing for {} s", stall.as_secs())))
    }
}
