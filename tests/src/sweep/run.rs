//! Runs a scenario: steps, kills, restores, and lets survivors judge.

use std::time::{Duration, Instant};

use super::beside::others;
use super::board::Board;
use super::cast::Cast;
use super::memory::{Image, Memory};
use super::order::Order;
use super::report::{Form, Row};
use super::scenario::{Judge, Scenario, Witness};
use super::survey::Survey;
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
pub(super) const PATIENCE: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(4)];

/// How often a kill is asked for whose outcome goes back.
pub(super) const TRIES: u32 = 8;

/// In the first state that an earlier death left, every instruction up to here is a place to die;
/// in the others only those that can differ from the one before.
pub(super) const EVERY_AFTER_DEATH: u32 = 200;

/// Instructions that all states left by an earlier death may take once.
const STARTS_STEPS: u32 = 1_000_000;

pub(super) fn is_marked(at: Option<Place>) -> bool {
    at.is_some_and(|place| place.mark.is_some())
}

/// Sweeps one scenario in one form: a row for each of its parts that have this form.
#[must_use]
pub fn sweep(
    operation: &str,
    state: &str,
    scenario: &Scenario,
    form: Form,
    limits: &Limits,
) -> Vec<Row> {
    let row = Row::new(operation, state, form);
    match form {
        Form::Kill | Form::Double if (form == Form::Double) != scenario.earlier.is_some() => {
            Vec::new()
        }
        Form::Kill | Form::Double => {
            vec![timed(row, scenario, limits, |run, row| run.all(row))]
        }
        Form::Interleave | Form::Stop => others(scenario, form)
            .into_iter()
            .map(|other| {
                let row = Row { beside: other.name().to_owned(), ..row.clone() };
                timed(row, scenario, limits, |run, row| run.beside(row, form, &other))
            })
            .collect(),
    }
}

fn timed(
    mut row: Row,
    scenario: &Scenario,
    limits: &Limits,
    work: impl FnOnce(&Run<'_>, &mut Row) -> Result<(), String>,
) -> Row {
    let began = Instant::now();
    let done = Board::new().map_err(|error| format!("board: {error}")).and_then(|board| {
        let run = Run::new(scenario, *limits, board);
        let done = work(&run, &mut row);
        // The next row begins where this one did.
        run.reset(&Image::default());
        done
    });
    if let Err(why) = done {
        row.fail(format!("the sweep itself: {why}"));
    }
    row.seconds = began.elapsed().as_secs_f64();
    row
}

pub(super) struct Run<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) limits: Limits,
    pub(super) cast: Cast<'s>,
    pub(super) base: Vec<u64>,
}

/// What one kill showed.
struct Kill {
    survivor_ns: u64,
    instructions: u32,
    returned: bool,
    waiter_ns: u64,
    found: Result<usize, String>,
}

/// An outcome was not seen, and is looked for.
struct Missed {
    /// How many places there are to go on with then.
    places: usize,
    /// The one that came in its place.
    before: usize,
}

/// So many steps beyond a place an outcome is looked for that the places around it do not show. It may lie
/// farther on than the next one: a victim that waits enters the kernel more or less often.
const STEPS_ON: u32 = 1000;

impl<'s> Run<'s> {
    fn new(scenario: &'s Scenario, limits: Limits, board: Board) -> Self {
        let base = scenario.memory.as_ref().map(Memory::copy).unwrap_or_default();
        let cast = Cast { scenario, board, hang: limits.hang };
        Self { scenario, limits, cast, base }
    }

