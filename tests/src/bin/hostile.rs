//! Writes arbitrary bytes into a live segment while other processes use everything in it.
//!
//! ```sh
//! cargo run --release -p tests --bin hostile                        # a minute
//! cargo run --release -p tests --bin hostile -- --minutes 30 --seed 7
//! cargo run --release -p tests --bin hostile -- --seed 7 --round 4711    # one round again
//! ```
//! Exit status: 0 nothing went wrong, 1 something did, 2 usage or a machine where it cannot run,
//! 130 ended by Ctrl-C and nothing went wrong until then.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use clap::Parser;
use tests::hostile::{self, Campaign, LATE, Report, STOP, names};

/// Hostile bytes: errors are fine, crashes and calls that do not come back are not.
#[derive(Debug, Parser)]
struct Options {
    /// How long, in minutes; a part of one will do.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,
    /// What all rounds follow from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// This round only, as a failure names it; with the same --only.
    #[arg(long, value_name = "R")]
    round: Option<u64>,
    /// Writes only to what has this in its name; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Says what can be written to, and writes nothing.
    #[arg(long)]
    list: bool,
    /// Plays a structure that believes what it reads: each of its faults must be found.
    #[arg(long)]
    self_test: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Ok(time) = Duration::try_from_secs_f64(options.minutes * 60.0) else {
        return trouble("--minutes is a number from 0 on");
    };
    end_by_ctrl_c();
    let Options { seed, round, only, json, list, self_test, .. } = options;
    if self_test {
        return test_self();
    }
    if list {
        return match names() {
            Ok(names) => told(writeln!(io::stdout(), "{}", names.join("\n")), ExitCode::SUCCESS),
            Err(error) => trouble(&format!("{error:#}")),
        };
    }
    let campaign = Campaign { seed, time, round, only, late: LATE, naive: false };
    let result = campaign.run(|failure| {
        if !json {
            // Told again by the exit status, should nobody read it.
            let _ = writeln!(io::stdout(), "{failure}");
        }
    });
    match result {
        Ok(report) => told(show(&report, json), status(&report)),
        Err(error) => trouble(&format!("{error:#}")),
    }
}

fn test_self() -> ExitCode {
    match hostile::self_test() {
        Ok(missed) if missed.is_empty() => {
            told(writeln!(io::stdout(), "self-test: ok"), ExitCode::SUCCESS)
        }
        Ok(missed) => {
            let line = format!("self-test: FAILED, not found: {}", missed.join(", "));
            told(writeln!(io::stdout(), "{line}"), ExitCode::FAILURE)
        }
        Err(error) => trouble(&format!("{error:#}")),
    }
}

fn status(report: &Report) -> ExitCode {
    match (report.failures.is_empty(), STOP.load(Relaxed)) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(130),
        (true, false) => ExitCode::SUCCESS,
    }
}

fn show(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)
    } else {
        writeln!(out, "{report}")
    }
}

/// Whoever read the lines may have gone away.
fn told(written: io::Result<()>, status: ExitCode) -> ExitCode {
    if written.is_ok() { status } else { ExitCode::FAILURE }
}

fn trouble(why: &str) -> ExitCode {
    // Where even this cannot be written the status alone has to say it.
    let _ = writeln!(io::stderr(), "hostile: {why}");
    ExitCode::from(2)
}

extern "C" fn stop(_signal: libc::c_int) {
    STOP.store(true, Relaxed);
}

fn end_by_ctrl_c() {
    let stop: extern "C" fn(libc::c_int) = stop;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::signal(signal, stop as libc::sighandler_t) };
    }
}
