//! What may cross a process border.

use serde::{Serialize, de::DeserializeOwned};

/// A value that can be sent to another process: anything serde can write and read back.
///
/// The trait is implemented for every type with `Serialize + DeserializeOwned + 'static`; nobody
/// implements it by hand. Derive serde's two traits, or [`Pod`](derive@crate::Pod) for plain data.
/// Handles of crossproc (queues, values, locks, segments) are messages as well, also as fields.
///
/// What cannot cross, and how it is found out:
///
/// - borrows and futures: a compile error;
/// - types that ask the format what comes next (`#[serde(untagged)]`, `#[serde(flatten)]`,
///   `#[serde(tag = "..")]`): [`DecodeError::SelfDescribing`](crate::DecodeError::SelfDescribing);
/// - `#[serde(skip_serializing_if = "..")]`:
///   [`EncodeError::SkippedField`](crate::EncodeError::SkippedField);
/// - values nested deeper than 256 levels: refused by both sides.
///
/// `Serialize` and `Deserialize` must agree on the order and the types of what they write and
/// read. The derived ones do, unless a field has `#[serde(skip_serializing)]` alone.
///
/// # Examples
///
/// ```
/// use crossproc_message::{Message, decode, encode};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// enum Job {
///     Resize { path: String, width: u32 },
///     Stop,
/// }
///
/// fn there_and_back<T: Message>(message: &T) -> T {
///     let mut bytes = Vec::new();
///     let sent = encode(message, &mut bytes).unwrap();
///     decode(&bytes, sent.segments).unwrap()
/// }
///
/// let job = Job::Resize { path: "a.png".into(), width: 640 };
/// assert_eq!(there_and_back(&job), job);
/// assert_eq!(there_and_back(&Job::Stop), Job::Stop);
/// ```
///
/// A type without serde's traits is refused:
///
/// ```compile_fail,E0277
/// struct Local(u32);
/// fn send<T: crossproc_message::Message>(_: T) {}
/// send(Local(1));
/// ```
///
/// So is a borrow, whose memory the other process does not have:
///
/// ```compile_fail,E0277
/// fn send<T: crossproc_message::Message>(_: T) {}
/// let local = 1u32;
/// send(&local);
/// ```
///
/// And a future:
///
/// ```compile_fail,E0277
/// fn send<T: crossproc_message::Message>(_: T) {}
/// send(async { 1u32 });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "not sendable: it must be `Serialize + DeserializeOwned + 'static`",
    note = "add `#[derive(Serialize, Deserialize)]` (or `#[derive(Pod)]` for plain data); a borrow or a future (`async fn`) can never be sent"
)]
pub trait Message: Serialize + DeserializeOwned + 'static {}

// Hides serde's list of implementations from the errors.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + 'static> Message for T {}
