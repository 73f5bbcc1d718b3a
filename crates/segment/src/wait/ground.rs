//! What waiting needs of a segment: its two tables, its memory, its descriptor, and who asks.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use core::sync::atomic::{AtomicU32, AtomicU64};
use std::os::fd::{AsFd, BorrowedFd};

use super::raw::{Blocker, Table, Target};
use crate::member;
use crate::{MemberId, Segment};

/// Behind a word that names its owner: the owner's thread, `id << 32 | thread`, if it is known.
const HOLDER_OFFSET: u64 = 8;

/// The parts of a segment that the look-out works on, for one member.
///
/// # Invariants
///
/// `base` points to `len` mapped bytes for `'s`, and offset 0 holds no futex word.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'s> {
    segment: &'s Segment,
    base: NonNull<u8>,
    len: usize,
    pub(crate) members: &'s member::raw::Table,
    pub(crate) waits: &'s Table,
    pub(crate) fd: BorrowedFd<'s>,
    pub(crate) me: MemberId,
}

impl<'s> Ground<'s> {
    /// The ground of a segment for `me`, which is given since a joiner has no id there yet.
    pub(crate) fn new(segment: &'s Segment, me: MemberId) -> Self {
        // INVARIANT: the segment stays mapped while it is borrowed; it begins with its header.
        Self {
            segment,
            base: segment.base(),
            len: segment.size(),
            members: segment.member_table(),
            waits: segment.wait_table(),
            fd: segment.as_fd(),
            me,
        }
    }

    /// Whether the kernel can be asked: not once the segment's descriptor is lost.
    pub(crate) fn can_ask(&self) -> bool {
        self.segment.is_of(self.fd)
    }

    /// Asks the kernel whether `id` lives.
    pub(crate) fn alive(&self, id: MemberId) -> bool {
        id == self.me || self.segment.alive(id)
    }

    /// The member in entry `index` of the member table.
    pub(crate) fn member_at(&self, index: usize) -> Option<MemberId> {
        // ORDERING: acquire: feeds `alive`.
        MemberId::new(self.members.entries.get(index)?.id.load(Acquire))
    }

    /// Takes members out of the member table.
    pub(crate) fn strike_out(&self, is_dead: impl Fn(u32) -> bool) {
        for entry in self.members.entries.iter().take(self.waits.members_used()) {
            let id = entry.id.load(Relaxed);
            if is_dead(id) {
                // ORDERING: AcqRel as every end of a claim; from the exact dead word.
                let _ = entry.id.compare_exchange(id, 0, AcqRel, Relaxed);
            }
        }
    }

    /// What to record for a sleeper on `word`. A word outside the segment cannot be recorded.
    pub(crate) fn target(&self, word: &AtomicU32, blocker: Blocker) -> Target {
        let address = core::ptr::from_ref(word).addr();
        let offset = address.wrapping_sub(self.base.as_ptr().addr());
        debug_assert!(offset < self.len, "a word to sleep on lies in its segment");
        if offset < self.len { Target::new(offset as u64, blocker) } else { Target::default() }
    }

    /// The word of `target`, as it is now. `None` if `target`, which is read from shared memory,
    /// does not name a word of the segment.
    pub(crate) fn word_at(&self, target: Target) -> Option<u32> {
        let at = self.place::<AtomicU32>(target.offset())?;
        // SAFETY: `place` gives what lies in the mapping and is aligned; only ever accessed
        // atomically.
        let word = unsafe { at.as_ref() };
        // ORDERING: acquire: feeds the comparison with the dead.
        Some(word.load(Acquire))
    }

    /// The thread of `owner` that holds what `target` names, as written behind its word. `None` if
    /// nothing is written there, or somebody else.
    pub(crate) fn holder_at(&self, target: Target, owner: MemberId) -> Option<u32> {
        let at = self.place::<AtomicU64>(target.offset().checked_add(HOLDER_OFFSET)?)?;
        // SAFETY: as in `word_at`.
        let holder = unsafe { at.as_ref() }.load(Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the thread is the low half")]
        (holder >> 32 == u64::from(owner.get())).then_some(holder as u32)
    }

    fn place<T>(&self, offset: u64) -> Option<NonNull<T>> {
        let offset = usize::try_from(offset).ok()?;
        let inside = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len);
        if !inside || offset % align_of::<T>() != 0 {
            return None;
        }
        // SAFETY: `offset` was just checked to lie in the mapping.
        Some(unsafe { self.base.add(offset) }.cast())
    }
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground")
            .field("len", &self.len)
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}
