//! The table at the end, and what went wrong.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::answer::{HEADS, KINDS};
use super::round::Found;

/// What came of all rounds that wrote to one region.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The primitive or table that was written to.
    pub name: &'static str,
    /// Words of it that are in use.
    pub words: usize,
    /// Rounds played.
    pub rounds: u64,
    /// Words written.
    pub writes: u64,
    /// Calls made, by what they answered.
    pub answers: Vec<(&'static str, u64)>,
    /// The longest call.
    pub worst_ms: f64,
    /// Which that was, in which round.
    pub worst_call: String,
    /// Calls that were late once and not again: a busy machine.
    pub late_once: u64,
    /// What must not happen, and did.
    pub failures: u64,
}

/// Something that must not happen.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The round.
    pub round: u64,
    /// What was written to.
    pub region: &'static str,
    /// When, and what: byte offset, old word, new word.
    pub writes: String,
    /// What happened.
    pub what: String,
}

/// Everything that a campaign found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Rounds played.
    pub rounds: u64,
    /// Single writes that there are, and how many of them were made.
    pub singles: u64,
    /// See `singles`.
    pub singles_made: u64,
    /// How long it took.
    pub seconds: f64,
    /// A row for each region.
    pub rows: Vec<Row>,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

impl Row {
    pub(super) fn new(name: &'static str, words: usize) -> Self {
        let answers = HEADS.iter().map(|&head| (head, 0)).collect();
        let worst_call = String::new();
        let (rounds, writes, worst_ms, late_once, failures) = (0, 0, 0.0, 0, 0);
        Self { name, words, rounds, writes, answers, worst_ms, worst_call, late_once, failures }
    }

    pub(super) fn count(&mut self, round: u64, found: &Found) {
        self.rounds += 1;
        self.writes += found.writes;
        for ((_, sum), count) in self.answers.iter_mut().zip(found.answers) {
            *sum += count;
        }
        let (took, call) = &found.worst;
        if ms(*took) > self.worst_ms {
            self.worst_ms = ms(*took);
            self.worst_call = format!("{call}, round {round}");
        }
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, round, region, writes, what } = self;
        writeln!(f, "FAILED: {what}")?;
        writeln!(f, "    written to {region}: {writes}")?;
        write!(f, "    again with: --seed {seed} --round {round}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| written to | words | rounds | writes |")?;
        for head in HEADS {
            write!(f, " {head} |")?;
        }
        writeln!(f, " worst ms | late once | failures |")?;
        writeln!(f, "|---|{}", "---:|".repeat(KINDS + 6))?;
        for row in &self.rows {
            write!(f, "| {} | {} | {} | {} |", row.name, row.words, row.rounds, row.writes)?;
            for (_, count) in &row.answers {
                write!(f, " {count} |")?;
            }
            writeln!(f, " {:.1} | {} | {} |", row.worst_ms, row.late_once, row.failures)?;
        }
        let calls: u64 =
            self.rows.iter().flat_map(|row| &row.answers).map(|(_, count)| count).sum();
        let writes: u64 = self.rows.iter().map(|row| row.writes).sum();
        write!(
            f,
            "seed {}: {} rounds, {writes} writes, {calls} calls, {} failures, {:.0} s; {} of {} \
             single writes made",
            self.seed,
            self.rounds,
            self.failures.len(),
            self.seconds,
            self.singles_made,
            self.singles,
        )
    }
}
