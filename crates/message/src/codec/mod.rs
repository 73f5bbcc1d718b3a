//! The codec: a serde format of fixed width, little endian, without any description of itself.
//!
//! Both sides run the same program, so what a message holds is known from its type.
//!
//! # Format
//!
//! | value | bytes |
//! |---|---|
//! | integers, floats | their size, little endian; `usize` and `isize` take eight |
//! | `bool` | one, 0 or 1 |
//! | `char` | four, the scalar value |
//! | text, bytes | length (eight), then the bytes |
//! | `()`, unit structs | none |
//! | `Option` | one, 0 or 1, then the value if there is one |
//! | tuples, arrays, structs | the fields, in order |
//! | enums | index of the variant (four), then its fields |
//! | sequences | number of elements (eight), then the elements |
//! | maps | number of entries (eight), then keys and values in turn |
//! | plain data | `size_of` bytes as they are in memory |
//! | handles | the ticket that crossproc-segment writes |
//!
//! An element or entry that would take no bytes takes one, 0, in a sequence or map. So a length
//! is never more than the bytes left, and a reader need not believe a larger one.
//!
//! # Limits
//!
//! [`MAX_DEPTH`](crate::error::MAX_DEPTH) levels of nesting, counted alike by both sides. A reader
//! allocates for what is there, never for what is claimed.
//!
//! # Trust
//!
//! The bytes may come from a process that has gone mad. Reading them never breaks memory: lengths
//! and tags are read once and bounded, text is copied before it is checked.

mod arrays;
mod bulk;
mod identity;
mod probe;
mod reader;
mod sink;
mod writer;

pub use probe::fixed_size;
pub(crate) use probe::small_fixed_size;
pub(crate) use reader::Reader;
pub(crate) use sink::{Slot, Tail};
pub(crate) use writer::Writer;

/// Bytes of a length.
type Length = u64;

/// Index of an enum's variant.
type Variant = u32;
