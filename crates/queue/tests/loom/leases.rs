//! A ring with leases in the model's memory, and what threads do with it.

use core::ptr::NonNull;

use crossproc_queue::raw::{
    AtomicU64, Header, Help, Kept, Near, NoItem, Refused, Ring, Tick, entry_stride,
};
use crossproc_segment::MemberId;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use loom::thread;

const STRIDE: u32 = 3;

/// A queue of two payload words with leases in the model's memory.
pub(crate) struct Shared {
    header: Box<Header>,
    slots: Box<[AtomicU64]>,
    entries: Box<[AtomicU64]>,
    capacity: u32,
    leases: u32,
    /// One bit for each member that is dead.
    dead: AtomicU32,
    /// The clock of leases.
    now: AtomicU32,
    /// One bit for each ten of an item that is done.
    done: AtomicU32,
    put: AtomicU32,
}

impl Shared {
    pub(crate) fn new(capacity: u32, leases: u32) -> Arc<Self> {
        let words = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            header: Box::new(Header::new()),
            slots: words((capacity * STRIDE) as usize),
            entries: words(entry_stride(STRIDE) * leases as usize),
            capacity,
            leases,
            dead: AtomicU32::new(0),
            now: AtomicU32::new(0),
            done: AtomicU32::new(0),
            put: AtomicU32::new(0),
        })
    }

    pub(crate) fn ring(&self) -> Ring {
        let slots = NonNull::from(&self.slots[0]);
        // SAFETY: header and slots live as long as `self`, which outlives every use of the view.
        let ring = unsafe { Ring::new(NonNull::from(&*self.header), slots, self.capacity, STRIDE) };
        // SAFETY: so do the entries.
        unsafe { ring.with_leases(NonNull::from(&self.entries[0]), self.leases) }
    }

    pub(crate) fn die(&self, who: MemberId) {
        // ORDERING: what the dead did is visible to who sees it dead, as the kernel grants.
        self.dead.fetch_or(1 << who.get(), Release);
    }

    fn alive(&self, who: MemberId) -> bool {
        // ORDERING: see `die`.
        self.dead.load(Acquire) & 1 << who.get() == 0
    }

    pub(crate) fn now(&self) -> Tick {
        Tick::from_bits(self.now.load(Relaxed))
    }

    pub(crate) fn pass_time(&self, now: u32) {
        self.now.store(now, Relaxed);
    }

    pub(crate) fn repair(&self) -> bool {
        let alive = |who| self.alive(who);
        self.ring().repair_leases(&mut Help {
            alive,
            now: self.now(),
            moved: |_, _, still: &dyn Fn() -> bool| still(),
        })
    }

    pub(crate) fn put(&self, me: MemberId, value: u64) -> Result<(), Refused> {
        let answer = self.ring().put_words(me, &[value, value * 7]);
        assert_ne!(answer, Err(Refused::Corrupt));
        answer
    }

    /// What a waiting producer does, once.
    pub(crate) fn put_or_repair(&self, me: MemberId, value: u64) {
        let put = self.put(me, value).is_ok() || {
            self.repair();
            self.put(me, value).is_ok()
        };
        self.put.store(u32::from(put), Relaxed);
    }

    /// Whether that put its item; after the threads were joined.
    pub(crate) fn was_put(&self) -> bool {
        self.put.load(Relaxed) != 0
    }

    pub(crate) fn take(&self) -> Result<u64, NoItem> {
        let mut payload = [0; 2];
        let answer = self.ring().take_words(&mut payload);
        assert_ne!(answer, Err(NoItem::Corrupt));
        answer?;
        assert_eq!(payload[1], payload[0] * 7, "torn");
        Ok(payload[0])
    }

    /// What is back, or else the first item.
    pub(crate) fn lease(&self, me: MemberId) -> Result<Kept, NoItem> {
        if let Some(kept) = self.ring().take_back(me) {
            return Ok(kept);
        }
        let ring = self.ring();
        let blank = ring.claim_entry(me, 0).ok_or(NoItem::AllLeased)?;
        let mut payload = [0; 2];
        let kept = ring.lease_words(blank, &mut payload);
        assert_ne!(kept, Err(NoItem::Corrupt));
        let kept = kept?;
        assert_eq!(payload[1], payload[0] * 7, "torn");
        Ok(kept)
    }

    /// The first item, by the quick way of a handle that knows so much, into entry `first`; read and
    /// acknowledged.
    pub(crate) fn lease_near(&self, near: &Near, me: MemberId, first: u32) -> Option<u64> {
        let mut payload = [0; 2];
        let mut lease = || self.ring().lease_words_at_once(near, me, first, &mut payload);
        let kept = lease().or_else(|| self.ring().find_near(near).then(lease).flatten())?;
        assert_eq!(payload[1], payload[0] * 7, "torn");
        assert_eq!(self.read(kept), payload[0]);
        assert!(self.ring().ack(kept));
        Some(payload[0])
    }

    pub(crate) fn read(&self, kept: Kept) -> u64 {
        let mut payload = [0; 2];
        self.ring().read_kept(kept, &mut payload);
        assert_eq!(payload[1], payload[0] * 7, "torn in its entry");
        payload[0]
    }

    pub(crate) fn lease_and_ack(&self, me: MemberId) -> Option<u64> {
        let kept = self.lease(me).ok()?;
        let value = self.read(kept);
        assert!(self.ring().ack(kept));
        Some(value)
    }

    pub(crate) fn note_done(&self, value: u64) {
        let bit = 1 << (value / 10);
        assert_eq!(self.done.fetch_or(bit, Relaxed) & bit, 0, "{value} was done twice");
    }

    pub(crate) fn done(&self) -> Vec<u64> {
        let done = self.done.load(Relaxed);
        (1..3).filter(|ten| done & 1 << ten != 0).map(|ten| ten * 10).collect()
    }

    /// Everything that is left, when nobody else runs.
    pub(crate) fn harvest(&self, me: MemberId) -> Vec<u64> {
        let mut all = Vec::new();
        for _ in 0..8 {
            self.repair();
            self.ring().repair_head(|who| self.alive(who));
            all.extend(self.lease_and_ack(me));
        }
        all
    }

    /// Whoever is left is done with all that is left: then these were done, each once, and the queue is as new.
    pub(crate) fn finish(&self, done: &[u64]) {
        for value in self.harvest(id(4)) {
            self.note_done(value);
        }
        assert_eq!(self.done(), done);
        self.assert_as_new();
    }

    /// At rest every entry is free and every place is.
    pub(crate) fn assert_as_new(&self) {
        assert!(self.ring().is_done() || self.ring().is_closed());
        for value in 0..u64::from(self.capacity) {
            assert_eq!(self.put(id(9), value + 100), Ok(()));
        }
        assert_eq!(self.put(id(9), 1), Err(Refused::Full));
        let kept: Vec<_> =
            (0..self.leases.min(self.capacity)).map(|_| self.lease(id(9)).unwrap()).collect();
        for (kept, value) in kept.into_iter().zip(100..) {
            assert_eq!(self.read(kept), value);
            assert!(self.ring().ack(kept));
        }
    }
}

pub(crate) fn id(n: u32) -> MemberId {
    MemberId::new(n).unwrap()
}

/// Tries every order with at most so many switches away from a thread that could go on.
pub(crate) fn model(switches: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.max_branches = 4000;
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

/// Plain memory: the model refuses any two accesses that nothing orders.
pub(crate) struct Cell(UnsafeCell<u64>);
// SAFETY: reached before an item is done and after it was seen to be, which is what the model checks.
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
}
