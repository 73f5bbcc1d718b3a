//! The one module that waits: everything in crossproc that blocks, blocks here.
//!
//! The shape never varies: try, spin a little, announce, look again, sleep on the exact value seen,
//! look again. Rules that its parts keep between them:
//!
//! 1. Nobody sleeps for ever on a word that a death could leave unchanged. Sleep comes in slices.
//! 2. A fast path never pays for sleepers it does not have: a notify without waiters is one load.
//! 3. Any number of sleepers at rest costs about what one costs, for each segment.
//!
//! | file | what it holds |
//! |---|---|
//! | `any` | the wait for the first of several conditions |
//! | `bridge` | the thread that waits for those who cannot sleep |
//! | `fd` | a descriptor for each of them, for those who poll |
//! | `task` | the wait of a future |
//! | `block` | the whole wait, for a condition that an eventcount tells of |
//! | `eventcount` | the word on which processes wait for a condition |
//! | `spin` | how long to spin before sleeping |
//! | `tries` | when those look after the dead who never wait |
//! | `slices` | how long to sleep before looking |
//! | `sleeper` | one wait of one thread, on any word |
//! | `raw` | the wait table in shared memory: the watch's post, the records of sleepers |
//! | `lookout` | the watch: who has died, and whom that concerns |
//! | `events` | what the kernel reports of the segment's file |
//! | `ground` | what waiting needs of a segment |
//! | `graph` | who waits for whom: for tools, and to name a deadlock |
//! | `thread` | which thread of its process a sleeper is |
//! | `port` | the kernel's part in waking, or the model checker's |
//!
//! # Cost
//!
//! Measured on two cores at some 3 GHz, Linux 6.18, in per cent of one core: a waiter at rest 0.09;
//! 500 waiters on one word 0.7, on 500 words 0.7, on 500 locks of 500 other members 1.1. A death
//! reached the waiter it concerned after 30 to 40 ms (median) and some 60 ms (99 of 100), with 2
//! members and with 1,000 alike.

#[cfg(not(crossproc_loom))]
mod any;
#[cfg(not(crossproc_loom))]
mod block;
#[cfg(not(crossproc_loom))]
mod bridge;
mod eventcount;
#[cfg(not(crossproc_loom))]
mod events;
#[cfg(not(crossproc_loom))]
mod fd;
#[cfg(not(crossproc_loom))]
mod graph;
#[cfg(not(crossproc_loom))]
mod ground;
#[cfg(not(crossproc_loom))]
mod lookout;
#[cfg(not(crossproc_loom))]
#[doc(hidden)]
pub mod port;
#[cfg(crossproc_loom)]
#[path = "port_loom.rs"]
pub mod port;
#[doc(hidden)]
#[cfg_attr(crossproc_loom, expect(dead_code, reason = "a model drives single records"))]
pub mod raw;
#[cfg(not(crossproc_loom))]
mod sleeper;
#[cfg(not(crossproc_loom))]
mod slices;
#[cfg(not(crossproc_loom))]
mod spin;
#[cfg(not(crossproc_loom))]
mod task;
#[cfg(all(test, not(crossproc_loom)))]
mod tests;
#[cfg(not(crossproc_loom))]
mod thread;
#[cfg(not(crossproc_loom))]
mod tries;

#[cfg(not(crossproc_loom))]
pub use any::{Source, TooMany, Waitable, mark, wait_any, wait_any_deadline};
#[cfg(not(crossproc_loom))]
pub(crate) use block::bury;
#[cfg(not(crossproc_loom))]
pub use block::{Look, block_on};
pub use eventcount::{Epoch, EventCount};
#[cfg(not(crossproc_loom))]
pub use fd::WaitFd;
#[cfg(not(crossproc_loom))]
pub use graph::{Cycle, Owner, Sleeping, Waiter, deadlocks, waiters};
pub use raw::Blocker;
#[cfg(not(crossproc_loom))]
pub use sleeper::{Rest, Sleeper};
#[cfg(not(crossproc_loom))]
pub use spin::Spin;
#[cfg(not(crossproc_loom))]
pub use task::TaskWait;
#[cfg(not(crossproc_loom))]
pub use thread::thread_token;
#[cfg(not(crossproc_loom))]
pub use tries::now_and_then;
