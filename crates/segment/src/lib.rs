//! Shared memory segments: one mapped file with members, an arena, named objects, tickets, and the
//! one module that waits.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Segment`] | the mapped file: anonymous, named or file-backed |
//! | [`member`] | who is attached, who is alive |
//! | `arena` | blocks of memory, crash-safe |
//! | `names` | the directory of named objects |
//! | [`Object`] | an object of a checked kind and type |
//! | [`wait`] | everything that blocks |
//! | [`transit`] | handles on their way to another process |
//! | [`tree`] | the segment that a process tree shares |
//!
//! # Examples
//!
//! ```
//! use crossproc_segment::{Segment, Shape};
//!
//! let segment = Segment::anonymous(1 << 20)?;
//! let shape = Shape::of::<u64>("example", 1);
//! let made = segment.construct(Some("hits"), &shape, 8, |_body| {})?;
//! let found = segment.find("hits", &shape)?;
//! assert_eq!(made.body_bytes(), found.body_bytes());
//! assert!(segment.find("hits", &Shape::of::<f64>("example", 1)).is_err());
//! # Ok::<(), crossproc_segment::Error>(())
//! ```

mod atomic;
pub mod member;
#[cfg(crossproc_loom)]
#[doc(hidden)]
pub mod model;
pub mod wait;

#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod arena;
#[cfg(not(crossproc_loom))]
mod blocks;
#[cfg(not(crossproc_loom))]
mod error;
#[cfg(not(crossproc_loom))]
mod header;
#[cfg(not(crossproc_loom))]
mod holders;
#[cfg(not(crossproc_loom))]
mod me;
#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod names;
#[cfg(not(crossproc_loom))]
mod object;
#[cfg(not(crossproc_loom))]
mod options;
#[cfg(not(crossproc_loom))]
mod path;
#[cfg(not(crossproc_loom))]
mod registry;
#[cfg(not(crossproc_loom))]
mod segment;
#[cfg(not(crossproc_loom))]
mod ticket;
#[cfg(not(crossproc_loom))]
pub mod transit;
#[cfg(not(crossproc_loom))]
pub mod tree;

#[cfg(not(crossproc_loom))]
pub use arena::Block;
#[cfg(not(crossproc_loom))]
pub use blocks::Blocks;
#[cfg(not(crossproc_loom))]
pub use error::{Error, Result};
#[cfg(not(crossproc_loom))]
pub use header::Identity;
#[cfg(not(crossproc_loom))]
pub use me::Me;
#[cfg(not(crossproc_loom))]
pub use member::MemberInfo;
pub use member::{ID_MASK, MemberId};
#[cfg(not(crossproc_loom))]
pub use object::{Object, ObjectInfo, Shape};
#[cfg(not(crossproc_loom))]
pub use options::SegmentOptions;
#[cfg(not(crossproc_loom))]
pub use segment::Segment;
