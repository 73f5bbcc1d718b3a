//! What others do to names and blocks while one who is at them stands still.

use crossproc_segment::Error;

use super::{BODY_BYTES, NAME, Stage, construct_it, count_room, init, shape, whole};
use crate::sweep::scenario::{Finding, Scenario, Witness};

/// It was made, found or removed.
pub(super) const YES: u64 = 1;
/// There was none, or one already.
pub(super) const NO: u64 = 2;

/// What a call says, where it may find the name there or not.
pub(super) fn told<R>(result: &Result<R, Error>) -> u64 {
    match result {
        Ok(_) => YES,
        Err(Error::NotFound { .. } | Error::Exists { .. }) => NO,
        Err(_) => 0,
    }
}

impl Stage {
    fn find_it(&self) -> Result<u64, String> {
        match self.segment.find(NAME, &shape()) {
            Ok(object) => whole(&object).map(|()| YES),
            result => known(told(&result), "find"),
        }
    }

    /// The name is there at the end, or not, and the segment as whole as ever.
    fn judge(&self, there: bool, outcome: &'static str) -> Finding {
        match (self.check_named("there", "absent")?, there) {
            ("there", true) | ("absent", false) => Ok(outcome),
            (found, _) => Err(format!("{outcome}, and the object is {found}")),
        }
    }

    /// Victim and other have done the same; exactly one of them came to do it.
    fn judge_one(&self, witness: &Witness, there: bool, outcomes: [&'static str; 2]) -> Finding {
        match (witness.victim, witness.meanwhile) {
            (Some(NO), Some(YES)) => self.judge(there, outcomes[0]),
            (Some(YES), Some(NO)) => self.judge(there, outcomes[1]),
            both => Err(format!("victim and other: {both:?}")),
        }
    }
}

fn known(told: u64, call: &str) -> Result<u64, String> {
    if told == 0 { Err(format!("{call} is refused")) } else { Ok(told) }
}

/// Beside a victim that makes the name: others find it, make it, remove it.
pub(super) fn making(scenario: Scenario, stage: &Stage) -> Scenario {
    const MADE: [&str; 2] = ["other made", "victim made"];
    let (finding, found) = (stage.clone(), stage.clone());
    let (making, made) = (stage.clone(), stage.clone());
    let (removing, removed) = (stage.clone(), stage.clone());
    scenario
        .meanwhile(
            "find",
            &["absent", "there"],
            move |_| finding.find_it(),
            move |witness: &Witness| {
                found.judge(true, if witness.meanwhile == Some(YES) { "there" } else { "absent" })
            },
        )
        .meanwhile_waiting(
            "construct",
            &MADE,
            move || known(told(&construct_it(&making.segment)), "construct"),
            move |witness: &Witness| made.judge_one(witness, true, MADE),
        )
        .meanwhile(
            "remove",
            &["absent", "removed"],
            move |_| known(told(&removing.segment.remove(NAME)), "remove"),
            move |witness: &Witness| match witness.meanwhile {
                Some(YES) => removed.judge(false, "removed"),
                _ => removed.judge(true, "absent"),
            },
        )
}

/// Beside a victim that finds or makes: another one does the same, and one of them makes it.
pub(super) fn finding_or_making(scenario: Scenario, stage: &Stage) -> Scenario {
    const MADE: [&str; 2] = ["other made", "victim made"];
    let (making, made) = (stage.clone(), stage.clone());
    let act = move || match making.find_or_make() {
        0 => Err("find_or_construct is refused".to_owned()),
        told => Ok(told),
    };
    let check = move |witness: &Witness| made.judge_one(witness, true, MADE);
    scenario.meanwhile_waiting("find_or_construct", &MADE, act, check)
}

impl Stage {
    /// `YES` if it was made by this call.
    pub(super) fn find_or_make(&self) -> u64 {
        let mut told = NO;
        let made = self.segment.find_or_construct(NAME, &shape(), BODY_BYTES, |body| {
            told = YES;
            init(body);
        });
        let result = if made.is_ok() { told } else { 0 };
        crate::sweep::scenario::keep(made);
        result
    }
}

/// Beside a victim that removes the name: others find it, remove it, make it.
pub(super) fn removing(scenario: Scenario, stage: &Stage) -> Scenario {
    const REMOVED: [&str; 2] = ["other removed", "victim removed"];
    let (finding, found) = (stage.clone(), stage.clone());
    let (removing, removed) = (stage.clone(), stage.clone());
    let (making, made) = (stage.clone(), stage.clone());
    scenario
        .meanwhile(
            "find",
            &["there", "gone"],
            move |_| finding.find_it(),
            move |witness: &Witness| {
                found.judge(false, if witness.meanwhile == Some(YES) { "there" } else { "gone" })
            },
        )
        .meanwhile_waiting(
            "remove",
            &REMOVED,
            move || known(told(&removing.segment.remove(NAME)), "remove"),
            move |witness: &Witness| removed.judge_one(witness, false, REMOVED),
        )
        .meanwhile_waiting(
            "construct",
            &["refused", "made"],
            move || known(told(&construct_it(&making.segment)), "construct"),
            move |witness: &Witness| match witness.meanwhile {
                Some(YES) => made.judge(true, "made"),
                _ => made.judge(false, "refused"),
            },
        )
}

/// Beside a victim that finds the object, and keeps it: it is removed.
pub(super) fn finding(scenario: Scenario, stage: &Stage) -> Scenario {
    let (removing, removed) = (stage.clone(), stage.clone());
    scenario.meanwhile(
        "remove",
        &["not found", "found"],
        move |_| known(told(&removing.segment.remove(NAME)), "remove"),
        move |witness: &Witness| match (witness.victim, witness.meanwhile) {
            (Some(YES), Some(YES)) => removed.judge(false, "found"),
            (Some(NO), Some(YES)) => removed.judge(false, "not found"),
            both => Err(format!("victim and other: {both:?}")),
        },
    )
}

/// What a living process has at hand at most: a page of such blocks, so that it need not ask for
/// each of them.
const AT_HAND: usize = 8;

/// Beside a victim that has to do with blocks: another one takes all that there are, and gives
/// them back. `lost`: what the victim takes with it when it ends.
pub(super) fn filling(scenario: Scenario, stage: &Stage, lost: usize) -> Scenario {
    let (filling, checked) = (stage.clone(), stage.clone());
    let act = move |_| {
        let room = count_room(&filling.segment)?;
        if room.1 > filling.room.1 || room.1 + AT_HAND < filling.room.1 {
            return Err(format!("room for {} objects of {}", room.1, filling.room.1));
        }
        Ok(room.1 as u64)
    };
    scenario.meanwhile("fill and empty", &["fine"], act, move |_| {
        checked.check_room(lost).map(|()| "fine")
    })
}
