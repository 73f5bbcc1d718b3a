//! The barrier as it lies in shared memory: one word that decides what becomes of a generation, and
//! a row of places, one for each party, each of which names who has it.
//!
//! # Layout
//!
//! | offset | size | field     | written by                 | values                                |
//! |-------:|-----:|-----------|----------------------------|---------------------------------------|
//! |      0 |    8 | `state`   | everybody, by CAS          | `generation:32`, `phase:4`, `id:28`   |
//! |      8 |    8 | `actor`   | the one who acts           | 0, or `id << 32` with the thread's token |
//! |     16 |    4 | `parties` | the maker                  | how many places are used              |
//! |     20 |    4 | `passed`  | see `EventCount`           | those who wait for the state to move  |
//! |     24 |    4 | `room`    | see `EventCount`           | those who wait for a place            |
//! |     28 |   36 | `unused`  | nobody                     | 0                                     |
//! |     64 |    8 | a place   | everybody, by CAS          | `stamp:32`, `INSIDE` (bit 28), `id:28` |
//! |     72 |      | ...       |                            | one for each party                    |
//!
//! All zeroes but for `parties` is a barrier at which nobody has arrived.
//!
//! # States
//!
//! Of the state, in generation `g`:
//!
//! - *gathering*: not all have arrived, or nobody has noticed.
//! - *acting*, `id`: all have arrived; a thread of `id` runs the action, nobody is let go.
//! - *broken*, why and `id`: nobody passes `g`. Only a reset leads out of it.
//! - *resetting*, `id`: a thread of `id` takes the places of the dead; nobody arrives or completes.
//!
//! Of a place:
//!
//! - *free*: no `id`.
//! - *outside*, `id`: that member takes part, and is not here. Its death breaks the barrier. Any
//!   arriver may have the place where no other is left, so that any `parties` waiters will do.
//! - *inside*, `id`: a thread of that member arrived for generation `stamp - 1` and has not yet
//!   left. Nobody else may have the place. *Arrived* for `g` is inside with `stamp == g + 1`.
//!
//! A completion moves `g` by one, a reset by two. As long as somebody is inside with the stamp of
//! `g`, no later generation completes, since it needs this place: so whoever sees the state again,
//! however late, sees `g` completed if it moved by an odd number, and else reset.
//!
//! # Operations
//!
//! Arrive ([`Barrier::arrive`]): load `state`; gathering in `g`: CAS a place that is not inside to
//! (`g + 1`, inside, own id): the commit. A place outside that bears `g + 1` already, or more, says
//! that `g` is over: load again. No stamp ever falls, so an arrival for a `g` that is over, however
//! late, gets no place: the completion of `g` has left each of them with `g + 1` at least.
//!
//! Complete ([`Barrier::complete`]), by whoever finds that all have arrived, which is the last one,
//! or anybody after a slice if that one was killed: CAS `state` from gathering in `g` to gathering in
//! `g + 1`, or to acting, and after the action to gathering in `g + 1`: the commit. Wake `passed`.
//!
//! Break ([`Barrier::break_up`]): CAS the exact `state`, unless broken, to broken: the commit.
//! Wake `passed` and `room`.
//!
//! Leave ([`Barrier::leave`]), when the state has moved: CAS the place to outside. Wake `room`.
//!
//! Reset ([`Barrier::reset`]): unless it is broken, CAS `state` to resetting, so that `g` cannot
//! complete any more: the commit. CAS each place of a dead member to free, with the same stamp, but
//! for those beyond `g + 1`, which say that another was faster; then CAS `state` to gathering in
//! `g + 2`, which is the commit where it was broken. Wake `passed` and `room`. A reset that finds
//! another under way does all that is left.
//!
//! Enrol and withdraw: CAS a place from free to outside, and back.
//!
//! # Orderings
//!
//! - **arrival**: the CAS that arrives (Release) to the loads that find all arrived (Acquire), and
//!   from there by **pass**: the CAS that completes (Release) to the load of the state (Acquire).
//!   What each did before it arrived is visible to all who pass, and to the action before them.
//! - **all arrived** (`SeqCst` fences): of two who arrive last, each fences between its CAS and its
//!   look at the row; whichever fence is second, its thread sees both arrivals.
//! - **leave**: the CAS that leaves (Release) to the CAS of the next arrival there (Acquire): the one
//!   who leaves has looked at the state before any completion that the next arrival leads to.
//! - **hand-over** of places (AcqRel) by reset, enrol and withdraw, for the same reason.
//! - `actor` is Relaxed, for the reason given at [`Lock`](crate::raw::Lock).
//!
//! # Deaths
//!
//! | killed                              | left behind                  | seen by                     |
//! |-------------------------------------|------------------------------|-----------------------------|
//! | outside                             | place with a dead id         | a waiter's slice: broken; or its place goes to another |
//! | arrived                             | the same, inside             | a waiter's slice: broken; if all arrive first it counts, and the next generation is broken |
//! | last one, before it completes       | all arrived                  | a waiter's slice completes  |
//! | acting                              | acting, dead id              | a waiter's slice: broken    |
//! | after completing or breaking, before the wake | sleepers, a place inside | their look, kicked by the death |
//! | leaving, before / after its CAS     | place inside / outside, dead | the next generation: broken |
//! | reset, while resetting              | resetting, dead id; some places free | a waiter's slice, or the next reset: ends it |
//! | reset of a broken one, before its commit | broken; some places free | the next reset              |
//! | enrol                               | nothing, or outside, dead    | as above                    |
//!
//! # Limits
//!
//! A look for the dead asks after each party, some 0.5 to 5 us each, when a slice ends or any member
//! of the segment dies. A place that nobody uses for 2^30 resets is taken for corrupt. An arriver that
//! stops between its look at the state and its CAS while 2^31 generations go by can pass alone.

