//! The word of an entry: who has the item that lies there, and how often it was handed out.
//!
//! No shift or mask on it stands outside this file.

use crossproc_segment::MemberId;

use super::lease::Tick;

const STATE_MASK: u64 = 0xf;
const OWNER_SHIFT: u32 = 4;
const OWNER_MASK: u64 = (1 << 28) - 1;
const COUNT_SHIFT: u32 = 32;
const COUNT_MASK: u64 = 0xffff;
const UNTIL_SHIFT: u32 = 32;

const FREE: u64 = 0;
const CLAIM: u64 = 1;
const LIVE: u64 = 2;
const BACK: u64 = 3;
const OWED: u64 = 4;
const TIMED: u64 = 5;

/// What an entry is in, by the low four bits of its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing, and nobody's.
    Free,
    /// Nothing yet, unless a slot names the entry: its owner is about to lease.
    Claim,
    /// An item, leased by its owner.
    Live,
    /// An item that was given back, and is nobody's.
    Back,
    /// An item, leased by its owner up to a moment.
    Timed,
    /// A count of items that its owner got and has not said to be done.
    Owed,
    /// Not a state of this version: a peer wrote rubbish.
    Unknown,
}

/// The word of an entry: `count:16 | owner:28 | state:4`, or `until:32 | owner:28 | state:4`.
///
/// The count is how often the item was handed out, up to 65535; of an owing entry, how many items. A lease
/// with a limit has the moment instead, and its count in a word of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryWord(u64);

impl EntryWord {
    /// The word of an entry that holds nothing.
    pub const FREE: Self = Self(FREE);

    /// Takes an entry's word as it was read.
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

    /// Claimed by `owner`, who is about to lease.
    #[inline]
    #[must_use]
    pub fn claim(owner: MemberId) -> Self {
        Self(owned(owner, 0, CLAIM))
    }

    /// Leased by `owner` for the first time.
    #[inline]
    #[must_use]
    pub fn live(owner: MemberId) -> Self {
        Self(owned(owner, 1, LIVE))
    }

    /// The same of the process whose id these bits have at their low end; in a child that it forked they have
    /// none, and this is nobody's word.
    #[inline(always)]
    #[must_use]
    pub fn live_of(me: u32) -> Self {
        Self(u64::from(me << OWNER_SHIFT) | 1 << COUNT_SHIFT | LIVE)
    }

    /// What is left of the claim of a dead owner whose item is here: a lease that nobody saw.
    #[must_use]
    pub fn finished(self) -> Self {
        Self(self.0 & (OWNER_MASK << OWNER_SHIFT) | 1 << COUNT_SHIFT | LIVE)
    }

    /// Given back, by its owner or after its death.
    #[must_use]
    pub fn back(self) -> Self {
        Self::back_after(self.count())
    }

    /// Leased once more, by `owner`.
    #[must_use]
    pub fn again(self, owner: MemberId) -> Self {
        Self(owned(owner, (self.count() + 1).min(COUNT_MASK), LIVE))
    }

    /// Given back after it was handed out `count` times.
    #[must_use]
    pub fn back_after(count: u64) -> Self {
        Self(count.min(COUNT_MASK) << COUNT_SHIFT | BACK)
    }

    /// Leased by `owner` up to a moment.
    #[must_use]
    pub fn timed(owner: MemberId, until: Tick) -> Self {
        Self(u64::from(until.bits()) << UNTIL_SHIFT | u64::from(owner.get()) << OWNER_SHIFT | TIMED)
    }

    /// Up to when, of a lease that has a limit.
    #[inline]
    #[must_use]
    pub fn until(self) -> Option<Tick> {
        let bits = u32::try_from(self.0 >> UNTIL_SHIFT).ok()?;
        (self.holding() == Holding::Timed).then_some(Tick::from_bits(bits))
    }

    /// Given back by one who did not hand it out, the `count`th time: that one does not count.
    #[must_use]
    pub fn back_unseen(count: u64) -> Self {
        Self::back_after(if count >= COUNT_MASK { count } else { count.saturating_sub(1) })
    }

    /// Got by `owner`, which owes it alone here.
    #[must_use]
    pub fn owing(owner: MemberId) -> Self {
        Self(owned(owner, 1, OWED))
    }

