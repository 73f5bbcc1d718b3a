//! The words of a barrier, packed and unpacked.

use core::fmt;

use crossproc_segment::{ID_MASK, MemberId};

const ID: u64 = ID_MASK as u64;
const KIND_SHIFT: u32 = 28;
const KIND: u64 = 0xf << KIND_SHIFT;
const STAMP_SHIFT: u32 = 32;

const GATHERING: u64 = 0;
const ACTING: u64 = 1;
const DIED: u64 = 2;
const TIMED_OUT: u64 = 3;
const ABORTED: u64 = 4;
const PANICKED: u64 = 5;
const RESETTING: u64 = 6;

/// Why a generation was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A participant died.
    Died,
    /// The time of one who waited was over.
    TimedOut,
    /// Somebody said so.
    Aborted,
    /// The action panicked.
    Panicked,
}

/// How far the present generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all have arrived, or nobody has noticed yet that they have.
    Gathering,
    /// All have arrived, and this member runs the action.
    Acting(MemberId),
    /// This member takes the places of the dead, after which the next generation begins.
    Resetting(MemberId),
    /// Nobody passes; because of this member.
    Broken(Why, MemberId),
}

/// A snapshot of the state of a barrier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct State(pub(super) u64);

impl State {
    pub(super) fn new(generation: u32, phase: Phase) -> Self {
        let (kind, id) = match phase {
            Phase::Gathering => (GATHERING, 0),
            Phase::Acting(id) => (ACTING, id.get()),
            Phase::Resetting(id) => (RESETTING, id.get()),
            Phase::Broken(Why::Died, id) => (DIED, id.get()),
            Phase::Broken(Why::TimedOut, id) => (TIMED_OUT, id.get()),
            Phase::Broken(Why::Aborted, id) => (ABORTED, id.get()),
            Phase::Broken(Why::Panicked, id) => (PANICKED, id.get()),
        };
        Self(u64::from(generation) << STAMP_SHIFT | kind << KIND_SHIFT | u64::from(id))
    }

    /// The number of the generation; completion adds one, a reset two.
    #[must_use]
    pub fn generation(self) -> u32 {
        high(self.0)
    }

    /// The phase, or `None` if the word is none that the protocol stores.
    #[must_use]
    pub fn phase(self) -> Option<Phase> {
        let id = MemberId::new(low(self.0));
        match ((self.0 & KIND) >> KIND_SHIFT, id) {
            (GATHERING, None) => Some(Phase::Gathering),
            (ACTING, Some(id)) => Some(Phase::Acting(id)),
            (RESETTING, Some(id)) => Some(Phase::Resetting(id)),
            (DIED, Some(id)) => Some(Phase::Broken(Why::Died, id)),
            (TIMED_OUT, Some(id)) => Some(Phase::Broken(Why::TimedOut, id)),
            (ABORTED, Some(id)) => Some(Phase::Broken(Why::Aborted, id)),
            (PANICKED, Some(id)) => Some(Phase::Broken(Why::Panicked, id)),
            _ => None,
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase() {
            None => write!(f, "corrupt {:#018x}", self.0),
            Some(Phase::Gathering) => write!(f, "gathering for {}", self.generation()),
            Some(Phase::Acting(id)) => write!(f, "{id:?} acts for {}", self.generation()),
            Some(Phase::Resetting(id)) => write!(f, "{id:?} resets {}", self.generation()),
            Some(Phase::Broken(why, id)) => {
                write!(f, "broken in {}: {why:?}, {id:?}", self.generation())
            }
        }
    }
}

/// A snapshot of one place of the row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seat(pub(super) u64);

impl Seat {
    const INSIDE: u64 = 1 << KIND_SHIFT;

    /// The seat of `id`, which has arrived for the generation before `stamp`.
    pub(super) fn inside(stamp: u32, id: MemberId) -> Self {
        Self(u64::from(stamp) << STAMP_SHIFT | Self::INSIDE | u64::from(id.get()))
    }

    /// The same with its participant outside, or with none.
    pub(super) fn outside(stamp: u32, id: Option<MemberId>) -> Self {
        Self(u64::from(stamp) << STAMP_SHIFT | u64::from(id.map_or(0, MemberId::get)))
    }

    pub(super) fn stamp(self) -> u32 {
        high(self.0)
    }

    pub(super) fn id(self) -> Option<MemberId> {
        MemberId::new(low(self.0))
    }

    pub(super) fn is_inside(self) -> bool {
        self.0 & KIND == Self::INSIDE
    }

    /// Whether the protocol ever stores such a word.
    pub(super) fn is_valid(self) -> bool {
        self.0 & KIND == 0 || (self.is_inside() && self.0 & ID != 0)
    }

    /// Whether its participant has arrived for `generation`.
    pub(super) fn has_arrived(self, generation: u32) -> bool {
        self.is_inside() && self.stamp() == generation.wrapping_add(1)
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id() {
            _ if !self.is_valid() => write!(f, "corrupt {:#018x}", self.0),
            None => write!(f, "free, {}", self.stamp()),
            Some(id) if self.is_inside() => write!(f, "{id:?}, inside {}", self.stamp()),
            Some(id) => write!(f, "{id:?}, outside {}", self.stamp()),
        }
    }
}

fn high(word: u64) -> u32 {
    u32::try_from(word >> 32).unwrap_or(u32::MAX)
}

fn low(word: u64) -> u32 {
    u32::try_from(word & 0xffff_ffff).unwrap_or(u32::MAX)
}
