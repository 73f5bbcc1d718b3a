//! A buffer of the thread's own, for messages on their way in and out. For the crates of crossproc.

use std::cell::Cell;

/// Larger buffers are given back rather than kept.
const KEEP_BYTES: usize = 4 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer, the thread's own if it is not in use further up the stack: an item may put
/// or get other items while it is written or read.
#[derive(Debug, Default)]
pub struct Scratch(pub Vec<u8>);

impl Scratch {
    /// Takes the thread's buffer, until it is dropped.
    #[must_use]
    pub fn new() -> Self {
        Self(BUFFER.try_with(Cell::take).unwrap_or_default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.capacity() <= KEEP_BYTES {
            let mut buffer = std::mem::take(&mut self.0);
            buffer.clear();
            // At the end of a thread there is nothing to keep it for.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }
}
