//! Descriptors as parts of messages.

mod desk;
mod fetch;
mod handle;

pub use handle::Descriptor;
