//! The two packed words of a semaphore: the log and an entry.
//!
//! No shift or mask on either stands outside this file.

use core::fmt;

use crossproc_segment::{ID_MASK, MemberId};

/// The most that the count of a log word can say.
pub const MOST: u32 = (1 << 24) - 1;

const COUNT_SHIFT: u32 = 40;
const OP_SHIFT: u32 = 38;
const ENTRY_SHIFT: u32 = 28;
const ENTRY_MASK: u64 = (1 << 10) - 1;
const SEQ_MASK: u64 = (1 << 28) - 1;

const PLAIN: u64 = 0;
const HOLD: u64 = 1;
const LET_GO: u64 = 2;

const SEQ_SHIFT: u32 = 32;
const CLAIMED: u64 = 1 << 28;
const HELD: u64 = 2 << 28;
const STATE_MASK: u64 = 0xf << 28;

/// What the last operation on a semaphore did beside its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Nothing: permits without an owner were taken or added.
    Plain,
    /// Gave a permit to the owner of the entry at this index.
    Hold(u32),
    /// Took the entry at this index from its owner.
    LetGo(u32),
}

/// The log word, as it was read once: `count:24 | op:2 | entry:10 | seq:28`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Log(u64);

impl Log {
    /// No operation yet, and `count` permits.
    #[must_use]
    pub fn first(count: u32) -> Self {
        debug_assert!(count <= MOST, "a count has 24 bits");
        Self(u64::from(count) << COUNT_SHIFT)
    }

    /// Takes the word apart.
    #[inline]
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Permits that may be taken.
    #[inline]
    #[must_use]
    pub fn count(self) -> u32 {
        (self.0 >> COUNT_SHIFT) as u32
    }

    /// What was done last, or `None` if a peer wrote rubbish.
    #[inline]
    #[must_use]
    pub fn op(self) -> Option<Op> {
        let entry = (self.0 >> ENTRY_SHIFT & ENTRY_MASK) as u32;
        match self.0 >> OP_SHIFT & 3 {
            PLAIN => Some(Op::Plain),
            HOLD => Some(Op::Hold(entry)),
            LET_GO => Some(Op::LetGo(entry)),
            _ => None,
        }
    }

    /// The word after one more operation.
    #[inline]
    #[must_use]
    pub fn then(self, count: u32, op: Op) -> Self {
        debug_assert!(count <= MOST, "a count has 24 bits");
        let (op, entry) = match op {
            Op::Plain => (PLAIN, 0),
            Op::Hold(entry) => (HOLD, u64::from(entry)),
            Op::LetGo(entry) => (LET_GO, u64::from(entry)),
        };
        let seq = (self.0 + 1) & SEQ_MASK;
        Self(u64::from(count) << COUNT_SHIFT | op << OP_SHIFT | entry << ENTRY_SHIFT | seq)
    }

    fn seq(self) -> u64 {
        self.0 & SEQ_MASK
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} permits, {:?}, operation {}", self.count(), self.op(), self.seq())
    }
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody's: anybody may claim it.
    Free,
    /// Of a member that is acquiring a permit, and has not got one yet.
    Claimed(MemberId),
    /// Of a member that holds a permit.
    Held(MemberId),
}

/// The word of an entry, as it was read once: `seq:28 | state:4 | owner:28`, where `seq` is that of
/// the operation that changed it last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    /// Takes the word apart.
    #[inline]
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whose it is, or `None` if a peer wrote rubbish.
    #[inline]
    #[must_use]
    pub fn state(self) -> Option<State> {
        if self.0 >> SEQ_SHIFT > SEQ_MASK {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the id is in the low 28 bits")]
        let owner = MemberId::new(self.0 as u32 & ID_MASK);
        match (self.0 & STATE_MASK, owner) {
            (0, None) => Some(State::Free),
            (CLAIMED, Some(owner)) => Some(State::Claimed(owner)),
            (HELD, Some(owner)) => Some(State::Held(owner)),
            _ => None,
        }
    }

    /// Whether its owner holds a permit.
    #[inline]
    #[must_use]
    pub fn is_held(self) -> bool {
        self.0 & STATE_MASK == HELD
    }

    /// Whether nobody has it.
    #[inline]
    #[must_use]
    pub fn is_free(self) -> bool {
        self.0 & !(SEQ_MASK << SEQ_SHIFT) == 0
    }

    /// Whether `id` holds a permit by it.
    #[inline]
    #[must_use]
    pub fn is_held_by(self, id: MemberId) -> bool {
        self.0 & (STATE_MASK | u64::from(ID_MASK)) == HELD | u64::from(id.get())
    }

    /// A free entry, claimed by `me`.
    #[inline]
    #[must_use]
    pub fn claimed_by(self, me: MemberId) -> Self {
        debug_assert!(self.is_free(), "only a free entry is claimed");
        Self(self.0 | CLAIMED | u64::from(me.get()))
    }

    /// A claimed entry, given back without an operation.
    #[inline]
    #[must_use]
    pub fn unclaimed(self) -> Self {
        Self(self.0 >> SEQ_SHIFT << SEQ_SHIFT)
    }

    /// A claimed entry, after the operation `log` gave its owner a permit.
    #[inline]
    #[must_use]
    pub fn held(self, log: Log) -> Self {
        Self(log.seq() << SEQ_SHIFT | HELD | self.0 & u64::from(ID_MASK))
    }

    /// An entry after the operation `log` took it from its owner.
    #[inline]
    #[must_use]
    pub fn free(log: Log) -> Self {
        Self(log.seq() << SEQ_SHIFT)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state() {
            Some(state) => write!(f, "{state:?}, since operation {}", self.0 >> SEQ_SHIFT),
            None => write!(f, "corrupt {:#018x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_word_keeps_its_fields_apart_and_wraps_its_number() {
        let log = Log::from_bits(SEQ_MASK).then(MOST, Op::LetGo(1023));
        assert_eq!((log.count(), log.op(), log.seq()), (MOST, Some(Op::LetGo(1023)), 0));
        let log = log.then(0, Op::Hold(1));
        assert_eq!((log.count(), log.op(), log.seq()), (0, Some(Op::Hold(1)), 1));
        assert_eq!(Log::from_bits(3 << OP_SHIFT).op(), None);
    }

    #[test]
    fn an_entry_tells_every_wrong_word() {
        let me = MemberId::new(ID_MASK).expect("an id");
        let log = Log::from_bits(SEQ_MASK);
        let claimed = Entry::free(log).claimed_by(me);
        assert_eq!(claimed.state(), Some(State::Claimed(me)));
        assert_eq!(claimed.held(log.then(1, Op::Hold(2))).state(), Some(State::Held(me)));
        assert_eq!(claimed.unclaimed(), Entry::free(log));
        assert!(claimed.held(log).is_held_by(me) && !claimed.is_held_by(me));
        assert!(claimed.unclaimed().is_free() && !claimed.is_free());
        for bad in [1, CLAIMED, HELD, CLAIMED | HELD | 1, 1 << 31 | 1, 1 << 60] {
            assert_eq!(Entry::from_bits(bad).state(), None, "{bad:#x}");
            assert!(!Entry::from_bits(bad).is_free(), "{bad:#x}");
        }
    }
}
