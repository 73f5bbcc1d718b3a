//! Between the world of futexes and those who cannot sleep on them: event loops and futures.
//!
//! A *bridge* is a thread of this process that waits for all its errands with one
//! [`wait_any_deadline`](super::wait_any_deadline), and tells those who sent it: it raises the
//! descriptor of a [`WaitFd`](super::WaitFd), or wakes a future that has a [`TaskWait`](super::TaskWait).
//! It is started with the first errand and ends after the last; who sends it on none pays nothing. A
//! bridge has room for [`ROOM`] errands; further ones get another bridge.
//!
//! # States of an errand
//!
//! - *due*: the bridge waits for its item.
//! - *later*: the bridge leaves it alone, until a time if there is one, or until somebody changes it.
//! - *over*: nobody wants to know. The bridge forgets it, and with it its clone of the handle.
//!
//! A descriptor's errand is taken out by who drops it; one of futures is over when none of them is in
//! line. What each of them does when its item is ready is told in `fd` and `task`.
//!
//! # Operations
//!
//! *send* (who has an errand, or changes one): 1. change it, under its own lock or in its own word.
//! 2. `change`: count `changes` up, wake the bridge.
//!
//! *run* (the bridge): 1. read `changes`. 2. Take out what is over; note what is due. 3. Wait until one
//! of that is ready, the next *later* comes due, or `changes` is not what it was. 4. Tell.
//!
//! *end*: a bridge without errands takes itself out of the list, under the lock under which errands are
//! handed out; so nothing is handed to one that has ended. One that served futures stays for
//! [`LINGER`] first, as the next future comes soon, and asks for nothing meanwhile.
//!
//! # Orderings
//!
//! - *change*: `fetch_add` of `changes` (release) -> its load in step 1 of *run* (acquire): what was
//!   changed before is seen in step 2. What is changed later ends step 3, or keeps it from sleeping: the
//!   word is not what was read.
//!
//! Nobody needs to look a second time after it has sent a bridge: the bridge announces itself at the
//! item and then looks, so what came before the announcement is seen, and what comes after wakes it.
//!
//! # Locks
//!
//! In this order: no fork, the list of bridges, a bridge's errands, an errand's own. Items are looked at
//! and dropped, wakers cloned, woken and dropped, without any of them, as that may run anybody's code.
//!
//! # Panics
//!
//! Nor must such code end a bridge, which serves others too. An item that panics as it is looked at
//! counts as ready, so that who waits for it tries, and sees for itself what is wrong. What panics as it
//! is dropped, or woken, is passed over.
//!
//! # Forks
//!
//! A forked child has no bridge: the threads are the parent's. It finds that out by its incarnation, and
//! forgets the copies unread, since a lock of theirs may be some thread's of the parent for ever, and
//! the wakers belong to tasks of the parent.

use core::cell::Cell;
use core::mem;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use core::task::Waker;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crossproc_sys::clock::Deadline;
use crossproc_sys::{fork, futex, process};
use parking_lot::Mutex;

use super::any::{Source, Waitable, wait_any_deadline};
use super::block::Look;
use super::fd::Flag;
use super::task::Crowd;

/// Errands of one bridge: below what `futex_waitv` takes, if each were in a segment of its own.
const ROOM: usize = 60;

/// How long a bridge stays that has served futures and has nothing to do.
const LINGER: Duration = Duration::from_millis(100);

/// The bridges of this process, and which incarnation of it they belong to: a forked child has no
/// bridge.
static BRIDGES: Mutex<Bridges> = Mutex::new(Bridges { incarnation: 0, all: Vec::new() });

struct Bridges {
    incarnation: u32,
    all: Vec<Arc<Bridge>>,
}

/// What a bridge waits for on somebody's behalf.
#[derive(Clone)]
pub(super) enum Errand {
    Flag(Arc<Flag>),
    Crowd(Arc<Crowd>),
}

/// Whether a bridge is to wait for the item of an errand.
#[derive(Clone, Copy)]
pub(super) enum Due {
    Now,
    Later(Option<Deadline>),
    Over,
}

pub(super) struct Bridge {
    /// Goes up with each change of what is to be waited for; the thread sleeps on it too.
    changes: AtomicU32,
    errands: Mutex<Vec<Errand>>,
}

impl Bridge {
    /// Gives `flag` to a bridge that has room, or to a new one.
    ///
    /// # Errors
    ///
    /// No threads left.
    pub(super) fn watch(flag: Arc<Flag>) -> io::Result<Arc<Self>> {
        // A child that is forked meanwhile must not find the list of bridges locked.
        fork::without_fork(|| Self::with_room(&mut own_bridges(), Errand::Flag(flag)))
    }

