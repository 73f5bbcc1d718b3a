//! What a sweep says about one operation in one state.

use std::fmt;

use serde::Serialize;

/// Where over k the outcome changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Instructions done by the victim before it died.
    pub k: u32,
    /// What survivors found from there on.
    pub outcome: String,
}

/// The result of one scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// What the victim did.
    pub operation: String,
    /// The state it met.
    pub state: String,
    /// Instructions from entry to return, in the longest run.
    pub instructions: u32,
    /// States left by an earlier death that were started from; 1 where there was none.
    pub starts: u32,
    /// Victims killed.
    pub kills: u32,
    /// Distinct images of the memory that were checked with the victim absent.
    pub images: u32,
    /// The outcomes in their order over k, from the first state started from.
    pub flips: Vec<Flip>,
    /// The longest time that a survivor's whole check took, or a waiter needed after the death.
    pub worst_ms: f64,
    /// How many kills or images were found wrong.
    pub failures: u32,
    /// The first of them, with their k.
    pub failed: Vec<String>,
    /// How long the scenario took.
    pub seconds: f64,
}

/// Failures told in full; the rest is only counted.
const TOLD: usize = 3;

impl Row {
    /// A row for a state that could not even be set up.
    #[must_use]
    pub fn not_built(operation: &str, state: &str, why: String) -> Self {
        let mut row =
            Self { operation: operation.to_owned(), state: state.to_owned(), ..Self::default() };
        row.fail(format!("setting up: {why}"));
        row
    }

    /// Counts a failure, and keeps the first few in words.
    pub(super) fn fail(&mut self, why: String) {
        self.failures += 1;
        if self.failed.len() < TOLD {
            self.failed.push(why);
        }
    }

    pub(super) fn took_ns(&mut self, ns: u64) {
        #[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
        let ms = ns as f64 / 1e6;
        self.worst_ms = self.worst_ms.max(ms);
    }

    /// Whether nothing was found wrong.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.failures == 0
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} {:<36}", self.operation, self.state)?;
        write!(
            f,
            " {:>5} instr {:>5} kills {:>4} images",
            self.instructions, self.kills, self.images
        )?;
        if self.starts > 1 {
            write!(f, " {:>3} starts", self.starts)?;
        }
        write!(f, "  worst {:>6.1} ms  {} failed  ", self.worst_ms, self.failures)?;
        for (at, flip) in self.flips.iter().enumerate() {
            let arrow = if at == 0 { "" } else { " > " };
            write!(f, "{arrow}{}@{}", flip.outcome, flip.k)?;
        }
        for why in &self.failed {
            write!(f, "\n    FAILED {why}")?;
        }
        Ok(())
    }
}
