//! The lock with many readers or one writer: read, written, left, taken over from the dead.
//!
//! What it guards is a pair of words that are equal whenever nobody writes. A writing victim makes
//! both one larger; survivors, reading and writing, find them equal unless they were told of a
//! death. Then every place can be had again, and none more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crossproc::{ReadGuard, RwLock, WriteGuard};
use crossproc_segment::{Object, Segment, Shape};
use crossproc_sync::{LockError, TryLockError};

use super::{Entry, stage, text};
use crate::sweep::memory::Memory;
use crate::sweep::scenario::{Finding, Operate, Part, Scenario, Witness, part, telling};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("rwlock write + unlock", "free", free),
    Entry::new("rwlock try_write + unlock", "free", free_try),
    Entry::new("rwlock write_timeout + unlock", "free", free_timeout),
    Entry::new("rwlock read + unlock", "free", read_free),
    Entry::new("rwlock try_read + unlock", "free", read_free_try),
    Entry::new("rwlock read twice + unlock twice", "free", read_twice),
    Entry::new("rwlock write + unlock", "dead reader", reader_dead),
    Entry::new("rwlock try_write + unlock", "dead reader", reader_dead_try),
    Entry::new("rwlock read + unlock", "dead readers in all places", readers_dead),
    Entry::new("rwlock write + unlock", "writer dead", writer_dead),
    Entry::new("rwlock try_write + unlock", "writer dead", writer_dead_try),
    Entry::new("rwlock read + unlock", "writer dead", read_writer_dead),
    Entry::new("rwlock try_read + unlock", "writer dead", read_writer_dead_try),
    Entry::new("rwlock downgrade + unlock", "held", downgrade),
    Entry::new("rwlock downgrade + unlock", "reader asleep", downgrade_reader_asleep),
    Entry::new("rwlock unlock write", "reader asleep", reader_asleep),
    Entry::new("rwlock unlock write", "writer asleep", writer_asleep),
    Entry::new("rwlock unlock write", "reader asleep for long", reader_old),
    Entry::new("rwlock unlock read", "writer asleep", drainer_asleep),
    Entry::new("rwlock unlock read", "writer asleep for long", drainer_old),
    Entry::new("rwlock unlock read", "reader without a place asleep", placeless_asleep),
    Entry::new("rwlock read", "behind a living writer", read_behind_writer),
    Entry::new("rwlock write", "behind a living writer", write_behind_writer),
    Entry::new("rwlock write", "behind a living reader", write_behind_reader),
    Entry::new("rwlock read", "behind living readers in all places", read_behind_readers),
    Entry::new("rwlock write + unlock", "earlier death in the same", write_after_write),
    Entry::new("rwlock write + unlock", "earlier death of a reader", write_after_read),
    Entry::new("rwlock read + unlock", "earlier death of a writer", read_after_write),
];

const TOLD: u64 = 1;
const NOT_TOLD: u64 = 2;
const PLACES: usize = 3;

/// A lock and the two words behind it.
#[derive(Clone, Debug)]
struct Stage {
    segment: Segment,
    lock: RwLock,
    pair: Object,
}

/// How a victim writes.
type Write = for<'l> fn(&'l RwLock) -> Option<WriteGuard<'l>>;
/// How a victim reads.
type Read = for<'l> fn(&'l RwLock) -> Option<ReadGuard<'l>>;

impl Stage {
    fn new() -> Result<(Self, Memory), String> {
        Self::with_places(PLACES)
    }

    fn with_places(places: usize) -> Result<(Self, Memory), String> {
        let (segment, memory) = stage()?;
        let lock = RwLock::with_readers_in(&segment, places).map_err(text)?;
        let shape = Shape::untyped("sweep pair", 1);
        let pair = segment.construct(None, &shape, 16, |_| {}).map_err(text)?;
        Ok((Self { segment, lock, pair }, memory))
    }

