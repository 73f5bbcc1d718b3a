//! What can be wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

/// In which way something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something done is not there.
    Lost,
    /// Something is there twice, or was never done.
    Doubled,
    /// Something is half there.
    Torn,
    /// Something was out of order.
    Disorder,
    /// Somebody waited too long.
    Hang,
    /// Something was left behind.
    Leftover,
    /// An answer or an end that should not be.
    Wrong,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Lost,
        Self::Doubled,
        Self::Torn,
        Self::Disorder,
        Self::Hang,
        Self::Leftover,
        Self::Wrong,
    ];

    /// As a head of a column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Torn => "torn",
            Self::Disorder => "disorder",
            Self::Hang => "hang",
            Self::Leftover => "left",
            Self::Wrong => "wrong",
        }
    }

    pub(super) fn code(self) -> u64 {
        self as u64
    }

    pub(super) fn of_code(code: u64) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Wrong)
    }
}

/// One thing that is wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// In which way.
    pub kind: Kind,
    /// What, who, how many.
    pub text: String,
}

impl Fault {
    /// A fault.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// An error where there should be none.
    pub fn wrong(what: &str, error: impl fmt::Display) -> Self {
        Self::new(Kind::Wrong, format!("{what}: {error}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name().to_uppercase(), self.text)
    }
}
