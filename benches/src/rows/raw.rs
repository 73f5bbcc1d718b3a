//! The limits of the machine: a bare cache line and a bare futex going to and fro between two
//! processes.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use crossproc::Segment;
use crossproc::prelude::*;
use crossproc_sys::{futex, map::Mapping};
use std::os::fd::AsFd;

/// The word that goes to and fro, in shared memory, as an example of the segment crate's ground:
/// a page of its own.
pub(super) struct Word(Mapping);

impl Word {
    /// Maps the last page of a segment made for this.
    pub(super) fn of(segment: &Segment) -> Result<Self, Failure> {
        Ok(Self(Mapping::shared(segment.as_fd(), segment.size())?))
    }

    fn word(&self) -> &AtomicU32 {
        let last = self.0.len() - 4096;
        // SAFETY: the page lies inside the mapping.
        let page = unsafe { self.0.as_ptr().add(last) };
        // SAFETY: it is aligned, mapped while `self` lives, and only touched as an atomic: nothing
        // is ever allocated in this segment.
        unsafe { page.cast::<AtomicU32>().as_ref() }
    }

    /// Spins until the word is `mine`, then makes it `theirs`.
    pub(super) fn spin(&self, mine: u32, theirs: u32) {
        // ORDERING: this turn follows what the other side did in its turn.
        while self.word().load(Acquire) != mine {
            std::hint::spin_loop();
        }
        // ORDERING: the other side's turn follows this one.
        self.word().store(theirs, Release);
    }

    /// Sleeps until the word is `mine`.
    pub(super) fn await_turn(&self, mine: u32) {
        // ORDERING: as in `spin`.
        while self.word().load(Acquire) != mine {
            let _ = futex::wait(self.word(), 1 - mine, None);
        }
    }

    /// Makes the word `theirs` and wakes the other side.
    pub(super) fn pass(&self, theirs: u32) {
        // ORDERING: as in `spin`.
        self.word().store(theirs, Release);
        futex::wake(self.word(), 1);
    }
}
