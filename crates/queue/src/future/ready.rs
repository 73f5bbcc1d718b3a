//! What the futures of a queue wait for.

use std::task::Context;

use crossproc_message::Message;
use crossproc_segment::wait::{Look, Source, TaskWait, Waitable};

use crate::error::TryGetError;
use crate::queue::Queue;

/// That an entry is there in which to keep an item: of a lease, or (`owing`) of an item that is owed.
struct Entries<T> {
    queue: Queue<T>,
    owing: bool,
}

impl<T> Waitable for Entries<T> {
    fn is_ready(&self, look: Look) -> bool {
        self.queue.has_entry(look, self.owing)
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.queue.segment(), self.queue.ring.desk().room())
    }
}

/// The address of an eventcount names the condition that it tells of: as long as somebody waits, what
/// stands for it keeps the queue, and so the memory.
pub(super) fn key(of: Source<'_>, more: bool) -> (usize, u64) {
    let Source::EventCount(_, eventcount) = of else { return (0, 0) };
    (std::ptr::from_ref(eventcount).addr(), u64::from(more))
}

impl<T: Message> Queue<T> {
    /// Has the task woken when what kept it from getting is over; gives back any other reason.
    pub(super) fn stay_to_get<R>(
        &self,
        wait: &mut TaskWait,
        cx: &Context<'_>,
        got: Result<R, TryGetError>,
        owing: bool,
    ) -> Option<Result<R, TryGetError>> {
        match got {
            Err(TryGetError::Empty) => {
                wait.stay(cx, key(self.source(), false), || self.clone());
            }
            Err(TryGetError::AllLeased) => {
                let entries = || Entries { queue: self.clone(), owing };
                wait.stay(cx, key(entries().source(), owing), entries);
            }
            got => {
                wait.leave();
                return Some(got);
            }
        }
        None
    }

    /// Has the task woken when there is room.
    pub(super) fn stay_to_put(&self, wait: &mut TaskWait, cx: &Context<'_>) {
        let space = self.space();
        wait.stay(cx, key(space.source(), false), || space);
    }
}
