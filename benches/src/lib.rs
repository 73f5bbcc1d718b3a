//! The figures of crossproc, each measured beside its reference in the same run.

pub mod figure;
pub mod forked;
pub mod party;
pub mod rows;
