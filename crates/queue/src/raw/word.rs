//! The two packed words of the ring: a slot's word and a position.
//!
//! No shift or mask on either stands outside this file.

use crossproc_segment::MemberId;

/// Bits of a position's index, and so the limit of a queue's capacity.
pub const INDEX_BITS: u32 = 24;
/// Bits of a lap, wherever a word has no owner.
pub const LAP_BITS: u32 = 39;

const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const LAP_MASK: u64 = (1 << LAP_BITS) - 1;
const CLOSED: u64 = 1 << 63;
const LEASED: u64 = 1 << 63;

const STATE_BITS: u32 = 4;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const OWNER_MASK: u64 = (1 << 28) - 1;
const OWNED_LAP_SHIFT: u32 = 32;
const RUN_BITS: u32 = 6;
const RUN_MASK: u64 = (1 << RUN_BITS) - 1;
const RUN_SHIFT: u32 = OWNED_LAP_SHIFT;
const RUN_LAP_SHIFT: u32 = RUN_SHIFT + RUN_BITS;

/// Most slots that one word can claim.
pub const MAX_RUN: u32 = 1 << RUN_BITS;

/// What a slot is in, by the low four bits of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody's: the next producer of that lap may claim it.
    Free,
    /// A producer's, which fills the payload.
    Writing,
    /// Nobody's: it carries an item.
    Full,
    /// Nobody's: it will never carry an item in this lap.
    Skip,
    /// A consumer's, which reads the payload in place.
    Reading,
    /// On its way into a lease's entry, which the word names; see `lease`.
    Taken,
    /// A producer's, which fills this slot and those after it; see `batch`.
    Filling,
    /// A consumer's, which has taken this item and those after it, and frees them; see `batch`.
    Clearing,
    /// Not a state of this version: a peer wrote rubbish.
    Unknown,
}

const FREE: u64 = 0;
const WRITING: u64 = 1;
const FULL: u64 = 2;
const SKIP: u64 = 3;
const READING: u64 = 4;
const TAKEN: u64 = 5;
const FILLING: u64 = 6;
const CLEARING: u64 = 7;

/// A lap, modulo `2^LAP_BITS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lap(u64);

impl Lap {
    /// The lap after this one.
    #[inline]
    #[must_use]
    pub fn next(self) -> Self {
        Self((self.0 + 1) & LAP_MASK)
    }

    /// The lap before this one.
    #[inline]
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1) & LAP_MASK)
    }

    /// How many laps `self` is past `other`, the short way round.
    fn past(self, other: Self) -> i64 {
        signed(self.0.wrapping_sub(other.0), LAP_BITS)
    }
}

/// Reads the low `bits` of `value` as a two's complement number.
fn signed(value: u64, bits: u32) -> i64 {
    i64::from_ne_bytes((value << (64 - bits)).to_ne_bytes()) >> (64 - bits)
}

/// A place in the order of all items ever put: `closed:1 | lap:39 | index:24`.
///
/// The top bit of `tail` says that the queue is closed, that of `head` that consumers have more to
/// look at than the slot, see [`Position::is_leased`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(u64);

impl Position {
    /// What a lap adds to the word of a position.
    pub const A_LAP: u64 = 1 << INDEX_BITS;

