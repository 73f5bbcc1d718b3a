//! Rows, totals, table.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::director::Storm;
use super::ledger::{Ledger, PARTS};
use super::{Fault, Kind};

/// What became of one slice, or of all slices of an arena together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// The arena.
    pub arena: String,
    /// Which of its slices, or how many.
    pub round: u64,
    /// The seed of the slice.
    pub seed: u64,
    /// How long it took, with setting up and accounting.
    pub seconds: f64,
    /// Operations finished.
    pub operations: u64,
    /// Members killed.
    pub kills: u64,
    /// Members stopped and let go on.
    pub stops: u64,
    /// The longest time in which nothing was finished.
    pub stall_ms: f64,
    /// What else the arena has to tell.
    pub note: String,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Row {
    /// A row for a slice that could not be played.
    #[must_use]
    pub fn failed(arena: &str, round: u64, seed: u64, fault: Fault) -> Self {
        Self { arena: arena.to_owned(), round, seed, faults: vec![fault], ..Self::default() }
    }

    pub(super) fn take(&mut self, storm: &Storm<'_>, ledger: &Ledger) {
        self.operations = (0..PARTS).map(|part| ledger.part(part).progress()).sum();
        (self.kills, self.stops) = (storm.kills, storm.stops);
        self.stall_ms = storm.stall().as_secs_f64() * 1e3;
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds another slice to a total.
    pub fn add(&mut self, row: &Self) {
        self.round += 1;
        self.seconds += row.seconds;
        self.operations += row.operations;
        self.kills += row.kills;
        self.stops += row.stops;
        self.stall_ms = self.stall_ms.max(row.stall_ms);
        self.faults.extend(row.faults.iter().cloned());
    }

    fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }
}

impl fmt::Display for Row {
    /// The line of a slice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_green() { "ok " } else { "RED" };
        write!(
            f,
            "{verdict} {:<16} #{:<4} {:>5.1} s {:>10} operations {:>5} kills {:>4} stops, stall {:>6.1} ms",
            self.arena,
            self.round,
            self.seconds,
            self.operations,
            self.kills,
            self.stops,
            self.stall_ms,
        )?;
        if !self.note.is_empty() {
            write!(f, ", {}", self.note)?;
        }
        if !self.is_green() {
            write!(f, ", slice seed {:#x}", self.seed)?;
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n    {fault}"))
    }
}

/// The totals of each arena, in their order, and of all.
#[must_use]
pub fn totals(rows: &[Row]) -> Vec<Row> {
    let mut totals: Vec<Row> = Vec::new();
    let mut all = Row { arena: "all".to_owned(), ..Row::default() };
    for row in rows {
        let at = totals.iter().position(|total| total.arena == row.arena).unwrap_or_else(|| {
            totals.push(Row { arena: row.arena.clone(), ..Row::default() });
            totals.len() - 1
        });
        totals[at].add(row);
        all.add(row);
    }
    totals.push(all);
    totals
}

/// The table at the end, in Markdown.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| arena | slices | seconds | operations | kills | stops | longest stall ms |",
    );
    let mut rule = String::from("|---|---:|---:|---:|---:|---:|---:|");
    for kind in Kind::ALL {
        let _ = write!(text, " {} |", kind.name());
        rule += "---:|";
    }
    let _ = write!(text, "\n{rule}");
    for row in totals(rows) {
        let _ = write!(
            text,
            "\n| {} | {} | {:.0} | {} | {} | {} | {:.1} |",
            row.arena, row.round, row.seconds, row.operations, row.kills, row.stops, row.stall_ms
        );
        for kind in Kind::ALL {
            let _ = write!(text, " {} |", row.count(kind));
        }
    }
    text
}
