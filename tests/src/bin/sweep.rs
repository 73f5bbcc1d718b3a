//! Kills a process after every instruction of every operation, and has survivors judge.
//!
//! ```sh
//! cargo run --release -p tests --bin sweep            # everything, some minutes
//! cargo run --release -p tests --bin sweep -- --quick --only lock
//! ```
//! Exit status: 0 all green, 1 something is wrong, 2 usage or a machine that cannot be swept on.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tests::sweep::catalogue::{Entry, entries};
use tests::sweep::{Limits, Row, begin, sweep, twin};

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
    /// A JSON list of rows instead of a line each.
    #[arg(long)]
    json: bool,
    /// Says which operations and states there are, and runs none.
    #[arg(long)]
    list: bool,
    /// Sweeps a primitive made for it, sound and broken; the broken ones must turn it red.
    #[arg(long)]
    self_test: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<Entry> = entries().into_iter().filter(|entry| options.takes(entry)).collect();
    let result = if options.list {
        list(&chosen)
    } else if let Err(refusal) = begin() {
        return usage(&refusal.to_string());
    } else if options.self_test {
        self_test()
    } else if chosen.is_empty() {
        return usage("no operation has such a name; --list prints them all");
    } else {
        run(&options, &chosen)
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
    fn takes(&self, entry: &Entry) -> bool {
        if self.only.is_empty() {
            return !(self.quick && entry.slow);
        }
        let name = entry.name();
        self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

fn usage(why: &str) -> ExitCode {
    // Where even this cannot be written the status alone has to say it.
    let _ = writeln!(io::stderr(), "sweep: {why}");
    ExitCode::from(2)
}

fn list(chosen: &[Entry]) -> io::Result<bool> {
    for entry in chosen {
        writeln!(io::stdout(), "{}", entry.name())?;
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

fn run(options: &Options, chosen: &[Entry]) -> io::Result<bool> {
    let limits = if options.quick { Limits::QUICK } else { Limits::FULL };
    let mut rows = Vec::new();
    for entry in chosen {
        let row = match (entry.build)() {
            Ok(scenario) => sweep(entry.operation, entry.state, &scenario, &limits),
            Err(why) => Row::not_built(entry.operation, entry.state, why),
        };
        if !options.json {
            writeln!(io::stdout(), "{row}")?;
        }
        rows.push(row);
    }
    let mut out = io::stdout();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", total(&rows))?;
    }
    Ok(rows.iter().all(Row::is_green))
}

fn total(rows: &[Row]) -> String {
    let kills: u64 = rows.iter().map(|row| u64::from(row.kills)).sum();
    let images: u64 = rows.iter().map(|row| u64::from(row.images)).sum();
    let red = rows.iter().filter(|row| !row.is_green()).count();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    format!(
        "{} operations and states, {kills} kills, {images} images, {red} red, {seconds:.1} s",
        rows.len()
    )
}
