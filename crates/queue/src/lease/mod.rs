//! Leases: items handed out that stay the queue's until they are acknowledged.
//!
//! The protocol is `raw`'s; here are its handles.

mod clerk;
mod consumer;
mod forms;
mod get;
mod guard;
mod limit;
mod messages;
mod take;

pub(crate) use clerk::Clerk;
pub(crate) use get::Entry;
pub use guard::{AckError, Lease};
pub(crate) use limit::as_ns;
