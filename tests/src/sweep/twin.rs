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
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::report::{Form, Row};
use super::run::{Limits, sweep};
use super::scenario::{Finding, Part, Scenario, Witness, part};

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
    /// Whoever takes over from the dead leaves a word for a moment that names nobody.
    UnsignedRepair,
    /// The old value is read before the cell is one's own.
    ReadsEarly,
    /// Who is stopped is taken for dead.
    StoppedIsDead,
}

/// Each fault, and the form that has to see it.
const FAULTS: [(Fault, Form); 8] = [
    (Fault::CommitFirst, Form::Kill),
    (Fault::NoRepair, Form::Kill),
    (Fault::Wavers, Form::Kill),
    (Fault::NeverCommits, Form::Kill),
    (Fault::NoSlices, Form::Kill),
    (Fault::UnsignedRepair, Form::Double),
    (Fault::ReadsEarly, Form::Interleave),
    (Fault::StoppedIsDead, Form::Stop),
];

/// An owner that is nobody, and so never found dead.
const NOBODY: u64 = u64::MAX;
/// What the other process adds while the victim stands still.
const OTHER: u64 = 10;
/// The victim was in its way, and it did nothing.
const REFUSED: u64 = 0;

/// Sweeps the sound cell and each broken one.
///
/// # Errors
/// A sentence for each that came out in the wrong colour.
pub fn self_test() -> Result<Vec<String>, Vec<String>> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    let sound = Form::ALL.iter().flat_map(|&form| sweep_all(Fault::None, form, &Limits::FULL));
    for row in sound {
        if row.is_green() { &mut right } else { &mut wrong }.push(row.to_string());
    }
    let limits = Limits { hang: Duration::from_secs(2), failures: 1, ..Limits::FULL };
    for (fault, form) in FAULTS {
        // One scenario that sees it is enough: the fault may lie outside what another one does.
        let red = sweep_all(fault, form, &limits).pop();
        match red.and_then(|row| row.failed.into_iter().next()) {
            Some(why) => right.push(format!("{fault:?} turns the form {form} red: {why}")),
            None => wrong.push(format!("{fault:?} was not seen by the form {form}")),
        }
    }
    if wrong.is_empty() { Ok(right) } else { Err(wrong) }
}

type Build = fn(&Cell) -> Scenario;

/// The rows up to the first red one.
fn sweep_all(fault: Fault, form: Form, limits: &Limits) -> Vec<Row> {
    let build: [(&str, Build); 3] = [
        (FREE, free),
        ("after a death in the same", after_death),
        ("waiter asleep", waiter_asleep),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (state, build) in build {
        if rows.last().is_some_and(|row| !row.is_green()) {
            break;
        }
        // Every instruction of one operation is enough; the others are asked at fewer places.
        let kills = if state == FREE { limits.kills } else { Some(24) };
        match Cell::new(fault) {
            Ok(cell) => {
                let limits = Limits { kills, ..*limits };
                rows.extend(sweep("twin update", state, &build(&cell), form, &limits));
            }
            Err(error) => {
                rows.push(Row::not_swept("twin update", state, form, error.to_string()));
            }
        }
    }
    rows
}

fn free(cell: &Cell) -> Scenario {
    let (victim, checker) = (cell.clone(), cell.clone());
    Scenario::in_memory(cell.again(), &["old", "new"], victim.part(), move |_| checker.check())
        .every_instruction_up_to(UNOPTIMISED)
        .meanwhile("an update", &["before", "refused", "behind"], other(cell), beside(cell))
}

/// One update within its time, which tells what it met.
fn other(cell: &Cell) -> impl Fn(Duration) -> Result<u64, String> + 'static {
    let cell = cell.clone();
    move |patience| {
        let mut met = REFUSED;
        cell.update_until(Some(Instant::now() + patience), |old| {
            met = old;
            old + OTHER
        });
        Ok(met)
    }
}

/// Both updates are there, or the victim's alone where the other was refused.
fn beside(cell: &Cell) -> impl Fn(&Witness) -> Finding + 'static {
    let cell = cell.clone();
    move |witness| {
        let (outcome, due) = match witness.meanwhile {
            Some(OLD) => ("before", OLD + OTHER + 1),
            Some(REFUSED) => ("refused", OLD + 1),
            Some(met) if met == OLD + 1 => ("behind", OLD + OTHER + 1),
            met => return Err(format!("the other met {met:?}")),
        };
        match cell.value()? {
            found if found == due => cell.check().map(|_| outcome),
            found => Err(format!("{outcome}, and the value is {found} instead of {due}")),
        }
    }
}

fn after_death(cell: &Cell) -> Scenario {
    let checker = cell.clone();
    let check = move |_: &Witness| match checker.value()? {
        // The earlier victim's update may have happened or not; only this one's is judged, by the
        // parity of its value.
        value if value % 2 == 0 => checker.check().map(|_| "new"),
        _ => checker.check().map(|_| "old"),
    };
    let earlier = {
        let cell = cell.clone();
        part(move || {
            let cell = cell.clone();
            move || cell.update(|old| old + 2)
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
        part(move || {
            let cell = self.clone();
            move || cell.update(|old| old + 1)
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

    /// False where it did not become this process's own in time.
    fn acquire(&self, until: Option<Instant>) -> bool {
        // SAFETY: takes no argument and touches no memory.
        let me = unsafe { libc::getpid() };
        let me = u64::from(me.unsigned_abs());
        loop {
            // ORDERING: as in `current`.
            match self.word(OWNER).compare_exchange(0, me, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(owner) if self.fault != Fault::NoRepair && !self.is_alive(owner) => {
                    if self.take_over(owner, me) {
                        return true;
                    }
                }
                Err(_) if until.is_some_and(|until| Instant::now() > until) => return false,
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn take_over(&self, dead: u64, me: u64) -> bool {
        let mut from = dead;
        if self.fault == Fault::UnsignedRepair {
            // ORDERING: as in `current`.
            if self.word(OWNER).compare_exchange(dead, NOBODY, SeqCst, SeqCst).is_err() {
                return false;
            }
            from = NOBODY;
        }
        // ORDERING: as in `current`.
        self.word(OWNER).compare_exchange(from, me, SeqCst, SeqCst).is_ok()
    }

    fn is_alive(&self, owner: u64) -> bool {
        owner == NOBODY
            || is_alive(owner) && !(self.fault == Fault::StoppedIsDead && is_stopped(owner))
    }

    fn update(&self, change: impl FnMut(u64) -> u64) {
        self.update_until(None, change);
    }

    fn update_until(&self, until: Option<Instant>, mut change: impl FnMut(u64) -> u64) {
        let early = self.word(self.current()).load(Relaxed);
        if !self.acquire(until) {
            return;
        }
        let (old, other) = (self.current(), COPIES[0] + COPIES[1] - self.current());
        let old = self.word(old).load(Relaxed);
        let new = change(if self.fault == Fault::ReadsEarly { early } else { old });
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

/// Stopped by a signal, not by whoever traces it.
fn is_stopped(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}