    /// Enters the crowd of the same key as `made`, if there is one, else `made`, by that number and waker.
    /// A crowd in which nobody waits does not count: it may be of something that was dropped since.
    ///
    /// `made` stays the caller's, who drops it, and has it called if there is an error.
    ///
    /// # Errors
    ///
    /// No threads left. It has entered `made`.
    pub(super) fn join(
        made: &Arc<Crowd>,
        number: u64,
        waker: Waker,
    ) -> io::Result<(Arc<Crowd>, Arc<Self>)> {
        fork::without_fork(move || {
            let bridges = &mut own_bridges();
            for bridge in &bridges.all {
                let errands = bridge.errands.lock();
                if let Some(crowd) = errands.iter().find_map(|errand| errand.as_crowd(made.key())) {
                    // If the last in line leaves it just now, the bridge has yet to find out, for which
                    // it needs the errands; if it calls that one, it comes round to look again. So it
                    // need not be sent.
                    crowd.enter(number, waker);
                    return Ok((Arc::clone(crowd), Arc::clone(bridge)));
                }
            }
            made.enter(number, waker);
            let bridge = Self::with_room(bridges, Errand::Crowd(Arc::clone(made)))?;
            Ok((Arc::clone(made), bridge))
        })
    }

    fn with_room(bridges: &mut Bridges, errand: Errand) -> io::Result<Arc<Self>> {
        for bridge in &bridges.all {
            let mut errands = bridge.errands.lock();
            if errands.len() < ROOM {
                errands.push(errand);
                drop(errands);
                bridge.change();
                return Ok(Arc::clone(bridge));
            }
        }
        let bridge =
            Arc::new(Self { changes: AtomicU32::new(0), errands: Mutex::new(vec![errand]) });
        bridge.start()?;
        bridges.all.push(Arc::clone(&bridge));
        Ok(bridge)
    }

    fn start(self: &Arc<Self>) -> io::Result<()> {
        let bridge = Arc::clone(self);
        let thread = thread::Builder::new().name("crossproc-bridge".to_owned());
        // Signals are the business of the program's own threads.
        let run = move || {
            let _end = End(Arc::clone(&bridge));
            bridge.run();
        };
        process::without_signals(|| thread.spawn(run)).map(drop)
    }

    /// Takes the errand of a descriptor out.
    pub(super) fn take_out(&self, flag: &Arc<Flag>) {
        let is_other =
            |errand: &Errand| !matches!(errand, Errand::Flag(one) if Arc::ptr_eq(one, flag));
        self.errands.lock().retain(is_other);
        self.change();
    }

    /// Has the bridge look at its errands again.
    pub(super) fn change(&self) {
        // ORDERING: release side of *change*.
        self.changes.fetch_add(1, AcqRel);
        futex::wake(&self.changes, 1);
    }

    fn run(self: &Arc<Self>) {
        let mut lingers: Option<Deadline> = None;
        loop {
            // ORDERING: acquire side of *change*; read before all that it tells of, the end as well.
            let change = Change { of: &self.changes, seen: self.changes.load(Acquire) };
            let Round { due, is_idle, served, next } = self.round();
            if served {
                lingers = Some(Deadline::after(LINGER));
            }
            if is_idle {
                match lingers.filter(|until| !until.has_passed()) {
                    Some(until) => {
                        let _look_again = futex::wait(&self.changes, change.seen, Some(until));
                    }
                    None if self.is_over() => return,
                    None => {}
                }
                continue;
            }
            let looked_at: Vec<_> =
                due.iter().map(|errand| Guarded::new(errand, &change)).collect();
            let items = looked_at.iter().map(|item| item as &dyn Waitable);
            let items: Vec<&dyn Waitable> = items.chain([&change as &dyn Waitable]).collect();
            // Too many are never given. If it was the mark of a word that panicked, it could be anyone's.
            let ready = guarded(|| wait_any_deadline(&items, next).unwrap_or_default())
                .unwrap_or_else(|| (0..due.len()).collect());
            ready.into_iter().filter_map(|index| due.get(index)).for_each(Errand::tell);
            forget(due);
        }
    }

    /// Takes out what is over, and notes what is due.
    fn round(&self) -> Round {
        let mut round = Round::default();
        let mut over = Vec::new();
        let mut errands = self.errands.lock();
        errands.retain(|errand| {
            match errand.due() {
                Due::Now => round.due.push(errand.clone()),
                Due::Later(when) => round.next = round.next.into_iter().chain(when).min(),
                Due::Over => {
                    over.push(errand.clone());
                    return false;
                }
            }
            true
        });
        round.is_idle = errands.is_empty();
        drop(errands);
        round.served = over.iter().chain(&round.due).any(|one| matches!(one, Errand::Crowd(_)));
        forget(over);
        round
    }