    /// Owing one item more; `None` where it can owe no more, or is another's.
    #[must_use]
    pub fn owing_more(self, owner: MemberId) -> Option<Self> {
        let count = match self.holding() {
            Holding::Free => 0,
            Holding::Owed if self.owner() == Some(owner) => self.count(),
            _ => return None,
        };
        (count < COUNT_MASK).then(|| Self(owned(owner, count + 1, OWED)))
    }

    /// Owing one item less; `None` where `owner` owes nothing here.
    #[must_use]
    pub fn owing_less(self, owner: MemberId) -> Option<Self> {
        if self.holding() != Holding::Owed || self.owner() != Some(owner) {
            return None;
        }
        match self.count() {
            0 => None,
            1 => Some(Self::FREE),
            count => Some(Self(owned(owner, count - 1, OWED))),
        }
    }

    /// The state alone.
    #[inline]
    #[must_use]
    pub fn holding(self) -> Holding {
        match self.0 & STATE_MASK {
            FREE => Holding::Free,
            CLAIM => Holding::Claim,
            LIVE => Holding::Live,
            BACK => Holding::Back,
            OWED => Holding::Owed,
            TIMED => Holding::Timed,
            _ => Holding::Unknown,
        }
    }

    /// Whose it is; `None` where the word names nobody.
    #[inline]
    #[must_use]
    pub fn owner(self) -> Option<MemberId> {
        MemberId::new(u32::try_from(self.0 >> OWNER_SHIFT & OWNER_MASK).ok()?)
    }

    /// How often the item was handed out, or how many items are owed.
    #[inline]
    #[must_use]
    pub fn count(self) -> u64 {
        self.0 >> COUNT_SHIFT & COUNT_MASK
    }
}

#[inline]
fn owned(owner: MemberId, count: u64, state: u64) -> u64 {
    count << COUNT_SHIFT | u64::from(owner.get()) << OWNER_SHIFT | state
}

#[cfg(all(test, not(crossproc_loom)))]
mod tests {
    use super::{EntryWord, Holding, Tick};
    use crossproc_segment::MemberId;

    #[test]
    fn a_word_keeps_owner_count_and_state_apart() {
        let (a, b) = (MemberId::new((1 << 28) - 1).unwrap(), MemberId::new(1).unwrap());
        let live = EntryWord::live(a);
        assert_eq!((live.holding(), live.owner(), live.count()), (Holding::Live, Some(a), 1));
        let back = live.back();
        assert_eq!((back.holding(), back.owner(), back.count()), (Holding::Back, None, 1));
        let again = back.again(b);
        assert_eq!((again.holding(), again.owner(), again.count()), (Holding::Live, Some(b), 2));
        assert_eq!(EntryWord::claim(a).finished(), live);
        assert_eq!(EntryWord::back_unseen(again.count()), back);
        assert_eq!(EntryWord::back_unseen(0xffff).count(), 0xffff);
    }

    #[test]
    fn a_word_with_a_limit_keeps_owner_and_moment_apart() {
        let me = MemberId::new((1 << 28) - 1).unwrap();
        for bits in [0, 1, u32::MAX] {
            let timed = EntryWord::timed(me, Tick::from_bits(bits));
            assert_eq!((timed.holding(), timed.owner()), (Holding::Timed, Some(me)));
            assert_eq!(timed.until(), Some(Tick::from_bits(bits)));
        }
        assert_eq!(EntryWord::live(me).until(), None);
        assert_eq!(EntryWord::live(me).back(), EntryWord::back_after(1));
    }

    #[test]
    fn the_count_of_deliveries_stays_at_its_highest() {
        let me = MemberId::new(3).unwrap();
        let word = (0..70_000).fold(EntryWord::live(me), |word, _| word.back().again(me));
        assert_eq!(word.count(), 0xffff);
    }

    #[test]
    fn what_is_owed_goes_up_and_down_to_nothing() {
        let (me, other) = (MemberId::new(3).unwrap(), MemberId::new(4).unwrap());
        let one = EntryWord::FREE.owing_more(me).unwrap();
        let two = one.owing_more(me).unwrap();
        assert_eq!((two.holding(), two.count()), (Holding::Owed, 2));
        assert_eq!((two.owing_less(me), one.owing_less(me)), (Some(one), Some(EntryWord::FREE)));
        assert_eq!((one.owing_more(other), one.owing_less(other)), (None, None));
        assert_eq!(EntryWord::FREE.owing_less(me), None);
        assert_eq!(EntryWord::owing(me), one);
        assert_eq!(EntryWord::live(me).owing_more(me), None);
    }
}
