//! The main job: count the words of a directory tree with several processes.
//!
//! ```text
//! cargo run --release -p examples --bin pipeline -- [DIRECTORY] [--workers N] [--json]
//! ```
//!
//! The parent walks the tree and puts files into a queue; workers read them, count, and send
//! reports through a second queue. Kill any worker while it runs: the totals stay right, since a
//! file counts once, when its report has arrived whole, and is given out again when its worker
//! died.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

mod count;
mod ledger;
mod output;
mod parent;
mod walk;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Count the words and bytes of all regular files below a directory, with several processes.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Options {
    /// The directory to read; without one, the source of this project.
    directory: Option<PathBuf>,
    /// Worker processes; as many as there are usable CPUs unless given.
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..=512))]
    workers: Option<u16>,
    /// Print one JSON object instead of a table, and nothing else on stdout.
    #[arg(long)]
    json: bool,
    /// How many of the most frequent words to show.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Kill a worker every 5 to 50 ms, to see that the totals do not change.
    #[arg(long)]
    chaos: bool,
}

fn main() -> ExitCode {
    crossproc::init();
    let options = Options::parse();
    match parent::run(&options) {
        Ok(Some(totals)) => {
            let shown = if options.json {
                output::json(&totals, options.top)
            } else {
                output::table(&totals, options.top)
            };
            match shown {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error),
            }
        }
        Ok(None) => {
            eprintln!("pipeline: interrupted");
            ExitCode::from(130)
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("pipeline: {error:#}");
    ExitCode::FAILURE
}
