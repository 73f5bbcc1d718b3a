//! How long to spin before sleeping, learnt from what came of it.
//!
//! Waking a process on another core takes some 20 us each way, so a short spin that succeeds is
//! worth a hundred sleeps. One that fails burns the time of a partner that may need this very
//! core. So the budget doubles when the spin was worth it and halves when it was not.
//!
//! A budget that only ever halves is a trap: two partners that answer each other, each asleep
//! whenever the other calls, need the time of two wake-ups for an answer, far more than the least
//! budget, and would sleep for ever after. So now and then a wait *probes* with the whole budget.
//! One of the two is then awake when the answer comes, answers at once, and so draws the other in.
//! Probes that fail become rare: on a core that both share, none succeeds. The first comes soon, as
//! processes that have just begun hardly ever make their first calls at the same moment.
//!
//! # Streams
//!
//! Where items come one after the other, who takes each as soon as it is there follows at its maker's
//! heels: every look takes the cache line away that the maker writes next, and both go at the pace of
//! cache lines that are fought for. Who *lingers* a moment before it looks again finds several, and
//! leaves the maker alone meanwhile. Whether it was worth it is learnt as above: now and then a wait
//! lingers to find out, and as long as more than one item was there after it, each wait does. An
//! answer of a partner who waits for the next question is never more than one.

use core::cell::Cell;
use core::hint;
use core::ops::ControlFlow;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use crossproc_sys::{clock, process};

/// Pauses of a fresh handle's first wait.
const START: u32 = 1000;
/// The most, and what a probe spends.
const MOST: u32 = 2000;
/// The least, if there is more than one processor.
const LEAST: u32 = 100;
/// Attempts without a pause between them: an answer of a partner that is awake comes this soon.
const EAGER: u32 = 4;
/// Waits between probes, at first.
const PROBE_EVERY: u32 = 64;
/// How often that doubles.
const MOST_BACKOFF: u32 = 6;
/// Waits of a fresh handle until its first probe: two partners who find each other asleep at their first
/// call would answer each other by wake-ups until then.
const FIRST_PROBE: u32 = 4;
/// In the place of a backoff: there was no probe yet.
const NO_PROBE_YET: u32 = 7;
/// Attempts between looks at the clock.
const LOOK_EVERY: u32 = 128;
/// A spin that takes longer after its first look at the clock has attempts that are no glances, as
/// where somebody writes rubbish to what they read; it would outlast any deadline.
const MOST_NS: u64 = 1_000_000;
/// Pauses of a wait that lingers: the time of some cache lines' ways.
const LINGER: u32 = 40;
/// Pauses between its questions whether that is enough.
const ASK_EVERY: u32 = 8;
/// Waits between those that linger to find out, at first.
const LINGER_EVERY: u32 = 16;
/// In the place of those waits: no wait lingered yet.
const LINGERED_NEVER: u32 = LINGER_EVERY / 2;
/// The most waits between them.
const LINGER_MOST: u32 = 1024;
/// Sleeps after which the number of usable processors is asked for again.
const ASK_CPUS_EVERY: u32 = 64;

/// What one handle has learnt, in one word: `budget:12 | backoff:3 | 1 | waits until a probe:16`.
/// Zero, without the 1, is a handle that never waited.
#[derive(Clone, Copy)]
struct Pace(u32);

impl Pace {
    #[inline]
    fn new(budget: u32, backoff: u32, until_probe: u32) -> Self {
        Self(budget << 20 | backoff << 17 | 1 << 16 | until_probe)
    }

    fn first(alone: bool) -> Self {
        Self::new(if alone { 0 } else { START }, NO_PROBE_YET, FIRST_PROBE)
    }

    #[inline]
    fn budget(self) -> u32 {
        self.0 >> 20
    }

    fn backoff(self) -> u32 {
        self.0 >> 17 & 0x7
    }

    #[inline]
    fn until_probe(self) -> u32 {
        self.0 & 0xffff
    }

    #[inline]
    fn is_probe(self) -> bool {
        self.until_probe() == 0
    }

    /// Pauses to spend on this wait.
    #[inline]
    fn spend(self) -> u32 {
        if self.is_probe() { MOST } else { self.budget() }
    }

    #[inline]
    fn after_success(self) -> Self {
        Self::new((self.spend().max(LEAST) * 2).min(MOST), 0, PROBE_EVERY)
    }

