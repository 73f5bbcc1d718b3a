//! What a future waits with: in the place of a thread's sleep it has its task woken.
//!
//! Futures that wait for the same condition stand in one line, a *crowd*, which is one errand for the
//! [`bridge`](super::bridge) however many they are. When the item is ready the bridge wakes one of them,
//! the first in line, which then has the *call*: it is expected to be polled, to try, and to answer.
//!
//! # States of a crowd
//!
//! - *over*: nobody is in line. The bridge lets go of it.
//! - *waiting*: somebody is in line, and nobody has the call. The bridge waits for the item.
//! - *called*: somebody is in line, and another has the call. The bridge lets it have [`PATIENCE`], for
//!   its runtime may be busy, or it was forgotten; then it is as in *waiting*.
//!
//! # Operations
//!
//! - *stay* (a future that found nothing): in line it stays where it is, with the waker of this poll.
//!   If it had the call, that is its answer: it comes into line anew, at the front, by its old number.
//! - *leave* (a future that is done, or dropped): out of line; if it had the call, that is its answer.
//! - An answer has the bridge look again if anybody is in line: what the future did not take, or what
//!   has come since, is the next one's.
//!
//! # No wake is swallowed
//!
//! Between processes: the wake that ended the bridge's sleep is passed on to the next waiter at that
//! eventcount before a future is called (see [`any`](super::any)), so a future that is dropped owes
//! nothing to other processes, nor to threads that block in this one. At worst one of those looks in
//! vain. Within the crowd: by the answer, or when patience ends.
//!
//! # Deaths
//!
//! Of other processes: the bridge sleeps as any thread that waits, looks at the end of its slices, is
//! kicked at deaths, and repairs as it looks; so a future is woken for what a death leaves. Of this
//! process: all of this is its own memory.

use core::fmt;
use core::mem;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::task::{Context, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use crossproc_sys::clock::Deadline;
use crossproc_sys::fork;
use parking_lot::Mutex;

use super::any::Waitable;
use super::bridge::{Bridge, Due, Key, guarded};

/// How long a future that was woken may take to answer before the next in line is woken too.
const PATIENCE: Duration = Duration::from_millis(50);

/// One wait of one future, from its first poll that found nothing until it is done or dropped: what
/// [`block_on`](super::block_on) is to a thread. For those who write futures over a [`Waitable`].
///
/// The future's poll makes an attempt by the `try_` form. If that succeeds it calls
/// [`leave`](Self::leave), else [`stay`](Self::stay), and returns `Pending`. It costs nothing before the
/// first `stay`.
///
/// Dropped, it leaves. A forked child may go on with its copy, which waits anew.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::task::Poll;
///
/// use crossproc_segment::wait::{Look, TaskWait, Waitable};
///
/// /// Returns once `item`, which is the only one at that address, is ready.
/// async fn ready<W: Waitable + Clone + Send + Sync + 'static>(item: &W) {
///     let key = (std::ptr::from_ref(item).addr(), 0);
///     let mut wait = TaskWait::new();
///     poll_fn(|cx| {
///         if item.is_ready(Look::Quick) {
///             wait.leave();
///             return Poll::Ready(());
///         }
///         wait.stay(cx, key, || item.clone());
///         Poll::Pending
///     })
///     .await;
/// }
/// ```
#[derive(Default)]
pub struct TaskWait {
    /// The number in line; 0 before the first `stay`.
    number: u64,
    place: Option<Place>,
}

/// Where a future waits.
struct Place {
    crowd: Arc<Crowd>,
    bridge: Arc<Bridge>,
    /// The process that it waits in, among its own forks.
    maker: u32,
}

/// Futures that wait for one condition.
pub(super) struct Crowd {
    item: Box<dyn Waitable + Send + Sync>,
    key: Key,
    line: Mutex<Line>,
}

struct Line {
    /// Who is to be woken, by numbers: the lowest came first.
    waiting: BTreeMap<u64, Waker>,
    called: Option<Called>,
}

/// Who has the call, and until when nobody else is woken.
struct Called {
    number: u64,
    until: Deadline,
}

impl TaskWait {
    /// A wait that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { number: 0, place: None }
    }

    /// Has the task of `cx` woken when the item is ready. Never blocks.
    ///
    /// To be called after an attempt has failed; again after each further one, with the context of that
    /// poll. `key` names the condition: whoever gives the same key in this process at the same time
    /// must wait for the same condition, and one item, made by the first of them, stands for all. An
    /// address that the item keeps from being used otherwise will do, with a number beside it.
    ///
    /// The item is kept until nobody waits any more, and a moment longer: it must not hold anything
    /// open that the end of the wait is to close. When it is ready the attempt should as a rule succeed, as
    /// the task is woken again and again otherwise.
    ///
    /// An item that panics as it is looked at counts as ready.
    ///
    /// If the process cannot have the thread that this needs, the task is woken at once, and so
    /// polls without rest until it can.
    pub fn stay<W>(&mut self, cx: &Context<'_>, key: (usize, u64), item: impl FnOnce() -> W)
    where
        W: Waitable + Send + Sync + 'static,
    {
        let mut waker = cx.waker().clone();
        let number = self.number;
        if let Some(place) = self.own_place() {
            if place.crowd.key == key {
                let Some(again) = place.crowd.stay(number, waker) else { return };
                waker = again;
            }
            self.leave();
        }
        if self.number == 0 {
            static NUMBERS: AtomicU64 = AtomicU64::new(0);
            self.number = NUMBERS.fetch_add(1, Relaxed) + 1;
        }
        self.enter(waker, key, item);
    }

    fn enter<W>(&mut self, waker: Waker, key: Key, item: impl FnOnce() -> W)
    where
        W: Waitable + Send + Sync + 'static,
    {
        let number = self.number;
        // Made without locks, as it may be anybody's code. As a rule it is the one that is used.
        let made = Arc::new(Crowd::new(Box::new(item()), key));
        match Bridge::join(&made, number, waker) {
            Ok((crowd, bridge)) => {
                self.place = Some(Place { crowd, bridge, maker: fork::incarnation() });
            }
            Err(_no_threads) => made.call(),
        }
    }

    /// Ends the wait. If the task was woken and another future waits for the same, it is that one's turn.
    /// Never blocks.
    pub fn leave(&mut self) {
        if self.own_place().is_none() {
            return;
        }
        let Some(place) = self.place.take() else { return };
        if place.crowd.leave(self.number) {
            place.bridge.change();
        }
    }

    /// Where it waits in this process. What a forked child inherited is forgotten: see `bridge`.
    fn own_place(&mut self) -> Option<&Place> {
        if self.place.as_ref().is_some_and(|place| place.maker != fork::incarnation()) {
            mem::forget(self.place.take());
        }
        self.place.as_ref()
    }
}

impl Drop for TaskWait {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for TaskWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWait")
            .field("number", &self.number)
            .field("waits", &self.place.is_some())
            .finish()
    }
}

