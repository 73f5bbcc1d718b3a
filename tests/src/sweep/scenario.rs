//! One operation in one state: who does what, and what may come of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::memory::Memory;

/// The operation itself: everything it does is stepped through.
pub type Operate = Box<dyn FnMut()>;

/// What a process makes for itself before its operation (handles, buffers, a lock it holds).
///
/// Runs in the child, before stepping begins, and returns the operation.
pub type Part = Box<dyn Fn() -> Operate>;

/// A part whose operation is an ordinary closure.
pub fn part<F: FnMut() + 'static>(prepare: impl Fn() -> F + 'static) -> Part {
    Box::new(move || Box::new(prepare()))
}

/// A part whose operation tells what it gave, for [`Witness::victim`].
pub fn telling<F: FnMut() -> u64 + 'static>(prepare: impl Fn() -> F + 'static) -> Part {
    Box::new(move || {
        let mut operate = prepare();
        Box::new(move || TOLD.store(operate(), Relaxed))
    })
}

/// What the operation of this process gave; each child has its own copy.
static TOLD: AtomicU64 = AtomicU64::new(u64::MAX);

/// What [`telling`] has kept, if it has.
pub(super) fn told() -> Option<u64> {
    Some(TOLD.load(Relaxed)).filter(|&told| told != u64::MAX)
}

/// Keeps what an operation returned: the victim's operation ends before anything is dropped.
pub fn keep<R>(result: R) {
    std::mem::forget(std::hint::black_box(result));
}

/// What the survivor finds: the outcome's name, or a sentence about what is broken.
pub type Finding = Result<&'static str, String>;

/// An operation, the state it meets, and what survivors must find.
///
/// All parts are closures over handles made in the harness process. Each part runs in a forked
/// child of its own, and so as another process.
pub struct Scenario {
    pub(super) memory: Option<Memory>,
    pub(super) reset: Box<dyn Fn()>,
    pub(super) earlier: Option<Part>,
    pub(super) holder: Option<Hold>,
    pub(super) victim: Part,
    pub(super) waiter: Option<Waiter>,
    pub(super) judge: Judge,
    pub(super) beside: Vec<Meanwhile>,
    pub(super) every: u32,
    pub(super) one_more: bool,
    pub(super) wakes_often: bool,
    pub(super) until: u32,
}

/// What survivors look at, and all that they may find.
pub(super) struct Judge {
    pub(super) check: Box<dyn Fn(&Witness) -> Finding>,
    /// In the order in which they must come as the victim gets further.
    pub(super) outcomes: &'static [&'static str],
}

/// What happens while the victim stands still in the middle of its operation.
pub(super) struct Meanwhile {
    pub(super) name: &'static str,
    pub(super) act: Act,
    pub(super) judge: Judge,
}

pub(super) type Deed<T> = Box<dyn Fn(T) -> Result<u64, String>>;

/// Who acts while the victim stands still.
pub(super) enum Act {
    /// Another process, which waits for what is in its way no longer than it is told to.
    Timed(Deed<Duration>),
    /// Another process, which waits until the victim has gone on, if it has to.
    Patient(Deed<()>),
    /// The one that holds what the victim waits for goes on.
    Holder,
}

/// What a living process does that is in the victim's way; it calls its argument to stop until the
/// victim is dead.
pub(super) type Hold = Box<dyn Fn(&dyn Fn())>;

/// A third process, asleep in a blocking call while the victim dies.
pub(super) struct Waiter {
    pub(super) wait: Box<dyn Fn() -> u64>,
    pub(super) help: Option<Box<dyn Fn()>>,
    /// It has slept so long that it is found in the segment's table of sleepers.
    pub(super) old: bool,
}

