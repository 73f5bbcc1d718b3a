//! Where processes that have nothing in common but a name and a user meet.

mod accept;
mod connect;
mod error;
mod listener;
mod options;
mod place;
mod wire;

pub use accept::{Accepted, Incoming};
pub use connect::Connector;
pub use crossproc_sys::socket::PeerCred;
pub use error::{AcceptError, BindError, ConnectError, Refusal, WhyRefused};
pub use listener::Listener;
pub use options::ListenerOptions;
