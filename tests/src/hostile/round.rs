//! One round: the players play, the harness writes, and watches that every call comes back.

use std::time::Duration;

use super::answer::KINDS;
use super::board::{Call, Seat, Turn};
use super::child::Child;
use super::plan::{Plan, When};
use super::scene::Scene;

/// A call without a deadline may wait for what a living process seems to do: after so long the
/// memory is put right, and then it has to come back.
const CALM_AFTER: Duration = Duration::from_millis(50);

/// Putting it right wakes nobody: a sleeper looks by itself within this time.
const SLICE: Duration = Duration::from_secs(5);

/// What a round came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) writes: u64,
    pub(super) answers: [u64; KINDS],
    /// The longest call.
    pub(super) worst: (Duration, String),
    pub(super) trouble: Option<Trouble>,
}

/// What must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A player ended: a signal, a panic, no memory left.
    Ended { who: String, call: String, how: String },
    /// A call did not come back in time.
    Late { who: String, call: String, cpu: Duration },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended { who, call, how } => write!(f, "{who} ended in {call:?}: {how}"),
            Self::Late { who, call, cpu } => {
                write!(f, "{who} does not come back from {call:?}; it used {cpu:?} of a processor")
            }
        }
    }
}

/// Plays a round. A call that takes longer than `limit` beyond what it may is late.
pub(super) fn play(scene: &mut Scene<'_>, plan: &Plan, limit: Duration) -> Found {
    let mut round = Round { plan, limit, found: Found::default(), next: 0, calm: false };
    let result = round.passes(scene);
    round.found.trouble = result.err();
    scene.restore();
    round.found
}

struct Round<'p> {
    plan: &'p Plan,
    limit: Duration,
    found: Found,
    /// The write of a storm that comes next.
    next: usize,
    /// The memory was put right, for a call that waits; nothing is written until it is back.
    calm: bool,
}

/// Whom to look after.
struct Watched<'s> {
    who: &'static str,
    seat: Seat<'s>,
    points: u64,
    calmed: Option<u64>,
}

impl<'s> Watched<'s> {
    fn new(who: &'static str, seat: Seat<'s>) -> Self {
        Self { who, seat, points: seat.points(), calmed: None }
    }
}

