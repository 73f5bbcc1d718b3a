//! The two ends: who has them.

use crossproc_segment::{ID_MASK, MemberId};

use super::Header;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// How often the word may change under a taker before somebody else has it, or scribbles on it.
const TRIES: u32 = 1000;

/// Which end of the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Side {
    /// The one that sends in the first direction.
    First,
    /// The other.
    Second,
}

impl Side {
    #[inline(always)]
    pub(super) fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The end across.
    #[must_use]
    #[inline(always)]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The word of an end: `id:28 | MOVING (28) | DIED (29) | CLOSED (30) | SHUT (31) | moves:32`.
///
/// SHUT says that whoever has it sends no more; it receives all the same. It goes with the end to
/// another process, and ends with a successor. The word counts how often the end was sent off, so that
/// an old message or an old handle cannot be taken for the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndWord(u64);

/// An end's word, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// Never opened.
    Vacant,
    /// A member has it.
    Open(MemberId),
    /// A member has sent it, and nobody has received it yet.
    Moving(MemberId),
    /// The member that had it last was found dead.
    Died,
    /// Closed by the member that had it last.
    Closed,
}

impl EndWord {
    const MOVING: u64 = 1 << 28;
    const DIED: u64 = 1 << 29;
    const CLOSED: u64 = 1 << 30;
    const SHUT: u64 = 1 << 31;

    fn open(id: MemberId, moves: u32) -> Self {
        Self(u64::from(moves) << 32 | u64::from(id.get()))
    }

    fn moving(id: MemberId, moves: u32) -> Self {
        Self(Self::open(id, moves).0 | Self::MOVING)
    }

    fn closed(moves: u32) -> Self {
        Self(u64::from(moves) << 32 | Self::CLOSED)
    }

    fn is_shut(self) -> bool {
        self.0 & Self::SHUT != 0
    }

    /// The same, and SHUT if that one was.
    fn shut_as(self, other: Self) -> Self {
        Self(self.0 | other.0 & Self::SHUT)
    }

    /// Without SHUT.
    fn plain(self) -> Self {
        Self(self.0 & !Self::SHUT)
    }

    fn moves(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn id(self) -> Option<MemberId> {
        MemberId::new(u32::try_from(self.0 & u64::from(ID_MASK)).unwrap_or(0))
    }

    /// Nothing comes from there any more. Rubbish in the word is no end either.
    #[inline(always)]
    fn is_gone(self) -> bool {
        self.0 & (Self::CLOSED | Self::DIED) != 0
    }

    fn state(self) -> EndState {
        match self.id() {
            _ if self.0 & Self::CLOSED != 0 => EndState::Closed,
            _ if self.0 & Self::DIED != 0 => EndState::Died,
            Some(id) if self.0 & Self::MOVING != 0 => EndState::Moving(id),
            Some(id) => EndState::Open(id),
            None => EndState::Vacant,
        }
    }
}

/// A living process has the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken(pub MemberId);

impl Header {
    #[inline(always)]
    fn end(&self, side: Side) -> &AtomicU64 {
        &self.common.0.ends[side.index()]
    }

    /// Takes the end `side` for `me`; one that is on its way only if it came here, in the move
    /// `arrived`. Tells whether it may send: not if it arrived and was shut before.
    ///
    /// # Errors
    ///
    /// [`Taken`] by a living process.
    pub fn take(
        &self,
        side: Side,
        me: MemberId,
        arrived: Option<u32>,
        alive: impl Fn(MemberId) -> bool,
    ) -> Result<bool, Taken> {
        let end = self.end(side);
        // ORDERING: feeds `alive`, which must not be asked before.
        let mut seen = EndWord(end.load(Acquire));
        for _ in 0..TRIES {
            let mut open = EndWord::open(me, seen.moves());
            match seen.state() {
                EndState::Moving(_) if arrived == Some(seen.moves()) => open = open.shut_as(seen),
                EndState::Open(id) | EndState::Moving(id) if alive(id) => return Err(Taken(id)),
                _ => {}
            }
            // commit: the end is ours.
            // ORDERING: both sides of *end*.
            match end.compare_exchange(seen.0, open.0, AcqRel, Acquire) {
                Ok(_) => return Ok(!open.is_shut()),
                Err(found) => seen = EndWord(found),
            }
        }
        Err(Taken(seen.id().unwrap_or(me)))
    }

