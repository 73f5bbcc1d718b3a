#![doc = include_str!("../README.md")]

mod atomic;
#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
mod batch;
#[cfg(not(crossproc_loom))]
mod bytes;
#[cfg(not(crossproc_loom))]
mod close;
#[cfg(not(crossproc_loom))]
mod consumer;
#[cfg(not(crossproc_loom))]
mod counted;
#[cfg(not(crossproc_loom))]
mod discard;
#[cfg(not(crossproc_loom))]
mod error;
#[cfg(all(feature = "async", not(crossproc_loom)))]
pub mod future;
#[cfg(not(crossproc_loom))]
mod get;
#[cfg(not(crossproc_loom))]
mod iter;
#[cfg(not(crossproc_loom))]
mod join;
#[cfg(not(crossproc_loom))]
mod lease;
#[cfg(not(crossproc_loom))]
mod look;
#[cfg(not(crossproc_loom))]
mod messages;
#[cfg(not(crossproc_loom))]
mod options;
#[cfg(not(crossproc_loom))]
mod over;
#[cfg(not(crossproc_loom))]
mod place;
#[cfg(not(crossproc_loom))]
mod place_bytes;
#[cfg(not(crossproc_loom))]
mod plan;
#[cfg(not(crossproc_loom))]
mod priority;
#[cfg(not(crossproc_loom))]
mod producer;
#[cfg(not(crossproc_loom))]
mod put;
#[cfg(not(crossproc_loom))]
mod queue;
#[cfg(not(crossproc_loom))]
mod short;
#[cfg(not(crossproc_loom))]
mod stream;
#[cfg(not(crossproc_loom))]
mod waitable;

#[cfg(not(crossproc_loom))]
pub use close::Cause;
#[cfg(not(crossproc_loom))]
pub use consumer::{Consumer, IntoIter};
#[cfg(not(crossproc_loom))]
pub use error::{
    Error, GetError, PutError, PutManyError, PutOverError, Result, TryGetError, TryPutError,
};
#[cfg(not(crossproc_loom))]
pub use iter::Iter;
#[cfg(not(crossproc_loom))]
pub use join::{JoinError, TaskDoneError};
#[cfg(not(crossproc_loom))]
pub use lease::{AckError, Lease};
#[cfg(not(crossproc_loom))]
pub use look::Drain;
#[cfg(not(crossproc_loom))]
pub use options::QueueOptions;
#[cfg(not(crossproc_loom))]
pub use place::{ItemRef, Reservation};
#[cfg(not(crossproc_loom))]
pub use place_bytes::{BytesRef, BytesReservation};
#[cfg(not(crossproc_loom))]
pub use priority::{
    PriorityConsumer, PriorityDrain, PriorityIter, PriorityOptions, PriorityProducer, PriorityQueue,
};
#[cfg(not(crossproc_loom))]
pub use producer::Producer;
#[cfg(not(crossproc_loom))]
pub use queue::Queue;
#[cfg(not(crossproc_loom))]
pub use waitable::Space;
