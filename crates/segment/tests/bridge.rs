//! Items of any make, before the thread that waits for them on behalf of futures and descriptors.
#![cfg(not(crossproc_loom))]

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;
use std::time::Duration;

use crossproc_segment::wait::{Look, Source, TaskWait, WaitFd, Waitable};
use crossproc_sys::clock::Deadline;
use crossproc_sys::{futex, poll};

/// Longer than anything here takes: what has not come by then never comes.
const LONG: Duration = Duration::from_secs(60);

/// A waker that can be asked whether it was woken.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(1, SeqCst);
        futex::wake(&self.0, 1);
    }
}

impl Bell {
    /// Waits until it was woken, and makes it ready for the next time.
    fn until_woken(&self) {
        let until = Deadline::after(LONG);
        while self.0.swap(0, SeqCst) == 0 {
            assert!(!until.has_passed(), "woken by nobody");
            let _look_again = futex::wait(&self.0, 0, Some(until));
        }
    }
}

/// Ready once its word is 1.
#[derive(Clone, Default)]
struct Item(Arc<AtomicU32>);

impl Item {
    fn make_ready(&self) {
        self.0.store(1, SeqCst);
        futex::wake(&self.0, 1);
    }

    fn key(&self) -> (usize, u64) {
        (Arc::as_ptr(&self.0).addr(), 0)
    }
}

impl Waitable for Item {
    fn is_ready(&self, _look: Look) -> bool {
        self.0.load(SeqCst) == 1
    }

    fn source(&self) -> Source<'_> {
        Source::Local(&self.0, 0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Look,
    Source,
    /// When it is dropped by the bridge, which looks once the gate is open.
    Drop,
}

/// Has that fault.
struct Faulty {
    item: Item,
    fault: Fault,
    looked: mpsc::SyncSender<()>,
    gate: Item,
}

fn is_bridge() -> bool {
    thread::current().name().is_some_and(|name| name.starts_with("crossproc-bridge"))
}

impl Waitable for Faulty {
    fn is_ready(&self, look: Look) -> bool {
        assert!(self.fault != Fault::Look, "a fault of this test's");
        if self.fault == Fault::Drop && self.looked.try_send(()).is_ok() {
            while !self.gate.is_ready(look) {
                thread::yield_now();
            }
        }
        self.item.is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        assert!(self.fault != Fault::Source, "a fault of this test's");
        self.item.source()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        assert!(self.fault != Fault::Drop || !is_bridge(), "a fault of this test's");
    }
}

/// Has a future wait for an item on the bridge that all tests here share, as does `other`; then shows
/// that it still is served.
fn serves_others_meanwhile(other: impl FnOnce()) {
    let (item, bell, mut wait) = (Item::default(), Arc::<Bell>::default(), TaskWait::new());
    let waker = Waker::from(Arc::clone(&bell));
    wait.stay(&Context::from_waker(&waker), item.key(), || item.clone());
    other();
    item.make_ready();
    bell.until_woken();
}

fn faulty(fault: Fault) -> (Faulty, mpsc::Receiver<()>) {
    let (looked, has_looked) = mpsc::sync_channel(1);
    (Faulty { item: Item::default(), fault, looked, gate: Item::default() }, has_looked)
}

#[test]
fn an_item_that_panics_is_told_to_its_future_again_and_again_and_others_are_served() {
    for fault in [Fault::Look, Fault::Source] {
        serves_others_meanwhile(|| {
            let (bell, mut wait) = (Arc::<Bell>::default(), TaskWait::new());
            let waker = Waker::from(Arc::clone(&bell));
            let key = (Arc::as_ptr(&bell).addr(), 0);
            for _ in 0..3 {
                wait.stay(&Context::from_waker(&waker), key, || faulty(fault).0);
                bell.until_woken();
            }
        });
    }
}

#[test]
fn an_item_that_panics_raises_its_descriptor_again_and_again_and_others_are_served() {
    for fault in [Fault::Look, Fault::Source] {
        serves_others_meanwhile(|| {
            let fd = WaitFd::new(faulty(fault).0).unwrap();
            for _ in 0..3 {
                assert!(poll::readable(&fd, Some(Deadline::after(LONG))).unwrap());
                fd.rearm();
            }
        });
    }
}

#[test]
fn an_item_that_panics_as_the_bridge_drops_it_ends_nobodys_wait() {
    serves_others_meanwhile(|| {
        let (item, has_looked) = faulty(Fault::Drop);
        let gate = item.gate.clone();
        let fd = WaitFd::new(item).unwrap();
        has_looked.recv_timeout(LONG).unwrap();
        // The bridge is in the item now, which is so left to it alone.
        drop(fd);
        gate.make_ready();
    });
}

/// An item that, dropped, has a task wait for another.
struct Nosy(Item, mpsc::Sender<TaskWait>);

impl Waitable for Nosy {
    fn is_ready(&self, look: Look) -> bool {
        self.0.is_ready(look)
    }

    fn source(&self) -> Source<'_> {
        self.0.source()
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        let _ = self.1.send(waits());
    }
}

/// A task that waits for an item of its own.
fn waits() -> TaskWait {
    let (mut wait, item) = (TaskWait::new(), Item::default());
    wait.stay(&Context::from_waker(Waker::noop()), item.key(), || item);
    wait
}

/// A waker that, cloned or dropped, has a task wait for a moment.
static NOSY: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);

fn clone(_: *const ()) -> RawWaker {
    drop(waits());
    RawWaker::new(ptr::null(), &NOSY)
}

fn nothing(_: *const ()) {
    drop(waits());
}

#[test]
fn an_item_that_is_not_needed_may_use_a_bridge_as_it_is_dropped() {
    let (dropped, has_dropped) = mpsc::channel();
    let item = Item::default();
    // Apart, as it would never come back if a lock were held.
    thread::spawn(move || {
        let mut waits = [TaskWait::new(), TaskWait::new()];
        for wait in &mut waits {
            let nosy = || Nosy(item.clone(), dropped.clone());
            wait.stay(&Context::from_waker(Waker::noop()), item.key(), nosy);
        }
    });
    // That of the second, for which the first one's stands.
    drop(has_dropped.recv_timeout(LONG).unwrap());
}

#[test]
fn a_waker_may_use_a_bridge_as_it_is_cloned_and_dropped() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        // SAFETY: the functions take any data, and may be called by any thread.
        let waker = unsafe { Waker::from_raw(clone(ptr::null())) };
        let (item, mut waits) = (Item::default(), [TaskWait::new(), TaskWait::new()]);
        for _twice in 0..2 {
            for wait in &mut waits {
                wait.stay(&Context::from_waker(&waker), item.key(), || item.clone());
            }
        }
        drop(waits);
        let _ = done.send(());
    });
    is_done.recv_timeout(LONG).unwrap();
}
