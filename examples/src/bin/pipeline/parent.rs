//! What the parent does: give out files, take in reports, replace workers that died.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossproc::crates::process::Error as StartError;
use crossproc::prelude::*;

use crate::Options;
use crate::ledger::{Ledger, Totals};
use crate::output::Progress;
use crate::walk::{Unreadable, Walk};
use crate::worker::{Job, Report, work};

/// Files that wait in the queue.
const JOBS: usize = 256;
/// Reports that wait in the queue.
const REPORTS: usize = 256;
/// How often the parent looks after its workers and the progress.
const LOOK: Duration = Duration::from_millis(20);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

struct Worker {
    number: u64,
    handle: JoinHandle<Result<(), Failure>>,
}

struct Parent {
    walk: Walk,
    /// Files to be given out again, and those that did not fit into the queue.
    pending: Vec<Job>,
    walked: bool,
    ledger: Ledger,
    jobs: Queue<Job>,
    reports: Queue<Report>,
    bytes_read: Value<u64>,
    workers: Vec<Worker>,
    spawned: u64,
    progress: Progress,
    chaos: Option<Chaos>,
}

/// Runs the whole job; `None` when it was interrupted.
pub(crate) fn run(options: &Options) -> anyhow::Result<Option<Totals>> {
    let begun = Instant::now();
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
        .context("cannot watch for Ctrl-C")?;
    let (root, walk) = match &options.directory {
        Some(root) => (root.clone(), Walk::new(root)),
        None => (own_source(), Walk::of_source(&own_source())),
    };
    let walk = walk.with_context(|| format!("cannot read {}", root.display()))?;
    let workers = options.workers.map_or_else(cpu_count, usize::from);
    let mut parent = Parent {
        walk,
        pending: Vec::new(),
        walked: false,
        ledger: Ledger::default(),
        jobs: Queue::bounded(JOBS)?,
        reports: Queue::bounded(REPORTS)?,
        bytes_read: Value::new(0)?,
        workers: Vec::new(),
        spawned: 0,
        progress: Progress::new(),
        chaos: options.chaos.then(Chaos::new),
    };
    for _ in 0..workers {
        parent.hire()?;
    }
    if !parent.serve()? {
        parent.dismiss();
        return Ok(None);
    }
    parent.finish();
    let mut totals = std::mem::take(&mut parent.ledger.totals);
    totals.workers = workers as u64;
    totals.seconds = begun.elapsed().as_secs_f64();
    Ok(Some(totals))
}

