//! The rows of the table, by subject.

mod lock;
mod process;
mod queue;
mod raw;
mod round_trip;
mod rwlock;
mod signals;
mod value;
mod waiting;

use crate::figure::Figure;

/// Runs before everything in `main`: this process may be the child of a row.
pub fn early() {
    process::early();
}

/// All rows, in the order of the table.
#[must_use]
pub fn all() -> Vec<Figure> {
    [
        lock::rows(),
        rwlock::rows(),
        signals::rows(),
        queue::rows(),
        round_trip::rows(),
        value::rows(),
        process::rows(),
        waiting::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
