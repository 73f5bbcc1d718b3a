//! One wait of one thread: sleeps in slices, can be kicked, and takes its turn as the watch.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;

use crossproc_sys::clock::{self, Deadline};
use crossproc_sys::futex::{self, Wait};

use super::events;
use super::ground::Ground;
use super::lookout::{Tick, Watch};
use super::raw::{Blocker, Target};
use super::slices::Slices;
use super::thread::thread_token;
use crate::Segment;

/// How long a word that no segment has is slept on before a look: its wake cannot die with another
/// process, but a thread of this one may not be there.
const FOREIGN_SLICE: Duration = Duration::from_secs(5);

/// Rounds of a wait without a sleep that nobody needs.
const MOST_ROUNDS: u32 = 64;

/// Why a sleep ended, and what the sleeper is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rest {
    /// Woken, or the word changed, or a signal came: look at the condition.
    Look,
    /// Look, and ask whether the owner of what blocks this thread is alive.
    Ask,
    /// The deadline passed: look and ask a last time.
    TimedOut,
}

/// The record of a sleeper, and what was last written to it and read from it.
#[derive(Clone, Copy, Debug)]
struct Place {
    index: usize,
    target: Target,
    kicks: u32,
}

/// One wait of one thread.
///
/// The shape of a wait, which [`block_on`](super::block_on) has ready for an eventcount:
///
/// 1. [`arm`](Self::arm) with the word to sleep on.
/// 2. Look at the word; if the last [`Rest`] was `Ask`, ask after its owner and repair.
/// 3. [`sleep`](Self::sleep) on the exact value seen. Then again from 1.
///
/// Nobody sleeps for ever on a word that a death leaves unchanged: for its first 24 ms a sleeper
/// looks by itself, more and more rarely. After that it has a record in the segment, by which it
/// is kicked within 0.1 s of the death of the process it waits for, and in any case looks again
/// within 5 s. While it sleeps it may have to find out the dead for all others (the *watch*).
pub struct Sleeper<'s> {
    ground: Ground<'s>,
    deadline: Option<Deadline>,
    slices: Slices,
    place: Option<Place>,
    watch: Option<Watch>,
    /// Something happened between two sleeps: the next one must not begin before it was asked.
    owes_question: bool,
    /// Calls of `arm` since the last sleep.
    rounds: u32,
}

