//! What a barrier answers to those whom it does not let pass.

use core::fmt;

use crossproc_segment::MemberId;

use super::raw::Why;

/// Why a barrier did not let a thread pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// Nobody passes: a participant died, its time was over, somebody aborted, the action panicked.
    /// The barrier stays so until [`Barrier::reset`](crate::Barrier::reset).
    #[error("the barrier is broken: {cause}{}", By(*.by))]
    Broken {
        /// What broke it.
        cause: BreakCause,
        /// Who did, by dying or otherwise; `None` if this thread looked only after a reset.
        by: Option<MemberId>,
    },
    /// The time was over; this broke the barrier for the others, if the thread had got a place.
    #[error("not all arrived at the barrier before the deadline")]
    Timeout,
    /// Each place has its participant already.
    #[error("each place at the barrier has its participant already")]
    NoPlace,
    /// This thread is running the action right now, and would wait for itself.
    #[error("this thread runs the barrier's action and would wait for itself")]
    Deadlock,
    /// The place at which the thread waited was not its own any more: its process was forked
    /// meanwhile, or taken for dead.
    #[error("the place at the barrier was not this process's any more when it left")]
    NotParticipant,
    /// A word is none that a barrier stores.
    #[error("a word is none that a barrier stores: somebody wrote over the shared memory")]
    Corrupt,
}

/// What broke a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakCause {
    /// A participant died.
    Died,
    /// The time of one who waited was over.
    TimedOut,
    /// Somebody called [`Barrier::abort`](crate::Barrier::abort).
    Aborted,
    /// The action panicked.
    Panicked,
    /// Somebody called [`Barrier::reset`](crate::Barrier::reset) while this thread waited; the
    /// barrier is not broken any more.
    Reset,
}

impl From<Why> for BreakCause {
    fn from(why: Why) -> Self {
        match why {
            Why::Died => Self::Died,
            Why::TimedOut => Self::TimedOut,
            Why::Aborted => Self::Aborted,
            Why::Panicked => Self::Panicked,
        }
    }
}

impl fmt::Display for BreakCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Died => "a participant died",
            Self::TimedOut => "not all arrived in the time of one who waited",
            Self::Aborted => "it was aborted",
            Self::Panicked => "its action panicked",
            Self::Reset => "it was reset while this thread waited",
        })
    }
}

/// Who it was, if that is known.
struct By(Option<MemberId>);

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " ({id:?})"),
            None => Ok(()),
        }
    }
}
