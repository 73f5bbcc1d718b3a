//! What is left: items that may come back, and what is not done yet.

use crossproc_segment::MemberId;

use super::Entry;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::raw::{EntryWord, Holding, NoItem, Ring};

impl Ring {
    /// Items that were given back and are there now.
    #[must_use]
    pub fn count_back(&self) -> u32 {
        self.count(&[Holding::Back])
    }

    /// Items on lease, now; those of holders that nobody has found dead yet count.
    #[must_use]
    pub fn count_live(&self) -> u32 {
        self.count(&[Holding::Live, Holding::Timed])
    }

    fn count(&self, holdings: &[Holding]) -> u32 {
        let holds = |entry: &Entry<'_>| {
            holdings.contains(&EntryWord::from_bits(entry.word.load(Relaxed)).holding())
        };
        u32::try_from(self.entries().filter(holds).count()).unwrap_or(self.leases)
    }

    /// Tells whether others than `me` have items that may come back, or such are back: then a queue
    /// that is closed is not at its end.
    #[must_use]
    pub fn may_come_back(&self, me: MemberId) -> bool {
        self.any_not_of(me, true)
    }

    /// The same for one who takes nothing that came back: it does not wait for what is.
    #[must_use]
    pub fn is_leased_by_others(&self, me: MemberId) -> bool {
        self.any_not_of(me, false)
    }

    fn any_not_of(&self, me: MemberId, or_back: bool) -> bool {
        self.entries().any(|entry| {
            // ORDERING: Acquire, for the orders of the looks.
            let seen = EntryWord::from_bits(entry.word.load(Acquire));
            match seen.holding() {
                Holding::Claim | Holding::Live | Holding::Timed => seen.owner() != Some(me),
                Holding::Back => or_back,
                Holding::Free | Holding::Owed | Holding::Unknown => false,
            }
        })
    }

    /// Owes one item more; false if no entry is free for it. The caller gets the item then, or pays
    /// back.
    #[must_use]
    pub fn owe(&self, me: MemberId) -> bool {
        self.mark_leased();
        // Where this process owes already, and else in a free one.
        let owing = |free: bool| {
            self.entries().any(|entry| {
                let seen = EntryWord::from_bits(entry.word.load(Relaxed));
                let fits = free || seen.holding() == Holding::Owed;
                let more = seen.owing_more(me).filter(|_| fits);
                // ORDERING: acquire side of *empty*. The commit of get is later in program order, and a
                // release: who sees the ring without the item sees it owed.
                let owed = more.is_some_and(|more| {
                    entry.word.compare_exchange(seen.bits(), more.bits(), AcqRel, Relaxed).is_ok()
                });
                if owed && free && self.desk().room().has_waiters() {
                    self.owing_now();
                }
                owed
            })
        };
        // The last for one who lost a race for an entry that it owes in already.
        owing(false) || owing(true) || owing(false)
    }

    /// Tells whether `me` owes in an entry in which it can owe one item more, at that moment.
    #[must_use]
    pub fn can_owe_more(&self, me: MemberId) -> bool {
        self.entries().any(|entry| {
            let seen = EntryWord::from_bits(entry.word.load(Relaxed));
            seen.holding() == Holding::Owed && seen.owing_more(me).is_some()
        })
    }

    /// Owes one item less. False if `me` owes none.
    pub fn pay(&self, me: MemberId) -> bool {
        let paid = self.entries().any(|entry| self.pay_in(&entry, me));
        if paid {
            self.entry_freed();
        }
        paid
    }

    fn pay_in(&self, entry: &Entry<'_>, me: MemberId) -> bool {
        let mut seen = EntryWord::from_bits(entry.word.load(Relaxed));
        for _ in 0..self.rounds() {
            let Some(less) = seen.owing_less(me) else { return false };
            // commit: an item is done.
            // ORDERING: release side of *empty*; what was done is visible to who joins.
            match entry.word.compare_exchange(seen.bits(), less.bits(), AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(found) => seen = EntryWord::from_bits(found),
            }
        }
        false
    }

    /// Tells whether every item that was put is done, at one moment of the call.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let tail = self.settle_tail();
        // `head` moves by the look for an item, over what is skipped too.
        if !matches!(self.has_item(), Err(NoItem::Empty | NoItem::Closed)) {
            return false;
        }
        let head = self.settle_head();
        if tail.past(head, self.capacity) != 0 {
            return false;
        }
        let idle = self.entries().all(|entry| {
            // ORDERING: acquire side of *empty*: what was done is visible to who sees it done.
            EntryWord::from_bits(entry.word.load(Acquire)).holding() == Holding::Free
        });
        idle && self.settle_tail() == tail
    }
}
