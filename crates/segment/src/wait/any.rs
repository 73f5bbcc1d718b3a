//! Waiting for the first of several things, of any kinds and in any segments.
//!
//! The thread announces itself at each of them, looks at all, and sleeps on all their words with one
//! `futex_waitv`; whoever makes one ready wakes it as it wakes every other waiter there. Nothing
//! is polled. For each segment it is a sleeper as in a wait for one thing: it looks when slices
//! end, is kicked at deaths, and may be the watch.
//!
//! A wake is meant for one who acts on it, but this thread may have been woken at two places at
//! once, or its caller may not act. So whoever leaves passes on the wakes that came to it since it
//! last found nothing (its *debts*): another waiter looks in vain, at worst.

use core::fmt;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::time::Duration;

use crossproc_sys::clock::Deadline;
use crossproc_sys::futex;

use super::block::Look;
use super::eventcount::{Epoch, EventCount};
use super::raw::Blocker;
use super::sleeper::{Rest, Sleeper};
use super::spin::Spin;
use crate::Segment;

/// Something that can be waited for together with others, by [`wait_any`].
///
/// It is *ready* when the operation that it stands for would not block now: a lock is free or its
/// owner dead, a queue has an item or is closed, an event is set, a process has ended. Ready is a
/// hint, as with `poll`: another may be faster, so follow up with the `try_` form.
pub trait Waitable {
    /// Whether it is ready now. With [`Look::Repair`] it asks whether the process lives whose
    /// claim stands in the way, and repairs what a dead one left. Never blocks.
    fn is_ready(&self, look: Look) -> bool;

    /// What changes when it becomes ready, or when something else gets in its way instead.
    fn source(&self) -> Source<'_>;
}

/// How a [`Waitable`] wakes those who wait for it.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// An eventcount in the segment is notified.
    EventCount(&'a Segment, &'a EventCount),
    /// A word in the segment changes, and those who sleep on it are woken if it was marked: the
    /// function marks it, and gives the value to sleep on. `None` if the word says that nobody
    /// need sleep, or has just changed.
    Word(&'a Segment, &'a AtomicU32, fn(&AtomicU32) -> Option<u32>),
    /// A word of this process gets another value than this one, and is woken.
    Local(&'a AtomicU32, u32),
}

/// Marks a word as slept on, for [`Source::Word`]: `marked` gives the word with the mark, or `None`
/// if the word says that nobody need sleep. Returns the word to sleep on.
#[must_use]
pub fn mark(word: &AtomicU32, marked: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let mut seen = word.load(Relaxed);
    loop {
        let mark = marked(seen)?;
        if mark == seen {
            return Some(mark);
        }
        // Relaxed: the mark publishes nothing, and the sleeper trusts the kernel's comparison.
        match word.compare_exchange(seen, mark, Relaxed, Relaxed) {
            Ok(_) => return Some(mark),
            Err(found) => seen = found,
        }
    }
}

/// More was to be waited for than the kernel can sleep on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "one wait takes {most} things at most, together with one for each of their segments; {asked} were given"
)]
#[non_exhaustive]
pub struct TooMany {
    /// How many things there were.
    pub asked: usize,
    /// What `futex_waitv` takes.
    pub most: usize,
}

/// Blocks until at least one of `items` is ready or `timeout` has passed (`None` is never), and gives
/// the indexes of all that are ready then; none after the timeout.
///
/// As [`wait_any_deadline`], which says more.
///
/// # Errors
///
/// [`TooMany`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use crossproc_segment::wait::wait_any;
///
/// assert_eq!(wait_any(&[], Duration::from_millis(1))?, []);
/// # Ok::<(), crossproc_segment::wait::TooMany>(())
/// ```
pub fn wait_any(
    items: &[&dyn Waitable],
    timeout: impl Into<Option<Duration>>,
) -> Result<Vec<usize>, TooMany> {
    // Only then: who finds something ready never reads the clock.
    wait_by(items, || timeout.into().map(Deadline::after))
}

