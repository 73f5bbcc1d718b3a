//! Several rings as one queue with levels: consumers take from the highest ring that has an item.
//!
//! Every item goes through one ring alone, by that ring's protocol, so that whatever holds of a put
//! or get of one ring, deaths included, holds here. This file adds two things that cross rings: one
//! word on which consumers of all levels sleep, and one word that closes them all.
//!
//! # Layout
//!
//! `levels` rings of the same geometry one behind the other, each with its header, that of level 0
//! first. Of the first ring these are all rings': the field `items`, on which consumers sleep, the
//! field `shut`, and the gates and rows of those who are counted ([`Row`]). Producers sleep on the
//! `space` of the ring of their level. The `items` and gates of the other headers are not used, and
//! there are no rows there.
//!
//! # States
//!
//! Of `shut`: 0, open; 1, closed for ever: each ring is closed, or will be before anybody is told
//! that nothing is left. A ring is only closed where `shut` is 1.
//!
//! # Operations
//!
//! Put ([`Levels::admit`], then a put of the ring): `shut` is looked at, and if it is 1 all rings are
//! closed and the answer is Closed. Otherwise as in the ring, which may also answer Closed.
//!
//! Take ([`Levels::take`]):
//! 1. A take of each ring, the highest first, until one has an item. **commit** in that ring.
//! 2. If each said Closed, so does the queue: a ring that is closed and empty stays so.
//! 3. If `shut` is 1 and a ring was not closed yet, it is closed now, and step 1 comes again.
//!
//! An item that arrives at a ring which the look has passed is not taken by this take. Before it
//! sleeps a consumer announces itself and looks through all rings again: the put behind the look is
//! then a put after the announcement, and wakes.
//!
//! Pass on ([`Levels::wake_next_consumer`]): a consumer that leaves the slow path looks at the read
//! ends of *all* rings, and wakes one more if one has an item. It was woken for an item of one ring,
//! perhaps, and took one of another; and a wake may have gone to somebody who found the item behind
//! an unfinished one of the same ring, and went to sleep again. So while anything can be taken and
//! somebody sleeps, a wake is on its way, or somebody is on the slow path.
//!
//! Take of a run: as a take, with the take of a run in step 1. More calls follow as long as more is
//! wanted and a ring has an item, so that what comes at a higher level meanwhile is next.
//!
//! End of a side: as in `ends`, with the row of the first ring; the close that follows is this one.
//! Whoever waits, at any level, looks after the row.
//!
//! Close: `shut` becomes 1, **commit**; then each ring is closed. A put that looked before the commit
//! may be accepted after it, up to the moment when its ring is closed: it was called before the close
//! returned, and no consumer has been told Closed yet.
//!
//! # Orderings
//!
//! - **shut**: its commit (Release) to its loads (Acquire). What came before the close is visible to
//!   whoever is told that the queue is closed.
//! - Announcements and wakes are [`EventCount`]'s; the rest is the ring's.
//!
//! # Deaths
//!
//! | killed                          | left behind                     | seen by                         |
//! |---------------------------------|---------------------------------|---------------------------------|
//! | put, get                        | as in the ring, at one level    | as there; the other levels go on|
//! | consumer, with a wake in hand   | sleepers, perhaps an item       | their next look                 |
//! | close before the commit         | nothing                         |                                 |
//! | close after it, in the middle   | rings open, nobody woken        | any put; a take that finds nothing; who waits: its next look |
//! | the last of a side; its leave or shut | as in `ends`, all rings open | who waits at any level: its next look |
//!
//! # Limits
//!
//! Where higher levels always have an item, lower ones are never looked at: they starve, by design.
//! Of items put at two levels at about the same time the lower one may be taken first, and so may it
//! while another takes a run, or a large item, of the higher level.

use std::sync::Arc;

use crossproc_segment::wait::EventCount;

use super::{Header, NoItem, ReadEnd, Refused, Ring, Row, Side};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Most levels that a queue can have: each take of an empty queue looks at all.
pub const MAX_LEVELS: u32 = 8;

/// The rings of a queue with levels, level 0 first.
#[derive(Clone, Debug)]
pub struct Levels {
    rings: Arc<[Ring]>,
}

