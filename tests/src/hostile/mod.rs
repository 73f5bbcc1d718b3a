//! Hostile bytes: what becomes of those who use a segment while somebody writes rubbish into it.
//!
//! Two *players*, members of a segment that has one or several of every primitive, make every call
//! that there is; now and then a newcomer attaches. The harness, which has the same memory mapped
//! and is no member, writes to it: headers, tables, states, lengths, tickets, one word at a time or
//! many, before calls, in their middle, all the time. After each round it puts the memory right.
//!
//! Errors are fine. What is not: a process that ends by a signal or a panic, a call with a deadline
//! that does not come back, one without that does not come back once the memory is right again,
//! and memory taken without bound (players have a limit of address space).
//!
//! Everything follows from a seed, and a round can be played again by its number.
//!
//! | file | what it holds |
//! |---|---|
//! | `players/` | the calls of each primitive |
//! | `player`, `child` | the processes that make them |
//! | `board`, `hand` | how they say what they are at |
//! | `map` | which words are in use, and whose they are |
//! | `values`, `plan` | what is written, when |
//! | `scene`, `round` | setting up, writing, watching |
//! | `report` | the table |
//!
//! The tool is tested on a structure that believes what it reads ([`self_test`]).

mod answer;
mod board;
mod child;
mod hand;
mod map;
mod plan;
mod player;
mod players;
mod report;
mod round;
mod scene;
mod values;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use board::Board;
use hand::Primitive;
use plan::{Plan, Planner, When};
pub use report::{Failure, Report, Row};
use round::{Found, Trouble};
use scene::Scene;

/// Rounds after which everybody is replaced.
const ROUNDS_OF_A_SCENE: u64 = 500;

/// Failures after which there is nothing more to learn.
const MOST_FAILURES: usize = 20;

/// What a campaign is to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What all rounds follow from.
    pub seed: u64,
    /// How long it takes.
    pub time: Duration,
    /// This round only.
    pub round: Option<u64>,
    /// Only regions whose names contain one of these; all if there are none.
    pub only: Vec<String>,
    /// A call that takes this much longer than it may is asked for again, with four times as much:
    /// the machine may be busy.
    pub late: Duration,
    /// Plays a structure that believes what it reads, for the test of this tool.
    pub naive: bool,
}

/// What [`Campaign::late`] is, as a rule.
pub const LATE: Duration = Duration::from_secs(5);

/// Set by a signal: the campaign ends at the next round.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// What can be written to, by name.
///
/// # Errors
///
/// If the scene cannot be set up.
pub fn names() -> Result<Vec<&'static str>> {
    let (primitives, board) = (players::all(), Board::new()?);
    let scene = Scene::build(&primitives, &board)?;
    Ok(scene.regions.iter().map(|region| region.name).collect())
}

impl Campaign {
    /// Plays, until the time is over or there is nothing more to learn. `tell` hears of failures as
    /// they come.
    ///
    /// This process must have one thread only.
    ///
    /// # Errors
    ///
    /// If the scene cannot be set up, or no region has such a name.
    pub fn run(&self, tell: impl FnMut(&Failure)) -> Result<Report> {
        let primitives = if self.naive { players::naive() } else { players::all() };
        let board = Board::new()?;
        let scene = Scene::build(&primitives, &board)?;
        let takes = |name: &str| {
            self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
        };
        let named = scene.regions.iter().enumerate().filter(|(_, region)| takes(region.name));
        let targets: Vec<_> = named.map(|(index, _)| index).collect();
        if targets.is_empty() {
            bail!("nothing has such a name; --list prints them all");
        }
        let base = scene.base.clone();
        let regions = scene.regions.clone();
        let planner = Planner {
            seed: self.seed,
            regions: &regions,
            targets: &targets,
            primitives: primitives.len(),
            base: &base,
            ids: scene.ids,
        };
        let report = self.empty_report(&planner);
        let (primitives, board, late) = (&primitives, &board, self.late);
        let mut run = Run { planner, primitives, board, report, late, tell };
        run.rounds(self, scene)?;
        Ok(run.report)
    }

    fn empty_report(&self, planner: &Planner<'_>) -> Report {
        let regions = planner.targets.iter().map(|&target| &planner.regions[target]);
        Report {
            seed: self.seed,
            rounds: 0,
            singles: planner.targets.iter().map(|&target| planner.singles(target)).sum(),
            singles_made: 0,
            seconds: 0.0,
            rows: regions.map(|region| Row::new(region.name, region.words.len())).collect(),
            failures: Vec::new(),
        }
    }
}

