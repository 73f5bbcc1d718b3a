//! A message on its way out, as far as there was room for it.

use std::task::{Context, Poll};

use crossproc_message::{EncodeError, Message, Sent, encode};
use crossproc_segment::wait::TaskWait;

use super::ready::stay_to_send;
use crate::error::{SendError, TrySendError};
use crate::patience::Patience;
use crate::send::{Progress, Sender};

/// A message that was written already. The sender is its own until it is sent or dropped: the parts of
/// a long one must not mix with other messages.
#[derive(Debug)]
pub(super) struct Parcel<B> {
    bytes: B,
    handles: bool,
    done: Progress,
    /// What its handles have lent, until it is sent.
    sent: Option<Sent>,
}

impl Parcel<Vec<u8>> {
    pub(super) fn write<T: Message>(item: &T) -> Result<Self, EncodeError> {
        let mut bytes = Vec::new();
        let sent = encode(item, &mut bytes)?;
        let handles = !sent.segments.is_empty();
        Ok(Self { bytes, handles, done: Progress::default(), sent: Some(sent) })
    }
}

impl<B: AsRef<[u8]>> Parcel<B> {
    pub(super) fn of_bytes(bytes: B) -> Self {
        Self { bytes, handles: false, done: Progress::default(), sent: None }
    }

    /// Sends as much as there is room for, and has the task woken when there is more.
    pub(super) fn poll_send<T>(
        &mut self,
        sender: &mut Sender<T>,
        wait: &mut TaskWait,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        match self.send_on(sender) {
            Err(TrySendError::Full) => {
                sender.end.take_in();
                stay_to_send(&sender.end, wait, cx, self.bytes.as_ref().len());
                Poll::Pending
            }
            answer => {
                wait.leave();
                if answer.is_ok() {
                    self.sent = None;
                }
                Poll::Ready(answer.map_err(TrySendError::without_full))
            }
        }
    }

    fn send_on<T>(&mut self, sender: &Sender<T>) -> Result<(), TrySendError> {
        let (bytes, handles) = (self.bytes.as_ref(), self.handles);
        if bytes.len() <= sender.longest_piece() {
            return sender.send_slice(bytes, handles, Patience::None);
        }
        if !sender.is_owned() {
            return Err(TrySendError::NotOwned);
        }
        let turn = sender.outlet().turn.hold(Patience::None);
        let mut producer = turn.ok_or(TrySendError::Full)?;
        sender.send_parts(&mut producer, bytes, handles, &mut self.done, Patience::None)
    }
}

impl<B> Drop for Parcel<B> {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            sent.take_back();
        }
    }
}
