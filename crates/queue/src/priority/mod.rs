//! A queue whose items have one of a few levels: a ring for each, see `raw/levels.rs`.

mod close;
mod consumer;
mod get;
mod handle;
mod iter;
mod look;
mod many;
mod options;
mod producer;
mod put;

pub use consumer::PriorityConsumer;
pub use handle::PriorityQueue;
pub use iter::PriorityIter;
pub use look::PriorityDrain;
pub use options::PriorityOptions;
pub use producer::PriorityProducer;