/// Plays a structure that believes what it reads, and says which of its faults were not found.
///
/// # Errors
///
/// As [`Campaign::run`].
pub fn self_test() -> Result<Vec<&'static str>> {
    let campaign = Campaign {
        seed: 1,
        time: Duration::from_secs(60),
        round: None,
        only: vec!["naive".to_owned()],
        late: Duration::from_millis(300),
        naive: true,
    };
    let report = campaign.run(|_| {})?;
    let found = |call: &str, how: &str| {
        report.failures.iter().any(|failure| {
            failure.what.contains(call) && (failure.what.contains(how) || is_sanitized(failure))
        })
    };
    let faults = [
        ("follow the index", "signal 11"),
        ("take memory for the length", "signal 6"),
        ("wait while it is busy", "does not come back"),
        ("expect a state", "it is always ready"),
    ];
    let missed = faults.into_iter().filter(|&(call, how)| !found(call, how));
    Ok(missed.map(|(call, _)| call).collect())
}

/// A sanitizer ends a process by itself, with a status.
fn is_sanitized(failure: &Failure) -> bool {
    failure.what.contains("exit status 1:")
}

/// A campaign in progress.
struct Run<'r, F> {
    planner: Planner<'r>,
    primitives: &'r [Primitive],
    board: &'r Board,
    report: Report,
    late: Duration,
    tell: F,
}

impl<'r, F: FnMut(&Failure)> Run<'r, F> {
    fn rounds(&mut self, campaign: &Campaign, scene: Scene<'r>) -> Result<()> {
        let start = Instant::now();
        let mut scene = Some(scene);
        let mut number = campaign.round.unwrap_or(0);
        let mut played = 0;
        while !STOP.load(Relaxed) && self.report.failures.len() < MOST_FAILURES {
            let plan = self.planner.plan(number);
            if played % ROUNDS_OF_A_SCENE == ROUNDS_OF_A_SCENE - 1 {
                // The players of the next one sit in the same seats.
                drop(scene.take());
            }
            let mut now = match scene.take() {
                Some(scene) => scene,
                None => Scene::build(self.primitives, self.board)?,
            };
            let found = round::play(&mut now, &plan, self.late);
            let is_whole = found.trouble.is_none();
            scene = is_whole.then_some(now);
            self.take(&plan, found)?;
            played += 1;
            number += 1;
            self.report.seconds = start.elapsed().as_secs_f64();
            if campaign.round.is_some() || start.elapsed() >= campaign.time {
                break;
            }
        }
        Ok(())
    }

    /// Counts a round. What was late is asked for once more, in a fresh scene.
    fn take(&mut self, plan: &Plan, found: Found) -> Result<()> {
        self.report.rounds += 1;
        self.report.singles_made += u64::from(plan.round % 2 == 0);
        let at = self.planner.targets.iter().position(|&target| target == plan.region);
        let row = &mut self.report.rows[at.unwrap_or(0)];
        row.count(plan.round, &found);
        let Some(mut trouble) = found.trouble else { return Ok(()) };
        if STOP.load(Relaxed) {
            return Ok(());
        }
        if matches!(trouble, Trouble::Late { .. }) {
            let mut scene = Scene::build(self.primitives, self.board)?;
            match round::play(&mut scene, plan, self.late * 4).trouble {
                Some(again) => trouble = again,
                None => {
                    row.late_once += 1;
                    return Ok(());
                }
            }
        }
        row.failures += 1;
        let failure = self.failure(plan, &trouble);
        (self.tell)(&failure);
        self.report.failures.push(failure);
        Ok(())
    }

    fn failure(&self, plan: &Plan, trouble: &Trouble) -> Failure {
        let when = match plan.when {
            When::Before => "before the calls".to_owned(),
            When::At(point) => format!("in the middle of the calls, at point {point}"),
            When::Storm => "again and again during the calls".to_owned(),
            When::Hammer => "without a pause during the calls".to_owned(),
        };
        let shown = plan.writes.iter().map(|write| {
            let (at, old) = (write.word * 8, self.planner.base[write.word]);
            format!("byte {at:#x}: {old:#x} -> {:#x}", write.value)
        });
        let writes: Vec<_> = shown.collect();
        Failure {
            seed: self.planner.seed,
            round: plan.round,
            region: self.planner.regions[plan.region].name,
            writes: format!("{when}, {}", writes.join("; ")),
            what: trouble.to_string(),
        }
    }
}
