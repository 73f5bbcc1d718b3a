//! The directory of names as it lies in shared memory; protocol, orderings and deaths are in the
//! head of the module above.

use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use super::name::{NAME_WORDS, Name};
use crate::arena::{Arena, Holds, Who};

/// How many names a segment can have.
pub const ENTRIES: u32 = 1024;

/// States of an entry.
pub mod state {
    /// No name. Zero.
    pub const EMPTY: u32 = 0;
    /// A member claims the entry and looks whether the name is to be had.
    pub const TRY: u32 = 1;
    /// A member has the name to itself and makes the object.
    pub const BUILD: u32 = 2;
    /// The name names what `object` names.
    pub const READY: u32 = 3;
    /// A member takes the name away.
    pub const DEL: u32 = 4;
}

/// The word of an entry: `state:3 | owner or generation:29 | hash:32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryWord(u64);

const STATE_SHIFT: u32 = 61;
const MIDDLE_SHIFT: u32 = 32;
const MIDDLE_MASK: u64 = (1 << 29) - 1;
const HASH_MASK: u64 = 0xffff_ffff;

impl EntryWord {
    /// The word of an entry without a name.
    pub const EMPTY: Self = Self(0);

    /// Packs a word; `middle` (an owner, or the generation if it is `READY`) is cut to its bits.
    #[must_use]
    pub fn new(state: u32, middle: u32, hash: u32) -> Self {
        Self(
            (u64::from(state) << STATE_SHIFT)
                | ((u64::from(middle) & MIDDLE_MASK) << MIDDLE_SHIFT)
                | u64::from(hash),
        )
    }

    /// The word as stored in shared memory.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// One of the states of [`state`], or a number that is none.
    #[must_use]
    pub fn state(self) -> u32 {
        (self.0 >> STATE_SHIFT) as u32
    }

    /// The owner's id.
    #[must_use]
    pub fn owner(self) -> u32 {
        ((self.0 >> MIDDLE_SHIFT) & MIDDLE_MASK) as u32
    }

    /// The hash of the name.
    #[must_use]
    pub fn hash(self) -> u32 {
        (self.0 & HASH_MASK) as u32
    }

    /// The same name in another state.
    #[must_use]
    pub fn to(self, state: u32, middle: u32) -> Self {
        Self::new(state, middle, self.hash())
    }

    /// Tells whether a member builds or tries to build this name.
    pub(super) fn is_building(self) -> bool {
        matches!(self.state(), state::TRY | state::BUILD)
    }

    /// Tells whether a member's claim lies on the entry, so that its death would leave it to others.
    pub(super) fn is_claimed(self) -> bool {
        !matches!(self.state(), state::EMPTY | state::READY)
    }
}

/// One name.
#[repr(C, align(128))]
pub(super) struct Entry {
    /// [`EntryWord`].
    word: AtomicU64,
    /// The place that names the object's block.
    pub(super) object: AtomicU64,
    /// The generation of the last name that was here.
    generation: AtomicU64,
    spare: AtomicU64,
    name: [AtomicU64; NAME_WORDS],
}

const _: () = assert!(size_of::<Entry>() == 128 && offset_of!(Entry, name) == 32);

impl Entry {
    pub(super) fn load(&self) -> EntryWord {
        // ORDERING: SeqCst, for *second look* and *hazard*.
        EntryWord(self.word.load(SeqCst))
    }

    /// Moves the word on, if it is exactly `from`.
    pub(super) fn swap(&self, from: EntryWord, to: EntryWord) -> bool {
        // ORDERING: SeqCst, for *second look* and *hazard*; release side of *ready*.
        self.word.compare_exchange(from.0, to.0, SeqCst, SeqCst).is_ok()
    }

    /// Reads the name while the word is `seen`. `None`: the word changed meanwhile, look again.
    /// `Some(None)`: what is there is no name.
    pub(super) fn name(&self, seen: EntryWord) -> Option<Option<Name>> {
        let words = core::array::from_fn(|i| self.name[i].load(Relaxed));
        // ORDERING: acquire side of *name*: had one of these words been of a later name, the word
        // read next would not be `seen`.
        fence(Acquire);
        (self.load() == seen).then(|| Name::from_words(words))
    }

    /// Tells whether the entry, `READY` as `seen`, has this name. `None`: it changed meanwhile.
    pub(super) fn has(&self, seen: EntryWord, name: &Name) -> Option<bool> {
        if seen.hash() != name.hash {
            return Some(false);
        }
        self.name(seen).map(|found| found == Some(*name))
    }

    /// Writes the name and draws a generation. The entry is `BUILD` by me.
    pub(super) fn set_name(&self, name: &Name) -> u32 {
        // ORDERING: SeqCst, as `clear`.
        self.object.store(0, SeqCst);
        // ORDERING: release side of *name*: who reads one of these words sees the entry claimed.
        fence(Release);
        for (to, word) in self.name.iter().zip(name.words) {
            to.store(word, Relaxed);
        }
        let generation = self.generation.load(Relaxed).wrapping_add(1) & MIDDLE_MASK;
        self.generation.store(generation, Relaxed);
        generation as u32
    }

    /// The place becomes empty; returns what it named. The entry is mine.
    pub(super) fn clear(&self) -> u64 {
        // ORDERING: SeqCst: between the word's change and the arena's look at the holds (*hazard*).
        self.object.swap(0, SeqCst)
    }
}

/// The names of a segment and the holds on their objects. Valid, and empty, when zeroed.
#[repr(C)]
pub struct Directory {
    entries: [Entry; ENTRIES as usize],
    pub(super) holds: Holds,
}

const _: () = assert!(
    size_of::<Directory>() == ENTRIES as usize * 128 + 128 + 4096 * 16
        && align_of::<Directory>() == 128
);

impl Directory {
    /// Where the [`Holds`] lie in the directory: the arena must be attached
    /// [with them](Arena::with_holds).
    pub const HOLDS_OFFSET: usize = offset_of!(Self, holds);

    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.entries)
    }

    pub(super) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// The word of entry `index`, for tests.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    #[must_use]
    pub fn word(&self, index: u32) -> &AtomicU64 {
        &self.entries[index as usize].word
    }

    /// The place of entry `index`: the offset in the segment of the word that names the object.
    ///
    /// # Panics
    ///
    /// If there is no such entry, or the directory is not in the arena's segment.
    #[must_use]
    pub fn place(&self, index: u32, arena: &Arena) -> u64 {
        arena.place_of(&self.entries[index as usize].object)
    }

    /// The owner of a claimed entry, if it is alive.
    pub(super) fn living(seen: EntryWord, who: &Who<'_>) -> bool {
        !who.is_dead(seen.owner())
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("names", &self.list()).finish_non_exhaustive()
    }
}
