//! An end as the process that has it sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use crossproc_segment::wait::{Look, Spin};
use crossproc_segment::{Me, MemberId, Object, Segment};

use crate::error::Result;
use crate::hand::{Hand, Taking};
use crate::patience::Patience;
use crate::raw::{EndState, Header, Producer, RINGS_OFFSET, Side, View};
use crate::turn::{Held, Turn};

/// In place of the owner's id: nobody in this process has the end any more.
const LET_GO: u32 = u32::MAX;

/// Bits of `End::places`: a message is being written in place, or read in place.
pub(crate) const RESERVED: u32 = 1;
pub(crate) const BORROWED: u32 = 2;
/// The end is to be closed when the last place is given back.
const CLOSING: u32 = 4;

/// Who has the other end of a pipe, at the moment of the question; see
/// [`Sender::peer`](crate::Sender::peer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody yet: it was never taken.
    Absent,
    /// This living process.
    Present(MemberId),
    /// Nobody: this living process has sent it to another, where it has not arrived yet.
    Moving(MemberId),
    /// It was closed.
    Closed,
    /// The process that had it has died.
    Died,
}

/// A pipe in its object: what its sizes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) capacity: u64,
    pub(crate) lanes: u32,
}

/// The sending side of an end.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) view: View,
    pub(crate) turn: Turn<Producer>,
    pub(crate) spin: Spin,
}

/// The receiving side of an end.
#[derive(Debug)]
pub(crate) struct Inlet {
    pub(crate) view: View,
    pub(crate) turn: Turn<Taking>,
    /// Whether the part of a message is in hand, which only who has the turn can look at.
    pub(crate) in_hand: Arc<AtomicBool>,
    pub(crate) spin: Spin,
    pub(crate) max_len: AtomicU64,
}

/// One end, taken by this process. Its handles [share](crate::share::Share) it; with the last of them it
/// is closed.
///
/// An end of a pipe of one direction has only one of the two sides; the other is there and never
/// used.
///
/// # Invariants
///
/// `me` is of the object's segment. The views are of the object's body.
pub(crate) struct End {
    /// The member that took it, or [`LET_GO`].
    owner: AtomicU32,
    /// The same, as long as it may send.
    sends: AtomicU32,
    me: Me,
    /// Which move of the end it was in which it was sent off last.
    moves: AtomicU32,
    /// Which places of the rings are used by a thread that does not have the turn.
    places: AtomicU32,
    /// How many handles share it: see [`Share`](crate::share::Share).
    pub(crate) shares: AtomicU32,
    pub(crate) side: Side,
    pub(crate) sizes: Sizes,
    pub(crate) out: Outlet,
    pub(crate) inlet: Inlet,
    pub(crate) object: Object,
}

/// A place in a ring that a thread uses without having the turn. Nobody else gets the end before it
/// is dropped.
#[must_use = "the place is only kept as long as this is"]
pub(crate) struct Place<'e> {
    end: &'e End,
    bit: u32,
}

/// No thread of this process is at the end, nor comes to it.
struct LetGo<'e> {
    me: MemberId,
    producer: Held<'e, Producer>,
    taking: Held<'e, Taking>,
}

// SAFETY: `me` points to an atomic that lives as long as the object; the rest is `Send`.
unsafe impl Send for End {}
// SAFETY: as above, and `Turn` lets one thread at a time at what is not `Sync`.
unsafe impl Sync for End {}

impl End {
    /// Takes the end `side` of the pipe in `object`, whose sizes were checked.
    pub(crate) fn take(
        object: Object,
        sizes: Sizes,
        side: Side,
        arrived: Option<(u32, Hand)>,
    ) -> Result<Self> {
        let lanes = [Side::First, Side::Second].map(|producer| view(&object, sizes, producer));
        let segment = object.segment();
        // SAFETY: the object keeps the segment mapped, and lives as long as this end.
        let process = unsafe { Me::of(segment) };
        let me = segment.me();
        let (moves, hand) = arrived.unzip();
        let may_send = lanes[0].header().take(side, me, moves, |id| segment.alive(id))?;
        let (out, inlet) = match side {
            Side::First => (lanes[0], lanes[1]),
            Side::Second => (lanes[1], lanes[0]),
        };
        // For a pipe of one direction both sides of both ends are made, but one of each is idle.
        let inlet = if sizes.lanes == 1 { lanes[0] } else { inlet };
        // What a predecessor has left behind.
        inlet.set_streams(false);
        let taking = Taking::new(inlet.consumer(), hand.unwrap_or_default());
        // INVARIANT: of this segment, and views of this object.
        Ok(Self {
            owner: AtomicU32::new(me.get()),
            sends: AtomicU32::new(if may_send { me.get() } else { LET_GO }),
            me: process,
            moves: AtomicU32::new(0),
            places: AtomicU32::new(0),
            shares: AtomicU32::new(0),
            side,
            sizes,
            out: Outlet {
                view: out,
                turn: Turn::new(out.producer(), out, View::space),
                spin: Spin::new(),
            },
            inlet: Inlet {
                view: inlet,
                in_hand: taking.in_hand_flag(),
                turn: Turn::new(taking, inlet, View::items),
                spin: Spin::new(),
                max_len: AtomicU64::new(u64::MAX),
            },
            object,
        })
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        self.out.view.header()
    }

