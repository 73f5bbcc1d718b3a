//! What an arena has to say for itself.

use std::cell::RefCell;

use super::Fault;
use super::ledger::{Ledger, Part};
use crate::dice::Dice;

/// One part of a cast.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// What whoever plays it does, as the report of a hang calls it.
    pub name: &'static str,
    /// Whether it is killed in this slice.
    pub mortal: bool,
    /// Whether whoever plays it is also stopped and let go on now and then.
    pub stoppable: bool,
    /// The stage of the end in which it leaves, 1 or more.
    pub leaves: u64,
}

impl Role {
    /// A part that is killed and stopped, and leaves in the first stage of the end.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, mortal: true, stoppable: true, leaves: 1 }
    }

    /// The same, killed or not.
    #[must_use]
    pub const fn mortal(mut self, mortal: bool) -> Self {
        self.mortal = mortal;
        self
    }

    /// The same, leaving in another stage.
    #[must_use]
    pub const fn leaves(mut self, stage: u64) -> Self {
        self.leaves = stage;
        self
    }
}

/// One slice of an arena: the objects, who works on them, and what must be so.
///
/// It is made in the director; the members have it by fork.
pub trait Scene {
    /// The parts.
    fn cast(&self) -> Vec<Role>;

    /// Names of what [`Part::set_doing`] notes.
    fn doings(&self) -> &'static [&'static str] {
        &[]
    }

    /// How many times as long as usual it is between strikes, where a death costs all some time.
    fn pace(&self) -> u64 {
        1
    }

    /// Plays a part in a process of its own, until [`Member::leaves`].
    ///
    /// # Errors
    /// Whatever it sees that must not be.
    fn play(&self, member: &Member<'_>) -> Result<(), Fault>;

    /// A process that played `part` was killed and has ended; another one will take the part.
    ///
    /// # Errors
    /// If its operations do not add up.
    fn mourn(&self, part: usize, ledger: &Ledger) -> Result<(), Fault> {
        let _ = (part, ledger);
        Ok(())
    }

    /// A stage of the end begins: those before it have left.
    fn stage(&self, stage: u64) {
        let _ = stage;
    }

    /// Called again and again while those of a stage have not all left: for who might wait for
    /// others that are gone for good.
    fn nudge(&self, stage: u64) {
        let _ = stage;
    }

    /// All have left: accounts for everything. A line of what else is worth telling comes back.
    ///
    /// # Errors
    /// What does not add up.
    fn account(&self, ledger: &Ledger) -> Result<String, Fault>;

    /// The state of the objects, for the report of a hang.
    fn describe(&self) -> String;
}

/// A process that plays a part.
#[derive(Debug)]
pub struct Member<'a> {
    ledger: &'a Ledger,
    number: usize,
    leaves: u64,
    dice: RefCell<Dice>,
}

impl<'a> Member<'a> {
    /// A member for part `number`.
    #[must_use]
    pub fn new(ledger: &'a Ledger, number: usize, leaves: u64, seed: u64) -> Self {
        Self { ledger, number, leaves, dice: RefCell::new(Dice::new(seed)) }
    }

    /// The number of the part.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &'a Ledger {
        self.ledger
    }

    /// The words of the part.
    #[must_use]
    pub fn part(&self) -> Part<'a> {
        self.ledger.part(self.number)
    }

    /// Whether it is time to leave.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.ledger.stage() >= self.leaves
    }

    /// A number below `sides`.
    pub fn roll(&self, sides: u64) -> u64 {
        self.dice.borrow_mut().roll(sides)
    }

    /// An index below `length`.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).unwrap_or(0)
    }

    /// Now and then spends some microseconds, so that more deaths come where it is called.
    pub fn linger(&self) {
        if self.roll(4) == 0 {
            self.dice.borrow_mut().dither();
        }
    }
}