    fn all(&self, row: &mut Row) -> Result<(), String> {
        let starts = self.starts(usize::MAX)?;
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
    /// shorter each time, and k means a neighbouring place. And one that spins until a time has passed
    /// comes to a mark sooner than while it is stepped through, so a change of outcome is only believed
    /// without marks. What is wrong stays wrong.
    fn kill_in_order(
        &self,
        mut at: Option<Place>,
        start: &Image,
        order: &Order,
    ) -> Result<Kill, String> {
        for _ in 1..TRIES {
            let kill = self.kill_after(at, start)?;
            match kill.found {
                Ok(outcome) if !order.would_stay(outcome) && is_marked(at) => {}
                Ok(outcome) if order.would_go_back(outcome) => {}
                _ => return Ok(kill),
            }
            at = at.map(Place::unmarked);
        }
        self.kill_after(at, start)
    }

    /// The images that an earlier death can leave, fewer where the limits say so: each has to be
    /// stepped on from.
    pub(super) fn starts(&self, most: usize) -> Result<Vec<(u32, Image)>, String> {
        let Some(earlier) = &self.scenario.earlier else {
            return Ok(vec![(0, Image::default())]);
        };
        let survey = self.survey(earlier, &Image::default(), false)?;
        let by_steps = STARTS_STEPS / survey.instructions.max(1);
        let most = self
            .limits
            .starts
            .min(most)
            .min(usize::try_from(by_steps).unwrap_or(usize::MAX))
            .max(1);
        let stride = survey.images.len().div_ceil(most);
        Ok(survey.images.into_iter().step_by(stride).collect())
    }

    fn judge(&self) -> &Judge {
        &self.scenario.judge
    }

    fn order(&self) -> Order {
        let outcomes = self.judge().outcomes;
        if self.scenario.one_more { Order::one_more(outcomes) } else { Order::new(outcomes) }
    }

    /// The snapshot form: each image with the victim gone.
    fn images(&self, row: &mut Row, place: &str, survey: &Survey) -> Result<(), String> {
        let mut order = self.order();
        for (k, image) in &survey.images {
            row.images += 1;
            self.reset(image);
            let found = self.cast.survivor(self.judge(), &Witness::default())?;
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
        let mut order = self.order().over(survey.instructions, self.scenario.wakes_often);
        // Those still to come, the next one last.
        let mut places = self.places(row.starts == 1, survey);
        places.reverse();
        let (mut last, mut missed): (Option<Place>, Option<Missed>) = (None, None);
        while let Some(at) = places.pop() {
            let kill = self.kill_in_order(at, start, &order)?;
            row.kills += 1;
            row.took_ns(kill.survivor_ns);
            row.took_ns(kill.waiter_ns);
            if let (Ok(outcome), Some(from), None) = (&kill.found, last, &missed) {
                if order.would_skip(*outcome) {
                    // An outcome lies between two places: on from the first of them, step by step.
                    places.push(at);
                    missed = Some(Missed { places: places.len(), before: *outcome });
                    let end = at.map_or(survey.instructions, |place| place.k);
                    places.extend((1..=STEPS_ON).rev().map(|steps| Some(from.on(steps, end))));
                    continue;
                }
            }
            let done = kill.instructions.min(survey.instructions);
            if let Err(why) = kill.found.and_then(|outcome| order.note(done, outcome)) {
                row.fail(format!("{place}k = {done}: {why}"));
            }
            if let Some(found) = missed.take_if(|missed| !order.would_skip(missed.before)) {
                places.truncate(found.places);
            }
            last = at.or(last);
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
        self.places_among(every, &survey.points, first_start, survey)
    }

    /// Each of the first `every` instructions, and behind them as many of `places` as the limits
    /// leave.
    pub(super) fn places_among(
        &self,
        every: u32,
        places: &[Place],
        first_start: bool,
        survey: &Survey,
    ) -> Vec<Option<Place>> {
        let end = survey.instructions;
        let behind: Vec<Place> = places.iter().copied().filter(|place| place.k > every).collect();
        let stride = self.stride(first_start, &behind);
        let mut places: Vec<Place> =
            survey.all.iter().copied().take_while(|place| place.k <= every.min(end)).collect();
        places.extend(behind.into_iter().step_by(stride));
        if end == self.scenario.until {
            places.extend(survey.all.iter().rfind(|place| place.k == end));
            return places.into_iter().map(Some).collect();
        }
        places.into_iter().map(Some).chain([None]).collect()
    }

    /// Each how manieth of the places the limits leave.
    fn stride(&self, first_start: bool, places: &[Place]) -> usize {
        let most = if first_start { self.limits.steps } else { self.limits.steps / 10 };
        let steps: u64 = places.iter().map(|place| u64::from(place.cost())).sum();
        let by_steps = usize::try_from(steps.div_ceil(most)).unwrap_or(usize::MAX);
        let by_kills = places.len().div_ceil(self.limits.kills.unwrap_or(usize::MAX));
        by_steps.max(by_kills).max(1)
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
        let victim = Victim::start(&self.cast.board, &self.scenario.victim, None)?;
        let waiter = self.cast.start_waiter()?;
        let (instructions, step) = match at {
            Some(place) => {
                let led = victim.go_to(place);
                if let Some(place) = place.instead(&led) {
                    victim.kill()?;
                    drop((waiter, holder));
                    return self.kill_once(Some(place), start, wait);
                }
                led?
            }
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
        // A helper that fails was called too early, or rightly: more patience will tell.
        let called_in_vain = |why: &String| why.starts_with("helping the waiter");
        let helped = witness.as_ref().map_or_else(called_in_vain, |witness| witness.helped);
        let found = match witness {
            Ok(witness) => self.cast.survivor(self.judge(), &witness)?,
            Err(why) => Err(why),
        };
        let waiter_ns = if self.scenario.waiter.is_some() && !helped { waiter_ns } else { 0 };
        let survivor_ns = self.cast.board.survivor_ns();
        Ok((Kill { survivor_ns, instructions, returned, waiter_ns, found }, helped))
    }

    pub(super) fn reset(&self, start: &Image) {
        self.cast.board.wipe();
        if let Some(memory) = &self.scenario.memory {
            memory.restore(&self.base, start);
        }
        (self.scenario.reset)();
    }

    pub(super) fn copy(&self) -> Vec<u64> {
        self.scenario.memory.as_ref().map(Memory::copy).unwrap_or_default()
    }
}