    /// Takes the word of `head` or `tail` apart, without its closed bit.
    #[inline]
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & !CLOSED)
    }

    /// The slot `index` in `lap`.
    #[inline]
    #[must_use]
    pub fn at(lap: Lap, index: u32) -> Self {
        Self(lap.0 << INDEX_BITS | u64::from(index) & INDEX_MASK)
    }

    /// The word of `head`, with its top bit, so that a CAS compares that too.
    #[inline]
    #[must_use]
    pub fn of_head(bits: u64) -> Self {
        Self(bits)
    }

    /// Tells whether leases were ever made, or items are to be counted until they are done.
    #[inline]
    #[must_use]
    pub fn is_leased(self) -> bool {
        self.0 & LEASED != 0
    }

    /// The bit of `head` that [`Position::is_leased`] looks at, alone.
    #[inline]
    #[must_use]
    pub fn leased_bit() -> u64 {
        LEASED
    }

    /// The word that says that this slot carries the item of this lap; none that any slot has where
    /// [`Position::is_leased`], so that one comparison asks for both.
    #[inline]
    #[must_use]
    pub fn plainly_full(self) -> Word {
        Word::full(Lap(self.0 >> INDEX_BITS))
    }

    /// As [`Position::plainly_full`], but none that any slot has unless [`Position::is_leased`].
    #[inline]
    #[must_use]
    pub fn full_beside_leases(self) -> Word {
        Word::full(Lap((self.0 ^ LEASED) >> INDEX_BITS))
    }

    /// Tells whether the laps begin again after this one.
    #[must_use]
    pub fn is_of_last_lap(self) -> bool {
        self.lap().0 == LAP_MASK
    }

    /// Tells whether this position comes before `other` in the order of all items.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        let laps = self.lap().past(other.lap());
        laps < 0 || laps == 0 && self.index() < other.index()
    }

    /// The word of this position.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The closed bit of `tail`, alone.
    #[inline]
    #[must_use]
    pub fn closed_bit() -> u64 {
        CLOSED
    }

    /// Tells whether the word of `tail` says that the queue is closed.
    #[inline]
    #[must_use]
    pub fn is_closed(tail: u64) -> bool {
        tail & CLOSED != 0
    }

    /// Which slot; to be compared with the capacity before use.
    #[inline]
    #[must_use]
    pub fn index(self) -> u32 {
        (self.0 & INDEX_MASK) as u32
    }

    /// Which time round.
    #[inline]
    #[must_use]
    pub fn lap(self) -> Lap {
        Lap(self.0 >> INDEX_BITS & LAP_MASK)
    }

    /// The position after this one in a ring of `capacity` slots.
    #[inline]
    #[must_use]
    pub fn next(self, capacity: u32) -> Self {
        if self.index() + 1 >= capacity { self.next_round() } else { Self(self.0 + 1) }
    }

    /// The first position of the next lap. A branch that is nearly always the same is less than what it saves.
    #[cold]
    #[inline(never)]
    fn next_round(self) -> Self {
        Self(self.lap().next().0 << INDEX_BITS | self.0 & LEASED)
    }

    /// The position `count` after this one; `count` is at most the capacity.
    #[inline]
    #[must_use]
    pub fn after(self, count: u32, capacity: u32) -> Self {
        let index = self.index() + count;
        if index >= capacity {
            let start = u64::from(index - capacity);
            Self(self.lap().next().0 << INDEX_BITS | start | self.0 & LEASED)
        } else {
            Self(self.0 + u64::from(count))
        }
    }

    /// The position of the same slot one lap before.
    #[inline]
    #[must_use]
    pub fn lap_before(self) -> Self {
        Self(self.lap().previous().0 << INDEX_BITS | self.0 & INDEX_MASK)
    }

    /// How many positions `self` is past `other`, at most `capacity` and at least 0.
    #[must_use]
    pub fn past(self, other: Self, capacity: u32) -> u32 {
        let laps = self.lap().past(other.lap()).clamp(-2, 2);
        let slots = laps * i64::from(capacity) + i64::from(self.index()) - i64::from(other.index());
        // The clamp keeps it within a u32.
        u32::try_from(slots.clamp(0, i64::from(capacity))).unwrap_or(capacity)
    }
}

/// A slot's word: `state:4` with a lap, or with an owner or entry and the low bits of the lap.
///
/// | bits  | FREE, FULL, SKIP | WRITING, READING | TAKEN        | FILLING, CLEARING         |
/// |------:|------------------|------------------|--------------|---------------------------|
/// |  0..4 | state            | state            | state        | state                     |
/// | 4..32 | lap              | owner            | entry        | owner                     |
/// | 32..64| lap, to bit 43   | lap's low 32     | lap's low 32 | slots - 1:6, lap's low 26 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// Takes a slot's word as it was read.
    #[inline]
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as it is stored.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Free for the producer of `lap`.
    #[inline]
    #[must_use]
    pub fn free(lap: Lap) -> Self {
        Self(lap.0 << STATE_BITS | FREE)
    }

    /// Carries the item of `lap`.
    #[inline]
    #[must_use]
    pub fn full(lap: Lap) -> Self {
        Self(lap.0 << STATE_BITS | FULL)
    }

    /// Carries nothing in `lap`.
    #[inline]
    #[must_use]
    pub fn skip(lap: Lap) -> Self {
        Self(lap.0 << STATE_BITS | SKIP)
    }

    /// Claimed for filling by `owner`.
    #[inline]
    #[must_use]
    pub fn writing(lap: Lap, owner: MemberId) -> Self {
        Self(owned(lap, owner) | WRITING)
    }

    /// Claimed for reading by `owner`.
    #[inline]
    #[must_use]
    pub fn reading(lap: Lap, owner: MemberId) -> Self {
        Self(owned(lap, owner) | READING)
    }

    /// Moved into the lease's entry number `entry`.
    #[inline]
    #[must_use]
    pub fn taken(lap: Lap, entry: u32) -> Self {
        Self(lap.0 << OWNED_LAP_SHIFT | (u64::from(entry) & OWNER_MASK) << STATE_BITS | TAKEN)
    }

    /// `count` slots from here on claimed for filling by `owner`; in `1..=MAX_RUN`.
    #[inline]
    #[must_use]
    pub fn filling(lap: Lap, owner: MemberId, count: u32) -> Self {
        Self(run(lap, owner, count) | FILLING)
    }

    /// The items of `count` slots from here on taken by `owner`; in `1..=MAX_RUN`.
    #[inline]
    #[must_use]
    pub fn clearing(lap: Lap, owner: MemberId, count: u32) -> Self {
        Self(run(lap, owner, count) | CLEARING)
    }

    /// How many slots this word speaks for: of a run all of it.
    #[must_use]
    pub fn width(self) -> u32 {
        match self.state() {
            State::Filling | State::Clearing => (self.0 >> RUN_SHIFT & RUN_MASK) as u32 + 1,
            _ => 1,
        }
    }

    /// The entry that a taken slot's item is in, to be compared with the number of entries.
    #[must_use]
    pub fn entry(self) -> Option<u32> {
        let entry = u32::try_from(self.0 >> STATE_BITS & OWNER_MASK).ok()?;
        (self.state() == State::Taken).then_some(entry)
    }

    /// The state alone.
    #[inline]
    #[must_use]
    pub fn state(self) -> State {
        match self.0 & STATE_MASK {
            FREE => State::Free,
            WRITING => State::Writing,
            FULL => State::Full,
            SKIP => State::Skip,
            READING => State::Reading,
            TAKEN => State::Taken,
            FILLING => State::Filling,
            CLEARING => State::Clearing,
            _ => State::Unknown,
        }
    }

    /// Who holds the claim; `None` where there is none, or where the word names nobody.
    #[must_use]
    pub fn owner(self) -> Option<MemberId> {
        match self.state() {
            State::Writing | State::Reading | State::Filling | State::Clearing => {}
            _ => return None,
        }
        let id = u32::try_from(self.0 >> STATE_BITS & OWNER_MASK).ok()?;
        MemberId::new(id)
    }

    /// How many laps this word is past `lap`: 0 for the lap itself, negative for an earlier one.
    #[must_use]
    pub fn past(self, lap: Lap) -> i64 {
        let (shift, bits) = match self.state() {
            State::Writing | State::Reading | State::Taken => (OWNED_LAP_SHIFT, 32),
            State::Filling | State::Clearing => (RUN_LAP_SHIFT, 64 - RUN_LAP_SHIFT),
            State::Free | State::Full | State::Skip | State::Unknown => (STATE_BITS, LAP_BITS),
        };
        signed((self.0 >> shift).wrapping_sub(lap.0), bits)
    }
}

