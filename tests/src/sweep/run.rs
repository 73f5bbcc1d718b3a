//! Runs a scenario: steps, kills, restores, and lets survivors judge.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::board::Board;
use super::cast::Cast;
use super::marker::{Code, Next};
use super::memory::{Image, Memory};
use super::order::Order;
use super::report::Row;
use super::scenario::{Part, Scenario, Witness};
use super::trace::{Place, Step, Victim};

/// How much is done, and how long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A survivor or waiter that has not come through by then hangs.
    pub hang: Duration,
    /// Kills for each state started from: `None` for one after every instruction.
    pub kills: Option<usize>,
    /// Instructions stepped through for the kills of one state started from; `kills` gives way.
    pub steps: u64,
    /// How many of the states that an earlier death can leave are started from.
    pub starts: usize,
    /// Failures after which a scenario is given up.
    pub failures: u32,
}

impl Limits {
    /// A kill after every instruction.
    pub const FULL: Self = Self {
        hang: Duration::from_secs(10),
        kills: None,
        steps: 1_000_000,
        starts: usize::MAX,
        failures: 3,
    };
    /// All images, and kills only where one can differ from the next.
    pub const QUICK: Self = Self { kills: Some(24), steps: 60_000, starts: 3, ..Self::FULL };
}

/// Waiting times for a waiter before it is helped. A verdict against it is only believed after
/// the last: the machine may be busy with other things.
const PATIENCE: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(4)];

/// How often a kill is asked for whose outcome goes back.
const TRIES: u32 = 8;

/// In the first state that an earlier death left, every instruction up to here is a place to die;
/// in the others only those that can differ from the one before.
const EVERY_AFTER_DEATH: u32 = 200;

/// Instructions that all states left by an earlier death may take once.
const STARTS_STEPS: u32 = 1_000_000;

/// A victim that has not returned after so many instructions never will.
const ENDLESS: u32 = 2_000_000;

/// Sweeps one scenario.
#[must_use]
pub fn sweep(operation: &str, state: &str, scenario: &Scenario, limits: &Limits) -> Row {
    let began = Instant::now();
    let mut row =
        Row { operation: operation.to_owned(), state: state.to_owned(), ..Row::default() };
    let done = Board::new()
        .map_err(|error| format!("board: {error}"))
        .and_then(|board| Run::new(scenario, *limits, board).all(&mut row));
    if let Err(why) = done {
        row.fail(format!("the sweep itself: {why}"));
    }
    row.seconds = began.elapsed().as_secs_f64();
    row
}

struct Run<'s> {
    scenario: &'s Scenario,
    limits: Limits,
    cast: Cast<'s>,
    base: Vec<u64>,
}

/// What one stepping run to the end showed.
#[derive(Default)]
struct Survey {
    instructions: u32,
    /// After how many instructions a kill can differ from the one before.
    points: Vec<Place>,
    images: Vec<(u32, Image)>,
}