impl Round<'_> {
    fn passes(&mut self, scene: &mut Scene<'_>) -> Result<(), Trouble> {
        let plan = self.plan;
        for pass in 0..plan.passes {
            if plan.when == When::Before {
                self.write_all(scene);
            }
            let is_last = pass + 1 == plan.passes;
            let turn = Turn { patience: plan.patience, chosen: plan.chosen, is_last };
            let playing = if plan.both { scene.players() } else { 1 };
            let mut watched: Vec<_> = [("the first player", 0), ("the second player", 1)]
                [..playing]
                .iter()
                .map(|&(who, player)| Watched::new(who, scene.seat(player)))
                .collect();
            for player in &watched {
                player.seat.give(turn);
            }
            self.until_idle(scene, &mut watched)?;
        }
        if plan.visitor {
            let chosen = plan.chosen;
            self.receive(scene, Turn { patience: plan.patience, chosen, is_last: true })?;
        }
        Ok(())
    }

    fn until_idle(
        &mut self,
        scene: &mut Scene<'_>,
        watched: &mut [Watched<'_>],
    ) -> Result<(), Trouble> {
        let mut turns = 0u32;
        loop {
            let mut idle = true;
            for (player, watched) in watched.iter_mut().enumerate() {
                idle &= watched.seat.is_idle();
                self.look_after(scene, watched);
                self.judge(scene, watched, scene.child_of(player))?;
                if turns % 64 == 63 {
                    alive(scene.child(player), watched)?;
                }
            }
            self.calm = watched.iter().any(|watched| watched.calmed.is_some());
            if idle {
                break;
            }
            self.pause(scene, &mut turns);
        }
        for watched in watched {
            self.count(watched.seat);
        }
        Ok(())
    }

    fn receive(&mut self, scene: &Scene<'_>, turn: Turn) -> Result<(), Trouble> {
        let mut watched = Watched::new("a newcomer", scene.visitor_seat());
        let child = scene.visitor(turn);
        let mut child = child.map_err(|error| Trouble::Ended {
            who: "the harness".to_owned(),
            call: "fork".to_owned(),
            how: error.to_string(),
        })?;
        watched.points = 0;
        let mut turns = 0;
        while child.ended().is_none() {
            self.look_after(scene, &mut watched);
            self.judge(scene, &mut watched, &child)?;
            self.calm = watched.calmed.is_some();
            self.pause(scene, &mut turns);
        }
        self.count(watched.seat);
        if child.ended_well() { Ok(()) } else { alive(&mut child, &watched) }
    }

    /// Lets a player go on from a point, and writes before that if this is the moment.
    fn look_after(&mut self, scene: &Scene<'_>, watched: &mut Watched<'_>) {
        let Some(point) = watched.seat.point_reached() else { return };
        if let When::At(first) = self.plan.when {
            let since = point - watched.points;
            if since == first && !self.calm {
                self.write_all(scene);
            }
        }
        watched.seat.pass(point);
    }

    fn judge(
        &mut self,
        scene: &Scene<'_>,
        watched: &mut Watched<'_>,
        child: &Child,
    ) -> Result<(), Trouble> {
        let Some((number, kind, lasts)) = watched.seat.call() else {
            watched.calmed = None;
            return Ok(());
        };
        let waits = kind == Call::Waits;
        watched.calmed = watched.calmed.filter(|&call| call == number);
        if waits && lasts > CALM_AFTER && watched.calmed.is_none() {
            scene.restore();
            watched.calmed = Some(number);
        }
        let allowed = if waits { CALM_AFTER + SLICE } else { self.plan.patience };
        if lasts < allowed + self.limit {
            return Ok(());
        }
        let (who, call) = (watched.who.to_owned(), watched.seat.call_name());
        Err(Trouble::Late { who, call, cpu: child.cpu() })
    }

    /// Writes what is to be written while calls are in progress, or sleeps a little.
    fn pause(&mut self, scene: &Scene<'_>, turns: &mut u32) {
        *turns = turns.wrapping_add(1);
        match self.plan.when {
            When::Hammer if !self.calm => {
                for _ in 0..64 {
                    self.write_next(scene);
                }
            }
            When::Storm if !self.calm => {
                self.write_next(scene);
                for _ in 0..(*turns * 37) % 400 {
                    std::hint::spin_loop();
                }
            }
            _ if *turns < 200 => std::hint::spin_loop(),
            _ => std::thread::sleep(Duration::from_micros(20)),
        }
    }

    fn write_all(&mut self, scene: &Scene<'_>) {
        for write in &self.plan.writes {
            scene.write(write.word, write.value);
        }
        self.found.writes += self.plan.writes.len() as u64;
    }

    fn write_next(&mut self, scene: &Scene<'_>) {
        let write = self.plan.writes[self.next % self.plan.writes.len()];
        scene.write(write.word, write.value);
        self.next += 1;
        self.found.writes += 1;
    }

    fn count(&mut self, seat: Seat<'_>) {
        for (sum, count) in self.found.answers.iter_mut().zip(seat.take_answers()) {
            *sum += count;
        }
        let worst = seat.take_worst();
        if worst.0 > self.found.worst.0 {
            self.found.worst = worst;
        }
    }
}

fn alive(child: &mut Child, watched: &Watched<'_>) -> Result<(), Trouble> {
    let Some(end) = child.ended() else { return Ok(()) };
    let (who, call) = (watched.who.to_owned(), watched.seat.call_name());
    Err(Trouble::Ended { who, call, how: format!("{end}: {}", watched.seat.text()) })
}