#[inline]
fn owned(lap: Lap, owner: MemberId) -> u64 {
    lap.0 << OWNED_LAP_SHIFT | u64::from(owner.get()) << STATE_BITS
}

#[inline]
fn run(lap: Lap, owner: MemberId, count: u32) -> u64 {
    let more = u64::from(count.wrapping_sub(1)) & RUN_MASK;
    lap.0 << RUN_LAP_SHIFT | more << RUN_SHIFT | u64::from(owner.get()) << STATE_BITS
}

#[cfg(all(test, not(crossproc_loom)))]
mod tests {
    use super::{LAP_MASK, Lap, MAX_RUN, Position, State, Word};
    use crossproc_segment::MemberId;

    #[test]
    fn zero_is_free_at_the_first_position() {
        assert_eq!(Word::free(Position::from_bits(0).lap()).bits(), 0);
    }

    #[test]
    fn positions_go_round_after_the_last_slot() {
        let mut at = Position::from_bits(0);
        for step in 1..=7_u32 {
            at = at.next(3);
            assert_eq!((at.lap(), at.index()), (Lap(u64::from(step / 3)), step % 3));
            assert_eq!(at.past(Position::from_bits(0), 3), step.min(3));
            for more in 0..=3 {
                let end = (0..more).fold(at, |end, _| end.next(3));
                assert_eq!(at.after(more, 3), end);
            }
        }
        let last = Position(LAP_MASK << 24 | 2);
        assert_eq!(last.next(3), Position(0));
        assert_eq!(Position(0).lap_before(), Position(LAP_MASK << 24));
        assert_eq!(last.next(3).past(last, 3), 1);
    }

    #[test]
    fn an_owned_word_names_its_owner_and_its_lap() {
        let id = MemberId::new((1 << 28) - 1).unwrap();
        for lap in [0, 1, (1 << 32) - 1, 1 << 32, LAP_MASK] {
            let word = Word::writing(Lap(lap), id);
            assert_eq!(
                (word.state(), word.owner(), word.past(Lap(lap))),
                (State::Writing, Some(id), 0)
            );
            assert_eq!(word.past(Lap(lap).next()), -1);
            assert_eq!(Word::full(Lap(lap)).past(Lap(lap).previous()), 1);
            for count in [1, 2, MAX_RUN] {
                let word = Word::clearing(Lap(lap), id, count);
                assert_eq!(
                    (word.state(), word.owner(), word.width(), word.past(Lap(lap))),
                    (State::Clearing, Some(id), count, 0)
                );
                assert_eq!(word.past(Lap(lap).previous()), 1);
            }
        }
    }
}
