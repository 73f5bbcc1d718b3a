//! What is played: a file for each primitive, with every call that its handles have.

mod lock;
mod named;
mod queue;
mod ticket;
mod value;

use super::hand::Primitive;

/// All of them, in the order of the table. A bit each, so 64 at most.
pub(super) fn all() -> Vec<Primitive> {
    vec![
        named::primitive(),
        lock::primitive(),
        value::scalar(),
        value::small(),
        value::large(),
        queue::numbers(),
        queue::records(),
        queue::blobs(),
        queue::texts(),
        ticket::primitive(),
    ]
}
