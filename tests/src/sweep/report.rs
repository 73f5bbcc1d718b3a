//! What a sweep says about one operation in one state.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ways in which a scenario is swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Killed after k instructions; and each image that the victim leaves.
    #[default]
    Kill,
    /// The same for one that comes after an earlier death: whoever repairs is killed itself.
    Double,
    /// It stands still after k instructions, another one acts, and it goes on.
    Interleave,
    /// As interleave, stopped by SIGSTOP, for so long that others ask if it is dead.
    Stop,
}

impl Form {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Double, Self::Interleave, Self::Stop];
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Double => "double",
            Self::Interleave => "interleave",
            Self::Stop => "stop",
        })
    }
}

/// Where over k the outcome changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// Instructions done by the victim before it died.
    pub k: u32,
    /// What survivors found from there on.
    pub outcome: String,
}

/// The result of one scenario.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// How it was swept.
    pub form: Form,
    /// What the victim did.
    pub operation: String,
    /// The state it met.
    pub state: String,
    /// What was done beside it while it stood still; empty in the forms that kill.
    pub beside: String,
    /// Instructions from entry to return, in the longest run.
    pub instructions: u32,
    /// States left by an earlier death that were started from; 1 where there was none.
    pub starts: u32,
    /// Victims killed.
    pub kills: u32,
    /// Victims that stood still, and went on.
    pub stops: u32,
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
    pub(super) fn new(operation: &str, state: &str, form: Form) -> Self {
        let (operation, state) = (operation.to_owned(), state.to_owned());
        Self { form, operation, state, ..Self::default() }
    }

    /// A row for something that could not even be begun.
    #[must_use]
    pub fn not_swept(operation: &str, state: &str, form: Form, why: String) -> Self {
        let mut row = Self::new(operation, state, form);
        row.fail(why);
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
        let beside = if self.beside.is_empty() { "" } else { " | " };
        let state = format!("{}{beside}{}", self.state, self.beside);
        write!(f, "{:<10} {:<24} {state:<50}", self.form, self.operation)?;
        write!(f, " {:>5} instr", self.instructions)?;
        match self.form {
            Form::Kill | Form::Double => {
                write!(f, " {:>5} kills {:>4} images", self.kills, self.images)?;
            }
            Form::Interleave | Form::Stop => write!(f, " {:>5} stops            ", self.stops)?,
        }
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
