//! Messages that lie in their slot, put and taken in one go: as small items are, without a hold.
//!
//! The first word of their payload is a place, which may name a block that somebody who died left
//! there. Neither side writes to it here.

use crossproc_segment::MemberId;

use super::{Ring, Word};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Relaxed, Release};

const WORD_BYTES: usize = size_of::<u64>();
/// Words before what these functions write: the place.
const PLACE_WORDS: usize = 1;

impl Ring {
    /// Puts `first` and the words that `bytes` are behind the place of the slot at the write end if
    /// nothing stands in the way; `false` says nothing about why, [`Ring::claim`] does. The caller wakes
    /// a consumer. Bytes behind the last whole word are left out.
    ///
    /// # Panics
    ///
    /// If the slot has no place and as many words.
    #[inline(always)]
    pub fn put_short_at_once(&self, me: MemberId, first: u64, bytes: &[u8]) -> bool {
        let words = bytes.len() / WORD_BYTES;
        assert!(words + PLACE_WORDS < self.payload_words(), "message longer than the slot");
        let Some((at, slot)) = self.free_at_once() else { return false };
        if self.claim_at(at, slot, me).is_none() {
            return false;
        }
        self.behind_place(slot, 0).store(first, Relaxed);
        for (index, bytes) in bytes.chunks_exact(WORD_BYTES).enumerate() {
            let mut word = [0; WORD_BYTES];
            word.copy_from_slice(bytes);
            self.behind_place(slot, index + 1).store(u64::from_ne_bytes(word), Relaxed);
        }
        // commit: the item is in the queue; a store, for what is said at `put_at`.
        // ORDERING: release side of *publish*.
        slot.store(Word::full(at.lap()).bits(), Release);
        true
    }

    /// Takes the message at the read end if nothing stands in the way, leases that were made included,
    /// and `words_of` says of the word behind the place how many words more belong to it. These are
    /// copied to the start of `out`; what the word was is returned. `None` says nothing about why,
    /// [`Ring::hold`] does. The caller wakes a producer. Who `asks` leaves it where it
    /// [trails](Ring::left_for_trailing) the producers.
    ///
    /// Nothing is held: what is read may be of several messages, and counts only once it is taken.
    ///
    /// # Panics
    ///
    /// If the slot has no place, or `words_of` says more words than `out` or the slot has.
    #[inline(always)]
    pub fn take_short_at_once(
        &self,
        asks: bool,
        words_of: impl FnOnce(u64) -> Option<usize>,
        out: &mut [u64],
    ) -> Option<u64> {
        let (at, slot) = self.full_at_once()?;
        if asks && self.is_wide() && self.asks_if_trailing(at, self.payload_words()) {
            return None;
        }
        assert!(PLACE_WORDS < self.payload_words(), "no room for a place");
        // What a dead consumer left there is for one who holds the slot.
        if self.payload_word(slot, 0).load(Relaxed) != 0 {
            return None;
        }
        let first = self.behind_place(slot, 0).load(Relaxed);
        let words = words_of(first)?;
        assert!(words + PLACE_WORDS < self.payload_words(), "message longer than the slot");
        for (index, word) in out[..words].iter_mut().enumerate() {
            *word = self.behind_place(slot, index + 1).load(Relaxed);
        }
        let free = Word::free(at.lap().next()).bits();
        // commit: the item is taken.
        // ORDERING: release side of *reuse*.
        slot.compare_exchange(Word::full(at.lap()).bits(), free, Release, Relaxed).ok()?;
        self.pass_head(at);
        Some(first)
    }

    #[inline(always)]
    fn behind_place(&self, slot: &AtomicU64, index: usize) -> &AtomicU64 {
        self.payload_word(slot, PLACE_WORDS + index)
    }

    /// A word of a slot's payload, which has as many.
    #[inline(always)]
    fn payload_word(&self, slot: &AtomicU64, index: usize) -> &AtomicU64 {
        debug_assert!(index < self.payload_words());
        // SAFETY: as asserted, the slot has as many words.
        let word = unsafe { self.payload(slot).add(index) };
        // SAFETY: within the ring, and only reached as an atomic.
        unsafe { word.as_ref() }
    }
}
