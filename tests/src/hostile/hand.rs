//! What a player holds: its seat, and how it makes calls that can be watched.

use std::time::Duration;

use crossproc_segment::Segment;

use super::answer::Answer;
use super::board::{Call, Seat, Turn};

/// One turn of one player.
#[derive(Debug)]
pub(super) struct Hand<'b> {
    pub(super) seat: Seat<'b>,
    pub(super) turn: Turn,
    /// The primitive that is played, which stands before the names of its calls.
    pub(super) primitive: &'static str,
}

/// A primitive, or what else there is, as a player has it: handles, and all that they can do.
pub(super) trait Play {
    /// Makes every call there is.
    fn play(&self, hand: &Hand<'_>);
}

/// What a member does in a segment once.
pub(super) type Deed = fn(&Segment) -> anyhow::Result<()>;

/// Something to be played.
#[derive(Debug)]
pub(super) struct Primitive {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Makes its objects in the segment, or finds them there.
    pub(super) attach: fn(&Segment) -> anyhow::Result<Box<dyn Play>>,
    /// What a member leaves in it that dies in the middle.
    pub(super) die_in: Option<Deed>,
    /// What the second player keeps for as long as it lives.
    pub(super) keep: Option<Deed>,
}

impl Hand<'_> {
    /// A call that comes back by itself, whatever the memory says.
    pub(super) fn timed<A: Into<Answer>>(&self, name: &str, call: impl FnOnce() -> A) {
        self.call(Call::Timed, name, call);
    }

    /// A call without a deadline that may wait for a living process.
    pub(super) fn waits<A: Into<Answer>>(&self, name: &str, call: impl FnOnce() -> A) {
        self.call(Call::Waits, name, call);
    }

    fn call<A: Into<Answer>>(&self, kind: Call, name: &str, call: impl FnOnce() -> A) {
        self.seat.begin(kind, &format!("{}: {name}", self.primitive));
        let answer = call().into();
        self.seat.end(answer);
    }

    /// A place in the middle of something where the harness may write.
    pub(super) fn point(&self) {
        self.seat.point();
    }

    /// How long timed calls may wait.
    pub(super) fn patience(&self) -> Duration {
        self.turn.patience
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Done
    }
}
