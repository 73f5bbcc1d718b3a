//! Futures, streams and sinks over a queue, for any runtime; with the feature `async`.
//!
//! Each poll makes the `try_` form of the operation, and only if that finds nothing the future stands
//! in line for the bridge: one thread of this process that waits for up to 60 conditions (an item or
//! room, of up to 60 queues), started with the first such future and gone soon after the last.
//! Any number of futures on one side of one queue is one condition. No poll blocks, and none spins.
//!
//! Blocking and waiting by futures mix on one queue, in one process and between processes. What a death
//! does is told at the blocking forms, and is the same here: the bridge looks after the dead as a
//! blocked thread does, and wakes a future within 0.1 s of the death that concerns it.
//!
//! To drop a future or a stream at any await point loses nothing: an item is taken by the poll that
//! returns it, and an item that is being put is in the queue or still in the future. A future that was
//! woken and is dropped leaves its turn to the next. A runtime that does not poll a future it was told
//! to wake holds up others that wait for the same in this process for 50 ms, and nobody elsewhere.
//!
//! Order: futures of one process are woken in the order in which they began to wait. One that is
//! polled for the first time may be faster than all of them, as a thread may.
//!
//! # Examples
//!
//! ```
//! use crossproc_queue::Queue;
//! use futures_util::{SinkExt as _, StreamExt as _};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let queue = Queue::<u64>::bounded(1)?;
//! let consumer = queue.consumer()?;
//! let mut sink = queue.producer()?.sink();
//! let feeding = tokio::spawn(async move {
//!     for item in 1..=3 {
//!         sink.send(item).await.unwrap();
//!     }
//! });
//! let sum = consumer.stream().fold(0, |sum, item| async move { sum + item.unwrap() }).await;
//! assert_eq!(sum, 6);
//! feeding.await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod get;
mod lease;
mod levels;
mod priority;
mod put;
mod ready;
mod sink;
mod stream;

pub use get::Get;
pub use lease::GetLease;
pub use levels::{LevelSink, LevelStream};
pub use priority::{GetFirst, PutAt};
pub use put::Put;
pub use sink::ItemSink;
pub use stream::ItemStream;