impl Levels {
    /// The queue of these rings.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn new(rings: Arc<[Ring]>) -> Self {
        assert!(!rings.is_empty(), "a queue has at least one level");
        Self { rings }
    }

    /// What consumers sleep on.
    #[must_use]
    #[inline]
    pub fn items(&self) -> &EventCount {
        self.rings[0].items()
    }

    /// The row of that side, for all levels.
    #[must_use]
    pub fn row(&self, side: Side) -> Row<'_> {
        self.rings[0].row(side)
    }

    /// Whether the queue was closed, at that moment.
    #[must_use]
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.rings[0].is_shut()
    }

    /// Refuses new items at all levels, for ever, and wakes everybody. False if it was closed before.
    pub fn close(&self) -> bool {
        let first = self.close_commit_only();
        self.spread();
        first
    }

    /// The one store of [`Levels::close`], for tests of a closer that dies after it.
    #[doc(hidden)]
    pub fn close_commit_only(&self) -> bool {
        // commit: the queue is closed.
        // ORDERING: release side of *shut*.
        self.rings[0].base().shut.fetch_or(1, AcqRel) == 0
    }

    /// Whether a put may go to its ring.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`].
    #[inline]
    pub fn admit(&self) -> Result<(), Refused> {
        if self.is_closed() {
            self.spread();
            return Err(Refused::Closed);
        }
        Ok(())
    }

    /// Takes by `take`, which is told the level, from the highest level that has an item.
    ///
    /// # Errors
    ///
    /// What `take` says of a level that nobody can take from; Closed only if all levels say so.
    #[inline]
    pub fn take<R>(&self, mut take: impl FnMut(usize) -> Result<R, NoItem>) -> Result<R, NoItem> {
        match self.take_highest(&mut take) {
            Err(NoItem::Empty | NoItem::Pending) if self.is_closed() && self.spread() => {
                self.take_highest(&mut take)
            }
            answer => answer,
        }
    }

    fn take_highest<R>(
        &self,
        take: &mut impl FnMut(usize) -> Result<R, NoItem>,
    ) -> Result<R, NoItem> {
        let mut none = NoItem::Closed;
        for level in (0..self.rings.len()).rev() {
            match take(level) {
                Err(NoItem::Closed) => {}
                Err(NoItem::Empty) if none == NoItem::Pending => {}
                Err(found @ (NoItem::Empty | NoItem::Pending)) => none = found,
                answer => return answer,
            }
        }
        Err(none)
    }

    /// Passes the wake on to the next consumer: see [`Ring::wake_next_consumer`].
    #[cold]
    pub fn wake_next_consumer(&self) {
        let mut over = true;
        for ring in self.rings.iter().rev() {
            match ring.at_read_end() {
                ReadEnd::Item => return self.items().notify_one(),
                ReadEnd::Closed => {}
                ReadEnd::Nothing => over = false,
            }
        }
        if over {
            self.items().notify_all();
        }
    }

    /// Closes each ring that is not; whether there was one.
    #[cold]
    fn spread(&self) -> bool {
        let mut any = false;
        for ring in self.rings.iter() {
            any |= ring.finish_shut();
        }
        any
    }
}

impl Header {
    /// Says of how many rings this is the first, before anybody else can see it.
    pub fn init_levels(&self, levels: u32) {
        self.levels.store(levels, Relaxed);
    }

    /// Of how many rings this is the first; 0 for a queue without levels.
    #[must_use]
    pub fn levels(&self) -> u32 {
        self.levels.load(Relaxed)
    }
}

impl Ring {
    /// Has consumers sleep on the word of the first of several rings, whose header is `base`.
    ///
    /// # Safety
    ///
    /// As [`Ring::new`], for `base`.
    #[must_use]
    pub unsafe fn with_base(self, base: core::ptr::NonNull<Header>) -> Self {
        // INVARIANT: by the safety contract.
        Self { base, ..self }
    }

    #[inline]
    pub(super) fn base(&self) -> &Header {
        // SAFETY: by the type invariant.
        unsafe { self.base.as_ref() }
    }

    #[inline]
    fn is_shut(&self) -> bool {
        // ORDERING: acquire side of *shut*.
        self.base().shut.load(Acquire) != 0
    }

    /// Closes this ring where all are to be closed; whether it was open, or its waiters not told.
    pub(super) fn finish_shut(&self) -> bool {
        let open = self.is_shut() && !self.hinted_closed();
        if open {
            self.close();
        }
        open
    }
}
