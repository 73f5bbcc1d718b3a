//! Who is attached to a segment, and who is alive.
//!
//! A process is one member of each segment it has mapped. It holds a lock on a byte of the
//! segment's file for as long as it lives; the kernel drops the lock when the process is gone, has
//! exec'ed, or has unmapped the segment. So [`Segment::alive`](crate::Segment::alive) is a question
//! to the kernel, immune to reused pids, pid namespaces and anything written into shared memory.

mod id;
#[cfg(not(crossproc_loom))]
mod info;
#[cfg(not(crossproc_loom))]
mod membership;
#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod raw;

pub use id::{ID_MASK, LOCK_BASE, MemberId};
#[cfg(not(crossproc_loom))]
pub use info::MemberInfo;
#[cfg(not(crossproc_loom))]
pub(crate) use info::list;
#[cfg(not(crossproc_loom))]
pub(crate) use membership::Membership;
