//! Messages put together from their records.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

use crossproc_message::scratch::Scratch;

use crate::bytes::copy_out;
use crate::raw::{Consumer, NoRecord, Record, View};

/// Bytes that a claimed length may reserve; beyond that, memory grows with what arrives.
const RESERVE: u64 = 4 << 20;
/// Records in one attempt, so that a sender gone mad does not keep it going for ever.
const ROUNDS: u32 = 1 << 14;
/// Bytes of the length that begins the first part of a message.
pub(crate) const TOTAL_BYTES: usize = size_of::<u64>();

/// What a receiving end keeps in its own memory.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(crate) consumer: Consumer,
    hand: Hand,
    /// Whether something is in hand, for those who look without the turn. Up before the first part
    /// leaves the ring, which *reuse* orders.
    in_hand: Arc<AtomicBool>,
}

/// A long message, as far as it has arrived.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hand {
    bytes: Vec<u8>,
    /// The length it will have; 0 if there is none.
    total: u64,
    handles: bool,
    /// Where the consumer was when it left the hand to a successor.
    at: u64,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next<'v> {
    /// A message in one record, which is still in the ring.
    Record(Record<'v>),
    /// A message in hand: [`Taking::take_hand`].
    InHand,
    /// One that is longer than allowed, which begins with this record.
    TooLong(Record<'v>, u64),
}

impl Hand {
    fn is_whole(&self) -> bool {
        self.total != 0 && self.bytes.len() as u64 == self.total
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }
}

impl Taking {
    /// Nothing in hand, but for what a predecessor had, if it had got as far.
    pub(crate) fn new(consumer: Consumer, hand: Hand) -> Self {
        let goes_on = hand.at == consumer.position();
        let hand = if goes_on { hand } else { Hand::default() };
        let in_hand = Arc::new(AtomicBool::new(!hand.is_empty()));
        Self { consumer, hand, in_hand }
    }

    /// Tells whether something is in hand.
    pub(crate) fn in_hand_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.in_hand)
    }

    fn set_total(&mut self, total: u64) {
        if total != self.hand.total {
            self.hand.total = total;
            self.in_hand.store(total != 0, Relaxed);
        }
    }

    /// What is in hand, for a successor.
    pub(crate) fn leave(&mut self) -> &Hand {
        self.hand.at = self.consumer.position();
        &self.hand
    }

    /// Goes on at `consumer`, without what is in hand if that is another place than before.
    pub(crate) fn go_on_at(&mut self, consumer: Consumer) {
        if consumer.position() != self.consumer.position() {
            self.drop_part();
        }
        self.consumer = consumer;
    }

    /// Takes a small message, if that is what comes first and nothing is in hand.
    #[inline(always)]
    pub(crate) fn take_words(&mut self, view: &View, bytes: u64, words: &mut [u64]) -> bool {
        self.hand.is_empty() && view.take_words_at_once(&mut self.consumer, bytes, words)
    }

    /// Whether something is there that it has seen: a message, or a part of one in hand.
    #[inline(always)]
    pub(crate) fn knows_more(&self) -> bool {
        self.consumer.knows_more() || !self.hand.is_empty()
    }

    /// Takes what has arrived of a long message in hand, until something is whole.
    pub(crate) fn next<'v>(&mut self, view: &'v View, max_len: u64) -> Result<Next<'v>, NoRecord> {
        for _ in 0..ROUNDS {
            if self.hand.is_whole() {
                return Ok(Next::InHand);
            }
            let record = view.first(&mut self.consumer)?;
            let word = record.word();
            if word.is_start() && !word.has_more() {
                if word.length() > max_len {
                    return Ok(Next::TooLong(record, word.length()));
                }
                return Ok(Next::Record(record));
            }
            if word.is_start() {
                let total = total(&record).ok_or(NoRecord::Corrupt)?;
                if total > max_len {
                    return Ok(Next::TooLong(record, total));
                }
                self.begin(&record, total)?;
            } else if !self.hand.is_empty() {
                self.go_on(&record)?;
            }
            self.release(view, record);
        }
        Err(NoRecord::Empty)
    }

    /// Drops the part in hand, if a new message has begun: its sender gave up or died.
    pub(crate) fn drop_part(&mut self) {
        self.set_total(0);
        self.hand.bytes.clear();
    }

    /// Gives the room of the first record to the producer, and wakes it.
    pub(crate) fn release(&mut self, view: &View, record: Record<'_>) {
        view.release(&mut self.consumer, record);
        view.space().notify_all();
    }

    /// Takes the message that is whole in hand, and whether it holds handles.
    pub(crate) fn take_hand(&mut self) -> (Vec<u8>, bool) {
        self.set_total(0);
        (std::mem::take(&mut self.hand.bytes), self.hand.handles)
    }

    /// Bytes of the message in hand.
    pub(crate) fn in_hand(&self) -> &[u8] {
        &self.hand.bytes
    }

    fn begin(&mut self, record: &Record<'_>, total: u64) -> Result<(), NoRecord> {
        self.hand.bytes.clear();
        if self.hand.bytes.capacity() == 0 {
            self.hand.bytes = std::mem::take(&mut Scratch::new().0);
        }
        let reserve = usize::try_from(total.min(RESERVE)).unwrap_or(0);
        self.hand.bytes.reserve(reserve);
        self.set_total(total);
        self.hand.handles = record.word().has_handles();
        copy_out(record, TOTAL_BYTES, &mut self.hand.bytes);
        self.check(true)
    }

    fn go_on(&mut self, record: &Record<'_>) -> Result<(), NoRecord> {
        copy_out(record, 0, &mut self.hand.bytes);
        self.check(record.word().has_more())
    }

    /// Whether what is in hand is less than the whole exactly as long as more is to come.
    fn check(&mut self, more: bool) -> Result<(), NoRecord> {
        let found = self.hand.bytes.len() as u64;
        let fits = if more { found < self.hand.total } else { found == self.hand.total };
        if fits {
            return Ok(());
        }
        self.drop_part();
        Err(NoRecord::Corrupt)
    }
}

/// The length of a long message, from its first part.
fn total(record: &Record<'_>) -> Option<u64> {
    use crate::raw::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;
    if record.bytes() < TOTAL_BYTES {
        return None;
    }
    // SAFETY: the payload has a word, as was just checked, which is mapped and aligned.
    let word: &AtomicU64 = unsafe { record.payload().as_ref() };
    Some(word.load(Relaxed)).filter(|&total| total != 0)
}
