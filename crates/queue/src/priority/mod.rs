//! A queue whose items have one of a few levels: a ring for each, see `raw/levels.rs`.

mod get;
mod handle;
mod iter;
mod options;
mod put;

pub use handle::PriorityQueue;
pub use iter::PriorityIter;
pub use options::PriorityOptions;