impl<'s> Sleeper<'s> {
    /// A wait of the calling thread on words of `segment`, until `deadline`.
    #[must_use]
    pub fn new(segment: &'s Segment, deadline: Option<Deadline>) -> Self {
        let ground = Ground::new(segment, segment.me());
        // The address tells threads apart, the id processes.
        let here = core::ptr::from_ref(&ground).addr() as u64;
        let seed = (u64::from(ground.me.get()) << 32 ^ here).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            ground,
            deadline,
            slices: Slices::new(seed),
            place: None,
            watch: None,
            owes_question: false,
            rounds: 0,
        }
    }

    /// Says which word the thread is going to sleep on, and whose death concerns it.
    ///
    /// Comes before the look at the word and the question after its owner: a death after that is
    /// then not missed.
    pub fn arm(&mut self, word: &AtomicU32, blocker: Blocker) {
        self.rounds = self.rounds.saturating_add(1);
        if self.place.is_none() && self.slices.is_old() {
            self.claim_place();
        }
        let Some(place) = &mut self.place else { return };
        let target = self.ground.target(word, blocker);
        let kicks = self.ground.waits.record(place.index).arm(target);
        // A burial between the last question and this call looked for another target.
        self.owes_question |= place.target != target || place.kicks != kicks;
        *place = Place { target, kicks, ..*place };
    }

    /// Sleeps until `word` differs from `expected`, a wake, a kick, the end of a slice, a signal,
    /// or the deadline.
    pub fn sleep(&mut self, word: &AtomicU32, expected: u32) -> Rest {
        in_time(self.sleep_once(word, expected), self.deadline)
    }

    fn sleep_once(&mut self, word: &AtomicU32, expected: u32) -> Rest {
        self.rounds = 0;
        if core::mem::take(&mut self.owes_question) {
            return Rest::Ask;
        }
        let slice_end = Deadline::from_nanos(self.slice_end());
        let (end, is_last) = match self.deadline {
            Some(deadline) if deadline <= slice_end => (deadline, true),
            _ => (slice_end, false),
        };
        let wait = self.wait(word, expected, end);
        if self.was_kicked() {
            self.answer_kick();
            return Rest::Ask;
        }
        match wait {
            Wait::TimedOut if is_last => Rest::TimedOut,
            Wait::TimedOut => self.slice_over(),
            Wait::Woken => {
                self.slices.renew();
                Rest::Look
            }
            Wait::Changed | Wait::Interrupted => Rest::Look,
        }
    }

    /// Sleeps as several sleepers at once, one for each segment that the thread waits in, until one
    /// of `words` differs from the value beside it, or whatever else ends [`sleep`](Self::sleep).
    ///
    /// There is room for the words of as many sleepers as are given. With words that lie in no
    /// segment (`is_foreign`) a slice has [`FOREIGN_SLICE`] at most.
    pub(super) fn sleep_any(
        sleepers: &mut [Self],
        words: &[(&AtomicU32, u32)],
        is_foreign: bool,
        deadline: Option<Deadline>,
    ) -> Rest {
        in_time(Self::sleep_any_once(sleepers, words, is_foreign, deadline), deadline)
    }

    fn sleep_any_once(
        sleepers: &mut [Self],
        words: &[(&AtomicU32, u32)],
        is_foreign: bool,
        deadline: Option<Deadline>,
    ) -> Rest {
        let owed = sleepers.iter_mut().map(|sleeper| core::mem::take(&mut sleeper.owes_question));
        if owed.fold(false, |any, owed| any | owed) {
            return Rest::Ask;
        }
        let foreign = is_foreign.then(|| Deadline::after(FOREIGN_SLICE));
        let slice_ends =
            sleepers.iter_mut().map(|sleeper| Deadline::from_nanos(sleeper.slice_end()));
        let slice_end = slice_ends.chain(foreign).min();
        let end = slice_end.into_iter().chain(deadline).min();
        let is_last = deadline.is_some() && end == deadline;
        let wait = {
            let kicks = sleepers.iter().filter_map(|sleeper| {
                let place = sleeper.place?;
                Some((sleeper.ground.waits.record(place.index).kicks(), place.kicks))
            });
            let all: Vec<_> = words.iter().copied().chain(kicks).collect();
            futex::wait_many(&all, end).0
        };
        let mut kicked = false;
        for sleeper in sleepers.iter_mut() {
            if sleeper.was_kicked() {
                sleeper.answer_kick();
                kicked = true;
            }
        }
        match wait {
            _ if kicked => Rest::Ask,
            Wait::TimedOut if is_last => Rest::TimedOut,
            Wait::TimedOut => Self::slices_over(sleepers),
            Wait::Woken => {
                sleepers.iter_mut().for_each(|sleeper| sleeper.slices.renew());
                Rest::Look
            }
            Wait::Changed | Wait::Interrupted => Rest::Look,
        }
    }

    /// Ends those slices whose time has come.
    fn slices_over(sleepers: &mut [Self]) -> Rest {
        let mut rest = Rest::Look;
        for sleeper in sleepers {
            if sleeper.slice_end() <= clock::now_ns() && sleeper.slice_over() == Rest::Ask {
                rest = Rest::Ask;
            }
        }
        rest
    }

    /// Tells whether the deadline is past and the thread has not come to sleep for many rounds: the
    /// wait is to end without its last look, as somebody writes to the word without end.
    ///
    /// To be asked where a round begins anew because the word has changed. Among those who keep to a
    /// protocol a word does not change so often between a look and the announcement after it.
    #[must_use]
    pub fn is_restless(&self) -> bool {
        self.rounds > MOST_ROUNDS && self.deadline.is_some_and(Deadline::has_passed)
    }

    /// Tells whether this thread finds out the dead for the others of its segment.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.watch.is_some()
    }

    fn wait(&self, word: &AtomicU32, expected: u32, end: Deadline) -> Wait {
        match self.place {
            None => futex::wait(word, expected, Some(end)),
            Some(place) => {
                let kicks = self.ground.waits.record(place.index).kicks();
                futex::wait_many(&[(word, expected), (kicks, place.kicks)], Some(end)).0
            }
        }
    }

    fn slice_end(&mut self) -> u64 {
        match &self.watch {
            Some(watch) => watch.due_ns(),
            None => {
                let looks = self.ground.waits.looks();
                self.slices.end(clock::now_ns(), looks, self.place.is_some())
            }
        }
    }

    /// Whether a kick came since the last call or the last `arm`.
    fn was_kicked(&mut self) -> bool {
        let Some(place) = &mut self.place else { return false };
        let kicks = self.ground.waits.record(place.index).kicks().load(Relaxed);
        core::mem::replace(&mut place.kicks, kicks) != kicks
    }

    /// A kick means a death, or that the watch has left.
    fn answer_kick(&mut self) {
        if self.watch.is_none() && self.ground.waits.post().holder().is_none() {
            self.look_after_watch(clock::now_ns());
        }
    }

    fn slice_over(&mut self) -> Rest {
        let Some(watch) = &mut self.watch else {
            let now_ns = clock::now_ns();
            self.slices.over(now_ns, self.ground.waits.count_look());
            self.look_after_watch(now_ns);
            return Rest::Ask;
        };
        match watch.tick(&self.ground) {
            Tick::Quiet => Rest::Look,
            Tick::Ask => Rest::Ask,
            Tick::Deposed => {
                self.leave_watch();
                Rest::Ask
            }
        }
    }

    /// Becomes the watch if there is none that does its duty.
    fn look_after_watch(&mut self, now_ns: u64) {
        if let Some(place) = self.place {
            self.watch = Watch::elect(&self.ground, place.index, now_ns);
            if self.watch.is_none() {
                events::close_retired(now_ns);
            }
        }
    }

    fn leave_watch(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.leave(&self.ground);
        }
    }

    #[cold]
    fn claim_place(&mut self) {
        thread_local! {
            /// The record that this thread had last: free, most likely.
            static HINT: Cell<usize> = const { Cell::new(0) };
        }
        let claimed = self.ground.waits.claim(self.ground.me, thread_token(), HINT.get());
        if let Some(index) = claimed {
            HINT.set(index);
            self.place = Some(Place { index, target: Target::default(), kicks: 0 });
        }
    }
}

/// What a sleep means once the deadline is past, whatever ended it: the kernel only looks at the
/// time where it sleeps, and a word (or a count of kicks) that somebody changes without end never
/// lets it.
fn in_time(rest: Rest, deadline: Option<Deadline>) -> Rest {
    if deadline.is_some_and(Deadline::has_passed) { Rest::TimedOut } else { rest }
}

impl Drop for Sleeper<'_> {
    /// Leaves the post of the watch to another sleeper, and vacates the record.
    fn drop(&mut self) {
        self.leave_watch();
        if let Some(place) = self.place.take() {
            self.ground.waits.release(place.index, self.ground.me);
        }
    }
}

impl fmt::Debug for Sleeper<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper")
            .field("deadline", &self.deadline)
            .field("place", &self.place)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
