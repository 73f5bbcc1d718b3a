//! Holds: hazard pointers that keep a block from being freed while somebody uses it.
//!
//! # Layout
//!
//! | offset | size      | field   | who writes | values                                       |
//! |-------:|----------:|---------|------------|----------------------------------------------|
//! |      0 |        64 | `top`   | claimers   | one past the highest hold ever claimed       |
//! |     64 | 4096 x 16 | `table` | its owner  | owner (0 or a member id), reference (0: none) |
//!
//! # Operations
//!
//! - **claim**: raise `top`; CAS owner 0 or a dead id -> me. **protect**: write the reference, then
//!   look *again* whether the block is still named; only then is it held.
//! - **free a block** (the arena): see that nobody names it, then look through the holds.
//! - **release**: reference = 0, CAS owner me -> 0.
//!
//! # Orderings
//!
//! - **hazard** (`SeqCst`, store and then load of another word on both sides): the holder writes its
//!   reference and then looks at the name; the remover changes the name and then looks at the
//!   references. In the one order of all these accesses either the holder's write comes first, and
//!   the remover sees it and leaves the block; or the remover's change comes first, and the holder
//!   sees that and does not use the block. `top` is raised before the reference is written, so the
//!   remover that must see the reference looks far enough.
//!
//! # Deaths
//!
//! A dead owner's hold protects nothing and is claimed anew. A hold claimed by a process and found
//! in its forked child belongs to the parent: the child's release does nothing.
//!
//! # Limits
//!
//! 4096 holds a segment. Hostile bytes can drop a hold, never make a hold point out of bounds.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64};

use super::who::{Census, Who};
use crate::member::MemberId;

/// How many holds there are.
pub const HOLDS: u32 = 4096;

#[derive(Debug)]
#[repr(C)]
struct Hold {
    owner: AtomicU64,
    reference: AtomicU64,
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Top(AtomicU32);

/// The table of holds of a segment. Valid, and empty, when zeroed.
#[derive(Debug)]
#[repr(C)]
pub struct Holds {
    top: Top,
    table: [Hold; HOLDS as usize],
}

const _: () = assert!(size_of::<Holds>() == 64 + HOLDS as usize * 16 && align_of::<Holds>() == 64);

impl Holds {
    /// Claims a hold, or `None` if the living have all of them. Asks after the owners of holds only
    /// if none is free.
    pub fn claim(&self, who: &Who<'_>) -> Option<u32> {
        (0..HOLDS).find(|&i| self.claim_from(i, 0, who.me)).or_else(|| self.claim_dead(who))
    }

    #[cold]
    fn claim_dead(&self, who: &Who<'_>) -> Option<u32> {
        let mut census = Census::new(who);
        (0..HOLDS).find(|&i| {
            // ORDERING: acquire, so that what `alive` is asked comes after the owner was read.
            let owner = self.hold(i).owner.load(Acquire);
            census.is_dead(low(owner)) && self.claim_from(i, owner, who.me)
        })
    }

    fn claim_from(&self, index: u32, seen: u64, me: MemberId) -> bool {
        let hold = self.hold(index);
        if hold.owner.load(Relaxed) != seen {
            return false;
        }
        // ORDERING: *hazard*: before the reference that will be written here.
        self.top.0.fetch_max(index + 1, SeqCst);
        // ORDERING: the claim follows what its last owner did with the hold.
        hold.owner.compare_exchange(seen, u64::from(me.get()), AcqRel, Relaxed).is_ok()
    }

    /// Writes the reference of a hold of one's own. The block is protected only if the caller then
    /// sees, by a `SeqCst` load, that it is still named.
    pub fn protect(&self, index: u32, reference: u64) {
        // ORDERING: holder's store of *hazard*.
        self.hold(index).reference.store(reference, SeqCst);
    }

    /// Gives a hold back; returns what it protected. Does nothing to a hold that is not `me`'s.
    pub fn release(&self, index: u32, me: MemberId) -> Option<u64> {
        let hold = self.table.get(index as usize)?;
        let mine = u64::from(me.get());
        if hold.owner.load(Relaxed) != mine {
            return None;
        }
        // ORDERING: `SeqCst`, so that of two releasers who then look for each other's hold (the
        // arena's `drop_ref`) the later one finds none and frees the block.
        let reference = hold.reference.swap(0, SeqCst);
        // ORDERING: release: the next owner's claim follows the swap.
        let _ = hold.owner.compare_exchange(mine, 0, AcqRel, Relaxed);
        Some(reference)
    }

    /// Tells whether a living member holds `reference`.
    pub(super) fn cover(&self, reference: u64, who: &Who<'_>) -> bool {
        // ORDERING: remover's loads of *hazard*.
        let top = self.top.0.load(SeqCst).min(HOLDS);
        (0..top).any(|i| {
            let hold = self.hold(i);
            // ORDERING: remover's loads of *hazard*.
            if hold.reference.load(SeqCst) != reference {
                return false;
            }
            // ORDERING: acquire, so that what `alive` is asked comes after the owner was read.
            let owner = low(hold.owner.load(Acquire));
            owner != 0 && !who.is_dead(owner)
        })
    }

    fn hold(&self, index: u32) -> &Hold {
        &self.table[index as usize]
    }
}

/// The member id in an owner word.
fn low(owner: u64) -> u32 {
    (owner & 0xfff_ffff) as u32
}
