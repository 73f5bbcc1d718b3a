//! Every way in which a holder may go, or seem to, through everything that can be held.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "ways_to_die/copies.rs"]
mod copies;
#[path = "ways_to_die/crowds.rs"]
mod crowds;
#[path = "ways_to_die/dying.rs"]
mod dying;
#[path = "ways_to_die/living.rs"]
mod living;
#[path = "ways_to_die/pids.rs"]
mod pids;
#[path = "ways_to_die/things.rs"]
mod things;