    /// A stage where a process is no more that has done this.
    fn after(done: fn(&Self)) -> Result<(Self, Memory), String> {
        let (stage, memory) = Self::new()?;
        crate::sweep::in_child(|| {
            done(&stage);
            Ok(())
        })?;
        Ok((stage, memory))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at < 2, "a pair has two words");
        // SAFETY: the body has two words, and stays mapped as long as `self` lives.
        let word = unsafe { self.pair.body().cast::<AtomicU64>().add(at) };
        // SAFETY: aligned, and everybody reaches it by atomics only.
        unsafe { word.as_ref() }
    }

    fn bump(&self) {
        let more = self.word(0).load(Relaxed) + 1;
        self.word(0).store(more, Relaxed);
        self.word(1).store(more, Relaxed);
    }

    /// A victim that writes.
    fn writer(&self, write: Write) -> Part {
        let stage = self.clone();
        part(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || {
                let guard = write(&stage.lock);
                if guard.is_some() {
                    stage.bump();
                }
                drop(guard);
            }
        })
    }

    /// A victim that reads, and gives what it found.
    fn reader(&self, read: Read) -> Part {
        let stage = self.clone();
        telling(move || {
            let stage = stage.clone();
            let _ = stage.segment.me();
            move || {
                let guard = read(&stage.lock);
                let (one, two) = (stage.word(0).load(Relaxed), stage.word(1).load(Relaxed));
                drop(guard);
                if one == two { one } else { 1000 }
            }
        })
    }

    /// A victim that holds what `hold` gives, and whose operation is to let go of it.
    fn leaver<G: 'static>(&self, hold: fn(&'static RwLock) -> G, leave: fn(G)) -> Part {
        let held = self.clone();
        Box::new(move || {
            // The guard borrows the lock, and both live until the victim's end.
            let lock: &'static RwLock = Box::leak(Box::new(held.lock.clone()));
            let mut guard = Some(hold(lock));
            Box::new(move || guard.take().into_iter().for_each(leave)) as Operate
        })
    }

    /// Reads, and says if it was told of a death; else the pair is whole.
    fn read(&self) -> Result<(ReadGuard<'_>, bool), String> {
        match self.lock.read() {
            Ok(guard) => self.whole().map(|()| (guard, false)),
            Err(LockError::OwnerDied(guard)) => Ok((guard, true)),
            Err(error) => Err(format!("read: {error}")),
        }
    }

    /// Writes, and says if it was told of a death; else the pair is whole, and then it is.
    fn write(&self) -> Result<(WriteGuard<'_>, bool), String> {
        match self.lock.write() {
            Ok(guard) => self.whole().map(|()| (guard, false)),
            Err(LockError::OwnerDied(guard)) => {
                self.word(1).store(self.word(0).load(Relaxed), Relaxed);
                Ok((guard, true))
            }
            Err(error) => Err(format!("write: {error}")),
        }
    }

    fn whole(&self) -> Result<(), String> {
        let (one, two) = (self.word(0).load(Relaxed), self.word(1).load(Relaxed));
        if one == two {
            return Ok(());
        }
        Err(format!("the pair is {one}, {two}, and nobody was told"))
    }

    /// What a third process does, asleep in it when the victim dies.
    fn wait_to_read(&self) -> u64 {
        self.read().map_or(0, |(_, told)| if told { TOLD } else { NOT_TOLD })
    }

    /// As `wait_to_read`.
    fn wait_to_write(&self) -> u64 {
        self.write().map_or(0, |(_, told)| if told { TOLD } else { NOT_TOLD })
    }

    /// So many readers come in at once, and one more is refused.
    fn fill(&self, places: usize) -> Result<(), String> {
        if places == 0 {
            return match self.lock.try_read() {
                Err(TryLockError::WouldBlock) => Ok(()),
                other => Err(format!("one reader too many: {other:?}")),
            };
        }
        let (_guard, told) = self.read()?;
        if told {
            return Err("a reader is told of a death that a writer was told of".to_owned());
        }
        let rest = thread::scope(|scope| scope.spawn(|| self.fill(places - 1)).join());
        rest.unwrap_or_else(|_| Err("a reader panicked".to_owned()))
    }

    /// The lock works as a new one does.
    fn works(&self) -> Result<(), String> {
        self.fill(self.lock.readers())?;
        let (guard, told) = self.write()?;
        if told {
            return Err("told of a death that another was told of".to_owned());
        }
        if !matches!(self.lock.read(), Err(LockError::Deadlock)) {
            return Err("read by the thread that writes".to_owned());
        }
        self.bump();
        drop(guard);
        self.lock.try_write().map(drop).map_err(text)
    }

    /// Reads, writes, and then the lock works; says how often the pair was changed, and if both
    /// were told of a death.
    fn check(&self) -> Result<(u64, bool), String> {
        let (guard, reader_told) = self.read()?;
        drop(guard);
        let (guard, told) = self.write()?;
        if reader_told != told {
            return Err(format!("told of a death: reader {reader_told}, writer {told}"));
        }
        let bumps = self.word(0).load(Relaxed);
        drop(guard);
        self.works()?;
        Ok((bumps, told))
    }
}

