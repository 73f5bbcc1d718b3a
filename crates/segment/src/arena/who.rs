//! Who acts, and whom it may ask about the life of others.

use core::fmt;

use crate::member::MemberId;

/// The member on whose behalf an operation runs, and the answer to "is that one alive?".
///
/// `alive` is asked only where another member's claim is in the way or memory is short; it must
/// never call a living member dead, and a dead one's id must never come back.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    /// The member that acts.
    pub me: MemberId,
    /// Tells whether a member is alive.
    pub alive: &'a dyn Fn(MemberId) -> bool,
}

impl Who<'_> {
    /// Tells whether the owner in the low bits of a word is dead. No owner at all, which only
    /// hostile bytes can bring about, counts as dead: the claim is nobody's.
    pub(crate) fn is_dead(&self, owner: u32) -> bool {
        match MemberId::new(owner) {
            None => true,
            Some(id) => id != self.me && !(self.alive)(id),
        }
    }
}

impl fmt::Debug for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Who").field("me", &self.me).finish_non_exhaustive()
    }
}

const REMEMBERED: usize = 16;

/// Remembers answers for the length of one scan. The dead stay dead, so a remembered "dead" is
/// true for ever, and a stale "alive" only puts a repair off.
#[derive(Debug)]
pub(crate) struct Census<'a> {
    who: &'a Who<'a>,
    answers: [Option<(u32, bool)>; REMEMBERED],
}

impl<'a> Census<'a> {
    pub(crate) fn new(who: &'a Who<'a>) -> Self {
        Self { who, answers: [None; REMEMBERED] }
    }

    pub(crate) fn is_dead(&mut self, owner: u32) -> bool {
        let answer = &mut self.answers[owner as usize % REMEMBERED];
        match *answer {
            Some((id, dead)) if id == owner => dead,
            _ => {
                let dead = self.who.is_dead(owner);
                *answer = Some((owner, dead));
                dead
            }
        }
    }
}
