//! Items of each form that a queue has: words, bytes, messages short and long.

use crossproc::{Message, Plain};

/// An item that says who made it and as which of its items.
pub(crate) trait Item: Message {
    fn make(from: u32, number: u64) -> Self;

    /// Who made it and which it is, if it is whole.
    fn read(&self) -> (u32, u64);
}

/// Two words.
impl Item for (u32, u64) {
    fn make(from: u32, number: u64) -> Self {
        (from, number)
    }

    fn read(&self) -> (u32, u64) {
        *self
    }
}

/// More bytes than are copied word by word.
pub(crate) type Block = Plain<[u64; 40]>;

impl Item for Block {
    fn make(from: u32, number: u64) -> Self {
        let word = number << 32 | u64::from(from);
        Self([word; 40])
    }

    fn read(&self) -> (u32, u64) {
        let word = self.0[0];
        assert!(self.0.iter().all(|&other| other == word), "a torn item");
        (u32::try_from(word & 0xffff_ffff).expect("masked"), word >> 32)
    }
}

/// A message, now and then a long one.
impl Item for String {
    fn make(from: u32, number: u64) -> Self {
        let fill = if number % 7 == 3 { 3000 } else { 10 };
        format!("{from} {number} {}", "x".repeat(fill))
    }

    fn read(&self) -> (u32, u64) {
        let mut words = self.split(' ');
        let (from, number) = (words.next().unwrap(), words.next().unwrap());
        let item = (from.parse().unwrap(), number.parse().unwrap());
        assert!(*self == Self::make(item.0, item.1), "a torn item");
        item
    }
}

/// Always a long message: some of them fill a segment of 1 MiB.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Long(u32, u64, Vec<u8>);

impl Item for Long {
    fn make(from: u32, number: u64) -> Self {
        Self(from, number, vec![number.to_ne_bytes()[0]; 60_000])
    }

    fn read(&self) -> (u32, u64) {
        let byte = self.1.to_ne_bytes()[0];
        assert!(self.2.len() == 60_000 && self.2.iter().all(|&b| b == byte), "a torn item");
        (self.0, self.1)
    }
}
