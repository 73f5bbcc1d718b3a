//! The ground of crossproc: the only crate of the house that makes raw system calls.
//!
//! Every module wraps one corner of Linux behind functions that are safe to call, and the doc of
//! each wrapper says which call it makes. Nothing here knows about segments, members or protocols.
//!
//! Conventions of the whole crate:
//!
//! - Errors are [`std::io::Error`] as the kernel gave them. `EINTR` is retried, except where a
//!   thread waits on a [`futex`]: there it is reported, since the caller looks again anyway.
//! - Deadlines are absolute, on `CLOCK_MONOTONIC` ([`clock::Deadline`]).
//! - Every descriptor that is made here is close-on-exec.
//! - Words that are handed to [`futex`] may lie in memory shared with other processes.
//!
//! The crate needs 64-bit Linux 5.16 or newer ([`kernel::check`]) and, with glibc, 2.34 or newer.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("crossproc needs 64-bit Linux");

mod call;

pub mod clock;
pub mod dir;
pub mod epoll;
pub mod eventfd;
pub mod file;
pub mod fork;
pub mod futex;
pub mod image;
pub mod inotify;
pub mod kernel;
pub mod lock;
pub mod map;
pub mod membarrier;
pub mod memfd;
pub mod pidfd;
pub mod poll;
pub mod prefetch;
pub mod process;
pub mod socket;

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
