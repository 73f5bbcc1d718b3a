//! The arenas.

use crossproc::Segment;

use super::Fault;
use super::scene::Scene;
use super::schedule::mix;
use crate::dice::Dice;

mod attach;
mod barrier;
mod books;
mod condvar;
mod event;
mod family;
mod items;
mod leases;
mod line;
mod lock;
mod names;
mod once;
mod parcels;
mod pipe;
mod pipeline;
mod queue;
mod rwlock;
mod semaphore;
mod value;

/// One arena: a kind of scene, and what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Arena {
    /// Its name.
    pub name: &'static str,
    /// What it does, for `--list`.
    pub about: &'static str,
    /// Bytes of the segment.
    pub bytes: usize,
    /// Words of its own in the ledger.
    pub extra_words: usize,
    /// Builds a scene.
    pub build: fn(&Setting) -> Result<Box<dyn Scene>, Fault>,
}

/// Where a scene is built.
#[derive(Debug)]
pub struct Setting {
    /// A segment for this slice alone; anonymous or named as the seed says.
    pub segment: Segment,
    /// The name of the segment, if it has one.
    pub name: Option<String>,
    /// The seed of the scene's own choices.
    pub seed: u64,
}

impl Setting {
    /// Makes the segment.
    ///
    /// # Errors
    /// What keeps it from being made.
    pub fn new(arena: &Arena, seed: u64) -> Result<Self, Fault> {
        let name = mix(seed, 3) % 2 == 0;
        let name = name.then(|| format!("{}{:x}", crate::traces::own_name("storm"), seed));
        let segment = match &name {
            Some(name) => Segment::create(name, arena.bytes),
            None => Segment::anonymous(arena.bytes),
        };
        let segment = segment.map_err(|error| Fault::wrong("the segment", error))?;
        Ok(Self { segment, name, seed: mix(seed, 4) })
    }

    /// Dice for the scene's own choices.
    #[must_use]
    pub fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // That it is gone is seen by looking at what is left.
            let _ = Segment::unlink(name);
        }
    }
}

/// What was asked for, or a fault that says what it was.
fn made<T>(what: &str, result: Result<T, impl std::fmt::Display>) -> Result<T, Fault> {
    result.map_err(|error| Fault::wrong(what, error))
}

/// All arenas.
#[must_use]
pub fn all() -> Vec<Arena> {
    [
        lock::arenas(),
        value::arenas(),
        queue::arenas(),
        leases::arenas(),
        parcels::arenas(),
        pipe::arenas(),
        pipeline::arenas(),
        names::arenas(),
        attach::arenas(),
        family::arenas(),
        semaphore::arenas(),
        rwlock::arenas(),
        condvar::arenas(),
        once::arenas(),
        event::arenas(),
        barrier::arenas(),
    ]
    .concat()
}
