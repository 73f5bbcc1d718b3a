//! What was put and what was got, item by item.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::storm::ledger::{Count, Ledger};
use crate::storm::{Fault, Kind};
use crate::sweep::Memory;

/// Most items of one stream that the bitmap has bits for; then its producer makes no more.
pub(super) const ITEMS: u64 = 1 << 24;

/// Own word of a consumer: so many items may be lost with it, as it is in `get` or has not marked yet
/// what that brought.
pub(super) const GETTING: usize = 0;

/// What producers and consumers note of items, and whether it adds up; for one queue.
///
/// The items of a stream come from one producer and keep their order. A producer has one, or as many as
/// there are levels to put at.
pub(super) struct Books {
    /// One bit for each item of each stream.
    marks: Memory,
    streams: usize,
    /// Streams of each producer.
    each: usize,
    /// Items in flight when their producers died; each with the first one of its run.
    unsure: RefCell<BTreeMap<(usize, u64), u64>>,
    /// Items that consumers may have had when they died.
    losses: Cell<u64>,
}

impl Books {
    /// Books of parts `0..producers`, of one stream each; the arena has a word for each of them.
    pub(super) fn new(producers: usize) -> Result<Self, Fault> {
        Self::of_streams(producers, 1)
    }

    /// Books of parts `0..producers`, of `each` streams each; the arena has a word for each of them.
    pub(super) fn of_streams(producers: usize, each: usize) -> Result<Self, Fault> {
        let streams = producers * each;
        let bytes = usize::try_from(ITEMS / 8).unwrap_or(0) * streams;
        let marks = Memory::anonymous(bytes).map_err(|error| Fault::wrong("the marks", error))?;
        Ok(Self { marks, streams, each, unsure: RefCell::default(), losses: Cell::new(0) })
    }

    fn bit(&self, stream: usize, number: u64) -> (&AtomicU64, u64) {
        let words = usize::try_from(ITEMS / 64).unwrap_or(0);
        let at = usize::try_from(number / 64).unwrap_or(usize::MAX);
        (&self.marks.words()[stream * words + at], 1 << (number % 64))
    }

    /// What was put of a stream.
    fn count<'l>(&self, ledger: &'l Ledger, stream: usize) -> Count<'l> {
        ledger.part(stream / self.each).count(stream % self.each)
    }

    /// The highest numbers noted so far: whatever a `get` brings that begins now is younger.
    pub(super) fn floors(&self, ledger: &Ledger) -> Vec<u64> {
        ledger.extra()[..self.streams].iter().map(|word| word.load(Acquire)).collect()
    }

    /// Marks an item that a `get` brought, which began after `floors` were read.
    pub(super) fn mark(
        &self,
        ledger: &Ledger,
        item: Option<(u64, u64)>,
        floors: &[u64],
    ) -> Result<(), Fault> {
        let Some((from, number)) = item else {
            return Err(Fault::new(Kind::Torn, "an item is not whole"));
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let known = from < self.streams && number > 0;
        if !known || number > self.count(ledger, from).attempted() {
            let text = format!("item {number} of {from} was never put");
            return Err(Fault::new(Kind::Doubled, text));
        }
        let (word, bit) = self.bit(from, number);
        if word.fetch_or(bit, AcqRel) & bit != 0 {
            return Err(Fault::new(Kind::Doubled, format!("item {number} of {from} came twice")));
        }
        if number <= floors[from] {
            let text = format!("item {number} of {from} came after {}", floors[from]);
            return Err(Fault::new(Kind::Disorder, text));
        }
        ledger.extra()[from].fetch_max(number, AcqRel);
        Ok(())
    }

    /// A producer died.
    pub(super) fn mourn_producer(&self, part: usize, ledger: &Ledger) {
        for stream in part * self.each..(part + 1) * self.each {
            let count = self.count(ledger, stream);
            let first = count.done() + 1;
            let mut unsure = self.unsure.borrow_mut();
            unsure.extend((first..=count.attempted()).map(|number| ((stream, number), first)));
            count.skip();
        }
    }

    /// A consumer died.
    pub(super) fn mourn_consumer(&self, part: usize, ledger: &Ledger) {
        self.losses.set(self.losses.get() + ledger.part(part).own(GETTING).swap(0, Relaxed));
    }

    /// Whether all adds up.
    pub(super) fn account(&self, ledger: &Ledger) -> Result<String, Fault> {
        let unsure = self.unsure.borrow();
        let (mut missing, mut happened) = (Vec::new(), 0u64);
        for stream in 0..self.streams {
            let count = self.count(ledger, stream);
            let mut before = true;
            for number in 1..=count.attempted() {
                let (word, bit) = self.bit(stream, number);
                let got = word.load(Relaxed) & bit != 0;
                if let Some(&first) = unsure.get(&(stream, number)) {
                    happened += u64::from(got);
                    if got && number > first && !before && self.losses.get() == 0 {
                        let text = format!("item {number} of {stream}, whose run began at {first}");
                        let text = text + ", is there, and the one before it is not";
                        return Err(Fault::new(Kind::Disorder, text));
                    }
                } else if number > count.done() && got {
                    let text = format!("item {number} of {stream} was refused, and came");
                    return Err(Fault::new(Kind::Doubled, text));
                } else if number <= count.done() && !got {
                    missing.push((stream, number));
                }
                before = got;
            }
        }
        let may = self.losses.get();
        if missing.len() as u64 > may {
            missing.truncate(20);
            let text = format!("of accepted items, where {may} may: {missing:?}..");
            return Err(Fault::new(Kind::Lost, text));
        }
        let (lost, of) = (missing.len(), unsure.len());
        Ok(format!("in flight: {happened} of {of} put, {lost} of {may} taken"))
    }
}
