//! One run to the end, step by step: where a standstill or an end can differ from the one before.

use std::collections::HashSet;

use super::marker::{Code, Next};
use super::memory::Image;
use super::run::Run;
use super::scenario::Part;
use super::trace::{Place, Step, Victim};

/// A victim that has not returned after so many instructions never will.
const ENDLESS: u32 = 2_000_000;

/// What one stepping run to the end showed.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) instructions: u32,
    /// After how many instructions a kill can differ from the one before.
    pub(super) points: Vec<Place>,
    /// Before each instruction that reaches memory which others have too, or enters the kernel.
    pub(super) touches: Vec<Place>,
    pub(super) images: Vec<(u32, Image)>,
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
        let mut here = Place::default();
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
        survey.touches.retain(|place| place.k != 0 && place.k <= survey.instructions);
        if self.scenario.memory.is_none() {
            survey.images.clear();
        }
        victim.kill()?;
        drop((waiter, holder));
        Ok(survey)
    }
}
