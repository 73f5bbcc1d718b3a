//! What the code written by `#[derive(Pod)]` needs, by paths that no user's import can hide.
//! No part of the public API.

pub use serde;

pub use crate::pod::{
    Pod,
    wire::{deserialize as deserialize_pod, serialize as serialize_pod},
};

/// A struct whose fields leave `BYTES` bytes uncovered; only those that leave none are plain data.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has {BYTES} bytes of padding, so it is not plain data",
    label = "the fields do not cover every byte of it",
    note = "order the fields by alignment, the largest first, and fill what is left by a field such as `_pad: [u8; {BYTES}]`"
)]
pub trait Padding<const BYTES: usize> {}

impl<T> Padding<0> for T {}

/// Fails to compile unless `T` leaves no byte uncovered.
pub const fn assert_unpadded<T: Padding<BYTES>, const BYTES: usize>() {}

/// Fails to compile unless the type of a field is plain data.
pub const fn assert_field<T: Pod>() {}
