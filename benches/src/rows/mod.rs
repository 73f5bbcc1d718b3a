//! The rows of the table, by subject.

mod counted;
mod idle;
mod item;
mod lease;
mod lock;
mod peers;
mod pipe;
mod process;
mod queue;
mod queue_bytes;
mod raw;
mod round_trip;
mod rwlock;
mod signals;
mod strings;
mod value;
mod waiting;

use crate::figure::{Bounded, Figure};

/// Runs before everything in `main`: this process may be the child of a row.
pub fn early() {
    process::early();
}

/// All rows with a reference, in the order of the table.
#[must_use]
pub fn all() -> Vec<Figure> {
    [
        lock::rows(),
        rwlock::rows(),
        signals::rows(),
        queue::rows(),
        peers::rows(),
        queue_bytes::rows(),
        strings::rows(),
        lease::rows(),
        round_trip::rows(),
        pipe::rows(),
        value::rows(),
        process::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All rows with a bound, which follow them.
#[must_use]
pub fn bounded() -> Vec<Bounded> {
    [counted::bounded(), idle::bounded(), waiting::bounded()].into_iter().flatten().collect()
}
