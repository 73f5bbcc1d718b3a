//! Where a handle's next item is: after the one that it leased last, unless others took some since.
//!
//! Who knows that needs no look at `head`, and need not move it each time either: it is a hint, and whoever
//! finds it behind moves it on. While a handle is alone on its side it moves `head` once in [`EVERY`] places,
//! so that nobody finds it much further behind.
//!
//! Nothing here is shared between processes.
//!
//! # Why the item there is the first
//!
//! The place that is remembered is the one after an item that was the first and is taken, or what `head` said:
//! all before it are taken. If it holds the item of its lap, that was not taken, and so is the first. A slot's
//! word names one lap of 2^39.
//!
//! # Orderings
//!
//! - **near**: the store of the place (Release) to its load by another thread of the handle (Acquire). Whoever
//!   moves `head` past places that the other took, and releases it, has seen them taken.

use super::super::{Position, Ring};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};

/// How far `head` is left behind, and as much again where a thread is stopped as it moves it.
const EVERY: u64 = 16;

/// Where the next item is, for all threads that use one handle. What one of them writes over is a hint.
#[derive(Debug)]
pub struct Near {
    at: AtomicU64,
    /// Up to this place `head` may be left behind.
    leave_until: AtomicU64,
    /// Others were there: up to this place `head` is moved each time.
    eager_until: AtomicU64,
}

impl Default for Near {
    fn default() -> Self {
        Self::new()
    }
}

impl Near {
    /// What a handle knows that leased nothing.
    #[must_use]
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { at: zero(), leave_until: zero(), eager_until: zero() }
    }

    #[inline(always)]
    pub(in crate::raw) fn at(&self) -> Position {
        // ORDERING: acquire side of *near*.
        Position::of_head(self.at.load(Acquire))
    }

    #[inline(always)]
    pub(super) fn set(&self, at: Position) {
        // ORDERING: release side of *near*.
        self.at.store(at.bits(), Release);
    }

    /// Begins at what `head` said: the next time it is moved.
    fn start(&self, head: Position) {
        self.leave_until.store(0, Relaxed);
        self.set(head);
    }

    /// Whether `head` need not be moved past `at`.
    #[inline(always)]
    pub(super) fn may_leave(&self, at: Position) -> bool {
        at.bits() < self.leave_until.load(Relaxed)
    }

    /// After `head` was moved past `at`.
    fn moved(&self, at: Position) {
        let eager = self.eager_until.load(Relaxed).wrapping_sub(at.bits());
        let is_eager = eager != 0 && eager <= Position::A_LAP;
        // Of the next lap each place is further; but behind the last lap comes the first.
        let until = if is_eager || at.is_of_last_lap() { 0 } else { at.bits() + EVERY };
        self.leave_until.store(until, Relaxed);
    }
}

impl Ring {
    /// Looks at `head`, for one who found no item where it expected one; false if that tells nothing new.
    /// Others were there if it is further: then `head` is moved each time for a lap.
    pub fn find_near(&self, near: &Near) -> bool {
        let (head, expected) = (self.load_head(), near.at());
        let known = expected.is_leased();
        let plain = |at: Position| Position::from_bits(at.bits());
        if known && !plain(expected).is_before(plain(head)) {
            return false;
        }
        if known {
            near.eager_until.store(head.bits().wrapping_add(Position::A_LAP), Relaxed);
        }
        near.start(head);
        true
    }

    /// Notes where `head` is, after an item was leased by another way.
    pub fn note_head(&self, near: &Near) {
        near.start(self.load_head());
    }

    /// Moves `head` past the item at `at`, which the caller has taken as the first, wherever it was left.
    #[inline(never)]
    pub(super) fn pass_first(&self, at: Position, near: &Near) {
        let next = at.next(self.capacity);
        // ORDERING: release side of *head*.
        let passed =
            self.header().head.0.compare_exchange(at.bits(), next.bits(), Release, Relaxed);
        if let Err(found) = passed {
            self.pass_from(found, next);
        }
        near.moved(at);
    }

    #[cold]
    #[inline(never)]
    fn pass_from(&self, found: u64, next: Position) {
        let end = Position::from_bits(next.bits());
        // Somebody may be moving it now. Then it is left behind until the next time.
        if end.past(Position::from_bits(found), self.capacity) > 0 {
            // ORDERING: release side of *head*: all in between were taken by the caller, or before it looked.
            let _ = self.header().head.0.compare_exchange(found, next.bits(), Release, Relaxed);
        }
    }
}
