//! The forms in which the victim lives: it stands still after k instructions, another process
//! acts, the victim goes on to its end.
//!
//! - **interleave**: it stands still for as long as one call of the other takes.
//! - **stop**: it is stopped by SIGSTOP, for so long that whoever waits for it asks if it is dead.
//!   It is not, so nobody may hear of a death, and nothing may be done twice or not at all.

use std::time::{Duration, Instant};

use super::child::{Child, End};
use super::memory::Image;
use super::order::Order;
use super::report::{Form, Row};
use super::run::{EVERY_AFTER_DEATH, PATIENCE, Run, TRIES, is_marked};
use super::scenario::{Act, Judge, Meanwhile, Scenario, Witness};
use super::survey::Survey;
use super::trace::{Place, Step, Victim};

/// How long the other may wait for one that stands still between two instructions.
const BRIEFLY: Duration = Duration::from_millis(2);
/// Two slices of a young sleeper (8 and 16 ms) and the beginning of an old one's.
const UNTIL_ASKED: Duration = Duration::from_millis(30);

/// It stands still after each of the first so many instructions.
const EVERY: u32 = 1000;

/// States left by an earlier death that are started from: more of them differ in the progress of
/// one copy only.
const STARTS: usize = 16;

/// How many times the patience with a survivor a victim may live: it is stepped through as well,
/// which takes minutes where the machine is busy, and a verdict must not come of that.
const LIVES: u32 = 12;

/// Who else is there while the victim stands still.
pub(super) enum Other<'s> {
    /// It does something.
    Acts(&'s Meanwhile),
    /// It sleeps, and may not be told that the victim is dead. The victim comes to its end, so
    /// that what is found is the last of the outcomes.
    Sleeps(&'s Judge),
}

/// All who can be beside the victim of a scenario.
pub(super) fn others(scenario: &Scenario, form: Form) -> Vec<Other<'_>> {
    let mut others: Vec<Other<'_>> = scenario.beside.iter().map(Other::Acts).collect();
    let endless = scenario.holder.is_some();
    if form == Form::Stop && others.is_empty() && scenario.waiter.is_some() && !endless {
        others.push(Other::Sleeps(&scenario.judge));
    }
    others
}

impl Other<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Acts(meanwhile) => meanwhile.name,
            Self::Sleeps(_) => "the waiter",
        }
    }

    fn judge(&self) -> &Judge {
        match self {
            Self::Acts(meanwhile) => &meanwhile.judge,
            Self::Sleeps(judge) => judge,
        }
    }

    fn order(&self) -> Order {
        let outcomes = self.judge().outcomes;
        match self {
            Self::Acts(_) => Order::new(outcomes),
            Self::Sleeps(_) => Order::new(&outcomes[outcomes.len() - 1..]),
        }
    }

    /// The finding as a number for [`order`](Self::order).
    fn rank(&self, outcome: usize) -> Result<usize, String> {
        let outcomes = self.judge().outcomes;
        match self {
            Self::Acts(_) => Ok(outcome),
            Self::Sleeps(_) if outcome + 1 == outcomes.len() => Ok(0),
            Self::Sleeps(_) => Err(format!("\"{}\", and nobody had died", outcomes[outcome])),
        }
    }
}

/// What one stop showed.
struct Stop {
    survivor_ns: u64,
    instructions: u32,
    returned: bool,
    helped: bool,
    found: Result<usize, String>,
}

