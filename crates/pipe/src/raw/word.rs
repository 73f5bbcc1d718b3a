//! The word before each record's payload, and the producer's position.

/// Length and flags of a record: `length:48 | 0 | PAD (60) | HANDLES (61) | MORE (62) | START (63)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// Bytes of the word itself.
    pub const BYTES: u64 = 8;

    const LENGTH: u64 = (1 << 48) - 1;
    const PAD: u64 = 1 << 60;
    const HANDLES: u64 = 1 << 61;
    const MORE: u64 = 1 << 62;
    const START: u64 = 1 << 63;

    /// A whole message of that length.
    #[must_use]
    #[inline(always)]
    pub const fn whole(length: u64) -> Self {
        Self(length | Self::START)
    }

    /// A part of a message: whether it is the first, and whether more come.
    #[must_use]
    pub fn chunk(length: u64, start: bool, more: bool) -> Self {
        let flag = |set, bit| if set { bit } else { 0 };
        Self(length | flag(start, Self::START) | flag(more, Self::MORE))
    }

    /// Fills the ring to its end.
    pub(super) fn pad(length: u64) -> Self {
        Self(length | Self::PAD)
    }

    /// The same for a message that holds handles, or not.
    #[must_use]
    pub fn with_handles(self, handles: bool) -> Self {
        if handles { Self(self.0 | Self::HANDLES) } else { self }
    }

    #[inline(always)]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// Bytes of the payload, as claimed.
    #[must_use]
    #[inline(always)]
    pub fn length(self) -> u64 {
        self.0 & Self::LENGTH
    }

    /// Whether a message begins here.
    #[must_use]
    pub fn is_start(self) -> bool {
        self.0 & Self::START != 0
    }

    /// Whether the message goes on in the next record.
    #[must_use]
    pub fn has_more(self) -> bool {
        self.0 & Self::MORE != 0
    }

    /// Whether the message holds handles.
    #[must_use]
    pub fn has_handles(self) -> bool {
        self.0 & Self::HANDLES != 0
    }

    #[inline(always)]
    pub(super) fn is_pad(self) -> bool {
        self.0 & Self::PAD != 0
    }

    /// Bits that no version writes.
    pub(super) fn is_unknown(self) -> bool {
        let known = Self::LENGTH | Self::HANDLES | Self::MORE | Self::START;
        self.0 & !known != 0
    }
}

/// The producer's position, read once: `pos | post`, where the position is a multiple of 8, and the
/// last record's payload lies in post 1, or 2, or (0) in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailWord(pub(super) u64);

impl TailWord {
    const POST: u64 = 3;
    const LOW: u64 = 7;

    #[inline(always)]
    pub(super) fn new(pos: u64, post: Option<usize>) -> Self {
        Self(pos & !Self::LOW | post.map_or(0, |index| index as u64 + 1))
    }

    #[inline(always)]
    pub(super) fn pos(self) -> u64 {
        self.0 & !Self::LOW
    }

    /// Which of the two posts, if any.
    #[inline(always)]
    pub(super) fn post(self) -> Option<usize> {
        match self.0 & Self::POST {
            1 => Some(0),
            2 => Some(1),
            _ => None,
        }
    }
}

/// Bytes of a record with so long a payload: its word included, padded.
#[must_use]
#[inline(always)]
pub const fn record_bytes(length: u64) -> u64 {
    Word::BYTES + length.next_multiple_of(8)
}

/// Words of a payload of so many bytes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "of a small item")]
pub(super) const fn words_of(bytes: u64) -> usize {
    bytes.div_ceil(8) as usize
}
