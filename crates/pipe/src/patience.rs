//! How long an operation may wait.

use crossproc_sys::clock::Deadline;

/// How long an operation may wait. Made where waiting begins, as it may read the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    Until(Deadline),
    Endless,
}

impl Patience {
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Self::None | Self::Endless => None,
            Self::Until(deadline) => Some(deadline),
        }
    }

    pub(crate) fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}
