//! Making a name: claim an entry, look again at all others, build, commit.

use core::hint::spin_loop;

use super::name::Name;
use super::raw::{Directory, Entry, EntryWord, state};
use crate::arena::{Arena, Block, Magazines, Who};
use crate::member::MemberId;

/// How long to wait for a rival's claim, which lasts for one look over the entries.
const PATIENCE: u32 = 200;
/// How often to look for an entry when others take those found.
const ROUNDS: u32 = 4;

/// Why a name could not be begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BeginError {
    /// The name is there: open it.
    #[error("the name exists")]
    Exists,
    /// A living member makes this name (or one of the same hash) this moment: look again later.
    #[error("{0} is making the name")]
    Busy(MemberId),
    /// All entries are in use.
    #[error("the segment has no room for another name")]
    Full,
    /// The entry changed under our claim.
    #[error("the directory of names is corrupt")]
    Corrupt,
}

/// Why a name could not be committed. The block has been freed, or will be reclaimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the directory of names is corrupt: the entry changed while its object was made")]
pub struct Lost;

/// A name that is claimed, not yet visible: an entry in `BUILD`. Ends by
/// [`commit`](Directory::commit) or [`abandon`](Directory::abandon); dropped, the name stays taken
/// until this process ends.
#[derive(Debug)]
#[must_use = "the name stays taken until it is committed or abandoned"]
pub struct Building {
    index: u32,
    word: EntryWord,
    generation: u32,
}

/// An entry in `TRY`.
#[derive(Debug)]
#[must_use = "the entry stays claimed until it is built or given back"]
pub struct Claim {
    index: u32,
    word: EntryWord,
}

impl Directory {
    /// Claims `name`, so that nobody else can make it. Then allocate and fill the object's block, and
    /// [`commit`](Self::commit).
    ///
    /// Never blocks; spins at most some microseconds while a rival claims the same name. If this
    /// process dies before the commit, the name is free again, and so is the block.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; `Busy` names the living rival.
    pub fn begin(&self, name: &Name, who: &Who<'_>) -> Result<Building, BeginError> {
        self.first_look(name, who)?;
        let claim = self.claim(name, who)?;
        if let Err(refused) = self.second_look(&claim, name, who) {
            self.give_back(&claim);
            return Err(refused);
        }
        self.build(claim, name)
    }

    /// Spares a claim where the name is there, or being made, already.
    fn first_look(&self, name: &Name, who: &Who<'_>) -> Result<(), BeginError> {
        for (_, entry) in self.entries() {
            let seen = entry.load();
            if seen.hash() != name.hash {
                continue;
            }
            if seen.state() == state::READY && entry.has(seen, name) == Some(true) {
                return Err(BeginError::Exists);
            }
            if seen.is_building() && Self::living(seen, who) {
                return Err(busy(seen));
            }
        }
        Ok(())
    }

    /// Step 1: claims an empty entry, or one of the dead.
    ///
    /// # Errors
    ///
    /// `Full` if there is none.
    pub fn claim(&self, name: &Name, who: &Who<'_>) -> Result<Claim, BeginError> {
        let word = EntryWord::new(state::TRY, who.me.get(), name.hash);
        for _ in 0..ROUNDS {
            let mut raced = false;
            let mut take = |entry: &Entry, seen| {
                let won = entry.swap(seen, word);
                raced |= !won;
                won
            };
            let empty = |(_, entry): &(u32, &Entry)| {
                entry.load() == EntryWord::EMPTY && take(entry, EntryWord::EMPTY)
            };
            if let Some((index, _)) = self.entries().find(empty) {
                return Ok(Claim { index, word });
            }
            let dead = |(_, entry): &(u32, &Entry)| {
                let seen = entry.load();
                seen.is_claimed() && !Self::living(seen, who) && take(entry, seen)
            };
            if let Some((index, _)) = self.entries().find(dead) {
                return Ok(Claim { index, word });
            }
            if !raced {
                break;
            }
        }
        Err(BeginError::Full)
    }

