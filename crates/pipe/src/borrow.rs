//! Messages read in place.

use std::fmt;
use std::ptr::NonNull;
use std::time::Duration;

use crossproc_message::scratch::Scratch;
use crossproc_sys::clock::Deadline;

use crate::bytes::copy_part;
use crate::end::{BORROWED, Place};
use crate::error::{RecvError, TryRecvError};
use crate::hand::Next;
use crate::patience::Patience;
use crate::raw::Record;
use crate::recv::{Receiver, nothing};

impl<T> Receiver<T> {
    /// The next message, to be read in place; it is taken when what this gives is dropped. Blocks
    /// while there is none.
    ///
    /// Forgotten instead of dropped, or killed with its process, it was not taken. A message that came
    /// in parts was put together in this process's own memory, and is taken at once.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, mut rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// tx.send_bytes(b"frame")?;
    /// let frame = rx.borrow()?;
    /// let mut middle = [0; 3];
    /// frame.read_at(1, &mut middle);
    /// assert_eq!((frame.len(), &middle), (5, b"ram"));
    /// drop(frame);
    /// assert!(rx.try_borrow().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv_bytes`](Self::recv_bytes).
    pub fn borrow(&mut self) -> Result<Borrowed<'_, T>, RecvError> {
        self.borrow_within(Patience::Endless).map_err(TryRecvError::without_empty)
    }

    /// As [`borrow`](Self::borrow), if a message is there. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`], or as [`borrow`](Self::borrow).
    pub fn try_borrow(&mut self) -> Result<Borrowed<'_, T>, TryRecvError> {
        self.borrow_within(Patience::None)
    }

    /// As [`borrow`](Self::borrow), but blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] after the timeout, or as [`borrow`](Self::borrow).
    pub fn borrow_timeout(&mut self, timeout: Duration) -> Result<Borrowed<'_, T>, TryRecvError> {
        self.borrow_within(Patience::Until(Deadline::after(timeout)))
    }

    /// As [`borrow`](Self::borrow), but blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`borrow_timeout`](Self::borrow_timeout).
    pub fn borrow_deadline(&mut self, deadline: Deadline) -> Result<Borrowed<'_, T>, TryRecvError> {
        self.borrow_within(Patience::Until(deadline))
    }

    fn borrow_within(&mut self, patience: Patience) -> Result<Borrowed<'_, T>, TryRecvError> {
        let receiver: &Self = self;
        let place = receiver.receive(patience, nothing, |_, taking, next| {
            Ok(match next {
                Next::Record(record) => {
                    Where::Ring { record, _place: receiver.end.keep_place(BORROWED) }
                }
                _ => Where::Own(taking.take_hand().0),
            })
        })?;
        // The handle is borrowed for as long as the record is, so nobody receives meanwhile; and if
        // the other half closes the end, no successor does.
        Ok(Borrowed { receiver, place })
    }
}

/// Where a borrowed message lies.
enum Where<'p> {
    /// In the ring, as one record.
    Ring { record: Record<'p>, _place: Place<'p> },
    /// In this process's own memory.
    Own(Vec<u8>),
}

/// The next message of a pipe, in place; from [`Receiver::borrow`]. Taken when this is dropped.
pub struct Borrowed<'p, T> {
    receiver: &'p Receiver<T>,
    place: Where<'p>,
}

impl<T> Borrowed<'_, T> {
    /// Bytes of the message.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.place {
            Where::Ring { record, .. } => record.bytes(),
            Where::Own(bytes) => bytes.len(),
        }
    }

    /// Whether it is an empty message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the bytes of the message from `offset` on into `out`.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn read_at(&self, offset: usize, out: &mut [u8]) {
        match &self.place {
            Where::Ring { record, .. } => copy_part(record, offset, out),
            Where::Own(bytes) => out.copy_from_slice(&bytes[offset..][..out.len()]),
        }
    }

    /// Where the message lies: [`len`](Self::len) bytes, aligned to 8 if it lies in the ring. Not to
    /// be written to. Valid until the drop.
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        match &self.place {
            Where::Ring { record, .. } => record.payload().cast(),
            Where::Own(bytes) => NonNull::from(bytes.as_slice()).cast(),
        }
    }

    /// The bytes of the message, in place.
    ///
    /// # Safety
    ///
    /// No process may write to these bytes while the slice is used. None that uses the pipe by this
    /// crate does; one that is hostile, or gone mad, could.
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes are this borrow's, and nobody writes to them by the contract.
        unsafe { std::slice::from_raw_parts(self.as_ptr().as_ptr(), self.len()) }
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        match &mut self.place {
            Where::Own(bytes) => drop(Scratch(std::mem::take(bytes))),
            Where::Ring { record, .. } => {
                let receiver = self.receiver;
                let inlet = receiver.inlet();
                // In a forked child the turn may be another thread's, of the parent, for ever.
                if receiver.is_owned() {
                    if let Some(mut taking) = inlet.turn.hold(Patience::Endless) {
                        if receiver.is_owned() {
                            taking.release(&inlet.view, *record);
                        }
                    }
                }
            }
        }
    }
}

impl<T> fmt::Debug for Borrowed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Borrowed").field("len", &self.len()).finish_non_exhaustive()
    }
}