    /// Closes the end, if `me` has it. The caller wakes all who wait.
    pub fn close(&self, side: Side, me: MemberId) -> bool {
        // commit: nothing comes from here any more.
        self.replace(side, |seen| {
            (seen.state() == EndState::Open(me)).then(|| EndWord::closed(seen.moves()))
        })
        .is_some()
    }

    /// Says that nothing more is sent from this end, if `me` has it. The caller wakes those who receive
    /// at the other.
    pub fn shut(&self, side: Side, me: MemberId) -> bool {
        // commit: what was sent so far was the last.
        self.replace(side, |seen| {
            (seen.state() == EndState::Open(me)).then_some(EndWord(seen.0 | EndWord::SHUT))
        })
        .is_some()
    }

    /// Notes that the end is on its way to another process, if `me` has it. Returns which move of the
    /// end it is.
    pub fn send_off(&self, side: Side, me: MemberId) -> Option<u32> {
        // commit: whoever gets the message may take it.
        self.replace(side, |seen| {
            let next = seen.moves().wrapping_add(1);
            (seen.state() == EndState::Open(me)).then(|| EndWord::moving(me, next).shut_as(seen))
        })
    }

    /// Sends the end off once more, if it is in the move `moves` of `me` and has not arrived: what
    /// was on its way is worth nothing any more.
    pub fn send_again(&self, side: Side, me: MemberId, moves: u32) -> Option<u32> {
        let next = EndWord::moving(me, moves.wrapping_add(1));
        // commit: whoever gets the new message may take it.
        self.replace(side, |seen| {
            (seen.plain() == EndWord::moving(me, moves)).then(|| next.shut_as(seen))
        })
    }

    /// Takes back an end that `me` has sent off in the move `moves`, unless it has arrived.
    pub fn take_back(&self, side: Side, me: MemberId, moves: u32) -> bool {
        let open = EndWord::open(me, moves);
        // commit: the end is ours again.
        self.replace(side, |seen| {
            (seen.plain() == EndWord::moving(me, moves)).then(|| open.shut_as(seen))
        })
        .is_some()
    }

    /// Returns how often the end has moved then.
    fn replace(&self, side: Side, next: impl Fn(EndWord) -> Option<EndWord>) -> Option<u32> {
        let end = self.end(side);
        // Relaxed: the swap acquires.
        let mut seen = EndWord(end.load(Relaxed));
        for _ in 0..TRIES {
            let to = next(seen)?;
            // ORDERING: both sides of *end*.
            match end.compare_exchange(seen.0, to.0, AcqRel, Relaxed) {
                Ok(_) => return Some(to.moves()),
                Err(found) => seen = EndWord(found),
            }
        }
        None
    }

    /// Notes that the process that has the end is dead, if it is. Tells whether nothing comes from
    /// there any more.
    pub fn bury(&self, side: Side, alive: impl Fn(MemberId) -> bool) -> bool {
        let end = self.end(side);
        // ORDERING: acquire side of *end*; feeds `alive`.
        let seen = EndWord(end.load(Acquire));
        if let EndState::Open(id) | EndState::Moving(id) = seen.state() {
            if !alive(id) {
                // Lost: somebody else noted it, or has taken the end.
                // ORDERING: release side of *end*: what the dead stored, the kernel has told us.
                let _ = end.compare_exchange(seen.0, seen.0 | EndWord::DIED, AcqRel, Acquire);
            }
        }
        self.is_gone(side)
    }

    /// Whether the end was closed, or its process found dead, at that moment.
    #[must_use]
    #[inline(always)]
    pub fn is_gone(&self, side: Side) -> bool {
        // ORDERING: acquire side of *end*.
        EndWord(self.end(side).load(Acquire)).is_gone()
    }

    /// Whether nothing more is sent from there: it was shut, closed, or its process found dead.
    #[must_use]
    pub fn is_over(&self, side: Side) -> bool {
        // ORDERING: acquire side of *end*.
        let word = EndWord(self.end(side).load(Acquire));
        word.is_gone() || word.is_shut()
    }

    /// Who has the end, at that moment.
    #[must_use]
    pub fn end_state(&self, side: Side) -> EndState {
        // ORDERING: acquire side of *end*.
        EndWord(self.end(side).load(Acquire)).state()
    }
}
