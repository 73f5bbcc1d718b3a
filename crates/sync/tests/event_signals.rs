//! Signal handlers that use the event they interrupt.
//!
//! On x86-64 with the trap flag on, the handler runs after every single instruction: so an
//! operation is interrupted at each place where a signal can arrive.
#![cfg(not(crossproc_loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicU64};

use crossproc_sync::Event;

/// The event that the handlers reach.
static EVENT: OnceLock<Event> = OnceLock::new();

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}

/// Allocations in a handler.
static ALLOCATED: AtomicU32 = AtomicU32::new(0);

/// Counts what a handler allocates.
struct Counting;

// SAFETY: the system's, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(u32::from(IN_HANDLER.get()), SeqCst);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_add(u32::from(IN_HANDLER.get()), SeqCst);
        // SAFETY: passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn event() -> &'static Event {
    EVENT.get_or_init(|| Event::new().expect("room for an event"))
}

/// What every handler of this file is: `work`, told of and with `errno` compared.
fn handler(work: impl FnOnce(&Event)) {
    const MARK: i32 = 4711;
    let Some(event) = EVENT.get() else { return };
    IN_HANDLER.set(true);
    // SAFETY: the calling thread's own.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.replace(MARK) };
    work(event);
    // SAFETY: as above.
    let after = unsafe { errno.replace(before) };
    ERRNO_CHANGED.fetch_add(u32::from(after != MARK), SeqCst);
    HANDLED.fetch_add(1, SeqCst);
    IN_HANDLER.set(false);
}

static HANDLED: AtomicU32 = AtomicU32::new(0);
static ERRNO_CHANGED: AtomicU32 = AtomicU32::new(0);

fn nothing_went_wrong() {
    assert_eq!(ERRNO_CHANGED.load(SeqCst), 0, "errno changed in a handler");
    assert_eq!(ALLOCATED.load(SeqCst), 0, "allocated in a handler");
}

/// `handler` is a function of one argument, or of three with `SA_SIGINFO`.
fn install(signal: i32, handler: *const (), flags: i32) {
    // SAFETY: zeroes are a valid, empty action.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler.expose_provenance();
    action.sa_flags = flags;
    // SAFETY: the action is whole, and its handler does only what is allowed in one: the subject.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

/// The event belongs to one test at a time.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn a_handler_sets_what_its_own_thread_waits_for() {
    extern "C" fn set(_: i32) {
        handler(Event::set);
    }
    static WAITER: AtomicU64 = AtomicU64::new(0);
    let _alone = alone();
    let event = event();
    install(libc::SIGUSR1, set as *const (), 0);
    let before = HANDLED.load(SeqCst);
    for _ in 0..200 {
        event.clear();
        let waiter = thread::spawn(|| {
            // SAFETY: a question about the calling thread.
            WAITER.store(unsafe { libc::pthread_self() }, SeqCst);
            self::event().wait();
        });
        while !format!("{event:?}").contains("with waiters") {
            thread::yield_now();
        }
        // SAFETY: the thread was not joined yet.
        assert_eq!(unsafe { libc::pthread_kill(WAITER.load(SeqCst), libc::SIGUSR1) }, 0);
        waiter.join().unwrap();
    }
    assert_eq!(HANDLED.load(SeqCst), before + 200);
    nothing_went_wrong();
}

#[cfg(target_arch = "x86_64")]
mod stepped {
    //! The handler of SIGTRAP counts instructions, and acts after one of them.

    use core::arch::asm;

    use super::*;

    const SET: u32 = 0;
    const CLEAR: u32 = 1;

    static STEPS: AtomicU32 = AtomicU32::new(0);
    static ACT_AT: AtomicU32 = AtomicU32::new(0);
    static ACT: AtomicU32 = AtomicU32::new(SET);

    extern "C" fn trapped(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        const TRAP_FLAG: i64 = 0x100;
        if STEPS.fetch_add(1, SeqCst) == ACT_AT.load(SeqCst) {
            match ACT.load(SeqCst) {
                SET => handler(Event::set),
                _ => handler(Event::clear),
            }
            // The rest runs on unwatched.
            // SAFETY: the kernel hands the handler the interrupted thread's registers.
            let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        }
    }

