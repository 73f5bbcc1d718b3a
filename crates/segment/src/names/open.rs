//! Finding names: open, close, list.

use core::sync::atomic::Ordering::Acquire;

use super::name::Name;
use super::raw::{Directory, Entry, EntryWord, state};
use crate::arena::{Arena, Block, Magazines, Who};
use crate::member::MemberId;

/// How often to look at an entry that changes under the look.
const ROUNDS: u32 = 100;

/// Why a name could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such name.
    #[error("there is no such name")]
    NotFound,
    /// A living member makes this name (or one of the same hash) this moment.
    #[error("{0} is making the name")]
    Busy(MemberId),
    /// The living use all holds of the segment.
    #[error("too many objects of the segment are open at once")]
    HoldsFull,
    /// The entry names no block.
    #[error("the directory of names is corrupt: a name leads nowhere")]
    Corrupt,
}

/// An object that was opened by its name: held until [`close`](Directory::close).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// What the entry named.
    pub reference: u64,
    /// The hold that keeps the block from being freed, of the member that opened.
    pub hold: u32,
    /// Where the block lies in the segment.
    pub offset: u64,
    /// The bytes of the block.
    pub len: u64,
}

/// A name that was there.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name.
    pub name: Name,
    /// Its object's block, perhaps freed by now.
    pub reference: u64,
}

enum Look {
    Opened(u64, u32),
    Elsewhere,
    Building(EntryWord),
}

impl Directory {
    /// Opens a name and holds its object: the block stays as it is, even if the name is removed,
    /// until the hold is [closed](Self::close) or this process ends.
    ///
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(&self, name: &Name, arena: &Arena, who: &Who<'_>) -> Result<Opened, OpenError> {
        let mut refused = OpenError::NotFound;
        for (_, entry) in self.entries() {
            match self.look(entry, name, who)? {
                Look::Opened(reference, hold) => {
                    let Some((offset, len)) = arena.resolve(reference) else {
                        self.holds.release(hold, who.me);
                        return Err(OpenError::Corrupt);
                    };
                    return Ok(Opened { reference, hold, offset, len });
                }
                Look::Building(seen) if Self::living(seen, who) => {
                    refused = MemberId::new(seen.owner()).map_or(refused, OpenError::Busy);
                }
                Look::Building(_) | Look::Elsewhere => {}
            }
        }
        Err(refused)
    }

    fn look(&self, entry: &Entry, name: &Name, who: &Who<'_>) -> Result<Look, OpenError> {
        for _ in 0..ROUNDS {
            let seen = entry.load();
            if seen.hash() != name.hash {
                return Ok(Look::Elsewhere);
            }
            if seen.is_building() {
                return Ok(Look::Building(seen));
            }
            if seen.state() != state::READY {
                return Ok(Look::Elsewhere);
            }
            match entry.has(seen, name) {
                None => continue,
                Some(false) => return Ok(Look::Elsewhere),
                Some(true) => {}
            }
            // ORDERING: acquire side of *ready*; the look after the hold shows that it was current.
            let reference = entry.object.load(Acquire);
            let hold = self.holds.claim(who).ok_or(OpenError::HoldsFull)?;
            self.holds.protect(hold, reference);
            if entry.load() == seen {
                return Ok(Look::Opened(reference, hold));
            }
            self.holds.release(hold, who.me);
        }
        Err(OpenError::Corrupt)
    }

    /// Holds the object of which only the reference is known, as from a ticket.
    ///
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// `NotFound` if no place names the block any more, `HoldsFull`.
    pub fn hold(&self, reference: u64, arena: &Arena, who: &Who<'_>) -> Result<Opened, OpenError> {
        let hold = self.holds.claim(who).ok_or(OpenError::HoldsFull)?;
        self.holds.protect(hold, reference);
        match arena.resolve(reference) {
            // The look after the hold: see *hazard*.
            Some((offset, len)) if arena.is_published(reference) => {
                Ok(Opened { reference, hold, offset, len })
            }
            _ => {
                self.holds.release(hold, who.me);
                Err(OpenError::NotFound)
            }
        }
    }

    /// Holds a block of one's own that is about to get a name: it then stays, even if the name is
    /// removed at once. `None` if the living use all holds of the segment.
    pub fn hold_own(&self, block: &Block, who: &Who<'_>) -> Option<u32> {
        let hold = self.holds.claim(who)?;
        self.holds.protect(hold, block.reference());
        Some(hold)
    }

    /// Gives back a hold; frees the block if it has no name any more and nobody else holds it.
    ///
    /// A hold of another member, which a forked child finds in its copy of a handle, is left alone.
    pub fn close(&self, hold: u32, arena: &Arena, who: &Who<'_>, magazines: &mut Magazines) {
        if let Some(reference) = self.holds.release(hold, who.me) {
            arena.drop_ref(reference, who, magazines);
        }
    }

    /// The names there are, each as it was at some moment within the call.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.entries().filter_map(|(_, entry)| listed(entry)).collect()
    }
}

fn listed(entry: &Entry) -> Option<Listed> {
    for _ in 0..ROUNDS {
        let seen = entry.load();
        if seen.state() != state::READY {
            return None;
        }
        // ORDERING: acquire side of *ready*; `name` looks whether the entry is still the same.
        let reference = entry.object.load(Acquire);
        if let Some(name) = entry.name(seen) {
            return name.map(|name| Listed { name, reference });
        }
    }
    None
}
