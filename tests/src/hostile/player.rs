//! What the players do: the processes that use the segment while it is written to.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use crossproc_segment::Segment;
use crossproc_sys::process;

use super::board::{Seat, Turn};
use super::child::{keep_apart, limit_memory};
use super::hand::{Hand, Play, Primitive};

/// Room for objects: little, so that it is soon full.
const SEGMENT_BYTES: usize = 256 << 10;

/// A handle of everything, in the order of the primitives.
type Players = Vec<Option<Box<dyn Play>>>;

/// Makes the segment and everything in it, a primitive a turn, and plays.
pub(super) fn first(seat: Seat<'_>, primitives: &[Primitive]) -> Result<()> {
    process::set_name("hostile-first");
    // Made when the first ticket is: large, so before the limit.
    Segment::tree()?;
    keep_apart();
    let segment = Segment::anonymous(SEGMENT_BYTES)?;
    seat.set_fd(segment.as_fd().as_raw_fd());
    seat.set_id(segment.me().get());
    let mut players = Players::new();
    let mut number = 0;
    for primitive in primitives {
        number = seat.next_turn(number).0;
        players.push(Some((primitive.attach)(&segment).context(primitive.name)?));
        seat.has_played(number);
    }
    limit_memory();
    play_on(seat, primitives, &players, number)
}

/// Finds everything, keeps what is to be kept, and plays.
pub(super) fn second(seat: Seat<'_>, primitives: &[Primitive], file: &File) -> Result<()> {
    process::set_name("hostile-second");
    Segment::tree()?;
    keep_apart();
    let segment = reach(file)?;
    seat.set_id(segment.me().get());
    let mut players = Players::new();
    for primitive in primitives {
        players.push(Some((primitive.attach)(&segment).context(primitive.name)?));
        if let Some(keep) = primitive.keep {
            keep(&segment)?;
        }
    }
    limit_memory();
    play_on(seat, primitives, &players, 0)
}

/// Dies in the middle of everything.
pub(super) fn dead(seat: Seat<'_>, primitives: &[Primitive], file: &File) -> Result<()> {
    let segment = reach(file)?;
    seat.set_id(segment.me().get());
    for die_in in primitives.iter().filter_map(|primitive| primitive.die_in) {
        die_in(&segment)?;
    }
    process::exit_now(0)
}

/// Comes to a segment that is hostile already, plays once, and leaves.
pub(super) fn visitor(
    seat: Seat<'_>,
    primitives: &[Primitive],
    file: &File,
    turn: Turn,
) -> Result<()> {
    process::set_name("hostile-visitor");
    Segment::tree()?;
    keep_apart();
    limit_memory();
    let mut players = Players::new();
    let hand = Hand { seat, turn, primitive: "visitor" };
    let mut segment = None;
    hand.timed("attach", || reach(file).map(|reached| segment = Some(reached)));
    let Some(segment) = segment else { return Ok(()) };
    for (at, primitive) in primitives.iter().enumerate() {
        let mut player = None;
        if turn.chosen >> at & 1 != 0 {
            hand.waits(primitive.name, || {
                (primitive.attach)(&segment).map(|attached| player = Some(attached))
            });
        }
        players.push(player);
    }
    play(seat, primitives, &players, turn);
    hand.timed("leave", || drop((players, segment)));
    Ok(())
}

/// Attaches to the segment as one who was handed its descriptor.
fn reach(file: &File) -> Result<Segment> {
    Ok(Segment::from_fd(file.as_fd().try_clone_to_owned()?)?)
}

fn play_on(
    seat: Seat<'_>,
    primitives: &[Primitive],
    players: &Players,
    mut number: u64,
) -> Result<()> {
    loop {
        let (next, turn) = seat.next_turn(number);
        number = next;
        play(seat, primitives, players, turn);
        seat.has_played(number);
    }
}

fn play(seat: Seat<'_>, primitives: &[Primitive], players: &Players, turn: Turn) {
    for (at, (primitive, player)) in primitives.iter().zip(players).enumerate() {
        if let (1, Some(player)) = (turn.chosen >> at & 1, player) {
            player.play(&Hand { seat, turn, primitive: primitive.name });
        }
    }
}
