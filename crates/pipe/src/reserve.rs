//! Messages written in place.

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use crossproc_sys::clock::Deadline;

use crate::bytes::copy_in;
use crate::end::{Place, RESERVED};
use crate::error::{SendError, TrySendError};
use crate::patience::Patience;
use crate::raw::{Claim, Word};
use crate::send::Sender;

impl<T> Sender<T> {
    /// Reserves room for a message of up to `bytes` bytes, to be written in place and then
    /// [committed](Reserve::commit): no copy, whatever its size. Blocks while there is no room.
    ///
    /// Nobody sees anything of it before the commit. Dropped, forgotten, or killed with its process,
    /// it is a message that was never sent.
    ///
    /// # Examples
    ///
    /// ```
    /// let (mut tx, mut rx) = crossproc_pipe::Pipe::one_way::<()>()?;
    /// let mut frame = tx.reserve(4096)?;
    /// frame.write_at(0, b"pixels");
    /// frame.commit(6)?;
    /// let frame = rx.borrow()?;
    /// let mut pixels = [0; 6];
    /// frame.read_at(0, &mut pixels);
    /// assert_eq!(&pixels, b"pixels");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::TooLong`] if `bytes` is more than [`longest_piece`](Self::longest_piece); or as
    /// [`send`](Self::send).
    pub fn reserve(&mut self, bytes: usize) -> Result<Reserve<'_, T>, SendError> {
        self.reserve_within(bytes, Patience::Endless).map_err(TrySendError::without_full)
    }

    /// As [`reserve`](Self::reserve), if there is room. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`], or as [`reserve`](Self::reserve).
    pub fn try_reserve(&mut self, bytes: usize) -> Result<Reserve<'_, T>, TrySendError> {
        self.reserve_within(bytes, Patience::None)
    }

    /// As [`reserve`](Self::reserve), but blocks no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] after the timeout, or as [`reserve`](Self::reserve).
    pub fn reserve_timeout(
        &mut self,
        bytes: usize,
        timeout: Duration,
    ) -> Result<Reserve<'_, T>, TrySendError> {
        self.reserve_within(bytes, Patience::Until(Deadline::after(timeout)))
    }

    /// As [`reserve`](Self::reserve), but blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`reserve_timeout`](Self::reserve_timeout).
    pub fn reserve_deadline(
        &mut self,
        bytes: usize,
        deadline: Deadline,
    ) -> Result<Reserve<'_, T>, TrySendError> {
        self.reserve_within(bytes, Patience::Until(deadline))
    }

    fn reserve_within(
        &mut self,
        bytes: usize,
        patience: Patience,
    ) -> Result<Reserve<'_, T>, TrySendError> {
        let (bytes, limit) = (bytes as u64, self.outlet().view.longest());
        if bytes > limit {
            return Err(TrySendError::TooLong { bytes, limit });
        }
        if !self.is_owned() {
            return Err(TrySendError::NotOwned);
        }
        let turn = &self.outlet().turn;
        let Some(mut producer) = turn.hold(patience) else { return Err(TrySendError::Full) };
        let claim = self.claim_within(&mut producer, patience, |view, p| view.claim(p, bytes))?;
        // The handle is borrowed for as long as the claim is there, so nobody sends meanwhile; and if
        // the other half closes the end, no successor does.
        let place = self.end.keep_place(RESERVED);
        drop(producer);
        Ok(Reserve { sender: self, claim, _place: place })
    }
}

/// Room in a pipe for a message that is being written; from [`Sender::reserve`].
#[must_use = "a reservation that is dropped sends nothing"]
pub struct Reserve<'p, T> {
    sender: &'p Sender<T>,
    claim: Claim<'p>,
    _place: Place<'p>,
}

impl<T> Reserve<'_, T> {
    /// Bytes reserved.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.claim.bytes()).unwrap_or(0)
    }

    /// Whether it is for an empty message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `bytes` to `offset` of the message.
    ///
    /// # Panics
    ///
    /// If they do not fit into what was reserved.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        copy_in(bytes, &self.claim, offset);
    }

    /// Where the message is to be written: aligned to 8, [`len`](Self::len) bytes long, whatever was
    /// there before. Valid until the commit or drop.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> NonNull<u8> {
        self.claim.payload().cast()
    }

    /// The bytes to be written, in place.
    ///
    /// # Safety
    ///
    /// No process may reach these bytes while the slice is used. None that uses the pipe by this
    /// crate does; one that is hostile, or gone mad, could.
    pub unsafe fn as_uninit_slice(&mut self) -> &mut [MaybeUninit<u8>] {
        let (at, length) = (self.claim.payload().cast(), self.len());
        // SAFETY: so many bytes are the claim's, and nobody else's by the contract.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), length) }
    }

    /// Sends the first `bytes` bytes as a message. Never blocks.
    ///
    /// Bytes that were not written have any value.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOwned`] if the other half of the end was closed meanwhile. If the receiver is
    /// gone meanwhile, the message goes nowhere, and the next call tells.
    ///
    /// # Panics
    ///
    /// If that is more than was reserved.
    pub fn commit(self, bytes: usize) -> Result<(), SendError> {
        assert!(bytes <= self.len(), "more bytes than were reserved");
        if !self.sender.is_owned() {
            return Err(SendError::NotOwned);
        }
        let out = self.sender.outlet();
        let Some(mut producer) = out.turn.hold(Patience::Endless) else {
            return Err(SendError::NotOwned);
        };
        if !self.sender.is_owned() {
            return Err(SendError::NotOwned);
        }
        self.claim.commit(&mut producer, Word::whole(bytes as u64));
        out.view.items().notify_all();
        Ok(())
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("len", &self.len()).finish_non_exhaustive()
    }
}
