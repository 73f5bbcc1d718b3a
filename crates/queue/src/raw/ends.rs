//! Who puts and who takes, counted: for each side a row of places, which name who has handles, and
//! a gate, which decides whether the side is over.
//!
//! # Layout
//!
//! | where          | size | field  | who writes        | values                                     |
//! |----------------|-----:|--------|-------------------|--------------------------------------------|
//! | header, 544    |    8 | gate   | who joins, closes | `SHUT` (bit 63), `joins:63`                |
//! | header, 552    |    8 | gate   | the same          | the same, for consumers                    |
//! | behind slots   |    8 | place  | its owner, repair | 0; `count:32`, `id:28`; or, on loan, `stamp:32`, `LOAN` (bit 28), `id:28` |
//!
//! All zeroes is a side that was never counted. The producers' row comes first.
//!
//! # States
//!
//! Of a place: *free*; *held* by the member `id`, which has `count` handles there; *on loan* by `id`,
//! which has sent a handle that has not arrived yet.
//!
//! Of a side: *uncounted*, no joins; *counted*; *shut*, for ever. A shut side's queue is closed, or
//! is about to be.
//!
//! # Operations
//!
//! Join ([`Row::join`]):
//! 1. CAS the own place to one more, or a free place to (`me`, 1).
//! 2. CAS the gate to one more join. **commit**. If it is shut: step 1 is undone, the answer is Shut.
//!
//! Add ([`Row::add`]), for a clone: CAS the own place to one more. **commit**. It needs no gate,
//! since the handle that is cloned keeps the place from being free all the while.
//!
//! Lend ([`Row::lend`]): as join, of a place on loan. Its receiver joins, then settles
//! ([`Row::settle`]): CAS the very loan to free. **commit**. So does the sender, if it learns that
//! the handle will not arrive, and then shuts.
//!
//! Leave ([`Row::leave`]): CAS the own place to one less, or to free. **commit**. If it is free now,
//! shut.
//!
//! Shut ([`Row::shut_if_empty`]):
//! 1. Load the gate.
//! 2. Each place is free, or is made so by a CAS from the exact word, as its member is dead.
//! 3. CAS the gate, from what step 1 saw, to shut. **commit**. Fails if anybody joined.
//! 4. The caller closes the queue: its commit, for all who put and take.
//!
//! So the side was empty as it was shut: whoever joined before step 1 and has not left is seen in
//! step 2, and whoever joins after step 1 changes the gate. A join that finds the gate shut never
//! was; one that is under way keeps the place, and so the side, or comes too late.
//!
//! # Orderings
//!
//! - **join**: CAS of the gate (Release) to its load in shut (Acquire). Who sees the join sees the
//!   place.
//! - **last two** (`SeqCst` fences): of two who leave, each fences between its CAS and its look at
//!   the row; whichever fence is second, its thread sees both gone.
//! - **hand-over** (AcqRel) of places: what its last owner did is before what the next one does.
//! - **over**: what a member did before it left (Release) is before what follows the look that found
//!   the place free (Acquire), and so before the closed bit. Likewise for repair, as the last stores
//!   of the dead are ordered before the answer of the kernel.
//!
//! # Deaths
//!
//! | killed                            | left behind              | seen by                            |
//! |-----------------------------------|--------------------------|------------------------------------|
//! | join or lend, before the commit   | a place with a dead id   | a waiter's look, or a join without room: free |
//! | with handles, or a loan           | the same                 | the same; the last of them: shut   |
//! | receiver, before it settles       | a loan too many          | the same, once its sender is dead  |
//! | leave, before the commit          | a place with a dead id   | the same                           |
//! | leave, after the commit           | perhaps an empty row     | a waiter's look: shut              |
//! | shut, before the commit           | perhaps an empty row     | the same                           |
//! | shut, after the commit            | a gate shut, a queue open| a waiter's look, a join: closed    |
//!
//! # Limits
//!
//! A place holds 2^32 - 1 handles. A stamp comes back after 2^32 loans of one process: a ticket that
//! was read twice, so far apart, settles another loan. A gate is shut one join too
//! early if a closer is stopped in the middle while exactly 2^63 join.

