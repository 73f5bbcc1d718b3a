//! What a handle remembers for leases: where an entry is likely to be free, when it last looked
//! after the dead, and what the items that it has handed out have due once they are done.

use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use crossproc_segment::MemberId;
use crossproc_segment::transit::Arrivals;
use crossproc_sys::clock::now_ns;
use crossproc_sys::fork;

use crate::atomic::AtomicU32;
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::queue::Queue;
use crate::raw::{Blank, Help, Kept, Near, NoItem, Tick};

/// Calls between looks at the clock, where they follow fast upon each other.
const CALLS: u32 = 32;
/// Calls are fast if as many as are between two looks at the clock take less.
const FAST_NS: u64 = 1_000_000;
/// How often somebody looks whether holders have died, in a queue that never runs empty.
const LOOK_NS: u64 = 50_000_000;

/// An entry that no queue has.
const NO_ENTRY: u32 = u32::MAX;

/// Members whose life is remembered during a look.
const KNOWN: usize = 16;

/// The words are hints, and so all Relaxed, but for those of [`Near`]: whatever they say, nothing goes wrong but
/// slower.
#[derive(Debug)]
pub(crate) struct Clerk {
    /// The entry to begin with, or [`NO_ENTRY`] for one by the process's id.
    entry: AtomicU32,
    pub(super) near: Near,
    /// Calls left until the next look at the clock.
    calls: AtomicU32,
    looked_ns: AtomicU64,
    dues: Dues,
}

/// What handles in leased messages had on loan, by lease: settled once it is acknowledged, dropped if
/// the item goes back, as whoever gets it next needs it.
#[derive(Debug, Default)]
struct Dues {
    /// How many there are, for those who have none. Each lease is looked for by one thread at a time,
    /// which has seen it come.
    count: AtomicU32,
    list: Mutex<Vec<(Kept, Arrivals)>>,
}

impl Dues {
    /// With the list, which no forked child finds locked.
    fn with<R>(&self, act: impl FnOnce(&mut Vec<(Kept, Arrivals)>) -> R) -> R {
        fork::without_fork(|| {
            let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut list);
            self.count.store(u32::try_from(list.len()).unwrap_or(u32::MAX), Relaxed);
            result
        })
    }
}

impl Clerk {
    pub(crate) fn new() -> Self {
        Self {
            entry: AtomicU32::new(NO_ENTRY),
            near: Near::new(),
            calls: AtomicU32::new(0),
            looked_ns: AtomicU64::new(0),
            dues: Dues::default(),
        }
    }

    /// Keeps what is due once the lease is acknowledged.
    pub(super) fn owe(&self, kept: Kept, due: Arrivals) {
        if !due.is_empty() {
            self.dues.with(|list| list.push((kept, due)));
        }
    }

    /// What was kept for a lease that ends.
    pub(super) fn due(&self, kept: Kept) -> Arrivals {
        if self.dues.count.load(Relaxed) == 0 {
            return Arrivals::default();
        }
        let due = self.dues.with(|list| {
            let at = list.iter().position(|(of, _)| *of == kept)?;
            Some(list.swap_remove(at).1)
        });
        due.unwrap_or_default()
    }

    /// The entry that was free the last time; [`NO_ENTRY`] if there was none.
    #[inline(always)]
    pub(super) fn likely_entry(&self) -> u32 {
        self.entry.load(Relaxed)
    }

    /// True now and then: at each call if calls are rare.
    #[inline]
    fn is_clock_due(&self) -> bool {
        let left = self.calls.load(Relaxed).wrapping_sub(1);
        self.calls.store(left, Relaxed);
        // Below 0.
        left > u32::MAX / 2
    }

    /// The time, and sets when the clock is due again.
    #[cold]
    fn look_at_clock(&self) -> u64 {
        let now_ns = now_ns();
        let passed_ns = now_ns.saturating_sub(self.looked_ns.load(Relaxed));
        self.looked_ns.store(now_ns, Relaxed);
        self.calls.store(if passed_ns < FAST_NS { CALLS } else { 0 }, Relaxed);
        now_ns
    }
}

impl<T> Queue<T> {
    /// Claims an entry, for a lease.
    #[inline]
    pub(super) fn blank(&self, me: MemberId) -> Result<Blank<'_>, NoItem> {
        let hint = self.clerk.entry.load(Relaxed);
        let first = if hint == NO_ENTRY { me.get() % self.ring.leases().max(1) } else { hint };
        let blank = self.ring.claim_entry(me, first).ok_or(NoItem::AllLeased)?;
        if blank.index() != hint {
            self.clerk.entry.store(blank.index(), Relaxed);
        }
        Ok(blank)
    }

    /// Looks after dead holders if it is time: in a queue that never runs empty nobody waits, and so
    /// nobody else does.
    #[inline]
    pub(crate) fn look_sometimes(&self) {
        if self.clerk.is_clock_due() {
            self.look_if_due();
        }
    }

    #[cold]
    #[inline(never)]
    fn look_if_due(&self) {
        let now_ns = self.clerk.look_at_clock();
        if self.ring.desk().is_look_due(now_ns, LOOK_NS) {
            self.repair_leases();
        }
    }

    /// Ends what dead holders left; whether it is worth looking again.
    pub(crate) fn repair_leases(&self) -> bool {
        if !self.ring.is_leased() {
            return false;
        }
        // Answers for the length of one look: the dead stay dead, and who dies meanwhile is for the
        // next one.
        let mut known = [None; KNOWN];
        let alive = |id: MemberId| match known[id.get() as usize % KNOWN] {
            Some((known, alive)) if known == id => alive,
            _ => {
                let alive = self.segment().alive(id);
                known[id.get() as usize % KNOWN] = Some((id, alive));
                alive
            }
        };
        let moved = |slot: NonNull<AtomicU64>,
                     entry: NonNull<AtomicU64>,
                     still: &dyn Fn() -> bool| self.moved(slot, entry, still);
        self.ring.repair_leases(&mut Help { alive, now: Tick::at(now_ns()), moved })
    }
}
