//! Values between processes: whole whatever happens, old or new and nothing between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "values/killed.rs"]
mod killed;
#[path = "values/shared.rs"]
mod shared;
