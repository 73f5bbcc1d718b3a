//! A pipe in the memory of a model, and the oracle of who is dead.

use core::ptr::NonNull;

use crossproc_pipe::raw::{AtomicU64, Consumer, Header, NoRecord, Producer, Side, View, Word};
use crossproc_segment::MemberId;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;

/// Two records of [`BYTES`] fit, each in one half.
const CAPACITY: u64 = 64;
/// Bytes of a record's payload.
pub(crate) const BYTES: u64 = 16;

/// A pipe of one direction, whose payloads stand beside it too, as plain memory: the model refuses
/// any two accesses that nothing orders.
pub(crate) struct Shared {
    header: Box<Header>,
    ring: Box<[AtomicU64]>,
    cells: [UnsafeCell<u64>; 2],
    dead: AtomicU32,
}

// SAFETY: the cells are reached by the protocol under test, which the model checks.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            header: Box::default(),
            ring: (0..CAPACITY / 8).map(|_| AtomicU64::new(0)).collect(),
            cells: [UnsafeCell::new(0), UnsafeCell::new(0)],
            dead: AtomicU32::new(0),
        })
    }

    /// The same with both ends taken.
    pub(crate) fn open() -> Arc<Self> {
        let shared = Self::new();
        shared.take(Side::First, id(1));
        shared.take(Side::Second, id(2));
        shared
    }

    pub(crate) fn view(&self) -> View {
        let ring = NonNull::from(&self.ring[0]);
        // SAFETY: both belong to `self`, which outlives every use of the view.
        unsafe { View::new(NonNull::from(&*self.header), ring, CAPACITY, Side::First) }
    }

    pub(crate) fn take(&self, side: Side, me: MemberId) -> bool {
        self.header.take(side, me, None, |who| self.alive(who)).is_ok()
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn die(&self, who: MemberId) {
        // ORDERING: what the dead did is visible to who sees it dead, as the kernel grants.
        self.dead.store(who.get(), Release);
    }

    pub(crate) fn alive(&self, who: MemberId) -> bool {
        // ORDERING: see `die`.
        self.dead.load(Acquire) != who.get()
    }

    /// Puts a record by claim and commit, if there is room.
    pub(crate) fn put(&self, p: &mut Producer, value: u64) -> bool {
        let view = self.view();
        let Ok(claim) = view.claim(p, BYTES) else { return false };
        self.write(&claim, value);
        claim.commit(p, Word::whole(BYTES));
        true
    }

    /// The payload of a record that is not committed.
    pub(crate) fn write(&self, claim: &crossproc_pipe::raw::Claim<'_>, value: u64) {
        claim.write(&[value, value * 7]);
        let half = claim.payload().as_ptr() as usize - self.ring.as_ptr() as usize;
        let cell = &self.cells[half / (size_of::<AtomicU64>() * 4)];
        // SAFETY: nobody else reaches it now, as the model checks.
        cell.with_mut(|cell| unsafe { *cell = value });
    }

    /// Takes a record, if one is there.
    pub(crate) fn get(&self, c: &mut Consumer) -> Option<u64> {
        let view = self.view();
        let record = match view.first(c) {
            Ok(record) => record,
            Err(none) => {
                assert_eq!(none, NoRecord::Empty);
                return None;
            }
        };
        let mut words = [0; 2];
        record.read(&mut words);
        let half = record.payload().as_ptr() as usize - self.ring.as_ptr() as usize;
        let cell = &self.cells[half / (size_of::<AtomicU64>() * 4)];
        // SAFETY: nobody writes to it now, as the model checks.
        assert_eq!(cell.with(|cell| unsafe { *cell }), words[0], "of another record");
        assert_eq!(words[1], words[0] * 7, "torn");
        view.release(c, record);
        Some(words[0])
    }

    /// What a receiver does once: looks, and where nothing is there and the other end gone, looks
    /// again. `Err` is the end.
    pub(crate) fn receive(&self, c: &mut Consumer) -> Result<Option<u64>, ()> {
        if let Some(value) = self.get(c) {
            return Ok(Some(value));
        }
        let gone = self.header.bury(Side::First, |who| self.alive(who));
        if !gone && !self.header.is_over(Side::First) {
            return Ok(None);
        }
        self.get(c).map(Some).ok_or(())
    }
}

pub(crate) fn id(n: u32) -> MemberId {
    MemberId::new(n).unwrap()
}

/// Tries every order with at most three switches away from a thread that could go on.
pub(crate) fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// A thread that does something.
pub(crate) fn spawn<R: 'static>(
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || run(&shared))
}
