//! What a producer and a consumer have in common: that they are counted.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crossproc_message::Message;
use crossproc_segment::{MemberId, transit};
use serde::de::Error as _;
use serde::ser::{Error as _, SerializeTuple};
use serde::{Deserialize, Deserializer, Serializer};

use crate::error::{Error, Result};
use crate::queue::Queue;
use crate::raw::{Gone, Loan, Seat, Side};

/// A loan as it travels: place, member, stamp.
type Ticket = (u32, u32, u32);

/// A queue's handle that is counted at one side of it, for as long as it lives or its process does.
pub(crate) struct Counted<T> {
    queue: Queue<T>,
    side: Side,
    /// `None`: the side was over when the handle was made, or it was cloned from such a one.
    seat: Option<Seat>,
}

impl<T> Counted<T> {
    pub(crate) fn new(queue: Queue<T>, side: Side) -> Result<Self> {
        let seat = queue.join_side(side, queue.me())?;
        Ok(Self { queue, side, seat })
    }

    pub(crate) fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    /// Where it is counted, if that was for this process: a forked child inherits its parent's.
    fn own_seat(&self) -> Option<Seat> {
        self.seat.filter(|seat| self.queue.is_still(seat.id))
    }
}

impl<T: Message> Counted<T> {
    /// Counts a handle that has arrived here, and lets go of the loan.
    fn arrived(queue: Queue<T>, side: Side, ticket: Option<Ticket>) -> Result<Self> {
        let me = queue.me();
        let loan = ticket
            .and_then(|(place, id, stamp)| Some(Loan { place, id: MemberId::new(id)?, stamp }));
        let row = queue.row(side);
        let seat = match (queue.join_side(side, me), loan) {
            (Ok(seat), loan) => {
                if let Some(loan) = loan {
                    let queue = queue.clone();
                    transit::note_arrival(move || {
                        queue.row(side).settle(loan);
                    });
                }
                seat
            }
            (Err(full), Some(loan)) => Some(row.take_over(loan, me).ok_or(full)?),
            (Err(full), None) => return Err(full),
        };
        Ok(Self { queue, side, seat })
    }

    /// Counts the handle as one that is on its way, once for each time that it is sent.
    fn lend(&self) -> Result<Option<Ticket>> {
        let Some(seat) = self.own_seat() else { return Ok(None) };
        let segment = self.queue.segment();
        let row = self.queue.row(self.side);
        let loan = match row.lend(seat.id, next_stamp(), |id| segment.alive(id)) {
            Ok(loan) => loan,
            Err(Gone::Shut) => return Ok(None),
            Err(Gone::Full) => return Err(self.queue.no_place(self.side)),
        };
        let (queue, side) = (self.queue.clone(), self.side);
        transit::note_loan(move || queue.take_back(side, loan));
        Ok(Some((loan.place, loan.id.get(), loan.stamp)))
    }

    /// As a ticket of the queue and the loan, on the way to another process only.
    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        // First, since it fails where nothing is sent at all.
        pair.serialize_element(&self.queue)?;
        pair.serialize_element(&self.lend().map_err(S::Error::custom)?)?;
        pair.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        side: Side,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Self::deserialize_with(side, deserializer, Queue::clone).map(|(_, counted)| counted)
    }

    /// The same for a handle of another kind, in which `queue` finds the one that counts.
    pub(crate) fn deserialize_with<'de, Q: Deserialize<'de>, D: Deserializer<'de>>(
        side: Side,
        deserializer: D,
        queue: impl FnOnce(&Q) -> Queue<T>,
    ) -> Result<(Q, Self), D::Error> {
        let (of, ticket) = <(Q, Option<Ticket>)>::deserialize(deserializer)?;
        let counted = Self::arrived(queue(&of), side, ticket).map_err(D::Error::custom)?;
        Ok((of, counted))
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        let row = self.queue.row(self.side);
        let seat = match (self.own_seat(), self.seat) {
            (Some(seat), _) => row.add(seat).then_some(seat),
            // A clone that a forked child makes of what it inherited is the child's.
            (None, Some(_)) => self.queue.join_side(self.side, self.queue.me()).ok().flatten(),
            (None, None) => None,
        };
        Self { queue: self.queue.clone(), side: self.side, seat }
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        let Some(seat) = self.own_seat() else { return };
        let segment = self.queue.segment();
        if self.queue.row(self.side).leave(seat, |id| segment.alive(id)) {
            self.queue.close();
        }
    }
}

impl<T> Queue<T> {
    /// Counts a handle of `me`; `None` if the side is over.
    fn join_side(&self, side: Side, me: MemberId) -> Result<Option<Seat>> {
        match self.row(side).join(me, |id| self.segment().alive(id)) {
            Ok(seat) => Ok(Some(seat)),
            Err(Gone::Shut) => {
                self.close_once();
                Ok(None)
            }
            Err(Gone::Full) => Err(self.no_place(side)),
        }
    }

    /// A handle that this process sent will not arrive.
    fn take_back(&self, side: Side, loan: Loan) {
        let segment = self.segment();
        // In a forked child it is its parent's.
        if self.is_still(loan.id) && self.row(side).take_back(loan, |id| segment.alive(id)) {
            self.close_once();
        }
    }

    #[cold]
    fn no_place(&self, side: Side) -> Error {
        let side_name = match side {
            Side::Producers => "producers",
            Side::Consumers => "consumers",
        };
        Error::NoPlace { side: side_name, places: self.row(side).len() }
    }

    /// Closes the queue if the last counted handle of a side is gone, also with its process;
    /// whether it was so. For whoever waits.
    pub(crate) fn look_after_ends(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        let segment = self.segment();
        let is_over = |side| self.row(side).shut_if_empty(|id| segment.alive(id));
        let over = is_over(Side::Producers) || is_over(Side::Consumers);
        if over {
            self.close_once();
        }
        over
    }

    /// For a side that is over: what its last one may not have lived to do.
    fn close_once(&self) {
        if !self.is_closed() {
            self.close();
        }
    }
}

/// Tells loans of this process from each other.
fn next_stamp() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Relaxed)
}
