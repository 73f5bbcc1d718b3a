//! Kills a process after every instruction of every operation, and has survivors judge.
//!
//! ```sh
//! cargo run --release -p tests --bin sweep            # everything, some minutes
//! cargo run --release -p tests --bin sweep -- --quick --only lock --form stop
//! ```
//! The work is shared out among processes of this program, two for each processor.
//!
//! Exit status: 0 all green, 1 something is wrong, 2 usage or a machine that cannot be swept on.

mod table;
mod workers;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::sweep::catalogue::{Entry, entries};
use tests::sweep::{Form, Limits, Row, begin, is_possible, twin};

use crate::workers::Job;

/// Kill sweep: a process dies after every single instruction of an operation, and a survivor has
/// to make progress and find everything whole.
#[derive(Debug, Parser)]
struct Options {
    /// Below a minute: all images, but kills only where one can differ from the next, and few;
    /// without the longest operations, unless --only names them.
    #[arg(long)]
    quick: bool,
    /// Only operations whose name and state contain this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only this form; may be given several times. Without it, all.
    #[arg(long, value_enum)]
    form: Vec<Choice>,
    /// How many processes share the work; two for each processor if not given.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// A JSON list of rows instead of a line each.
    #[arg(long)]
    json: bool,
    /// The table of `docs/crash-safety.md` instead of a line each; the totals come behind it.
    #[arg(long, conflicts_with = "json")]
    table: bool,
    /// Says which operations and states there are, and runs none.
    #[arg(long)]
    list: bool,
    /// Sweeps a primitive made for it, sound and broken; the broken ones must turn it red.
    #[arg(long)]
    self_test: bool,
    /// Does what it is told on its standard input, on the so manieth processor.
    #[arg(long, value_name = "SEAT", hide = true)]
    worker: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    /// A victim dies after each instruction.
    Kill,
    /// The same after an earlier death: whoever repairs dies.
    Double,
    /// A victim stands still after each instruction, another one acts, it goes on.
    Interleave,
    /// The same by SIGSTOP, for long.
    Stop,
    /// All of them.
    All,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let limits = if options.quick { Limits::QUICK } else { Limits::FULL };
    let jobs = options.jobs();
    let result = if let Some(seat) = options.worker {
        if let Err(refusal) = begin(seat) {
            return usage(&refusal.to_string());
        }
        workers::serve(&limits).map(|()| true)
    } else if options.list {
        list(&jobs)
    } else if let Err(refusal) = is_possible() {
        return usage(&refusal.to_string());
    } else if options.self_test {
        if let Err(refusal) = begin(0) {
            return usage(&refusal.to_string());
        }
        self_test()
    } else if jobs.is_empty() {
        return usage("no operation has such a name; --list prints them all");
    } else {
        run(&options, &jobs)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the lines has gone away.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => usage(&format!("cannot write the report: {error}")),
    }
}

impl Options {
    fn jobs(&self) -> Vec<Job> {
        let forms = Form::ALL.into_iter().filter(|&form| self.takes_form(form));
        let forms: Vec<Form> = forms.collect();
        let entries = entries().into_iter().enumerate().filter(|(_, entry)| self.takes(entry));
        entries
            .flat_map(|(at, entry)| forms.iter().map(move |&form| Job { at, entry, form }))
            .collect()
    }

    fn takes(&self, entry: &Entry) -> bool {
        if self.only.is_empty() {
            return !(self.quick && entry.slow);
        }
        let name = entry.name();
        self.only.iter().any(|part| name.contains(part.as_str()))
    }

    fn takes_form(&self, form: Form) -> bool {
        self.form.is_empty()
            || self.form.iter().any(|&choice| {
                let chosen = match choice {
                    Choice::Kill => Form::Kill,
                    Choice::Double => Form::Double,
                    Choice::Interleave => Form::Interleave,
                    Choice::Stop => Form::Stop,
                    Choice::All => return true,
                };
                chosen == form
            })
    }
}

fn usage(why: &str) -> ExitCode {
    // Where even this cannot be written the status alone has to say it.
    let _ = writeln!(io::stderr(), "sweep: {why}");
    ExitCode::from(2)
}

fn list(jobs: &[Job]) -> io::Result<bool> {
    let mut names: Vec<String> = jobs.iter().map(|job| job.entry.name()).collect();
    names.dedup();
    for name in names {
        writeln!(io::stdout(), "{name}")?;
    }
    Ok(true)
}

fn self_test() -> io::Result<bool> {
    let result = twin::self_test();
    let green = result.is_ok();
    for line in result.unwrap_or_else(|wrong| wrong) {
        writeln!(io::stdout(), "{line}")?;
    }
    writeln!(io::stdout(), "self-test: {}", if green { "ok" } else { "FAILED" })?;
    Ok(green)
}

fn run(options: &Options, jobs: &[Job]) -> io::Result<bool> {
    let began = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    let mut written = Ok(());
    workers::share_out(jobs, options.workers, options.quick, |of_job| {
        for row in of_job {
            if !options.json && !options.table && written.is_ok() {
                written = writeln!(io::stdout(), "{row}");
            }
            rows.push(row);
        }
        written.is_ok()
    })?;
    written?;
    let mut out = io::stdout();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
    } else {
        if options.table {
            table::write(&mut out, &rows)?;
        }
        for form in Form::ALL {
            let of_form: Vec<&Row> = rows.iter().filter(|row| row.form == form).collect();
            if !of_form.is_empty() {
                writeln!(out, "{form:<10} {}", total(&of_form))?;
            }
        }
        let all: Vec<&Row> = rows.iter().collect();
        let seconds = began.elapsed().as_secs_f64();
        writeln!(out, "all        {}; it took {seconds:.1} s", total(&all))?;
        // Once more at the end, where whoever reads a long log looks first.
        for row in rows.iter().filter(|row| !row.is_green()) {
            writeln!(out, "red:       {row}")?;
        }
    }
    Ok(rows.iter().all(Row::is_green))
}

fn total(rows: &[&Row]) -> String {
    let sum = |count: fn(&Row) -> u32| rows.iter().map(|row| u64::from(count(row))).sum::<u64>();
    let (kills, images) = (sum(|row| row.kills), sum(|row| row.images));
    let red = rows.iter().filter(|row| !row.is_green()).count();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let stops = sum(|row| row.stops);
    let rows = rows.len();
    format!(
        "{rows} rows, {kills} kills, {images} images, {stops} stops, {red} red, {seconds:.1} s of work"
    )
}
