//! A pipe among other things that are waited for.

use std::fmt;

use crossproc_message::Message;
use crossproc_message::words::small;
use crossproc_segment::wait::{Look, Source, Waitable};

use crate::end::End;
use crate::pair::PipeEnd;
use crate::raw::Refused;
use crate::recv::Receiver;
use crate::send::Sender;
use crate::share::Share;

/// Ready when [`recv`](Receiver::recv) would not block: a whole message is there, or none can come
/// any more. A message and a `close` wake the waiter, a death within 0.1 s.
impl<T> Waitable for Receiver<T> {
    fn is_ready(&self, look: Look) -> bool {
        self.end.has_message(look)
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.segment(), self.inlet().view.items())
    }
}

/// That a message has come, to be waited for apart from the [`Receiver`]: made by
/// [`Receiver::items`].
///
/// Ready as the receiver is. Keeps the end open as that does.
#[derive(Debug)]
pub struct Items(Share);

impl<T> Receiver<T> {
    /// That a message has come, as something of its own: for a descriptor, which owns what it waits
    /// for, while the receiver is used.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::wait::WaitFd;
    ///
    /// let (tx, rx) = crossproc_pipe::Pipe::one_way::<u64>()?;
    /// let fd = WaitFd::new(rx.items())?;
    /// tx.send(&1)?;
    /// // Give `fd` to `epoll`; when it is reported:
    /// while let Ok(item) = rx.try_recv() {
    ///     assert_eq!(item, 1);
    /// }
    /// fd.rearm();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn items(&self) -> Items {
        Items(self.end.clone())
    }
}

impl Waitable for Items {
    fn is_ready(&self, look: Look) -> bool {
        self.0.has_message(look)
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.0.segment(), self.0.inlet.view.items())
    }
}

/// As its [`Receiver`].
impl<A, B> Waitable for PipeEnd<A, B> {
    fn is_ready(&self, look: Look) -> bool {
        self.receiver().is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        self.receiver().source()
    }
}

/// That a pipe has room, to be waited for with `wait_any`: made by [`Sender::space`].
///
/// Ready when a message of that length would be sent at once, or none can be sent any more. Keeps the
/// end open as the [`Sender`] does.
pub struct Space {
    end: Share,
    bytes: u64,
}

impl<T: Message> Sender<T> {
    /// That there is room for an item, as something that `wait_any` can wait for. Where the length of
    /// items is not fixed, room for the longest that goes in one piece.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crossproc_pipe::Pipe;
    /// use crossproc_segment::wait::wait_any;
    ///
    /// let (tx, rx) = Pipe::<u64>::options().capacity(256).one_way::<u64>()?;
    /// let room = tx.space();
    /// assert_eq!(wait_any(&[&rx, &room], Duration::from_secs(1))?, [1]);
    /// while tx.try_send(&1).is_ok() {}
    /// assert_eq!(wait_any(&[&rx, &room], None)?, [0]);
    /// rx.recv()?;
    /// assert_eq!(wait_any(&[&rx, &room], None)?, [0, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn space(&self) -> Space {
        let longest = self.outlet().view.longest();
        let bytes = small::<T>().map_or(longest, |bytes| longest.min(bytes as u64));
        Space { end: self.end.clone(), bytes }
    }
}

impl<T> Sender<T> {
    /// As [`space`](Self::space), for a message of that many bytes; at most those of the longest that
    /// goes in one piece.
    #[must_use]
    pub fn space_for(&self, bytes: usize) -> Space {
        let bytes = (bytes as u64).min(self.outlet().view.longest());
        Space { end: self.end.clone(), bytes }
    }
}

impl End {
    /// Whether a message of that length would be sent at once, or none can be sent any more.
    pub(crate) fn has_room(&self, look: Look, bytes: u64) -> bool {
        if !self.may_send() || self.look_for_peer(look) {
            return true;
        }
        // By where the producer is for all to see: who looks for others takes no turn from the thread
        // whose own it is.
        let view = &self.out.view;
        if view.has_room(&mut view.producer(), bytes) == Err(Refused::Full) {
            return false;
        }
        // While another thread sends, the room is that one's.
        self.out.turn.is_free()
    }
}

impl Waitable for Space {
    fn is_ready(&self, look: Look) -> bool {
        self.end.has_room(look, self.bytes)
    }

    fn source(&self) -> Source<'_> {
        Source::EventCount(self.end.segment(), self.end.out.view.space())
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("bytes", &self.bytes).field("end", &self.end).finish()
    }
}