fn by_write(lock: &RwLock) -> Option<WriteGuard<'_>> {
    match lock.write() {
        Ok(guard) | Err(LockError::OwnerDied(guard)) => Some(guard),
        Err(_) => None,
    }
}

fn by_try_write(lock: &RwLock) -> Option<WriteGuard<'_>> {
    match lock.try_write() {
        Ok(guard) | Err(TryLockError::OwnerDied(guard)) => Some(guard),
        Err(_) => None,
    }
}

fn by_write_timeout(lock: &RwLock) -> Option<WriteGuard<'_>> {
    lock.write_timeout(Duration::from_secs(60)).ok()
}

fn by_read(lock: &RwLock) -> Option<ReadGuard<'_>> {
    match lock.read() {
        Ok(guard) | Err(LockError::OwnerDied(guard)) => Some(guard),
        Err(_) => None,
    }
}

fn by_try_read(lock: &RwLock) -> Option<ReadGuard<'_>> {
    match lock.try_read() {
        Ok(guard) | Err(TryLockError::OwnerDied(guard)) => Some(guard),
        Err(_) => None,
    }
}

/// Two reads of one thread, the first of which is kept until the second is over.
fn by_read_twice(lock: &RwLock) -> Option<ReadGuard<'_>> {
    let outer = lock.read();
    let inner = by_read(lock);
    drop(outer);
    inner
}

fn free() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (writing, both) = (stage.clone(), stage.clone());
    let other = move |patience| match writing.lock.write_timeout(patience) {
        Ok(_guard) => {
            let met = writing.word(0).load(Relaxed);
            writing.bump();
            Ok(met)
        }
        Err(TryLockError::Timeout) => Ok(u64::MAX),
        Err(error) => Err(format!("the other: {error}")),
    };
    let beside = move |witness: &Witness| match (witness.meanwhile, both.check()?) {
        (Some(0), (2, false)) => Ok("before"),
        (Some(u64::MAX), (1, false)) => Ok("refused"),
        (Some(1), (2, false)) => Ok("behind"),
        (met, found) => Err(format!("met {met:?}, found {found:?}")),
    };
    Ok(free_on(stage, memory, by_write).meanwhile(
        "a writer",
        &["before", "refused", "behind"],
        other,
        beside,
    ))
}

fn free_try() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    Ok(free_on(stage, memory, by_try_write))
}

fn free_timeout() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    Ok(free_on(stage, memory, by_write_timeout))
}

