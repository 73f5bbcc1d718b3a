#![doc = include_str!("../README.md")]

mod atomic;
#[doc(hidden)]
pub mod raw;

#[cfg(not(crossproc_loom))]
mod borrow;
#[cfg(not(crossproc_loom))]
mod bytes;
#[cfg(not(crossproc_loom))]
mod descriptor;
#[cfg(not(crossproc_loom))]
mod end;
#[cfg(not(crossproc_loom))]
mod error;
#[cfg(all(feature = "async", not(crossproc_loom)))]
pub mod future;
#[cfg(not(crossproc_loom))]
mod hand;
#[cfg(not(crossproc_loom))]
mod iter;
#[cfg(not(crossproc_loom))]
mod meet;
#[cfg(not(crossproc_loom))]
mod options;
#[cfg(not(crossproc_loom))]
mod pair;
#[cfg(not(crossproc_loom))]
mod patience;
#[cfg(not(crossproc_loom))]
mod pipe;
#[cfg(not(crossproc_loom))]
mod recv;
#[cfg(not(crossproc_loom))]
mod recv_small;
#[cfg(not(crossproc_loom))]
mod reserve;
#[cfg(not(crossproc_loom))]
mod send;
#[cfg(not(crossproc_loom))]
mod share;
#[cfg(not(crossproc_loom))]
mod ticket;
#[cfg(not(crossproc_loom))]
mod turn;
#[cfg(not(crossproc_loom))]
mod waitable;

#[cfg(not(crossproc_loom))]
pub use borrow::Borrowed;
#[cfg(not(crossproc_loom))]
pub use descriptor::Descriptor;
#[cfg(not(crossproc_loom))]
pub use end::Peer;
#[cfg(not(crossproc_loom))]
pub use error::{Error, RecvError, Result, SendError, TryRecvError, TrySendError};
#[cfg(not(crossproc_loom))]
pub use iter::{IntoIter, Iter};
#[cfg(not(crossproc_loom))]
pub use meet::{
    AcceptError, Accepted, BindError, ConnectError, Connector, Incoming, Listener, ListenerOptions,
    PeerCred, Refusal, WhyRefused,
};
#[cfg(not(crossproc_loom))]
pub use options::PipeOptions;
#[cfg(not(crossproc_loom))]
pub use pair::PipeEnd;
#[cfg(not(crossproc_loom))]
pub use pipe::{OneWay, Pipe};
#[cfg(not(crossproc_loom))]
pub use recv::Receiver;
#[cfg(not(crossproc_loom))]
pub use reserve::Reserve;
#[cfg(not(crossproc_loom))]
pub use send::Sender;
#[cfg(not(crossproc_loom))]
pub use waitable::{Items, Space};
