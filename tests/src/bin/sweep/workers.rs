//! The work shared out among processes of this program: a sweep forks, and so has one thread.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use tests::sweep::catalogue::{Entry, entries};
use tests::sweep::{Form, Limits, Row, sweep};

/// One entry of the catalogue in one form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Its place in the catalogue.
    pub(crate) at: usize,
    pub(crate) entry: Entry,
    pub(crate) form: Form,
}

/// Has workers do all jobs, and gives the rows of each to `take`, in the order of the jobs; ends
/// early where that one says so by false.
pub(crate) fn share_out(
    jobs: &[Job],
    workers: Option<usize>,
    quick: bool,
    mut take: impl FnMut(Vec<Row>) -> bool,
) -> io::Result<()> {
    let workers = match workers {
        Some(workers) => workers,
        // Half of the time of a sweep is somebody's sleep.
        None => 2 * thread::available_parallelism()?.get(),
    };
    let undone = Mutex::new(jobs.iter().enumerate());
    let next = || undone.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        let (done, results) = mpsc::channel();
        for seat in 0..workers.clamp(1, jobs.len().max(1)) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                let mut worker = None;
                while let Some((at, job)) = next() {
                    let rows = ask(&mut worker, seat, quick, job).unwrap_or_else(|error| {
                        // Whatever became of that worker, the next job gets another one.
                        worker = None;
                        let why = format!("the worker: {error}");
                        vec![Row::not_swept(job.entry.operation, job.entry.state, job.form, why)]
                    });
                    if done.send((at, rows)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let mut waiting: Vec<Option<Vec<Row>>> = vec![None; jobs.len()];
        let mut due = 0;
        for (at, rows) in results {
            waiting[at] = Some(rows);
            while let Some(rows) = waiting.get_mut(due).and_then(Option::take) {
                due += 1;
                if !take(rows) {
                    // The rest is not asked for.
                    while next().is_some() {}
                }
            }
        }
    });
    Ok(())
}

/// A process that does one job after the other, and ends when it is asked for no more.
struct Worker {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(seat: usize, quick: bool) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--worker", &seat.to_string()]).args(quick.then_some("--quick"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, answers: BufReader::new(answers) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends at the end of its input; nobody is left to tell how.
        let _ = self.child.wait();
    }
}

fn ask(worker: &mut Option<Worker>, seat: usize, quick: bool, job: &Job) -> io::Result<Vec<Row>> {
    let worker = match worker {
        Some(worker) => worker,
        none => none.insert(Worker::start(seat, quick)?),
    };
    let questions = worker.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    serde_json::to_writer(&mut *questions, &(job.at, job.form))?;
    writeln!(questions)?;
    let mut answer = String::new();
    worker.answers.read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// The worker's side.
pub(crate) fn serve(limits: &Limits) -> io::Result<()> {
    let entries = entries();
    for question in io::stdin().lines() {
        let (at, form): (usize, Form) = serde_json::from_str(&question?)?;
        let entry = entries.get(at).ok_or(io::ErrorKind::InvalidInput)?;
        let rows = match (entry.build)() {
            Ok(scenario) => sweep(entry.operation, entry.state, &scenario, form, limits),
            Err(why) => {
                let why = format!("setting up: {why}");
                vec![Row::not_swept(entry.operation, entry.state, form, why)]
            }
        };
        let mut answer = serde_json::to_vec(&rows)?;
        answer.push(b'\n');
        io::stdout().write_all(&answer)?;
    }
    Ok(())
}
