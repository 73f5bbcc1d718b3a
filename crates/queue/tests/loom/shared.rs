//! A ring in the model's memory, and what threads do with it.

use core::ptr::NonNull;
use std::sync::Mutex;

use crossproc_queue::raw::{AtomicU64, Header, NoItem, Refused, Ring};
use crossproc_segment::MemberId;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::thread;

/// A queue of two payload words in the model's memory.
pub(crate) struct Shared {
    header: Box<Header>,
    pub(crate) slots: Box<[AtomicU64]>,
    pub(crate) capacity: u32,
    stride: u32,
    /// The id of the member that is dead, or 0.
    dead: AtomicU32,
    /// How many items `put_once` put.
    accepted: AtomicU32,
    /// What another thread took.
    noted: Mutex<Vec<u64>>,
}

impl Shared {
    pub(crate) fn new(capacity: u32) -> Arc<Self> {
        Self::with_stride(capacity, 3)
    }

    /// One whose slots have that many words, their own included.
    pub(crate) fn with_stride(capacity: u32, stride: u32) -> Arc<Self> {
        let slots = (0..capacity * stride).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            header: Box::new(Header::new()),
            slots,
            capacity,
            stride,
            dead: AtomicU32::new(0),
            accepted: AtomicU32::new(0),
            noted: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn ring(&self) -> Ring {
        let slots = NonNull::from(&self.slots[0]);
        // SAFETY: header and slots live as long as `self`, which outlives every use of the view.
        unsafe { Ring::new(NonNull::from(&*self.header), slots, self.capacity, self.stride) }
    }

    pub(crate) fn die(&self, who: MemberId) {
        // ORDERING: what the dead did is visible to who sees it dead, as the kernel grants.
        self.dead.store(who.get(), Release);
    }

    pub(crate) fn alive(&self, who: MemberId) -> bool {
        // ORDERING: see `die`.
        self.dead.load(Acquire) != who.get()
    }

    pub(crate) fn try_put(&self, me: MemberId, value: u64) -> Result<(), Refused> {
        let payload = [value, value * 7];
        if self.ring().put_words_at_once(me, &payload) {
            return Ok(());
        }
        let answer = self.ring().put_words(me, &payload);
        assert_ne!(answer, Err(Refused::Corrupt));
        answer
    }

    /// One attempt; what was accepted is noted for the account at the end.
    pub(crate) fn put_once(&self, me: MemberId, value: u64) -> bool {
        match self.try_put(me, value) {
            Ok(()) => {
                self.note_accepted();
                true
            }
            Err(refused) => {
                assert!(matches!(refused, Refused::Full | Refused::Closed));
                false
            }
        }
    }

    pub(crate) fn note_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// Keeps what a thread took, and whether it put one, for the account at the end.
    pub(crate) fn note(&self, taken: impl Iterator<Item = u64>, put: bool) {
        self.noted.lock().unwrap().extend(taken);
        if put {
            self.note_accepted();
        }
    }

    pub(crate) fn noted(&self) -> Vec<u64> {
        std::mem::take(&mut self.noted.lock().unwrap())
    }

    /// How many items were accepted; after the threads were joined.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Relaxed) as usize
    }

    pub(crate) fn try_take(&self) -> Result<u64, NoItem> {
        let mut payload = [0; 2];
        if !self.ring().take_words_at_once(&mut payload) {
            let answer = self.ring().take_words(&mut payload);
            assert_ne!(answer, Err(NoItem::Corrupt));
            answer?;
        }
        assert_eq!(payload[1], payload[0] * 7, "torn");
        Ok(payload[0])
    }

    pub(crate) fn try_hold(&self, me: MemberId) -> Result<u64, NoItem> {
        let ring = self.ring();
        let hold = ring.hold(me).inspect_err(|none| assert_ne!(*none, NoItem::Corrupt))?;
        let mut payload = [0; 2];
        hold.read(&mut payload);
        assert_eq!(hold.commit(), Ok(()));
        assert_eq!(payload[1], payload[0] * 7, "torn");
        Ok(payload[0])
    }

    /// What a waiting consumer does, once: looks, repairs, looks again.
    pub(crate) fn take_once(&self) -> Option<u64> {
        for last in [false, true] {
            match self.try_take() {
                Ok(value) => return Some(value),
                Err(_) if last => break,
                Err(_) => {
                    self.ring().repair_head(|who| self.alive(who));
                }
            }
        }
        None
    }

    /// What a waiting producer does, once.
    pub(crate) fn put_or_repair(&self, me: MemberId, value: u64) -> bool {
        self.put_once(me, value)
            || self.ring().repair_tail(|who| self.alive(who)) && self.put_once(me, value)
    }

    /// Everything that is left, when nobody else runs.
    pub(crate) fn drain(&self) -> Vec<u64> {
        let mut all = Vec::new();
        loop {
            match self.try_take() {
                Ok(value) => all.push(value),
                Err(NoItem::Pending) => assert!(self.ring().repair_head(|who| self.alive(who))),
                Err(NoItem::Empty | NoItem::Closed) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(self.ring().len(), 0);
        all
    }

    /// At rest the queue takes as many items as it has places, and no more.
    pub(crate) fn assert_exact_capacity(&self) {
        assert_eq!(self.drain(), []);
        for value in 0..u64::from(self.capacity) {
            assert_eq!(self.try_put(id(9), value + 100), Ok(()));
        }
        assert_eq!(self.try_put(id(9), 1), Err(Refused::Full));
        assert_eq!(self.ring().len(), self.capacity);
        assert_eq!(self.drain(), (100..100 + u64::from(self.capacity)).collect::<Vec<_>>());
    }
}

pub(crate) fn id(n: u32) -> MemberId {
    MemberId::new(n).unwrap()
}

/// Tries every order with at most three switches away from a thread that could go on.
pub(crate) fn model(check: impl Fn() + Sync + Send + 'static) {
    model_within(3, check);
}

/// The same with fewer switches, where three would take minutes.
pub(crate) fn model_within(switches: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(check);
}

/// A thread that does something; what came of it does not matter.
pub(crate) fn spawn<R>(
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) -> R + 'static,
) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        run(&shared);
    })
}

/// A payload as plain memory: the model refuses any two accesses that nothing orders.
pub(crate) struct Cell(UnsafeCell<u64>);
// SAFETY: reached under a claim or a hold only, which is what the model checks.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

impl Cell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(0)))
    }

    pub(crate) fn set(&self, value: u64) {
        // SAFETY: nobody else reaches it now, as the model checks.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    pub(crate) fn get(&self) -> u64 {
        // SAFETY: nobody writes to it now, as the model checks.
        self.0.with(|cell| unsafe { *cell })
    }

    pub(crate) fn put(&self, shared: &Shared, me: MemberId, value: u64) {
        if let Ok(claim) = shared.ring().claim(me) {
            self.set(value);
            assert_eq!(claim.commit(), Ok(()));
        }
    }

    pub(crate) fn hold(&self, shared: &Shared, me: MemberId) {
        if let Ok(hold) = shared.ring().hold(me) {
            let value = self.get();
            // One of the two gives it up the first time.
            if value != 10 || me != id(1) {
                assert_eq!(hold.commit(), Ok(()));
            }
        }
    }
}
