//! A descriptor for something that can be waited for: for event loops that know `epoll` or `poll`.
//!
//! Futexes and descriptors are two worlds. Between them stands a thread of this process, the
//! *bridge*: it waits for all that descriptors were asked for with one
//! [`wait_any_deadline`](super::wait_any_deadline), and raises the descriptor (an `eventfd`) of what
//! is ready. It is started with the first descriptor and ends with the last; who asks for none pays
//! nothing. A bridge has room for [`ROOM`]; further ones get another bridge.
//!
//! # States of a descriptor
//!
//! - *armed*: the bridge waits for it. The descriptor is down.
//! - *up*: the thing was ready. The bridge leaves it alone, so that a thing that stays ready costs
//!   nothing, until [`WaitFd::rearm`] takes the descriptor down and arms it again.
//!
//! The bridge disarms before it raises, and `rearm` takes down before it arms: so a descriptor is
//! never down and disarmed at rest. (It may be up and armed, after a race: a look in vain.)

use core::fmt;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;

use crossproc_sys::eventfd::EventFd;
use crossproc_sys::{fork, futex, process};
use parking_lot::Mutex;

use super::any::{Source, Waitable, wait_any_deadline};
use super::block::Look;

/// Things that one bridge waits for: below what `futex_waitv` takes, if each were in a segment of
/// its own.
const ROOM: usize = 60;

/// The bridges of this process, and which incarnation of it they belong to: a forked child has no
/// bridge.
static BRIDGES: Mutex<Bridges> = Mutex::new(Bridges { incarnation: 0, all: Vec::new() });

struct Bridges {
    incarnation: u32,
    all: Vec<Arc<Bridge>>,
}

struct Bridge {
    /// Goes up with each change of what is to be waited for; the thread sleeps on it too.
    changes: AtomicU32,
    waits: Mutex<Vec<Arc<Wait>>>,
}

struct Wait {
    item: Box<dyn Waitable + Send + Sync>,
    flag: EventFd,
    is_armed: AtomicBool,
}

/// A descriptor that can be read, as far as `epoll`, `poll` and `select` are concerned, while
/// something is ready. Made for one thing with [`WaitFd::new`].
///
/// It costs a descriptor, and the process one thread for up to 60 of them. Do not read from it:
/// when it is reported, do what it stands for by the `try_` form until that would block, then
/// [`rearm`](Self::rearm). A process needs no such thing: its handle has a descriptor of its own.
///
/// A forked child must not use its copy: the thread is the parent's.
///
/// # Examples
///
/// ```no_run
/// use crossproc_segment::wait::{WaitFd, Waitable};
///
/// fn event_loop(queue: impl Waitable + Send + Sync + 'static) -> std::io::Result<()> {
///     let fd = WaitFd::new(queue)?;
///     // Give `fd` to epoll, for input. When it is reported: take all that is there, then
///     fd.rearm();
///     Ok(())
/// }
/// ```
pub struct WaitFd {
    wait: Arc<Wait>,
    bridge: Arc<Bridge>,
    /// The process that made it, among its own forks.
    maker: u32,
}

impl WaitFd {
    /// A descriptor for `item`, armed: a clone of a handle, which it keeps.
    ///
    /// # Errors
    ///
    /// No descriptors or threads left.
    pub fn new(item: impl Waitable + Send + Sync + 'static) -> io::Result<Self> {
        let wait = Arc::new(Wait {
            item: Box::new(item),
            flag: EventFd::new()?,
            is_armed: AtomicBool::new(true),
        });
        // A child that is forked meanwhile must not find the list of bridges locked.
        let bridge = fork::without_fork(|| Bridge::with_room(&wait))?;
        Ok(Self { wait, bridge, maker: fork::incarnation() })
    }

    /// Takes the descriptor down until the thing is ready again: at once if it still is. Never
    /// blocks. Does nothing in a forked child.
    pub fn rearm(&self) {
        if self.is_inherited() {
            return;
        }
        let _ = self.wait.flag.clear();
        // ORDERING: release side of the swap in `Bridge::raise`; only the bridge looks.
        self.wait.is_armed.store(true, Release);
        self.bridge.change();
    }
}

