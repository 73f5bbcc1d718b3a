//! The sweep swept: a small crash-safe cell of its own, sound and with deliberate faults.
//!
//! A sweep that would pass with the recovery taken out is worthless. So there is a primitive here
//! that can be broken at will: sound it must come through green, and with each of its faults the
//! sweep must turn red.
//!
//! # Layout
//! words of 8 bytes: owner's pid, version, futex word, then two copies of four words each.
//!
//! # Operations
//! update: 1. CAS owner 0 -> me, or dead -> me; 2. the words of the copy that is not current;
//! 3. version + 1, which makes that copy the current one (commit); 4. owner -> 0; 5. futex word
//! + 1, and wake.

use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use super::memory::Memory;
use super::report::Row;
use super::run::{Limits, sweep};
use super::scenario::{Finding, Operate, Part, Scenario, Witness};

const OWNER: usize = 0;
const VERSION: usize = 1;
const BELL: usize = 2;
const COPIES: [usize; 2] = [4, 8];
const COPY_WORDS: usize = 4;
const WORDS: usize = 12;
const OLD: u64 = 5;

/// Where a build without optimisation is cut off; one with it is far shorter.
const UNOPTIMISED: u32 = 300;

const FREE: &str = "free";

/// What is wrong with the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: must be green.
    None,
    /// The commit comes before the payload.
    CommitFirst,
    /// A dead owner is never replaced.
    NoRepair,
    /// The effect comes, goes, and comes again.
    Wavers,
    /// The effect never comes.
    NeverCommits,
    /// Sleepers look again only when woken.
    NoSlices,
}

const FAULTS: [Fault; 5] =
    [Fault::CommitFirst, Fault::NoRepair, Fault::Wavers, Fault::NeverCommits, Fault::NoSlices];

/// Sweeps the sound cell and each broken one.
///
/// # Errors
/// A sentence for each that came out in the wrong colour.
pub fn self_test() -> Result<Vec<String>, Vec<String>> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    let sound = sweep_all(Fault::None, &Limits::FULL);
    let limits = Limits { hang: Duration::from_secs(2), failures: 1, ..Limits::FULL };
    for row in &sound {
        if row.is_green() { &mut right } else { &mut wrong }.push(row.to_string());
    }
    for fault in FAULTS {
        // One scenario that sees it is enough: the fault may lie outside what another one does.
        let red = sweep_all(fault, &limits).pop();
        match red.and_then(|row| row.failed.into_iter().next()) {
            Some(why) => right.push(format!("{fault:?} turns the sweep red: {why}")),
            None => wrong.push(format!("{fault:?} was not seen")),
        }
    }
    if wrong.is_empty() { Ok(right) } else { Err(wrong) }
}

type Build = fn(&Cell) -> Scenario;

/// The rows up to the first red one.
fn sweep_all(fault: Fault, limits: &Limits) -> Vec<Row> {
    let build: [(&str, Build); 3] = [
        (FREE, free),
        ("after a death in the same", after_death),
        ("waiter asleep", waiter_asleep),
    ];
    let mut rows = Vec::new();
    for (state, build) in build {
        if rows.last().is_some_and(|row: &Row| !row.is_green()) {
            break;
        }
        // Every instruction of one operation is enough; the others are asked at fewer places.
        let kills = if state == FREE { limits.kills } else { Some(24) };
        match Cell::new(fault) {
            Ok(cell) => {
                let limits = Limits { kills, ..*limits };
                rows.push(sweep("twin update", state, &build(&cell), &limits));
            }
            Err(error) => {
                let mut row = Row::default();
                row.fail(error.to_string());
                rows.push(row);
            }
        }
    }
    rows
}

fn free(cell: &Cell) -> Scenario {
    let (victim, checker) = (cell.clone(), cell.clone());
    Scenario::in_memory(cell.again(), &["old", "new"], victim.part(), move |_| checker.check())
        .every_instruction_up_to(UNOPTIMISED)
}

fn after_death(cell: &Cell) -> Scenario {
    let checker = cell.clone();
    let check = move |_: &Witness| match checker.value()? {
        // The earlier victim's update may have happened or not; only this one's is judged, by the
        // parity of its value.
        value if value % 2 == 0 => checker.check().map(|_| "new"),
        _ => checker.check().map(|_| "old"),
    };
    let earlier: Part = {
        let cell = cell.clone();
        Box::new(move || {
            let cell = cell.clone();
            Box::new(move || cell.update(|old| old + 2)) as Operate
        })
    };
    Scenario::in_memory(cell.again(), &["old", "new"], cell.clone().part(), check)
        .after_death_of(earlier)
}

fn waiter_asleep(cell: &Cell) -> Scenario {
    let (waiter, helper, checker) = (cell.clone(), cell.clone(), cell.clone());
    let check = move |witness: &Witness| match (witness.waiter, witness.helped) {
        (Some(value), true) if value == OLD + 1 => {
            Err("the waiter slept on with its value there".to_owned())
        }
        (_, true) => checker.check().map(|_| "helped"),
        (_, false) => checker.check().map(|_| "woken"),
    };
    Scenario::in_memory(cell.again(), &["helped", "woken"], cell.clone().part(), check)
        .with_waiter_helped(move || waiter.wait_for_change(), move || helper.help())
}