    /// Whether nothing is left to be waited for; then no more will come, either.
    fn is_over(self: &Arc<Self>) -> bool {
        fork::without_fork(|| {
            let mut bridges = BRIDGES.lock();
            let is_over = self.errands.lock().is_empty();
            if is_over {
                bridges.all.retain(|bridge| !Arc::ptr_eq(bridge, self));
            }
            is_over
        })
    }
}

/// What names the condition that futures wait for, in this process.
pub(super) type Key = (usize, u64);

/// What a bridge finds when it looks at its errands.
#[derive(Default)]
struct Round {
    due: Vec<Errand>,
    is_idle: bool,
    /// Whether futures are, or were, among those who sent it.
    served: bool,
    /// When the next errand comes due by itself.
    next: Option<Deadline>,
}

/// The list of bridges of this very process, locked. To be called where nobody can fork.
fn own_bridges() -> parking_lot::MutexGuard<'static, Bridges> {
    let mut bridges = BRIDGES.lock();
    if bridges.incarnation != fork::incarnation() {
        mem::forget(mem::take(&mut bridges.all));
        bridges.incarnation = fork::incarnation();
    }
    bridges
}

impl Errand {
    fn item(&self) -> &dyn Waitable {
        match self {
            Self::Flag(flag) => flag.item(),
            Self::Crowd(crowd) => crowd.item(),
        }
    }

    fn due(&self) -> Due {
        match self {
            Self::Flag(flag) => flag.due(),
            Self::Crowd(crowd) => crowd.due(),
        }
    }

    /// Its item is ready.
    fn tell(&self) {
        match self {
            Self::Flag(flag) => flag.raise(),
            Self::Crowd(crowd) => crowd.call(),
        }
    }

    /// The crowd of that key, if somebody waits in it.
    fn as_crowd(&self, key: Key) -> Option<&Arc<Crowd>> {
        match self {
            Self::Crowd(crowd) if crowd.key() == key && !crowd.is_over() => Some(crowd),
            _ => None,
        }
    }
}

/// Runs what may be anybody's code; `None` if it panics.
pub(super) fn guarded<R>(code: impl FnOnce() -> R) -> Option<R> {
    // What was thrown is left alone: to drop it may panic, too.
    catch_unwind(AssertUnwindSafe(code)).map_err(mem::forget).ok()
}

/// Lets go of errands, each of which may be the last to hold an item.
fn forget(errands: Vec<Errand>) {
    for errand in errands {
        guarded(|| drop(errand));
    }
}

/// The item of an errand, ready once it has panicked.
struct Guarded<'a> {
    errand: &'a Errand,
    has_panicked: Cell<bool>,
    /// What it waits for then: nothing.
    change: &'a Change<'a>,
}

impl<'a> Guarded<'a> {
    fn new(errand: &'a Errand, change: &'a Change<'a>) -> Self {
        Self { errand, has_panicked: Cell::new(false), change }
    }

    fn of_item<'g, R>(&'g self, ask: impl FnOnce(&'g dyn Waitable) -> R) -> Option<R> {
        let answer =
            if self.has_panicked.get() { None } else { guarded(|| ask(self.errand.item())) };
        self.has_panicked.set(answer.is_none());
        answer
    }
}

impl Waitable for Guarded<'_> {
    fn is_ready(&self, look: Look) -> bool {
        self.of_item(|item| item.is_ready(look)).unwrap_or(true)
    }

    fn source(&self) -> Source<'_> {
        self.of_item(|item| item.source()).unwrap_or(self.change.source())
    }
}

/// Takes a bridge out of the list when its thread ends, also by a panic, which would be a fault of its
/// own.
struct End(Arc<Bridge>);

impl Drop for End {
    fn drop(&mut self) {
        fork::without_fork(|| {
            BRIDGES.lock().all.retain(|bridge| !Arc::ptr_eq(bridge, &self.0));
        });
    }
}

/// That there is something else to be waited for.
struct Change<'a> {
    of: &'a AtomicU32,
    seen: u32,
}

impl Waitable for Change<'_> {
    fn is_ready(&self, _look: Look) -> bool {
        // ORDERING: acquire side of *change*.
        self.of.load(Acquire) != self.seen
    }

    fn source(&self) -> Source<'_> {
        Source::Local(self.of, self.seen)
    }
}
