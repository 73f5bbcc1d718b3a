//! Prints every figure that crossproc promises, ours beside its reference, in one run.
//!
//! ```text
//! cargo run --release -p benches --bin figures [-- --quick] [--json] [--only PREFIX]
//! ```

use benches::figure::{Effort, Row};
use benches::rows;
use clap::Parser;

/// Measure every figure beside its reference.
#[derive(Parser)]
#[command(version, about)]
struct Options {
    /// Fewer and shorter rounds: below a minute.
    #[arg(long)]
    quick: bool,
    /// Print a list of objects instead of a table: times in ns, rates per second.
    #[arg(long)]
    json: bool,
    /// Only the rows whose key begins with this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> anyhow::Result<()> {
    rows::early();
    crossproc::init();
    let options = Options::parse();
    let effort = if options.quick {
        Effort { rounds: 3, percent: 20 }
    } else {
        Effort { rounds: 9, percent: 100 }
    };
    let mut rows: Vec<Row> = Vec::new();
    for figure in rows::all() {
        if !figure.key.starts_with(&options.only) {
            continue;
        }
        let row = figure.measure(&effort)?;
        if !options.json {
            print(&row);
        }
        rows.push(row);
    }
    anyhow::ensure!(!rows.is_empty(), "no row's key begins with {:?}", options.only);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        let missed = rows.iter().filter(|row| !row.ok).count();
        println!("{} figures, {missed} short of their target", rows.len());
    }
    Ok(())
}

fn print(row: &Row) {
    let shown = |value: f64| match row.unit {
        "/s" => format!("{:.2} M/s", value / 1e6),
        _ => format!("{value:.1} ns"),
    };
    println!(
        "{:20} {:>12} {:>12}  {:>5.2} x  ({:>9})  {}  {}",
        row.key,
        shown(row.ours),
        shown(row.reference),
        row.ratio,
        row.target,
        if row.ok { "ok  " } else { "MISS" },
        row.what
    );
}
