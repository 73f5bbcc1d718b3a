//! Items of a size.

use crossproc::Message;

/// An item of a size.
pub(super) trait Item: Message + Copy {
    fn of(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Item for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl Item for [u64; 8] {
    fn of(number: u64) -> Self {
        [number; 8]
    }

    fn number(&self) -> u64 {
        self[0] ^ self[7] ^ self[3]
    }
}
