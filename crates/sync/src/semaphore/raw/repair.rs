//! What the dead held comes back.

use crossproc_segment::MemberId;

use super::{Claim, Corrupt, Entry, Hold, Semaphore, State};
use crate::atomic::Ordering::Acquire;

/// How often an entry can change under one who repairs it: claimed, held, let go, and once more. A
/// word that changes more often is somebody else's to repair.
const LOOKS: u32 = 4;

impl<const N: usize> Semaphore<N> {
    /// Takes back what dead members hold; returns how many permits came back. The count does not
    /// go above `limit`.
    ///
    /// Any number of processes may do this at once, and each may be killed in it: every permit
    /// comes back once.
    pub fn repair(&self, limit: u32, mut alive: impl FnMut(MemberId) -> bool) -> u32 {
        if self.settled().is_err() {
            return 0;
        }
        let mut back = 0;
        for index in 0..self.used() {
            back += u32::from(self.repair_entry(index, limit, &mut alive));
        }
        back
    }

    fn repair_entry(
        &self,
        index: u32,
        limit: u32,
        alive: &mut impl FnMut(MemberId) -> bool,
    ) -> bool {
        for _ in 0..LOOKS {
            // ORDERING: acquire: feeds `alive`.
            let word = Entry::from_bits(self.entry(index).load(Acquire));
            match word.state() {
                Some(State::Held(owner)) if !alive(owner) => {
                    return self.release(Hold { index, word }, limit) == Ok(true);
                }
                Some(State::Claimed(owner)) if !alive(owner) => {
                    if self.end_claim(Claim { index, word }) != Ok(false) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
        false
    }

    /// Ends the claim of a dead owner; false if it had committed, or somebody was faster.
    fn end_claim(&self, claim: Claim) -> Result<bool, Corrupt> {
        // After the question: had it committed and nobody come after, this makes the entry held.
        self.settled()?;
        Ok(self.unclaim(claim))
    }
}