mod word;

use core::fmt;

use crossproc_segment::MemberId;
use crossproc_segment::wait::EventCount;

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64, fence};
use crate::raw::Holder;

pub use word::{Phase, Seat, State, Why};

/// After so many places that another was faster to take, an arriver waits for room; after so many
/// changes of the state, one that resets takes it for written over.
const ROUNDS: u32 = 1000;

/// The words of a barrier before its row.
#[repr(C, align(64))]
pub struct Barrier {
    state: AtomicU64,
    actor: AtomicU64,
    parties: AtomicU32,
    passed: EventCount,
    room: EventCount,
    unused: [AtomicU32; 9],
}

/// One place of the row.
#[repr(transparent)]
pub struct Place {
    word: AtomicU64,
}

#[cfg(not(crossproc_loom))]
const _: () = {
    assert!(size_of::<Barrier>() == 64 && align_of::<Barrier>() == 64);
    assert!(core::mem::offset_of!(Barrier, actor) == 8);
    assert!(core::mem::offset_of!(Barrier, parties) == 16);
    assert!(core::mem::offset_of!(Barrier, passed) == 20);
    assert!(core::mem::offset_of!(Barrier, room) == 24);
    assert!(size_of::<Place>() == 8 && align_of::<Place>() == 8);
};

/// That a thread has arrived: where, and for which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    generation: u32,
    place: usize,
    id: MemberId,
}

impl Arrival {
    /// The index of the place in the row.
    #[must_use]
    pub const fn place(self) -> usize {
        self.place
    }

    /// The same, for the next [`Barrier::arrive`].
    #[must_use]
    pub fn hint(self) -> u32 {
        u32::try_from(self.place).unwrap_or(u32::MAX)
    }
}

/// What became of an attempt to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Arrive {
    /// It has, and must leave.
    In(Arrival),
    /// Others have all places, or the generation is all but complete.
    NoRoom,
    /// The barrier is broken.
    Broken(Why, MemberId),
    /// A word is none that the protocol stores.
    Corrupt,
}

/// What has become of the generation of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Nothing yet; this is the state.
    Open(State),
    /// It was completed.
    Passed,
    /// It was broken.
    Broken(Why, MemberId),
    /// The barrier was reset.
    Reset,
    /// The state is none that the protocol stores.
    Corrupt,
}

