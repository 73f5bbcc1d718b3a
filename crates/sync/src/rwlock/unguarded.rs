//! Leaving without a guard at hand: for interfaces that have guards of their own.

use super::handle::RwLock;
use crate::error::NotHeld;
use crate::raw::News;

impl RwLock {
    /// Ends a read of the calling thread.
    pub(crate) fn unlock_read(&self) -> Result<(), NotHeld> {
        let me = self.me();
        let place = self.row().iter().find(|place| place.is_held_by(me)).ok_or(NotHeld)?;
        self.leave(place, me)
    }

    /// Ends the write of the calling thread.
    pub(crate) fn unlock_write(&self) -> Result<(), NotHeld> {
        let me = self.me();
        // Before anything is changed: the writer may be this process's parent.
        if !self.raw().is_held_by(me) {
            return Err(NotHeld);
        }
        self.leave_writer(me, News::Released)
    }

    /// Whether there is a writer, and whether there is anybody: a snapshot.
    pub(crate) fn occupied(&self) -> (bool, bool) {
        let writer = self.raw().word().owner().is_some();
        (writer, writer || self.row().iter().any(|place| !place.word().lets_pass()))
    }
}
