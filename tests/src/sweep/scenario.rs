//! One operation in one state: who does what, and what may come of it.

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
    pub(super) check: Box<dyn Fn(&Witness) -> Finding>,
    pub(super) outcomes: &'static [&'static str],
    pub(super) every: u32,
    pub(super) one_more: bool,
    pub(super) until: u32,
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
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario")
            .field("memory", &self.memory)
            .field("outcomes", &self.outcomes)
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
        Self {
            memory: Some(memory),
            reset: Box::new(|| {}),
            earlier: None,
            holder: None,
            victim,
            waiter: None,
            check: Box::new(check),
            outcomes,
            every: u32::MAX,
            one_more: false,
            until: u32::MAX,
        }
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
        Self {
            memory: None,
            reset: Box::new(reset),
            earlier: None,
            holder: None,
            victim,
            waiter: None,
            check: Box::new(check),
            outcomes,
            every: u32::MAX,
            one_more: false,
            until: u32::MAX,
        }
    }

    /// A victim before the victim: every image that its death can leave is a state to start from.
    #[must_use]
    pub fn after_death_of(mut self, earlier: Part) -> Self {
        self.earlier = Some(earlier);
        self
    }

    /// The outcomes count, and an earlier death may have moved the count already: each state that
    /// is started from begins with an outcome of its own, and ends with the next one.
    #[must_use]
    pub fn one_more(mut self) -> Self {
        self.one_more = true;
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
}