    pub(crate) fn segment(&self) -> &Segment {
        self.object.segment()
    }

    /// Whether this process has the end: not in a forked child, nor once it was closed or sent off.
    #[inline(always)]
    pub(crate) fn is_ours(&self) -> bool {
        self.owner.load(Relaxed) == self.me()
    }

    /// Whether this process has the end, and has not said that it sends no more.
    #[inline(always)]
    pub(crate) fn may_send(&self) -> bool {
        self.sends.load(Relaxed) == self.me()
    }

    /// The member that this process is; in a forked child another, or none.
    #[inline(always)]
    fn me(&self) -> u32 {
        self.me.bits()
    }

    /// Whether the other end was closed or its process found dead.
    #[inline(always)]
    pub(crate) fn is_peer_gone(&self) -> bool {
        self.header().is_gone(self.side.other())
    }

    /// The same; with [`Look::Repair`] asks whether the process lives.
    pub(crate) fn look_for_peer(&self, look: Look) -> bool {
        match look {
            Look::Quick => self.is_peer_gone(),
            Look::Repair => {
                let segment = self.segment();
                self.header().bury(self.side.other(), |id| segment.alive(id))
            }
        }
    }

    /// Whether nothing more comes from the other end; with [`Look::Repair`] asks whether its process
    /// lives.
    pub(crate) fn look_for_more(&self, look: Look) -> bool {
        self.look_for_peer(look) || self.header().is_over(self.side.other())
    }

    pub(crate) fn peer(&self) -> Peer {
        self.look_for_peer(Look::Repair);
        match self.header().end_state(self.side.other()) {
            EndState::Vacant => Peer::Absent,
            EndState::Open(id) => Peer::Present(id),
            EndState::Moving(id) => Peer::Moving(id),
            EndState::Closed => Peer::Closed,
            EndState::Died => Peer::Died,
        }
    }

    /// Says to the other end that nothing more is sent, once no thread of this process sends.
    pub(crate) fn close_send(&self) {
        if !self.may_send() {
            return;
        }
        let owner = self.sends.swap(LET_GO, Relaxed);
        // Another thread may have been faster.
        let Some(me) = MemberId::new(owner).filter(|me| me.get() == owner) else { return };
        // Those asleep look, and see that they may not.
        self.out.view.space().notify_all();
        let Some(producer) = self.out.turn.hold(Patience::Endless) else {
            // A thread may still be there.
            self.sends.store(owner, Relaxed);
            return;
        };
        if self.header().shut(self.side, me) {
            self.out.view.items().notify_all();
        }
        drop(producer);
    }

    /// Closes the end for all threads of this process, and so for the peer; for that one only once
    /// nobody here uses a place in the rings any more.
    ///
    /// `free` are the places that the caller's handle would be borrowed for: if one of them is noted
    /// nevertheless, it was forgotten.
    pub(crate) fn close(&self, free: u32) {
        let Some(gone) = self.let_go() else { return };
        self.places.fetch_and(!free, Relaxed);
        // ORDERING: acquires what was done in a place that was just given back.
        if self.places.fetch_or(CLOSING, AcqRel) & (RESERVED | BORROWED) == 0 {
            self.close_as(gone.me);
        }
    }

    fn close_as(&self, me: MemberId) {
        if self.header().close(self.side, me) {
            self.wake_all();
        }
    }

