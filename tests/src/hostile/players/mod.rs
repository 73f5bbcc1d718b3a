//! What is played: a file for each primitive, with every call that its handles have.

mod beside;
mod counted;
mod ends;
mod levels;
mod lock;
mod locks;
mod naive;
mod named;
mod pipe;
mod places;
mod queue;
mod ticket;
mod told;
mod value;

use super::hand::Primitive;

/// One that is made to be found out, beside the segment.
pub(super) fn naive() -> Vec<Primitive> {
    vec![named::primitive(), naive::primitive()]
}

/// All of them, in the order of the table. A bit each, so 64 at most.
pub(super) fn all() -> Vec<Primitive> {
    vec![
        named::primitive(),
        lock::primitive(),
        locks::rlock(),
        locks::rwlock(),
        counted::semaphore(),
        counted::barrier(),
        told::event(),
        told::once(),
        beside::condvar(),
        beside::any(),
        value::scalar(),
        value::small(),
        value::large(),
        queue::numbers(),
        queue::records(),
        queue::blobs(),
        queue::texts(),
        places::places(),
        ends::ends(),
        levels::numbers(),
        levels::texts(),
        pipe::numbers(),
        pipe::texts(),
        ticket::primitive(),
    ]
}
