//! `Semaphore` beside a bare futex, and its guard beside `std::sync::Mutex`.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, pinned, timed};
use crate::rows::raw::Word;

const UNCONTENDED: u64 = 1_000_000;
const ROUNDS: u64 = 20_000;
const ASLEEP: u64 = 3_000;

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
            "semaphore.rtt",
            "round trip over two semaphores between two processes; bare futex",
            1.15,
            |effort| semaphores(effort, Form::Free),
            |effort| raw(effort, Form::Free),
        ),
        row(
            "semaphore.rtt.asleep",
            "the same, both asleep each time; bare futex",
            1.15,
            |effort| semaphores(effort, Form::Asleep),
            |effort| raw(effort, Form::Asleep),
        ),
        // A guard names its owner in a word of its own: five atomic changes for the two.
        row(
            "semaphore.uncontended",
            "acquire + drop of a guard, uncontended; std::sync::Mutex lock + unlock",
            6.0,
            uncontended,
            uncontended_std,
        ),
    ]
}

/// How the parties wait.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// As they like.
    Free,
    /// Each side pauses before it answers, so that the other is asleep by then.
    Asleep,
}

const PAUSE: Duration = Duration::from_micros(300);

impl Form {
    fn rounds(self, effort: &Effort) -> u64 {
        effort.operations(if self == Self::Asleep { ASLEEP } else { ROUNDS })
    }

    fn pause(self) {
        if self == Self::Asleep {
            let begun = Instant::now();
            while begun.elapsed() < PAUSE {
                std::hint::spin_loop();
            }
        }
    }

    /// Nanoseconds for one round trip, without the pauses.
    fn per_round(self, nanoseconds: f64, n: u64) -> f64 {
        let pauses = if self == Self::Asleep { 2.0 * PAUSE.as_nanos() as f64 } else { 0.0 };
        nanoseconds / n as f64 - pauses
    }
}

fn semaphores(effort: &Effort, form: Form) -> anyhow::Result<f64> {
    let (there, back) = (Semaphore::new(0)?, Semaphore::new(0)?);
    let (meeting, n) = (Meeting::new(0)?, form.rounds(effort));
    let ping = (meeting.clone(), 0, there.clone(), back.clone(), n, form);
    let pong = (meeting, 1, back, there, n, form);
    let parties = vec![spawn(ping, bounce)?, spawn(pong, bounce)?];
    Ok(form.per_round(longest(parties)?, n))
}

fn bounce(
    meeting: Meeting,
    party: u32,
    out: Semaphore,
    home: Semaphore,
    n: u64,
    form: Form,
) -> Result<u64, Failure> {
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            if party == 0 {
                form.pause();
                out.release(1)?;
                home.take()?;
            } else {
                home.take()?;
                form.pause();
                out.release(1)?;
            }
        }
        Ok(())
    })
}

fn raw(effort: &Effort, form: Form) -> anyhow::Result<f64> {
    let (segment, meeting) = (Segment::anonymous(1 << 16)?, Meeting::new(0)?);
    let n = form.rounds(effort);
    let party = |party| spawn((meeting.clone(), party, segment.clone(), n, form), bounce_raw);
    let parties = vec![party(0)?, party(1)?];
    Ok(form.per_round(longest(parties)?, n))
}

fn bounce_raw(
    meeting: Meeting,
    party: u32,
    segment: Segment,
    n: u64,
    form: Form,
) -> Result<u64, Failure> {
    let word = Word::of(&segment)?;
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            word.await_turn(party);
            form.pause();
            word.pass(1 - party);
        }
        Ok(())
    })
}

fn uncontended(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (semaphore, n) = (Semaphore::new(1)?, effort.operations(UNCONTENDED));
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(semaphore.acquire()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}

fn uncontended_std(effort: &Effort) -> anyhow::Result<f64> {
    pinned(|| {
        let (lock, n) = (Mutex::new(()), effort.operations(UNCONTENDED));
        let lock = black_box(&lock);
        let begun = Instant::now();
        for _ in 0..n {
            drop(black_box(lock.lock()));
        }
        Ok(begun.elapsed().as_nanos() as f64 / n as f64)
    })
}