impl Crowd {
    fn new(item: Box<dyn Waitable + Send + Sync>, key: Key) -> Self {
        let line = Mutex::new(Line { waiting: BTreeMap::new(), called: None });
        Self { item, key, line }
    }

    pub(super) fn item(&self) -> &dyn Waitable {
        &*self.item
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    pub(super) fn is_over(&self) -> bool {
        self.line.lock().waiting.is_empty()
    }

    pub(super) fn due(&self) -> Due {
        let line = self.line.lock();
        if line.waiting.is_empty() {
            return Due::Over;
        }
        match &line.called {
            Some(called) if !called.until.has_passed() => Due::Later(Some(called.until)),
            _ => Due::Now,
        }
    }

    /// Wakes the first in line, which has the call then.
    pub(super) fn call(&self) {
        let mut line = self.line.lock();
        let Some((number, waker)) = line.waiting.pop_first() else { return };
        line.called = Some(Called { number, until: Deadline::after(PATIENCE) });
        drop(line);
        // A bridge serves others too, who would wait for ever if somebody's waker ended it.
        guarded(|| waker.wake());
    }

    /// Puts into line who is not in it.
    pub(super) fn enter(&self, number: u64, waker: Waker) {
        self.line.lock().waiting.insert(number, waker);
    }

    /// Has another waker in the place of the one in line; gives it back if there is none.
    fn stay(&self, number: u64, waker: Waker) -> Option<Waker> {
        let mut line = self.line.lock();
        let Some(place) = line.waiting.get_mut(&number) else { return Some(waker) };
        let old = mem::replace(place, waker);
        drop(line);
        drop(old);
        None
    }

    /// Takes a future out of line, or its answer; whether the bridge is to look.
    fn leave(&self, number: u64) -> bool {
        let mut line = self.line.lock();
        let waker = line.waiting.remove(&number);
        let look = if waker.is_some() {
            // The bridge still waits for the item, which costs those who make it ready a call.
            line.waiting.is_empty()
        } else if line.called.as_ref().is_some_and(|called| called.number == number) {
            line.called = None;
            !line.waiting.is_empty()
        } else {
            // Another was called since.
            false
        };
        drop(line);
        drop(waker);
        look
    }
}