impl Run<'_> {
    /// A victim for each place, which stands still there and goes on.
    pub(super) fn beside(
        &self,
        row: &mut Row,
        form: Form,
        other: &Other<'_>,
    ) -> Result<(), String> {
        let starts = self.starts(STARTS)?;
        for (k, start) in &starts {
            row.starts += 1;
            let place = if starts.len() > 1 { format!("start at {k}, ") } else { String::new() };
            let survey = self.survey(&self.scenario.victim, start, true)?;
            row.instructions = row.instructions.max(survey.instructions);
            self.stops(row, &place, form, other, start, &survey)?;
            if row.failures >= self.limits.failures {
                break;
            }
        }
        Ok(())
    }

    fn stops(
        &self,
        row: &mut Row,
        place: &str,
        form: Form,
        other: &Other<'_>,
        start: &Image,
        survey: &Survey,
    ) -> Result<(), String> {
        let mut order = other.order().over(survey.instructions, self.scenario.wakes_often);
        for at in self.standstills(form, row.starts == 1, survey) {
            let stop = self.stop_in_order(form, other, at, start, &order)?;
            row.stops += 1;
            row.took_ns(stop.survivor_ns);
            let done = stop.instructions.min(survey.instructions);
            if let Err(why) = stop.found.and_then(|outcome| order.note(done, outcome)) {
                row.fail(format!("{place}k = {done}: {why}"));
            }
            if row.failures >= self.limits.failures {
                return Ok(());
            }
            if stop.returned {
                break;
            }
        }
        let (flips, verdict) = order.finish();
        if row.flips.is_empty() {
            row.flips = flips;
        }
        verdict.unwrap_or_else(|why| row.fail(format!("{place}{why}")));
        Ok(())
    }

    /// As for kills: what seems to come too late in the order is asked for again.
    fn stop_in_order(
        &self,
        form: Form,
        other: &Other<'_>,
        mut at: Option<Place>,
        start: &Image,
        order: &Order,
    ) -> Result<Stop, String> {
        for _ in 1..TRIES {
            let stop = self.stop_after(form, other, at, start)?;
            match stop.found {
                Ok(outcome) if !order.would_stay(outcome) && is_marked(at) => {}
                Ok(outcome) if order.would_go_back(outcome) => {}
                _ => return Ok(stop),
            }
            at = at.map(Place::unmarked);
        }
        self.stop_after(form, other, at, start)
    }

    /// One stop; asked again with more patience where a waiter seems to have been left alone.
    fn stop_after(
        &self,
        form: Form,
        other: &Other<'_>,
        at: Option<Place>,
        start: &Image,
    ) -> Result<Stop, String> {
        let mut patience = PATIENCE.iter();
        loop {
            let wait = *patience.next().unwrap_or(&PATIENCE[2]);
            let stop = self.stop_once(form, other, at, start, wait)?;
            if stop.found.is_ok() || !stop.helped || patience.len() == 0 {
                return Ok(stop);
            }
        }
    }

    fn stop_once(
        &self,
        form: Form,
        other: &Other<'_>,
        at: Option<Place>,
        start: &Image,
        wait: Duration,
    ) -> Result<Stop, String> {
        self.reset(start);
        let cast = &self.cast;
        let mut holder = cast.start_holder()?;
        let victim = Victim::start(&cast.board, &self.scenario.victim, Some(cast.hang * LIVES))?;
        let waiter = cast.start_waiter()?;
        let (instructions, step) = match at {
            Some(place) => {
                let led = victim.go_to(place);
                if let Some(place) = place.instead(&led) {
                    victim.kill()?;
                    drop((waiter, holder));
                    return self.stop_once(form, other, Some(place), start, wait);
                }
                led?
            }
            None => (u32::MAX, victim.finish()?),
        };
        let at_end = step == Step::Returned;
        let returned = at_end || instructions >= self.scenario.until;
        let stopped = form == Form::Stop;
        let victim = Still::from(victim, stopped)?;
        let began = Instant::now();
        let acting = self.act(other, &mut holder, if stopped { UNTIL_ASKED } else { BRIEFLY })?;
        if stopped && (waiter.is_some() || acting.is_asleep()) {
            // What the other leaves of the time is theirs who sleep, to ask in.
            std::thread::sleep(UNTIL_ASKED.saturating_sub(began.elapsed()));
        }
        cast.release(holder)?;
        let victim = victim.go_on()?;
        let ended = came_to_its_end(victim, at_end)?;
        let acted = self.end_of_act(acting)?;
        let (found, helped) = match ended.and(acted) {
            Ok(meanwhile) => {
                let victim = cast.board.victim();
                let witness = Witness { victim, meanwhile, ..Witness::default() };
                self.judge_stop(other, witness, waiter, wait)?
            }
            Err(why) => (Err(why), false),
        };
        let survivor_ns = cast.board.survivor_ns();
        Ok(Stop { survivor_ns, instructions, returned, helped, found })
    }

    fn judge_stop(
        &self,
        other: &Other<'_>,
        witness: Witness,
        waiter: Option<Child>,
        wait: Duration,
    ) -> Result<(Result<usize, String>, bool), String> {
        let waited = match (&self.scenario.waiter, waiter) {
            (Some(role), Some(child)) => self.cast.await_waiter(role, child, wait)?,
            _ => Ok(Witness::default()),
        };
        let Witness { waiter, helped, .. } = match waited {
            Ok(waited) => waited,
            Err(why) => return Ok((Err(why), false)),
        };
        let witness = Witness { waiter, helped, ..witness };
        let found = self.cast.survivor(other.judge(), &witness)?;
        Ok((found.and_then(|outcome| other.rank(outcome)), helped))
    }

    /// The other has done what it can do while the victim stands still.
    fn act(
        &self,
        other: &Other<'_>,
        holder: &mut Option<Child>,
        patience: Duration,
    ) -> Result<Acting, String> {
        let Other::Acts(Meanwhile { act, .. }) = other else { return Ok(Acting::Done(Ok(None))) };
        match act {
            Act::Timed(act) => {
                let child = self.cast.start_other(|| act(patience))?;
                Ok(Acting::Done(self.cast.end_of_other(child)?.map(Some)))
            }
            Act::Patient(act) => {
                let child = self.cast.start_other(|| act(()))?;
                self.cast.await_other(&child);
                Ok(Acting::Sleeps(child))
            }
            Act::Holder => Ok(Acting::Done(self.cast.release(holder.take()).map(|()| None))),
        }
    }

    fn end_of_act(&self, acting: Acting) -> Result<Result<Option<u64>, String>, String> {
        match acting {
            Acting::Done(gave) => Ok(gave),
            Acting::Sleeps(child) => Ok(self.cast.end_of_other(child)?.map(Some)),
        }
    }

    /// Where it stands still; `None` is when it has returned.
    ///
    /// For the form stop that is wherever the world has changed, since it is others who look at
    /// it. For the form interleave it is each of the first instructions, and behind them before
    /// each that reaches what others have too: between two of those it sees nothing of others,
    /// and they nothing of it.
    fn standstills(&self, form: Form, first_start: bool, survey: &Survey) -> Vec<Option<Place>> {
        let full = form == Form::Interleave && self.limits.kills.is_none();
        let every = match &self.scenario.earlier {
            None => self.scenario.every.min(EVERY),
            Some(_) if first_start => self.scenario.every.min(EVERY_AFTER_DEATH),
            Some(_) => 0,
        };
        let every = if full { every } else { 0 };
        let places = if full { &survey.touches } else { &survey.points };
        let mut places = self.places_among(every, places, first_start, survey);
        if full {
            // Where the limits leave out some, it is none of those that change something.
            let points = survey.points.iter().filter(|place| place.k > every).map(|&at| Some(at));
            places.extend(points);
            places.sort_by_key(|at| at.map_or(u32::MAX, |place| place.k));
            places.dedup_by_key(|at| at.map(|place| place.k));
        }
        places
    }
}