/// What became of an attempt to take a place in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Enrol {
    /// It has one.
    Done,
    /// Each place has its participant.
    NoPlace,
    /// A word is none that the protocol stores.
    Corrupt,
}

/// A word is none that the protocol stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl Default for Place {
    fn default() -> Self {
        Self { word: AtomicU64::new(0) }
    }
}

impl Place {
    /// Whose the place is, and for which generation, as it is now.
    #[must_use]
    pub fn seat(&self) -> Seat {
        // ORDERING: acquire side of *arrival* and *leave*.
        Seat(self.word.load(Acquire))
    }

    fn replace(&self, seen: Seat, new: Seat) -> bool {
        // ORDERING: both sides of *arrival*, *leave* and *hand-over*.
        self.word.compare_exchange(seen.0, new.0, AcqRel, Relaxed).is_ok()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seat().fmt(f)
    }
}

impl Barrier {
    /// Makes a barrier at which nobody has arrived.
    #[must_use]
    pub fn new(parties: u32) -> Self {
        Self {
            state: AtomicU64::new(0),
            actor: AtomicU64::new(0),
            parties: AtomicU32::new(parties),
            passed: EventCount::new(),
            room: EventCount::new(),
            unused: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Makes zeroed words a barrier of so many parties.
    pub fn init(&self, parties: u32) {
        // Relaxed: nobody else has them yet.
        self.parties.store(parties, Relaxed);
    }

    /// How many parties it is made for, if a row of `places` has room for them.
    #[must_use]
    pub fn check(&self, places: usize) -> Option<usize> {
        let parties = usize::try_from(self.parties.load(Relaxed)).ok()?;
        (1..=places).contains(&parties).then_some(parties)
    }

    /// Told of when the state moves.
    #[must_use]
    pub fn passed(&self) -> &EventCount {
        &self.passed
    }

    /// Told of when a place is left or the state moves.
    #[must_use]
    pub fn room(&self) -> &EventCount {
        &self.room
    }

    /// The state as it is now.
    #[must_use]
    pub fn state(&self) -> State {
        // ORDERING: acquire side of *pass*.
        State(self.state.load(Acquire))
    }

    /// Arrives at a place of `row`, the one of index `hint` if it is still this member's.
    pub fn arrive(&self, row: &[Place], me: MemberId, hint: u32) -> Arrive {
        let mut state = self.state();
        for _ in 0..ROUNDS {
            match state.phase() {
                None => return Arrive::Corrupt,
                Some(Phase::Broken(why, id)) => return Arrive::Broken(why, id),
                Some(Phase::Acting(_) | Phase::Resetting(_)) => return Arrive::NoRoom,
                Some(Phase::Gathering) => {}
            }
            let generation = state.generation();
            let stamp = generation.wrapping_add(1);
            match choose(row, me, hint, stamp) {
                Choice::Corrupt => return Arrive::Corrupt,
                Choice::None => return Arrive::NoRoom,
                Choice::Over => {
                    let again = self.state();
                    if again == state {
                        return Arrive::Corrupt;
                    }
                    state = again;
                }
                Choice::At(place, seen) => {
                    // commit: arrived.
                    if row[place].replace(seen, Seat::inside(stamp, me)) {
                        // ORDERING: *all arrived*.
                        fence(SeqCst);
                        return Arrive::In(Arrival { generation, place, id: me });
                    }
                    state = self.state();
                }
            }
        }
        Arrive::NoRoom
    }

    /// Whether all have arrived for the generation of `arrival`.
    #[must_use]
    pub fn all_arrived(&self, row: &[Place], arrival: Arrival) -> bool {
        // Those behind one's own place are the ones that have most often not come yet.
        let (before, behind) = row.split_at(arrival.place.min(row.len()));
        let mut others = behind.iter().chain(before);
        others.all(|place| place.seat().has_arrived(arrival.generation))
    }

    /// Completes the generation, in which all have arrived; or with `acting` says that the caller
    /// is about to run the action. Fails if the state has moved meanwhile.
    #[must_use]
    pub fn complete(&self, arrival: Arrival, acting: Option<Holder>) -> bool {
        let generation = arrival.generation;
        let seen = State::new(generation, Phase::Gathering);
        let Some(actor) = acting else { return self.replace(seen, next(generation)) };
        let acts = self.replace(seen, State::new(generation, Phase::Acting(arrival.id)));
        if acts {
            self.actor.store(actor.packed(), Relaxed);
        }
        acts
    }

    /// Completes the generation after the action. Fails if it was broken meanwhile.
    #[must_use]
    pub fn finish(&self, arrival: Arrival) -> bool {
        self.actor.store(0, Relaxed);
        let seen = State::new(arrival.generation, Phase::Acting(arrival.id));
        self.replace(seen, next(arrival.generation))
    }

    /// Whether `me`, the calling thread, runs the action.
    #[must_use]
    pub fn is_acting(&self, me: Holder) -> bool {
        self.actor.load(Relaxed) == me.packed()
    }

    /// Breaks the generation in `seen`, which is not broken, because of `id`. Fails if the state
    /// has moved meanwhile.
    #[must_use]
    pub fn break_up(&self, seen: State, why: Why, id: MemberId) -> bool {
        debug_assert!(
            !matches!(seen.phase(), None | Some(Phase::Broken(..))),
            "only an open generation can be broken"
        );
        self.replace(seen, State::new(seen.generation(), Phase::Broken(why, id)))
    }

    /// Breaks the generation in which the caller was to act.
    #[must_use]
    pub fn fail(&self, arrival: Arrival) -> bool {
        self.actor.store(0, Relaxed);
        let seen = State::new(arrival.generation, Phase::Acting(arrival.id));
        self.break_up(seen, Why::Panicked, arrival.id)
    }

    /// What has become of the generation of `arrival`, whose place has not been left.
    pub fn outcome(&self, arrival: Arrival) -> Outcome {
        let state = self.state();
        match (state.generation().wrapping_sub(arrival.generation), state.phase()) {
            (_, None) => Outcome::Corrupt,
            (0, Some(Phase::Broken(why, id))) => Outcome::Broken(why, id),
            (0, Some(_)) => Outcome::Open(state),
            (moved, Some(_)) if moved % 2 == 1 => Outcome::Passed,
            (_, Some(_)) => Outcome::Reset,
        }
    }

    /// Leaves the place; the caller keeps taking part. Fails if it is not the caller's any more.
    #[must_use]
    pub fn leave(&self, row: &[Place], arrival: Arrival) -> bool {
        let stamp = arrival.generation.wrapping_add(1);
        let outside = Seat::outside(stamp, Some(arrival.id));
        // commit: the place may be had again.
        row.get(arrival.place)
            .is_some_and(|place| place.replace(Seat::inside(stamp, arrival.id), outside))
    }

    /// Takes a free place for `me` in advance.
    pub fn enrol(&self, row: &[Place], me: MemberId) -> Enrol {
        for place in row {
            let seen = place.seat();
            if !seen.is_valid() {
                return Enrol::Corrupt;
            }
            // commit: `me` takes part.
            if seen.id().is_none() && place.replace(seen, Seat::outside(seen.stamp(), Some(me))) {
                return Enrol::Done;
            }
        }
        Enrol::NoPlace
    }

    /// Gives up the places of the member that is meant and that it is not inside.
    pub fn withdraw(&self, row: &[Place], is_meant: impl Fn(MemberId) -> bool) {
        for place in row {
            let seen = place.seat();
            if seen.id().is_some_and(&is_meant) && !seen.is_inside() {
                // Lost to a thread that has arrived there, or to another member: as well.
                let _ = place.replace(seen, Seat::outside(seen.stamp(), None));
            }
        }
    }

    /// The members that have places, each once for all places next to each other.
    pub fn participants(row: &[Place]) -> impl Iterator<Item = MemberId> {
        let mut last = None;
        row.iter()
            .filter_map(|place| place.seat().id())
            .filter(move |id| last.replace(*id) != Some(*id))
    }

    /// How many have arrived for the present generation.
    #[must_use]
    pub fn arrived(&self, row: &[Place]) -> usize {
        let state = self.state();
        if !matches!(state.phase(), Some(Phase::Gathering | Phase::Acting(_))) {
            return 0;
        }
        row.iter().filter(|place| place.seat().has_arrived(state.generation())).count()
    }

    /// Begins anew, without the dead, for `me`. False if there is nothing to reset: the action is run
    /// by a member that lives, after which the generation comes to its own end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`].
    pub fn reset(
        &self,
        row: &[Place],
        me: MemberId,
        mut alive: impl FnMut(MemberId) -> bool,
    ) -> Result<bool, Corrupt> {
        for _ in 0..ROUNDS {
            let mut seen = self.state();
            let generation = seen.generation();
            match seen.phase() {
                None => return Err(Corrupt),
                Some(Phase::Acting(id)) if alive(id) => return Ok(false),
                Some(Phase::Gathering | Phase::Acting(_)) => {
                    let mine = State::new(generation, Phase::Resetting(me));
                    if !self.replace(seen, mine) {
                        continue;
                    }
                    seen = mine;
                }
                Some(Phase::Resetting(_) | Phase::Broken(..)) => {}
            }
            let stamp = generation.wrapping_add(1);
            for place in row {
                let seat = place.seat();
                let is_later = seat.stamp() != stamp && has_reached(seat, stamp);
                if !is_later && seat.id().is_some_and(|id| !alive(id)) {
                    // Lost to another reset, or to one who has arrived there: as well.
                    let _ = place.replace(seat, Seat::outside(seat.stamp(), None));
                }
            }
            let anew = State::new(generation.wrapping_add(2), Phase::Gathering);
            // Nothing but another reset leads to another generation from here.
            if self.replace(seen, anew) || self.state().generation() != generation {
                return Ok(true);
            }
        }
        Err(Corrupt)
    }

    fn replace(&self, seen: State, new: State) -> bool {
        // ORDERING: both sides of *pass*.
        self.state.compare_exchange(seen.0, new.0, AcqRel, Relaxed).is_ok() // commit: the state moves
    }
}

fn next(generation: u32) -> State {
    State::new(generation.wrapping_add(1), Phase::Gathering)
}

/// Whether the place of `seat` has been had for the generation before `stamp`, or for a later one.
fn has_reached(seat: Seat, stamp: u32) -> bool {
    seat.stamp().wrapping_sub(stamp) < 1 << 31
}

/// Where to arrive.
enum Choice {
    At(usize, Seat),
    /// All are taken by those inside.
    None,
    /// The generation is over.
    Over,
    Corrupt,
}

/// The best place to arrive at: one's own, else a free one, else that of one who is outside.
fn choose(row: &[Place], me: MemberId, hint: u32, stamp: u32) -> Choice {
    let hint = usize::try_from(hint).unwrap_or(usize::MAX);
    if let Some(seat) = row.get(hint).map(Place::seat) {
        let mine = seat.id() == Some(me) && !seat.is_inside() && seat.is_valid();
        if mine && !has_reached(seat, stamp) {
            return Choice::At(hint, seat);
        }
    }
    let (mut free, mut other) = (None, None);
    for (at, place) in row.iter().enumerate() {
        let seat = place.seat();
        if !seat.is_valid() {
            return Choice::Corrupt;
        }
        if seat.is_inside() {
            continue;
        }
        if has_reached(seat, stamp) {
            return Choice::Over;
        }
        match seat.id() {
            Some(id) if id == me => return Choice::At(at, seat),
            Some(_) => other = other.or(Some((at, seat))),
            None => free = free.or(Some((at, seat))),
        }
    }
    free.or(other).map_or(Choice::None, |(at, seat)| Choice::At(at, seat))
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Barrier").field(&self.state()).finish()
    }
}