/// What became of the waiter, told to the survivor's check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Witness {
    /// What the waiter's call gave, if there was a waiter.
    pub waiter: Option<u64>,
    /// Whether it had to be helped, since the victim's death left nothing for it.
    pub helped: bool,
    /// What the victim's operation gave, if it is a [`telling`] one that came to its end.
    pub victim: Option<u64>,
    /// What the other's operation gave, where there was one ([`Scenario::meanwhile`]).
    pub meanwhile: Option<u64>,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario")
            .field("memory", &self.memory)
            .field("outcomes", &self.judge.outcomes)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl Scenario {
    /// A scenario whose state is `memory`: put back before each kill, and looked at for images.
    ///
    /// `outcomes` are all outcomes that the check may name, in the order in which they must come
    /// as the victim gets further: the first where it did nothing, the last where it returned.
    #[must_use]
    pub fn in_memory(
        memory: Memory,
        outcomes: &'static [&'static str],
        victim: Part,
        check: impl Fn(&Witness) -> Finding + 'static,
    ) -> Self {
        Self::new(Some(memory), Box::new(|| {}), outcomes, victim, Box::new(check))
    }

    /// A scenario whose state is with the kernel (names, files): `reset` makes it anew, and only
    /// real kills can tell.
    #[must_use]
    pub fn in_kernel(
        reset: impl Fn() + 'static,
        outcomes: &'static [&'static str],
        victim: Part,
        check: impl Fn(&Witness) -> Finding + 'static,
    ) -> Self {
        Self::new(None, Box::new(reset), outcomes, victim, Box::new(check))
    }

    fn new(
        memory: Option<Memory>,
        reset: Box<dyn Fn()>,
        outcomes: &'static [&'static str],
        victim: Part,
        check: Box<dyn Fn(&Witness) -> Finding>,
    ) -> Self {
        Self {
            memory,
            reset,
            earlier: None,
            holder: None,
            victim,
            waiter: None,
            judge: Judge { check, outcomes },
            beside: Vec::new(),
            every: u32::MAX,
            one_more: false,
            wakes_often: false,
            until: u32::MAX,
        }
    }

    /// A victim before the victim: every image that its death can leave is a state to start from.
    #[must_use]
    pub fn after_death_of(mut self, earlier: Part) -> Self {
        self.earlier = Some(earlier);
        self
    }

    /// Whether it begins with an earlier death.
    #[must_use]
    pub fn is_after_death(&self) -> bool {
        self.earlier.is_some()
    }

    /// The outcomes count, and an earlier death may have moved the count already: each state that
    /// is started from begins with an outcome of its own, and ends with the next one.
    #[must_use]
    pub fn one_more(mut self) -> Self {
        self.one_more = true;
        self
    }

    /// The victim wakes the waiter more than once, or finds it awake still: so how many instructions it needs
    /// to get as far differs by a wake. The check has to tell by itself whether the waiter was told too much.
    #[must_use]
    pub fn wakes_often(mut self) -> Self {
        self.wakes_often = true;
        self
    }

    /// The waiter has slept for several slices before the victim begins. It then has a record in
    /// the segment, and as the only one that sleeps there it is the watch.
    #[must_use]
    pub fn grown_old(mut self) -> Self {
        if let Some(waiter) = &mut self.waiter {
            waiter.old = true;
        }
        self
    }

    /// A living process that is in the victim's way, so that it waits, and never returns: it is
    /// killed up to its `until`th instruction. `hold` is given a function to call as long as it
    /// holds whatever it is; that one returns when the victim is dead.
    #[must_use]
    pub fn behind(mut self, until: u32, hold: impl Fn(&dyn Fn()) + 'static) -> Self {
        self.holder = Some(Box::new(hold));
        self.until = until;
        self
    }

    /// A third process that sleeps in `wait` as the victim dies, and must come back by itself.
    #[must_use]
    pub fn with_waiter(mut self, wait: impl Fn() -> u64 + 'static) -> Self {
        self.waiter = Some(Waiter { wait: Box::new(wait), help: None, old: false });
        self
    }

    /// As [`with_waiter`](Self::with_waiter), where a victim killed early leaves nothing to wake
    /// up for: `help`, run in a process of its own, then gives the waiter what it waits for.
    ///
    /// The check is told about it, and must tell from what the waiter got whether it should have
    /// come back alone.
    #[must_use]
    pub fn with_waiter_helped(
        self,
        wait: impl Fn() -> u64 + 'static,
        help: impl Fn() + 'static,
    ) -> Self {
        let mut with = self.with_waiter(wait);
        if let Some(waiter) = &mut with.waiter {
            waiter.help = Some(Box::new(help));
        }
        with
    }

    /// Kills after each of the first `every` instructions, and behind them only where something
    /// outside the victim can have changed: after a store into the memory, and on both sides of
    /// a system call. Between two such places all kills leave the same state.
    #[must_use]
    pub fn every_instruction_up_to(mut self, every: u32) -> Self {
        self.every = every;
        self
    }

    /// Another process does a whole operation while the victim stands still, and then the victim
    /// goes on to its end: swept in the forms interleave and stop. May be given several times.
    ///
    /// `act` is one call of the other process. It must not wait longer than it is told to, since
    /// what is in its way may be the victim, which stands still and lives: to hear that somebody
    /// died is an error. `check` then has to find every effect of both exactly once; it is told
    /// what both gave. `outcomes` are in their order over k: the first where the other came
    /// wholly before the victim, the last where it came wholly behind.
    #[must_use]
    pub fn meanwhile(
        mut self,
        name: &'static str,
        outcomes: &'static [&'static str],
        act: impl Fn(Duration) -> Result<u64, String> + 'static,
        check: impl Fn(&Witness) -> Finding + 'static,
    ) -> Self {
        let judge = Judge { check: Box::new(check), outcomes };
        self.beside.push(Meanwhile { name, act: Act::Timed(Box::new(act)), judge });
        self
    }

    /// As [`meanwhile`](Self::meanwhile), for a call that waits for what is in its way for as
    /// long as it takes: where it is found asleep the victim goes on, and both have to come to
    /// their end.
    #[must_use]
    pub fn meanwhile_waiting(
        mut self,
        name: &'static str,
        outcomes: &'static [&'static str],
        act: impl Fn() -> Result<u64, String> + 'static,
        check: impl Fn(&Witness) -> Finding + 'static,
    ) -> Self {
        let judge = Judge { check: Box::new(check), outcomes };
        self.beside.push(Meanwhile { name, act: Act::Patient(Box::new(move |()| act())), judge });
        self
    }

    /// As [`meanwhile`](Self::meanwhile), where what happens is that the holder which is in the
    /// victim's way ([`behind`](Self::behind)) goes on to its end; the victim has to come to its
    /// own.
    #[must_use]
    pub fn meanwhile_released(
        mut self,
        outcomes: &'static [&'static str],
        check: impl Fn(&Witness) -> Finding + 'static,
    ) -> Self {
        let judge = Judge { check: Box::new(check), outcomes };
        self.beside.push(Meanwhile { name: "the holder's end", act: Act::Holder, judge });
        self
    }
}