#[derive(Clone, Debug)]
struct Cell {
    memory: Rc<Memory>,
    file: Rc<std::fs::File>,
    fault: Fault,
}

impl Cell {
    fn new(fault: Fault) -> std::io::Result<Self> {
        use std::os::fd::AsFd;
        let file = tempfile::tempfile()?;
        file.set_len(4096)?;
        let memory = Memory::of_file(file.as_fd(), WORDS * 8)?;
        let cell = Self { memory: Rc::new(memory), file: Rc::new(file), fault };
        cell.store(COPIES[0], OLD);
        Ok(cell)
    }

    /// The harness's own view of the same words.
    fn again(&self) -> Memory {
        use std::os::fd::AsFd;
        Memory::of_file(self.file.as_fd(), WORDS * 8).expect("mapped once already")
    }

    fn part(self) -> Part {
        Box::new(move || {
            let cell = self.clone();
            Box::new(move || cell.update(|old| old + 1)) as Operate
        })
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.words()[at]
    }

    fn store(&self, copy: usize, value: u64) {
        for at in 0..COPY_WORDS {
            self.word(copy + at).store(value, Relaxed);
        }
    }

    fn current(&self) -> usize {
        // ORDERING: the cell is its own model of strength, and not of speed.
        COPIES[usize::from(self.word(VERSION).load(SeqCst) % 2 == 1)]
    }

    fn value(&self) -> Result<u64, String> {
        let copy = self.current();
        let words: Vec<u64> =
            (0..COPY_WORDS).map(|at| self.word(copy + at).load(Relaxed)).collect();
        match words.iter().all(|&word| word == words[0]) {
            true => Ok(words[0]),
            false => Err(format!("torn: {words:?}")),
        }
    }

    fn acquire(&self) {
        // SAFETY: takes no argument and touches no memory.
        let me = unsafe { libc::getpid() };
        let me = u64::from(me.unsigned_abs());
        loop {
            // ORDERING: as in `current`.
            match self.word(OWNER).compare_exchange(0, me, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(owner) if self.fault != Fault::NoRepair && !is_alive(owner) => {
                    // ORDERING: as in `current`.
                    if self.word(OWNER).compare_exchange(owner, me, SeqCst, SeqCst).is_ok() {
                        return;
                    }
                }
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        self.acquire();
        let (old, other) = (self.current(), COPIES[0] + COPIES[1] - self.current());
        let new = change(self.word(old).load(Relaxed));
        match self.fault {
            Fault::CommitFirst => {
                self.commit();
                self.store(other, new);
            }
            Fault::NeverCommits => self.store(other, new),
            Fault::Wavers => {
                self.store(other, new);
                (0..3).for_each(|_| self.commit());
            }
            _ => {
                self.store(other, new);
                self.commit();
            }
        }
        // ORDERING: as in `current`.
        self.word(OWNER).store(0, SeqCst);
        self.ring();
    }

    /// What the victim should have done, unless it has.
    fn help(&self) {
        self.update(|old| if old == OLD { OLD + 3 } else { old });
    }

    fn commit(&self) {
        // commit: the other copy is the current one from here on.
        // ORDERING: as in `current`.
        self.word(VERSION).fetch_add(1, SeqCst);
    }

    fn bell(&self) -> *const AtomicU32 {
        std::ptr::from_ref(self.word(BELL)).cast()
    }

    fn ring(&self) {
        // ORDERING: as in `current`.
        self.word(BELL).fetch_add(1, SeqCst);
        // SAFETY: the word is mapped as long as `self` lives, and the call reads no other memory.
        unsafe { libc::syscall(libc::SYS_futex, self.bell(), libc::FUTEX_WAKE, i32::MAX) };
    }

    fn wait_for_change(&self) -> u64 {
        let slice = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        let slice: *const libc::timespec =
            if self.fault == Fault::NoSlices { std::ptr::null() } else { &raw const slice };
        loop {
            // ORDERING: as in `current`.
            let heard = self.word(BELL).load(SeqCst);
            match self.value() {
                Ok(OLD) => {}
                Ok(value) => return value,
                Err(_) => return u64::MAX,
            }
            // The word's low half, where the futex looks.
            #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
            let heard = heard as u32;
            // SAFETY: word and slice outlive the call.
            unsafe { libc::syscall(libc::SYS_futex, self.bell(), libc::FUTEX_WAIT, heard, slice) };
        }
    }

    /// Two more updates go through, and the value is whole throughout.
    fn check(&self) -> Finding {
        let found = self.value()?;
        for step in 1..=2 {
            self.update(|old| old + 10);
            let value = self.value()?;
            if value != found + 10 * step {
                return Err(format!("{found} and {step} updates give {value}"));
            }
        }
        Ok(if found == OLD { "old" } else { "new" })
    }
}

fn is_alive(pid: u64) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 only asks.
    unsafe { libc::kill(pid, 0) == 0 }
}
