//! Locks between processes: who is inside, and what is told when an owner is gone.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "locks/deadlock.rs"]
mod deadlock;
#[path = "locks/excluding.rs"]
mod excluding;
#[path = "locks/killed.rs"]
mod killed;
#[path = "locks/namespaces.rs"]
mod namespaces;
#[path = "locks/ways_to_go.rs"]
mod ways_to_go;
