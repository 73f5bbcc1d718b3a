//! Where slices are played: each in a process of its own, by whose end nothing may be left.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};

use crossproc::Segment;

use super::arenas::Arena;
use super::director::direct;
use super::report::Row;
use super::{Fault, Kind};
use crate::forked::{Forked, fork};
use crate::sweep::Memory;
use crate::traces::own_name;

/// How much longer than its slice a director may take, to set up, wind down and account.
const GRACE: Duration = Duration::from_secs(120);
const REPORT_WORDS: usize = 1 << 13;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the user wants it to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Relaxed)
}

extern "C" fn interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Relaxed);
}

fn on_signals(handler: libc::sighandler_t) {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: `interrupt` only stores to an atomic, which a handler may.
        unsafe { libc::signal(signal, handler) };
    }
}

/// The process that has slices played.
#[derive(Debug)]
pub struct Stage(());

impl Stage {
    /// Prepares this process, which must have no threads: interrupts are noted, and whoever
    /// loses its parent becomes its child.
    #[expect(clippy::new_without_default, reason = "it changes the whole process")]
    #[must_use]
    pub fn new() -> Self {
        on_signals(interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t);
        // SAFETY: numbers only.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        Self(())
    }

    /// Has a slice played; `None` if it was interrupted. `show` is called with the seconds.
    pub fn play(
        &self,
        arena: &Arena,
        round: u64,
        seed: u64,
        time: Duration,
        show: impl Fn(f64),
    ) -> Option<Row> {
        let paper = match Memory::anonymous(REPORT_WORDS * 8) {
            Ok(paper) => paper,
            Err(error) => {
                return Some(Row::failed(arena.name, round, seed, Fault::wrong("paper", error)));
            }
        };
        let mut director = fork(|| {
            on_signals(libc::SIG_IGN);
            write(&paper, &direct(arena, round, seed, time));
            0
        });
        let pid = director.pid();
        let ended = wait(&mut director, time + GRACE, show);
        if ended.is_none() {
            director.signal(libc::SIGKILL);
            director.wait();
        }
        let left = sweep_up(pid);
        if interrupted() {
            return None;
        }
        let mut row = read(&paper).unwrap_or_else(|| {
            let text = match ended {
                None => "the director did not come to an end".to_owned(),
                Some(status) => format!("the director ended with status {status}"),
            };
            let kind = if ended.is_none() { Kind::Hang } else { Kind::Wrong };
            Row::failed(arena.name, round, seed, Fault::new(kind, text))
        });
        if let (Some(left), true) = (left, row.is_green()) {
            row.faults.push(Fault::new(Kind::Leftover, left));
        }
        Some(row)
    }
}

/// Waits for the director; `None` if it takes too long or the user interrupts.
fn wait(director: &mut Forked, most: Duration, show: impl Fn(f64)) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = director.try_wait() {
            return Some(status);
        }
        if interrupted() || start.elapsed() > most {
            return None;
        }
        show(start.elapsed().as_secs_f64());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ends what a director left: processes, names of segments. Says what there was.
fn sweep_up(director: u32) -> Option<String> {
    let mut left: Vec<String> = reap_all().iter().map(|pid| format!("process {pid}")).collect();
    let prefix = own_name("storm").replace(&std::process::id().to_string(), &director.to_string());
    for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(at) = file.find(&prefix) {
            left.push(format!("segment {file}"));
            // Nobody needs it any more; if it cannot be removed it was still told.
            let _ = Segment::unlink(&file[at..]);
        }
    }
    (!left.is_empty()).then(|| left.join(", "))
}

/// How long whoever has lost its parent may take to end.
const ORPHAN: Duration = Duration::from_secs(2);

/// Reaps the children that are left, and gives those that had to be killed.
fn reap_all() -> Vec<u32> {
    let (start, mut killed) = (Instant::now(), Vec::new());
    loop {
        let mut status = 0;
        // SAFETY: there is room for the status.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid < 0 {
            return killed;
        }
        if pid > 0 {
            continue;
        }
        if start.elapsed() > ORPHAN {
            let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
            for pid in children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
                // SAFETY: numbers only; it is a child that was not reaped.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                killed.push(pid.unsigned_abs());
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Word 0: bytes; then a row as JSON.
fn write(paper: &Memory, row: &Row) {
    let text = serde_json::to_vec(row).unwrap_or_default();
    let words = paper.words();
    if text.len() > (words.len() - 1) * 8 {
        return;
    }
    for (chunk, word) in text.chunks(8).zip(&words[1..]) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(bytes), Relaxed);
    }
    words[0].store(text.len() as u64, Release);
}

fn read(paper: &Memory) -> Option<Row> {
    let length = usize::try_from(paper.words()[0].load(Acquire)).ok()?;
    let bytes = paper.words()[1..].iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
    serde_json::from_slice(&bytes.take(length).collect::<Vec<u8>>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_from_paper() {
        let paper = Memory::anonymous(REPORT_WORDS * 8).unwrap();
        assert!(read(&paper).is_none());
        write(&paper, &Row::failed("it", 3, 7, Fault::new(Kind::Torn, "half of it")));
        let row = read(&paper).unwrap();
        assert_eq!((row.arena.as_str(), row.round, row.seed), ("it", 3, 7));
        assert_eq!(row.faults, [Fault::new(Kind::Torn, "half of it")]);
    }
}