use core::ptr::NonNull;

use crossproc_segment::MemberId;

use super::Ring;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::atomic::fence;

/// Most places that a row can have.
pub const MAX_ENDS: u32 = 1 << 16;

/// After so many changes under a hand a word is one that a peer writes for no good reason.
const ROUNDS: u32 = 1 << 12;

const SHUT: u64 = 1 << 63;
const LOAN: u64 = 1 << 28;
const UPPER_SHIFT: u32 = 32;

/// One of the two sides of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those who put.
    Producers,
    /// Those who take.
    Consumers,
}

/// The word that says whether a side is over.
#[derive(Debug)]
#[repr(transparent)]
pub struct Gate(AtomicU64);

/// One place of a row.
#[derive(Debug)]
#[repr(transparent)]
pub struct Place(AtomicU64);

#[cfg(not(crossproc_loom))]
const _: () = assert!(size_of::<Gate>() == 8 && size_of::<Place>() == 8);

impl Default for Gate {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// That a handle is counted: where, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Index of the place in the row.
    pub place: u32,
    /// The member.
    pub id: MemberId,
}

/// That a handle is on its way: where it is counted meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Index of the place in the row.
    pub place: u32,
    /// The member that sent it.
    pub id: MemberId,
    /// Tells it from other loans of that member.
    pub stamp: u32,
}

/// Why a handle is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The side is over.
    Shut,
    /// Each place belongs to somebody alive, or has as many handles as it can.
    Full,
}

/// A place's word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    const FREE: Self = Self(0);

    fn held(id: MemberId, count: u32) -> Self {
        Self(u64::from(count) << UPPER_SHIFT | u64::from(id.get()))
    }

    fn lent(loan: Loan) -> Self {
        Self(u64::from(loan.stamp) << UPPER_SHIFT | LOAN | u64::from(loan.id.get()))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half, which has the id")]
    fn id(self) -> Option<MemberId> {
        MemberId::new(self.0 as u32)
    }

    /// Handles of `id` here; `None` if the place is not held by it.
    fn count_of(self, id: MemberId) -> Option<u32> {
        let count = (self.0 >> UPPER_SHIFT) as u32;
        (count > 0 && self == Self::held(id, count)).then_some(count)
    }

    /// Handles that this place stands for.
    fn handles(self) -> u64 {
        match self {
            Self::FREE => 0,
            Self(word) if word & LOAN != 0 => 1,
            Self(word) => word >> UPPER_SHIFT,
        }
    }
}

/// One side's gate and places.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    gate: &'r Gate,
    places: &'r [Place],
}

impl<'r> Row<'r> {
    /// The row of that gate and these places.
    #[must_use]
    pub fn new(gate: &'r Gate, places: &'r [Place]) -> Self {
        Self { gate, places }
    }