    /// `alone`: this thread may use one processor only.
    fn after_failure(self, alone: bool) -> Self {
        let budget = if alone { 0 } else { (self.budget() / 2).max(LEAST) };
        if self.is_probe() {
            let backoff = match self.backoff() {
                NO_PROBE_YET => 0,
                backoff => (backoff + 1).min(MOST_BACKOFF),
            };
            Self::new(budget, backoff, PROBE_EVERY << backoff)
        } else {
            Self::new(budget, self.backoff(), self.until_probe() - 1)
        }
    }
}

/// The spin budget of one handle, in the memory of its own process.
///
/// Threads that share the handle share the budget; what one of them loses in a race is a lesson.
#[derive(Debug)]
pub struct Spin {
    pace: AtomicU32,
    /// `waits until one lingers:16 | after how many the last did:16`; zero lingers always.
    stream: AtomicU32,
}

impl Default for Spin {
    fn default() -> Self {
        Self::new()
    }
}

impl Spin {
    /// A budget of a handle that never waited.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pace: AtomicU32::new(0),
            stream: AtomicU32::new(LINGER_EVERY << 16 | LINGERED_NEVER),
        }
    }

    /// A budget of nothing: for who has spun already.
    #[must_use]
    pub const fn spent() -> Self {
        let spin = Self::new();
        Self { pace: AtomicU32::new(1 << 16 | 0xffff), ..spin }
    }

    /// Whether each wait lingers at present. Who knows of nothing more does well to linger before it looks,
    /// then: a look that finds the next item alone slows its maker down as one that finds none.
    #[inline]
    pub fn streams(&self) -> bool {
        self.stream.load(Relaxed) == 0
    }

    /// Pauses for some hundred nanoseconds, if that seems worth it, and tells whether it did: for who
    /// found nothing and is going to wait. Where it did, [`lingered`](Self::lingered) is to be called.
    #[inline]
    pub fn linger(&self) -> bool {
        self.linger_until(|| false)
    }

    /// The same for who knows what is `enough`, which it is asked now and then.
    #[inline]
    pub fn linger_until(&self, enough: impl Fn() -> bool) -> bool {
        self.linger_for(LINGER, enough)
    }

    /// The same for who may come late, as long as it does within `pauses`: nobody waits for what it does
    /// before. The fewer times it comes, the less it is in the way of who makes what it waits for.
    pub fn linger_long(&self, pauses: u32, enough: impl Fn() -> bool) -> bool {
        self.linger_for(pauses.max(LINGER), enough)
    }

    #[inline]
    fn linger_for(&self, pauses: u32, enough: impl Fn() -> bool) -> bool {
        let stream = self.stream.load(Relaxed);
        let (left, every) = (stream >> 16, stream & 0xffff);
        if left > 0 {
            self.stream.store((left - 1) << 16 | every, Relaxed);
            return false;
        }
        if every == LINGERED_NEVER && self.pace().budget() == 0 {
            // Nobody does anything meanwhile, most likely. But it may be this thread alone that is bound to one
            // processor, and one that only tries gets no budget: so it finds out now and then.
            self.stream.store(LINGER_MOST << 16 | LINGER_MOST, Relaxed);
            return false;
        }
        for pause in 1..=pauses {
            hint::spin_loop();
            if pause % ASK_EVERY == 0 && enough() {
                break;
            }
        }
        true
    }

    /// After a wait that lingered: whether there was more than what was waited for.
    pub fn lingered(&self, more: bool) {
        let every = self.stream.load(Relaxed) & 0xffff;
        let every = if more { 0 } else { (every * 2).clamp(LINGER_EVERY, LINGER_MOST) };
        self.stream.store(every << 16 | every, Relaxed);
    }

    /// Calls `attempt` until it returns something or the budget is spent.
    ///
    /// Never sleeps, and gives up within some 0.1 ms. `attempt` should only load while it fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossproc_segment::wait::Spin;
    ///
    /// let spin = Spin::new();
    /// let mut tries = 0;
    /// let got = spin.until(|| {
    ///     tries += 1;
    ///     (tries == 3).then_some("third")
    /// });
    /// assert_eq!(got, Some("third"));
    /// ```
    #[inline]
    pub fn until<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> Option<R> {
        self.until_break(|| match attempt() {
            None => ControlFlow::Continue(()),
            done => ControlFlow::Break(done),
        })
    }

    /// As [`until`](Self::until), for an attempt that may find that spinning is of no use: it breaks with
    /// `None` then, from which nothing is learnt.
    #[inline]
    pub fn until_break<R>(&self, mut attempt: impl FnMut() -> ControlFlow<Option<R>>) -> Option<R> {
        let pace = self.pace();
        let spend = pace.spend();
        let mut until_ns = None;
        for turn in 0..spend + EAGER.min(spend) {
            if turn % LOOK_EVERY == LOOK_EVERY - 1 && is_over(&mut until_ns) {
                break;
            }
            if turn >= EAGER {
                hint::spin_loop();
            }
            if let ControlFlow::Break(done) = attempt() {
                if done.is_some() {
                    self.learn(pace, pace.after_success());
                }
                return done;
            }
        }
        self.learn(pace, pace.after_failure(is_alone()));
        None
    }

    /// As [`until_break`](Self::until_break), for an attempt that is a row of looks with `pauses` between
    /// them: it finds out once what it needs for all of them, and each is a load.
    #[inline]
    pub fn until_break_in_rows<R>(
        &self,
        pauses: u32,
        mut attempt: impl FnMut() -> ControlFlow<Option<R>>,
    ) -> Option<R> {
        let pace = self.pace();
        let mut until_ns = None;
        let (mut left, mut until_look) = (pace.spend(), LOOK_EVERY);
        while left > 0 {
            if let ControlFlow::Break(done) = attempt() {
                if done.is_some() {
                    self.learn(pace, pace.after_success());
                }
                return done;
            }
            left = left.saturating_sub(pauses);
            until_look = until_look.saturating_sub(pauses);
            if until_look == 0 {
                if is_over(&mut until_ns) {
                    break;
                }
                until_look = LOOK_EVERY;
            }
        }
        self.learn(pace, pace.after_failure(is_alone()));
        None
    }

    #[inline]
    fn pace(&self) -> Pace {
        match self.pace.load(Relaxed) {
            0 => Pace::first(is_alone()),
            pace => Pace(pace),
        }
    }

    #[inline]
    fn learn(&self, before: Pace, after: Pace) {
        if before.0 != after.0 {
            self.pace.store(after.0, Relaxed);
        }
    }
}

