//! The way past an item that nobody can take.

use crossproc_message::{DecodeError, Message, decode};

use crate::error::TryGetError;
use crate::queue::Queue;
use crate::raw::{Form, NoItem};

impl<T: Message> Queue<T> {
    /// Drops the first item if it holds a handle that cannot be attached here; tells whether one
    /// was dropped. Never blocks, and never drops an item that this process could take.
    ///
    /// [`TryGetError::Unreachable`] leaves the item first in the queue, for a process that can
    /// attach its handles. If there is none, because the only process that had the segment was
    /// killed, say, every consumer meets the item for ever: then one of them calls this.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = crossproc_queue::Queue::<String>::bounded(4)?;
    /// queue.put("not to be dropped".to_owned())?;
    /// assert!(!queue.discard_unreachable()?);
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryGetError::Closed`] or [`TryGetError::Corrupt`].
    pub fn discard_unreachable(&self) -> Result<bool, TryGetError> {
        if self.plan.form != Form::Messages {
            // Items of one size hold no handles.
            return Ok(false);
        }
        // What was given back is first, and unreachable perhaps for the next one as well.
        if let Some(kept) = self.ring.take_back(self.me()) {
            return Ok(self.discard_kept(self.me(), kept));
        }
        match self.discard_message(self.me()) {
            Ok(discarded) => Ok(discarded),
            Err(NoItem::Empty | NoItem::Pending) => Ok(false),
            Err(none) => Err(none.into()),
        }
    }

    /// Whether the message is one whose handles cannot be attached.
    pub(crate) fn is_unreachable(&self, bytes: &[u8]) -> bool {
        let decoded = decode::<T>(bytes, vec![self.segment().clone()]);
        matches!(decoded, Err(DecodeError::Unreachable(_)))
    }
}
