//! A message to another process and its answer, beside a bare cache line and a bare futex.

use crossproc::Segment;
use crossproc::prelude::*;

use super::raw::Word;
use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, timed};

const AWAKE: u64 = 300_000;
const ASLEEP: u64 = 3_000;
const ONE_CORE: u64 = 20_000;

/// How the parties are placed and how they wait.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Form {
    /// Two cores, never asleep.
    Awake,
    /// Two cores; each side pauses before it answers, so that the other is asleep by then.
    Asleep,
    /// Both pinned to one core.
    OneCore,
}

pub(super) fn rows() -> Vec<Figure> {
    let row = |key, what, target, ours, reference| Figure {
        key,
        what,
        unit: Unit::Nanoseconds,
        target,
        ours,
        reference,
    };
    vec![
        row(
            "rtt.awake",
            "round trip over two queues, 8 B, both awake; bare cache line",
            2.0,
            |effort| queues(effort, Form::Awake),
            |effort| raw(effort, Form::Awake),
        ),
        row(
            "rtt.asleep",
            "round trip over two queues, both asleep each time; bare futex",
            1.15,
            |effort| queues(effort, Form::Asleep),
            |effort| raw(effort, Form::Asleep),
        ),
        row(
            "rtt.one_core",
            "round trip over two queues, both pinned to one core; bare futex, one core",
            2.0,
            |effort| queues(effort, Form::OneCore),
            |effort| raw(effort, Form::OneCore),
        ),
    ]
}

impl Form {
    pub(super) fn rounds(self, effort: &Effort) -> u64 {
        effort.operations(match self {
            Self::Awake => AWAKE,
            Self::Asleep => ASLEEP,
            Self::OneCore => ONE_CORE,
        })
    }

    pub(super) fn core(self, party: u32) -> u32 {
        if self == Self::OneCore { 0 } else { party }
    }

    /// Busy work before each send, long enough for the other side to give up spinning and sleep.
    pub(super) fn pause(self) {
        if self == Self::Asleep {
            let begun = std::time::Instant::now();
            while begun.elapsed() < PAUSE {
                std::hint::spin_loop();
            }
        }
    }
}

const PAUSE: std::time::Duration = std::time::Duration::from_micros(300);

fn queues(effort: &Effort, form: Form) -> anyhow::Result<f64> {
    let (there, back) = (Queue::<u64>::bounded(16)?, Queue::<u64>::bounded(16)?);
    let (meeting, n) = (Meeting::new(0)?, form.rounds(effort));
    let party =
        |party| spawn((meeting.clone(), party, there.clone(), back.clone(), n, form), bounce);
    per_round(longest(vec![party(0)?, party(1)?])?, n, form)
}

fn bounce(
    meeting: Meeting,
    party: u32,
    there: Queue<u64>,
    back: Queue<u64>,
    n: u64,
    form: Form,
) -> Result<u64, Failure> {
    timed(&meeting, 2, form.core(party), || {
        for round in 0..n {
            if party == 0 {
                form.pause();
                there.put(round)?;
                back.get()?;
            } else {
                let item = there.get()?;
                form.pause();
                back.put(item)?;
            }
        }
        Ok(())
    })
}

pub(super) fn raw(effort: &Effort, form: Form) -> anyhow::Result<f64> {
    let (segment, meeting) = (Segment::anonymous(1 << 16)?, Meeting::new(0)?);
    let n = form.rounds(effort);
    let party = |party| spawn((meeting.clone(), party, segment.clone(), n, form), bounce_raw);
    per_round(longest(vec![party(0)?, party(1)?])?, n, form)
}

fn bounce_raw(
    meeting: Meeting,
    party: u32,
    segment: Segment,
    n: u64,
    form: Form,
) -> Result<u64, Failure> {
    let word = Word::of(&segment)?;
    timed(&meeting, 2, form.core(party), || {
        for _ in 0..n {
            match form {
                Form::Awake => word.spin(party, 1 - party),
                Form::OneCore | Form::Asleep => {
                    word.await_turn(party);
                    form.pause();
                    word.pass(1 - party);
                }
            }
        }
        Ok(())
    })
}

/// Nanoseconds for one round trip, without the pauses.
pub(super) fn per_round(nanoseconds: f64, n: u64, form: Form) -> anyhow::Result<f64> {
    let pauses = if form == Form::Asleep { 2.0 * PAUSE.as_nanos() as f64 } else { 0.0 };
    Ok(nanoseconds / n as f64 - pauses)
}