    /// Places of the row.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the row has no place at all, so that nothing is ever counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether the side is over: a snapshot.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        // ORDERING: acquire side of *over*.
        self.gate.0.load(Acquire) & SHUT != 0
    }

    /// Handles counted, those on their way and those of the unnoticed dead included: a snapshot.
    #[must_use]
    pub fn handles(&self) -> u64 {
        self.places.iter().map(|place| Word(place.0.load(Relaxed)).handles()).sum()
    }

    /// Counts one more handle of `me`.
    ///
    /// # Errors
    ///
    /// [`Gone`]. If it is Shut, the caller sees to it that the queue is closed.
    pub fn join(&self, me: MemberId, alive: impl Fn(MemberId) -> bool) -> Result<Seat, Gone> {
        if self.is_shut() {
            return Err(Gone::Shut);
        }
        let seat = match self.add_to_own(me) {
            Some(seat) => seat,
            None => Seat { place: self.claim(Word::held(me, 1), alive)?, id: me },
        };
        if self.enter() {
            return Ok(seat);
        }
        self.remove(seat);
        Err(Gone::Shut)
    }

    /// Counts one more handle at the place of a handle that is counted and stays so meanwhile.
    #[must_use]
    pub fn add(&self, seat: Seat) -> bool {
        let more = |word: Word| Some(Word::held(seat.id, word.count_of(seat.id)?.checked_add(1)?));
        self.change(seat.place, more).is_some()
    }

    /// Counts one handle less; whether the side is over now, so that the caller has to close the
    /// queue.
    pub fn leave(&self, seat: Seat, alive: impl Fn(MemberId) -> bool) -> bool {
        self.remove(seat) == Some(Word::FREE) && self.shut_if_empty(alive)
    }

    /// The first step of [`Row::join`], for tests of a joiner that dies after it.
    #[doc(hidden)]
    pub fn join_claim_only(&self, me: MemberId) {
        let _ = self.claim(Word::held(me, 1), |_| true);
    }

    /// The commit of [`Row::leave`], for tests of a leaver that dies after it.
    #[doc(hidden)]
    pub fn leave_commit_only(&self, seat: Seat) {
        self.remove(seat);
    }

    /// Counts a handle of `me` that is about to be sent, until its receiver settles.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn lend(
        &self,
        me: MemberId,
        stamp: u32,
        alive: impl Fn(MemberId) -> bool,
    ) -> Result<Loan, Gone> {
        let mut loan = Loan { place: 0, id: me, stamp };
        loan.place = self.claim(Word::lent(loan), alive)?;
        if self.enter() {
            return Ok(loan);
        }
        self.settle(loan);
        Err(Gone::Shut)
    }

    /// The handle has arrived, and is counted by its receiver; or it will not arrive. Whether the
    /// loan was still there.
    pub fn settle(&self, loan: Loan) -> bool {
        self.change(loan.place, |word| (word == Word::lent(loan)).then_some(Word::FREE)).is_some()
    }

    /// The handle will not arrive; whether the side is over now, as for [`leave`](Self::leave).
    pub fn take_back(&self, loan: Loan, alive: impl Fn(MemberId) -> bool) -> bool {
        self.settle(loan) && self.shut_if_empty(alive)
    }

    /// The receiver takes the place on loan for itself, as there is no other.
    #[must_use]
    pub fn take_over(&self, loan: Loan, me: MemberId) -> Option<Seat> {
        let mine = |word: Word| (word == Word::lent(loan)).then(|| Word::held(me, 1));
        // The place is never free in between, so it needs no gate.
        self.change(loan.place, mine).map(|_| Seat { place: loan.place, id: me })
    }

    /// Takes back what the member `me` has on loan; whether the side is over now, as for
    /// [`leave`](Self::leave).
    pub fn recall(&self, me: MemberId, alive: impl Fn(MemberId) -> bool) -> bool {
        let mut found = false;
        for place in 0..self.places.len() {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            let lent =
                |word: Word| (word.0 & LOAN != 0 && word.id() == Some(me)).then_some(Word::FREE);
            found |= self.change(place, lent).is_some();
        }
        found && self.shut_if_empty(alive)
    }

    /// Shuts the side if it was counted and nobody is left: whether it is shut now, so that the
    /// caller has to close the queue. Asks after members until it finds one alive.
    #[cold]
    pub fn shut_if_empty(&self, alive: impl Fn(MemberId) -> bool) -> bool {
        // ORDERING: *last two*.
        fence(SeqCst);
        for _ in 0..ROUNDS {
            // ORDERING: acquire side of *join*.
            let gate = self.gate.0.load(Acquire);
            if gate == 0 || gate & SHUT != 0 {
                return gate != 0;
            }
            if self.places.iter().any(|place| !place.is_free(&alive)) {
                return false;
            }
            // commit: the side is over.
            // ORDERING: release side of *over*; it fails if anybody joined.
            if self.gate.0.compare_exchange(gate, gate | SHUT, AcqRel, Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    /// Notes a join, unless the side is shut.
    fn enter(&self) -> bool {
        for _ in 0..ROUNDS {
            // ORDERING: Acquire, as a gate that is shut is told on.
            let gate = self.gate.0.load(Acquire);
            if gate & SHUT != 0 {
                return false;
            }
            let next = (gate + 1) & !SHUT;
            // commit: it is counted.
            // ORDERING: release side of *join*.
            if self.gate.0.compare_exchange(gate, next.max(1), AcqRel, Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    /// One more handle at a place that `me` has already.
    fn add_to_own(&self, me: MemberId) -> Option<Seat> {
        for (index, place) in self.places.iter().enumerate() {
            if Word(place.0.load(Relaxed)).count_of(me).is_some() {
                let seat = Seat { place: u32::try_from(index).ok()?, id: me };
                if self.add(seat) {
                    return Some(seat);
                }
            }
        }
        None
    }

    /// Makes a free place `word`, or else one of the dead; its index.
    fn claim(&self, word: Word, alive: impl Fn(MemberId) -> bool) -> Result<u32, Gone> {
        for ask in [false, true] {
            for (index, place) in self.places.iter().enumerate() {
                let free =
                    if ask { place.is_free(&alive) } else { place.0.load(Relaxed) == Word::FREE.0 };
                if free && place.replace(Word::FREE, word) {
                    return u32::try_from(index).map_err(|_| Gone::Full);
                }
            }
        }
        Err(Gone::Full)
    }

    /// One handle less; what the place is now, `None` if it was not that member's any more.
    fn remove(&self, seat: Seat) -> Option<Word> {
        self.change(seat.place, |word| match word.count_of(seat.id)? {
            1 => Some(Word::FREE),
            count => Some(Word::held(seat.id, count - 1)),
        })
    }

    /// Changes a place's word; what it is now, `None` if `next` refused.
    fn change(&self, place: u32, next: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        let place = self.places.get(usize::try_from(place).ok()?)?;
        for _ in 0..ROUNDS {
            // ORDERING: acquire side of *hand-over*.
            let seen = Word(place.0.load(Acquire));
            let next = next(seen)?;
            // commit: one handle more or less.
            if place.replace(seen, next) {
                return Some(next);
            }
        }
        None
    }
}

impl Place {
    /// Whether the place is free, or is so now, as its member is dead.
    fn is_free(&self, alive: &impl Fn(MemberId) -> bool) -> bool {
        for _ in 0..ROUNDS {
            // ORDERING: acquire side of *over*; of *hand-over* where the place is claimed next.
            let word = Word(self.0.load(Acquire));
            if word == Word::FREE {
                return true;
            }
            // A word that names nobody was written by nobody alive.
            if word.id().is_some_and(alive) {
                return false;
            }
            // commit: what the dead had counts no more.
            self.replace(word, Word::FREE);
        }
        false
    }

    fn replace(&self, seen: Word, new: Word) -> bool {
        // ORDERING: both sides of *hand-over*, release side of *over*.
        self.0.compare_exchange(seen.0, new.0, AcqRel, Relaxed).is_ok()
    }
}

impl Ring {
    /// Views the rows behind the slots too.
    ///
    /// # Safety
    ///
    /// As [`Ring::new`], for `2 * ends` words that follow the slots; `ends` is at most
    /// [`MAX_ENDS`].
    #[must_use]
    pub unsafe fn with_ends(self, ends: u32) -> Self {
        // INVARIANT: by the safety contract.
        Self { ends, ..self }
    }

    /// The row of that side.
    #[must_use]
    pub fn row(&self, side: Side) -> Row<'_> {
        let ends = self.ends as usize;
        let (gate, before) = match side {
            Side::Producers => (&self.header().gates[0], 0),
            Side::Consumers => (&self.header().gates[1], ends),
        };
        if ends == 0 {
            return Row::new(gate, &[]);
        }
        let words = self.capacity as usize * self.stride as usize + before;
        // SAFETY: within the words behind the slots, by the type invariant.
        let first: NonNull<Place> = unsafe { self.slots.add(words) }.cast();
        // SAFETY: `ends` of them are mapped there and only reached as atomics.
        Row::new(gate, unsafe { core::slice::from_raw_parts(first.as_ptr(), ends) })
    }
}