/// Where this program's source lies, or lay; else where it was started.
fn own_source() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    source.filter(|path| path.is_dir()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

impl Parent {
    /// False when interrupted.
    fn serve(&mut self) -> anyhow::Result<bool> {
        let mut looked = Instant::now();
        let mut idle = 0;
        loop {
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.feed()?;
            if self.walked && self.pending.is_empty() && self.ledger.out() == 0 {
                return Ok(true);
            }
            match self.reports.get_timeout(LOOK) {
                Ok(report) => {
                    idle = 0;
                    self.take(report);
                }
                Err(TryGetError::Empty) => idle += 1,
                Err(error) => return Err(error).context("cannot take a report"),
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look(idle)?;
            }
        }
    }

    /// Fills the queue, without waiting: a parent that waits here takes no reports.
    fn feed(&mut self) -> anyhow::Result<()> {
        loop {
            let Some(job) = self.next_job() else { return Ok(()) };
            match self.jobs.try_put(job) {
                Ok(()) => {}
                Err(TryPutError::Full(job)) => {
                    self.pending.push(job);
                    return Ok(());
                }
                Err(error) => anyhow::bail!("cannot give out a file: {error}"),
            }
        }
    }

    fn next_job(&mut self) -> Option<Job> {
        if let Some(job) = self.pending.pop() {
            return Some(job);
        }
        while !self.walked {
            match self.walk.next() {
                Some(Ok(path)) => {
                    return Some(self.ledger.open(path.as_os_str().as_bytes().to_vec()));
                }
                Some(Err(Unreadable { path, error })) => {
                    self.ledger.totals.unreadable += 1;
                    self.progress.note(&format!("cannot read {}: {error}", path.display()));
                }
                None => self.walked = true,
            }
        }
        None
    }

    fn take(&mut self, report: Report) {
        if let Some((job, error)) = self.ledger.take(report) {
            let path = String::from_utf8_lossy(&job.path);
            self.progress.note(&format!("cannot read {path}: {error}"));
        }
    }

    /// Looks after the workers, the lost files and the progress.
    fn look(&mut self, idle: u32) -> anyhow::Result<()> {
        if let Some(chaos) = &mut self.chaos {
            chaos.maybe_kill(&self.workers);
        }
        let mut at = 0;
        while at < self.workers.len() {
            if self.workers[at].handle.is_alive() {
                at += 1;
                continue;
            }
            let worker = self.workers.swap_remove(at);
            self.bury(worker)?;
            self.hire()?;
        }
        // All that is out should be on a worker's table. What nobody has said to have for a while
        // was lost between the queue and a dead worker's first word.
        if idle >= 5 && self.walked && self.pending.is_empty() && self.jobs.is_empty() {
            self.pending = self.ledger.lost();
        }
        let totals = &self.ledger.totals;
        self.progress.tell(totals.files, self.ledger.out(), self.bytes_read.get());
        Ok(())
    }

    fn bury(&mut self, worker: Worker) -> anyhow::Result<()> {
        // Everything that it committed is in the queue by now.
        while let Ok(report) = self.reports.try_get() {
            self.take(report);
        }
        match worker.handle.join() {
            Err(JoinError::Signalled { .. }) => {}
            Err(error) => return Err(error).context("a worker failed"),
            Ok(Err(failure)) => anyhow::bail!("a worker failed: {failure}"),
            Ok(Ok(())) => anyhow::bail!("a worker ended before the work did"),
        }
        self.pending.extend(self.ledger.buried(worker.number));
        Ok(())
    }

    fn hire(&mut self) -> anyhow::Result<()> {
        loop {
            self.spawned += 1;
            let number = self.spawned;
            let queues = (number, self.jobs.clone(), self.reports.clone(), self.bytes_read.clone());
            let builder = Process::builder().name(format!("worker-{number}"));
            match builder.spawn(queues, work) {
                Ok(handle) => {
                    self.workers.push(Worker { number, handle });
                    return Ok(());
                }
                Err(StartError::EndedEarly { status: Some(status), .. })
                    if status.signal().is_some() =>
                {
                    // Killed before it had begun.
                    self.ledger.totals.deaths += 1;
                }
                Err(error) => return Err(error).context("cannot start a worker"),
            }
        }
    }

    /// Lets the workers see that there is nothing more to do.
    fn finish(&mut self) {
        self.jobs.close();
        let patience = Instant::now() + Duration::from_secs(1);
        for worker in &self.workers {
            let _ = worker.handle.wait_timeout(patience.saturating_duration_since(Instant::now()));
        }
    }

    /// Ends all workers. What they still do counts no more.
    fn dismiss(&mut self) {
        for worker in &self.workers {
            let _ = worker.handle.kill();
        }
        for worker in self.workers.drain(..) {
            let _ = worker.handle.join();
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// Kills a worker every 5 to 50 ms.
struct Chaos {
    due: Instant,
    random: u64,
}

impl Chaos {
    fn new() -> Self {
        Self { due: Instant::now(), random: u64::from(std::process::id()) | 1 << 40 }
    }

    fn maybe_kill(&mut self, workers: &[Worker]) {
        if self.due > Instant::now() || workers.is_empty() {
            return;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.due = Instant::now() + Duration::from_millis(5 + self.random % 46);
        let _ = workers[(self.random >> 32) as usize % workers.len()].handle.kill();
    }
}
