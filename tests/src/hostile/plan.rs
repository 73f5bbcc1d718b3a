//! What happens in a round: follows from the seed and the number of the round alone.
//!
//! Even rounds go through every word of a region and every value in turn, in an order that the
//! seed shuffles: one write, before the calls or at some point in their middle. Odd rounds throw dice: bursts,
//! storms while calls are in progress, one word hammered without a pause.

use std::time::Duration;

use super::map::Region;
use super::values::{Ids, any, values};
use crate::dice::Dice;

/// One word and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) word: usize,
    pub(super) value: u64,
}

/// When the writes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// All of them before the calls.
    Before,
    /// At that point in the middle of the calls, and the others at the points after it.
    At(u64),
    /// Again and again at any moment.
    Storm,
    /// The first word, without a pause.
    Hammer,
}

/// A round.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) round: u64,
    /// Index of the region whose row counts it.
    pub(super) region: usize,
    pub(super) writes: Vec<Write>,
    pub(super) when: When,
    /// Turns of the players, the memory left as it is between them.
    pub(super) passes: u32,
    /// Whether the second player plays too.
    pub(super) both: bool,
    /// Whether somebody comes who was not there before.
    pub(super) visitor: bool,
    pub(super) patience: Duration,
    /// Primitives that are played, a bit each.
    pub(super) chosen: u64,
}

/// What plans are made from.
#[derive(Debug)]
pub(super) struct Planner<'s> {
    pub(super) seed: u64,
    pub(super) regions: &'s [Region],
    /// Indexes of the regions that are written to.
    pub(super) targets: &'s [usize],
    pub(super) primitives: usize,
    /// The segment before any write.
    pub(super) base: &'s [u64],
    pub(super) ids: Ids,
}

impl Planner<'_> {
    /// How many single writes there are to a region.
    pub(super) fn singles(&self, region: usize) -> u64 {
        let values = values(0, self.ids, [0; 6]).len() as u64;
        self.regions[region].words.len() as u64 * values
    }

    pub(super) fn plan(&self, round: u64) -> Plan {
        let turn = round / 2;
        let targets = self.targets.len() as u64;
        let region = self.targets[usize::try_from(turn % targets).unwrap_or(0)];
        let mut dice = Dice::new(self.seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
        for _ in 0..4 {
            dice.roll(2);
        }
        // Only those who sleep for long have a record among the sleepers, and see deaths.
        let long = dice.roll(if self.regions[region].name == "waits" { 2 } else { 64 }) == 0;
        let mut plan = Plan {
            round,
            region,
            writes: Vec::new(),
            when: When::Before,
            passes: 1,
            both: false,
            visitor: self.regions[region].primitive.is_none() && dice.roll(2) == 0
                || dice.roll(16) == 0,
            patience: Duration::from_micros(if long { 40_000 } else { 100 + dice.roll(500) }),
            chosen: self.chosen(region, &mut dice),
        };
        if round % 2 == 0 {
            self.single(&mut plan, turn / targets, &mut dice);
        } else {
            self.thrown(&mut plan, &mut dice);
        }
        plan
    }

    /// Those whose words are written to; for tables, the segment and two or three others.
    fn chosen(&self, region: usize, dice: &mut Dice) -> u64 {
        match self.regions[region].primitive {
            Some(primitive) => 1 << primitive,
            None => (0..2).fold(1, |chosen, _| chosen | 1 << dice.roll(self.primitives as u64)),
        }
    }

    fn single(&self, plan: &mut Plan, count: u64, dice: &mut Dice) {
        let words = &self.regions[plan.region].words;
        let singles = self.singles(plan.region);
        // A step that has no divisor in common with it goes through all of them.
        let step =
            (0..).map(|more| singles / 3 * 2 + 1 + more).find(|&step| gcd(step, singles) == 1);
        let at = count.wrapping_mul(step.unwrap_or(1)).wrapping_add(self.seed) % singles;
        let word = words[usize::try_from(at % words.len() as u64).unwrap_or(0)];
        let chosen = usize::try_from(at / words.len() as u64).unwrap_or(0);
        let value = values(self.base[word], self.ids, self.copies(plan.region, dice))[chosen];
        plan.writes.push(Write { word, value });
        plan.when = match dice.roll(6) {
            moment @ 1..=3 => When::At(moment),
            _ => When::Before,
        };
    }

    fn thrown(&self, plan: &mut Plan, dice: &mut Dice) {
        plan.when = match dice.roll(8) {
            0 | 1 => When::Before,
            2 => When::At(1 + dice.roll(4)),
            3..=5 => When::Storm,
            _ => When::Hammer,
        };
        plan.both = dice.roll(2) == 0;
        plan.passes = 1 + u32::try_from(dice.roll(3)).unwrap_or(0);
        let count = if plan.when == When::Hammer { 2 + dice.roll(2) } else { 1 + dice.roll(24) };
        let first = self.word(plan.region, dice);
        for _ in 0..count {
            let word = if plan.when == When::Hammer { first } else { self.word(plan.region, dice) };
            let copies = self.copies(plan.region, dice);
            plan.writes.push(Write { word, value: any(self.base[word], self.ids, copies, dice) });
        }
        if plan.when == When::Hammer && dice.roll(2) == 0 {
            // Back to what is right, again and again.
            plan.writes[0].value = self.base[first];
        }
    }

    /// A word of the region, mostly.
    fn word(&self, region: usize, dice: &mut Dice) -> usize {
        let region =
            if dice.roll(5) == 0 { self.targets[dice.index(self.targets)] } else { region };
        let words = &self.regions[region].words;
        words[dice.index(words)]
    }

    /// Words from elsewhere: near ones, and any.
    fn copies(&self, region: usize, dice: &mut Dice) -> [u64; 6] {
        let near = &self.regions[region].words;
        std::array::from_fn(|copy| {
            let other = &self.regions[dice.index(self.regions)].words;
            let words = if copy < 3 { near } else { other };
            self.base[words[dice.index(words)]]
        })
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
