//! Trees of processes: how they begin, what they say, and that none outlives the first.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "processes/ends.rs"]
mod ends;
#[path = "processes/trees.rs"]
mod trees;
