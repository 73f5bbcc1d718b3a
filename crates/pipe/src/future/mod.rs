//! Futures, streams and sinks over a pipe, for any runtime, with the feature `async`; with the feature
//! `tokio`, bytes by that crate's `AsyncRead` and `AsyncWrite`.
//!
//! Each poll makes the `try_` form of the operation, and only if that finds nothing the future stands in
//! line for the bridge: one thread of this process that waits for up to 60 conditions (a message or
//! room, of up to 60 ends), started with the first such future and gone soon after the last. No poll
//! blocks, and none spins.
//!
//! What a death at the other end does is told at the blocking forms, and is the same here: a future is
//! woken within 0.1 s of it. One end may wait by futures and the other block.
//!
//! To drop a future that receives loses nothing: a message is taken by the poll that returns it, and what
//! has arrived of a long one stays in hand. To drop one that sends is told at
//! [`Sender::send_async`](crate::Sender::send_async).
//!
//! While a thread of this process waits in a blocking call at the same side of the same end, what comes
//! is that thread's, and futures there wait until it is done.

mod parcel;
mod ready;
mod recv;
mod send;
mod sink;
mod stream;

#[cfg(feature = "tokio")]
mod bytes;

#[cfg(feature = "tokio")]
pub use bytes::{ByteReader, ByteStream, ByteWriter};
pub use recv::{RecvBytes, RecvItem};
pub use send::{SendBytes, SendItem};
pub use sink::SendSink;
pub use stream::RecvStream;
