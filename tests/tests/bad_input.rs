//! Bad input: each kind gets an error of its own, whose sentence helps, and leaves nothing behind.
//!
//! What a process leaves behind can only be told where no other thread opens and closes things, so
//! most tests run in a process of their own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Display;

use crossproc::spawn;

crossproc::test_init!();

#[path = "bad_input/binaries.rs"]
mod binaries;
#[path = "bad_input/items.rs"]
mod items;
#[path = "bad_input/network.rs"]
mod network;
#[path = "bad_input/room.rs"]
mod room;
#[path = "bad_input/segments.rs"]
mod segments;
#[path = "bad_input/tickets.rs"]
mod tickets;

/// Runs `f` in a process of its own.
fn alone(f: fn()) {
    spawn((), f).unwrap().join().unwrap();
}

/// Checks that an error tells what a user needs to be told.
#[track_caller]
fn says(error: &impl Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}