/// What one kill showed.
struct Kill {
    survivor_ns: u64,
    instructions: u32,
    returned: bool,
    waiter_ns: u64,
    found: Result<usize, String>,
}

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario, limits: Limits, board: Board) -> Self {
        let base = scenario.memory.as_ref().map(Memory::copy).unwrap_or_default();
        let cast = Cast { scenario, board, hang: limits.hang };
        Self { scenario, limits, cast, base }
    }

    fn all(&self, row: &mut Row) -> Result<(), String> {
        let starts = match &self.scenario.earlier {
            None => vec![(0, Image::default())],
            Some(earlier) => self.starts(earlier)?,
        };
        for (k, start) in &starts {
            row.starts += 1;
            let place = if starts.len() > 1 { format!("start at {k}, ") } else { String::new() };
            let survey = self.survey(&self.scenario.victim, start, true)?;
            row.instructions = row.instructions.max(survey.instructions);
            if self.scenario.waiter.is_none() && self.scenario.holder.is_none() {
                self.images(row, &place, &survey)?;
            }
            self.kills(row, &place, start, &survey)?;
            if row.failures >= self.limits.failures {
                break;
            }
        }
        Ok(())
    }

    /// One real kill. One that seems to come too late in the order is asked for again: where an
    /// operation reads numbers of varying length (pids, times), it is a few instructions longer or
    /// shorter each time, and k means a neighbouring place. What is wrong stays wrong.
    fn kill_in_order(
        &self,
        at: Option<Place>,
        start: &Image,
        order: &Order,
    ) -> Result<Kill, String> {
        for _ in 1..TRIES {
            let kill = self.kill_after(at, start)?;
            match kill.found {
                Ok(outcome) if order.would_go_back(outcome) => {}
                _ => return Ok(kill),
            }
        }
        self.kill_after(at, start)
    }

    /// The images that an earlier death can leave, fewer where the limits say so: each has to be
    /// stepped on from.
    fn starts(&self, earlier: &Part) -> Result<Vec<(u32, Image)>, String> {
        let survey = self.survey(earlier, &Image::default(), false)?;
        let by_steps = STARTS_STEPS / survey.instructions.max(1);
        let most = self.limits.starts.min(usize::try_from(by_steps).unwrap_or(usize::MAX)).max(1);
        let stride = survey.images.len().div_ceil(most);
        Ok(survey.images.into_iter().step_by(stride).collect())
    }

    fn order(&self) -> Order {
        let outcomes = self.scenario.outcomes;
        if self.scenario.one_more { Order::one_more(outcomes) } else { Order::new(outcomes) }
    }

    /// The snapshot form: each image with the victim gone.
    fn images(&self, row: &mut Row, place: &str, survey: &Survey) -> Result<(), String> {
        let mut order = self.order();
        for (k, image) in &survey.images {
            row.images += 1;
            self.reset(image);
            let found = self.cast.survivor(&Witness::default())?;
            row.took_ns(self.cast.board.survivor_ns());
            if let Err(why) = found.and_then(|outcome| order.note(*k, outcome)) {
                row.fail(format!("{place}image after k = {k}: {why}"));
                if row.failures >= self.limits.failures {
                    return Ok(());
                }
            }
        }
        if let (false, (_, Err(why))) = (survey.images.is_empty(), order.finish()) {
            row.fail(format!("{place}images: {why}"));
        }
        Ok(())
    }

    /// The kill form: a victim for each place, killed there.
    fn kills(
        &self,
        row: &mut Row,
        place: &str,
        start: &Image,
        survey: &Survey,
    ) -> Result<(), String> {
        let mut order = self.order();
        for at in self.places(row.starts == 1, survey) {
            let kill = self.kill_in_order(at, start, &order)?;
            row.kills += 1;
            row.took_ns(kill.survivor_ns);
            row.took_ns(kill.waiter_ns);
            let done = kill.instructions.min(survey.instructions);
            if let Err(why) = kill.found.and_then(|outcome| order.note(done, outcome)) {
                row.fail(format!("{place}k = {done}: {why}"));
            }
            if row.failures >= self.limits.failures {
                return Ok(());
            }
            if kill.returned {
                break;
            }
        }
        let (flips, verdict) = order.finish();
        if row.flips.is_empty() {
            row.flips = flips;
        }
        verdict.unwrap_or_else(|why| row.fail(format!("{place}kills: {why}")));
        Ok(())
    }

    /// Where to kill; `None` is when it has returned.
    fn places(&self, first_start: bool, survey: &Survey) -> Vec<Option<Place>> {
        let every = match (self.limits.kills, &self.scenario.earlier) {
            (Some(_), _) => 0,
            (None, Some(_)) if first_start => self.scenario.every.min(EVERY_AFTER_DEATH),
            (None, Some(_)) => 0,
            (None, None) => self.scenario.every,
        };
        let end = survey.instructions;
        let mut places: Vec<Place> = (0..=every.min(end)).map(Place::after).collect();
        let behind: Vec<Place> =
            survey.points.iter().copied().filter(|place| place.k > every).collect();
        let stride = self.stride(first_start, &behind);
        places.extend(behind.into_iter().step_by(stride));
        if end == self.scenario.until {
            places.push(Place::after(end));
            return places.into_iter().map(Some).collect();
        }
        places.into_iter().map(Some).chain([None]).collect()
    }

    /// Each how manieth of the places the limits leave.
    fn stride(&self, first_start: bool, places: &[Place]) -> usize {
        let most = if first_start { self.limits.steps } else { self.limits.steps / 10 };
        let steps: u64 = places.iter().map(|place| u64::from(place.since)).sum();
        let by_steps = usize::try_from(steps.div_ceil(most)).unwrap_or(usize::MAX);
        let by_kills = places.len().div_ceil(self.limits.kills.unwrap_or(usize::MAX));
        by_steps.max(by_kills).max(1)
    }

    /// Steps through the whole operation once, with the waiter asleep or without one.
    fn survey(&self, part: &Part, start: &Image, waiting: bool) -> Result<Survey, String> {
        self.reset(start);
        let holder = self.cast.start_holder()?;
        let victim = Victim::start(&self.cast.board, part)?;
        let waiter = if waiting { self.cast.start_waiter()? } else { None };
        let mut code = Code::default();
        let mut survey = Survey::default();
        let mut here = Place::default();
        let mut seen = HashSet::new();
        let mut last = self.copy();
        let first = Image::between(&self.base, &last);
        seen.insert(first.clone());
        survey.images.push((0, first));
        loop {
            let next = victim.next(&mut code);
            let step = victim.step()?;
            let k = survey.instructions + 1;
            let before = here;
            here = Place { k, since: here.since + 1, ..here };
            if next == Next::SystemCall {
                here = Place { calls: here.calls + 1, since: 0, ..here };
                survey.points.extend([before, here]);
            }
            let watched = self.scenario.memory.as_ref().filter(|_| next != Next::Private);
            if let Some(memory) = watched.filter(|memory| memory.differs(&last)) {
                last = memory.copy();
                survey.points.push(here);
                let image = Image::between(&self.base, &last);
                if seen.insert(image.clone()) {
                    survey.images.push((k, image));
                }
            }
            if step == Step::Returned {
                break;
            }
            survey.instructions = k;
            if k == self.scenario.until {
                break;
            }
            if k == ENDLESS {
                return Err("the operation never returns".to_owned());
            }
        }
        survey.points.dedup();
        survey.points.retain(|place| place.k != 0 && place.k <= survey.instructions);
        if self.scenario.memory.is_none() {
            survey.images.clear();
        }
        victim.kill()?;
        drop((waiter, holder));
        Ok(survey)
    }

    /// One real kill, and what became of the world; asked again with more patience where a
    /// waiter seems to have been left alone.
    fn kill_after(&self, at: Option<Place>, start: &Image) -> Result<Kill, String> {
        let mut patience = PATIENCE.iter();
        loop {
            let wait = *patience.next().unwrap_or(&PATIENCE[2]);
            let (kill, helped) = self.kill_once(at, start, wait)?;
            if kill.found.is_ok() || !helped || patience.len() == 0 {
                return Ok(kill);
            }
        }
    }

    fn kill_once(
        &self,
        at: Option<Place>,
        start: &Image,
        wait: Duration,
    ) -> Result<(Kill, bool), String> {
        self.reset(start);
        let holder = self.cast.start_holder()?;
        let victim = Victim::start(&self.cast.board, &self.scenario.victim)?;
        let waiter = self.cast.start_waiter()?;
        let (instructions, step) = match at {
            Some(place) => victim.go_to(place)?,
            None => (u32::MAX, victim.finish()?),
        };
        let returned = step == Step::Returned || instructions >= self.scenario.until;
        victim.kill()?;
        let died = Instant::now();
        self.cast.release(holder)?;
        let witness = match (&self.scenario.waiter, waiter) {
            (Some(role), Some(child)) => self.cast.await_waiter(role, child, wait)?,
            _ => Ok(Witness::default()),
        };
        let waiter_ns = u64::try_from(died.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let helped = witness.as_ref().is_ok_and(|witness| witness.helped);
        let found = match witness {
            Ok(witness) => self.cast.survivor(&witness)?,
            Err(why) => Err(why),
        };
        let waiter_ns = if self.scenario.waiter.is_some() && !helped { waiter_ns } else { 0 };
        let survivor_ns = self.cast.board.survivor_ns();
        Ok((Kill { survivor_ns, instructions, returned, waiter_ns, found }, helped))
    }

    fn reset(&self, start: &Image) {
        self.cast.board.wipe();
        if let Some(memory) = &self.scenario.memory {
            memory.restore(&self.base, start);
        }
        (self.scenario.reset)();
    }

    fn copy(&self) -> Vec<u64> {
        self.scenario.memory.as_ref().map(Memory::copy).unwrap_or_default()
    }
}
