//! The random storm: processes at work on shared objects, killed and stopped at random for minutes;
//! every item and every increment accounted for.
//!
//! ```sh
//! cargo run --release -p tests --bin storm -- --minutes 5
//! cargo run --release -p tests --bin storm -- --minutes 0.5 --only queue --seed 7
//! ```
//! Exit status: 0 all green, 1 something is wrong, 2 usage, 130 green until it was interrupted.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use serde::Serialize;
use tests::storm::arenas::{self, Arena};
use tests::storm::report::{Row, table, totals};
use tests::storm::schedule::{Schedule, seed_of};
use tests::storm::stage::{self, Stage};

/// Random storm: members of each arena are killed every few milliseconds and replaced, and at the
/// end of each slice everything is accounted for.
#[derive(Debug, Parser)]
struct Options {
    /// How long, for all arenas together.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    minutes: f64,
    /// The seed of all choices; drawn from the clock, and printed, if not given.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Only arenas whose name contains this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only this slice of each arena, which has the seed that it has among all.
    #[arg(long, value_name = "K")]
    slice: Option<u64>,
    /// A JSON object instead of lines and a table.
    #[arg(long)]
    json: bool,
    /// Says which arenas there are, and plays none.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    crossproc::init();
    let options = Options::parse();
    let chosen: Vec<Arena> =
        arenas::all().into_iter().filter(|arena| options.takes(arena)).collect();
    let length = Duration::try_from_secs_f64(options.minutes * 60.0);
    let result = match length {
        _ if options.list => list(&chosen),
        _ if chosen.is_empty() => return usage("no arena has such a name; --list prints them all"),
        Ok(length) if !length.is_zero() => run(&options, &chosen, length),
        _ => return usage("--minutes takes a number above 0"),
    };
    result.unwrap_or_else(|error| usage(&format!("cannot write the report: {error}")))
}

impl Options {
    fn takes(&self, arena: &Arena) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| arena.name.contains(part.as_str()))
    }

    fn seed(&self) -> u64 {
        let now = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| now.as_secs() & 0xff_ffff);
        self.seed.unwrap_or_else(now)
    }
}

fn usage(why: &str) -> ExitCode {
    // Where even this cannot be written the status alone has to say it.
    let _ = writeln!(io::stderr(), "storm: {why}");
    ExitCode::from(2)
}

fn list(chosen: &[Arena]) -> io::Result<ExitCode> {
    for arena in chosen {
        writeln!(io::stdout(), "{:<16} {}", arena.name, arena.about)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    seed: u64,
    minutes: f64,
    interrupted: bool,
    slices: &'a [Row],
    totals: &'a [Row],
}

fn run(options: &Options, chosen: &[Arena], length: Duration) -> io::Result<ExitCode> {
    let schedule = Schedule::new(length, chosen.len());
    let seed = options.seed();
    let mut out = io::stdout();
    if !options.json {
        writeln!(
            out,
            "storm: seed {seed}, {} arenas, {} slices of {:.1} s each",
            chosen.len(),
            schedule.rounds,
            schedule.slice.as_secs_f64()
        )?;
    }
    let stage = Stage::new();
    let mut rows = Vec::new();
    let rounds = options.slice.map_or(0..schedule.rounds, |slice| slice..slice + 1);
    'storm: for round in rounds {
        for arena in chosen {
            let slice_seed = seed_of(seed, arena.name, round);
            let show = |seconds| show(options, arena, seconds);
            let Some(row) = stage.play(arena, round, slice_seed, schedule.slice, show) else {
                break 'storm;
            };
            if !options.json {
                writeln!(out, "{row}")?;
            }
            rows.push(row);
        }
    }
    finish(options, seed, &rows)
}

/// On a terminal: what is being played.
fn show(options: &Options, arena: &Arena, seconds: f64) {
    let mut error = io::stderr();
    if !options.json && error.is_terminal() {
        // Only for who looks at it.
        let _ = write!(error, "\r\x1b[K{} {seconds:.0} s\r", arena.name);
    }
}

fn finish(options: &Options, seed: u64, rows: &[Row]) -> io::Result<ExitCode> {
    let (mut out, interrupted) = (io::stdout(), stage::interrupted());
    let green = rows.iter().all(Row::is_green);
    if options.json {
        let (minutes, totals) = (options.minutes, totals(rows));
        let report = Report { seed, minutes, interrupted, slices: rows, totals: &totals };
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        let verdict = match (green, interrupted) {
            (true, false) => "green: nothing lost, doubled, torn, hung or left behind",
            (true, true) => "interrupted; green until then",
            (false, _) => "RED",
        };
        writeln!(out, "\n{}\n\nstorm: seed {seed}: {verdict}", table(rows))?;
    }
    Ok(match (green, interrupted) {
        (true, false) => ExitCode::SUCCESS,
        (true, true) => ExitCode::from(130),
        (false, _) => ExitCode::FAILURE,
    })
}