/// Tells whether the time of a spin is over; it begins with the first question.
#[cold]
fn is_over(until_ns: &mut Option<u64>) -> bool {
    let now_ns = clock::now_ns();
    now_ns > *until_ns.get_or_insert(now_ns.saturating_add(MOST_NS))
}

/// Tells whether the calling thread may use one processor only.
///
/// Affinity belongs to a thread and may change; it is asked for again every [`ASK_CPUS_EVERY`]
/// calls, as a question costs 0.4 us.
fn is_alone() -> bool {
    thread_local! {
        /// The answer, and for how many calls it still holds.
        static ANSWER: Cell<(bool, u32)> = const { Cell::new((false, 0)) };
    }
    ANSWER.with(|answer| {
        let (mut alone, mut left) = answer.get();
        if left == 0 {
            alone = process::affinity_count() <= 1;
            left = ASK_CPUS_EVERY;
        }
        answer.set((alone, left - 1));
        alone
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_halve_the_budget_to_the_floor_and_successes_restore_it() {
        let mut pace = Pace::first(false);
        assert_eq!(pace.spend(), START);
        for _ in 0..10 {
            pace = pace.after_failure(false);
        }
        assert_eq!(pace.spend(), LEAST);
        for _ in 0..10 {
            pace = pace.after_success();
        }
        assert_eq!(pace.spend(), MOST);
    }

    #[test]
    fn slow_attempts_do_not_make_a_spin_last() {
        let mut attempts = 0;
        let spin = Spin::new();
        spin.pace.store(Pace::new(MOST, 0, PROBE_EVERY).0, Relaxed);
        let got = spin.until(|| {
            attempts += 1;
            std::thread::sleep(std::time::Duration::from_micros(50));
            None::<()>
        });
        assert_eq!(got, None);
        assert!(attempts < MOST, "{attempts}");
    }

    #[test]
    fn with_one_processor_only_probes_spin_and_they_become_rare() {
        let mut pace = Pace::first(true);
        let mut probes = 0;
        for _ in 0..20_000 {
            probes += u32::from(pace.is_probe());
            assert!(pace.is_probe() || pace.spend() == 0);
            assert_ne!(pace.0, 0, "that is a handle that never waited");
            pace = pace.after_failure(true);
        }
        assert!((7..12).contains(&probes), "{probes}");
    }

    #[test]
    fn a_probe_that_succeeds_leads_back_to_spinning() {
        let mut pace = Pace::first(false);
        while !pace.is_probe() {
            pace = pace.after_failure(false);
        }
        assert_eq!(pace.after_success().spend(), MOST);
    }
}