    /// Notes that a place is used beyond the turn, which the caller has.
    pub(crate) fn keep_place(&self, bit: u32) -> Place<'_> {
        self.places.fetch_or(bit, Relaxed);
        Place { end: self, bit }
    }

    /// Sends the end off to another process; which move that is and what was in hand goes with it.
    /// Nobody uses a place in the rings then, as the whole end would be borrowed for it.
    ///
    /// Again for an end that was sent off and has not arrived: it may be sent off once more, and
    /// cannot arrive from the first message then.
    pub(crate) fn send_off<R>(&self, with: impl FnOnce(u32, &Hand) -> R) -> Option<R> {
        let (side, header) = (self.side, self.header());
        let (mut gone, moves) = if let Some(gone) = self.let_go() {
            let moves = header.send_off(side, gone.me)?;
            (gone, moves)
        } else {
            let gone = self.still_gone()?;
            let moves = header.send_again(side, gone.me, self.moves.load(Relaxed))?;
            (gone, moves)
        };
        self.moves.store(moves, Relaxed);
        Some(with(moves, gone.taking.leave()))
    }

    /// Takes back an end that was sent off, unless it has arrived; whether it is here.
    pub(crate) fn take_back(&self) -> bool {
        self.take_back_from(self.moves.load(Relaxed))
    }

    /// The same, if it was sent off last in the move `moves`.
    pub(crate) fn take_back_from(&self, moves: u32) -> bool {
        let Some(mut gone) = self.still_gone() else { return self.is_ours() };
        if !self.header().take_back(self.side, gone.me, moves) {
            return false;
        }
        *gone.producer = self.out.view.producer();
        gone.taking.go_on_at(self.inlet.view.consumer());
        self.owner.store(gone.me.get(), Relaxed);
        if !self.header().is_over(self.side) {
            self.sends.store(gone.me.get(), Relaxed);
        }
        true
    }

    /// Keeps this process's threads off the end from now on, and waits until they are.
    fn let_go(&self) -> Option<LetGo<'_>> {
        if !self.is_ours() {
            return None;
        }
        let owner = self.owner.swap(LET_GO, Relaxed);
        let sends = self.sends.swap(LET_GO, Relaxed);
        // Another thread may have been faster.
        let me = MemberId::new(owner).filter(|me| me.get() == owner)?;
        // Those asleep look, and see that it is not theirs any more.
        self.out.view.space().notify_all();
        self.inlet.view.items().notify_all();
        let gone = self.both_turns(me);
        if gone.is_none() {
            // A thread may still be there.
            self.sends.store(sends, Relaxed);
            self.owner.store(owner, Relaxed);
        }
        gone
    }

    /// The same for an end that this process has let go and that has not arrived anywhere.
    fn still_gone(&self) -> Option<LetGo<'_>> {
        let me = MemberId::new(self.me())?;
        let is_gone = || self.owner.load(Relaxed) == LET_GO;
        // In a forked child the turns may be other threads', of the parent, for ever.
        if !is_gone() || self.header().end_state(self.side) != EndState::Moving(me) {
            return None;
        }
        self.both_turns(me).filter(|_| is_gone())
    }

    fn both_turns(&self, me: MemberId) -> Option<LetGo<'_>> {
        let producer = self.out.turn.hold(Patience::Endless)?;
        let taking = self.inlet.turn.hold(Patience::Endless)?;
        Some(LetGo { me, producer, taking })
    }

    fn wake_all(&self) {
        for view in [&self.out.view, &self.inlet.view] {
            view.items().notify_all();
            view.space().notify_all();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let places = *self.places.get_mut();
        // To be closed when a place is given back: that was forgotten.
        let is_closing = places & CLOSING != 0 && places != CLOSING;
        if self.is_ours() || is_closing {
            if let Some(me) = MemberId::new(self.me()) {
                self.close_as(me);
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let end = self.end;
        // ORDERING: what was done in the place is before the close.
        if end.places.fetch_and(!self.bit, AcqRel) == self.bit | CLOSING {
            if let Some(me) = MemberId::new(end.me()) {
                end.close_as(me);
            }
        }
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("owned", &self.is_ours())
            .field("peer", &self.header().end_state(self.side.other()))
            .field("waiting", &self.inlet.view.used())
            .field("sent", &self.out.view.used())
            .field("capacity", &self.sizes.capacity)
            .finish_non_exhaustive()
    }
}

/// The view of one direction of a pipe whose sizes were checked.
fn view(object: &Object, sizes: Sizes, producer: Side) -> View {
    let second = sizes.lanes == 2 && producer == Side::Second;
    let ring = if second { sizes.capacity } else { 0 };
    let offset = RINGS_OFFSET + usize::try_from(ring).unwrap_or(0);
    // SAFETY: the rings lie in the body, as was checked.
    let ring = unsafe { object.body().add(offset) };
    // SAFETY: as above; the views live in an `End`, which keeps the object.
    unsafe { View::new(object.body().cast(), ring.cast(), sizes.capacity, producer) }
}
