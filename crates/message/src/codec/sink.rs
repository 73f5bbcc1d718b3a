//! Where a message is written to: a slot of a fixed size, or the tail of a `Vec`.

use crate::error::EncodeError;

/// A place that bytes are appended to.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError>;

    /// Bytes written so far.
    fn written(&self) -> usize;

    /// Overwrites bytes written before.
    ///
    /// # Panics
    ///
    /// Panics if `at..at + bytes.len()` is not written yet.
    fn patch(&mut self, at: usize, bytes: &[u8]);
}

/// A slot of fixed size.
pub(crate) struct Slot<'a> {
    slot: &'a mut [u8],
    written: usize,
}

impl<'a> Slot<'a> {
    #[inline(always)]
    pub(crate) fn new(slot: &'a mut [u8]) -> Self {
        Self { slot, written: 0 }
    }
}

impl Sink for Slot<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let room = self.slot.len();
        let end = self.written + bytes.len();
        let Some(place) = self.slot.get_mut(self.written..end) else {
            return Err(EncodeError::Full { room });
        };
        place.copy_from_slice(bytes);
        self.written = end;
        Ok(())
    }

    #[inline(always)]
    fn written(&self) -> usize {
        self.written
    }

    #[inline(always)]
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.slot[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// The end of a `Vec` that may hold something already.
pub(crate) struct Tail<'a> {
    all: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Tail<'a> {
    #[inline(always)]
    pub(crate) fn new(all: &'a mut Vec<u8>) -> Self {
        let start = all.len();
        Self { all, start }
    }

    /// Takes back what was written.
    pub(crate) fn undo(self) {
        self.all.truncate(self.start);
    }
}

impl Sink for Tail<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.all.extend_from_slice(bytes);
        Ok(())
    }

    #[inline(always)]
    fn written(&self) -> usize {
        self.all.len() - self.start
    }

    #[inline(always)]
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        let at = self.start + at;
        self.all[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
