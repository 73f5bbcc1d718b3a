//! The segment of a campaign, and who uses it.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::board::{Board, Seat, Turn};
use super::child::Child;
use super::hand::Primitive;
use super::map::{Map, Parts, Region};
use super::player;
use super::values::Ids;
use crate::sweep::Memory;

/// Everything that takes longer while nobody writes anything is stuck.
const SETUP: Duration = Duration::from_secs(60);

const FIRST: usize = 0;
const SECOND: usize = 1;
const OTHERS: usize = 2;

/// A segment with players attached, as it is before each round.
#[derive(Debug)]
pub(super) struct Scene<'p> {
    primitives: &'p [Primitive],
    board: &'p Board,
    file: File,
    pub(super) memory: Memory,
    /// The segment's words before any write.
    pub(super) base: Vec<u64>,
    pub(super) regions: Vec<Region>,
    pub(super) ids: Ids,
    players: Vec<Child>,
}

impl<'p> Scene<'p> {
    /// Sets everything up.
    pub(super) fn build(primitives: &'p [Primitive], board: &'p Board) -> Result<Self> {
        for seat in 0..super::board::SEATS {
            board.seat(seat).wipe();
        }
        let seat = board.seat(FIRST);
        let mut first = Child::fork(seat, || player::first(seat, primitives))?;
        wait_for(&mut first, seat, || seat.id() != 0)?;
        let path = format!("/proc/{}/fd/{}", first.pid(), seat.fd());
        let file = OpenOptions::new().read(true).write(true).open(&path).context(path)?;
        let bytes = usize::try_from(file.metadata()?.len())?;
        let memory = Memory::of_file(file.as_fd(), bytes)?;
        let mut map = Map::new(Parts::of(&copy(&memory)), primitives.len());
        let mut ask = |turn: Turn| {
            let before = copy(&memory);
            seat.give(turn);
            wait_for(&mut first, seat, || seat.is_idle())?;
            Ok::<_, anyhow::Error>((before, copy(&memory)))
        };
        for index in 0..primitives.len() {
            let (before, after) = ask(turn(0, 0))?;
            map.note(index, &before, &after);
        }
        let dead = die(primitives, board.seat(OTHERS), &file)?;
        let at = board.seat(SECOND);
        let mut second = Child::fork(at, || player::second(at, primitives, &file))?;
        at.give(turn(0, 0));
        wait_for(&mut second, at, || at.is_idle())?;
        let base = copy(&memory);
        // Played once by itself: what changes is in use.
        for index in 0..primitives.len() {
            let (before, after) = ask(turn(1 << index, 40))?;
            map.note(index, &before, &after);
            restore(&memory, &base);
        }
        seat.take_answers();
        seat.take_worst();
        let ids = Ids { first: seat.id(), second: at.id(), dead };
        let names: Vec<_> = primitives.iter().map(|primitive| primitive.name).collect();
        let regions = map.regions(&base, &names);
        let players = vec![first, second];
        Ok(Self { primitives, board, file, memory, base, regions, ids, players })
    }

    pub(super) fn players(&self) -> usize {
        self.players.len()
    }

    pub(super) fn seat(&self, player: usize) -> Seat<'p> {
        self.board.seat(player)
    }

    pub(super) fn child_of(&self, player: usize) -> &Child {
        &self.players[player]
    }

    pub(super) fn child(&mut self, player: usize) -> &mut Child {
        &mut self.players[player]
    }

    /// Starts one who was not there before; it has the seat behind the players.
    pub(super) fn visitor(&self, turn: Turn) -> Result<Child> {
        let seat = self.board.seat(OTHERS);
        seat.wipe();
        Ok(Child::fork(seat, || player::visitor(seat, self.primitives, &self.file, turn))?)
    }

    pub(super) fn visitor_seat(&self) -> Seat<'p> {
        self.board.seat(OTHERS)
    }

    pub(super) fn write(&self, word: usize, value: u64) {
        self.memory.words()[word].store(value, Relaxed);
    }

    /// Makes the segment what it was before the round.
    pub(super) fn restore(&self) {
        restore(&self.memory, &self.base);
    }
}

/// A turn that plays `chosen`.
fn turn(chosen: u64, patience_ms: u64) -> Turn {
    Turn { patience: Duration::from_millis(patience_ms), chosen, is_last: true }
}

/// Has a member die, and gives its id.
fn die(primitives: &[Primitive], seat: Seat<'_>, file: &File) -> Result<u32> {
    let mut child = Child::fork(seat, || player::dead(seat, primitives, file))?;
    let until = Instant::now() + SETUP;
    while child.ended().is_none() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if !child.ended_well() {
        bail!("the one that is to be dead: {}", seat.text());
    }
    Ok(seat.id())
}

/// Waits for a player that nobody disturbs; passes its points.
fn wait_for(child: &mut Child, seat: Seat<'_>, mut done: impl FnMut() -> bool) -> Result<()> {
    let until = Instant::now() + SETUP;
    while !done() {
        if let Some(point) = seat.point_reached() {
            seat.pass(point);
        }
        if let Some(end) = child.ended() {
            bail!("a player ended while the scene was set up, {end}: {}", seat.text());
        }
        if Instant::now() > until {
            return Err(anyhow!("a player is stuck in {:?} while nobody writes", seat.call_name()));
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

fn copy(memory: &Memory) -> Vec<u64> {
    memory.words().iter().map(|word| word.load(Relaxed)).collect()
}

fn restore(memory: &Memory, base: &[u64]) {
    // Only what differs is stored: a store would make a page of its own of each untouched one.
    for (word, &old) in memory.words().iter().zip(base) {
        if word.load(Relaxed) != old {
            word.store(old, Relaxed);
        }
    }
}
