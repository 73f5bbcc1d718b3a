//! Taking names away, and cleaning up after the dead.

use super::name::Name;
use super::raw::{Directory, Entry, EntryWord, state};
use crate::arena::{Arena, Census, Magazines, Who};

/// How often to look at an entry that changes under the look.
const ROUNDS: u32 = 100;

/// Why a name could not be removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is no such name.
    #[error("there is no such name")]
    NotFound,
    /// An entry changes without end.
    #[error("the directory of names is corrupt: an entry does not come to rest")]
    Corrupt,
}

/// A name that is gone, whose entry is still to be emptied: an entry in `DEL`.
#[derive(Debug)]
#[must_use = "the entry stays in use until it is emptied"]
pub struct Removed {
    index: u32,
    word: EntryWord,
}

impl Directory {
    /// Removes a name, and frees its block unless somebody holds it: then it is freed at the last
    /// [`close`](Self::close). Returns what the name named.
    ///
    /// Never blocks. If this process dies within, either the name is still there, or it is gone and
    /// [`clean`](Self::clean) frees the rest.
    ///
    /// # Errors
    ///
    /// [`RemoveError`].
    pub fn remove(
        &self,
        name: &Name,
        arena: &Arena,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Result<u64, RemoveError> {
        let removed = self.mark_removed(name, who)?;
        let reference = self.empty(&removed);
        arena.drop_ref(reference, who, magazines);
        Ok(reference)
    }

    /// Step 1 of [`remove`](Self::remove), the commit: the name is gone.
    ///
    /// # Errors
    ///
    /// [`RemoveError`].
    pub fn mark_removed(&self, name: &Name, who: &Who<'_>) -> Result<Removed, RemoveError> {
        for (index, entry) in self.entries() {
            if let Some(word) = unname(entry, name, who)? {
                return Ok(Removed { index, word });
            }
        }
        Err(RemoveError::NotFound)
    }

    /// Step 2 of [`remove`](Self::remove): the entry names nothing, and is empty. Returns what it
    /// named.
    pub fn empty(&self, removed: &Removed) -> u64 {
        let Some(entry) = self.entry(removed.index) else { return 0 };
        let reference = entry.clear();
        entry.swap(removed.word, EntryWord::EMPTY);
        reference
    }

    /// Empties the entries that dead members left in `TRY`, `BUILD` or `DEL`, and frees their blocks
    /// unless somebody holds them. Returns how many entries it emptied.
    ///
    /// Never blocks. For whoever is short of memory (the arena cannot reclaim a block that such an
    /// entry still names) or buries a dead member; entries are taken over without it.
    pub fn clean(&self, arena: &Arena, who: &Who<'_>, magazines: &mut Magazines) -> usize {
        let mut census = Census::new(who);
        let mut emptied = 0;
        for (index, entry) in self.entries() {
            let seen = entry.load();
            if !seen.is_claimed() || !census.is_dead(seen.owner()) {
                continue;
            }
            let word = seen.to(state::DEL, who.me.get());
            if entry.swap(seen, word) {
                let reference = self.empty(&Removed { index, word });
                arena.drop_ref(reference, who, magazines);
                emptied += 1;
            }
        }
        emptied
    }
}

/// Takes the name away if the entry has it. `Ok(None)`: it has not.
fn unname(entry: &Entry, name: &Name, who: &Who<'_>) -> Result<Option<EntryWord>, RemoveError> {
    for _ in 0..ROUNDS {
        let seen = entry.load();
        if seen.state() != state::READY {
            return Ok(None);
        }
        match entry.has(seen, name) {
            Some(false) => return Ok(None),
            Some(true) => {
                let gone = seen.to(state::DEL, who.me.get());
                // commit: the name is gone.
                if entry.swap(seen, gone) {
                    return Ok(Some(gone));
                }
            }
            None => {}
        }
    }
    Err(RemoveError::Corrupt)
}
