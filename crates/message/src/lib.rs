#![doc = include_str!("../README.md")]
// Models drive the raw protocols of the crates above, which send nothing.
#![cfg(not(crossproc_loom))]

#[doc(hidden)]
pub mod __private;
mod codec;
mod decode;
mod encode;
mod error;
#[doc(hidden)]
pub mod front;
mod message;
mod plain;
pub mod pod;
#[doc(hidden)]
pub mod scratch;
#[doc(hidden)]
pub mod words;

pub use codec::fixed_size;
pub use crossproc_message_derive::Pod;
pub use crossproc_segment::transit::Sent;
pub use decode::decode;
pub use encode::{Encoded, encode, encode_into};
pub use error::{DecodeError, EncodeError, Fault};
pub use message::Message;
pub use plain::Plain;
pub use pod::Pod;