/// Blocks until at least one of `items` is ready or `deadline` passes, and gives the indexes of all
/// that are ready then; none if the deadline passed.
///
/// Without any `items` it comes back at the deadline, and at once if there is none.
///
/// A process that dies and so makes something ready (the owner of a lock, who put an item half)
/// is noticed within 0.1 s. Nobody polls: the thread sleeps.
///
/// # Errors
///
/// [`TooMany`] where there are more than 128 things and segments together, if none is ready at
/// once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use crossproc_segment::wait::{Waitable, wait_any_deadline};
/// use crossproc_sys::clock::Deadline;
///
/// let nothing: [&dyn Waitable; 0] = [];
/// let soon = Deadline::after(Duration::from_millis(1));
/// assert_eq!(wait_any_deadline(&nothing, Some(soon))?, []);
/// # Ok::<(), crossproc_segment::wait::TooMany>(())
/// ```
pub fn wait_any_deadline(
    items: &[&dyn Waitable],
    deadline: Option<Deadline>,
) -> Result<Vec<usize>, TooMany> {
    wait_by(items, || deadline)
}

/// Waits until a deadline that is made only if nothing is ready at once.
fn wait_by(
    items: &[&dyn Waitable],
    deadline: impl FnOnce() -> Option<Deadline>,
) -> Result<Vec<usize>, TooMany> {
    thread_local! {
        static SPIN: Spin = const { Spin::new() };
    }
    let quick = || Some(ready(items, Look::Quick)).filter(|found| !found.is_empty());
    if let Some(found) = quick() {
        return Ok(found);
    }
    let deadline = deadline();
    if items.is_empty() {
        deadline.into_iter().for_each(|deadline| std::thread::sleep(deadline.remaining()));
        return Ok(Vec::new());
    }
    if deadline.is_some_and(Deadline::has_passed) {
        return Ok(ready(items, Look::Repair));
    }
    // Where this process's own words are among them a look is a system call: too dear to repeat.
    let spun = if has_local(items) { None } else { SPIN.with(|spin| spin.until(quick)) };
    spun.map_or_else(|| sleep(items, deadline), Ok)
}

fn ready(items: &[&dyn Waitable], look: Look) -> Vec<usize> {
    let all = items.iter().enumerate();
    all.filter(|(_, item)| item.is_ready(look)).map(|(index, _)| index).collect()
}

fn has_local(items: &[&dyn Waitable]) -> bool {
    items.iter().any(|item| item.source().shared().is_none())
}

fn sleep(items: &[&dyn Waitable], deadline: Option<Deadline>) -> Result<Vec<usize>, TooMany> {
    // The first word of each segment stands for the others: it is to be kicked at any death.
    let mut grounds: Vec<(&Segment, &AtomicU32)> = Vec::new();
    for (segment, word) in items.iter().filter_map(|item| item.source().shared()) {
        if !grounds.iter().any(|(known, _)| *known == segment) {
            grounds.push((segment, word));
        }
    }
    if items.len() + grounds.len() > futex::MOST_WORDS {
        return Err(TooMany { asked: items.len(), most: futex::MOST_WORDS });
    }
    let mut sleepers: Vec<Sleeper<'_>> =
        grounds.iter().map(|(segment, _)| Sleeper::new(segment, deadline)).collect();
    let is_foreign = has_local(items);
    let mut look = Look::Quick;
    let mut there = Announcements::default();
    loop {
        for (sleeper, (_, word)) in sleepers.iter_mut().zip(&grounds) {
            sleeper.arm(word, Blocker::Anyone);
        }
        items.iter().for_each(|item| there.announced.push(item.source().announce()));
        EventCount::barrier();
        let found = ready(items, look);
        if !found.is_empty() {
            return Ok(found);
        }
        // Nothing is there: the wakes that came last were used up by others.
        there.debts.settle(&there.announced);
        let words: Option<Vec<_>> = there.announced.iter().map(Announced::word).collect();
        let rest = match words {
            Some(words) => Sleeper::sleep_any(&mut sleepers, &words, is_foreign, deadline),
            None if deadline.is_some_and(Deadline::has_passed) => Rest::TimedOut,
            None => Rest::Look,
        };
        if rest == Rest::TimedOut {
            return Ok(ready(items, Look::Repair));
        }
        there.withdraw();
        look = if rest == Rest::Ask { Look::Repair } else { Look::Quick };
    }
}

impl<'a> Source<'a> {
    fn shared(&self) -> Option<(&'a Segment, &'a AtomicU32)> {
        match *self {
            Self::EventCount(segment, eventcount) => Some((segment, eventcount.word())),
            Self::Word(segment, word, _) => Some((segment, word)),
            Self::Local(..) => None,
        }
    }