fn free_on(stage: Stage, memory: Memory, write: Write) -> Scenario {
    let victim = stage.writer(write);
    let check = move |_: &_| -> Finding {
        match stage.check()? {
            (_, true) => Ok("owner died"),
            (0, false) => Ok("untouched"),
            (_, false) => Ok("done"),
        }
    };
    Scenario::in_memory(memory, &["untouched", "owner died", "done"], victim, check)
}

fn reader_dead() -> Result<Scenario, String> {
    let (stage, memory) = Stage::after(|stage| std::mem::forget(stage.lock.read()))?;
    Ok(free_on(stage, memory, by_write))
}

fn reader_dead_try() -> Result<Scenario, String> {
    let (stage, memory) = Stage::after(|stage| std::mem::forget(stage.lock.read()))?;
    Ok(free_on(stage, memory, by_try_write))
}

fn read_free() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (writing, both) = (stage.clone(), stage.clone());
    let other = move |patience| match writing.lock.write_timeout(patience) {
        Ok(_guard) => {
            writing.bump();
            Ok(1)
        }
        Err(TryLockError::Timeout) => Ok(0),
        Err(error) => Err(format!("the other: {error}")),
    };
    let beside = move |witness: &Witness| {
        let (bumps, told) = both.check()?;
        match (witness.victim, witness.meanwhile) {
            (Some(1), Some(1)) if !told && bumps == 1 => Ok("before"),
            (Some(0), Some(0)) if !told && bumps == 0 => Ok("refused"),
            (Some(0), Some(1)) if !told && bumps == 1 => Ok("behind"),
            (read, wrote) => Err(format!("read {read:?}, wrote {wrote:?}, found {bumps}, {told}")),
        }
    };
    Ok(read_on(stage, memory, by_read).meanwhile(
        "a writer",
        &["before", "refused", "behind"],
        other,
        beside,
    ))
}

fn read_free_try() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    Ok(read_on(stage, memory, by_try_read))
}

fn read_twice() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    Ok(read_on(stage, memory, by_read_twice))
}

/// Nobody is told of a reader.
fn read_on(stage: Stage, memory: Memory, read: Read) -> Scenario {
    let victim = stage.reader(read);
    let check = move |_: &_| match stage.check()? {
        (0, false) => Ok("unchanged"),
        found => Err(format!("{found:?}")),
    };
    Scenario::in_memory(memory, &["unchanged"], victim, check)
}

fn readers_dead() -> Result<Scenario, String> {
    let (stage, memory) = Stage::after(|stage| {
        for _ in 0..PLACES {
            thread::scope(|scope| {
                scope.spawn(|| std::mem::forget(stage.lock.read()));
            });
        }
    })?;
    Ok(read_on(stage, memory, by_read))
}

fn writer_dead() -> Result<Scenario, String> {
    writer_dead_by(by_write)
}

fn writer_dead_try() -> Result<Scenario, String> {
    writer_dead_by(by_try_write)
}

fn with_dead_writer() -> Result<(Stage, Memory), String> {
    Stage::after(|stage| std::mem::forget(stage.lock.write()))
}

fn writer_dead_by(write: Write) -> Result<Scenario, String> {
    let (stage, memory) = with_dead_writer()?;
    let victim = stage.writer(write);
    let check = move |_: &_| match stage.check()? {
        (_, true) => Ok("owner died"),
        (1, false) => Ok("done"),
        (bumps, false) => Err(format!("released after {bumps} changes")),
    };
    Ok(Scenario::in_memory(memory, &["owner died", "done"], victim, check))
}

fn read_writer_dead() -> Result<Scenario, String> {
    read_writer_dead_by(by_read)
}

fn read_writer_dead_try() -> Result<Scenario, String> {
    read_writer_dead_by(by_try_read)
}

