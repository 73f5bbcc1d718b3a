//! Pipes between processes: what flows, who has the ends, and what is left when somebody is killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "pipes/descriptors.rs"]
mod descriptors;
#[path = "pipes/ends.rs"]
mod ends;
#[path = "pipes/killed.rs"]
mod killed;
#[path = "pipes/meet.rs"]
mod meet;
#[path = "pipes/twins.rs"]
mod twins;