    /// Step 2: looks at all other entries, now that the own claim can be seen. Of two rivals that
    /// see each other's claims the one with the lower entry goes on.
    ///
    /// # Errors
    ///
    /// `Exists` or `Busy`: [give back](Self::give_back) the claim.
    pub fn second_look(&self, claim: &Claim, name: &Name, who: &Who<'_>) -> Result<(), BeginError> {
        self.entries()
            .filter(|&(index, _)| index != claim.index)
            .try_for_each(|(index, entry)| look_past(entry, index < claim.index, name, who))
    }

    /// Step 3: the name is ours; the entry gets it.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the claim is gone.
    pub fn build(&self, claim: Claim, name: &Name) -> Result<Building, BeginError> {
        let entry = self.entry(claim.index).ok_or(BeginError::Corrupt)?;
        let word = claim.word.to(state::BUILD, claim.word.owner());
        if !entry.swap(claim.word, word) {
            return Err(BeginError::Corrupt);
        }
        let generation = entry.set_name(name);
        Ok(Building { index: claim.index, word, generation })
    }

    /// Ends a claim without a name.
    pub fn give_back(&self, claim: &Claim) {
        if let Some(entry) = self.entry(claim.index) {
            entry.clear();
            entry.swap(claim.word, EntryWord::EMPTY);
        }
    }

    /// Makes the name name `block`, for all to see.
    ///
    /// Never blocks. If this process dies within, either the name is there with its block, or both
    /// are free again.
    ///
    /// # Errors
    ///
    /// [`Lost`], only if bytes were overwritten: the name was not made, the block is gone.
    pub fn commit(
        &self,
        building: Building,
        block: Block,
        arena: &Arena,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Result<(), Lost> {
        if let Err(unpublished) = self.publish(&building, block, arena, who, magazines) {
            arena.free(block, magazines);
            self.abandon(building);
            return Err(unpublished);
        }
        self.ready(&building)
    }

    /// Step 4: the entry's place names the block.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the place was not empty.
    pub fn publish(
        &self,
        building: &Building,
        block: Block,
        arena: &Arena,
        who: &Who<'_>,
        magazines: &mut Magazines,
    ) -> Result<(), Lost> {
        let place = self.place(building.index, arena);
        arena.publish(block, place, 0, who, magazines).map_err(|_| Lost)
    }

    /// Step 5: the name is there.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the entry is not ours any more.
    pub fn ready(&self, building: &Building) -> Result<(), Lost> {
        let entry = self.entry(building.index).ok_or(Lost)?;
        let ready = building.word.to(state::READY, building.generation);
        // commit: whoever opens the name finds it.
        if entry.swap(building.word, ready) { Ok(()) } else { Err(Lost) }
    }

    /// Gives the name up before its commit.
    pub fn abandon(&self, building: Building) {
        if let Some(entry) = self.entry(building.index) {
            entry.clear();
            entry.swap(building.word, EntryWord::EMPTY);
        }
    }
}

/// Looks at one entry of others until it does not stand in the way of `name`, or stops it.
fn look_past(entry: &Entry, is_lower: bool, name: &Name, who: &Who<'_>) -> Result<(), BeginError> {
    let mut seen = entry.load();
    for _ in 0..PATIENCE {
        if seen.hash() != name.hash {
            return Ok(());
        }
        match seen.state() {
            state::READY => match entry.has(seen, name) {
                Some(true) => return Err(BeginError::Exists),
                Some(false) => return Ok(()),
                None => {}
            },
            state::TRY | state::BUILD if !Directory::living(seen, who) => {
                // Nobody's claim any more; what it was building is left for `clean`.
                entry.swap(seen, seen.to(state::DEL, seen.owner()));
            }
            state::TRY if !is_lower => spin_loop(),
            state::TRY | state::BUILD => return Err(busy(seen)),
            _ => return Ok(()),
        }
        seen = entry.load();
    }
    Err(if seen.state() == state::TRY { busy(seen) } else { BeginError::Corrupt })
}

fn busy(seen: EntryWord) -> BeginError {
    MemberId::new(seen.owner()).map_or(BeginError::Corrupt, BeginError::Busy)
}
