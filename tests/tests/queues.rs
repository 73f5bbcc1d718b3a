//! Queues between processes: what flows, what is closed, and what is left when somebody is killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "queues/closing.rs"]
mod closing;
#[path = "queues/ends.rs"]
mod ends;
#[path = "queues/flow.rs"]
mod flow;
#[path = "queues/handles.rs"]
mod handles;
#[path = "queues/items.rs"]
mod items;
#[path = "queues/killed.rs"]
mod killed;
#[path = "queues/leases.rs"]
mod leases;
#[path = "queues/twins.rs"]
mod twins;