impl WaitFd {
    /// Whether this is a forked copy, whose bridge is the parent's, perhaps caught with its list
    /// locked.
    fn is_inherited(&self) -> bool {
        self.maker != fork::incarnation()
    }
}

impl Drop for WaitFd {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        self.bridge.waits.lock().retain(|wait| !Arc::ptr_eq(wait, &self.wait));
        self.bridge.change();
    }
}

impl AsFd for WaitFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wait.flag.as_fd()
    }
}

impl fmt::Debug for WaitFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFd")
            .field("fd", &self.wait.flag)
            .field("is_armed", &self.wait.is_armed.load(Relaxed))
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Gives `wait` to a bridge that has room, or to a new one.
    fn with_room(wait: &Arc<Wait>) -> io::Result<Arc<Self>> {
        let mut bridges = BRIDGES.lock();
        if bridges.incarnation != fork::incarnation() {
            // The parent's threads are not here.
            bridges.all.clear();
            bridges.incarnation = fork::incarnation();
        }
        for bridge in &bridges.all {
            let mut waits = bridge.waits.lock();
            if waits.len() < ROOM {
                waits.push(Arc::clone(wait));
                drop(waits);
                bridge.change();
                return Ok(Arc::clone(bridge));
            }
        }
        let waits = Mutex::new(vec![Arc::clone(wait)]);
        let bridge = Arc::new(Self { changes: AtomicU32::new(0), waits });
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

    fn change(&self) {
        // ORDERING: release side of the load in `run`: what changed comes before.
        self.changes.fetch_add(1, AcqRel);
        futex::wake(&self.changes, 1);
    }

    fn run(self: &Arc<Self>) {
        loop {
            // ORDERING: acquire side of `change`; read before all that it tells of, the end as well.
            let change = Change { of: &self.changes, seen: self.changes.load(Acquire) };
            if self.is_over() {
                return;
            }
            let armed: Vec<Arc<Wait>> = {
                let waits = self.waits.lock();
                // ORDERING: acquire side of the store in `rearm`.
                waits.iter().filter(|wait| wait.is_armed.load(Acquire)).cloned().collect()
            };
            let items = armed.iter().map(|wait| &*wait.item as &dyn Waitable);
            let items: Vec<&dyn Waitable> = items.chain([&change as &dyn Waitable]).collect();
            // Too many are never given.
            let ready = wait_any_deadline(&items, None).unwrap_or_default();
            ready.into_iter().filter_map(|index| armed.get(index)).for_each(|wait| wait.raise());
        }
    }

    /// Whether nothing is left to be waited for; then no more will come, either.
    fn is_over(self: &Arc<Self>) -> bool {
        fork::without_fork(|| {
            let mut bridges = BRIDGES.lock();
            let is_over = self.waits.lock().is_empty();
            if is_over {
                bridges.all.retain(|bridge| !Arc::ptr_eq(bridge, self));
            }
            is_over
        })
    }
}

/// Takes a bridge out of the list when its thread ends, also by a panic of what it looked at.
struct End(Arc<Bridge>);

impl Drop for End {
    fn drop(&mut self) {
        fork::without_fork(|| {
            BRIDGES.lock().all.retain(|bridge| !Arc::ptr_eq(bridge, &self.0));
        });
    }
}

impl Wait {
    fn raise(&self) {
        // Before the flag goes up: a `rearm` in between would else be undone.
        self.is_armed.store(false, Relaxed);
        self.flag.raise();
    }
}

/// That there is something else to be waited for.
struct Change<'a> {
    of: &'a AtomicU32,
    seen: u32,
}

impl Waitable for Change<'_> {
    fn is_ready(&self, _look: Look) -> bool {
        // ORDERING: acquire side of `change`.
        self.of.load(Acquire) != self.seen
    }

    fn source(&self) -> Source<'_> {
        Source::Local(self.of, self.seen)
    }
}