/// A reader repairs nothing: everybody is told still.
fn read_writer_dead_by(read: Read) -> Result<Scenario, String> {
    let (stage, memory) = with_dead_writer()?;
    let victim = stage.reader(read);
    let check = move |_: &_| match stage.check()? {
        (0, true) => Ok("owner died"),
        found => Err(format!("{found:?}")),
    };
    Ok(Scenario::in_memory(memory, &["owner died"], victim, check))
}

fn downgrade() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.leaver(by_write, |guard| drop(guard.map(WriteGuard::downgrade)));
    let check = move |_: &_| match stage.check()? {
        (_, true) => Ok("owner died"),
        (_, false) => Ok("released"),
    };
    Ok(Scenario::in_memory(memory, &["owner died", "released"], victim, check))
}

fn downgrade_reader_asleep() -> Result<Scenario, String> {
    leaving(by_write, |guard| drop(guard.map(WriteGuard::downgrade)), Stage::wait_to_read)
}

fn reader_asleep() -> Result<Scenario, String> {
    leaving(by_write, drop, Stage::wait_to_read)
}

fn writer_asleep() -> Result<Scenario, String> {
    leaving(by_write, drop, Stage::wait_to_write)
}

fn reader_old() -> Result<Scenario, String> {
    reader_asleep().map(Scenario::grown_old)
}

/// The writer leaves while another sleeps in `wait`. If that one reads and is told, so is the next
/// writer; if it writes, it is told last.
fn leaving<G: 'static>(
    hold: fn(&'static RwLock) -> G,
    leave: fn(G),
    wait: fn(&Stage) -> u64,
) -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let victim = stage.leaver(hold, leave);
    let waiting = stage.clone();
    let check = move |witness: &Witness| {
        let (_, told) = stage.check()?;
        match witness.waiter {
            Some(TOLD) => Ok("owner died"),
            // Let in by one that had finished, and died before it was out.
            Some(NOT_TOLD) if told => Ok("owner died"),
            Some(NOT_TOLD) => Ok("released"),
            other => Err(format!("the waiter came back with {other:?}")),
        }
    };
    Ok(Scenario::in_memory(memory, &["owner died", "released"], victim, check)
        .with_waiter(move || wait(&waiting)))
}

fn drainer_asleep() -> Result<Scenario, String> {
    left_by_reader(PLACES, Stage::wait_to_write)
}

fn drainer_old() -> Result<Scenario, String> {
    drainer_asleep().map(Scenario::grown_old)
}

fn placeless_asleep() -> Result<Scenario, String> {
    left_by_reader(1, Stage::wait_to_read)
}

/// A reader leaves, or is killed: it is the same to who sleeps.
fn left_by_reader(places: usize, wait: fn(&Stage) -> u64) -> Result<Scenario, String> {
    let (stage, memory) = Stage::with_places(places)?;
    let victim = stage.leaver(by_read, drop);
    let waiting = stage.clone();
    let check = move |witness: &Witness| match (stage.check()?, witness.waiter) {
        ((0, false), Some(NOT_TOLD)) => Ok("released"),
        found => Err(format!("{found:?}")),
    };
    Ok(Scenario::in_memory(memory, &["released"], victim, check)
        .with_waiter(move || wait(&waiting)))
}

/// Killed while it waits.
const WAITS_FOR: u32 = 2500;

fn waiting_behind(
    stage: Stage,
    memory: Memory,
    victim: Part,
    outcomes: &'static [&'static str],
    hold: fn(&Stage, &dyn Fn()),
) -> Scenario {
    let holding = stage.clone();
    let check = move |_: &_| match stage.check()? {
        (_, false) => Ok("waited"),
        (_, true) => Ok("owner died"),
    };
    Scenario::in_memory(memory, outcomes, victim, check)
        .behind(WAITS_FOR, move |stop| hold(&holding, stop))
        .every_instruction_up_to(WAITS_FOR / 6)
}

/// Writes in two steps, and stops between them.
fn hold_writing(stage: &Stage, stop: &dyn Fn()) {
    let _guard = by_write(&stage.lock);
    stage.word(0).store(1, Relaxed);
    stop();
    stage.word(1).store(1, Relaxed);
}