    fn announce(&self) -> Announced<'a> {
        match *self {
            Self::EventCount(_, eventcount) => Announced::At(eventcount, eventcount.announce()),
            Self::Word(_, word, mark) => Announced::On(word, mark(word)),
            Self::Local(word, value) => Announced::Here(word, value),
        }
    }
}

/// Where a thread is announced, and the wakes that it owes to others. Whichever way it leaves, by a
/// panic in an item's own code too, it takes back the ones and passes on the others.
#[derive(Default)]
struct Announcements<'a> {
    announced: Vec<Announced<'a>>,
    debts: Debts<'a>,
}

impl Announcements<'_> {
    fn withdraw(&mut self) {
        for one in self.announced.drain(..) {
            one.withdraw(&mut self.debts);
        }
    }
}

impl Drop for Announcements<'_> {
    fn drop(&mut self) {
        self.withdraw();
        self.debts.pay();
    }
}

/// An announcement at one source.
enum Announced<'a> {
    At(&'a EventCount, Epoch),
    /// The value to sleep on, if there is one.
    On(&'a AtomicU32, Option<u32>),
    Here(&'a AtomicU32, u32),
}

impl<'a> Announced<'a> {
    /// The word and the value to sleep on; `None` if it has changed: look again.
    fn word(&self) -> Option<(&'a AtomicU32, u32)> {
        match *self {
            Self::At(eventcount, epoch) => {
                eventcount.still(epoch).map(|value| (eventcount.word(), value))
            }
            Self::On(word, value) => value.map(|value| (word, value)),
            Self::Here(word, value) => Some((word, value)),
        }
    }

    /// Takes it back. If something was told there, the wake may have come to this thread.
    fn withdraw(self, debts: &mut Debts<'a>) {
        match self {
            Self::At(eventcount, epoch) if eventcount.still(epoch).is_some() => {
                eventcount.cancel(epoch);
            }
            Self::At(eventcount, _) => debts.0.push(Debt::At(eventcount)),
            // ORDERING: acquire: a word that was left is seen left; a wake in vain costs a look.
            Self::On(word, Some(value)) if word.load(Acquire) != value => {
                debts.0.push(Debt::On(word));
            }
            Self::On(..) | Self::Here(..) => {}
        }
    }
}

/// A wake that came to this thread, and is another's unless this thread's caller acts on it.
enum Debt<'a> {
    At(&'a EventCount),
    On(&'a AtomicU32),
}

/// The wakes of the last sleep, and of the announcements since.
///
/// They outlast the announcement to which they came: woken, the thread announces itself anew and
/// only then finds what it was woken for. A sleeper on a lock that is left to another without a
/// wake would not even be known to its next owner: the mark on the word has gone.
#[derive(Default)]
struct Debts<'a>(Vec<Debt<'a>>);

impl Debts<'_> {
    /// Passes the wakes on.
    fn pay(&mut self) {
        for debt in self.0.drain(..) {
            match debt {
                Debt::At(eventcount) => eventcount.notify_one(),
                Debt::On(word) => {
                    futex::wake(word, 1);
                }
            }
        }
    }

    /// Forgets the wakes, as this thread is announced again where they came. Where it is not (a
    /// source now has another word) another sleeper gets them.
    fn settle(&mut self, announced: &[Announced<'_>]) {
        for debt in self.0.drain(..) {
            let Debt::On(word) = debt else { continue };
            let is_announced = |one: &Announced<'_>| matches!(one, Announced::On(other, Some(_)) if core::ptr::eq(*other, word));
            if !announced.iter().any(is_announced) {
                futex::wake(word, 1);
            }
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EventCount(_, eventcount) => {
                f.debug_tuple("EventCount").field(eventcount).finish()
            }
            Self::Word(_, word, _) => f.debug_tuple("Word").field(word).finish(),
            Self::Local(word, value) => f.debug_tuple("Local").field(word).field(value).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word<'a>(&'a AtomicU32);

    impl Waitable for Word<'_> {
        fn is_ready(&self, _look: Look) -> bool {
            self.0.load(Acquire) != 0
        }

        fn source(&self) -> Source<'_> {
            Source::Local(self.0, 0)
        }
    }

    /// Something that a flag says is there, and an eventcount tells of.
    struct Told<'a>(&'a Segment, &'a EventCount, AtomicU32);

    impl Waitable for Told<'_> {
        fn is_ready(&self, _look: Look) -> bool {
            self.2.load(Acquire) != 0
        }

        fn source(&self) -> Source<'_> {
            Source::EventCount(self.0, self.1)
        }
    }

    /// Panics when `when` says so, where it is looked at or (`early`) where it says what changes.
    struct Bomb<'a, W> {
        when: W,
        early: bool,
        word: &'a AtomicU32,
    }

    impl<W: Fn() -> bool> Waitable for Bomb<'_, W> {
        fn is_ready(&self, _look: Look) -> bool {
            assert!(self.early || !(self.when)(), "as it was told");
            false
        }

        fn source(&self) -> Source<'_> {
            assert!(!self.early || !(self.when)(), "as it was told");
            Source::Local(self.word, 0)
        }
    }

    fn eventcount(object: &crate::Object) -> &EventCount {
        // SAFETY: zeroed memory is an eventcount, and the object outlives the reference.
        unsafe { object.body().cast::<EventCount>().as_ref() }
    }

    #[test]
    fn an_item_that_panics_leaves_nobody_announced() {
        let segment = Segment::anonymous(1 << 16).expect("a segment");
        let shape = crate::Shape::untyped("test", 1);
        let object = segment.construct(None, &shape, 4, |_| ()).expect("room");
        let (eventcount, word) = (eventcount(&object), AtomicU32::new(0));
        let told = Told(&segment, eventcount, AtomicU32::new(0));
        for early in [false, true] {
            let bomb = Bomb { when: || eventcount.has_waiters(), early, word: &word };
            let waiting = std::panic::AssertUnwindSafe(|| wait_any_deadline(&[&told, &bomb], None));
            assert!(std::panic::catch_unwind(waiting).is_err());
            assert!(!eventcount.has_waiters());
            assert!(super::super::waiters(&segment).is_empty());
        }
    }

    #[test]
    fn the_wake_of_one_whose_item_panics_is_passed_on_to_the_next_waiter() {
        let segment = Segment::anonymous(1 << 16).expect("a segment");
        let shape = crate::Shape::untyped("test", 1);
        let object = segment.construct(None, &shape, 4, |_| ()).expect("room");
        let (eventcount, word) = (eventcount(&object), AtomicU32::new(0));
        let told = Told(&segment, eventcount, AtomicU32::new(0));
        let bomb = Bomb { when: || told.is_ready(Look::Quick), early: false, word: &word };
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait_any_deadline(&[&told, &bomb], None));
            while super::super::waiters(&segment).is_empty() {
                std::thread::yield_now();
            }
            // A second waiter, announced behind the sleeper.
            let epoch = eventcount.announce();
            told.2.store(1, core::sync::atomic::Ordering::Release);
            eventcount.notify_one();
            assert!(sleeper.join().is_err());
            assert!(eventcount.still(epoch).is_none() && !eventcount.has_waiters());
        });
    }

    #[test]
    fn the_wake_that_ended_a_sleep_is_passed_on_to_the_next_waiter() {
        let segment = Segment::anonymous(1 << 16).expect("a segment");
        let shape = crate::Shape::untyped("test", 1);
        let object = segment.construct(None, &shape, 4, |_| ()).expect("room");
        let eventcount = eventcount(&object);
        let told = Told(&segment, eventcount, AtomicU32::new(0));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait_any_deadline(&[&told], None));
            while super::super::waiters(&segment).is_empty() {
                std::thread::yield_now();
            }
            // A second waiter, announced behind the sleeper.
            let epoch = eventcount.announce();
            told.2.store(1, core::sync::atomic::Ordering::Release);
            eventcount.notify_one();
            assert_eq!(sleeper.join().expect("no panic"), Ok(vec![0]));
            assert!(eventcount.still(epoch).is_none() && !eventcount.has_waiters());
        });
    }

    #[test]
    fn more_words_than_the_kernel_takes_are_refused() {
        let word = AtomicU32::new(0);
        let item = Word(&word);
        let items = vec![&item as &dyn Waitable; futex::MOST_WORDS + 1];
        let refused = wait_any_deadline(&items, None);
        assert_eq!(refused, Err(TooMany { asked: 129, most: 128 }));
    }
}
