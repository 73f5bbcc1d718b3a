//! `Condvar` beside a bare futex: two processes that take turns, each asleep when its turn comes.

use std::time::{Duration, Instant};

use crossproc::LockFailure;
use crossproc::prelude::*;

use crate::figure::{Effort, Figure, Unit};
use crate::party::{Meeting, longest, timed};
use crate::rows::raw::Word;

const ROUNDS: u64 = 3_000;

/// Busy work before each turn is passed on, long enough for the other side to be asleep.
const PAUSE: Duration = Duration::from_micros(300);

pub(super) fn rows() -> Vec<Figure> {
    vec![Figure {
        key: "condvar.rtt",
        what: "round trip over a lock and a condvar, both asleep each time; bare futex",
        unit: Unit::Nanoseconds,
        target: 1.15,
        ours: turns,
        reference: turns_raw,
    }]
}

fn pause() {
    let begun = Instant::now();
    while begun.elapsed() < PAUSE {
        std::hint::spin_loop();
    }
}

/// Nanoseconds for one round trip, without the pauses.
fn per_round(nanoseconds: f64, n: u64) -> f64 {
    nanoseconds / n as f64 - 2.0 * PAUSE.as_nanos() as f64
}

/// What two parties share: whose turn it is, and how that is told.
#[derive(Clone, Serialize, Deserialize)]
struct Game {
    lock: Lock,
    changed: Condvar,
    turn: Value<u64>,
}

fn turns(effort: &Effort) -> anyhow::Result<f64> {
    let game = Game { lock: Lock::new()?, changed: Condvar::new()?, turn: Value::new(0)? };
    let (meeting, n) = (Meeting::new(0)?, effort.operations(ROUNDS));
    let party = |party| spawn((meeting.clone(), party, game.clone(), n), play);
    Ok(per_round(longest(vec![party(0)?, party(1)?])?, n))
}

fn play(meeting: Meeting, party: u32, game: Game, n: u64) -> Result<u64, Failure> {
    let mine = u64::from(party);
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            let guard = game.lock.lock().map_err(LockFailure::from)?;
            let theirs = || game.turn.get() != mine;
            let guard = game.changed.wait_while(guard, theirs).map_err(LockFailure::from)?;
            drop(guard);
            pause();
            let guard = game.lock.lock().map_err(LockFailure::from)?;
            game.turn.set(1 - mine)?;
            drop(guard);
            game.changed.notify_one();
        }
        Ok(())
    })
}

fn turns_raw(effort: &Effort) -> anyhow::Result<f64> {
    let (segment, meeting) = (Segment::anonymous(1 << 16)?, Meeting::new(0)?);
    let n = effort.operations(ROUNDS);
    let party = |party| spawn((meeting.clone(), party, segment.clone(), n), play_raw);
    Ok(per_round(longest(vec![party(0)?, party(1)?])?, n))
}

fn play_raw(meeting: Meeting, party: u32, segment: Segment, n: u64) -> Result<u64, Failure> {
    let word = Word::of(&segment)?;
    timed(&meeting, 2, party, || {
        for _ in 0..n {
            word.await_turn(party);
            pause();
            word.pass(1 - party);
        }
        Ok(())
    })
}