/// Reads, and finds the same when it goes on.
fn hold_reading(stage: &Stage, stop: &dyn Fn()) {
    let _guard = by_read(&stage.lock);
    stop();
    let (one, two) = (stage.word(0).load(Relaxed), stage.word(1).load(Relaxed));
    assert_eq!((one, two), (0, 0), "written under a reader");
}

/// Reads in all places.
fn hold_all_places(stage: &Stage, stop: &dyn Fn()) {
    let _guard = by_read(&stage.lock);
    for _ in 1..PLACES {
        let lock = stage.lock.clone();
        // Its read lasts until its process ends.
        let _ = thread::spawn(move || std::mem::forget(lock.read())).join();
    }
    stop();
}

fn read_behind_writer() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, both) = (stage.reader(by_read), stage.clone());
    let found_whole = move |witness: &Witness| match (both.check()?, witness.victim) {
        ((1, false), Some(1)) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    Ok(waiting_behind(stage, memory, victim, &["waited"], hold_writing)
        .meanwhile_released(&["waited"], found_whole))
}

fn write_behind_writer() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, both) = (stage.writer(by_write), stage.clone());
    let wrote_behind = move |_: &Witness| match both.check()? {
        (2, false) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    Ok(waiting_behind(stage, memory, victim, &["waited"], hold_writing)
        .meanwhile_released(&["waited"], wrote_behind))
}

/// It has the word while it waits for the reader, so that the next ones are told.
fn write_behind_reader() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, both) = (stage.writer(by_write), stage.clone());
    let wrote_behind = move |_: &Witness| match both.check()? {
        (1, false) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    Ok(waiting_behind(stage, memory, victim, &["waited", "owner died"], hold_reading)
        .meanwhile_released(&["waited"], wrote_behind))
}

fn read_behind_readers() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (victim, both) = (stage.reader(by_read), stage.clone());
    let found_whole = move |witness: &Witness| match (both.check()?, witness.victim) {
        ((0, false), Some(0)) => Ok("waited"),
        other => Err(format!("{other:?}")),
    };
    Ok(waiting_behind(stage, memory, victim, &["waited"], hold_all_places)
        .meanwhile_released(&["waited"], found_whole))
}

const MARK: u64 = 1000;

/// Writes the mark, whatever was there.
fn marks(stage: &Stage) -> Part {
    let stage = stage.clone();
    part(move || {
        let stage = stage.clone();
        let _ = stage.segment.me();
        move || {
            let guard = by_write(&stage.lock);
            stage.word(0).store(MARK, Relaxed);
            stage.word(1).store(MARK, Relaxed);
            drop(guard);
        }
    })
}

fn write_after_write() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let earlier = stage.writer(by_write);
    Ok(marked(stage, memory, earlier))
}

fn write_after_read() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let earlier = stage.reader(by_read);
    Ok(marked(stage, memory, earlier))
}

fn marked(stage: Stage, memory: Memory, earlier: Part) -> Scenario {
    let victim = marks(&stage);
    let check = move |_: &_| match stage.check()? {
        (MARK, false) => Ok("done"),
        _ => Ok("not done"),
    };
    Scenario::in_memory(memory, &["not done", "done"], victim, check).after_death_of(earlier)
}

/// Told or not, that depends on the earlier death only, and on nothing that the reader does.
fn read_after_write() -> Result<Scenario, String> {
    let (stage, memory) = Stage::new()?;
    let (earlier, victim) = (stage.writer(by_write), stage.reader(by_read));
    let check = move |_: &_| match stage.check()? {
        (0 | 1, _) => Ok("fine"),
        found => Err(format!("{found:?}")),
    };
    Ok(Scenario::in_memory(memory, &["fine"], victim, check).after_death_of(earlier))
}
