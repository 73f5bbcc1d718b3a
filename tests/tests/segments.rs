//! Segments between processes: meeting by name, handing on, making and dying.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

crossproc::test_init!();

#[path = "segments/handed_on.rs"]
mod handed_on;
#[path = "segments/killed.rs"]
mod killed;
#[path = "segments/meeting.rs"]
mod meeting;
#[path = "segments/members.rs"]
mod members;
