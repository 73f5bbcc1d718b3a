//! One row of the table: our time or rate beside a reference's, in interleaved rounds.

use serde::Serialize;

/// What a row measures and what it must reach.
#[derive(Debug)]
pub struct Figure {
    /// Short name, such as `queue.1x1.try`.
    pub key: &'static str,
    /// What is measured against what.
    pub what: &'static str,
    /// Whether the numbers are times (smaller is better) or rates.
    pub unit: Unit,
    /// The ratio ours / reference that is to be reached.
    pub target: f64,
    /// One round of ours and one of the reference, for the given effort.
    pub ours: fn(&Effort) -> anyhow::Result<f64>,
    /// As `ours`.
    pub reference: fn(&Effort) -> anyhow::Result<f64>,
}

/// What the numbers of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds for one operation; at most `target` times the reference.
    Nanoseconds,
    /// Operations a second; at least `target` times the reference.
    PerSecond,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds of each side.
    pub rounds: u32,
    /// Operations are scaled by this: 100 is full effort.
    pub percent: u64,
}

impl Effort {
    /// `full` operations at full effort.
    #[must_use]
    pub fn operations(&self, full: u64) -> u64 {
        (full * self.percent / 100).max(1)
    }
}

/// A measured row.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Short name.
    pub key: &'static str,
    /// What was measured against what.
    pub what: &'static str,
    /// Our median.
    pub ours: f64,
    /// The reference's median.
    pub reference: f64,
    /// ours / reference.
    pub ratio: f64,
    /// As printed in the table: `<= 1.25 x` or `>= 3 x`.
    pub target: String,
    /// Whether the target was reached.
    pub ok: bool,
    /// `ns` or `/s`; the table's, not in the JSON contract.
    #[serde(skip)]
    pub unit: &'static str,
}

impl Figure {
    /// Measures both sides in turn, the order changing from round to round.
    ///
    /// # Errors
    ///
    /// Whatever a side failed with.
    pub fn measure(&self, effort: &Effort) -> anyhow::Result<Row> {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for round in 0..effort.rounds {
            if round % 2 == 0 {
                reference.push((self.reference)(effort)?);
                ours.push((self.ours)(effort)?);
            } else {
                ours.push((self.ours)(effort)?);
                reference.push((self.reference)(effort)?);
            }
        }
        let (ours, reference) = (median(&mut ours), median(&mut reference));
        let ratio = ours / reference;
        let (sign, ok, unit) = match self.unit {
            Unit::Nanoseconds => ("<=", ratio <= self.target, "ns"),
            Unit::PerSecond => (">=", ratio >= self.target, "/s"),
        };
        let target = format!("{sign} {} x", self.target);
        let (key, what) = (self.key, self.what);
        Ok(Row { key, what, ours, reference, ratio, target, ok, unit })
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
