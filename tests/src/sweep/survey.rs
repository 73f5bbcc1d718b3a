//! One run to the end, step by step: where a standstill or an end can differ from the one before.

use std::collections::{HashMap, HashSet};

use super::marker::{Code, Next};
use super::memory::Image;
use super::run::Run;
use super::scenario::Part;
use super::trace::{Mark, Place, Step, Victim};

/// A victim that has not returned after so many instructions never will.
const ENDLESS: u32 = 2_000_000;

/// What one stepping run to the end showed.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) instructions: u32,
    /// The place after each instruction, from none on.
    pub(super) all: Vec<Place>,
    /// After how many instructions a kill can differ from the one before.
    pub(super) points: Vec<Place>,
    /// Before each instruction that reaches memory which others have too, or enters the kernel.
    pub(super) touches: Vec<Place>,
    pub(super) images: Vec<(u32, Image)>,
}

/// How often each instruction was come to since the last system call.
///
/// Only where the victim is alone: a waiter that it wakes on the way does more while it is stepped
/// through than while it runs, so that it may come to a mark by another way. And only for full sweeps,
/// which have many places to go to.
struct Trail {
    times: HashMap<u64, u32>,
    marks: bool,
}

impl Trail {
    /// The same place, by way of a mark at its own instruction if that is cheaper.
    fn at(&mut self, place: Place, address: Option<u64>) -> Place {
        let Some(address) = address.filter(|_| self.marks) else { return place };
        let times = self.times.entry(address).or_default();
        *times += 1;
        let marked = Place { mark: Some(Mark { address, times: *times }), since: 0, ..place };
        if marked.cost() < place.cost() { marked } else { place }
    }

    /// The place one instruction further.
    fn after(&mut self, place: Place, is_call: bool, address: Option<u64>) -> Place {
        let k = place.k + 1;
        if is_call {
            self.times.clear();
            return self.at(Place { k, calls: place.calls + 1, ..Place::default() }, address);
        }
        let since_call = place.since_call + 1;
        self.at(Place { k, since: place.since + 1, since_call, ..place }, address)
    }
}

impl Run<'_> {
    /// Steps through the whole operation once, with the waiter asleep or without one.
    pub(super) fn survey(
        &self,
        part: &Part,
        start: &Image,
        waiting: bool,
    ) -> Result<Survey, String> {
        self.reset(start);
        let holder = self.cast.start_holder()?;
        let victim = Victim::start(&self.cast.board, part, None)?;
        let waiter = if waiting { self.cast.start_waiter()? } else { None };
        let mut code = Code::default();
        let mut survey = Survey::default();
        let marks = self.scenario.waiter.is_none() && self.limits.kills.is_none();
        let mut trail = Trail { times: HashMap::new(), marks };
        let mut here = trail.at(Place::default(), victim.address());
        survey.all.push(here);
        let mut seen = HashSet::new();
        let mut last = self.copy();
        let first = Image::between(&self.base, &last);
        seen.insert(first.clone());
        survey.images.push((0, first));
        loop {
            let (next, touches) = victim.next(&mut code);
            if touches {
                survey.touches.push(here);
            }
            let step = victim.step()?;
            let k = survey.instructions + 1;
            let before = here;
            let is_call = next == Next::SystemCall;
            here = trail.after(here, is_call, victim.address());
            survey.all.push(here);
            if is_call {
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
        survey.touches.retain(|place| place.k != 0 && place.k <= survey.instructions);
        if self.scenario.memory.is_none() {
            survey.images.clear();
        }
        victim.kill()?;
        drop((waiter, holder));
        Ok(survey)
    }
}
