//! Items that say who made them and as which.

use crossproc::{Message, Plain};

use crate::storm::schedule::mix;

/// An item that says who made it and as which, and is whole or not.
pub(super) trait Item: Message {
    /// The item `number` of `from`.
    fn make(from: u64, number: u64) -> Self;

    /// Who made it and as which; `None` if it is not whole.
    fn read(&self) -> Option<(u64, u64)>;
}

impl Item for (u64, u64) {
    fn make(from: u64, number: u64) -> Self {
        let word = number << 8 | from;
        (word, mix(word, 0))
    }

    fn read(&self) -> Option<(u64, u64)> {
        (self.1 == mix(self.0, 0)).then_some((self.0 & 0xff, self.0 >> 8))
    }
}

impl Item for Plain<[u64; 40]> {
    fn make(from: u64, number: u64) -> Self {
        let mut words = [number << 8 | from; 40];
        (1..).zip(&mut words[1..]).for_each(|(index, word)| *word = mix(*word, index));
        Self(words)
    }

    fn read(&self) -> Option<(u64, u64)> {
        let (from, number) = (self.0[0] & 0xff, self.0[0] >> 8);
        (self.0 == Self::make(from, number).0).then_some((from, number))
    }
}

impl Item for String {
    fn make(from: u64, number: u64) -> Self {
        let drawn = mix(from, number);
        let length = if drawn % 5 == 0 { drawn >> 8 & 0xfff } else { drawn >> 8 & 0x1f };
        let letters =
            (0..length.min(3000)).map(|at| char::from(b'a' + mix(drawn, at).to_le_bytes()[0] % 26));
        format!("{from} {number} {}", letters.collect::<Self>())
    }

    fn read(&self) -> Option<(u64, u64)> {
        let mut words = self.split(' ');
        let (from, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (*self == Self::make(from, number)).then_some((from, number))
    }
}

impl Item for Vec<u8> {
    fn make(from: u64, number: u64) -> Self {
        let drawn = mix(from, number);
        let most = [40, 5000, 100_000][(drawn % 3) as usize];
        let mut bytes = vec![drawn.to_le_bytes()[4]; 16 + (drawn >> 8) as usize % most];
        bytes[..8].copy_from_slice(&from.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    fn read(&self) -> Option<(u64, u64)> {
        let word = |at| Some(u64::from_le_bytes(self.get(at..at + 8)?.try_into().ok()?));
        let (from, number) = (word(0)?, word(8)?);
        (*self == Self::make(from, number)).then_some((from, number))
    }
}
