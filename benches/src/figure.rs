//! The rows of the table: our time or rate beside a reference's, in interleaved rounds; or below a
//! bound of its own, where there is nothing to measure beside it.

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
    /// Per cent of one core; at most `target` times the reference.
    Percent,
    /// How many there were; at most `target` times the reference.
    Count,
}

/// One measurement and the rows that it gives, each of which has a bound instead of a reference.
#[derive(Debug)]
pub struct Bounded {
    /// The rows.
    pub rows: Vec<Bound>,
    /// Measures once, and gives a number for each of the rows, in their order.
    pub measure: fn(&Effort) -> anyhow::Result<Vec<f64>>,
}

/// A row that must stay below a bound of its own.
#[derive(Debug)]
pub struct Bound {
    /// As [`Figure::key`].
    pub key: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What the number is: not a rate, of which more is better.
    pub unit: Unit,
    /// What it may be at most.
    pub at_most: f64,
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

/// A measured row. A bound stands in the place of the reference.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Short name.
    pub key: &'static str,
    /// What was measured against what.
    pub what: &'static str,
    /// Our median.
    pub ours: f64,
    /// The reference's median, or the bound.
    pub reference: f64,
    /// ours / reference.
    pub ratio: f64,
    /// As printed in the table: `<= 1.25 x`, `>= 3 x` or, for a bound, `<= 30 ms`.
    pub target: String,
    /// Whether the target was reached.
    pub ok: bool,
    /// The table's, not in the JSON contract.
    #[serde(skip)]
    pub unit: Unit,
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
        let (sign, ok) = match self.unit {
            Unit::Nanoseconds | Unit::Percent | Unit::Count => ("<=", ratio <= self.target),
            Unit::PerSecond => (">=", ratio >= self.target),
        };
        let target = format!("{sign} {} x", self.target);
        let (key, what, unit) = (self.key, self.what, self.unit);
        Ok(Row { key, what, ours, reference, ratio, target, ok, unit })
    }
}

impl Bounded {
    /// Measures, and gives all rows.
    ///
    /// # Errors
    ///
    /// Whatever the measurement failed with.
    pub fn measure(&self, effort: &Effort) -> anyhow::Result<Vec<Row>> {
        let measured = (self.measure)(effort)?;
        anyhow::ensure!(measured.len() == self.rows.len(), "a number for each row");
        Ok(self.rows.iter().zip(measured).map(|(bound, ours)| bound.row(ours)).collect())
    }
}

impl Bound {
    fn row(&self, ours: f64) -> Row {
        let &Self { key, what, unit, at_most } = self;
        let target = format!("<= {}", unit.shown(at_most, 0));
        Row {
            key,
            what,
            ours,
            reference: at_most,
            // Of a bound of 0 the number itself tells as much.
            ratio: if at_most == 0.0 { ours } else { ours / at_most },
            target,
            ok: ours <= at_most,
            unit,
        }
    }
}

impl Unit {
    /// A number as the table shows it, with its unit.
    #[must_use]
    pub fn shown(self, value: f64, digits: usize) -> String {
        match self {
            Self::PerSecond => format!("{:.digits$} M/s", value / 1e6),
            Self::Percent => format!("{value:.digits$} %"),
            Self::Count => format!("{value:.digits$}"),
            Self::Nanoseconds if value >= 1e6 => format!("{:.digits$} ms", value / 1e6),
            Self::Nanoseconds => format!("{value:.digits$} ns"),
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
