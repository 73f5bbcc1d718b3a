//! `Pod` as the `crossproc` crate re-exports it: the same trait, and the derive macro that writes
//! `::crossproc` paths, since its users need not depend on this crate.

pub use crossproc_message_derive::CrossprocPod as Pod;

pub use crate::pod::Pod;