/// A victim that stands still in the middle of its operation.
enum Still {
    /// Between two steps.
    Traced(Victim),
    /// By SIGSTOP.
    Stopped(Child),
}

impl Still {
    fn from(victim: Victim, stopped: bool) -> Result<Self, String> {
        if stopped { Ok(Self::Stopped(victim.let_go(true)?)) } else { Ok(Self::Traced(victim)) }
    }

    fn go_on(self) -> Result<Child, String> {
        match self {
            Self::Traced(victim) => victim.let_go(false),
            Self::Stopped(child) => {
                child.resume();
                Ok(child)
            }
        }
    }
}

/// How far the other has come.
enum Acting {
    /// What it gave, or what is wrong with it.
    Done(Result<Option<u64>, String>),
    /// It waits, or has just ended.
    Sleeps(Child),
}

impl Acting {
    fn is_asleep(&self) -> bool {
        matches!(self, Self::Sleeps(child) if !child.ends_within(Duration::ZERO))
    }
}

/// The victim, untraced, goes on to its end; the inner `Err` is a finding.
fn came_to_its_end(child: Child, returned: bool) -> Result<Result<(), String>, String> {
    let trouble = |error| format!("waitpid: {error}");
    // It stops itself once more where its operation returns.
    if !returned && child.wait_for_stop().map_err(trouble)? {
        child.resume();
    }
    Ok(match child.reap().map_err(trouble)? {
        End::Done => Ok(()),
        End::Failed => Err("the victim failed".to_owned()),
        End::Signal(libc::SIGALRM) => Err("HANG: the victim does not come to its end".to_owned()),
        End::Signal(signal) => Err(format!("CRASH: the victim got signal {signal}")),
    })
}