    /// Does `work` with `act` after its `k`th instruction. Returns how many there were up to then.
    fn interrupted(act: u32, k: u32, work: impl FnOnce(&Event)) -> u32 {
        let event = event();
        ACT.store(act, SeqCst);
        ACT_AT.store(k, SeqCst);
        STEPS.store(0, SeqCst);
        // SAFETY: changes the trap flag only; SIGTRAP has a handler.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        work(event);
        // SAFETY: as above, back again.
        unsafe { asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
        STEPS.load(SeqCst)
    }

    /// Interrupts `work` after each of its instructions, from the state that `prepare` makes, and
    /// has `judge` look at the event.
    fn everywhere(
        act: u32,
        prepare: fn(&Event),
        work: fn(&Event),
        mut judge: impl FnMut(&Event, u32),
    ) -> u32 {
        install(libc::SIGTRAP, trapped as *const (), libc::SA_SIGINFO);
        let event = event();
        let mut k = 0;
        loop {
            prepare(event);
            let handled = HANDLED.load(SeqCst);
            let steps = interrupted(act, k, work);
            if HANDLED.load(SeqCst) == handled {
                return steps;
            }
            judge(event, k);
            k += 1;
        }
    }

    /// Whether the event is set after each k, as it must be: the same up to some k, then the other.
    fn turns_once(from: bool, act: u32, prepare: fn(&Event), work: fn(&Event)) {
        let mut found = Vec::new();
        let steps = everywhere(act, prepare, work, |event, _| found.push(event.is_set()));
        assert!(steps > 4, "{steps} instructions are no operation");
        let turn = found.iter().position(|set| *set != from).expect("it matters which came last");
        assert!(turn > 0 && found[turn..].iter().all(|set| *set != from), "{found:?}");
    }

    #[test]
    fn a_set_and_a_clear_between_any_two_instructions_of_the_other_come_before_or_after_it() {
        let _alone = alone();
        turns_once(true, CLEAR, Event::clear, Event::set);
        turns_once(true, CLEAR, Event::set, Event::set);
        turns_once(false, SET, Event::set, Event::clear);
        turns_once(false, SET, Event::clear, Event::clear);
        nothing_went_wrong();
    }

    #[test]
    fn a_set_within_a_set_is_a_set() {
        let _alone = alone();
        everywhere(SET, Event::clear, Event::set, |event, k| assert!(event.is_set(), "k = {k}"));
        everywhere(CLEAR, Event::set, Event::clear, |event, k| assert!(!event.is_set(), "k = {k}"));
        nothing_went_wrong();
    }

    #[test]
    fn a_set_of_which_others_must_be_told_tells_them_wherever_it_is_interrupted() {
        /// Clear, and somebody waits.
        fn waited_for(event: &Event) {
            event.clear();
            WAITING.lock().unwrap().push(thread::spawn(|| self::event().wait()));
            while !format!("{event:?}").contains("with waiters") {
                thread::yield_now();
            }
        }
        static WAITING: std::sync::Mutex<Vec<thread::JoinHandle<()>>> =
            std::sync::Mutex::new(Vec::new());
        let _alone = alone();
        for act in [SET, CLEAR] {
            everywhere(act, waited_for, Event::set, |_, _| {
                // Before the clear or after it: the waiter's set has come.
                WAITING.lock().unwrap().pop().unwrap().join().unwrap();
            });
            // The one of the run that was not interrupted any more.
            WAITING.lock().unwrap().pop().unwrap().join().unwrap();
        }
        nothing_went_wrong();
    }

    #[test]
    fn a_wait_is_let_through_by_a_set_after_any_of_its_instructions() {
        let _alone = alone();
        // On one processor nobody spins, which would be ten thousand instructions.
        crossproc_sys::process::pin(0).unwrap();
        let event = event();
        install(libc::SIGTRAP, trapped as *const (), libc::SA_SIGINFO);
        let mut k = 0;
        loop {
            event.clear();
            let handled = HANDLED.load(SeqCst);
            // Ends by itself only where the handler never came.
            // Another handle to it has not learnt to spin from the other tests.
            let same = event.clone();
            let steps = interrupted(SET, k, |_| {
                let _ = same.wait_timeout(Duration::from_millis(1));
            });
            if HANDLED.load(SeqCst) == handled {
                assert!(steps > 200, "{steps} instructions do not come to sleep");
                break;
            }
            assert!(event.is_set(), "k = {k}");
            k += if k < 100 { 1 } else { 31 };
        }
        nothing_went_wrong();
    }
}
